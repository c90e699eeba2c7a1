//! How well scores tell speech.

use sidetone::dsp::vad::Score;

use crate::corpus::Track;

/// Steps of the histograms from which the area below the curve is taken.
const STEPS: usize = 20_000;

/// Before a begin of speech so long nobody spoke: 300 ms.
const QUIET_CELLS: usize = 30;

/// An onset that was not told so long after it is missed: 1 s.
const PATIENCE_CELLS: usize = 100;

/// What was counted of any number of tracks.
#[derive(Clone)]
pub(crate) struct Tally {
    speech: Vec<u64>,
    other: Vec<u64>,
    /// Speech and other that was taken for speech.
    hits: u64,
    alarms: u64,
    /// From an onset to the end of the first frame that tells it, in milliseconds; missed ones are
    /// infinite.
    delays: Vec<f64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            speech: vec![0; STEPS + 1],
            other: vec![0; STEPS + 1],
            hits: 0,
            alarms: 0,
            delays: Vec::new(),
        }
    }
}

impl Tally {
    /// Takes a track's scores. Each cell has the score of the frame in which its middle lies.
    pub(crate) fn add(&mut self, track: &Track, scores: &[Score], threshold: f32) {
        let cell = track.cell();
        let mut frames = scores.iter();
        let mut frame = frames.next();
        let mut told = Vec::with_capacity(track.labels.len());
        for (n, &label) in track.labels.iter().enumerate() {
            let middle = (n * cell + cell / 2) as u64;
            while frame.is_some_and(|frame| frame.end <= middle) {
                frame = frames.next();
            }
            let Some(frame) = frame else { break };
            let step = (frame.speech.clamp(0.0, 1.0) * STEPS as f32) as usize;
            let is_told = frame.speech >= threshold;
            let (histogram, count) = match label {
                true => (&mut self.speech, &mut self.hits),
                false => (&mut self.other, &mut self.alarms),
            };
            histogram[step] += 1;
            *count += u64::from(is_told);
            told.push((is_told, frame.end));
        }
        for (begin, _) in track.pieces() {
            let is_quiet = begin >= QUIET_CELLS
                && begin + PATIENCE_CELLS < told.len()
                && !track.labels[begin - QUIET_CELLS..begin].contains(&true)
                // One that is told already is no onset that could be told late.
                && !told[begin - 1].0;
            if is_quiet {
                let patience = &told[begin..begin + PATIENCE_CELLS];
                let first = patience.iter().find(|(is_told, _)| *is_told);
                let onset = (begin * cell) as f64;
                self.delays.push(first.map_or(f64::INFINITY, |&(_, end)| {
                    1e3 * (end as f64 - onset) / f64::from(track.rate.hz())
                }));
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let add = |a: &mut Vec<u64>, b: &[u64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.speech, &other.speech);
        add(&mut self.other, &other.other);
        self.hits += other.hits;
        self.alarms += other.alarms;
        self.delays.extend_from_slice(&other.delays);
    }

    /// The area below the curve of hits over false alarms: how often a cell of speech has a higher
    /// score than another cell, ties by halves.
    pub(crate) fn area(&self) -> f64 {
        let (mut below, mut area) = (0.0, 0.0);
        for (&speech, &other) in self.speech.iter().zip(&self.other) {
            area += speech as f64 * (below + other as f64 / 2.0);
            below += other as f64;
        }
        area / (self.speech_cells() as f64 * below)
    }

    fn speech_cells(&self) -> u64 {
        self.speech.iter().sum()
    }

    /// Of the speech, how much was told.
    pub(crate) fn recall(&self) -> f64 {
        self.hits as f64 / self.speech_cells() as f64
    }

    /// Of what is no speech, how much was taken for it.
    pub(crate) fn false_positives(&self) -> f64 {
        self.alarms as f64 / self.other.iter().sum::<u64>() as f64
    }

    /// Of what was told, how much is speech.
    pub(crate) fn precision(&self) -> f64 {
        self.hits as f64 / (self.hits + self.alarms).max(1) as f64
    }

    /// A quantile of the delays from an onset until it is told, in milliseconds.
    pub(crate) fn onset_ms(&self, quantile: f64) -> f64 {
        let mut delays = self.delays.clone();
        delays.sort_by(f64::total_cmp);
        let place = (quantile * delays.len() as f64) as usize;
        delays.get(place.min(delays.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }

    /// Hits over false alarms, for every threshold: points of the curve, from the strictest on.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let speech = self.speech_cells() as f64;
        let other = self.other.iter().sum::<u64>() as f64;
        let (mut hits, mut alarms) = (0, 0);
        let mut points = vec![(0.0, 0.0)];
        for (a, b) in self.speech.iter().zip(&self.other).rev() {
            hits += a;
            alarms += b;
            let point = (alarms as f64 / other, hits as f64 / speech);
            let last = points[points.len() - 1];
            if (point.0 - last.0).abs() + (point.1 - last.1).abs() > 0.004 {
                points.push(point);
            }
        }
        points.push((1.0, 1.0));
        points
    }
}
