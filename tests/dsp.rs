//! Signal processing over the speech fixtures: what the tests of whole calls rest on.

use std::path::Path;

use sidetone::dsp::{find_offset, g711, level};

fn fixture(name: &str) -> (u32, Vec<i16>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let mut reader = hound::WavReader::open(path).expect("the fixture is there");
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (1, 16));
    (
        spec.sample_rate,
        reader.samples::<i16>().map(|sample| sample.expect("the fixture is whole")).collect(),
    )
}

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
