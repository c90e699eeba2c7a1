//! Twilio's names of things, made of ours.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::call::CallId;

/// Hexadecimal digits of a SID, behind its two letters.
const DIGITS: usize = 32;

/// A call as Twilio's bots know it: `CA` and the 32 hexadecimal digits of the call's UUID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallSid(CallId);

/// What is no [`CallSid`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("`{actual}` is no callSid: CA and {DIGITS} hexadecimal digits")]
pub struct NotACallSid {
    /// What it is instead.
    pub actual: String,
}

impl CallSid {
    const PREFIX: &'static str = "CA";

    /// The SID of `call`.
    #[must_use]
    pub const fn new(call: CallId) -> Self {
        Self(call)
    }

    /// The call that is meant.
    #[must_use]
    pub const fn call(self) -> CallId {
        self.0
    }
}

impl fmt::Display for CallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0.uuid().simple())
    }
}

impl FromStr for CallSid {
    type Err = NotACallSid;

    fn from_str(sid: &str) -> Result<Self, NotACallSid> {
        sid.strip_prefix(Self::PREFIX)
            // A UUID may be written in other ways, too.
            .filter(|digits| digits.len() == DIGITS)
            .and_then(|digits| Uuid::try_parse(digits).ok())
            .map(|uuid| Self(CallId::new(uuid)))
            .ok_or_else(|| NotACallSid { actual: sid.to_owned() })
    }
}

/// A stream, which is one connection of a call: `MZ` and 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StreamSid(u128);

impl StreamSid {
    /// The stream of a call's connection, of which there were `connection` before.
    ///
    /// The number goes into bits of the UUID that tell the time: those behind it are chance, so that
    /// no other call has a stream of the same name.
    pub(super) const fn new(call: CallId, connection: u32) -> Self {
        Self(call.uuid().as_u128() ^ (connection as u128) << (u128::BITS - u32::BITS))
    }
}

impl fmt::Display for StreamSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MZ{:0width$x}", self.0, width = DIGITS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn call() -> CallId {
        CallId::new(Uuid::from_u128(0x0193_4a5b_0000_7000_8000_0000_0000_00fe))
    }

    #[test]
    fn a_call_sid_leads_back_to_its_call() {
        let sid = CallSid::new(call()).to_string();
        assert_eq!(sid, "CA01934a5b0000700080000000000000fe");
        assert_eq!(sid.parse().map(CallSid::call), Ok(call()));
        let shouted = sid.replace('a', "A").replace('b', "B").replace('f', "F");
        assert_eq!(shouted.parse().map(CallSid::call), Ok(call()));
    }

    #[test]
    fn what_is_no_call_sid_is_refused() {
        let hyphenated = format!("CA{}", call());
        let stream = StreamSid::new(call(), 0).to_string();
        let long = format!("{}0", CallSid::new(call()));
        for sid in ["", "CA", "CA12", "CAé", &hyphenated, &stream, &long, &long[..33]] {
            assert_eq!(
                sid.parse::<CallSid>(),
                Err(NotACallSid { actual: sid.to_owned() }),
                "{sid}"
            );
        }
    }

    #[test]
    fn each_connection_is_a_stream_of_its_own() {
        let connections = [0, 1, 2, 0xffff, u32::MAX];
        let streams = connections.map(|connection| StreamSid::new(call(), connection).to_string());
        assert_eq!(streams[0][2..], CallSid::new(call()).to_string()[2..]);
        assert!(streams.iter().all(|sid| sid.len() == 34 && sid.starts_with("MZ")), "{streams:?}");
        assert_eq!(BTreeSet::from(streams).len(), connections.len());
    }
}
