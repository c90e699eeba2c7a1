//! What the kernel tells beside a datagram, and is told.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use libc::{c_int, in_pktinfo, msghdr, socklen_t, timespec};

/// Bytes that a control message with a `T` takes.
const fn space<T>() -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_SPACE(size_of::<T>() as u32) as usize }
}

/// Room for one of each kind that a socket can be asked to tell.
const BYTES: usize = space::<in_pktinfo>() + space::<timespec>() + space::<u32>();

/// Room for the control messages of one datagram, aligned as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control([u8; BYTES]);

/// What was told beside one datagram.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    /// Local address that it came to.
    pub(super) to: Option<Ipv4Addr>,
    /// When the kernel had it, since the Unix epoch.
    pub(super) arrived: Option<Duration>,
    /// Datagrams dropped before it because the receive buffer was full, modulo 2^32.
    pub(super) overruns: Option<u32>,
}

impl Control {
    pub(super) const EMPTY: Self = Self([0; BYTES]);

    /// Lets a header that is to be received have this room.
    pub(super) fn attach(&mut self, header: &mut msghdr) {
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = BYTES;
    }

    /// Writes that a datagram shall leave from `source`, and attaches it to its header.
    pub(super) fn attach_source(&mut self, source: Ipv4Addr, header: &mut msghdr) {
        self.attach(header);
        header.msg_controllen = space::<in_pktinfo>();
        let info = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        // SAFETY: the header has room for this one message, as was said a line above, so that there
        // is a first one, and its data have room for an in_pktinfo, whatever their alignment.
        unsafe {
            let message = libc::CMSG_FIRSTHDR(header);
            (*message).cmsg_level = libc::IPPROTO_IP;
            (*message).cmsg_type = libc::IP_PKTINFO;
            (*message).cmsg_len = libc::CMSG_LEN(size_of::<in_pktinfo>() as u32) as usize;
            libc::CMSG_DATA(message).cast::<in_pktinfo>().write_unaligned(info);
        }
    }
}

/// Reads what the kernel wrote beside the datagram of `header`.
///
/// # Safety
/// The kernel has filled the header, and the room that it points to is still there.
pub(super) unsafe fn read(header: &msghdr) -> Told {
    let mut told = Told::default();
    // SAFETY: by the contract, the messages are the kernel's own, each whole; the types tell what
    // their data are, whatever their alignment.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<in_pktinfo>().read_unaligned();
                    told.to = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)));
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    told.arrived = duration(data.cast::<timespec>().read_unaligned());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    told.overruns = Some(data.cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    told
}

fn duration(time: timespec) -> Option<Duration> {
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// Asks for [`Datagram::to`](super::Datagram::to), of a socket for IPv4.
///
/// # Errors
/// What the kernel says.
pub(crate) fn tell_local_address(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::IPPROTO_IP, libc::IP_PKTINFO)
}

/// Asks for [`Datagram::arrived`](super::Datagram::arrived).
///
/// # Errors
/// What the kernel says.
pub(crate) fn tell_arrival(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)
}

/// Asks for [`ReceiveBatch::overruns`](super::ReceiveBatch::overruns).
///
/// # Errors
/// What the kernel says.
pub(super) fn tell_overruns(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
}

/// Whether datagrams of an IPv4 socket may be fragmented on their way, as they may by default.
///
/// Where they may not, one that is too long for its way is refused (`EMSGSIZE`), and the kernel is
/// spared the choice of an identification, which only fragments need (RFC 6864 section 4.1).
///
/// # Errors
/// What the kernel says.
pub(crate) fn allow_fragments(socket: &impl AsFd, allowed: bool) -> io::Result<()> {
    let value = if allowed { libc::IP_PMTUDISC_WANT } else { libc::IP_PMTUDISC_DO };
    set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, value)
}

/// Whether [`allow_fragments`] was last called so, or never.
///
/// # Errors
/// What the kernel says.
pub(super) fn allows_fragments(socket: &impl AsFd) -> io::Result<bool> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: value and length are there for the call, and the length is the value's true one.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if answer == 0 { Ok(value != libc::IP_PMTUDISC_DO) } else { Err(io::Error::last_os_error()) }
}

fn switch_on(socket: &impl AsFd, level: c_int, option: c_int) -> io::Result<()> {
    set(socket, level, option, 1)
}

fn set(socket: &impl AsFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the value is there for the call, with its true length.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
