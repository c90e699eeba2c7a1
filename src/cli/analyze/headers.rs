use std::net::{IpAddr, SocketAddr};

use etherparse::err::packet::SliceError;
use etherparse::{EtherType, IpNumber, NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::Linktype;

/// Bytes before the packet in Linux's cooked captures, versions 1 and 2
/// (<https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html>, `…_SLL2.html`).
const COOKED_BYTES: [usize; 2] = [16, 20];

/// What BSD's loopback calls IPv4 and, by its several systems, IPv6
/// (<https://www.tcpdump.org/linktypes.html>, `LINKTYPE_NULL`).
const LOOPBACK_FAMILIES: [u32; 4] = [2, 24, 28, 30];

/// A UDP datagram that was captured whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: &'a [u8],
}

/// Why a frame holds no datagram that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Skipped {
    /// Something other than UDP over IP.
    NotUdp,
    /// A fragment of a UDP datagram: it is not put together again.
    Fragment,
    /// It was captured in part only, or its lengths contradict each other.
    Cut,
    /// A link type that is not known here.
    Link,
}

/// The UDP datagram within a frame of the link type `link`: Ethernet (VLAN tags too), Linux's
/// cooked captures, BSD's loopback, or bare IP. Checksums are not looked at: what leaves a machine
/// is often captured before they are filled in.
///
/// # Errors
/// [`Skipped`] where there is none.
pub(super) fn datagram(link: i32, frame: &[u8]) -> Result<Datagram<'_>, Skipped> {
    let ethernet = |at: usize, start: usize| {
        let kind = frame.get(at..at + 2).ok_or(Skipped::Cut)?;
        let packet = frame.get(start..).ok_or(Skipped::Cut)?;
        let kind = EtherType(u16::from_be_bytes([kind[0], kind[1]]));
        SlicedPacket::from_ether_type(kind, packet).map_err(|error| why(&error))
    };
    let sliced = match Linktype(link) {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(frame).map_err(|error| why(&error)),
        Linktype::LINUX_SLL => ethernet(COOKED_BYTES[0] - 2, COOKED_BYTES[0]),
        Linktype::LINUX_SLL2 => ethernet(0, COOKED_BYTES[1]),
        Linktype::NULL | Linktype::LOOP => {
            let (family, packet) = frame.split_first_chunk::<4>().ok_or(Skipped::Cut)?;
            // The capturing machine's byte order is not told.
            let families = [u32::from_be_bytes(*family), u32::from_le_bytes(*family)];
            if !families.iter().any(|family| LOOPBACK_FAMILIES.contains(family)) {
                return Err(Skipped::NotUdp);
            }
            SlicedPacket::from_ip(packet).map_err(|error| why(&error))
        }
        // 12 and 14 are what BSD's systems call it.
        Linktype::RAW | Linktype(12 | 14) | Linktype::IPV4 | Linktype::IPV6 => {
            SlicedPacket::from_ip(frame).map_err(|error| why(&error))
        }
        _ => Err(Skipped::Link),
    }?;
    let (from, to) = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (IpAddr::from(header.source_addr()), IpAddr::from(header.destination_addr()))
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (IpAddr::from(header.source_addr()), IpAddr::from(header.destination_addr()))
        }
        _ => return Err(Skipped::NotUdp),
    };
    match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => Ok(Datagram {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            bytes: udp.payload(),
        }),
        _ => {
            let payload = sliced.net.as_ref().and_then(NetSlice::ip_payload_ref);
            let fragment = payload.is_some_and(|ip| ip.fragmented && ip.ip_number == IpNumber::UDP);
            Err(if fragment { Skipped::Fragment } else { Skipped::NotUdp })
        }
    }
}

fn why(error: &SliceError) -> Skipped {
    match error {
        SliceError::Len(_) => Skipped::Cut,
        _ => Skipped::NotUdp,
    }
}
