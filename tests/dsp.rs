//! Signal processing over the speech fixtures: what the tests of whole calls rest on.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing there shall fail")]

#[path = "../fuzz/codec_checks.rs"]
mod codec_checks;
#[path = "dsp/codecs.rs"]
mod codecs;
#[path = "dsp/concealment.rs"]
mod concealment;
#[path = "dsp/dtmf.rs"]
mod dtmf;
#[path = "common/seeds.rs"]
mod seeds;
#[path = "common/speech.rs"]
mod speech;

use std::path::Path;

use sidetone::dsp::{find_offset, g711, g722, level};

use speech::fixture;

#[test]
fn the_fixtures_are_as_their_readme_says() {
    for (name, rate) in [("speech-8k.wav", 8000), ("speech-16k.wav", 16_000)] {
        let (actual, samples) = fixture(name);
        assert_eq!(actual, rate);
        let seconds = samples.len() as f64 / f64::from(rate);
        assert!((4.0..5.0).contains(&seconds), "{seconds} s");
        assert!((level::peak_dbov(&samples) + 4.0).abs() < 0.2);
        assert!(level::rms_dbov(&samples) > -30.0);
    }
}

#[test]
fn no_passage_of_the_speech_repeats() {
    // Voiced speech resembles itself one pitch period on; half a second of it, 50 ms and more away
    // from its place, must stay well below what tests ask of a true match.
    for (name, rate) in [("speech-8k.wav", 8000_isize), ("speech-16k.wav", 16_000)] {
        let (_, speech) = fixture(name);
        let end = speech.len().cast_signed();
        for start in [rate / 10, rate, 2 * rate, 4 * rate] {
            let piece = &speech[start.cast_unsigned()..(start + rate / 2).cast_unsigned()];
            let place = find_offset(piece, &speech, 0..=end);
            assert_eq!(place.lag, start);
            assert!(place.coefficient > 0.999_999);
            let guard = rate / 20;
            let before = find_offset(piece, &speech, 0..=start - guard);
            let after = find_offset(piece, &speech, start + guard..=end);
            let other = before.coefficient.max(after.coefficient);
            assert!(other < 0.9, "{name} at {start}: {other}");
        }
    }
}

#[test]
fn companded_speech_is_found_to_the_sample_above_the_bound_of_a_call() {
    let (_, speech) = fixture("speech-8k.wav");
    let mut codes = vec![0; speech.len()];
    let mut back = vec![0; speech.len()];
    for law in ["ulaw", "alaw"] {
        if law == "ulaw" {
            g711::ulaw_encode(&speech, &mut codes);
            g711::ulaw_decode(&codes, &mut back);
        } else {
            g711::alaw_encode(&speech, &mut codes);
            g711::alaw_decode(&codes, &mut back);
        }
        let mut heard = vec![0; 1234];
        heard.extend_from_slice(&back);
        let found = find_offset(&speech, &heard, 0..=8000);
        assert_eq!(found.lag, 1234);
        // G.711 keeps 35 dB or more between speech and its quantisation noise: 1/√(1 + 10^−3.5).
        assert!(found.coefficient > 0.9998, "{law}: {found:?}");
    }
}

#[test]
fn speech_becomes_the_g722_codes_of_another_encoder_bit_for_bit() {
    let (_, speech) = fixture("speech-16k.wav");
    let expected = g722_codes();
    let mut codes = vec![0; speech.len() / 2];
    assert_eq!(g722::Encoder::new().encode(&speech, &mut codes), speech.len() / 2 * 2);
    assert_eq!(codes.len(), expected.len());
    let different = codes.iter().zip(&expected).position(|(ours, theirs)| ours != theirs);
    assert_eq!(different, None);
}

#[test]
fn g722_codes_become_the_samples_of_another_decoder_bit_for_bit() {
    let (rate, expected) = fixture("speech-16k-g722.wav");
    assert_eq!((rate, expected.len()), (16_000, 32_000));
    let mut samples = vec![0; expected.len()];
    assert_eq!(g722::Decoder::new().decode(&g722_codes(), &mut samples), expected.len());
    let different = samples.iter().zip(&expected).position(|(ours, theirs)| ours != theirs);
    assert_eq!(different, None);
}

#[test]
fn speech_through_g722_is_found_at_its_round_trip_delay() {
    let (_, speech) = fixture("speech-16k.wav");
    let mut back = vec![0; speech.len()];
    g722::Decoder::new().decode(&g722_codes(), &mut back);
    let found = find_offset(&speech, &back, -1000..=1000);
    assert_eq!(found.lag, g722::ROUND_TRIP_DELAY.cast_signed());
    // 26 dB between this speech and what G.722 adds to it: 1/√(1 + 10^−2.6).
    assert!(found.coefficient > 0.9987, "{found:?}");
}

fn g722_codes() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/speech-16k.g722");
    std::fs::read(path).expect("the fixture is there")
}

#[test]
fn the_seeds_of_the_fuzz_targets_pass() {
    seeds::check([
        ("ulaw_decode", codec_checks::ulaw_decode),
        ("alaw_decode", codec_checks::alaw_decode),
        ("l16_decode", codec_checks::l16_decode),
        ("g722_decode", codec_checks::g722_decode),
        ("opus_decode", codec_checks::opus_decode),
    ]);
}
