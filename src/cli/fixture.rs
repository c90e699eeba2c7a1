use std::io::Cursor;

use hound::WavReader;

use crate::audio::{MediaFormat, Ptime, SampleRate};
use crate::dsp::codec::{Decoder, Encoder};
use crate::dsp::opus;

/// Rate of the speech, and of both calls.
pub(super) const RATE: SampleRate = SampleRate::HZ_8000;

/// Samples of one packet, 20 ms.
pub(super) const FRAME_SAMPLES: usize = Ptime::MS_20.samples(RATE);

static SPEECH: &[u8] = include_bytes!("../../fixtures/speech-8k.wav");

/// The speech that the caller plays, with silence behind it up to a whole number of frames.
pub(super) fn speech() -> Vec<i16> {
    let reader = WavReader::new(Cursor::new(SPEECH)).expect("the speech is a WAV file");
    let mut samples = reader
        .into_samples()
        .collect::<Result<Vec<i16>, _>>()
        .expect("the speech has 16 bits a sample");
    samples.resize(samples.len().next_multiple_of(FRAME_SAMPLES), 0);
    samples
}

/// What is left of samples that travelled in `format` once: the best that can come back.
pub(super) fn travelled(samples: &[i16], format: MediaFormat) -> Vec<i16> {
    let rate = format.sample_rate();
    let (mut payload, mut left) = (Vec::new(), Vec::new());
    Encoder::new(format, rate, &opus::Settings::default())
        .and_then(|mut encoder| encoder.encode(samples, &mut payload))
        .and_then(|_| Decoder::new(format, rate)?.decode(&payload, &mut left))
        .expect("the formats of the demo have frames of any length");
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::find_offset;

    #[test]
    fn the_speech_is_five_seconds_in_whole_frames_and_not_silent() {
        let speech = speech();
        assert_eq!(speech.len(), 248 * FRAME_SAMPLES);
        assert!(speech.iter().any(|sample| sample.unsigned_abs() > 10_000));
    }

    #[test]
    fn a_second_trip_through_a_codec_changes_nothing_more() {
        let speech = speech();
        assert_eq!(travelled(&speech, MediaFormat::Slin(RATE)), speech);
        for format in [MediaFormat::Ulaw, MediaFormat::Alaw] {
            let once = travelled(&speech, format);
            assert_ne!(once, speech);
            assert_eq!(travelled(&once, format), once);
            assert!(find_offset(&speech, &once, 0..=0).coefficient > 0.99);
        }
    }
}
