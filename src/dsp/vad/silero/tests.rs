use super::*;
use crate::dsp::random::Random;
use crate::dsp::vad::tests::speech;

/// Signals of `fixtures/vad/export.py`, in its order.
fn signals() -> [Vec<i16>; 5] {
    let mut speech = speech();
    speech.truncate(speech.len() / FRAME * FRAME);
    let mut random = Random(1);
    let noise: Vec<i32> = speech.iter().map(|_| (random.bits() >> 48) as i32 - 32_768).collect();
    let limited = |value: i32| value.clamp(-32_768, 32_767) as i16;
    let noisy = speech.iter().zip(&noise).map(|(&s, n)| limited(i32::from(s) + (n >> 5)));
    [
        speech.clone(),
        noisy.collect(),
        speech.iter().map(|&sample| limited(8 * i32::from(sample))).collect(),
        speech.iter().map(|sample| sample >> 6).collect(),
        noise.iter().map(|noise| limited(noise >> 3)).collect(),
    ]
}

/// What onnxruntime made of them: a probability for each frame, and the memory after the last.
fn vectors() -> (Vec<f32>, Vec<f32>) {
    let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vad/vectors.f32"));
    let mut values: Vec<f32> =
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let memory = values.split_off(values.len() - 2 * WIDTH);
    (values, memory)
}

/// The largest difference from the vectors.
fn largest_difference(level: Level) -> f32 {
    let (probabilities, memory) = vectors();
    let mut expected = probabilities.iter();
    let mut detector = Silero::with_level(level);
    let mut largest = 0.0_f32;
    for signal in signals() {
        detector.reset();
        for frame in signal.chunks_exact(FRAME) {
            let expected = expected.next().expect("a vector for each frame");
            largest = largest.max((detector.detect(frame) - expected).abs());
        }
    }
    assert_eq!((expected.len(), probabilities.len()), (0, 770));
    let State { hidden, cell, .. } = &detector.state;
    for (actual, expected) in hidden.iter().chain(cell).zip(&memory) {
        largest = largest.max((actual - expected).abs());
    }
    largest
}

#[test]
fn every_level_answers_what_onnxruntime_does() {
    for level in Level::available() {
        let largest = largest_difference(level);
        assert!(largest < 1e-5, "{level:?} is off by {largest}");
    }
}

#[test]
fn a_detector_that_was_reset_has_heard_nothing() {
    let signals = signals();
    let mut used = Silero::new();
    signals[1].chunks_exact(FRAME).for_each(|frame| {
        used.detect(frame);
    });
    used.reset();
    let mut new = Silero::new();
    for frame in signals[0].chunks_exact(FRAME).take(20) {
        assert_eq!(used.detect(frame).to_bits(), new.detect(frame).to_bits());
    }
}

#[test]
fn a_call_remembers_little() {
    assert!(size_of::<Silero>() < 1_200, "{} bytes", size_of::<Silero>());
}
