use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::oneshot::{self, Receiver, Sender};

use crate::call::CallId;
use crate::runtime::link::{Carrier, Link, LinkSettings};

/// Where the calls of a bot that connects to us wait for it. Cheap to clone.
///
/// A call is in the room as long as its [`Waiter`] lives, and has one bot at a time. Locked when a
/// call comes or goes and when a bot does, never across an `await`.
#[derive(Clone)]
pub struct WaitingRoom(Arc<Room>);

struct Room {
    /// Of every connection that comes.
    settings: LinkSettings,
    calls: Mutex<Calls>,
}

/// Ids of calls sort by age; the number tells two waiters of one call apart, whose pipeline lists the
/// bot twice.
type Key = (CallId, u64);

#[derive(Default)]
struct Calls {
    /// How each gets its bot; `None`: one is there, or its request is being answered.
    by_age: BTreeMap<Key, Option<Sender<Link>>>,
    entered: u64,
}

/// Why a bot gets no call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum NoPlace {
    /// No call waits at all.
    #[error("no call waits for this bot")]
    Nobody,
    /// The call is over, or wants another bot or none.
    #[error("the call {call} does not wait for this bot")]
    Absent {
        /// The call that was asked for.
        call: CallId,
    },
    /// The call has a bot.
    #[error("the call {call} has its bot already")]
    Taken {
        /// The call that was asked for.
        call: CallId,
    },
}

impl WaitingRoom {
    /// An empty room; `settings` say what its bots may do before they are given up.
    #[must_use]
    pub fn new(settings: LinkSettings) -> Self {
        Self(Arc::new(Room { settings, calls: Mutex::default() }))
    }

    /// Makes a call wait for its bot from now on.
    pub(crate) fn wait(&self, call: CallId) -> Waiter {
        let (sender, link) = oneshot::channel();
        let mut calls = self.0.lock();
        calls.entered += 1;
        let key = (call, calls.entered);
        calls.by_age.insert(key, Some(sender));
        Waiter { room: Arc::clone(&self.0), key, link: Some(link) }
    }

    /// Reserves `call`, or the oldest one that waits: nobody else gets it while the place lives.
    ///
    /// # Errors
    /// [`NoPlace`] where there is no such call.
    pub(crate) fn take(&self, call: Option<CallId>) -> Result<Place, NoPlace> {
        let mut calls = self.0.lock();
        let mut is_there = false;
        for (key, waits) in &mut calls.by_age {
            if call.is_none_or(|call| call == key.0) {
                is_there = true;
                if let Some(sender) = waits.take() {
                    let room = Arc::clone(&self.0);
                    return Ok(Place { room, key: *key, sender: Some(sender) });
                }
            }
        }
        Err(match call {
            None => NoPlace::Nobody,
            Some(call) if is_there => NoPlace::Taken { call },
            Some(call) => NoPlace::Absent { call },
        })
    }

    /// Whether the call waits for a bot.
    pub(crate) fn waits(&self, call: CallId) -> bool {
        self.0.lock().by_age.iter().any(|(key, waits)| key.0 == call && waits.is_some())
    }
}

impl fmt::Debug for WaitingRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingRoom").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Room {
    /// Makes a call that has lost its bot wait for the next.
    fn wait_again(&self, key: Key) -> Receiver<Link> {
        let (sender, link) = oneshot::channel();
        self.give_back(key, sender);
        link
    }

    fn give_back(&self, key: Key, sender: Sender<Link>) {
        if let Some(waits) = self.lock().by_age.get_mut(&key) {
            *waits = Some(sender);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // A map that somebody panicked over is whole all the same.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in a [`WaitingRoom`]. Dropped, it neither waits nor has a bot.
pub(crate) struct Waiter {
    room: Arc<Room>,
    key: Key,
    /// `None`: it has been handed out.
    link: Option<Receiver<Link>>,
}

impl Waiter {
    /// The connection of the bot, once that has come. Asked again, the call waits for the next one;
    /// until then it counts as having a bot.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped before its end: the call waits on.
    pub(crate) async fn link(&mut self) -> Link {
        let Self { room, key, link } = self;
        let arrived = link.get_or_insert_with(|| room.wait_again(*key)).await;
        self.link = None;
        arrived.expect("its sender is in the room, or in a place that gives it back")
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.room.lock().by_age.remove(&self.key);
    }
}

/// A call that is reserved for a bot whose request is being answered. Dropped, it waits on.
pub(crate) struct Place {
    room: Arc<Room>,
    key: Key,
    /// `None`: the bot is there.
    sender: Option<Sender<Link>>,
}

impl Place {
    /// The call.
    pub(crate) fn call(&self) -> CallId {
        self.key.0
    }

    /// Gives the call its bot, over a connection whose request has been answered. Where the call
    /// is over by now, the connection is closed.
    ///
    /// # Cancel safety
    /// Dropped before its end, it closes the connection, and the call waits on.
    pub(crate) async fn fill(mut self, stream: impl Carrier + 'static) {
        let link = Link::accept(stream, &self.room.settings).await;
        if let Some(sender) = self.sender.take()
            && let Err(link) = sender.send(link)
        {
            link.close().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.room.give_back(self.key, sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt};
    use tokio::io::DuplexStream;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use uuid::Uuid;

    use super::*;
    use crate::runtime::link::LinkEvent;

    fn room() -> WaitingRoom {
        WaitingRoom::new(LinkSettings {
            write_timeout: Duration::from_secs(5),
            ping_every: Duration::from_secs(5),
            max_message_bytes: 1_000,
        })
    }

    fn call(number: u128) -> CallId {
        CallId::new(Uuid::from_u128(number))
    }

    /// The call that a bot gets, which goes away again.
    fn taken(room: &WaitingRoom, call: Option<CallId>) -> Result<CallId, NoPlace> {
        room.take(call).map(|place| place.call())
    }

    /// Puts a bot into a place, and answers its end of the connection.
    async fn fill(place: Place) -> WebSocketStream<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(4_096);
        place.fill(ours).await;
        WebSocketStream::from_raw_socket(theirs, Role::Client, None).await
    }

    #[tokio::test]
    async fn the_oldest_call_is_taken_first_and_each_only_once() {
        let room = room();
        assert_eq!(taken(&room, None), Err(NoPlace::Nobody));
        let mut waiters = [2, 1, 3].map(|number| room.wait(call(number)));
        let first = room.take(None).expect("three wait");
        let third = room.take(Some(call(3))).expect("it waits");
        assert_eq!((first.call(), third.call()), (call(1), call(3)));
        assert_eq!(taken(&room, Some(call(1))), Err(NoPlace::Taken { call: call(1) }));
        assert_eq!(taken(&room, Some(call(4))), Err(NoPlace::Absent { call: call(4) }));
        assert_eq!([1, 2, 3].map(|number| room.waits(call(number))), [false, true, false]);
        let bots = [fill(first).await, fill(third).await];
        assert_eq!(taken(&room, None), Ok(call(2)));
        let [second, first, third] = &mut waiters;
        for (waiter, has_a_bot) in [(second, false), (first, true), (third, true)] {
            assert_eq!(waiter.link().now_or_never().is_some(), has_a_bot);
        }
        drop(bots);
    }

    #[tokio::test]
    async fn a_bot_and_its_call_are_connected() {
        let room = room();
        let mut waiter = room.wait(call(1));
        let mut bot = fill(room.take(None).expect("it waits")).await;
        let mut link = waiter.link().await;
        link.send(Message::text("hello"));
        assert_eq!(link.next().await, Ok(LinkEvent::Free));
        let heard = bot.next().await.expect("open").expect("a message");
        assert_eq!(heard, Message::text("hello"));
    }

    #[tokio::test]
    async fn a_call_whose_bot_is_lost_waits_again() {
        let room = room();
        let mut waiter = room.wait(call(1));
        drop(fill(room.take(None).expect("it waits")).await);
        drop(waiter.link().await);
        assert_eq!(taken(&room, Some(call(1))), Err(NoPlace::Taken { call: call(1) }));
        assert!(waiter.link().now_or_never().is_none());
        assert!(room.waits(call(1)));
        let bot = fill(room.take(None).expect("it waits")).await;
        assert!(waiter.link().now_or_never().is_some());
        drop(bot);
    }

    #[tokio::test]
    async fn a_bot_that_does_not_come_after_all_leaves_the_call_waiting() {
        let room = room();
        let mut waiter = room.wait(call(1));
        drop(room.take(None).expect("it waits"));
        assert!(waiter.link().now_or_never().is_none());
        let bot = fill(room.take(None).expect("it waits on")).await;
        assert!(waiter.link().now_or_never().is_some());
        drop(bot);
    }

    #[tokio::test]
    async fn a_call_that_is_over_is_out_of_the_room_and_its_bot_is_told() {
        let room = room();
        let waiter = room.wait(call(1));
        let place = room.take(None).expect("it waits");
        drop(waiter);
        assert_eq!(taken(&room, Some(call(1))), Err(NoPlace::Absent { call: call(1) }));
        let (ours, theirs) = tokio::io::duplex(4_096);
        let mut bot = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let (heard, ()) = tokio::join!(bot.next(), place.fill(ours));
        assert!(heard.expect("open").expect("a message").is_close());
        assert_eq!(taken(&room, None), Err(NoPlace::Nobody));
    }

    #[tokio::test]
    async fn a_call_that_wants_the_bot_twice_gets_two() {
        let room = room();
        let mut waiters = [room.wait(call(1)), room.wait(call(1))];
        let places = [room.take(Some(call(1))), room.take(Some(call(1)))].map(Result::unwrap);
        assert_eq!(taken(&room, Some(call(1))), Err(NoPlace::Taken { call: call(1) }));
        for place in places {
            drop(fill(place).await);
        }
        for waiter in &mut waiters {
            assert!(waiter.link().now_or_never().is_some());
        }
    }
}
