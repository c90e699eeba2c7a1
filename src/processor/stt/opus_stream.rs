use super::encoder::Encoded;
use crate::audio::{Ptime, SampleRate};
use crate::dsp::opus;

/// What one packet holds.
pub(super) const PACKET: Ptime = Ptime::MS_20;

/// As for calls, with less computation, for there may be a stream for each call, and without
/// redundancy, for a WebSocket loses nothing.
///
/// Measured with libopus 1.3.1 on an Intel Xeon, of `fixtures/speech-16k.wav`: complexity 0 takes
/// 47 µs for a packet, 5 takes 113 µs; what is lost, beside the same speech at 80 kbit/s and
/// complexity 10, leaves an SNR of 18 dB and 20 dB. At 24 kbit/s complexity 0 leaves 15 dB, and
/// takes 46 µs. Of `fixtures/speech-8k.wav` complexity 0 takes 28 µs, and leaves 24 dB as 5 does.
const SETTINGS: opus::Settings = opus::Settings {
    bitrate_bps: 32_000,
    complexity: 0,
    fec: false,
    dtx: false,
    expected_loss_percent: 0,
};

/// The Opus packets of one connection, each of 20 ms.
///
/// A decoder puts out what was encoded [`Self::delay_samples`] later, so that the last samples come
/// out with the packet behind theirs, or with the padding of their own.
#[derive(Debug)]
pub(super) struct OpusStream {
    encoder: opus::Encoder,
    /// One packet's samples.
    frame: Box<[i16]>,
    delay_samples: usize,
    /// Samples whose sound is in no packet yet.
    held_samples: usize,
}

impl OpusStream {
    /// A stream of this rate. Allocates.
    ///
    /// # Panics
    /// Where the rate is none of Opus.
    pub(super) fn new(rate: SampleRate) -> Self {
        let encoder =
            opus::Encoder::new(rate, &SETTINGS).expect("one of Opus' rates, settings in range");
        let frame = vec![0; PACKET.samples(rate)].into_boxed_slice();
        let delay_samples = encoder.output_delay();
        Self { encoder, frame, delay_samples, held_samples: 0 }
    }

    /// By how many samples what a decoder puts out is later than what was encoded.
    pub(super) fn delay_samples(&self) -> usize {
        self.delay_samples
    }

    /// The packet of these samples, with silence behind them where they do not fill it. Allocates.
    ///
    /// # Panics
    /// Where they do not fit.
    pub(super) fn encode(&mut self, samples: &[i16]) -> Encoded {
        let (audio, padding) = self.frame.split_at_mut(samples.len());
        audio.copy_from_slice(samples);
        padding.fill(0);
        let padding_samples = padding.len();
        self.held_samples = self.delay_samples.saturating_sub(padding_samples);
        let mut bytes = Vec::new();
        let _ = self.encoder.encode(&self.frame, &mut bytes).expect("20 ms are a frame of Opus");
        Encoded { bytes, padding_samples }
    }

    /// A packet of silence that brings what is held back, if anything is. Allocates.
    pub(super) fn flush(&mut self) -> Option<Encoded> {
        (self.held_samples > 0).then(|| self.encode(&[]))
    }
}
