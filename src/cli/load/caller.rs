use std::time::Duration;

use super::lines::Answer;
use super::sequence::{Place, Sequence};
use super::speech::Speech;
use super::tally::{Calls, Tally};
use super::verifier::{Echo, Verifier};
use crate::audio::Ptime;

/// Frames of which it is known when they were sent: 2.5 s, longer than any round trip should be.
const REMEMBERED: u32 = 128;

/// By how many samples of the speech a caller is ahead of the one before: a prime, so that it takes
/// long until two of them say the same.
const AHEAD: u64 = 10_007;

/// One caller: what was said, and what came back.
pub(super) struct Caller {
    /// Where in the speech it begins.
    origin: u64,
    /// Frames that were said.
    frames: u32,
    /// When the latest of them were sent, in microseconds modulo 2^32.
    sent_us: [u32; REMEMBERED as usize],
    verifier: Verifier,
    echo: Echo,
    sequence: Option<Sequence>,
    /// When the latest answer came.
    answered: Option<Duration>,
}

impl Caller {
    /// The caller of that number. Where its audio is `relayed`, what it says first may be lost.
    pub(super) fn new(number: u32, speech: &Speech, relayed: bool) -> Self {
        let origin = u64::from(number) * AHEAD % speech.samples();
        Self {
            origin,
            frames: 0,
            sent_us: [0; REMEMBERED as usize],
            verifier: Verifier::new(origin, relayed),
            echo: Echo::default(),
            sequence: None,
            answered: None,
        }
    }

    /// Frames that were said.
    pub(super) fn frames(&self) -> u32 {
        self.frames
    }

    /// Says the next frame, and answers which one it is.
    pub(super) fn speak(&mut self) -> u32 {
        self.frames += 1;
        self.frames - 1
    }

    /// What a frame sounds like.
    pub(super) fn frame<'a>(&self, frame: u32, speech: &'a Speech) -> &'a [u8] {
        let samples = speech.frame_samples();
        speech.at(self.origin + u64::from(frame) * samples, samples as usize)
    }

    /// A frame leaves.
    pub(super) fn note_sent(&mut self, frame: u32, at: Duration) {
        self.sent_us[(frame % REMEMBERED) as usize] = micros(at);
    }

    /// An answer came.
    pub(super) fn hear(&mut self, answer: &Answer<'_>, speech: &Speech, tally: &mut Tally) {
        tally.packets.received += 1;
        let frame_samples = speech.frame_samples();
        let place = match (&answer.header, &mut self.sequence) {
            (None, _) => Place::Next { lost: 0 },
            (Some(header), Some(sequence)) => {
                sequence.take(header, frame_samples as u32, &mut tally.packets.order)
            }
            (Some(header), none) => {
                *none = Some(Sequence::new(header));
                Place::Next { lost: 0 }
            }
        };
        match place {
            Place::Again => {}
            Place::Late { behind } => {
                let behind = u64::from(behind) * frame_samples;
                self.verifier.take_late(speech, answer.payload, behind, &mut self.echo);
            }
            Place::Next { lost } => {
                self.note_arrival(answer.at, lost, tally);
                self.verifier.skip(u64::from(lost) * frame_samples);
                let said = u64::from(self.frames) * frame_samples;
                let heard = self.verifier.take(speech, answer.payload, said, &mut self.echo);
                if let Some(end) = heard {
                    self.note_round_trip(end / frame_samples, answer.at, tally);
                }
            }
        }
    }

    /// The call is over.
    pub(super) fn finish(mut self, speech: &Speech, tally: &mut Tally) {
        self.verifier.finish(u64::from(self.frames) * speech.frame_samples(), &mut self.echo);
        tally.echo.add(&self.echo);
        // One that was ended before it said a word heard nothing, and need not have.
        if self.frames == 0 {
            return;
        }
        let Calls { ended, failed, without_echo, faulty, .. } = &mut tally.calls;
        *ended += 1;
        *failed += u64::from(self.answered.is_none());
        *without_echo += u64::from(!self.verifier.has_begun());
        *faulty += u64::from(!self.echo.is_clean());
    }

    fn note_arrival(&mut self, at: Duration, lost: u32, tally: &mut Tally) {
        let ptime = Ptime::MS_20.duration();
        if let Some(before) = self.answered {
            let (gap, expected) = (at.saturating_sub(before), ptime * (lost + 1));
            tally.packets.late += u64::from(gap > expected + ptime);
            if tally.is_measuring {
                tally.interarrival.record(gap.abs_diff(expected));
            }
        }
        self.answered = Some(at);
    }

    /// So many frames were heard to their ends.
    fn note_round_trip(&self, frames: u64, at: Duration, tally: &mut Tally) {
        let said = u64::from(self.frames);
        let known = said.saturating_sub(u64::from(REMEMBERED))..said;
        let Some(frame) = frames.checked_sub(1).filter(|frame| known.contains(frame)) else {
            return;
        };
        let sent = self.sent_us[(frame % u64::from(REMEMBERED)) as usize];
        let round_trip = Duration::from_micros(micros(at).wrapping_sub(sent).into());
        tally.recent_round_trip.record(round_trip);
        if tally.is_measuring {
            tally.round_trip.record(round_trip);
        }
    }
}

/// Microseconds, modulo 2^32.
fn micros(time: Duration) -> u32 {
    (time.as_micros() & u128::from(u32::MAX)) as u32
}
