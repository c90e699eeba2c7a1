//! Silero's own file in onnxruntime, where PyPI's package could be installed.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use sidetone::audio::SampleRate;

use crate::corpus::{self, NARROW, Track};
use crate::noise::Noise;
use crate::{Material, Surroundings};

/// At which level of noise the two halves of the model are compared.
const SNR_DB: u8 = 10;

pub(crate) struct Peer {
    /// Time of a frame of 32 ms, on one thread, from Python.
    pub(crate) frame_ns: f64,
    /// The area below the curve of the 8 kHz half, and of the 16 kHz half, for the same sentences,
    /// those that there are at 16 kHz.
    pub(crate) narrow_area: f64,
    pub(crate) wide_area: f64,
}

impl Peer {
    /// None where it is not installed.
    pub(crate) fn measure(root: &Path, material: &Material) -> Option<Self> {
        let python = root.join("target/silero/bin/python");
        let model = root.join("target/silero/model.onnx");
        if !model.exists() {
            return None;
        }
        let folder = root.join("target/vad/onnxruntime");
        let output = prepare(root, &folder, material).and_then(|arguments| {
            Command::new(python)
                .arg(root.join("benches/vad/peer.py"))
                .arg(model)
                .args(arguments)
                .output()
        });
        let output = output.expect("files can be written and Python can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok())
        };
        let peer = (value("frame_ns"), value("area 8000"), value("area 16000"));
        let (Some(frame_ns), Some(narrow_area), Some(wide_area)) = peer else {
            panic!("peer.py: {}", String::from_utf8_lossy(&output.stderr));
        };
        Some(Self { frame_ns, narrow_area, wide_area })
    }
}

/// Writes what is listened to, and answers the arguments that name it.
fn prepare(root: &Path, folder: &Path, material: &Material) -> io::Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut arguments = Vec::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes)?;
        Ok::<_, io::Error>(path.display().to_string())
    };
    let timed = material.heard(&material.tracks[0], Surroundings::Noisy(Noise::White, 20));
    arguments.push(write("timed.s16", &bytes(&timed))?);
    let wide_tracks = corpus::tracks(root, SampleRate::HZ_16000);
    let is_wide = |track: &&Track| wide_tracks.iter().any(|wide| wide.name == track.name);
    let narrow_tracks = material.tracks.iter().filter(is_wide).cloned().collect();
    for tracks in [narrow_tracks, wide_tracks] {
        let material = Material::new(tracks);
        for track in &material.tracks {
            let labels: Vec<u8> = track.labels.iter().map(|&label| u8::from(label)).collect();
            let name = format!("{}-{}", track.name, track.rate.hz());
            let labels = write(&format!("{name}.labels"), &labels)?;
            for noise in Noise::ALL {
                let heard = material.heard(track, Surroundings::Noisy(noise, SNR_DB));
                let name = format!("{name}-{}.s16", noise.name());
                let heard = write(&name, &bytes(&heard))?;
                arguments.extend([track.rate.hz().to_string(), heard, labels.clone()]);
            }
        }
    }
    debug_assert_eq!(material.tracks[0].rate, NARROW);
    Ok(arguments)
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}
