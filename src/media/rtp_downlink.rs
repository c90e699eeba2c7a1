use super::{MediaSettings, Packetizer, PacketizerSeed, SilencePolicy};
use crate::audio::{MediaFormat, SampleRate};
use crate::dsp::codec::Encoder;
use crate::dsp::opus::Encoded;
use crate::dsp::resample::{Quality, Resampler};

/// What we send over RTP: the call's samples, in the format in which they are returned.
#[derive(Debug)]
pub(super) struct RtpDownlink {
    rate: SampleRate,
    returned: MediaFormat,
    /// Where the returned format has another rate than the call.
    resampler: Option<Box<(Resampler, Vec<i16>)>>,
    encoder: Encoder,
    packetizer: Packetizer,
    silence: SilencePolicy,
    /// Filter or codec give out what they take in only with the frame after it.
    delays: bool,
    /// They still hold the end of what was audible.
    holds_a_tail: bool,
}

impl RtpDownlink {
    /// The downlink of a call in `format` whose samples have `rate`.
    ///
    /// # Panics
    /// Where the settings of Opus are out of range.
    pub(super) fn new(
        format: MediaFormat,
        rate: SampleRate,
        settings: &MediaSettings,
        seed: PacketizerSeed,
    ) -> Self {
        let returned = settings.return_format.of(format, rate);
        let wire_rate = settings.rate_of(returned);
        let resampler = || Box::new((Resampler::new(rate, wire_rate, Quality::Voice), Vec::new()));
        let encoder = Encoder::new(returned, wire_rate, &settings.opus.encoder)
            .expect("the settings of Opus are in range");
        Self {
            rate,
            returned,
            resampler: (wire_rate != rate).then(resampler),
            delays: wire_rate != rate || encoder.output_delay() > 0,
            encoder,
            packetizer: Packetizer::new(returned, seed),
            silence: settings.silence,
            holds_a_tail: false,
        }
    }

    /// Writes the packet of one frame into `out`; false where none needs to be sent.
    pub(super) fn send(&mut self, samples: &[i16], audible: bool, out: &mut Vec<u8>) -> bool {
        let ticks = self.ticks(samples.len());
        if !audible && !self.holds_a_tail && self.silence == SilencePolicy::Suppress {
            self.packetizer.pause(ticks);
            return false;
        }
        self.holds_a_tail = audible && self.delays;
        let samples = match self.resampler.as_deref_mut() {
            Some((resampler, resampled)) => {
                resampler.process(samples, resampled);
                resampled
            }
            None => samples,
        };
        out.clear();
        out.extend_from_slice(&self.packetizer.header());
        match self.encoder.encode_behind(samples, out) {
            Ok(Encoded::Send) => {
                self.packetizer.sent(ticks);
                true
            }
            Ok(Encoded::Silence) => {
                self.packetizer.pause(ticks);
                false
            }
            Err(error) => unreachable!("every codec has frames of 20 ms: {error}"),
        }
    }

    /// Lets the time of `samples` pass for which nothing was sent although it should have been.
    pub(super) fn skip(&mut self, samples: usize) {
        self.packetizer.skip(self.ticks(samples));
    }

    /// Ticks of our own RTP clock in so many samples of the call.
    fn ticks(&self, samples: usize) -> u32 {
        let clock = u64::from(self.returned.clock_rate().hz());
        let ticks = samples as u64 * clock / u64::from(self.rate.hz());
        // What is skipped after a stall may be longer than the clock's circle.
        (ticks & u64::from(u32::MAX)) as u32
    }
}
