//! The processor while the bot is heard: how soon it tells a caller who speaks over it, and what it
//! tells of the bot's own echo.

use std::fmt;

use sidetone::audio::{Origin, Position};
use sidetone::processor::vad::{Edge, Segmenter, VadSettings};

use crate::corpus::{NARROW, Track};
use crate::edges::{FRAME, pieces};
use crate::{Material, Surroundings};

/// Peak from which on a caller counts as heard: −40 dB of full scale, as for `make bench-bargein`.
const AUDIBLE: u16 = 328;

/// How long after it was played an echo comes: a mobile call's way there and back.
const ECHO_DELAY: usize = 1_440;

/// What comes back of the bot has a low-pass filter's colour: each sample is the mean of so many.
const ECHO_TAPS: i32 = 4;

/// Pieces of the caller's that are looked at have at least so many samples: 300 ms.
const LEAST: u64 = 2_400;

/// What is told later than this after the caller began is missed: 1 s.
const LATEST: u64 = 8_000;

/// What is played, and what of it comes back.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Scene {
    /// The bot's level, in decibels above that of the caller.
    pub(crate) bot_db: u8,
    /// By how much its echo is quieter; none comes where there is no such number.
    pub(crate) echo_db: Option<u8>,
}

impl Scene {
    pub(crate) const ALL: [Self; 6] = [
        Self { bot_db: 0, echo_db: None },
        Self { bot_db: 11, echo_db: None },
        Self { bot_db: 0, echo_db: Some(30) },
        Self { bot_db: 11, echo_db: Some(30) },
        Self { bot_db: 0, echo_db: Some(18) },
        Self { bot_db: 11, echo_db: Some(18) },
    ];
}

/// What was told in a scene at one level of noise.
pub(crate) struct Interruptions {
    pub(crate) scene: Scene,
    pub(crate) snr_db: Option<u8>,
    /// How often a caller began to speak, and was told so within [`LATEST`].
    pub(crate) pieces: usize,
    pub(crate) missed: usize,
    /// What was told while nobody spoke but the bot, and for how long.
    pub(crate) invented: usize,
    pub(crate) seconds: f64,
    delays: Vec<f64>,
}

impl Interruptions {
    /// Every scene at each of these levels of noise.
    pub(crate) fn all(material: &Material, levels: &[Option<u8>]) -> Vec<Self> {
        let bot = bot(&material.tracks);
        let scenes = Scene::ALL.into_iter();
        let scenes = scenes.flat_map(|scene| levels.iter().map(move |&snr_db| (scene, snr_db)));
        scenes.map(|(scene, snr_db)| Self::measure(material, &bot, scene, snr_db)).collect()
    }

    fn measure(material: &Material, bot: &[i16], scene: Scene, snr_db: Option<u8>) -> Self {
        let mut it = Self {
            scene,
            snr_db,
            pieces: 0,
            missed: 0,
            invented: 0,
            seconds: 0.0,
            delays: Vec::new(),
        };
        let played = amplified(bot, f64::from(scene.bot_db));
        let echo = scene.echo_db.map_or_else(Vec::new, |loss_db| echo(&played, loss_db));
        let same = Surroundings::all().into_iter().filter(|it| it.snr_db() == snr_db);
        for surroundings in same {
            for track in &material.tracks {
                let mute = Track { samples: vec![0; track.samples.len()], ..track.clone() };
                let [heard, alone] =
                    [track, &mute].map(|track| mixed(&material.heard(track, surroundings), &echo));
                it.add(track, &told(&heard, &played));
                it.invented += told(&alone, &played).len();
                it.seconds += alone.len() as f64 / f64::from(NARROW.hz());
            }
        }
        it
    }

    fn add(&mut self, track: &Track, told: &[Told]) {
        for (begin, end) in pieces(track) {
            if end - begin < LEAST {
                continue;
            }
            let audible = |sample: &i16| sample.unsigned_abs() >= AUDIBLE;
            let spoken = track.samples[begin as usize..end as usize].iter().position(audible);
            let Some(spoken) = spoken.map(|first| begin + first as u64) else { continue };
            let is_told = |it: &&Told| it.at <= spoken && it.until > spoken;
            // What is before it has not ended yet.
            if told.iter().any(|it| is_told(&it)) {
                continue;
            }
            self.pieces += 1;
            let at = told.iter().map(|it| it.at).find(|&at| at > spoken);
            match at.filter(|&at| at < spoken + LATEST) {
                Some(at) => self.delays.push((at - spoken) as f64 / 8.0),
                None => self.missed += 1,
            }
        }
    }

    /// How long after the caller began it was told, in milliseconds; what was missed is the latest.
    pub(crate) fn delay_ms(&self, quantile: f64) -> f64 {
        let mut delays = self.delays.clone();
        delays.resize(self.pieces, f64::INFINITY);
        delays.sort_by(f64::total_cmp);
        let place = (quantile * delays.len() as f64) as usize;
        delays.get(place.min(delays.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn missed_share(&self) -> f64 {
        self.missed as f64 / self.pieces.max(1) as f64
    }

    pub(crate) fn invented_a_minute(&self) -> f64 {
        60.0 * self.invented as f64 / self.seconds
    }

    pub(crate) fn noise(&self) -> String {
        self.snr_db.map_or("none".to_owned(), |snr_db| format!("{snr_db} dB"))
    }

    pub(crate) fn line(&self) -> String {
        let [p50, p90, p95] = [0.5, 0.9, 0.95].map(|quantile| self.delay_ms(quantile));
        format!(
            "vad, over a bot {}, noise {}: {} of {} missed, told after p50 {p50:.0} ms, p90 {p90:.0} ms, p95 {p95:.0} ms; \
             {:.2} invented a minute",
            self.scene,
            self.noise(),
            self.missed,
            self.pieces,
            self.invented_a_minute(),
        )
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bot_db {
            0 => write!(f, "as loud")?,
            bot_db => write!(f, "{bot_db} dB louder")?,
        }
        match self.echo_db {
            None => write!(f, ", no echo"),
            Some(echo_db) => write!(f, ", echo −{echo_db} dB"),
        }
    }
}

/// A minute of a bot that hardly pauses: pieces of speech of all voices, the last one's first, with
/// 150 ms between them.
fn bot(tracks: &[Track]) -> Vec<i16> {
    let length = tracks[0].samples.len();
    let mut samples = Vec::with_capacity(length);
    'full: for n in 0.. {
        for track in tracks.iter().rev() {
            let of_track = pieces(track);
            let (begin, end) = of_track[n % of_track.len()];
            samples.extend_from_slice(&track.samples[begin as usize..end as usize]);
            samples.resize(samples.len() + 1_200, 0);
            if samples.len() >= length {
                break 'full;
            }
        }
    }
    samples.truncate(length);
    samples
}

fn amplified(samples: &[i16], gain_db: f64) -> Vec<i16> {
    let gain = 10_f64.powf(gain_db / 20.0);
    let limited = |value: f64| value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16;
    samples.iter().map(|&sample| limited(f64::from(sample) * gain)).collect()
}

fn echo(played: &[i16], loss_db: u8) -> Vec<i16> {
    let mean =
        |window: &[i16]| (window.iter().map(|&it| i32::from(it)).sum::<i32>() / ECHO_TAPS) as i16;
    let filtered: Vec<i16> = played.windows(ECHO_TAPS as usize).map(mean).collect();
    let mut echo = vec![0; ECHO_DELAY + ECHO_TAPS as usize - 1];
    echo.extend(amplified(&filtered, -f64::from(loss_db)));
    echo.truncate(played.len());
    echo
}

fn mixed(heard: &[i16], echo: &[i16]) -> Vec<i16> {
    let mut heard = heard.to_vec();
    heard.iter_mut().zip(echo).for_each(|(sample, &echo)| *sample = sample.saturating_add(echo));
    heard
}

/// From when to when somebody was told to speak.
struct Told {
    at: u64,
    until: u64,
}

fn told(heard: &[i16], played: &[i16]) -> Vec<Told> {
    let mut segmenter = Segmenter::new(&VadSettings::default(), NARROW);
    let mut told: Vec<Told> = Vec::new();
    for (n, (frame, played)) in heard.chunks_exact(FRAME).zip(played.chunks(FRAME)).enumerate() {
        let begin = (n * FRAME) as u64;
        let at = begin + FRAME as u64;
        let mut tell = |edge| match edge {
            Edge::Begin(_) => told.push(Told { at, until: u64::MAX }),
            Edge::End(_) => told.last_mut().expect("an end has a begin").until = at,
        };
        segmenter.downlink(Position(begin), played, Origin::Real, &mut tell);
        segmenter.uplink(Position(begin), frame, Origin::Real, &mut tell);
    }
    told
}
