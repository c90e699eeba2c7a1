//! Our leg, as an engine drives it: everything that arrives goes in, every frame that it has comes
//! out at once, and it is woken when it asks.

use std::collections::{BTreeSet, VecDeque};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sidetone::audio::{AudioFrame, MediaFormat, Origin, SampleRate};
use sidetone::media::{CallStats, Leg, MediaSettings, PacketizerSeed, RtpLeg, Uplink};
use sidetone::runtime::Clock;
use sidetone::wire::{RtpTs, Seq, Ssrc};

use crate::content::Content;
use crate::ledger::Ledger;
use crate::trace::PACKET;

/// Samples in succession that have to be a packet's own to tell it by them; with so many no other is
/// looked at. The lowest bit of each is drawn, so that even in silence two packets share a run of 28
/// once in a million times.
const RUN: usize = 16;
const SURE_RUN: usize = 28;

/// Packets handed out that are remembered, to notice one that comes twice.
const REMEMBERED: usize = 64;

/// What still comes after the last packet.
const TAIL: Duration = Duration::from_secs(3);

const RATE: SampleRate = SampleRate::HZ_8000;

/// A leg for µ-law, and its clock.
#[derive(Debug)]
pub(crate) struct Driven {
    leg: Leg,
    stats: CallStats,
    start: Instant,
    peer: SocketAddr,
}

impl Driven {
    pub(crate) fn new() -> Self {
        let (start, settings) = (Clock::new().now(), MediaSettings::default());
        let peer = SocketAddr::from(([192, 0, 2, 1], 4000));
        let seed = PacketizerSeed { ssrc: Ssrc(1), seq: Seq(1), timestamp: RtpTs(1) };
        let mut leg = RtpLeg::new(MediaFormat::Ulaw, start, &settings, seed);
        leg.set_peer(peer);
        Self { leg: Leg::Rtp(Box::new(leg)), stats: CallStats::default(), start, peer }
    }

    /// Takes a datagram, after all that is due before it.
    pub(crate) fn datagram(
        &mut self,
        at: Duration,
        bytes: &[u8],
        sink: &mut impl FnMut(Duration, Uplink<'_>),
    ) {
        self.run_until(at, sink);
        self.leg.handle_datagram(self.start + at, self.peer, bytes, &mut self.stats);
        self.drain(at, sink);
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, at: Duration, sink: &mut impl FnMut(Duration, Uplink<'_>)) {
        while let Some(wake) = self.leg.wake().filter(|wake| *wake <= self.start + at) {
            self.drain(wake.saturating_duration_since(self.start), sink);
        }
    }

    /// Ends the stream: nothing waits any longer.
    pub(crate) fn finish(&mut self, at: Duration, sink: &mut impl FnMut(Duration, Uplink<'_>)) {
        self.run_until(at, sink);
        self.leg.give_up_holes();
        self.drain(at, sink);
    }

    fn drain(&mut self, at: Duration, sink: &mut impl FnMut(Duration, Uplink<'_>)) {
        while let Some(uplink) = self.leg.poll(self.start + at, &mut self.stats) {
            sink(at, uplink);
        }
    }
}

/// Plays the ledger's trace through a leg.
pub(crate) fn play(content: &Content, ledger: &mut Ledger<'_>) {
    let trace = ledger.trace();
    let mut driven = Driven::new();
    let mut ears = Ears::new(content, ledger);
    let mut datagram = Vec::new();
    for arrival in &trace.arrivals {
        content.datagram(arrival.packet, &trace.sent[arrival.packet], &mut datagram);
        driven.run_until(arrival.at, &mut |at, uplink| ears.hear(at, uplink));
        ears.expect(arrival.packet);
        driven.datagram(arrival.at, &datagram, &mut |at, uplink| ears.hear(at, uplink));
    }
    driven.finish(trace.end() + TAIL, &mut |at, uplink| ears.hear(at, uplink));
}

/// Plays arrivals whose datagrams are there already, and keeps nothing.
pub(crate) fn run(datagrams: &[(Duration, Vec<u8>)]) {
    let mut driven = Driven::new();
    for (at, datagram) in datagrams {
        driven.datagram(*at, datagram, &mut |_, uplink| {
            black_box(uplink);
        });
    }
}

/// Tells of every frame which packet it was.
struct Ears<'a, 'b> {
    content: &'a Content,
    ledger: &'a mut Ledger<'b>,
    /// Packets that arrived and were not handed out.
    waiting: BTreeSet<usize>,
    heard: VecDeque<usize>,
    last: Option<usize>,
    /// Samples made up since then.
    made_up: u64,
    /// Position behind the latest frame.
    end: u64,
}

impl<'a, 'b> Ears<'a, 'b> {
    fn new(content: &'a Content, ledger: &'a mut Ledger<'b>) -> Self {
        let (waiting, heard) = (BTreeSet::new(), VecDeque::new());
        Self { content, ledger, waiting, heard, last: None, made_up: 0, end: 0 }
    }

    /// A packet goes in.
    fn expect(&mut self, packet: usize) {
        if !self.heard.contains(&packet) {
            self.waiting.insert(packet);
        }
    }

    fn hear(&mut self, at: Duration, uplink: Uplink<'_>) {
        match uplink {
            Uplink::Frame(frame) => self.live(at, &frame),
            Uplink::Late(frame) => match self.tell(frame.samples) {
                Some(packet) => self.ledger.archive(packet, PACKET),
                None => self.ledger.unknown(frame.samples.len() as u64),
            },
            _ => {}
        }
    }

    fn live(&mut self, at: Duration, frame: &AudioFrame<'_>) {
        let length = frame.samples.len() as u64;
        self.ledger.disordered(self.end.saturating_sub(frame.position.0).min(length));
        self.end = self.end.max(frame.end().0);
        match frame.origin {
            Origin::Concealed => {
                self.ledger.made_up(length);
                self.made_up += length;
            }
            Origin::Silence | Origin::ComfortNoise => {}
            Origin::Real => {
                let packet = self.tell(frame.samples).or_else(|| self.retimed(frame.samples.len()));
                let Some(packet) = packet else {
                    return self.ledger.unknown(length);
                };
                if self.last.is_some_and(|last| last >= packet) {
                    self.ledger.disordered(length);
                }
                let skipped = self.last.map_or(0, |last| packet.saturating_sub(last + 1));
                let left_out = ((skipped * PACKET) as u64).saturating_sub(self.made_up);
                self.ledger.left_out(left_out);
                self.made_up = 0;
                self.last = Some(packet);
                // What exceeds the packet was put in to change the length.
                let own = length.min(PACKET as u64);
                self.ledger.real(at, packet, own);
                self.ledger.repeated(length - own);
                self.ledger.archive(packet, PACKET);
                let clock = RATE.samples_in(at) as f64;
                let ahead = (frame.end().0 as f64 - clock) / f64::from(RATE.hz());
                self.ledger.ahead(at, 1e3 * ahead);
            }
        }
    }

    /// The packet that a frame was, by its content: of those that wait and those that came before the
    /// one with which it shares the longest run.
    fn tell(&mut self, samples: &[i16]) -> Option<usize> {
        let run = |packet: &usize| longest_run(samples, &self.content.samples(*packet));
        let best = |packets: &mut dyn Iterator<Item = usize>| {
            packets.map(|packet| (run(&packet), packet)).max_by_key(|(run, _)| *run)
        };
        let mut found = best(&mut self.waiting.iter().copied());
        if found.is_none_or(|(run, _)| run < SURE_RUN) {
            found = found.max(best(&mut self.heard.iter().copied()));
        }
        let (_, packet) = found.filter(|(run, _)| *run >= RUN)?;
        self.note(packet);
        Some(packet)
    }

    /// A frame whose length was changed is cross-faded with itself, maybe throughout: it holds every
    /// sample of its packet, and none as it was. It is the packet that is next, if that waits.
    fn retimed(&mut self, length: usize) -> Option<usize> {
        let next = self.last.map_or(0, |last| last + 1);
        let is_next = length != PACKET && self.waiting.contains(&next);
        is_next.then(|| {
            self.note(next);
            next
        })
    }

    /// A packet was handed out.
    fn note(&mut self, packet: usize) {
        if self.waiting.remove(&packet) {
            if self.heard.len() == REMEMBERED {
                self.heard.pop_front();
            }
            self.heard.push_back(packet);
        }
    }
}

/// The most samples in succession that are the same, counted from the beginning or from the end:
/// fades at the joins, and a change of length within, leave such a run.
pub(crate) fn longest_run(one: &[i16], other: &[i16]) -> usize {
    longest(one.iter().zip(other)).max(longest(one.iter().rev().zip(other.iter().rev())))
}

fn longest<'a>(pairs: impl Iterator<Item = (&'a i16, &'a i16)>) -> usize {
    let runs = pairs.scan(0, |run, (one, other)| {
        *run = if one == other { *run + 1 } else { 0 };
        Some(*run)
    });
    runs.max().unwrap_or(0)
}
