use super::{Context, Processor, ProcessorFactory, Setup};
use crate::audio::{AudioFrame, Position, SampleRate};
use crate::dsp::dtmf::DtmfDetector;
use crate::media::{Digit, DigitSource};

/// Silence that is put in the place of a gap, at most: enough to end a digit.
static GAP: [i16; 320] = [0; 320];

/// Makes processors that hear digits by their tones in the caller's audio.
#[derive(Clone, Copy, Debug, Default)]
pub struct DtmfFactory;

impl ProcessorFactory for DtmfFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let rate = setup.rate;
        Box::new(Dtmf { detector: DtmfDetector::new(rate), rate, end: None })
    }
}

/// Tells each digit when its tones have ended.
struct Dtmf {
    detector: DtmfDetector,
    rate: SampleRate,
    /// Where the latest frame ended.
    end: Option<Position>,
}

impl Dtmf {
    /// Lets it hear silence of that length, but for what is longer than 80 ms.
    fn feed_gap(&mut self, samples: u64, cx: &mut Context<'_>) {
        let mut gap = samples.min(u64::from(self.rate.hz() / 12)) as usize;
        while gap > 0 {
            let piece = gap.min(GAP.len());
            self.feed(&GAP[..piece], cx);
            gap -= piece;
        }
    }

    fn feed(&mut self, samples: &[i16], cx: &mut Context<'_>) {
        let rate = self.rate;
        self.detector.feed(samples, |found| {
            let duration = Some(rate.duration_of(found.samples));
            cx.digit(Digit { key: found.key, source: DigitSource::Inband, duration });
        });
    }
}

impl Processor for Dtmf {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let gap = self.end.map_or(0, |end| frame.position.0.saturating_sub(end.0));
        self.end = Some(frame.end());
        self.feed_gap(gap, cx);
        self.feed(frame.samples, cx);
    }

    fn switched(&mut self, on: bool, cx: &mut Context<'_>) {
        if !on {
            self.feed_gap(u64::MAX, cx);
        }
    }
}
