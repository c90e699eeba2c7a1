//! Addresses of callers on this machine: all of 127.0.0.0/8 is the loopback interface's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Address of the first caller; the others follow it.
const FIRST: u32 = u32::from_be_bytes([127, 1, 0, 0]);

/// The last one is for broadcasts.
const COUNT: u32 = u32::from_be_bytes([127, 255, 255, 255]) - FIRST;

/// Address of the caller of that number; of numbers beyond 16 million none.
pub(super) fn host(number: u32) -> Option<Ipv4Addr> {
    (number < COUNT).then(|| Ipv4Addr::from(FIRST + number))
}

/// Number of the caller who has an address.
pub(super) fn number(host: Ipv4Addr) -> Option<u32> {
    u32::from(host).checked_sub(FIRST).filter(|number| *number < COUNT)
}

/// Whether callers of `to` can have addresses of their own.
pub(super) fn are_of(to: SocketAddr) -> bool {
    matches!(to.ip(), IpAddr::V4(ip) if ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caller_has_an_address_of_its_own_that_is_the_loopback_interface_s() {
        for index in [0, 1, 255, 65_536, COUNT - 1] {
            let host = host(index).unwrap();
            assert!(host.is_loopback() && number(host) == Some(index), "{host}");
        }
        assert_eq!((host(COUNT), number(Ipv4Addr::LOCALHOST)), (None, None));
        assert_eq!(number(Ipv4Addr::BROADCAST), None);
        assert!(are_of("127.0.0.1:1".parse().unwrap()) && !are_of("[::1]:1".parse().unwrap()));
    }
}
