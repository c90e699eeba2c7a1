//! A UDP path that loses and delays what Asterisk sends, in real time and by seed.
//!
//! A server on 127.0.0.1 whose configuration says `rtp.advertise = "127.0.0.2"` has Asterisk send to
//! the same port of the other address. There the relay listens, and hands on to the server what the
//! network of [`emulator`](crate::emulator) lets through, with the address that Asterisk sends from:
//! a call is locked to that. Nothing but a raw socket can do so. What the server sends goes to
//! Asterisk directly.
#![allow(clippy::disallowed_methods, reason = "is between two processes in real time")]

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

use crate::emulator::{Delivery, Emulator, Path, Statistics};

/// Where it listens: what the server has to advertise.
pub(crate) const ADVERTISED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How soon a thread sees that it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A relay in front of some ports. Dropping it ends it.
pub(crate) struct Impairment {
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Passed>>,
}

/// What went through one port.
pub(crate) struct Passed {
    /// Moments of [`Self::deliveries`] count from here.
    pub(crate) began: SystemTime,
    /// What was handed on, in that order: `sent_at` is when it came from Asterisk, `at` when it was
    /// really handed on.
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) statistics: Statistics,
}

impl Impairment {
    /// A relay in front of `ports`, on each of which the network is that of `path` and `seed` for as
    /// many packets as `takes`; what comes after these goes nowhere and does not count.
    ///
    /// `None` after a loud message where this process may open no raw socket: the test then returns,
    /// which counts as skipped.
    ///
    /// # Panics
    ///
    /// Without the permission when the environment says `CI=true`: there, a skipped test is a
    /// failure.
    pub(crate) fn require(ports: &[SocketAddr], path: Path, seed: u64, takes: u64) -> Option<Self> {
        let done = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for port in ports {
            let &SocketAddr::V4(to) = port else { panic!("{port}: IPv4 only") };
            let out = raw_socket()?;
            let listening = UdpSocket::bind((ADVERTISED, to.port())).expect("a port beside ours");
            let relay = Relay { listening, out, to, network: Emulator::new(path, seed), takes };
            let done = Arc::clone(&done);
            threads.push(thread::spawn(move || relay.run(&done)));
        }
        Some(Self { done, threads })
    }

    /// Ends it, and answers what went through the port that was used.
    ///
    /// # Panics
    ///
    /// Where nothing came to any port, or something to more than one.
    pub(crate) fn finish(mut self) -> Passed {
        self.done.store(true, Ordering::Relaxed);
        let passed = self.threads.drain(..).map(|thread| thread.join().expect("it does not panic"));
        let mut used: Vec<_> = passed.filter(|passed| passed.statistics.sent > 0).collect();
        assert_eq!(used.len(), 1, "ports that Asterisk sent to");
        used.remove(0)
    }
}

impl Drop for Impairment {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// In front of one port.
struct Relay {
    listening: UdpSocket,
    out: Socket,
    to: SocketAddrV4,
    network: Emulator,
    takes: u64,
}

impl Relay {
    fn run(mut self, done: &AtomicBool) -> Passed {
        let (began, start) = (SystemTime::now(), Instant::now());
        let (mut buffer, mut from) = ([0; 2048], None);
        let mut deliveries = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let next = self.network.next_arrival().unwrap_or(Duration::MAX);
            let wait =
                next.saturating_sub(start.elapsed()).clamp(Duration::from_millis(1), LOOK_EVERY);
            self.listening.set_read_timeout(Some(wait)).expect("not zero");
            match self.listening.recv_from(&mut buffer) {
                Ok((length, SocketAddr::V4(sender))) => {
                    assert_eq!(*from.get_or_insert(sender), sender, "one call, one source");
                    if self.network.statistics().sent < self.takes {
                        self.network.send(start.elapsed(), &buffer[..length]);
                    }
                }
                Ok((_, other)) => panic!("{other} cannot reach IPv4"),
                Err(error) => {
                    let is_over = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                    assert!(is_over.contains(&error.kind()), "{error}");
                }
            }
            let now = start.elapsed();
            while let Some(mut delivery) = self.network.receive(now) {
                self.hand_on(from.expect("somebody sent it"), &delivery.bytes);
                delivery.at = now;
                deliveries.push(delivery);
            }
        }
        Passed { began, deliveries, statistics: self.network.statistics() }
    }

    /// Sends `payload` to the server as if it came straight from `from`.
    fn hand_on(&self, from: SocketAddrV4, payload: &[u8]) {
        const HOPS: u8 = 64;
        let packet = PacketBuilder::ipv4(from.ip().octets(), self.to.ip().octets(), HOPS)
            .udp(from.port(), self.to.port());
        let mut bytes = Vec::with_capacity(packet.size(payload.len()));
        packet.write(&mut bytes, payload).expect("shorter than 64 KiB");
        let sent = self.out.send_to(&bytes, &self.to.into()).expect("loopback takes it");
        assert_eq!(sent, bytes.len());
    }
}

/// A socket whose packets bring their own IP header, which `IPPROTO_RAW` says (raw(7)).
fn raw_socket() -> Option<Socket> {
    match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))) {
        Ok(socket) => Some(socket),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let reason = "a raw socket, which takes root or CAP_NET_RAW";
            let may_skip = std::env::var_os("CI").as_deref() != Some(OsStr::new("true"));
            assert!(may_skip, "this test needs {reason}: {error}");
            let name = thread::current().name().unwrap_or("a test").to_owned();
            // Not `eprintln!`, which is shown of tests that fail only.
            let line = format!("\n*** SKIPPED: {name} needs {reason}: {error}\n");
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
            None
        }
        Err(error) => panic!("a raw socket: {error}"),
    }
}
