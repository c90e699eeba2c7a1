use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::{Backoff, Link, LinkError, LinkEvent, LinkRequest, LinkSettings};
use crate::processor::Message;
use crate::runtime::bot::Waiter;
use crate::runtime::clock::Clock;

/// One side of a talk over a link, and the next one where that is lost, until there is nothing to
/// say any more.
pub(crate) trait Talk: Send {
    /// Takes what there is to say, and does what is to be done; sends, where there is a link and it
    /// is free. Answers when it wants to be asked again without anything having happened.
    fn turn(&mut self, link: Option<&mut Link>) -> Result<Option<Instant>, Done>;

    /// There is a link, a new one.
    fn connected(&mut self);

    /// Something came on it.
    fn heard(&mut self, message: Message);

    /// Whether more is to be read now: what is not read makes the peer wait.
    fn reads(&self) -> bool {
        true
    }

    /// The link is lost, or none could be made.
    fn lost(&mut self, error: &LinkError) -> Lost;
}

/// Nothing is to be said any more.
pub(crate) struct Done;

/// How the loss of a link counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// As agreed on: the next one is wanted at once.
    Expected,
    /// As a failure, after each of which the pause before the next one is longer.
    Failed,
}

/// How there gets to be a link.
pub(crate) enum Way {
    /// We connect.
    Dial { request: LinkRequest, settings: LinkSettings, tls: Arc<ClientConfig> },
    /// The peer connects to us, and takes the call that waits for it.
    Wait(Waiter),
}

impl Way {
    async fn open(&mut self) -> Result<Link, LinkError> {
        match self {
            Self::Dial { request, settings, tls } => Link::connect(request, settings, tls).await,
            Self::Wait(waiter) => Ok(waiter.link().await),
        }
    }
}

/// Drives a talk to its end. `ready` says that there is something to say.
pub(crate) struct Driver<'a> {
    pub(crate) way: Way,
    pub(crate) ready: &'a Notify,
    pub(crate) backoff: Backoff,
    pub(crate) clock: Clock,
}

impl Driver<'_> {
    /// Connects again and again until the talk is over.
    pub(crate) async fn run(mut self, talk: &mut impl Talk) {
        let mut failures = 0;
        loop {
            match self.connect(talk, failures).await {
                Err(Done) => return,
                Ok(Ok(link)) => {
                    let since = self.clock.now();
                    let error = match self.talk(talk, link).await {
                        Err(Done) => return,
                        Ok(error) => error,
                    };
                    // One that is taken and closed again at once is a failure, too.
                    let lasted = self.clock.now().saturating_duration_since(since);
                    failures = match talk.lost(&error) {
                        Lost::Failed if lasted < self.backoff.max => failures + 1,
                        Lost::Failed | Lost::Expected => 0,
                    };
                }
                Ok(Err(error)) => {
                    failures += 1;
                    talk.lost(&error);
                }
            }
        }
    }

    /// Opens a link, after a pause where that has failed before; lets the talk go on meanwhile.
    async fn connect(
        &mut self,
        talk: &mut impl Talk,
        failures: u32,
    ) -> Result<Result<Link, LinkError>, Done> {
        let pause = if failures > 0 { self.backoff.pause(failures) } else { Duration::ZERO };
        let Self { way, ready, .. } = self;
        let mut opening = pin!(async {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            way.open().await
        });
        loop {
            let wake = talk.turn(None)?;
            tokio::select! {
                link = &mut opening => return Ok(link),
                () = ready.notified() => {}
                () = at(wake) => {}
            }
        }
    }

    /// Talks on a new link until that is lost.
    async fn talk(&self, talk: &mut impl Talk, mut link: Link) -> Result<LinkError, Done> {
        talk.connected();
        loop {
            let wake = match talk.turn(Some(&mut link)) {
                Ok(wake) => wake,
                Err(Done) => {
                    link.close().await;
                    return Err(Done);
                }
            };
            tokio::select! {
                event = next(&mut link, talk.reads()) => match event {
                    Ok(LinkEvent::Free) => {}
                    Ok(LinkEvent::Text(text)) => {
                        talk.heard(Message::Text(text.as_str().to_owned()));
                    }
                    Ok(LinkEvent::Binary(bytes)) => talk.heard(Message::Binary(bytes.into())),
                    Err(error) => return Ok(error),
                },
                () = self.ready.notified() => {}
                () = at(wake) => {}
            }
        }
    }
}

async fn next(link: &mut Link, reads: bool) -> Result<LinkEvent, LinkError> {
    if reads { link.next().await } else { link.next_sent().await }
}

/// Done at that moment; never without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}
