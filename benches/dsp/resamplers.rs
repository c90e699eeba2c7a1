//! Our resampler and the others, behind one face.

use std::cell::RefCell;

use audio_codec::BoxedResampler;
use dasp::interpolate::{Interpolator, linear::Linear, sinc::Sinc};
use dasp::ring_buffer::Fixed;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};
use sidetone::audio::SampleRate;
use sidetone::dsp::resample::{Quality, Resampler};

#[cfg(feature = "bench-peers")]
use crate::native::{Soxr, Speex};

/// Samples of one call's 20 ms.
pub(crate) const fn frame_samples(rate: SampleRate) -> usize {
    rate.hz() as usize / 50
}

/// Room for what a resampler may answer at once: soxr holds back several frames.
pub(crate) const ROOM_FRAMES: usize = 16;

/// A place for what a resampler to the rate `to` answers.
pub(crate) fn room(to: SampleRate) -> Vec<i16> {
    vec![0; ROOM_FRAMES * frame_samples(to)]
}

/// Frames that dasp's sinc looks at.
const DASP_SINC_FRAMES: usize = 64;

/// A streaming resampler from 16-bit samples to 16-bit samples.
pub(crate) trait Resample {
    /// Resamples a frame of 20 ms into `output`, which is a [`room`]. Answers how many samples of
    /// it are meant.
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize;
}

/// Which resampler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Sidetone(Quality),
    #[cfg(feature = "bench-peers")]
    Speex(u8),
    #[cfg(feature = "bench-peers")]
    Soxr(Recipe),
    AudioCodec,
    RubatoFft,
    DaspSinc,
    DaspLinear,
}

/// soxr's quality.
#[cfg(feature = "bench-peers")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recipe {
    High = 4,
    VeryHigh = 6,
}

impl Kind {
    /// Those that are compared at a quality, ours first. Not all are in every row: see
    /// [`Self::takes_its_time`].
    pub(crate) fn field(quality: Quality) -> Vec<Self> {
        let mut field = vec![Self::Sidetone(quality)];
        #[cfg(feature = "bench-peers")]
        field.extend(match quality {
            Quality::Voice => [Self::Speex(5), Self::Soxr(Recipe::High)],
            Quality::High => [Self::Speex(10), Self::Soxr(Recipe::VeryHigh)],
        });
        if quality == Quality::Voice {
            field.extend([Self::AudioCodec, Self::RubatoFft, Self::DaspLinear, Self::DaspSinc]);
        }
        field
    }

    /// So slow that to measure it between all rates would take longer than all others together.
    pub(crate) fn takes_its_time(self) -> bool {
        self == Self::DaspSinc
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Sidetone(Quality::Voice) => "sidetone voice".to_owned(),
            Self::Sidetone(Quality::High) => "sidetone high".to_owned(),
            #[cfg(feature = "bench-peers")]
            Self::Speex(quality) => format!("speexdsp q{quality}"),
            #[cfg(feature = "bench-peers")]
            Self::Soxr(Recipe::High) => "soxr HQ".to_owned(),
            #[cfg(feature = "bench-peers")]
            Self::Soxr(Recipe::VeryHigh) => "soxr VHQ".to_owned(),
            Self::AudioCodec => "audio-codec".to_owned(),
            Self::RubatoFft => "rubato Fft".to_owned(),
            Self::DaspSinc => "dasp Sinc".to_owned(),
            Self::DaspLinear => "dasp Linear".to_owned(),
        }
    }

    pub(crate) fn build(self, from: SampleRate, to: SampleRate) -> Box<dyn Resample> {
        match self {
            Self::Sidetone(quality) => Box::new(Resampler::new(from, to, quality)),
            #[cfg(feature = "bench-peers")]
            Self::Speex(quality) => Box::new(Speex::new(from, to, quality.into())),
            #[cfg(feature = "bench-peers")]
            Self::Soxr(recipe) => Box::new(Soxr::new(from, to, recipe as _)),
            Self::AudioCodec => Box::new(AudioCodec::new(from, to)),
            Self::RubatoFft => Box::new(Rubato::new(from, to)),
            Self::DaspSinc => {
                Box::new(Dasp::new(Sinc::new(Fixed::from([0.0; DASP_SINC_FRAMES])), from, to))
            }
            Self::DaspLinear => Box::new(Dasp::new(Linear::new(0.0, 0.0), from, to)),
        }
    }

    /// A new resampler as a function from frame to samples.
    pub(crate) fn function(
        self,
        from: SampleRate,
        to: SampleRate,
    ) -> impl FnMut(&[i16]) -> Vec<i16> {
        let (mut resampler, mut output) = (self.build(from, to), room(to));
        move |input| {
            let made = resampler.process(input, &mut output);
            output[..made].to_vec()
        }
    }
}

impl Resample for Resampler {
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize {
        Self::process(self, input, output);
        output.len()
    }
}

struct AudioCodec(BoxedResampler);

impl AudioCodec {
    fn new(from: SampleRate, to: SampleRate) -> Self {
        let resampler = BoxedResampler::new(from.hz() as usize, to.hz() as usize);
        Self(resampler.expect("rates above 0"))
    }
}

impl Resample for AudioCodec {
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize {
        self.0.resample_into(input, output).expect("there is room")
    }
}

/// rubato works with floats: the conversions are part of its time.
struct Rubato(Fft<f32>);

thread_local! {
    /// The frame that goes into rubato and the one that comes out, for all calls.
    static FLOATS: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

impl Rubato {
    fn new(from: SampleRate, to: SampleRate) -> Self {
        let (from_hz, to_hz) = (from.hz() as usize, to.hz() as usize);
        let frame = frame_samples(from);
        // A frame at once: rubato's own choice cuts long frames into shorter blocks, which costs
        // it much of the voice's band on the way down.
        let window = WindowFunction::BlackmanHarris2;
        let resampler = Fft::new_custom(from_hz, to_hz, frame, 1, 1, window, FixedSync::Input);
        Self(resampler.expect("rates above 0"))
    }
}

impl Resample for Rubato {
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize {
        FLOATS.with_borrow_mut(|[before, after]| {
            before.resize(input.len(), 0.0);
            for (to, &from) in before.iter_mut().zip(input) {
                *to = f32::from(from);
            }
            let room = self.0.output_frames_max();
            after.resize(room, 0.0);
            let source = InterleavedSlice::new(before, 1, input.len()).expect("it has that size");
            let mut target = InterleavedSlice::new_mut(after, 1, room).expect("it has that size");
            let result = self.0.process_into_buffer(&source, &mut target, None);
            let (_, made) = result.expect("buffers of the right size");
            for (to, from) in output.iter_mut().zip(&after[..made]) {
                // Saturates.
                *to = from.round_ties_even() as i16;
            }
            made
        })
    }
}

/// One of dasp's interpolators, driven as its `signal::interpolate::Converter` does, which takes
/// its input from an iterator that may not run dry between frames.
struct Dasp<I> {
    interpolator: I,
    /// Where the next output lies after the interpolator's left sample, in input samples.
    place: f64,
    step: f64,
}

impl<I> Dasp<I> {
    fn new(interpolator: I, from: SampleRate, to: SampleRate) -> Self {
        let step = f64::from(from.hz()) / f64::from(to.hz());
        Self { interpolator, place: 0.0, step }
    }
}

impl<I: Interpolator<Frame = f64>> Resample for Dasp<I> {
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize {
        let output = output.as_mut_slice();
        let mut made = 0;
        for &sample in input {
            self.interpolator.next_source_frame(f64::from(sample));
            while self.place < 1.0 {
                output[made] = self.interpolator.interpolate(self.place).round() as i16;
                made += 1;
                self.place += self.step;
            }
            self.place -= 1.0;
        }
        made
    }
}
