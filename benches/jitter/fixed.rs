//! A buffer of a fixed delay: what most servers have.
//!
//! The first packet is played so long after its arrival, all others by their timestamps after it;
//! what comes after its turn is dropped. It begins anew where for half a second nothing came in
//! time, and where a packet lies a second ahead of its delay.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use sidetone::dsp::g711;

use crate::ledger::Ledger;
use crate::pulled::{PULL, Step, steps};
use crate::trace::{PACKET, Trace};

const LATE_FOR: Duration = Duration::from_millis(500);
const AHEAD: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Fixed {
    delay: Duration,
    /// Packets by their media time.
    packets: BTreeMap<u64, usize>,
    playing: Option<Playing>,
    /// When the first of the packets arrived since which none came in time.
    late_since: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    /// Nothing is played before.
    from: Duration,
    /// Media time of what is played next.
    media: u64,
    /// It plays for the first time.
    is_first: bool,
}

/// What is played next.
#[derive(Clone, Copy, Debug)]
enum Played {
    /// Nothing has begun.
    Nothing,
    /// The buffer fills anew.
    Filling,
    /// The half of a packet, or what should have lain there.
    Half { media: u64, packet: Option<usize> },
}

impl Fixed {
    fn new(delay: Duration) -> Self {
        Self { delay, packets: BTreeMap::new(), playing: None, late_since: None }
    }

    /// Takes a packet; answers from and to where playout leaps for it, if it does.
    fn arrive(&mut self, now: Duration, media: u64, packet: usize) -> Option<(u64, u64)> {
        let begin = |is_first| Playing { from: now + self.delay, media, is_first };
        let Some(playing) = self.playing else {
            self.playing = Some(begin(true));
            self.packets.insert(media, packet);
            return None;
        };
        let reach = samples(self.delay + AHEAD);
        let is_late = media < playing.media;
        let since = self.late_since.filter(|_| is_late);
        self.late_since = is_late.then(|| since.unwrap_or(now));
        let leaps =
            since.is_some_and(|since| now - since >= LATE_FOR) || media > playing.media + reach;
        if leaps {
            self.playing = Some(begin(false));
            self.packets.clear();
            self.late_since = None;
        }
        if leaps || !is_late {
            self.packets.insert(media, packet);
        }
        leaps.then_some((playing.media, media))
    }

    fn pull(&mut self, now: Duration) -> Played {
        let Some(playing) = &mut self.playing else { return Played::Nothing };
        if now < playing.from {
            return if playing.is_first { Played::Nothing } else { Played::Filling };
        }
        let media = playing.media;
        playing.media += PULL as u64;
        while self.packets.first_key_value().is_some_and(|(at, _)| at + PACKET as u64 <= media) {
            self.packets.pop_first();
        }
        let packet = self.packets.first_key_value().filter(|(at, _)| **at <= media);
        Played::Half { media, packet: packet.map(|(_, packet)| *packet) }
    }
}

fn samples(span: Duration) -> u64 {
    sidetone::audio::SampleRate::HZ_8000.samples_in(span)
}

/// Plays the ledger's trace through a buffer of this delay.
pub(crate) fn play(delay: Duration, ledger: &mut Ledger<'_>) {
    let trace = ledger.trace();
    let was_sent = sent_frames(trace);
    let is_sent = |media: u64| was_sent.get(media as usize / PACKET).copied().unwrap_or(false);
    let mut fixed = Fixed::new(delay);
    // Packets are handed out in the order of their media time, but after a leap.
    let mut latest = None;
    for step in steps(trace, usize::MAX) {
        match step {
            Step::Arrival(arrival) => {
                let media = trace.sent[arrival.packet].media;
                if let Some((from, to)) = fixed.arrive(arrival.at, media, arrival.packet) {
                    let leapt_over = (from..to).step_by(PULL).filter(|&media| is_sent(media));
                    ledger.left_out((leapt_over.count() * PULL) as u64);
                }
            }
            Step::Pull(now) => match fixed.pull(now) {
                Played::Nothing => {}
                Played::Filling => ledger.made_up(PULL as u64),
                Played::Half { media, packet: Some(packet) } => {
                    ledger.real(now, packet, PULL as u64);
                    ledger.archive(packet, PULL);
                    if latest.is_some_and(|latest| latest >= media) {
                        ledger.disordered(PULL as u64);
                    }
                    latest = latest.max(Some(media));
                }
                Played::Half { media, packet: None } if is_sent(media) => {
                    ledger.made_up(PULL as u64);
                }
                Played::Half { .. } => {}
            },
        }
    }
}

/// Which stretches of 20 ms of the sender's time were sent.
fn sent_frames(trace: &Trace) -> Vec<bool> {
    let frames = trace.sent.last().map_or(0, |last| last.media as usize / PACKET + 1);
    let mut is_sent = vec![false; frames];
    for sent in &trace.sent {
        is_sent[sent.media as usize / PACKET] = true;
    }
    is_sent
}

/// Plays the first arrivals of a trace, whose payloads are these, and keeps nothing.
pub(crate) fn run(delay: Duration, trace: &Trace, payloads: &[Vec<u8>]) {
    let mut fixed = Fixed::new(delay);
    let mut samples = [0; PULL];
    for step in steps(trace, payloads.len()) {
        match step {
            Step::Arrival(arrival) => {
                fixed.arrive(arrival.at, trace.sent[arrival.packet].media, arrival.packet);
            }
            Step::Pull(now) => {
                if let Played::Half { media, packet: Some(packet) } = fixed.pull(now) {
                    let start = (media - trace.sent[packet].media) as usize;
                    let payload = &payloads[packet % payloads.len()];
                    g711::ulaw_decode(&payload[start..start + PULL], &mut samples);
                    black_box(&samples);
                }
            }
        }
    }
}
