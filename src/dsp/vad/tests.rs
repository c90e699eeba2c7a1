//! What every detector promises, and how the frames of calls are cut for them.

use super::*;
use crate::dsp::random::Random;

const RATE: SampleRate = SampleRate::HZ_8000;

/// Five seconds of speech at 8 kHz, behind a header of 44 bytes.
pub(super) fn speech() -> Vec<i16> {
    let wav = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/speech-8k.wav"));
    wav[44..].as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect()
}

/// White noise of that root mean square.
fn noise(rms: f64, samples: usize) -> Vec<i16> {
    let mut random = Random(5);
    // A value that is uniform between ±1 has a root mean square of 1/√3.
    (0..samples).map(|_| (rms * 3_f64.sqrt() * (2.0 * random.unit() - 1.0)) as i16).collect()
}

fn scores(kind: DetectorKind, rate: SampleRate, pieces: &[&[i16]]) -> Vec<Score> {
    let mut scorer = Scorer::new(kind.build(rate), rate);
    let mut scores = Vec::new();
    pieces.iter().for_each(|piece| scorer.push(piece, |score| scores.push(score)));
    scores
}

/// Of the frames whose middle lies there, how many are told to be speech.
fn share(scores: &[Score], range: std::ops::Range<usize>) -> f64 {
    let inside = |score: &&Score| range.contains(&((score.begin + score.end) as usize / 2));
    let inside: Vec<_> = scores.iter().filter(inside).collect();
    let told = inside.iter().filter(|score| score.speech >= 0.5).count();
    told as f64 / inside.len() as f64
}

#[test]
fn every_detector_tells_speech_from_the_noise_before_it() {
    let speech = speech();
    // 3 s of noise of −54 dBov, speech of −20 dBov in it, noise again.
    let quiet = 24_000;
    let mut samples = noise(65.0, 2 * quiet + speech.len());
    for (sample, speech) in samples[quiet..].iter_mut().zip(&speech) {
        *sample = sample.saturating_add(*speech);
    }
    for (word, kind) in DetectorKind::WORDS {
        let scores = scores(kind, RATE, &[&samples]);
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(&score.speech)));
        // The fixture pauses for a tenth of its time.
        let told = share(&scores, quiet..quiet + speech.len());
        assert!(told > 0.7, "{word}: {told} of the speech");
        // Half a second for what lasts longer than the speech.
        for other in [8_000..quiet, quiet + speech.len() + 4_000..samples.len()] {
            let told = share(&scores, other);
            assert!(told < 0.05, "{word}: {told} of the noise");
        }
    }
}

#[test]
fn how_a_call_is_cut_into_pieces_does_not_matter() {
    let speech = speech();
    for (word, kind) in DetectorKind::WORDS {
        for rate in [RATE, SampleRate::HZ_48000] {
            let whole = scores(kind, rate, &[&speech]);
            for length in [80, 161, 1_000] {
                let pieces: Vec<&[i16]> = speech.chunks(length).collect();
                assert_eq!(scores(kind, rate, &pieces), whole, "{word}, pieces of {length}");
            }
        }
    }
}

#[test]
fn frames_follow_each_other_and_are_as_long_as_the_detector_wants() {
    let silence = vec![0; 48_000];
    for (kind, rate, length) in [
        (DetectorKind::Silero, RATE, 256),
        (DetectorKind::Silero, SampleRate::HZ_48000, 1_536),
        (DetectorKind::Earshot, RATE, 128),
        (DetectorKind::Energy, SampleRate::HZ_16000, 160),
    ] {
        let scores = scores(kind, rate, &[&silence]);
        assert_eq!(scores[0].begin, 0);
        assert!(scores.windows(2).all(|pair| pair[0].end == pair[1].begin));
        assert!(scores[1..].iter().all(|score| score.end - score.begin == length));
        // All but what waits for more, in the frame and in the resampler.
        let end = scores.last().expect("there are many").end;
        assert!(silence.len() as u64 - end < 3 * length, "{kind:?} at {rate}: up to {end}");
    }
}

#[test]
fn a_resampled_frame_lies_where_its_audio_does() {
    // Silence and then noise, whose begin shows in the scores of frames of 10 ms at the call's own
    // rate, and in those of a detector at another rate a frame of its own later at most.
    for rate in [RATE, SampleRate::HZ_16000, SampleRate::HZ_44100] {
        let second = rate.hz() as usize;
        let mut samples = vec![0; second];
        samples.extend(noise(2_000.0, second));
        let mut scorer = Scorer::new(Box::new(Loudness), rate);
        let mut begin = None;
        scorer.push(&samples, |score| {
            if score.speech > 0.0 {
                begin.get_or_insert(score);
            }
        });
        let Score { begin, end, .. } = begin.expect("noise is loud");
        // The resampler's filter sees some samples ahead.
        let ahead = second as u64 / 250;
        let onset = second as u64;
        assert!((begin..end + ahead).contains(&onset), "{begin} to {end} at {rate}");
    }
}

/// Takes what is not silent for speech, in frames of 10 ms at 8 kHz.
struct Loudness;

impl Detector for Loudness {
    fn rate(&self) -> SampleRate {
        RATE
    }

    fn frame_samples(&self) -> usize {
        80
    }

    fn detect(&mut self, frame: &[i16]) -> f32 {
        f32::from(u8::from(frame.iter().any(|sample| sample.unsigned_abs() > 50)))
    }

    fn reset(&mut self) {}
}

#[test]
fn a_detector_that_was_reset_is_a_new_one() {
    let speech = speech();
    for (word, kind) in DetectorKind::WORDS {
        let (mut used, mut new) = (kind.build(RATE), kind.build(RATE));
        let frames: Vec<&[i16]> = speech.chunks_exact(new.frame_samples()).collect();
        frames.iter().for_each(|frame| {
            used.detect(frame);
        });
        used.reset();
        for frame in &frames[..60] {
            assert_eq!(used.detect(frame), new.detect(frame), "{word}");
        }
    }
}

#[test]
fn auto_answers_what_silero_does_where_there_is_speech_and_nothing_in_silence() {
    let speech = speech();
    let silence = vec![1; 16_000];
    let pieces: [&[i16]; 2] = [&silence, &speech];
    let (auto, silero) =
        (scores(DetectorKind::Auto, RATE, &pieces), scores(DetectorKind::Silero, RATE, &pieces));
    let quiet = silence.len() / 256 - 1;
    assert!(auto[..quiet].iter().all(|score| score.speech == 0.0));
    assert!(silero[..quiet].iter().any(|score| score.speech > 0.0));
    // It has heard less silence, which fades from the memory.
    let open: Vec<_> = auto.iter().zip(&silero).filter(|(auto, _)| auto.speech > 0.0).collect();
    let off: f32 = open.iter().map(|(a, b)| (a.speech - b.speech).abs()).sum();
    assert!(open.len() > 100 && off / (open.len() as f32) < 0.03, "{off} in {} frames", open.len());
}
