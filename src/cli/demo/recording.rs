use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hound::WavReader;
use serde::Deserialize;
use thiserror::Error;

use crate::audio::SampleRate;
use crate::call::CallId;

/// Why a recording cannot be checked.
#[derive(Debug, Error)]
pub(super) enum RecordingError {
    /// The WAV file is not there or not whole.
    #[error("{}: {source}", path.display())]
    Wav { path: PathBuf, source: hound::Error },
    /// It has another form than recordings have.
    #[error("{}: expected {expected}, found {actual}", path.display())]
    Form { path: PathBuf, expected: String, actual: String },
    /// The JSON file cannot be read.
    #[error("{}: {source}", path.display())]
    Json { path: PathBuf, source: io::Error },
}

/// A recording as it lies on disk.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) path: PathBuf,
    /// What its JSON file says.
    pub(super) complete: bool,
    /// The left side.
    pub(super) caller: Vec<i16>,
    /// The right side.
    pub(super) bot: Vec<i16>,
}

#[derive(Deserialize)]
struct Description {
    complete: bool,
}

impl Recording {
    /// Reads both files of a call's recording.
    pub(super) fn read(
        directory: &Path,
        call: CallId,
        rate: SampleRate,
    ) -> Result<Self, RecordingError> {
        let path = directory.join(format!("{call}.wav"));
        let fault = |source| RecordingError::Wav { path: path.clone(), source };
        let reader = WavReader::open(&path).map_err(fault)?;
        let spec = reader.spec();
        let found = (spec.channels, spec.bits_per_sample, spec.sample_rate);
        let expected = (2, 16, rate.hz());
        if found != expected {
            let form = |(channels, bits, hz)| format!("{channels} channels, {bits} bit, {hz} Hz");
            return Err(RecordingError::Form {
                path,
                expected: form(expected),
                actual: form(found),
            });
        }
        let samples: Vec<i16> = reader.into_samples().collect::<Result<_, _>>().map_err(fault)?;
        let (frames, _) = samples.as_chunks::<2>();
        let (caller, bot) = frames.iter().map(|&[left, right]| (left, right)).unzip();

        let json = path.with_extension("json");
        let fault = |source| RecordingError::Json { path: json.clone(), source };
        let text = fs::read(&json).map_err(fault)?;
        let Description { complete } =
            serde_json::from_slice(&text).map_err(|error| fault(error.into()))?;
        Ok(Self { path, complete, caller, bot })
    }
}
