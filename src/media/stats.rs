use std::ops::AddAssign;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{DigitCounts, Reception};

/// Why something that a peer sent was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Rejected {
    /// It does not parse.
    Malformed,
    /// It came from another address than the call's.
    ForeignSource,
    /// Another SSRC than the call's, and not confirmed as its successor.
    ForeignSsrc,
    /// Another payload type, or AudioSocket kind of audio, than the call's.
    PayloadType,
    /// The payload is empty, or no whole number of samples.
    PayloadSize,
    /// The payload is no packet of its codec.
    Undecodable,
    /// Its sequence number was here before.
    Duplicate,
    /// It came later than the archive waits.
    TooLate,
    /// The jitter buffer was full.
    Overflow,
    /// An AudioSocket frame that does not belong here: a second UUID, an unknown kind.
    Unexpected,
    /// The peer reported an error of its own.
    PeerError,
}

impl Rejected {
    /// Every reason, in the order of [`Rejections`].
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::ForeignSource,
        Self::ForeignSsrc,
        Self::PayloadType,
        Self::PayloadSize,
        Self::Undecodable,
        Self::Duplicate,
        Self::TooLate,
        Self::Overflow,
        Self::Unexpected,
        Self::PeerError,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ForeignSource => "foreign_source",
            Self::ForeignSsrc => "foreign_ssrc",
            Self::PayloadType => "payload_type",
            Self::PayloadSize => "payload_size",
            Self::Undecodable => "undecodable",
            Self::Duplicate => "duplicate",
            Self::TooLate => "too_late",
            Self::Overflow => "overflow",
            Self::Unexpected => "unexpected",
            Self::PeerError => "peer_error",
        }
    }
}

/// Dropped packets and frames, by reason. Its JSON form holds the reasons that occurred.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rejections([u64; Rejected::ALL.len()]);

impl Rejections {
    /// Counts one.
    pub fn count(&mut self, reason: Rejected) {
        self.0[reason as usize] += 1;
    }

    /// How many were dropped for this reason.
    #[must_use]
    pub const fn of(&self, reason: Rejected) -> u64 {
        self.0[reason as usize]
    }

    /// How many were dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl AddAssign<&Self> for Rejections {
    fn add_assign(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

impl Serialize for Rejections {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for reason in Rejected::ALL {
            if self.of(reason) > 0 {
                map.serialize_entry(reason.label(), &self.of(reason))?;
            }
        }
        map.end()
    }
}

/// What was counted in a call. A *packet* is an RTP packet or an AudioSocket frame of audio.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct CallStats {
    /// Packets of audio that were taken, late ones included.
    pub packets_received: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Packets that came after their place had been concealed, and in time for the archive.
    pub packets_late: u64,
    /// Packets that came after one with a higher sequence number, and in time to be heard.
    pub packets_reordered: u64,
    /// Frames made up for packets that were not there in time.
    pub frames_concealed: u64,
    /// Those of them that the packet behind carried, coarsely (in-band FEC of Opus).
    pub frames_recovered: u64,
    /// Packets of audio or silence that were sent.
    pub packets_sent: u64,
    /// Frames that were not sent because the server was late, or the peer's socket full.
    pub frames_skipped: u64,
    /// Changes of SSRC or sequence that were followed.
    pub stream_restarts: u64,
    /// Jumps of the timestamp that were bridged.
    pub timestamp_jumps: u64,
    /// Frames made longer or shorter, because the sender's clock is not ours.
    pub frames_retimed: u64,
    /// Digits of the caller.
    pub digits: DigitCounts,
    /// Digits that another source had told of already.
    pub digits_repeated: u64,
    /// Files and tones that could not be played.
    pub playbacks_failed: u64,
    /// What was dropped.
    pub rejected: Rejections,
    /// How well its audio arrived: of one call. A sum of several calls' counters leaves it out.
    pub reception: Reception,
}

impl AddAssign<&Self> for CallStats {
    fn add_assign(&mut self, other: &Self) {
        self.packets_received += other.packets_received;
        self.packets_lost += other.packets_lost;
        self.packets_late += other.packets_late;
        self.packets_reordered += other.packets_reordered;
        self.frames_concealed += other.frames_concealed;
        self.frames_recovered += other.frames_recovered;
        self.packets_sent += other.packets_sent;
        self.frames_skipped += other.frames_skipped;
        self.stream_restarts += other.stream_restarts;
        self.timestamp_jumps += other.timestamp_jumps;
        self.frames_retimed += other.frames_retimed;
        self.digits += &other.digits;
        self.digits_repeated += other.digits_repeated;
        self.playbacks_failed += other.playbacks_failed;
        self.rejected += &other.rejected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_slot_and_a_label_of_its_own() {
        let mut rejections = Rejections::default();
        for (count, reason) in (1..).zip(Rejected::ALL) {
            for _ in 0..count {
                rejections.count(reason);
            }
        }
        for (count, reason) in (1..).zip(Rejected::ALL) {
            assert_eq!(rejections.of(reason), count);
        }
        let json = serde_json::to_value(rejections).unwrap();
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(Rejected::ALL.len()));
        assert_eq!(json["too_late"], 8);
    }

    #[test]
    fn reasons_that_did_not_occur_are_not_in_the_json() {
        assert_eq!(serde_json::to_string(&Rejections::default()).unwrap(), "{}");
    }
}
