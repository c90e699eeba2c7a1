use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hound::{SampleFormat, WavSpec};

use crate::audio::{Direction, Position, SampleRate};
use crate::call::CallInfo;
use crate::processor::recorder::{Block, Ending, OpenRecording, RecordingSink};

const SAMPLE_BYTES: u64 = 2;
/// What a RIFF header does not count of itself.
const RIFF_BYTES: u64 = 8;
/// Where the header has the length of the samples; they begin behind it.
const DATA_LENGTH_AT: u64 = 40;

/// One stream's audio as a mono WAV file of 16 bits, written by position: a late frame goes over the
/// concealment, and where nothing came there is a hole of the file, which reads as silence and costs
/// no disk.
///
/// The recorder of a call fills it: this is the sink that it opens.
#[derive(Clone)]
pub(super) struct WavFile {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

struct State {
    file: File,
    header: Vec<u8>,
    samples: u64,
    beyond: u64,
    fault: Option<io::Error>,
    bytes: Vec<u8>,
    spare: Vec<Block>,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Written {
    /// Its length.
    pub(super) samples: u64,
    /// Samples that lie behind what a WAV file can hold.
    pub(super) beyond: u64,
}

impl WavFile {
    /// An empty file in place of what was there.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(super) fn create(path: &Path, rate: SampleRate) -> io::Result<Self> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: rate.hz(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let file = File::create(path)?;
        let header = spec.into_header_for_infinite_file();
        file.write_all_at(&header, 0)?;
        let (bytes, spare) = (Vec::new(), Vec::new());
        let state = State { file, header, samples: 0, beyond: 0, fault: None, bytes, spare };
        Ok(Self { path: path.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the header, after the last frame.
    ///
    /// # Errors
    /// The first one that any write has met.
    pub(super) fn finish(&self) -> io::Result<Written> {
        let mut state = self.lock();
        if let Some(fault) = state.fault.take() {
            return Err(fault);
        }
        let data = state.samples * SAMPLE_BYTES;
        for (at, length) in
            [(4, state.header.len() as u64 - RIFF_BYTES + data), (DATA_LENGTH_AT, data)]
        {
            let length = u32::try_from(length).expect("positions are kept below the limit");
            state.file.write_all_at(&length.to_le_bytes(), at)?;
        }
        Ok(Written { samples: state.samples, beyond: state.beyond })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Most samples of one file: its header counts bytes in 32 bits.
    fn limit(&self) -> u64 {
        (u64::from(u32::MAX) - (self.header.len() as u64 - RIFF_BYTES)) / SAMPLE_BYTES
    }

    fn place(&mut self, position: Position, samples: &[i16]) -> io::Result<()> {
        let end = position.plus(samples.len());
        if end.0 > self.limit() {
            self.beyond += samples.len() as u64;
            return Ok(());
        }
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let offset = self.header.len() as u64 + position.0 * SAMPLE_BYTES;
        self.file.write_all_at(&self.bytes, offset)?;
        self.samples = self.samples.max(end.0);
        Ok(())
    }
}

impl OpenRecording for WavFile {
    fn open(&self, _call: &CallInfo, rate: SampleRate) -> Box<dyn RecordingSink> {
        Box::new(WavSink { file: self.clone(), rate })
    }
}

impl fmt::Debug for WavFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavFile").field("path", &self.path).finish_non_exhaustive()
    }
}

struct WavSink {
    file: WavFile,
    rate: SampleRate,
}

impl RecordingSink for WavSink {
    fn block(&mut self) -> Block {
        self.file.lock().spare.pop().unwrap_or_else(|| Block::new(self.rate))
    }

    fn push(&mut self, block: Block, _now: Position) {
        let mut state = self.file.lock();
        // Nothing is sent here: the other side is silence.
        if block.track.direction() == Direction::Uplink
            && state.fault.is_none()
            && let Err(fault) = state.place(block.position, &block.samples)
        {
            state.fault = Some(fault);
        }
        state.spare.push(block);
    }

    fn close(self: Box<Self>, _ending: Ending) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::recorder::Track;

    const RATE: SampleRate = SampleRate::HZ_16000;

    fn push(file: &WavFile, track: Track, position: u64, samples: &[i16]) {
        let mut sink = WavSink { file: file.clone(), rate: RATE };
        let mut block = sink.block();
        block.restart(track, Position(position));
        block.samples.extend_from_slice(samples);
        sink.push(block, Position(0));
    }

    #[test]
    fn late_frames_go_over_the_concealment_and_gaps_are_silent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let file = WavFile::create(&path, RATE).unwrap();
        push(&file, Track::Uplink, 2, &[1, 2, 3, 4]);
        push(&file, Track::Downlink, 0, &[9; 100]);
        push(&file, Track::Late, 3, &[-7]);
        assert_eq!(file.finish().unwrap(), Written { samples: 6, beyond: 0 });
        let reader = hound::WavReader::open(&path).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (1, 16_000));
        let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0, 0, 1, -7, 3, 4]);
    }

    #[test]
    fn no_position_makes_a_file_longer_than_its_header_can_tell() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let file = WavFile::create(&path, RATE).unwrap();
        let limit = file.lock().limit();
        push(&file, Track::Uplink, limit - 2, &[1, 2]);
        push(&file, Track::Uplink, limit - 1, &[1, 2]);
        push(&file, Track::Uplink, 1 << 50, &[3]);
        assert_eq!(file.finish().unwrap(), Written { samples: limit, beyond: 3 });
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.len() <= u64::from(u32::MAX) + RIFF_BYTES);
        assert!(metadata.blocks() * 512 < 1 << 20, "a hole, not zeros");
        assert_eq!(u64::from(hound::WavReader::open(&path).unwrap().duration()), limit);
    }
}
