//! The detectors that are compared.

use sidetone::dsp::vad::{Detector, DetectorKind, Score, Scorer};

use crate::corpus::NARROW;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contender {
    Energy,
    Earshot,
    Silero,
    Auto,
    #[cfg(feature = "bench-peers")]
    WebrtcVad,
}

impl Contender {
    pub(crate) const ALL: &[Self] = &[
        Self::Energy,
        Self::Earshot,
        Self::Silero,
        Self::Auto,
        #[cfg(feature = "bench-peers")]
        Self::WebrtcVad,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Energy => "energy",
            Self::Earshot => "earshot",
            Self::Silero => "silero",
            Self::Auto => "auto",
            #[cfg(feature = "bench-peers")]
            Self::WebrtcVad => "webrtc-vad",
        }
    }

    /// Whether it says yes or no, without a likelihood.
    pub(crate) const fn is_yes_or_no(self) -> bool {
        #[cfg(feature = "bench-peers")]
        return matches!(self, Self::WebrtcVad);
        #[cfg(not(feature = "bench-peers"))]
        return false;
    }

    fn detector(self) -> Box<dyn Detector> {
        match self {
            Self::Energy => DetectorKind::Energy.build(NARROW),
            Self::Earshot => DetectorKind::Earshot.build(NARROW),
            Self::Silero => DetectorKind::Silero.build(NARROW),
            Self::Auto => DetectorKind::Auto.build(NARROW),
            #[cfg(feature = "bench-peers")]
            Self::WebrtcVad => Box::new(peer::WebrtcVad::new()),
        }
    }

    /// One call's worth of it.
    pub(crate) fn scorer(self) -> Scorer {
        Scorer::new(self.detector(), NARROW)
    }

    /// Scores of a whole track, which comes in frames of 20 ms.
    pub(crate) fn scores(self, samples: &[i16]) -> Vec<Score> {
        let mut scorer = self.scorer();
        let mut scores = Vec::new();
        for frame in samples.chunks(NARROW.hz() as usize / 50) {
            scorer.push(frame, |score| scores.push(score));
        }
        scores
    }
}

#[cfg(feature = "bench-peers")]
mod peer {
    use sidetone::audio::SampleRate;
    use sidetone::dsp::vad::Detector;
    use webrtc_vad::{Vad, VadMode};

    /// The crate `webrtc-vad`, which only says yes or no.
    pub(super) struct WebrtcVad(Vad);

    impl WebrtcVad {
        pub(super) fn new() -> Self {
            let rate = webrtc_vad::SampleRate::Rate8kHz;
            Self(Vad::new_with_rate_and_mode(rate, VadMode::Aggressive))
        }
    }

    // SAFETY: the state behind the pointer is its own, and nothing of it belongs to a thread.
    unsafe impl Send for WebrtcVad {}

    impl Detector for WebrtcVad {
        fn rate(&self) -> SampleRate {
            SampleRate::HZ_8000
        }

        fn frame_samples(&self) -> usize {
            160
        }

        fn detect(&mut self, frame: &[i16]) -> f32 {
            let is_speech = self.0.is_voice_segment(frame).expect("20 ms at 8 kHz are a frame");
            f32::from(u8::from(is_speech))
        }

        fn reset(&mut self) {
            self.0.reset();
        }
    }
}
