//! Ports that no other instance uses, on this machine, in any process.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};

/// Everything is below 32768, where Linux starts to hand out ports by itself: whoever binds port 0
/// meanwhile cannot get one of ours.
const FIRST: u16 = 12_000;
const SIZE: u16 = 800;
const BLOCKS: u16 = 25;

/// A range of ports, ours as long as the value lives: a lock on a file stands for it.
#[derive(Debug)]
pub(super) struct PortBlock {
    base: u16,
    _lock: File,
}

impl PortBlock {
    /// Takes a block that nobody holds and whose listening ports are free.
    pub(super) fn reserve() -> Self {
        let folder = std::env::temp_dir().join("sidetone-test-ports");
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        // Different processes start at different places, so that a block just left by one is
        // not taken by another while its last sockets are closing.
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("below BLOCKS");
        for i in 0..BLOCKS {
            let base = FIRST + (start + i) % BLOCKS * SIZE;
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(base.to_string()))
                .expect("the temporary folder is writable");
            let block = Self { base, _lock: lock };
            if block._lock.try_lock().is_ok() && block.is_free() {
                return block;
            }
        }
        panic!("all {BLOCKS} blocks of ports from {FIRST} on are in use");
    }

    /// Asks for the listening ports only; a foreign socket among those for RTP makes Asterisk take
    /// the next one.
    fn is_free(&self) -> bool {
        [self.http(), self.https()]
            .iter()
            .all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            && [self.sip(), self.sipp(0)]
                .iter()
                .all(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok())
    }

    pub(super) fn http(&self) -> u16 {
        self.base
    }

    pub(super) fn https(&self) -> u16 {
        self.base + 1
    }

    pub(super) fn sip(&self) -> u16 {
        self.base + 2
    }

    /// The n-th SIPp's own SIP port.
    pub(super) fn sipp(&self, n: u16) -> u16 {
        assert!(n < 32, "32 SIPp per Asterisk");
        self.base + 10 + n
    }

    /// The n-th SIPp's RTP ports, first and last.
    pub(super) fn sipp_media(&self, n: u16) -> (u16, u16) {
        assert!(n < 32, "32 SIPp per Asterisk");
        (self.base + 100 + 4 * n, self.base + 103 + 4 * n)
    }

    /// Asterisk's RTP range, first and last: 280 streams.
    pub(super) fn rtp(&self) -> (u16, u16) {
        (self.base + 240, self.base + SIZE - 1)
    }
}
