//! A telephone at an Asterisk: RTP to and from a socket of the test's own, so that what is said and
//! what is heard have one clock.
//!
//! The call is a UnicastRTP channel, whose media path is that of a SIP call without the signalling.
//! A packet leaves when its last sample has been spoken, and is played from the moment when it comes:
//! this telephone has no jitter buffer.
#![allow(dead_code, reason = "every test binary uses its own part")]
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "a telephone keeps time")]

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use sidetone::dsp::g711;

use crate::asterisk::Asterisk;

pub const RATE: usize = 8000;
/// Samples of a packet.
pub const FRAME: usize = 160;
pub const PTIME: Duration = Duration::from_millis(20);

const HEADER: usize = 12;
const PCMU: u8 = 0;
const POLL: Duration = Duration::from_millis(5);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A packet's audio.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it was sent, or came.
    pub at: Instant,
    /// By how much it was sent too late.
    pub late: Duration,
    pub samples: [i16; FRAME],
}

/// One call's audio.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub said: Vec<Frame>,
    pub heard: Vec<Frame>,
}

/// A telephone in a call. Dropping it hangs up.
pub struct Telephone {
    channel: String,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    is_over: AtomicBool,
    /// What is still to be said.
    words: Mutex<VecDeque<i16>>,
    line: Mutex<Line>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telephone {
    /// Calls in through `Stasis(sidetone,<arguments>)`.
    ///
    /// # Panics
    /// When Asterisk refuses.
    pub fn dial(asterisk: &Asterisk, arguments: &str) -> Self {
        Self::dial_late(asterisk, arguments, Duration::ZERO)
    }

    /// The same, but its first packet leaves by so much later.
    ///
    /// # Panics
    /// When Asterisk refuses.
    pub fn dial_late(asterisk: &Asterisk, arguments: &str, by: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
        let port = socket.local_addr().expect("bound").port();
        let channel = format!("telephone-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let response = asterisk.ari(
            "POST",
            "/channels",
            &[
                ("endpoint", &format!("UnicastRTP/127.0.0.1:{port}/c(ulaw)")),
                ("context", "test-called"),
                ("extension", "sidetone"),
                ("priority", "1"),
                ("channelId", &channel),
            ],
            Some(&json!({ "variables": { "ARGS": arguments } })),
        );
        assert_eq!(response.status, 200, "{response:?}\n{}", asterisk.log());
        let path = format!("/channels/{channel}/variable");
        let variable = [("variable", "UNICASTRTP_LOCAL_PORT")];
        let response = asterisk.ari("GET", &path, &variable, None);
        let peer = response.body["value"].as_str().and_then(|port| port.parse::<u16>().ok());
        let peer = peer.unwrap_or_else(|| panic!("{response:?}\n{}", asterisk.log()));
        let shared = Arc::new(Shared {
            is_over: AtomicBool::new(false),
            words: Mutex::default(),
            line: Mutex::default(),
        });
        let (speaker, listener) = (Arc::clone(&shared), Arc::clone(&shared));
        let ear = socket.try_clone().expect("a socket can be duplicated");
        let threads = vec![
            thread::spawn(move || speaker.speak(&socket, ([127, 0, 0, 1], peer).into(), by)),
            thread::spawn(move || listener.listen(&ear)),
        ];
        Self { channel, shared, threads }
    }

    /// Says so with the next packet, or behind what is being said.
    pub fn say(&self, samples: &[i16]) {
        lock(&self.shared.words).extend(samples);
    }

    /// All of the call up to now.
    pub fn line(&self) -> Line {
        lock(&self.shared.line).clone()
    }

    /// Waits until what was heard meets `condition`; answers whether it did in that time.
    pub fn wait_until(&self, limit: Duration, condition: impl Fn(&[Frame]) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        while !condition(&lock(&self.shared.line).heard) {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Ends the call, and answers what was said and heard in it.
    pub fn hang_up(mut self, asterisk: &Asterisk) -> Line {
        // The other end may have been faster.
        asterisk.ari("DELETE", &format!("/channels/{}", self.channel), &[], None);
        self.stop();
        self.line()
    }

    fn stop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Its panic has been told.
            let _ = thread.join();
        }
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn speak(&self, socket: &UdpSocket, peer: SocketAddr, late: Duration) {
        let mut due = Instant::now() + late;
        for n in 0_u16.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let mut samples = [0; FRAME];
            let mut words = lock(&self.words);
            let count = words.len().min(FRAME);
            samples.iter_mut().zip(words.drain(..count)).for_each(|(to, from)| *to = from);
            drop(words);
            let mut packet = [0; HEADER + FRAME];
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&n.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(n) * FRAME as u32).to_be_bytes());
            packet[8..12].copy_from_slice(b"ring");
            g711::ulaw_encode(&samples, &mut packet[HEADER..]);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let at = Instant::now();
            // Asterisk may have closed its end.
            let _ = socket.send_to(&packet, peer);
            lock(&self.line).said.push(Frame { at, late: at - due, samples });
            due += PTIME;
        }
    }

    fn listen(&self, socket: &UdpSocket) {
        let mut packet = [0; 2048];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(length) = socket.recv(&mut packet) else { continue };
            let at = Instant::now();
            if length != HEADER + FRAME || packet[1] & 0x7f != PCMU {
                continue;
            }
            let mut samples = [0; FRAME];
            g711::ulaw_decode(&packet[HEADER..length], &mut samples);
            lock(&self.line).heard.push(Frame { at, late: Duration::ZERO, samples });
        }
    }
}

impl Line {
    /// When the first sample from `peak` on was spoken.
    pub fn first_said(&self, peak: u16) -> Option<Instant> {
        let (frame, place) = self.said.iter().find_map(|frame| {
            let place = frame.samples.iter().position(|sample| sample.unsigned_abs() >= peak)?;
            Some((frame, place))
        })?;
        Some(frame.at - PTIME + duration(place))
    }

    /// When the last sample from `peak` on had been played.
    pub fn last_heard(&self, peak: u16) -> Option<Instant> {
        last_heard(&self.heard, peak)
    }

    /// Everything that was heard, packet behind packet.
    pub fn heard_samples(&self) -> Vec<i16> {
        self.heard.iter().flat_map(|frame| frame.samples).collect()
    }
}

/// When the last sample from `peak` on in `frames` had been played.
pub fn last_heard(frames: &[Frame], peak: u16) -> Option<Instant> {
    let (frame, place) = frames.iter().rev().find_map(|frame| {
        let place = frame.samples.iter().rposition(|sample| sample.unsigned_abs() >= peak)?;
        Some((frame, place))
    })?;
    Some(frame.at + duration(place + 1))
}

/// How long so many samples last.
pub fn duration(samples: usize) -> Duration {
    Duration::from_secs(samples as u64) / RATE as u32
}

/// By the wall clock, in seconds since 1970.
pub fn wall_seconds(at: Instant) -> f64 {
    let ago = at.elapsed();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    (now.as_secs_f64()) - ago.as_secs_f64()
}
