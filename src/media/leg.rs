use std::net::SocketAddr;
use std::time::Instant;

use super::{AudioSocketLeg, CallStats, Digit, Reception, RtpLeg};
use crate::audio::{AudioFrame, MediaFormat, SampleRate};
use crate::call::EndReason;
use crate::dsp::prefetch::prefetch;

/// What a leg has for the engine.
#[derive(Debug)]
pub enum Uplink<'a> {
    /// The format is known now: told once, before the first frame.
    Format {
        /// Format on the wire.
        format: MediaFormat,
        /// Rate of the samples of both directions.
        rate: SampleRate,
    },
    /// The next frame of the caller's audio.
    Frame(AudioFrame<'a>),
    /// A frame whose place had been concealed: for archives.
    Late(AudioFrame<'a>),
    /// The peer sends another format than the one asked for; told once.
    FormatMismatch {
        /// The format asked for.
        expected: MediaFormat,
        /// RTP payload type or AudioSocket kind that came instead.
        actual: u8,
    },
    /// A digit of the caller.
    Digit(Digit),
    /// The peer ended the leg.
    Ended(EndReason),
}

/// One media transport of a call, both directions, without I/O.
#[derive(Debug)]
pub enum Leg {
    /// RTP over UDP.
    Rtp(Box<RtpLeg>),
    /// AudioSocket over TCP.
    AudioSocket(Box<AudioSocketLeg>),
}

impl Leg {
    /// Asks for the memory of the leg itself.
    pub fn prefetch(&self) {
        match self {
            Self::Rtp(leg) => prefetch(&**leg),
            Self::AudioSocket(leg) => prefetch(&**leg),
        }
    }

    /// Asks for the memory behind that of [`Self::prefetch`].
    pub fn prefetch_behind(&self) {
        match self {
            Self::Rtp(leg) => leg.prefetch(),
            Self::AudioSocket(leg) => leg.prefetch(),
        }
    }

    /// Takes one datagram. Ignored by a leg that has a stream.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        stats: &mut CallStats,
    ) {
        if let Self::Rtp(leg) = self {
            leg.handle_datagram(now, from, datagram, stats);
        }
    }

    /// Takes bytes of the stream and answers how many; offer the rest again when [`Self::poll`]
    /// has nothing more. A leg that has datagrams swallows them.
    pub fn handle_stream(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Rtp(_) => bytes.len(),
            Self::AudioSocket(leg) => leg.handle_stream(bytes),
        }
    }

    /// What is next for the engine. Call it until there is nothing.
    pub fn poll(&mut self, now: Instant, stats: &mut CallStats) -> Option<Uplink<'_>> {
        match self {
            Self::Rtp(leg) => leg.poll(now, stats),
            Self::AudioSocket(leg) => leg.poll(now, stats),
        }
    }

    /// Lets nothing wait any longer for what is missing before it: [`Self::poll`] has it next.
    pub fn give_up_holes(&mut self) {
        match self {
            Self::Rtp(leg) => leg.give_up_holes(),
            Self::AudioSocket(leg) => leg.release(),
        }
    }

    /// Takes note that the peer closed the stream: there is nobody left to say hangup to.
    pub fn close(&mut self) {
        if let Self::AudioSocket(leg) = self {
            leg.close();
        }
    }

    /// When [`Self::poll`] has something although nothing arrives.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        match self {
            Self::Rtp(leg) => leg.wake(),
            Self::AudioSocket(leg) => leg.wake(),
        }
    }

    /// How well audio arrived so far.
    #[must_use]
    pub fn reception(&self) -> Reception {
        match self {
            Self::Rtp(leg) => leg.reception(),
            Self::AudioSocket(leg) => leg.reception(),
        }
    }

    /// Rate of the samples that [`Self::send`] takes.
    #[must_use]
    pub fn send_rate(&self) -> SampleRate {
        match self {
            Self::Rtp(leg) => leg.rate(),
            Self::AudioSocket(leg) => leg.send_rate(),
        }
    }

    /// Encodes one frame into `out` (cleared before) for the peer. `audible` is false for a frame
    /// of silence, which may be suppressed: then the answer is false.
    pub fn send(&mut self, samples: &[i16], audible: bool, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Rtp(leg) => leg.send(samples, audible, out),
            Self::AudioSocket(leg) => {
                leg.send(samples, out);
                true
            }
        }
    }

    /// Lets the time of `samples` pass for which nothing was sent although it should have been.
    pub fn skip(&mut self, samples: usize) {
        if let Self::Rtp(leg) = self {
            leg.skip(samples);
        }
    }

    /// Writes the peer's notice that we hang up into `out`; false where the transport has none.
    pub fn hangup(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Rtp(_) => false,
            Self::AudioSocket(leg) => leg.hangup(out),
        }
    }
}
