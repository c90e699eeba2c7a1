use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{
    Block, InterfaceDescriptionBlock, OptionCode, PcapBlockOwned, PcapError, PcapHeader,
    create_reader,
};
use thiserror::Error;

/// What is read at a time; grows where a record is longer.
const BUFFER_BYTES: usize = 1 << 18;

/// Longest record that is believed: the largest one of `tcpdump` and Wireshark has 256 KiB, of D-Bus
/// and USB captures 128 MiB, which do not carry RTP.
const MAX_RECORD_BYTES: usize = 1 << 24;

/// Resolution of a capture's interface that states none (pcapng section 4.2, `if_tsresol`).
const MICROSECONDS: u8 = 6;

/// Why a capture cannot be read at all.
#[derive(Debug, Error)]
pub(super) enum CaptureError {
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}: not a regular file, which is read twice; allowed: a capture saved as pcap or pcapng", path.display())]
    NotAFile { path: PathBuf },
    #[error("{}: empty; allowed: a capture saved as pcap or pcapng", path.display())]
    Empty { path: PathBuf },
    #[error("{}: neither pcap nor pcapng; allowed: a capture as tcpdump, Wireshark and tshark save it, not compressed", path.display())]
    NotACapture { path: PathBuf },
    #[error("{}: ends within the header of the file", path.display())]
    NoHeader { path: PathBuf },
    #[error("{}: cannot be read behind byte {offset}", path.display())]
    Read { path: PathBuf, offset: usize },
}

/// What a link layer has sent, as it was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// Time since the Unix epoch.
    pub(super) at: Duration,
    /// Number of the link type (<https://www.tcpdump.org/linktypes.html>).
    pub(super) link: i32,
    pub(super) bytes: &'a [u8],
}

/// Where a file stops making sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Damage {
    /// It ends within a record.
    Truncated {
        /// Where that record begins.
        offset: usize,
    },
    /// Something that is no record, or longer than any.
    Malformed {
        /// Where it begins.
        offset: usize,
    },
}

/// What there is to say of a file that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Container {
    /// `pcap` or `pcapng`.
    pub(super) name: &'static str,
    pub(super) damage: Option<Damage>,
    /// Packets without a time (simple packet blocks of pcapng), which are of no use here.
    pub(super) untimed: u64,
}

/// Hands every frame of the capture in `path` to `each`, in the order of the file. Memory does not
/// grow with the file.
///
/// # Errors
/// [`CaptureError`] where there is nothing to begin with. A file that is damaged further on is read
/// up to there, and [`Container::damage`] says so.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(Frame<'_>),
) -> Result<Container, CaptureError> {
    let owned = || path.to_owned();
    let fault = |source| CaptureError::Open { path: owned(), source };
    if !fs::metadata(path).map_err(fault)?.is_file() {
        return Err(CaptureError::NotAFile { path: owned() });
    }
    let file = File::open(path).map_err(fault)?;
    let mut reader = create_reader(BUFFER_BYTES, file).map_err(|error| match error {
        PcapError::Eof => CaptureError::Empty { path: owned() },
        PcapError::Incomplete(_) => CaptureError::NoHeader { path: owned() },
        PcapError::ReadError => CaptureError::Read { path: owned(), offset: 0 },
        _ => CaptureError::NotACapture { path: owned() },
    })?;
    let mut sections = Sections::default();
    let mut container = Container { name: "pcap", damage: None, untimed: 0 };
    let mut capacity = BUFFER_BYTES;
    loop {
        let offset = reader.consumed();
        match reader.next() {
            Ok((length, block)) => {
                if matches!(block, PcapBlockOwned::NG(_)) {
                    container.name = "pcapng";
                }
                match sections.take(&block) {
                    Taken::Frame(frame) => each(frame),
                    Taken::Untimed => container.untimed += 1,
                    Taken::Nothing => {}
                }
                reader.consume(length);
            }
            Err(PcapError::Eof) => return Ok(container),
            Err(PcapError::Incomplete(1..)) => refill(reader.as_mut(), path, offset)?,
            Err(PcapError::BufferTooSmall) if capacity < MAX_RECORD_BYTES => {
                capacity *= 2;
                reader.grow(capacity);
                refill(reader.as_mut(), path, offset)?;
            }
            Err(PcapError::UnexpectedEof) => {
                container.damage = Some(Damage::Truncated { offset });
                return Ok(container);
            }
            Err(_) => {
                container.damage = Some(Damage::Malformed { offset });
                return Ok(container);
            }
        }
    }
}

fn refill(
    reader: &mut dyn PcapReaderIterator,
    path: &Path,
    offset: usize,
) -> Result<(), CaptureError> {
    reader.refill().map_err(|_| CaptureError::Read { path: path.to_owned(), offset })
}

enum Taken<'a> {
    Frame(Frame<'a>),
    Untimed,
    Nothing,
}

/// What the blocks behind depend on.
#[derive(Debug, Default)]
struct Sections {
    big_endian: bool,
    /// Of pcapng's section under way, in the order of their ids; of pcap, the one.
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: i32,
    /// Units of the timestamps in a second.
    units: u128,
    offset_seconds: i64,
}

impl Sections {
    fn take<'a>(&mut self, block: &'a PcapBlockOwned<'_>) -> Taken<'a> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.interfaces = vec![of_file(header)],
            PcapBlockOwned::Legacy(record) => {
                if let Some(interface) = self.interfaces.first() {
                    let units = u128::from(record.ts_sec) * interface.units;
                    let at = interface.time(units + u128::from(record.ts_usec));
                    return Taken::Frame(Frame { at, link: interface.link, bytes: record.data });
                }
            }
            PcapBlockOwned::NG(Block::SectionHeader(header)) => {
                self.big_endian = header.big_endian();
                self.interfaces.clear();
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
                self.interfaces.push(described(description, self.big_endian));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let id = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                if let Some(interface) = self.interfaces.get(id) {
                    let units = u128::from(packet.ts_high) << 32 | u128::from(packet.ts_low);
                    let (at, bytes) = (interface.time(units), packet.packet_data());
                    return Taken::Frame(Frame { at, link: interface.link, bytes });
                }
            }
            PcapBlockOwned::NG(Block::SimplePacket(_)) => return Taken::Untimed,
            PcapBlockOwned::NG(_) => {}
        }
        Taken::Nothing
    }
}

/// The interface of a whole pcap file.
fn of_file(header: &PcapHeader) -> Interface {
    let units = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
    // What is above the lower 16 bits tells of a frame check sequence.
    Interface { link: header.network.0 & 0xffff, units, offset_seconds: 0 }
}

/// An interface of pcapng. Resolution and offset are taken from the options themselves: of what
/// `pcap-parser` makes of them, powers of two and big-endian offsets are wrong.
fn described(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Interface {
    let option = |code| {
        let found = block.options.iter().find(|option| option.code == code);
        found.map_or(&[][..], |option| &option.value)
    };
    let resolution = *option(OptionCode::IfTsresol).first().unwrap_or(&MICROSECONDS);
    let exponent = u32::from(resolution & 0x7f);
    // Finer than 10^-30 s or 2^-100 s is nonsense, and would not fit.
    let units =
        if resolution & 0x80 == 0 { 10_u128.pow(exponent.min(30)) } else { 1 << exponent.min(100) };
    let offset_seconds = match option(OptionCode::IfTsoffset).first_chunk::<8>() {
        Some(&bytes) if big_endian => i64::from_be_bytes(bytes),
        Some(&bytes) => i64::from_le_bytes(bytes),
        None => 0,
    };
    Interface { link: block.linktype.0, units, offset_seconds }
}

impl Interface {
    /// The time since the Unix epoch of so many units, less than 2^64 of them.
    fn time(&self, units: u128) -> Duration {
        let seconds = u64::try_from(units / self.units).unwrap_or(u64::MAX);
        let rest = units % self.units;
        // The rest is below 2^64, as the count is.
        let nanos = rest * 1_000_000_000 / self.units;
        let nanos = u32::try_from(nanos).unwrap_or(0).min(999_999_999);
        Duration::new(seconds.saturating_add_signed(self.offset_seconds), nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_right_in_every_resolution_and_never_overflows() {
        let time = |units, offset_seconds, count: u128| {
            Interface { link: 1, units, offset_seconds }.time(count)
        };
        assert_eq!(time(1_000_000, 0, 5_250_000), Duration::from_millis(5_250));
        assert_eq!(time(1_000_000_000, -2, 5_250_000_000), Duration::from_millis(3_250));
        assert_eq!(time(1 << 20, 0, 3 << 19), Duration::from_millis(1_500));
        for units in [1, 1_000_000, 10_u128.pow(30), 1 << 100] {
            for offset in [i64::MIN, 0, i64::MAX] {
                for count in [0, u128::from(u64::MAX)] {
                    let at = time(units, offset, count);
                    assert!(at.subsec_nanos() < 1_000_000_000, "{at:?}");
                }
            }
        }
    }
}
