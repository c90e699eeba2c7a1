//! What the leg makes of lost packets, against repeating the last frame and against silence.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use sidetone::dsp::distance::{bursty_loss, log_spectral_distance_db, segmental_snr_db};
use sidetone::dsp::g711;
use sidetone::media::Uplink;
use sidetone::wire::rtp::{self, RtpHeader};
use sidetone::wire::{PayloadType, RtpTs, Seq, Ssrc};

use crate::SEED;
use crate::common::bars::{Bars, Figure};
use crate::content::speech;
use crate::ours::Driven;
use crate::trace::{BURST, PACKET};

/// Shares of packets lost.
pub(crate) const LOSSES: [f64; 2] = [0.05, 0.1];

/// Times that the speech is said, for enough packets to be lost.
const ROUNDS: usize = 20;

/// Times that it is said in a file: PESQ is made for some ten seconds.
const ROUNDS_PER_FILE: usize = 2;

/// What counts as closer: by so many decibels, or points of PESQ.
const CLOSER_DB: f64 = 0.1;
const CLOSER_SCORE: f64 = 0.05;

/// What fills holes.
pub(crate) const FILLINGS: [&str; 3] = ["Sidetone", "last frame again", "silence"];

/// How close a filling comes to the original.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Closeness {
    /// Over the frames that were lost.
    pub(crate) segmental_snr_db: f64,
    pub(crate) log_spectral_distance_db: f64,
    /// Mean over the files; none where PESQ is not installed.
    pub(crate) pesq: Option<f64>,
}

/// A share of loss, and what each of [`FILLINGS`] makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lossy {
    pub(crate) loss: f64,
    pub(crate) lost_packets: usize,
    pub(crate) closeness: [Closeness; 3],
}

/// Speech with lost packets, as each of [`FILLINGS`] repairs it.
#[derive(Debug)]
pub(crate) struct Repaired {
    /// What is heard when nothing is lost.
    pub(crate) original: Vec<i16>,
    pub(crate) lost: Vec<bool>,
    pub(crate) fillings: [Vec<i16>; 3],
}

/// Says the speech `rounds` times and loses packets.
pub(crate) fn repaired(loss: f64, rounds: usize) -> Repaired {
    let mut speech = speech();
    speech.truncate(speech.len() / PACKET * PACKET);
    let mut codes = vec![0; speech.len()];
    g711::ulaw_encode(&speech, &mut codes);
    let codes = codes.repeat(rounds);
    let mut original = vec![0; codes.len()];
    g711::ulaw_decode(&codes, &mut original);

    let packets = codes.len() / PACKET;
    let mut lost = bursty_loss(loss, BURST, packets, SEED);
    // There is something to begin with, and something behind the last hole.
    lost[0] = false;
    lost[packets - 1] = false;

    let (mut again, mut silence) = (original.clone(), original.clone());
    for packet in (0..packets).filter(|&packet| lost[packet]) {
        let start = packet * PACKET;
        again.copy_within(start - PACKET..start, start);
        silence[start..start + PACKET].fill(0);
    }
    let ours = through_the_leg(&codes, &lost);
    Repaired { original, lost, fillings: [ours, again, silence] }
}

/// What the leg hands out, every frame at its position.
fn through_the_leg(codes: &[u8], lost: &[bool]) -> Vec<i16> {
    let mut out = vec![0; codes.len()];
    let mut driven = Driven::new();
    let mut sink = |_, uplink: Uplink<'_>| {
        if let Uplink::Frame(frame) = uplink {
            let start = (frame.position.0 as usize).min(out.len());
            let end = (frame.end().0 as usize).min(out.len());
            out[start..end].copy_from_slice(&frame.samples[..end - start]);
        }
    };
    let mut datagram = Vec::new();
    for (packet, payload) in codes.chunks_exact(PACKET).enumerate() {
        if lost[packet] {
            continue;
        }
        let header = RtpHeader {
            marker: packet == 0,
            payload_type: PayloadType::new(0).expect("µ-law's"),
            seq: Seq((packet & 0xffff) as u16),
            timestamp: RtpTs((packet * PACKET) as u32),
            ssrc: Ssrc(0x5eed),
        };
        datagram.clear();
        rtp::write(&header, payload, &mut datagram);
        driven.datagram(Duration::from_millis(20 * packet as u64), &datagram, &mut sink);
    }
    driven.finish(Duration::from_millis(20 * lost.len() as u64 + 1_000), &mut sink);
    out
}

/// Measures each share of loss, and leaves files in `folder` to listen to.
pub(crate) fn measure(folder: &Path) -> io::Result<Vec<Lossy>> {
    fs::create_dir_all(folder)?;
    LOSSES
        .into_iter()
        .map(|loss| {
            let repaired = repaired(loss, ROUNDS);
            let scores = pesq(&files(folder, loss, &repaired)?)?;
            let closeness = |n: usize| {
                let (original, filling) = (&repaired.original, &repaired.fillings[n]);
                let snr = segmental_snr_db(original, filling, PACKET, &repaired.lost);
                let distance = log_spectral_distance_db(original, filling, PACKET, &repaired.lost);
                Closeness {
                    segmental_snr_db: snr.expect("speech was lost"),
                    log_spectral_distance_db: distance.expect("speech was lost"),
                    pesq: scores.map(|scores| scores[n]),
                }
            };
            let lost_packets = repaired.lost.iter().filter(|lost| **lost).count();
            Ok(Lossy { loss, lost_packets, closeness: std::array::from_fn(closeness) })
        })
        .collect()
}

impl Lossy {
    /// Closer to the original than either of the others.
    pub(crate) fn bars(&self, bars: &mut Bars) {
        let [ours, others @ ..] = &self.closeness;
        for (other, name) in others.iter().zip(&FILLINGS[1..]) {
            let mut add = |what: &str, figure, limit| {
                let percent = 100.0 * self.loss;
                let name = format!("{percent:.0} % lost, {what}, against {name}");
                bars.add(name, Some(figure), limit);
            };
            // By which of the two it is closer depends on the other: the segmental SNR of silence is
            // 0 dB by definition, whatever it sounds like, and the last frame again has nearly the
            // spectrum of what is missing, in the wrong place. The limits of bars are upper ones.
            let by_snr = ours.segmental_snr_db - other.segmental_snr_db;
            let by_distance = other.log_spectral_distance_db - ours.log_spectral_distance_db;
            let further = Figure::Decibels(-by_snr.max(by_distance));
            add("further off, by SNR or spectrum", further, Figure::Decibels(-CLOSER_DB));
            if let (Some(ours), Some(other)) = (ours.pesq, other.pesq) {
                add("−PESQ", Figure::Score(-ours), Figure::Score(-other - CLOSER_SCORE));
            }
        }
    }
}

/// Writes the original and each filling, some rounds per file: for each part of the speech the
/// original's file, then those of [`FILLINGS`].
fn files(folder: &Path, loss: f64, repaired: &Repaired) -> io::Result<Vec<[PathBuf; 4]>> {
    let length = repaired.original.len() / ROUNDS * ROUNDS_PER_FILE;
    let percent = (100.0 * loss).round();
    (0..ROUNDS / ROUNDS_PER_FILE)
        .map(|part| {
            let write = |name: &str, samples: &[i16]| {
                let name = name.to_lowercase().replace(' ', "-");
                let path = folder.join(format!("{percent}-percent-{part}-{name}.wav"));
                let samples = &samples[part * length..(part + 1) * length];
                write_wav(&path, samples).map(|()| path)
            };
            let [ours, again, silence] = &repaired.fillings;
            Ok([
                write("original", &repaired.original)?,
                write(FILLINGS[0], ours)?,
                write(FILLINGS[1], again)?,
                write(FILLINGS[2], silence)?,
            ])
        })
        .collect()
}

fn write_wav(path: &Path, samples: &[i16]) -> io::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).map_err(io::Error::other)?;
    for &sample in samples {
        writer.write_sample(sample).map_err(io::Error::other)?;
    }
    writer.finalize().map_err(io::Error::other)
}

/// The mean PESQ of each of [`FILLINGS`] over the files; none where it is not installed.
fn pesq(files: &[[PathBuf; 4]]) -> io::Result<Option<[f64; 3]>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/pesq/bin/python");
    if !python.exists() {
        return Ok(None);
    }
    let mut sums = [0.0; 3];
    for [original, fillings @ ..] in files {
        let script = root.join("benches/pesq.py");
        let output = Command::new(&python).arg(script).arg(original).args(fillings).output()?;
        if !output.status.success() {
            print!("{}", String::from_utf8_lossy(&output.stderr));
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let scores: Vec<f64> = text
            .lines()
            .filter_map(|line| line.split_whitespace().find_map(|word| word.parse().ok()))
            .collect();
        if scores.len() != fillings.len() {
            return Err(io::Error::other(format!("benches/pesq.py answered {text:?}")));
        }
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
    }
    Ok(Some(sums.map(|sum| sum / files.len() as f64)))
}
