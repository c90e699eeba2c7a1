//! What is listened to: speech with pauses, at a level, and which parts of it are speech.

use std::fs;
use std::path::{Path, PathBuf};

use sidetone::audio::SampleRate;
use sidetone::dsp::g711;
use sidetone::dsp::random::Random;
use sidetone::dsp::resample::{Quality, Resampler};

/// The rate of telephone calls, at which everything is compared.
pub(crate) const NARROW: SampleRate = SampleRate::HZ_8000;

/// Mean level of what is speech, dBov.
const LEVEL_DBOV: f64 = -26.0;
/// A cell is loud where it is less than this below that level.
const LOUD_DB: f64 = 30.0;
/// Loud cells with no more than so many others between them belong together: 200 ms.
const BRIDGED: usize = 20;
/// What belongs together is speech where it has at least so many cells: 50 ms.
const LEAST: usize = 5;

/// Length of a track.
const TRACK_SECONDS: usize = 60;

/// A minute of one voice.
#[derive(Clone)]
pub(crate) struct Track {
    pub(crate) name: String,
    pub(crate) rate: SampleRate,
    pub(crate) samples: Vec<i16>,
    /// Whether each cell, a piece of 10 ms, is speech.
    pub(crate) labels: Vec<bool>,
}

/// A voice: a folder, and which of its files.
struct Voice {
    name: String,
    files: Vec<PathBuf>,
}

/// Every track; those of Asterisk's prompts, which are narrow, at 8 kHz only. At each rate pauses
/// and sentences are the same.
///
/// # Panics
/// Where the files are not there: `benches/setup.sh speech` fetches them.
pub(crate) fn tracks(root: &Path, rate: SampleRate) -> Vec<Track> {
    let mut seed = 11;
    let voices = voices(root).into_iter().map(|voice| {
        seed += 1;
        (voice, Random(seed))
    });
    let is_wide = |voice: &Voice| voice.files[0].starts_with(root.join("target/vad/espeak"));
    let voices = voices.filter(|(voice, _)| rate == NARROW || is_wide(voice));
    voices.map(|(voice, mut random)| track(voice, rate, &mut random)).collect()
}

fn voices(root: &Path) -> Vec<Voice> {
    let prompts = root.join("target/vad/prompts/usr/share/asterisk/sounds");
    let mut voices: Vec<Voice> = sorted(&prompts)
        .into_iter()
        .map(|folder| Voice { name: name_of(&folder), files: sorted(&folder) })
        .collect();
    let mut spoken: Vec<Voice> = Vec::new();
    for file in sorted(&root.join("target/vad/espeak")) {
        let name = name_of(&file);
        let name = name.rsplit_once('-').map_or(name.as_str(), |(voice, _)| voice);
        match spoken.last_mut().filter(|voice| voice.name == name) {
            Some(voice) => voice.files.push(file),
            None => spoken.push(Voice { name: name.to_owned(), files: vec![file] }),
        }
    }
    voices.extend(spoken);
    voices
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("benches/setup.sh speech has fetched it");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_stem().expect("a file").to_string_lossy().into_owned()
}

/// A voice's files in an order by chance, with pauses of 0.4 to 3 s between them.
fn track(voice: Voice, rate: SampleRate, random: &mut Random) -> Track {
    let Voice { name, mut files } = voice;
    files.retain(|file| is_speech(file));
    let length = TRACK_SECONDS * rate.hz() as usize;
    let mut samples: Vec<i16> = Vec::with_capacity(length);
    while samples.len() < length {
        let pause = 0.4 + 2.6 * random.unit();
        samples.resize(samples.len() + (pause * f64::from(rate.hz())) as usize, 0);
        let file = &files[(random.unit() * files.len() as f64) as usize];
        samples.extend(trimmed(&read(file, rate)));
    }
    samples.truncate(length);
    Track::new(name, rate, samples)
}

/// Asterisk's prompts have tones among them, and words of a fraction of a second.
fn is_speech(file: &Path) -> bool {
    let name = name_of(file);
    let tones = ["beep", "tone", "silence", "tt-monkeys", "ascending", "descending"];
    let has_length = || {
        let reader = hound::WavReader::open(file).expect("a WAV file");
        f64::from(reader.duration()) / f64::from(reader.spec().sample_rate) > 0.35
    };
    file.extension().is_some_and(|extension| extension == "wav")
        && !tones.iter().any(|tone| name.contains(tone))
        && has_length()
}

/// A file's samples at `rate`.
pub(crate) fn read(file: &Path, rate: SampleRate) -> Vec<i16> {
    let mut reader = hound::WavReader::open(file).expect("a WAV file");
    let from = SampleRate::try_from(reader.spec().sample_rate).expect("a rate of ours");
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let mut resampled = Vec::new();
    Resampler::new(from, rate, Quality::High).process(&samples, &mut resampled);
    resampled
}

/// Without the quiet at both ends, which would blur the pauses.
fn trimmed(samples: &[i16]) -> &[i16] {
    let is_audible = |sample: &i16| sample.unsigned_abs() > 100;
    let begin = samples.iter().position(is_audible).unwrap_or(0);
    let end = samples.iter().rposition(is_audible).map_or(samples.len(), |last| last + 1);
    &samples[begin.min(end)..end]
}

/// Brings what is speech to its level; answers which cells are loud.
///
/// The level hangs on what is loud, and that on the level: three rounds settle it.
fn to_level(samples: &mut [i16], cell: usize) -> Vec<bool> {
    let powers: Vec<f64> = samples.chunks_exact(cell).map(power).collect();
    let mut mean = powers.iter().sum::<f64>() / powers.len() as f64;
    for _ in 0..3 {
        let least = mean * 10_f64.powf(-LOUD_DB / 10.0);
        let loud: Vec<f64> = powers.iter().copied().filter(|&power| power > least).collect();
        mean = loud.iter().sum::<f64>() / loud.len() as f64;
    }
    let least = mean * 10_f64.powf(-LOUD_DB / 10.0);
    let gain = (10_f64.powf(LEVEL_DBOV / 10.0) * 32_768_f64.powi(2) / mean).sqrt();
    for sample in samples.iter_mut() {
        *sample = limited(f64::from(*sample) * gain);
    }
    powers.iter().map(|&power| power > least).collect()
}

/// Which cells are speech.
fn labels(loud: &[bool]) -> Vec<bool> {
    let mut labels = vec![false; loud.len()];
    let mut n = 0;
    while n < loud.len() {
        if !loud[n] {
            n += 1;
            continue;
        }
        let (begin, mut end) = (n, n + 1);
        while n < loud.len() && n <= end + BRIDGED {
            if loud[n] {
                end = n + 1;
            }
            n += 1;
        }
        if end - begin >= LEAST {
            labels[begin..end].fill(true);
        }
        n = n.max(end);
    }
    labels
}

/// Mean square.
fn power(samples: &[i16]) -> f64 {
    let squares = samples.iter().map(|&sample| f64::from(sample).powi(2));
    squares.sum::<f64>() / samples.len().max(1) as f64
}

fn limited(value: f64) -> i16 {
    value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

impl Track {
    /// Speech with silence between, brought to its level.
    pub(crate) fn new(name: String, rate: SampleRate, mut samples: Vec<i16>) -> Self {
        let loud = to_level(&mut samples, rate.hz() as usize / 100);
        Self { name, rate, labels: labels(&loud), samples }
    }

    /// Samples of a cell.
    pub(crate) fn cell(&self) -> usize {
        self.rate.hz() as usize / 100
    }

    /// The track with noise, so much below the level of its speech; at 8 kHz over the telephone:
    /// µ-law.
    pub(crate) fn heard(&self, noise: Option<(&[f64], f64)>) -> Vec<i16> {
        let level = 10_f64.powf(LEVEL_DBOV / 20.0) * 32_768.0;
        let mut mixed: Vec<i16> = match noise {
            None => self.samples.clone(),
            Some((noise, snr_db)) => {
                let gain = level * 10_f64.powf(-snr_db / 20.0);
                let sums = self.samples.iter().zip(noise.iter().cycle());
                sums.map(|(&sample, noise)| limited(f64::from(sample) + gain * noise)).collect()
            }
        };
        if self.rate == NARROW {
            let mut codes = vec![0; mixed.len()];
            g711::ulaw_encode(&mixed, &mut codes);
            g711::ulaw_decode(&codes, &mut mixed);
        }
        mixed
    }

    /// The pieces of speech: their first cell, and the one behind their last.
    pub(crate) fn pieces(&self) -> Vec<(usize, usize)> {
        let mut pieces = Vec::new();
        let mut begin = None;
        for (n, &label) in self.labels.iter().chain([&false]).enumerate() {
            match (label, begin) {
                (true, None) => begin = Some(n),
                (false, Some(first)) => {
                    pieces.push((first, n));
                    begin = None;
                }
                _ => {}
            }
        }
        pieces
    }
}
