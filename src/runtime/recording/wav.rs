use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::RecordingError;
use crate::audio::{Direction, SampleRate};

/// RIFF header, `fmt ` chunk of 16 bytes and the `data` chunk's header.
const HEADER_BYTES: u64 = 44;
/// One sample of each side.
const FRAME_BYTES: u64 = 4;
/// Most frames of one file: the header counts all bytes but its first eight in 32 bits.
pub(super) const MAX_FRAMES: u64 = (u32::MAX as u64 - (HEADER_BYTES - 8)) / FRAME_BYTES;

/// A stereo WAV file under way: pieces of either side may come in any order.
///
/// The newest second or so is kept in memory as well, so that the two sides, which come apart, are
/// interleaved there and not by reading the file. What comes for older positions is put into the
/// file in place. Positions that nothing came for cost no disk: they are holes, which read as zero.
///
/// Written by position instead of through `hound`: its writer can neither go back nor leave a
/// readable file behind after a failed write.
pub(super) struct StereoWav {
    file: File,
    path: PathBuf,
    rate: SampleRate,
    /// Position of the first frame of `window`. Every frame before it has been written.
    base: u64,
    /// Caller and bot, from `base` on, as the file has them: two bytes of each.
    window: Vec<[[u8; 2]; 2]>,
    /// Lowest index in `window` whose frame differs from the file.
    dirty: Option<usize>,
    /// How far each side has come.
    ends: [u64; 2],
    /// Frames that the file holds.
    written: u64,
    /// Frames that the header claims; never more than `written`.
    claimed: u64,
}

impl StereoWav {
    /// Creates the file, which must not exist, with a header that claims no frames.
    pub(super) fn create(path: &Path, rate: SampleRate) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.write_all_at(&header(rate, 0), 0)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            rate,
            base: 0,
            window: Vec::new(),
            dirty: None,
            ends: [0; 2],
            written: 0,
            claimed: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something is not in the file yet.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.is_some() || self.claimed != self.written
    }

    /// Puts samples of one side at `position`, over what was there.
    pub(super) fn place(
        &mut self,
        side: Direction,
        position: u64,
        samples: &[i16],
    ) -> Result<(), RecordingError> {
        let end = position.saturating_add(samples.len() as u64);
        if end > MAX_FRAMES {
            return Err(RecordingError::TooLong { limit_frames: MAX_FRAMES });
        }
        let second = u64::from(self.rate.hz());
        if end > self.base + 2 * second {
            self.flush()?;
            // One side alone is far ahead, or a gap was skipped: do not fill memory with it.
            if end > self.base + 2 * second {
                self.rebase(end - second);
            }
        }
        let side_index = side as usize;
        let below = usize::try_from(self.base.saturating_sub(position))
            .map_or(samples.len(), |below| below.min(samples.len()));
        let (old, new) = samples.split_at(below);
        if !old.is_empty() {
            self.patch(side_index, position, old).map_err(|e| self.failed(e))?;
        }
        if !new.is_empty() {
            let index = usize::try_from(position.max(self.base) - self.base)
                .expect("the window was moved to within two seconds of the piece");
            if self.window.len() < index + new.len() {
                self.window.resize(index + new.len(), [[0; 2]; 2]);
            }
            for (frame, &sample) in self.window[index..].iter_mut().zip(new) {
                frame[side_index] = sample.to_le_bytes();
            }
            self.dirty = Some(self.dirty.map_or(index, |dirty| dirty.min(index)));
        }
        self.ends[side_index] = self.ends[side_index].max(end);
        Ok(())
    }

    /// Writes what is new, then a header that claims it: the file is whole before and after.
    pub(super) fn flush(&mut self) -> Result<(), RecordingError> {
        self.write_new().map_err(|e| self.failed(e))?;
        // Where both sides have been, nothing more is expected; a side that is a second behind
        // does not hold the other.
        let [uplink, downlink] = self.ends;
        let newest = uplink.max(downlink);
        self.rebase(uplink.min(downlink).max(newest.saturating_sub(u64::from(self.rate.hz()))));
        Ok(())
    }

    /// Writes all that is left and makes the file at least `frames` long; returns its length.
    pub(super) fn finish(&mut self, frames: u64) -> Result<u64, RecordingError> {
        self.flush()?;
        let frames = frames.min(MAX_FRAMES);
        if frames > self.written {
            self.extend(frames).map_err(|e| self.failed(e))?;
        }
        Ok(self.written)
    }

    /// After an error: keeps as much as the file took, readable; returns its length in frames.
    pub(super) fn rescue(&mut self) -> u64 {
        if self.flush().is_err() {
            // A write that failed half-way may have left more than the header claims.
            if let Ok(metadata) = self.file.metadata() {
                let frames = metadata.len().saturating_sub(HEADER_BYTES) / FRAME_BYTES;
                let whole = frames.min(self.ends[0].max(self.ends[1]));
                if self.extend(whole).is_err() {
                    tracing::debug!(path = %self.path.display(), "header of a failed recording kept");
                }
            }
        }
        self.claimed
    }

    fn write_new(&mut self) -> io::Result<()> {
        if let Some(dirty) = self.dirty {
            let bytes = self.window[dirty..].as_flattened().as_flattened();
            self.file.write_all_at(bytes, offset(self.base + dirty as u64))?;
            self.dirty = None;
            self.written = self.written.max(self.base + self.window.len() as u64);
        }
        if self.claimed != self.written {
            self.claim()?;
        }
        Ok(())
    }

    /// Puts samples of one side into the file, the other side kept.
    fn patch(&mut self, side: usize, position: u64, samples: &[i16]) -> io::Result<()> {
        let mut scratch = vec![0; samples.len() * FRAME_BYTES as usize];
        let mut have = 0;
        while have < scratch.len() {
            match self.file.read_at(&mut scratch[have..], offset(position) + have as u64) {
                // Behind the end of the file there is silence.
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        for (frame, sample) in scratch.chunks_exact_mut(FRAME_BYTES as usize).zip(samples) {
            frame[2 * side..][..2].copy_from_slice(&sample.to_le_bytes());
        }
        self.file.write_all_at(&scratch, offset(position))?;
        self.written = self.written.max(position + samples.len() as u64);
        Ok(())
    }

    /// Makes the file exactly `frames` long, what is new being silence, and claims them.
    fn extend(&mut self, frames: u64) -> io::Result<()> {
        self.file.set_len(offset(frames))?;
        self.written = frames;
        self.claim()
    }

    fn claim(&mut self) -> io::Result<()> {
        self.file.write_all_at(&header(self.rate, self.written), 0)?;
        self.claimed = self.written;
        Ok(())
    }

    /// Forgets frames before `position`, which are all in the file.
    fn rebase(&mut self, position: u64) {
        let gone = position.saturating_sub(self.base);
        if gone > 0 {
            let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(self.window.len());
            self.window.drain(..gone);
            self.base = position;
        }
    }

    fn failed(&self, source: io::Error) -> RecordingError {
        RecordingError::Write { path: self.path.clone(), source }
    }
}

/// Where a frame lies in the file.
const fn offset(frame: u64) -> u64 {
    HEADER_BYTES + frame * FRAME_BYTES
}

/// A canonical header: `WAVEFORMAT` with PCM, two channels, 16 bits ("Multimedia Programming
/// Interface and Data Specifications 1.0", IBM and Microsoft, 1991, pages 56 to 60).
fn header(rate: SampleRate, frames: u64) -> [u8; HEADER_BYTES as usize] {
    let data_bytes = u32::try_from(frames * FRAME_BYTES).expect("frames are at most MAX_FRAMES");
    let mut out = [0; HEADER_BYTES as usize];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &(data_bytes + (HEADER_BYTES as u32 - 8)).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &2_u16.to_le_bytes(),
        &rate.hz().to_le_bytes(),
        &(rate.hz() * FRAME_BYTES as u32).to_le_bytes(),
        &(FRAME_BYTES as u16).to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    let mut rest = &mut out[..];
    for field in fields {
        let (head, tail) = rest.split_at_mut(field.len());
        head.copy_from_slice(field);
        rest = tail;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: SampleRate = SampleRate::HZ_8000;

    /// What a reader that knows nothing of us finds.
    fn read(path: &Path) -> Vec<[i16; 2]> {
        let mut reader = hound::WavReader::open(path).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.bits_per_sample), (2, 16));
        assert_eq!(spec.sample_format, hound::SampleFormat::Int);
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        samples.chunks_exact(2).map(|frame| [frame[0], frame[1]]).collect()
    }

    fn lay(model: &mut Vec<[i16; 2]>, side: Direction, position: u64, samples: &[i16]) {
        let start = usize::try_from(position).unwrap();
        let end = start + samples.len();
        model.resize(model.len().max(end), [0; 2]);
        for (frame, &sample) in model[start..end].iter_mut().zip(samples) {
            frame[side as usize] = sample;
        }
    }

    #[test]
    fn the_header_is_byte_for_byte_what_hound_writes() {
        for rate in SampleRate::ALL {
            for frames in [0, 1, 12_345] {
                let spec = hound::WavSpec {
                    channels: 2,
                    sample_rate: rate.hz(),
                    bits_per_sample: 16,
                    sample_format: hound::SampleFormat::Int,
                };
                let mut bytes = std::io::Cursor::new(Vec::new());
                let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
                for _ in 0..2 * frames {
                    writer.write_sample(0_i16).unwrap();
                }
                writer.finalize().unwrap();
                assert_eq!(bytes.get_ref()[..44], header(rate, frames));
            }
        }
    }

    #[test]
    fn a_side_that_lags_for_minutes_is_put_into_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lag.wav");
        let (mut wav, mut model) = (StereoWav::create(&path, RATE).unwrap(), Vec::new());
        for (side, value) in [(Direction::Downlink, 100), (Direction::Uplink, -7)] {
            for block in 0..300_u64 {
                let samples = vec![value + i16::try_from(block).unwrap(); 1600];
                wav.place(side, block * 1600, &samples).unwrap();
                lay(&mut model, side, block * 1600, &samples);
                assert!(wav.window.len() <= 2 * 8000, "memory is bounded, whoever lags");
            }
        }
        assert_eq!(wav.finish(0).unwrap(), 480_000);
        assert!(read(&path) == model);
    }

    #[test]
    fn a_gap_of_an_hour_costs_neither_memory_nor_disk() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gap.wav");
        let mut wav = StereoWav::create(&path, RATE).unwrap();
        wav.place(Direction::Uplink, 0, &[1; 160]).unwrap();
        wav.place(Direction::Uplink, 3600 * 8000, &[2; 160]).unwrap();
        assert!(wav.window.len() <= 2 * 8000);
        let frames = wav.finish(7200 * 8000).unwrap();
        assert_eq!(
            frames,
            7200 * 8000,
            "as long as the call, though nothing came in its last hour"
        );
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), 44 + 4 * frames);
        assert!(metadata.blocks() * 512 < 1 << 20, "holes, not zeros");
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(u64::from(reader.duration()), frames);
        reader.seek(3600 * 8000 - 1).unwrap();
        let around: Vec<i16> = reader.samples().take(4).map(Result::unwrap).collect();
        assert_eq!(around, [0, 0, 2, 0]);
    }

    #[test]
    fn a_place_that_no_wav_file_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut wav = StereoWav::create(&folder.path().join("long.wav"), RATE).unwrap();
        for position in [MAX_FRAMES, u64::MAX] {
            let placed = wav.place(Direction::Uplink, position, &[1]);
            assert!(matches!(placed, Err(RecordingError::TooLong { .. })));
        }
        wav.place(Direction::Uplink, MAX_FRAMES - 1, &[1]).unwrap();
        assert_eq!(wav.finish(0).unwrap(), MAX_FRAMES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Any pieces in any order, some of them far apart, flushed at any moment: the file at
        /// each flush and at the end is what laying them into one array gives.
        #[test]
        fn pieces_in_any_order_give_the_file_of_a_naive_model(
            pieces in prop::collection::vec(
                (any::<bool>(), 0_u64..60_000, 1_i16..1700, any::<i16>(), any::<bool>()),
                1..60,
            ),
            frames in 0_u64..70_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.wav");
            let (mut wav, mut model) = (StereoWav::create(&path, RATE).unwrap(), Vec::new());
            for (caller, position, length, first, flush) in pieces {
                let side = if caller { Direction::Uplink } else { Direction::Downlink };
                let samples: Vec<i16> =
                    (0..length).map(|i| first.wrapping_add(i)).collect();
                wav.place(side, position, &samples).unwrap();
                lay(&mut model, side, position, &samples);
                if flush {
                    wav.flush().unwrap();
                    prop_assert!(!wav.is_dirty());
                    prop_assert!(read(&path) == model);
                }
            }
            wav.finish(frames).unwrap();
            model.resize(model.len().max(usize::try_from(frames).unwrap()), [0; 2]);
            prop_assert!(read(&path) == model);
        }
    }
}
