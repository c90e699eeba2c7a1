//! Writes captures, byte by byte: pcap and pcapng, link layers, IP and UDP.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Which kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Container {
    /// pcap, with times in nanoseconds or microseconds.
    Pcap { big_endian: bool, nanos: bool },
    /// pcapng, whose one interface has this resolution (`if_tsresol`) and offset (`if_tsoffset`).
    PcapNg { big_endian: bool, resolution: u8, offset_seconds: i64 },
}

impl Container {
    pub(crate) const USUAL: Self = Self::Pcap { big_endian: false, nanos: false };

    fn big_endian(self) -> bool {
        match self {
            Self::Pcap { big_endian, .. } | Self::PcapNg { big_endian, .. } => big_endian,
        }
    }
}

/// What is around the IP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    Ethernet,
    /// Ethernet with so many VLAN tags.
    Vlan(usize),
    /// Linux cooked, version 1 or 2.
    Cooked1,
    Cooked2,
    /// BSD's loopback, in the byte order of a little-endian machine, and in network order.
    Null,
    Loop,
    Raw,
}

impl Link {
    pub(crate) const ALL: [Self; 8] = [
        Self::Ethernet,
        Self::Vlan(1),
        Self::Vlan(2),
        Self::Cooked1,
        Self::Cooked2,
        Self::Null,
        Self::Loop,
        Self::Raw,
    ];

    /// By <https://www.tcpdump.org/linktypes.html>.
    fn number(self) -> u16 {
        match self {
            Self::Ethernet | Self::Vlan(_) => 1,
            Self::Cooked1 => 113,
            Self::Cooked2 => 276,
            Self::Null => 0,
            Self::Loop => 108,
            Self::Raw => 101,
        }
    }

    /// A frame around `packet`.
    fn frame(self, packet: &[u8]) -> Vec<u8> {
        let v6 = packet[0] >> 4 == 6;
        let kind: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let family = if v6 { 30 } else { 2 };
        let mut out = Vec::new();
        match self {
            Self::Ethernet | Self::Vlan(_) => {
                out.extend([2; 6]);
                out.extend([4; 6]);
                let tags = if let Self::Vlan(tags) = self { tags } else { 0 };
                for tag in 0..tags {
                    let outer = if tag + 1 < tags { [0x88, 0xa8] } else { [0x81, 0x00] };
                    out.extend(outer);
                    out.extend([0, 42]);
                }
                out.extend(kind);
            }
            Self::Cooked1 => {
                out.extend([0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
                out.extend(kind);
            }
            Self::Cooked2 => {
                out.extend(kind);
                out.extend([0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
            }
            Self::Null => out.extend([family, 0, 0, 0]),
            Self::Loop => out.extend([0, 0, 0, family]),
            Self::Raw => {}
        }
        out.extend(packet);
        out
    }
}

/// A capture under way.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    container: Container,
    link: Link,
    pub(crate) bytes: Vec<u8>,
}

impl Capture {
    pub(crate) fn new(container: Container, link: Link) -> Self {
        let mut capture = Self { container, link, bytes: Vec::new() };
        let number = u32::from(link.number());
        match container {
            Container::Pcap { nanos, .. } => {
                capture.u32(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
                capture.u16(2);
                capture.u16(4);
                for field in [0, 0, 262_144, number] {
                    capture.u32(field);
                }
            }
            Container::PcapNg { resolution, offset_seconds, .. } => {
                let mut section = Self { bytes: Vec::new(), ..capture.clone() };
                section.u32(0x1a2b_3c4d);
                section.u16(1);
                section.u16(0);
                section.bytes.extend([0xff; 8]);
                capture.block(0x0a0d_0d0a, &section.bytes);
                let mut interface = Self { bytes: Vec::new(), ..capture.clone() };
                interface.u16(link.number());
                interface.u16(0);
                interface.u32(0);
                interface.u16(9);
                interface.u16(1);
                interface.bytes.extend([resolution, 0, 0, 0]);
                interface.u16(14);
                interface.u16(8);
                interface.bytes.extend(if container.big_endian() {
                    offset_seconds.to_be_bytes()
                } else {
                    offset_seconds.to_le_bytes()
                });
                interface.u32(0);
                capture.block(1, &interface.bytes);
            }
        }
        capture
    }

    /// A datagram that was seen at `at`, time since the Unix epoch.
    pub(crate) fn udp(&mut self, at: Duration, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.packet(at, &ip(from, to, 17, 0, &udp(from, to, payload)));
    }

    /// The first fragment of a datagram that has more.
    pub(crate) fn fragment(&mut self, at: Duration, from: SocketAddr, to: SocketAddr) {
        self.packet(at, &ip(from, to, 17, 0x2000, &udp(from, to, &[0x80; 64])));
    }

    /// Something over TCP.
    pub(crate) fn tcp(&mut self, at: Duration, from: SocketAddr, to: SocketAddr) {
        let mut segment = vec![0; 20];
        segment[12] = 5 << 4;
        self.packet(at, &ip(from, to, 6, 0, &segment));
    }

    /// An IP packet.
    pub(crate) fn packet(&mut self, at: Duration, packet: &[u8]) {
        let frame = self.link.frame(packet);
        self.record(at, &frame, frame.len());
    }

    /// A frame of which only the first `length` bytes were kept.
    pub(crate) fn cut(
        &mut self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        length: usize,
    ) {
        let frame = self.link.frame(&ip(from, to, 17, 0, &udp(from, to, payload)));
        self.record(at, &frame[..length], frame.len());
    }

    fn record(&mut self, at: Duration, frame: &[u8], original: usize) {
        let length = |bytes: usize| u32::try_from(bytes).expect("a short frame");
        match self.container {
            Container::Pcap { nanos, .. } => {
                self.u32(u32::try_from(at.as_secs()).expect("a time of this century"));
                self.u32(if nanos { at.subsec_nanos() } else { at.subsec_micros() });
                self.u32(length(frame.len()));
                self.u32(length(original));
                self.bytes.extend(frame);
            }
            Container::PcapNg { resolution, offset_seconds, .. } => {
                let at = at - Duration::from_secs(offset_seconds.unsigned_abs());
                let units = match resolution {
                    decimal @ 0..0x80 => {
                        at.as_nanos() * 10_u128.pow(decimal.into()) / 1_000_000_000
                    }
                    binary => (at.as_nanos() << (binary & 0x7f)) / 1_000_000_000,
                };
                let units = u64::try_from(units).expect("a time of this century");
                let mut block = Self { bytes: Vec::new(), ..self.clone() };
                block.u32(0);
                block.u32(u32::try_from(units >> 32).expect("the upper half"));
                block.u32((units & 0xffff_ffff) as u32);
                block.u32(length(frame.len()));
                block.u32(length(original));
                block.bytes.extend(frame);
                block.bytes.resize(block.bytes.len().next_multiple_of(4), 0);
                self.block(6, &block.bytes);
            }
        }
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = u32::try_from(body.len() + 12).expect("a short block");
        self.u32(kind);
        self.u32(length);
        self.bytes.extend(body);
        self.u32(length);
    }

    fn u32(&mut self, value: u32) {
        let big = self.container.big_endian();
        self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u16(&mut self, value: u16) {
        let big = self.container.big_endian();
        self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    }
}

/// A UDP datagram without a checksum.
fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a datagram");
    let mut out = Vec::new();
    for field in [from.port(), to.port(), length, 0] {
        out.extend(field.to_be_bytes());
    }
    out.extend(payload);
    out
}

/// An IP packet; `fragment` is IPv4's word of flags and offset.
fn ip(from: SocketAddr, to: SocketAddr, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(20 + payload.len()).expect("a packet");
            out.extend([0x45, 0]);
            out.extend(length.to_be_bytes());
            out.extend([0, 1]);
            out.extend(fragment.to_be_bytes());
            out.extend([64, protocol, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u16::try_from(payload.len()).expect("a packet");
            out.extend([0x60, 0, 0, 0]);
            out.extend(length.to_be_bytes());
            out.extend([protocol, 64]);
            out.extend(from.octets());
            out.extend(to.octets());
        }
        _ => panic!("{from} and {to} are of different versions"),
    }
    out.extend(payload);
    out
}
