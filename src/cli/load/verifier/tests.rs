use super::*;
use crate::audio::SampleRate;
use crate::cli::load::speech::Encoding;
use crate::dsp::random::Random;

const FRAME: usize = 160;
const ORIGIN: u64 = 39_000;

/// What is done to an echo.
struct Rig {
    speech: Speech,
    /// The right echo: two frames of silence, then 500 of the caller's, three times round.
    stream: Vec<u8>,
    silence: Vec<u8>,
}

impl Rig {
    fn new(encoding: Encoding) -> Self {
        let speech = Speech::new(encoding, SampleRate::HZ_8000);
        let silence = match encoding {
            Encoding::Ulaw => vec![0xff; FRAME],
            Encoding::Alaw => vec![0xd5; FRAME],
            Encoding::Slin | Encoding::SlinOfUlaw => vec![0; 2 * FRAME],
        };
        let frames = (0..500).map(|n| speech.at(ORIGIN + FRAME as u64 * n, FRAME));
        let stream = silence.repeat(2).into_iter().chain(frames.flatten().copied()).collect();
        Self { speech, stream, silence }
    }

    /// Where sample `n` of the caller's stands in the stream.
    fn at(&self, n: usize) -> usize {
        (2 * FRAME + n) * self.speech.width()
    }

    /// What is found of `stream`, cut into frames.
    fn verify(&self, stream: &[u8]) -> Echo {
        let (mut echo, mut verifier) = (Echo::default(), Verifier::new(ORIGIN, false));
        let said = 500 * FRAME as u64;
        for frame in stream.chunks(FRAME * self.speech.width()) {
            verifier.take(&self.speech, frame, said, &mut echo);
        }
        verifier.finish(said, &mut echo);
        echo
    }
}

fn rigs() -> impl Iterator<Item = Rig> {
    [Encoding::Ulaw, Encoding::Alaw, Encoding::Slin].into_iter().map(Rig::new)
}

const RIGHT: Echo = Echo {
    frames_right: 500,
    samples_wrong: 0,
    samples_missing: 0,
    samples_repeated: 0,
    samples_silent: 0,
    samples_before: 0,
};

#[test]
fn a_right_echo_is_right_in_any_cut_and_behind_any_silence() {
    for rig in rigs() {
        assert_eq!(rig.verify(&rig.stream), RIGHT);
        assert!(rig.verify(&rig.stream).is_clean());
        let width = rig.speech.width();
        for cut in [0, 1, 7, 159] {
            let echo = rig.verify(&rig.stream[rig.at(0) - cut * width..]);
            assert!(echo.is_clean(), "{cut}: {echo:?}");
        }
        let late = [rig.silence.repeat(300), rig.stream.clone()].concat();
        assert_eq!(rig.verify(&late), RIGHT);
    }
}

#[test]
fn a_missing_frame_is_missing_wherever_it_is() {
    for rig in rigs() {
        // The first, one in the middle, two beside each other, and more than a round.
        for (from, count) in [(0, 1), (250, 1), (77, 2), (100, 300)] {
            let mut stream = rig.stream.clone();
            stream.drain(rig.at(from * FRAME)..rig.at((from + count) * FRAME));
            let echo = rig.verify(&stream);
            let expected = Echo {
                frames_right: 500 - count as u64,
                samples_missing: (count * FRAME) as u64,
                ..RIGHT
            };
            if count * FRAME < rig.speech.samples() as usize {
                assert_eq!(echo, expected, "{count} from {from}");
            } else {
                // What was said a round ago, or two, sounds the same.
                assert!(echo.samples_missing > 0);
            }
        }
        let end = rig.at(499 * FRAME);
        assert_eq!(rig.verify(&rig.stream[..end]).samples_missing, FRAME as u64);
    }
}

#[test]
fn a_few_samples_that_are_missing_are_counted_exactly() {
    for rig in rigs() {
        for (from, count) in [(40 * FRAME + 17, 1), (40 * FRAME, 31), (99 * FRAME - 50, 80)] {
            let mut stream = rig.stream.clone();
            stream.drain(rig.at(from)..rig.at(from + count));
            let Echo { samples_missing, samples_wrong, .. } = rig.verify(&stream);
            assert_eq!((samples_missing, samples_wrong), (count as u64, 0), "from {from}");
        }
    }
}

#[test]
fn wrong_samples_are_counted_and_nothing_else() {
    for rig in rigs() {
        for places in [&[0][..], &[159], &[80, 81, 82], &[10, 100], &[31, 32, 150]] {
            let mut stream = rig.stream.clone();
            for place in places {
                stream[rig.at(123 * FRAME + place)] ^= 0x55;
            }
            let expected = Echo { frames_right: 499, samples_wrong: places.len() as u64, ..RIGHT };
            assert_eq!(rig.verify(&stream), expected, "{places:?}");
        }
    }
}

#[test]
fn a_frame_of_something_else_is_wrong_and_the_rest_is_right() {
    for rig in rigs() {
        let mut stream = rig.stream.clone();
        let frame = rig.at(50 * FRAME)..rig.at(51 * FRAME);
        for (n, byte) in stream[frame.clone()].iter_mut().enumerate() {
            *byte = (n * 37 % 251) as u8;
        }
        let wrong = FRAME as u64;
        let expected = Echo { frames_right: 499, samples_wrong: wrong, ..RIGHT };
        assert_eq!(rig.verify(&stream), expected);
        // Put in, instead of in the place of another one.
        let other = stream[frame.clone()].to_vec();
        let mut stream = rig.stream.clone();
        stream.splice(frame.start..frame.start, other);
        assert_eq!(rig.verify(&stream), Echo { samples_wrong: wrong, ..RIGHT });
    }
}

#[test]
fn silence_in_the_middle_is_no_fault_of_the_samples_around_it() {
    for rig in rigs() {
        for place in 0..400 {
            let at = rig.at(20 * FRAME + 7 * place);
            let mut stream = rig.stream.clone();
            stream.splice(at..at, rig.silence.repeat(2));
            let Echo { samples_silent, samples_wrong, samples_missing, samples_repeated, .. } =
                rig.verify(&stream);
            let found = (samples_silent, samples_wrong, samples_missing, samples_repeated);
            assert_eq!(found, (2 * FRAME as u64, 0, 0, 0), "at {place}");
        }
        // In the place of what was said it is both.
        let mut stream = rig.stream.clone();
        stream[rig.at(30 * FRAME)..rig.at(31 * FRAME)].copy_from_slice(&rig.silence);
        let count = FRAME as u64;
        let expected =
            Echo { frames_right: 499, samples_missing: count, samples_silent: count, ..RIGHT };
        assert_eq!(rig.verify(&stream), expected);
    }
}

#[test]
fn a_frame_that_comes_twice_is_repeated() {
    for rig in rigs() {
        let (from, to) = (rig.at(60 * FRAME), rig.at(61 * FRAME));
        let again = rig.stream[from..to].to_vec();
        let mut stream = rig.stream.clone();
        stream.splice(to..to, again);
        assert_eq!(rig.verify(&stream), Echo { samples_repeated: 160, ..RIGHT });
    }
}

#[test]
fn a_packet_that_is_lost_is_missing_until_it_comes() {
    let rig = Rig::new(Encoding::Ulaw);
    let (mut echo, mut verifier) = (Echo::default(), Verifier::new(ORIGIN, false));
    let said = 500 * FRAME as u64;
    let frames: Vec<_> = rig.stream.chunks(FRAME).collect();
    for frame in &frames[..100] {
        verifier.take(&rig.speech, frame, said, &mut echo);
    }
    verifier.skip(2 * FRAME as u64);
    for frame in &frames[102..110] {
        verifier.take(&rig.speech, frame, said, &mut echo);
    }
    assert_eq!(echo.samples_missing, 320);
    verifier.take_late(&rig.speech, frames[101], 9 * FRAME as u64, &mut echo);
    assert_eq!((echo.samples_missing, echo.samples_wrong), (160, 0));
    verifier.take_late(&rig.speech, frames[99], 10 * FRAME as u64, &mut echo);
    assert_eq!((echo.samples_missing, echo.samples_wrong), (160, 160), "another frame");
}

#[test]
fn who_hears_only_others_has_no_echo() {
    for rig in rigs() {
        let (mut echo, mut verifier) = (Echo::default(), Verifier::new(ORIGIN, false));
        let mut random = Random(3);
        let mut count = 0;
        for _ in 0..500 {
            // Bytes of which some will be as expected.
            let noise: Vec<u8> =
                rig.silence.iter().map(|_| 1 + (random.bits() % 7) as u8).collect();
            for frame in [&rig.silence, &noise] {
                verifier.take(&rig.speech, frame, 80_000, &mut echo);
            }
            count += FRAME as u64;
        }
        verifier.finish(80_000, &mut echo);
        assert!(!verifier.has_begun());
        assert_eq!(echo, Echo { samples_wrong: count, ..Echo::default() });
    }
}

#[test]
fn whatever_comes_every_sample_is_accounted_for() {
    for rig in rigs() {
        (0..1_000).for_each(|seed| take_pieces(&rig, Random(seed)));
    }
}

/// Verifies pieces of any length, of the speech, of silence and of noise, one behind the other.
fn take_pieces(rig: &Rig, mut random: Random) {
    let mut below = |limit: usize| (random.bits() % limit as u64) as usize;
    let width = rig.speech.width();
    let mut stream = Vec::new();
    for _ in 0..60 {
        let samples = [1, 3, 15, 17, 40, 160, 500][below(7)];
        match below(4) {
            0 => stream.extend(rig.silence.repeat(4)[..samples * width].iter()),
            1 => stream.extend((0..samples * width).map(|_| (below(4) * 85) as u8)),
            _ => {
                let from = rig.at(below(20_000));
                stream.extend(&rig.stream[from..from + samples * width]);
            }
        }
    }
    stream.resize(stream.len().next_multiple_of(FRAME * width), 0);
    let (mut echo, mut verifier) = (Echo::default(), Verifier::new(ORIGIN, false));
    for frame in stream.chunks(FRAME * width) {
        verifier.take(&rig.speech, frame, 80_000, &mut echo);
    }
    let Echo { frames_right, samples_wrong, samples_silent, .. } = echo;
    let total = (stream.len() / width) as u64;
    assert!(FRAME as u64 * frames_right + samples_wrong + samples_silent <= total, "{echo:?}");
}

#[test]
fn who_joins_may_be_heard_from_any_place_on_and_then_to_the_end() {
    let rig = Rig::new(Encoding::Ulaw);
    let heard = |stream: &[u8], joins: bool| {
        let (mut echo, mut verifier) = (Echo::default(), Verifier::new(ORIGIN, joins));
        for frame in stream.chunks(FRAME) {
            verifier.take(&rig.speech, frame, 500 * FRAME as u64, &mut echo);
        }
        verifier.finish(500 * FRAME as u64, &mut echo);
        echo
    };
    // Silence, then all from the eleventh frame on.
    let late = [&rig.silence.repeat(3)[..], &rig.stream[rig.at(10 * FRAME)..]].concat();
    let clean = Echo { frames_right: 490, ..Echo::default() };
    let before = 10 * FRAME as u64;
    assert_eq!(heard(&late, true), Echo { samples_before: before, ..clean });
    assert_eq!(heard(&late, false), Echo { samples_missing: before, ..clean });
    assert!(heard(&late, true).is_clean() && !heard(&late, false).is_clean());
    // What is lost later is missing.
    let mut holed = late;
    holed.drain(100 * FRAME..101 * FRAME);
    let holed = heard(&holed, true);
    assert_eq!((holed.samples_before, holed.samples_missing), (before, FRAME as u64));
}
