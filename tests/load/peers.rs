//! Peers that echo, and do one thing wrong.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a peer looks whether it shall stop.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a peer has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Packets that came.
    pub(crate) packets: u32,
    /// Of those, packets that were answered by something else than themselves, once.
    pub(crate) odd: u32,
}

/// A peer over RTP.
pub(crate) struct RtpPeer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Done>>,
}

impl RtpPeer {
    /// Answers each packet as `answers` says, which gets the packet's number in its call.
    pub(crate) fn start(answers: impl Fn(u32, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self::spawn(socket, Duration::ZERO, answers)
    }

    /// Answers each packet that comes to a socket by itself.
    pub(crate) fn at(socket: UdpSocket) -> Self {
        Self::spawn(socket, Duration::ZERO, |_, packet| vec![packet.to_vec()])
    }

    /// Answers each packet by itself, so much later.
    pub(crate) fn delayed(delay: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self::spawn(socket, delay, |_, packet| vec![packet.to_vec()])
    }

    fn spawn(
        socket: UdpSocket,
        delay: Duration,
        answers: impl Fn(u32, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&socket, &stopped, delay, &answers));
        Self { address, stop, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for RtpPeer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[allow(clippy::disallowed_methods, reason = "a peer in real time")]
fn serve(
    socket: &UdpSocket,
    stop: &AtomicBool,
    delay: Duration,
    answers: &impl Fn(u32, &[u8]) -> Vec<Vec<u8>>,
) -> Done {
    let mut done = Done::default();
    let mut numbers: HashMap<SocketAddr, u32> = HashMap::new();
    let mut waiting: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
    let mut buffer = [0; 2_000];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let number = numbers.entry(from).or_default();
            let answers = answers(*number, &buffer[..length]);
            *number += 1;
            done.packets += 1;
            let payload = |packet: &[u8]| packet[12..].to_vec();
            let is_itself = answers.len() == 1 && payload(&answers[0]) == buffer[12..length];
            done.odd += u32::from(!is_itself);
            let due = Instant::now() + delay;
            waiting.extend(answers.into_iter().map(|answer| (due, from, answer)));
        }
        while let Some((due, to, _)) = waiting.front()
            && *due <= Instant::now()
        {
            let to = *to;
            let (_, _, answer) = waiting.pop_front().unwrap();
            socket.send_to(&answer, to).unwrap();
        }
    }
    done
}

/// A peer over AudioSocket: it hangs up on the second connection after half a second, and changes a
/// sample of each other one.
pub(crate) struct StreamPeer {
    address: SocketAddr,
}

impl StreamPeer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for index in 0.. {
                let Ok((stream, _)) = listener.accept() else { return };
                thread::spawn(move || echo(stream, index == 1));
            }
        });
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Echoes audio until the caller hangs up.
fn echo(mut stream: TcpStream, hangs_up: bool) {
    stream.set_nodelay(true).unwrap();
    let mut uuid = [0; 19];
    stream.read_exact(&mut uuid).unwrap();
    assert_eq!(uuid[..3], [1, 0, 16]);
    for number in 0.. {
        let mut frame = [0; 323];
        stream.read_exact(&mut frame[..3]).unwrap();
        if frame[..3] == [0, 0, 0] {
            return;
        }
        assert_eq!(frame[..3], [0x10, 1, 64]);
        stream.read_exact(&mut frame[3..]).unwrap();
        if number == 25 {
            if hangs_up {
                stream.write_all(&[0, 0, 0]).unwrap();
                return;
            }
            frame[3 + 100] ^= 0x10;
        }
        stream.write_all(&frame).unwrap();
    }
}
