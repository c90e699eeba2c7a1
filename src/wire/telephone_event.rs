//! Telephone-events in RTP (RFC 4733): what a sender tells of a key instead of its tones.

use thiserror::Error;

/// Bytes of one event.
const EVENT_BYTES: usize = 4;

/// Events of the keypad, by their codes from 0 on (section 3.2, table 3).
const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// The longest duration that an event can tell. One that goes on is told in segments, each of which
/// begins where the one before it ends (section 2.5.1.3).
pub const LONGEST_SEGMENT_TICKS: u16 = u16::MAX;

/// One event of a payload (section 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// What happened: 0 to 15 are digits.
    pub code: u8,
    /// It is over; else the duration is the one so far.
    pub end: bool,
    /// Level of a tone in −dBm0, 0 to 63.
    pub volume_dbm0: u8,
    /// Length in ticks of the payload's clock. 0 is a state that lasts (section 2.3.5).
    pub duration_ticks: u16,
}

/// Why bytes are not a payload of telephone-events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TelephoneEventError {
    /// No whole number of events, or none.
    #[error("telephone-events need {need} bytes each, have {have}")]
    Length {
        /// Always 4.
        need: usize,
        /// Length of the payload.
        have: usize,
    },
}

impl TelephoneEventError {
    /// A metric's label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Length { .. } => "length",
        }
    }
}

impl TelephoneEvent {
    /// Reads the events of a payload, each with its distance in ticks from the packet's timestamp:
    /// of several, each begins where the one before it ends (section 2.5.1.5). The reserved bit is
    /// ignored.
    ///
    /// # Errors
    /// [`TelephoneEventError`] where the payload is empty, or ends within an event.
    pub fn parse(
        payload: &[u8],
    ) -> Result<impl Iterator<Item = (u64, Self)> + '_, TelephoneEventError> {
        let (events, rest) = payload.as_chunks::<EVENT_BYTES>();
        if events.is_empty() || !rest.is_empty() {
            return Err(TelephoneEventError::Length { need: EVENT_BYTES, have: payload.len() });
        }
        let mut offset = 0;
        Ok(events.iter().map(move |bytes| {
            let event = Self::read(*bytes);
            let begins = offset;
            offset += u64::from(event.duration_ticks);
            (begins, event)
        }))
    }

    fn read([code, flags, high, low]: [u8; EVENT_BYTES]) -> Self {
        Self {
            code,
            end: flags & 0x80 != 0,
            volume_dbm0: flags & 0x3f,
            duration_ticks: u16::from_be_bytes([high, low]),
        }
    }

    /// The digit `0` to `9`, `*`, `#` or `A` to `D`; `None` for events that are no digits.
    #[must_use]
    pub fn digit(self) -> Option<char> {
        DIGITS.get(usize::from(self.code)).copied()
    }

    /// Writes the event.
    #[must_use]
    pub fn to_bytes(self) -> [u8; EVENT_BYTES] {
        let [high, low] = self.duration_ticks.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | (self.volume_dbm0 & 0x3f), high, low]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(payload: &[u8]) -> TelephoneEvent {
        let mut events = TelephoneEvent::parse(payload).unwrap();
        let (offset, event) = events.next().unwrap();
        assert!(offset == 0 && events.next().is_none());
        event
    }

    #[test]
    fn the_fields_lie_where_figure_1_has_them() {
        // Digit 9, ended, reserved bit 0, −7 dBm0, 1,600 ticks.
        let event = TelephoneEvent { code: 9, end: true, volume_dbm0: 7, duration_ticks: 1_600 };
        assert_eq!(one(&[9, 0x87, 0x06, 0x40]), event);
        assert_eq!(event.to_bytes(), [9, 0x87, 0x06, 0x40]);
        assert_eq!(one(&[9, 0xc7, 0x06, 0x40]), event, "the reserved bit is ignored");
        assert!(!one(&[9, 0x07, 0x06, 0x40]).end);
        assert_eq!(one(&[255, 0xff, 0xff, 0xff]).volume_dbm0, 63);
    }

    #[test]
    fn codes_0_to_15_are_the_keypad() {
        let digit = |code| one(&[code, 0, 0, 0]).digit();
        let digits: String = (0..16).filter_map(digit).collect();
        assert_eq!(digits, "0123456789*#ABCD");
        assert!((16..=255).all(|code| digit(code).is_none()));
    }

    #[test]
    fn of_several_events_each_begins_where_the_one_before_it_ends() {
        // 911 with the durations of section 5.
        let payload = [9, 0x87, 0x06, 0x40, 1, 0x8a, 0x07, 0xd0, 1, 0x14, 0x06, 0xe0];
        let events: Vec<_> = TelephoneEvent::parse(&payload).unwrap().collect();
        let told: Vec<_> =
            events.iter().map(|(at, event)| (*at, event.digit().unwrap(), event.end)).collect();
        assert_eq!(told, [(0, '9', true), (1_600, '1', true), (3_600, '1', false)]);
        assert_eq!(events[2].1.duration_ticks, 1_760);
    }

    #[test]
    fn parts_of_an_event_are_refused_with_what_is_missing() {
        for have in [0, 1, 2, 3, 5, 7] {
            let error = TelephoneEvent::parse(&[0; 8][..have]).err().unwrap();
            assert_eq!(error, TelephoneEventError::Length { need: 4, have });
            assert_eq!(error.reason(), "length");
        }
        let error = TelephoneEventError::Length { need: 4, have: 5 };
        assert_eq!(error.to_string(), "telephone-events need 4 bytes each, have 5");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            code: u8, end: bool, volume_dbm0 in 0_u8..64, duration_ticks: u16,
        ) {
            let event = TelephoneEvent { code, end, volume_dbm0, duration_ticks };
            prop_assert_eq!(one(&event.to_bytes()), event);
        }
    }
}
