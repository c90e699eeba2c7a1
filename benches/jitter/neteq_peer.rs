//! The crate `neteq`, pulled by a playout clock, in virtual time (see [`crate::clock`]).

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use neteq::codec::AudioDecoder;
use neteq::neteq::SpeechType;
use neteq::{AudioPacket, NetEq, NetEqConfig, RtpHeader};
use sidetone::dsp::g711;

use crate::clock::Held;
use crate::content::{Content, PLACES, place_of};
use crate::ledger::Ledger;
use crate::pulled::{Step, steps};
use crate::trace::{PACKET, Trace};

const HZ: u32 = 8_000;
const PAYLOAD_TYPE: u8 = 0;

/// Samples that follow each other by their places, by which others are told from noise: one run in
/// 2^48 of noise looks so.
const RUN: usize = 4;

/// The crate keeps the end of a talkspurt, less than a packet, until the next one begins: a pause
/// accounts for what was made up so many samples before it.
const HELD: usize = 2 * PACKET;

/// What the crate makes up is noise of at most half of 0.0001 (its `expand.rs`).
const NOISE: f32 = 0.000_051;

/// The crate with its defaults, but for the rate, and with this decoder.
fn buffer(decoder: Box<dyn AudioDecoder + Send>) -> NetEq {
    let config = NetEqConfig { sample_rate: HZ, ..NetEqConfig::default() };
    let mut buffer = NetEq::new(config).expect("the configuration is right");
    buffer.register_decoder(PAYLOAD_TYPE, decoder);
    buffer
}

/// Hands a packet to the buffer, which asks the clock when that is.
fn insert(buffer: &mut NetEq, trace: &Trace, packet: usize, payload: Vec<u8>) {
    let sent = &trace.sent[packet];
    let (seq, ts) = ((packet & 0xffff) as u16, (sent.media & 0xffff_ffff) as u32);
    let header = RtpHeader::new(seq, ts, 0x5eed, PAYLOAD_TYPE, sent.marker);
    let packet = AudioPacket::new(header, payload, HZ, 1, 20);
    buffer.insert_packet(packet).expect("the packet is right");
}

/// Plays the ledger's trace. Answers how many samples the crate itself says it made up, until the
/// last packet arrives.
pub(crate) fn play(content: &Arc<Content>, ledger: &mut Ledger<'_>) -> u64 {
    let trace = ledger.trace();
    let clock = Held::new();
    let order = Arc::new(Mutex::new(Order::new(trace.sent.len())));
    let decoder = Telling { content: Arc::clone(content), order: Arc::clone(&order) };
    let mut buffer = buffer(Box::new(decoder));
    let mut ears = Ears::new(ledger, order);
    let mut made_up = 0;
    for step in steps(trace, usize::MAX) {
        match step {
            Step::Arrival(arrival) => {
                clock.set(arrival.at);
                let payload = (arrival.packet as u64).to_be_bytes().to_vec();
                insert(&mut buffer, trace, arrival.packet, payload);
                made_up = buffer.get_statistics().lifetime.concealed_samples;
            }
            Step::Pull(now) => {
                clock.set(now);
                let frame = buffer.get_audio().expect("the buffer always has an answer");
                let is_made_up = frame.speech_type == SpeechType::Expand;
                for sample in frame.samples {
                    ears.hear(now, sample, is_made_up);
                }
            }
        }
    }
    ears.finish();
    made_up
}

/// Plays the first arrivals of a trace, whose payloads are these, and keeps nothing.
pub(crate) fn run(trace: &Trace, payloads: &[Vec<u8>]) {
    let clock = Held::new();
    let mut buffer = buffer(Box::new(Ulaw));
    let mut place = 0;
    for step in steps(trace, payloads.len()) {
        match step {
            Step::Arrival(arrival) => {
                clock.set(arrival.at);
                insert(&mut buffer, trace, arrival.packet, payloads[place].clone());
                place += 1;
            }
            Step::Pull(now) => {
                clock.set(now);
                black_box(buffer.get_audio().expect("the buffer always has an answer"));
            }
        }
    }
}

/// G.711, with our decoder.
struct Ulaw;

impl AudioDecoder for Ulaw {
    fn sample_rate(&self) -> u32 {
        HZ
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let mut samples = [0; PACKET];
        let count = g711::ulaw_decode(encoded, &mut samples);
        Ok(samples[..count].iter().map(|&sample| f32::from(sample) / 32_768.0).collect())
    }
}

/// In which order packets are decoded.
struct Order {
    /// How often each was.
    decoded: Vec<u8>,
    /// Which came behind a later one.
    is_behind: Vec<bool>,
    latest: Option<usize>,
}

impl Order {
    fn new(packets: usize) -> Self {
        Self { decoded: vec![0; packets], is_behind: vec![false; packets], latest: None }
    }
}

/// A decoder whose samples tell their places.
struct Telling {
    content: Arc<Content>,
    order: Arc<Mutex<Order>>,
}

impl AudioDecoder for Telling {
    fn sample_rate(&self) -> u32 {
        HZ
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let packet = u64::from_be_bytes(encoded.try_into().expect("a number")) as usize;
        let mut order = self.order.lock().expect("nobody panicked");
        order.decoded[packet] = order.decoded[packet].saturating_add(1);
        order.is_behind[packet] |= order.latest.is_some_and(|latest| latest > packet);
        order.latest = order.latest.max(Some(packet));
        Ok(self.content.floats(packet).collect())
    }
}

/// Tells of every sample where it lay in what was sent.
struct Ears<'a, 'b> {
    ledger: &'a mut Ledger<'b>,
    order: Arc<Mutex<Order>>,
    /// Which samples were heard, a bit each.
    heard: Vec<u64>,
    /// The sample that is next if nothing is cut or put in.
    next: Option<usize>,
    /// Latest sample that could be told.
    last: Option<usize>,
    /// Samples that follow each other, fewer than [`RUN`], and whether each is said to be made up.
    run: Vec<(f32, bool)>,
    /// What was heard since and cannot be told.
    made_up: u64,
    mixed: u64,
    /// Samples made up shortly before the sample with this place, which a pause may account for.
    held: u64,
    held_before: usize,
}

impl<'a, 'b> Ears<'a, 'b> {
    fn new(ledger: &'a mut Ledger<'b>, order: Arc<Mutex<Order>>) -> Self {
        let heard = vec![0; (ledger.trace().sent.len() * PACKET).div_ceil(64)];
        let run = Vec::with_capacity(RUN);
        Self {
            ledger,
            order,
            heard,
            next: None,
            last: None,
            run,
            made_up: 0,
            mixed: 0,
            held: 0,
            held_before: 0,
        }
    }

    fn hear(&mut self, now: Duration, value: f32, is_made_up: bool) {
        let place = place_of(value);
        if let Some(next) = self.next {
            if place == next as u32 % PLACES {
                self.real(now, next);
                return;
            }
            self.next = None;
        }
        let follows =
            self.run.last().is_some_and(|(last, _)| place == (place_of(*last) + 1) % PLACES);
        if !follows {
            self.forget_run();
        }
        self.run.push((value, is_made_up));
        if self.run.len() < RUN {
            return;
        }
        // A run across two pulls is booked with the latter: of three samples at most, 10 ms.
        let first = place_of(self.run[0].0);
        match self.nearest(first) {
            Some(index) => {
                self.run.clear();
                self.settle(index);
                (index..index + RUN).for_each(|index| self.real(now, index));
            }
            None => self.forget_run(),
        }
    }

    /// The sample with this place that is nearest to the latest one, where its packet was decoded.
    fn nearest(&self, place: u32) -> Option<usize> {
        let reference = self.last.unwrap_or(0) as u32;
        let ahead = place.wrapping_sub(reference) % PLACES;
        let index = if ahead < PLACES / 2 {
            self.last.unwrap_or(0) + ahead as usize
        } else {
            self.last.unwrap_or(0).checked_sub((PLACES - ahead) as usize)?
        };
        let order = self.order.lock().expect("nobody panicked");
        let is_decoded = |index: usize| order.decoded.get(index / PACKET).is_some_and(|&n| n > 0);
        (is_decoded(index) && is_decoded(index + RUN - 1)).then_some(index)
    }

    /// The samples of the run are none that can be told.
    fn forget_run(&mut self) {
        for (value, is_made_up) in self.run.drain(..) {
            if value == 0.0 || is_made_up && value.abs() <= NOISE {
                self.made_up += 1;
            } else {
                self.mixed += 1;
            }
        }
    }

    /// Books what lies between the latest sample that could be told and `index`.
    fn settle(&mut self, index: usize) {
        let (made_up, mixed) = (std::mem::take(&mut self.made_up), std::mem::take(&mut self.mixed));
        // Before the first sample nothing was to be heard.
        let Some(last) = self.last else { return };
        self.held += made_up;
        self.held_before = index;
        self.ledger.mixed(mixed);
        // Samples that are mixed still have what was sent in them.
        for index in (last + 1..index).take(mixed as usize) {
            if self.take_note(index) {
                self.ledger.archive(index / PACKET, 1);
            }
        }
    }

    /// Where the sender was silent before this packet, nothing was to be heard.
    fn excuse_pause(&mut self, packet: usize) {
        let Some(last) = self.last.map(|last| last / PACKET).filter(|last| *last != packet) else {
            return;
        };
        let pause = self.ledger.trace().pause_between(last, packet);
        self.held = self.held.saturating_sub(pause);
    }

    fn real(&mut self, now: Duration, index: usize) {
        let packet = index / PACKET;
        self.excuse_pause(packet);
        if index > self.held_before + HELD {
            self.ledger.made_up(std::mem::take(&mut self.held));
        }
        self.last = Some(index);
        self.next = Some(index + 1);
        let (is_twice, is_behind) = {
            let order = self.order.lock().expect("nobody panicked");
            (order.decoded[packet] > 1, order.is_behind[packet])
        };
        if self.take_note(index) {
            self.ledger.real(now, packet, 1);
            self.ledger.archive(packet, 1);
            self.ledger.disordered(u64::from(is_behind));
        } else if is_twice {
            self.ledger.disordered(1);
        } else {
            // Put in to change the length.
            self.ledger.repeated(1);
        }
    }

    /// Books what is held. What was made up behind the last sample that was sent does not count.
    fn finish(self) {
        self.ledger.made_up(self.held);
    }

    /// Whether a sample is heard for the first time.
    fn take_note(&mut self, index: usize) -> bool {
        let (word, bit) = (index / 64, 1 << (index % 64));
        let is_new = self.heard[word] & bit == 0;
        self.heard[word] |= bit;
        is_new
    }
}
