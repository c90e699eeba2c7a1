//! A shard: one thread with its own UDP port, its own calls and timers. Nothing on the media path is
//! shared with other shards or locked.

mod calls;
mod census;
mod driving;
mod lookahead;
mod opening;
mod phases;
mod reporting;
mod stream;
mod telling;

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, error};

use self::calls::Calls;
use self::phases::STEP;
use super::clock::Clock;
use super::directory::{CallSpec, Directory};
use super::metrics::Metrics;
use super::recording::Recordings;
use super::scheduling;
use super::settings::Accept;
use super::udp::ReceiveBatch;
use crate::call::CallId;
use crate::engine::Command;
use crate::media::MediaSettings;
use crate::processor::Pipeline;

/// How often the sums over a shard's calls are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Batches that are read from the port before streams, commands and timers have their turn.
const MAX_BATCHES: usize = 32;

/// Commands that are carried out before audio has its turn again.
const MAX_COMMANDS: usize = 64;

/// Calls that are opened before that: what a call needs is allocated, and none of it is in a cache.
const MAX_OPENS: usize = 8;

/// Unknown senders that become calls before streams, commands and timers have their turn, and those
/// of one batch more: one or two milliseconds' work. What has come behind them is read right after.
const MAX_ADMISSIONS: usize = 64;

/// With so many calls there are ticks in every step of the timers, and each of them takes what has
/// come: the port need not wake the thread. Watched by epoll it costs the kernel more per datagram,
/// received and sent.
const MANY_CALLS: usize = 64;

/// Sockets that are looked at in one turn.
const MAX_EVENTS: usize = 1_024;

/// The shard's port, and its commands, among its events; streams are told by their slot.
const PORT: Token = Token(usize::MAX - 1);
const COMMANDS: Token = Token(usize::MAX - 2);

/// What the rest of the process wants of a shard.
#[derive(Debug)]
pub(super) enum ShardCommand {
    /// Serve a call over RTP; the directory has it already.
    OpenRtp(CallSpec),
    /// Serve a connection whose UUID frame has been read; the directory has the call already.
    OpenStream {
        spec: CallSpec,
        stream: TcpStream,
        /// Given back when the call is over.
        permit: OwnedSemaphorePermit,
    },
    /// Hand a command to a call; one that is not there is ignored.
    Call(CallId, Command),
    /// End every call and those that are still to come, then the shard. So it does, too, when
    /// nobody is left to command it.
    Stop,
}

impl ShardCommand {
    const fn opens_a_call(&self) -> bool {
        matches!(self, Self::OpenRtp(_) | Self::OpenStream { .. })
    }
}

/// The way to a shard.
#[derive(Debug)]
pub(super) struct ShardCommands {
    sender: Sender<ShardCommand>,
    waker: mio::Waker,
}

impl ShardCommands {
    /// Commands the shard; false where it is gone.
    pub(super) fn send(&self, command: ShardCommand) -> bool {
        let there = self.sender.send(command).is_ok();
        if there && let Err(error) = self.waker.wake() {
            // The shard looks at its commands whenever it wakes.
            error!(%error, "a shard could not be woken");
        }
        there
    }
}

/// What a shard is made of.
pub(super) struct ShardParts {
    pub(super) index: usize,
    pub(super) clock: Clock,
    /// The nice value that its thread is to have, where it has a higher one.
    pub(super) nice: i32,
    pub(super) media: MediaSettings,
    pub(super) accept: Accept,
    pub(super) max_rtp_calls: usize,
    pub(super) max_frame_bytes: usize,
    /// How late most frames must be sent at the latest, where new calls are to be taken; zero: take
    /// them in any case.
    pub(super) max_lateness: Duration,
    pub(super) default_pipeline: Pipeline,
    pub(super) directory: Arc<Directory>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) recordings: Recordings,
    pub(super) socket: std::net::UdpSocket,
}

/// A shard that runs.
pub(super) struct Running {
    pub(super) commands: Arc<ShardCommands>,
    pub(super) thread: JoinHandle<()>,
    /// Whether that has the nice value that it is to have.
    pub(super) nice: io::Result<()>,
}

/// Starts a shard's thread, and waits until that has its nice value.
pub(super) fn spawn(parts: ShardParts) -> io::Result<Running> {
    let poll = Poll::new()?;
    let port = parts.socket.as_raw_fd();
    poll.registry().register(&mut SourceFd(&port), PORT, Interest::READABLE)?;
    let waker = mio::Waker::new(poll.registry(), COMMANDS)?;
    let (sender, receiver) = mpsc::channel();
    let commands = Arc::new(ShardCommands { sender, waker });
    // For the wakers of its calls. It does not keep itself alive by that.
    let own = Arc::downgrade(&commands);
    let name = format!("shard-{}", parts.index);
    let (tell, told) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(name).spawn(move || {
        // Whoever starts it waits for that.
        let _ = tell.send(scheduling::go_first(parts.nice));
        if let Err(error) = run(parts, poll, &receiver, own) {
            error!(%error, "a shard failed");
        }
    })?;
    let nice = told.recv().map_err(io::Error::other)?;
    Ok(Running { commands, thread, nice })
}

fn run(
    parts: ShardParts,
    mut poll: Poll,
    commands: &Receiver<ShardCommand>,
    own: Weak<ShardCommands>,
) -> io::Result<()> {
    let clock = parts.clock;
    let mut calls = Calls::new(parts, poll.registry().try_clone()?, own);
    let mut events = Events::with_capacity(MAX_EVENTS);
    let mut batch = ReceiveBatch::new();
    let mut publish_at = clock.now() + PUBLISH_EVERY;
    let mut port_is_watched = true;
    // The port, a stream or the commands may hold more than was taken.
    let mut more = false;
    // There is something to be done in each step, whether it is told of or not.
    let mut step_by_step = false;
    let mut stopping = false;
    loop {
        watch_port(poll.registry(), &calls, &mut port_is_watched)?;
        let latest = match (more, step_by_step || !port_is_watched) {
            (true, _) => clock.now(),
            (false, false) => publish_at,
            (false, true) => publish_at.min(clock.now() + STEP),
        };
        let until = calls.next_wake().map_or(latest, |next| next.min(latest));
        wait(&mut poll, &mut events, clock, until)?;
        for event in &events {
            if !matches!(event.token(), PORT | COMMANDS) {
                calls.is_readable(event.token(), event.is_read_closed() || event.is_error());
            }
        }
        // Audio that has arrived comes before the frames that are due: after a stall, those shall
        // find it in their queues.
        let mut admitted = 0;
        let left = receive(|| {
            let full = batch.receive(calls.port())?;
            admitted += calls.handle_datagrams(&batch);
            Ok(match full {
                false => Batch::Last,
                true if admitted < MAX_ADMISSIONS => Batch::Full,
                true => Batch::Enough,
            })
        });
        more = left == Left::Something;
        step_by_step = left == Left::Unknown;
        more |= calls.read_streams();
        more |= take_commands(commands, &mut calls, &mut stopping);
        calls.run_timers();
        let now = clock.now();
        if now >= publish_at || stopping {
            publish_at = now + PUBLISH_EVERY;
            calls.take_census();
        }
        step_by_step |= calls.go_on_with_census();
        if stopping && calls.len() == 0 {
            calls.publish_the_end();
            return Ok(());
        }
    }
}

/// Has the port watched where there are few calls.
fn watch_port(registry: &Registry, calls: &Calls, watched: &mut bool) -> io::Result<()> {
    let few = if *watched { MANY_CALLS } else { MANY_CALLS / 2 };
    let wanted = calls.len() < few;
    if *watched != wanted {
        *watched = wanted;
        let port = calls.port().as_raw_fd();
        let mut port = SourceFd(&port);
        if wanted {
            registry.register(&mut port, PORT, Interest::READABLE)?;
        } else {
            registry.deregister(&mut port)?;
        }
    }
    Ok(())
}

/// Waits for something to come, until `until` at the latest.
///
/// Sockets are watched for whole milliseconds only, as the kernel counts them here; the rest is
/// slept. So what comes within the last millisecond before calls have their ticks waits for those:
/// with many calls, which have ticks all the time, each wake-up serves what came in a whole step of
/// the timers, and a few system calls do for all of it.
fn wait(poll: &mut Poll, events: &mut Events, clock: Clock, until: Instant) -> io::Result<()> {
    let ahead = until.saturating_duration_since(clock.now());
    let whole = Duration::from_millis(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX));
    if whole.is_zero() {
        clock.sleep(ahead);
    }
    match poll.poll(events, Some(whole)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}

/// What is left at the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    Nothing,
    Something,
    /// It reports errors: it is to be looked at again, but not at once.
    Unknown,
}

/// What a batch says of those behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Batch {
    /// There is none.
    Last,
    /// There may be one.
    Full,
    /// There may be one, but it is the turn of others.
    Enough,
}

/// Hands datagrams to their calls, a bounded number at a time. `take_batch` does so with what is there
/// and fits a batch.
fn receive(mut take_batch: impl FnMut() -> io::Result<Batch>) -> Left {
    let mut failed = false;
    for _ in 0..MAX_BATCHES {
        match take_batch() {
            Ok(Batch::Full) => {}
            Ok(Batch::Last) => return Left::Nothing,
            Ok(Batch::Enough) => return Left::Something,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Left::Nothing,
            // One may be of a datagram sent before (ICMP), which says nothing of those that came.
            Err(error) => {
                debug!(%error, "the RTP port reported an error");
                if std::mem::replace(&mut failed, true) {
                    return Left::Unknown;
                }
            }
        }
    }
    Left::Something
}

/// Carries out commands, a bounded number at a time; true where there may be more.
fn take_commands(
    commands: &Receiver<ShardCommand>,
    calls: &mut Calls,
    stopping: &mut bool,
) -> bool {
    let mut opened = 0;
    for _ in 0..MAX_COMMANDS {
        let command = match commands.try_recv() {
            Ok(command) => command,
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) if *stopping => return false,
            Err(TryRecvError::Disconnected) => ShardCommand::Stop,
        };
        *stopping |= matches!(command, ShardCommand::Stop);
        opened += usize::from(command.opens_a_call());
        calls.handle_command(command);
        if opened == MAX_OPENS {
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left, and how often the port was asked, which answers the last over and over.
    fn left(answers: &[Result<Batch, io::ErrorKind>]) -> (Left, usize) {
        let mut asked = 0;
        let left = receive(|| {
            asked += 1;
            let answer = answers[asked.min(answers.len()) - 1];
            answer.map_err(io::Error::from)
        });
        (left, asked)
    }

    #[test]
    fn batches_are_taken_until_one_is_not_full_or_it_is_the_turn_of_others() {
        assert_eq!(left(&[Ok(Batch::Full), Ok(Batch::Last)]), (Left::Nothing, 2));
        assert_eq!(left(&[Ok(Batch::Full), Err(io::ErrorKind::WouldBlock)]), (Left::Nothing, 2));
        assert_eq!(left(&[Ok(Batch::Full)]), (Left::Something, MAX_BATCHES));
        assert_eq!(left(&[Ok(Batch::Full), Ok(Batch::Enough)]), (Left::Something, 2));
    }

    #[test]
    fn a_port_that_goes_on_reporting_errors_is_left_alone_for_a_step() {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        assert_eq!(left(&[refused, Ok(Batch::Full), Ok(Batch::Last)]), (Left::Nothing, 3));
        assert_eq!(left(&[refused]), (Left::Unknown, 2));
    }
}
