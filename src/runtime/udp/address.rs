use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

/// The address that the kernel wrote; `None` where it is of no IP family.
pub(super) fn read(storage: &sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, as the family tells; the storage is larger.
            let v4 = unsafe { (&raw const *storage).cast::<sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, as the family tells; the storage is larger.
            let v6 = unsafe { (&raw const *storage).cast::<sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            // An IPv4 peer of a socket that serves both is the peer that ARI names.
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddrV4::new(v4, port).into(),
                None => SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

/// Writes `address` for the kernel, and answers its length.
pub(super) fn write(address: SocketAddr, storage: &mut sockaddr_storage) -> socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            let name = sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_storage has room and alignment for every kind of address.
            unsafe { (&raw mut *storage).cast::<sockaddr_in>().write(name) };
            size_of::<sockaddr_in>() as socklen_t
        }
        SocketAddr::V6(v6) => {
            let name = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: a sockaddr_storage has room and alignment for every kind of address.
            unsafe { (&raw mut *storage).cast::<sockaddr_in6>().write(name) };
            size_of::<sockaddr_in6>() as socklen_t
        }
    }
}
