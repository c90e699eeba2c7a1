//! What the processor tells with its defaults: which pieces of speech, and where their edges are.

use sidetone::audio::{Origin, Position};
use sidetone::processor::vad::{Edge, Segmenter, VadSettings};

use crate::corpus::{NARROW, Track};
use crate::{Material, SNRS_DB, Surroundings};

/// Samples of a call's frame.
pub(crate) const FRAME: usize = 160;

/// What was told at one level of noise.
#[derive(Default)]
pub(crate) struct Edges {
    pub(crate) snr_db: Option<u8>,
    pub(crate) pieces: usize,
    /// Pieces that were not told at all, and what was told where nobody spoke.
    pub(crate) missed: usize,
    pub(crate) invented: usize,
    pub(crate) seconds: f64,
    /// How far edges are from their places, and how long after a begin it was told, in milliseconds.
    begins_off: Vec<f64>,
    ends_off: Vec<f64>,
    delays: Vec<f64>,
}

/// A piece of speech that was told, in samples, and when.
struct Told {
    begin: u64,
    end: u64,
    at: u64,
}

impl Edges {
    /// Without noise, then at each level of it.
    pub(crate) fn all(material: &Material) -> Vec<Self> {
        let levels = std::iter::once(None).chain(SNRS_DB.map(Some));
        let of_level = |snr_db| {
            let mut edges = Self { snr_db, ..Self::default() };
            let same = Surroundings::all().into_iter().filter(|it| it.snr_db() == snr_db);
            for surroundings in same {
                for track in &material.tracks {
                    edges.add(track, &material.heard(track, surroundings));
                }
            }
            edges
        };
        levels.map(of_level).collect()
    }

    fn add(&mut self, track: &Track, heard: &[i16]) {
        self.seconds += heard.len() as f64 / f64::from(NARROW.hz());
        let told = told(heard);
        let gap = NARROW.samples_in(VadSettings::default().min_silence);
        let mut pieces = pieces(track);
        // A piece that the track cuts off has no end.
        pieces.retain(|piece| piece.1 + 2 * gap < heard.len() as u64);
        self.pieces += pieces.len();
        let touches = |piece: &(u64, u64), it: &Told| it.begin < piece.1 && piece.0 < it.end;
        let ms = |samples: f64| samples / 8.0;
        for piece in &pieces {
            let mut own = told.iter().filter(|it| touches(piece, it));
            match (own.next(), own.next()) {
                (None, _) => self.missed += 1,
                (Some(one), None) if pieces.iter().filter(|it| touches(it, one)).count() == 1 => {
                    self.begins_off.push(ms((one.begin as f64 - piece.0 as f64).abs()));
                    self.ends_off.push(ms((one.end as f64 - piece.1 as f64).abs()));
                    self.delays.push(ms(one.at as f64 - piece.0 as f64));
                }
                // Told in parts, or together with another: no edge of it can be compared.
                _ => {}
            }
        }
        let last = pieces.last().map_or(0, |piece| piece.1);
        let invented = told
            .iter()
            .filter(|it| it.end < last && !pieces.iter().any(|piece| touches(piece, it)));
        self.invented += invented.count();
    }

    /// Quantiles of how far begins and ends are from their places, and of how late begins are told.
    pub(crate) fn quantiles(&self, quantile: f64) -> [f64; 3] {
        [&self.begins_off, &self.ends_off, &self.delays].map(|values| {
            let mut values = values.clone();
            values.sort_by(f64::total_cmp);
            let place = (quantile * values.len() as f64) as usize;
            values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
        })
    }

    pub(crate) fn name(&self) -> String {
        self.snr_db.map_or("clean".to_owned(), |snr_db| format!("all noises at {snr_db} dB"))
    }

    pub(crate) fn line(&self) -> String {
        let [p50, p95] = [0.5, 0.95].map(|quantile| self.quantiles(quantile).map(|it| it.round()));
        format!(
            "vad, {}: {} of {} pieces missed, {:.2} invented a minute; off at the begin p50 {} ms, p95 {} ms, at the end \
             {} ms, {} ms; told after {} ms, {} ms",
            self.name(),
            self.missed,
            self.pieces,
            60.0 * self.invented as f64 / self.seconds,
            p50[0],
            p95[0],
            p50[1],
            p95[1],
            p50[2],
            p95[2],
        )
    }
}

/// The pieces of speech of a track in samples; what lies nearer together than the least silence is
/// one.
pub(crate) fn pieces(track: &Track) -> Vec<(u64, u64)> {
    let cell = track.cell() as u64;
    let gap = NARROW.samples_in(VadSettings::default().min_silence);
    let mut pieces: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in track.pieces() {
        let (begin, end) = (begin as u64 * cell, end as u64 * cell);
        match pieces.last_mut().filter(|last| begin - last.1 < gap) {
            Some(last) => last.1 = end,
            None => pieces.push((begin, end)),
        }
    }
    pieces
}

fn told(heard: &[i16]) -> Vec<Told> {
    let mut segmenter = Segmenter::new(&VadSettings::default(), NARROW);
    let mut told: Vec<Told> = Vec::new();
    for (n, frame) in heard.chunks_exact(FRAME).enumerate() {
        let begin = (n * FRAME) as u64;
        let at = begin + FRAME as u64;
        segmenter.uplink(Position(begin), frame, Origin::Real, |edge| match edge {
            Edge::Begin(Position(begin)) => told.push(Told { begin, end: u64::MAX, at }),
            Edge::End(Position(end)) => {
                told.last_mut().expect("an end has a begin").end = end;
            }
        });
    }
    told
}
