//! Digits of the caller: by telephone-events, through a network that loses, reorders and doubles,
//! and by several sources at once.

use std::time::Duration;

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::engine::{Command, Input};
use sidetone::event::EventKind;
use sidetone::media::{Digit, DigitSource, MediaSettings, Rejected};
use sidetone::wire::TelephoneEvent;
use sidetone::wire::audiosocket::encode_dtmf;

use crate::driver::{Moment, Rig, Script, Sender, ms};
use crate::emulator::{Emulator, Jitter, Loss, Path};

const FORMAT: MediaFormat = MediaFormat::Ulaw;
const TELEPHONE_EVENT: u8 = 101;
const KEYS: &str = "0123456789*#ABCD";

/// A digit that was told: when in ms, the key, who told it, for how many ms it was pressed.
type Told = (u128, char, DigitSource, Option<u64>);

fn told(rig: &Rig) -> Vec<Told> {
    let digit = |(at, kind): (Duration, &EventKind)| match kind {
        EventKind::Dtmf { digit, source, duration_ms } => {
            Some((at.as_millis(), *digit, *source, *duration_ms))
        }
        _ => None,
    };
    rig.events().filter_map(digit).collect()
}

fn keys(rig: &Rig) -> String {
    told(rig).iter().map(|(_, key, ..)| *key).collect()
}

/// Packets to be sent, each at its time.
#[derive(Default)]
struct Telephone(Vec<(Duration, Vec<u8>)>);

impl Telephone {
    /// Speaks for so many packets of 20 ms.
    fn speaks(&mut self, sender: &mut Sender, packets: usize) {
        for _ in 0..packets {
            let at = Self::time_of(sender);
            self.0.push((at, sender.packet()));
        }
    }

    /// Presses a key for a multiple of `every_ms`: an update in each, and the end three times, as
    /// many ms apart.
    fn presses(&mut self, sender: &mut Sender, key: char, length_ms: u64, every_ms: u64) {
        let code = KEYS.find(key).expect("a key") as u8;
        let began = Self::time_of(sender);
        let updates = (1..=length_ms / every_ms).map(|n| (n * every_ms, n * every_ms));
        let ends = (1..=3).map(|n| (length_ms + n * every_ms, length_ms));
        for (n, (after_ms, so_far_ms)) in (0..).zip(updates.chain(ends)) {
            let event = TelephoneEvent {
                code,
                end: n >= length_ms / every_ms,
                volume_dbm0: 10,
                duration_ticks: u16::try_from(8 * so_far_ms).expect("up to eight seconds"),
            };
            self.0.push((began + ms(after_ms), sender.side(TELEPHONE_EVENT, &event.to_bytes())));
        }
        sender.pause(8 * (length_ms + 3 * every_ms));
    }

    fn time_of(sender: &Sender) -> Duration {
        ms(sender.place / 8)
    }
}

#[test]
fn the_example_of_section_5_of_rfc_4733_is_911() {
    let mut sender = Sender::new(FORMAT);
    let mut telephone = Telephone::default();
    for (key, at_ms, length_ms) in [('9', 0, 200), ('1', 880, 250), ('1', 1_400, 220)] {
        sender.pause(8 * (at_ms - sender.place / 8));
        telephone.presses(&mut sender, key, length_ms / 50 * 50, 50);
    }
    let mut rig = Rig::rtp(FORMAT);
    for (at, packet) in &telephone.0 {
        rig.datagram(*at, packet);
    }
    // Each with its first packet, 50 ms after its beginning.
    let expected =
        [('9', 50), ('1', 930), ('1', 1_450)].map(|(key, at)| (at, key, DigitSource::Rtp, None));
    assert_eq!(told(&rig), expected);
    assert_eq!(rig.stats().digits.of(DigitSource::Rtp), 3);
    assert_eq!(rig.stats().digits_repeated, 0);
}

#[test]
fn a_digit_whose_beginning_was_lost_is_told_by_what_is_left_of_it() {
    let mut sender = Sender::new(FORMAT);
    let mut telephone = Telephone::default();
    telephone.speaks(&mut sender, 10);
    telephone.presses(&mut sender, '7', 200, 50);
    telephone.speaks(&mut sender, 10);
    for first in 0..7 {
        let mut rig = Rig::rtp(FORMAT);
        for (n, (at, packet)) in telephone.0.iter().enumerate() {
            if !(10..10 + first).contains(&n) {
                rig.datagram(*at, packet);
            }
        }
        rig.run_until(ms(2_000));
        let duration = (first >= 4).then_some(200);
        let found: Vec<_> = told(&rig).iter().map(|(_, key, _, ms)| (*key, *ms)).collect();
        assert_eq!(found, [('7', duration)], "without the first {first}");
    }
}

#[test]
fn every_digit_is_told_once_and_in_order_through_a_bad_network() {
    let paths = [
        Path { loss: Loss::Bernoulli { p: 0.3 }, ..Path::IDEAL },
        Path { loss: Loss::GilbertElliott { p: 0.1, r: 0.3, h: 0.0, k: 1.0 }, ..Path::IDEAL },
        Path { duplicate: 0.5, ..Path::IDEAL },
        Path { reorder: 0.3, reorder_by: ms(45), ..Path::IDEAL },
        Path {
            loss: Loss::Bernoulli { p: 0.1 },
            jitter: Jitter::Uniform { max: ms(60) },
            overtaking: true,
            duplicate: 0.1,
            reorder: 0.1,
            reorder_by: ms(60),
            ..Path::IDEAL
        },
    ];
    let (mut pressed_in_all, mut lost_in_all) = (0, 0);
    for (seed, path) in (1..).zip(paths.iter().cycle().take(25)) {
        let mut sender = Sender::new(FORMAT);
        let mut telephone = Telephone::default();
        let mut owner = Vec::new();
        // Each key twice in a row.
        let pressed: Vec<char> = KEYS.chars().flat_map(|key| [key; 2]).collect();
        for (n, key) in pressed.iter().enumerate() {
            telephone.speaks(&mut sender, 10);
            owner.resize(telephone.0.len(), None);
            telephone.presses(&mut sender, *key, 60, 20);
            owner.resize(telephone.0.len(), Some(n));
        }
        telephone.speaks(&mut sender, 10);
        owner.resize(telephone.0.len(), None);

        let mut network = Emulator::new(*path, seed);
        let mut in_order: Vec<_> = telephone.0.iter().collect();
        in_order.sort_by_key(|(at, _)| *at);
        for (at, packet) in in_order {
            network.send(*at, packet);
        }
        let mut rig = Rig::rtp(FORMAT);
        let mut arrived = vec![false; pressed.len()];
        for delivery in network.receive_all() {
            rig.datagram(delivery.at, &delivery.bytes);
            if let Some(n) = owner[delivery.index as usize] {
                arrived[n] = true;
            }
        }
        rig.run_until(ms(20_000));
        let expected: String =
            pressed.iter().zip(&arrived).filter(|(_, here)| **here).map(|(key, _)| key).collect();
        assert_eq!(keys(&rig), expected, "seed {seed}, {path:?}");
        pressed_in_all += pressed.len();
        lost_in_all += arrived.iter().filter(|here| !**here).count();
    }
    // Six packets each: but for bursts hardly any is lost whole.
    assert!(lost_in_all < pressed_in_all / 10, "{lost_in_all} of {pressed_in_all}");
}

#[test]
fn a_key_that_is_held_for_half_a_minute_is_one_digit() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    let mut told_ticks = 0;
    for n in 1..=600_u64 {
        let ticks = 400 * n;
        // A segment ends where its duration cannot tell more.
        if ticks - told_ticks > 65_535 {
            let last =
                TelephoneEvent { code: 5, end: false, volume_dbm0: 10, duration_ticks: u16::MAX };
            rig.datagram(ms(50 * n), &sender.side(TELEPHONE_EVENT, &last.to_bytes()));
            told_ticks += 65_535;
            sender.pause(65_535);
        }
        let event = TelephoneEvent {
            code: 5,
            end: n == 600,
            volume_dbm0: 10,
            duration_ticks: u16::try_from(ticks - told_ticks).expect("a segment"),
        };
        rig.datagram(ms(50 * n), &sender.side(TELEPHONE_EVENT, &event.to_bytes()));
    }
    assert_eq!(keys(&rig), "5");
    assert!(told_ticks == 3 * 65_535);
}

#[test]
fn a_payload_that_is_no_event_is_counted_and_harms_nothing() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    rig.datagram(ms(0), &sender.packet());
    for payload in [&[][..], &[5], &[5, 0x8a, 0], &[5, 0x8a, 0, 160, 0]] {
        rig.datagram(ms(20), &sender.side(TELEPHONE_EVENT, payload));
    }
    rig.datagram(ms(20), &sender.packet());
    assert_eq!(keys(&rig), "");
    assert_eq!(rig.stats().rejected.of(Rejected::PayloadSize), 4);
    assert_eq!(rig.stats().packets_lost, 0);
}

fn digit(key: char, source: DigitSource, pressed_ms: u64) -> Digit {
    Digit::new(key, source, Some(ms(pressed_ms))).expect("a key")
}

#[test]
fn a_digit_that_asterisk_tells_too_is_told_once() {
    let mut sender = Sender::new(FORMAT);
    let mut telephone = Telephone::default();
    telephone.presses(&mut sender, '4', 100, 20);
    telephone.presses(&mut sender, '4', 100, 20);
    let mut rig = Rig::rtp(FORMAT);
    for (at, packet) in &telephone.0 {
        rig.datagram(*at, packet);
    }
    // Late, one after the other, and a third one that did not come by RTP.
    for at in [600, 700, 800] {
        let digit = digit('4', DigitSource::Ari, 100);
        rig.input(ms(at), Input::Command(Command::Digit(digit)));
    }
    let sources: Vec<_> =
        told(&rig).iter().map(|(_, key, source, ms)| (*key, *source, *ms)).collect();
    let by_rtp = ('4', DigitSource::Rtp, None);
    assert_eq!(sources, [by_rtp, by_rtp, ('4', DigitSource::Ari, Some(100))]);
    let stats = rig.stats();
    assert_eq!(stats.digits_repeated, 2);
    assert_eq!(
        serde_json::to_value(stats.digits).unwrap(),
        serde_json::json!({"rtp": 2, "ari": 1})
    );
}

#[test]
fn audiosocket_asterisk_and_a_processor_that_tell_the_same_digit_tell_it_once() {
    // The processor hears the tones 60 ms after they began.
    let mut frames = 0;
    let script: Script = Box::new(move |moment, cx| {
        if let Moment::Uplink(_) = moment {
            frames += 1;
            if frames == 3 {
                cx.digit(digit('#', DigitSource::Inband, 60));
            }
        }
    });
    let rate = SampleRate::HZ_8000;
    let mut rig = Rig::audiosocket_with(Some(rate), MediaSettings::default(), script);
    let mut frame = vec![0x10, 1, 64];
    frame.resize(323, 0);
    for n in 1..=5 {
        rig.stream(ms(20 * n), &frame);
    }
    encode_dtmf(b'#', &mut frame);
    rig.stream(ms(120), &frame);
    rig.input(ms(125), Input::Command(Command::Digit(digit('#', DigitSource::Ari, 100))));
    assert_eq!(told(&rig), [(60, '#', DigitSource::Inband, Some(60))]);
    assert_eq!(rig.stats().digits_repeated, 2);
    let in_chain = rig.seen().events.iter().filter(|k| matches!(k, EventKind::Dtmf { .. })).count();
    assert_eq!(in_chain, 1);
}

#[test]
fn what_a_processor_answers_to_a_digit_from_outside_is_done_at_once() {
    let script: Script = Box::new(|moment, cx| match moment {
        Moment::Event(EventKind::Dtmf { digit: '0', .. }) => cx.hangup(),
        Moment::Event(EventKind::Dtmf { .. }) => cx.mark("pressed"),
        _ => {}
    });
    let mut rig = Rig::rtp_with(FORMAT, MediaSettings::default(), script);
    let give = |rig: &mut Rig, at: u64, key| {
        let digit = digit(key, DigitSource::Ari, 50);
        rig.input(ms(at), Input::Command(Command::Digit(digit)));
    };
    rig.datagram(ms(5), &Sender::new(FORMAT).packet());
    give(&mut rig, 10, '1');
    assert_eq!(rig.count(|kind| matches!(kind, EventKind::Mark { .. })), 1);
    give(&mut rig, 35, '0');
    rig.run_until(ms(100));
    assert_eq!(rig.ended(), sidetone::call::EndReason::Processor);
    assert_eq!(keys(&rig), "10");
}
