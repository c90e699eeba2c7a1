use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use hound::{SampleFormat, WavReader};

use crate::audio::SampleRate;
use crate::dsp::resample::{Quality, Resampler};
use crate::processor::player::PromptError;

/// Bytes of a sample in memory.
const SAMPLE_BYTES: u64 = 2;

/// Reads the WAV file `name` below `root` and turns it into mono at `rate`.
pub(super) fn read(
    root: Option<&Path>,
    name: &str,
    rate: SampleRate,
    most_bytes: u64,
) -> Result<Vec<i16>, PromptError> {
    let unreadable = |reason: String| PromptError::Unreadable { name: name.to_owned(), reason };
    let path = find(root, name)?;
    // Whatever else there is with a name, such as a pipe, could keep the thread waiting.
    if !fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?.is_file() {
        return Err(unreadable("it is no file".to_owned()));
    }
    let file = File::open(&path).map_err(|error| unreadable(error.to_string()))?;
    let reader =
        WavReader::new(BufReader::new(file)).map_err(|error| unreadable(error.to_string()))?;
    let spec = reader.spec();
    let steps = steps(spec.sample_rate, rate).ok_or_else(|| PromptError::Rate {
        name: name.to_owned(),
        actual_hz: spec.sample_rate,
        wanted: rate,
    })?;
    let frames = u64::from(reader.duration());
    let longest = steps.iter().map(|(from, to)| (u64::from(from.hz()), u64::from(to.hz())));
    let (mut length, mut need) = (frames, frames * SAMPLE_BYTES);
    for (from, to) in longest {
        length = length.saturating_mul(to) / from;
        need = need.max(length.saturating_mul(SAMPLE_BYTES));
    }
    if need > most_bytes {
        return Err(PromptError::TooLarge { name: name.to_owned(), need, have: most_bytes });
    }
    let mono = mono(reader).map_err(|error| unreadable(error.to_string()))?;
    Ok(steps.into_iter().fold(mono, |samples, (from, to)| resampled(&samples, from, to)))
}

/// Where the file is, once links are followed.
fn find(root: Option<&Path>, name: &str) -> Result<PathBuf, PromptError> {
    let root = root.ok_or_else(|| PromptError::NoRoot { name: name.to_owned() })?;
    let outside = || PromptError::Outside { name: name.to_owned() };
    let relative = Path::new(name);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if name.is_empty() || !relative.components().all(is_plain) {
        return Err(outside());
    }
    let real = |path: &Path| {
        path.canonicalize().map_err(|error| PromptError::Unreadable {
            name: name.to_owned(),
            reason: error.to_string(),
        })
    };
    let (root, path) = (real(root)?, real(&root.join(relative))?);
    if path.starts_with(&root) { Ok(path) } else { Err(outside()) }
}

/// Every frame as the mean of its channels.
fn mono(mut reader: WavReader<BufReader<File>>) -> hound::Result<Vec<i16>> {
    let spec = reader.spec();
    let channels = usize::from(spec.channels.max(1));
    let mut samples = Vec::with_capacity(reader.duration() as usize);
    let mut sum = 0.0;
    let mut take = |n: usize, sample: f64| {
        sum += sample;
        if (n + 1).is_multiple_of(channels) {
            samples.push((sum / channels as f64).round().clamp(-32_768.0, 32_767.0) as i16);
            sum = 0.0;
        }
    };
    match spec.sample_format {
        SampleFormat::Float => {
            for (n, sample) in reader.samples::<f32>().enumerate() {
                take(n, f64::from(sample?) * 32_768.0);
            }
        }
        SampleFormat::Int => {
            let scale = 2_f64.powi(16 - i32::from(spec.bits_per_sample));
            for (n, sample) in reader.samples::<i32>().enumerate() {
                take(n, f64::from(sample?) * scale);
            }
        }
    }
    Ok(samples)
}

/// Resamplers that turn `from_hz` into `to`, one after the other. There are some for the rates of
/// calls; what they do depends on the ratio only, so that they serve other rates as well.
fn steps(from_hz: u32, to: SampleRate) -> Option<Vec<(SampleRate, SampleRate)>> {
    if from_hz == to.hz() {
        return Some(Vec::new());
    }
    let pairs = || {
        SampleRate::ALL.into_iter().flat_map(|a| SampleRate::ALL.into_iter().map(move |b| (a, b)))
    };
    let as_one = |from_hz: u32, to: SampleRate| {
        pairs().find(|(a, b)| {
            u64::from(a.hz()) * u64::from(to.hz()) == u64::from(b.hz()) * u64::from(from_hz)
        })
    };
    if let Some(step) = as_one(from_hz, to) {
        return Some(vec![step]);
    }
    // By way of a rate that lies above, so that nothing is lost.
    let by_way_of = |middle: &SampleRate| middle.hz() > from_hz;
    let mut middles = SampleRate::ALL.into_iter().filter(by_way_of);
    middles.find_map(|middle| Some(vec![as_one(from_hz, middle)?, (middle, to)]))
}

/// All of it at another rate, in its place.
fn resampled(samples: &[i16], from: SampleRate, to: SampleRate) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to, Quality::High);
    let delay = resampler.output_delay();
    let wanted = (samples.len() as u64 * u64::from(to.hz())).div_ceil(u64::from(from.hz()));
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let (mut out, mut tail) = (Vec::new(), Vec::new());
    resampler.process(samples, &mut out);
    while out.len() < wanted + delay {
        resampler.process(&[0; 160], &mut tail);
        out.extend_from_slice(&tail);
    }
    out.truncate(wanted + delay);
    out.drain(..delay);
    out
}
