use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::audio::{MediaFormat, Position};
use crate::call::{CallId, Transport};
use crate::media::CallStats;
use crate::processor::recorder::{Recorder, RecordingSink};
use crate::runtime::recording::pipe::PipeSink;

const RATE: SampleRate = SampleRate::HZ_8000;

/// A recording whose writer thread is the test.
struct Rig {
    folder: tempfile::TempDir,
    call: CallInfo,
    metrics: Arc<RecordingMetrics>,
    active: Active,
    recorder: Recorder,
}

impl Rig {
    fn new(queue: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = RecorderSettings {
            directory: folder.path().to_owned(),
            queue,
            ..RecorderSettings::default()
        };
        let call = CallInfo {
            id: CallId::new(Uuid::from_u128(7)),
            transport: Transport::Rtp,
            format: Some(MediaFormat::Ulaw),
            pipeline: "record".into(),
            parameters: BTreeMap::new(),
            caller: None,
            stream_uuid: None,
        };
        let metrics = Arc::new(RecordingMetrics::default());
        let pipe = Arc::new(Pipe::new(RATE, queue));
        let clock = Clock::new();
        let sink: Box<dyn RecordingSink> =
            Box::new(PipeSink::new(Arc::clone(&pipe), clock, Arc::clone(&metrics)));
        let active = Active::new(
            Arc::new(settings),
            pipe,
            call.clone(),
            RATE,
            None,
            clock,
            Arc::clone(&metrics),
        );
        Self { folder, call, metrics, active, recorder: Recorder::new(sink, RATE) }
    }

    fn feed(&mut self, frame: u64) {
        let position = Position(frame * 160);
        for track in [Track::Uplink, Track::Downlink] {
            self.recorder.record(track, position, &[value(frame); 160], position);
        }
    }

    fn turn(&mut self, now: Instant) -> Turn {
        self.active.turn(now)
    }

    fn close(&mut self, frames: u64) {
        let duration = Duration::from_millis(20 * frames);
        let ending = Ending { call: self.call.clone(), duration, stats: CallStats::default() };
        self.recorder.close(ending, Position(frames * 160));
    }

    /// What a process that was killed now would leave behind.
    fn on_disk(&self) -> Vec<i16> {
        let path = self.folder.path().join(format!("{}.wav", self.call.id));
        match hound::WavReader::open(path) {
            Ok(mut reader) => reader.samples().step_by(2).map(Result::unwrap).collect(),
            Err(hound::Error::IoError(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
                Vec::new()
            }
            Err(error) => panic!("not a WAV file: {error}"),
        }
    }
}

fn value(frame: u64) -> i16 {
    i16::try_from(frame % 1000 + 1).unwrap()
}

#[test]
fn at_every_moment_the_file_is_whole_and_lacks_less_than_a_second() {
    let mut rig = Rig::new(Duration::from_secs(10));
    let start = rig.active.clock.now();
    for frame in 0..500 {
        rig.feed(frame);
        // Turns fall anywhere between frames.
        if (frame * 20) % 100 == 60 {
            let turn = rig.turn(start + Duration::from_millis(frame * 20 + 13));
            assert!(matches!(turn, Turn::Open));
        }
        let found = rig.on_disk();
        let lacking = (frame + 1) * 160 - found.len() as u64;
        assert!(lacking < 8000, "{lacking} samples are missing after frame {frame}");
        for (frame, samples) in (0..).zip(found.chunks(160)) {
            assert!(samples.iter().all(|&sample| sample == value(frame)));
        }
    }
}

#[test]
fn a_stalled_disk_drops_the_oldest_audio_and_counts_it() {
    let mut rig = Rig::new(Duration::from_secs(1));
    let now = rig.active.clock.now();
    // Nobody empties the queue of 1 s for 4 s.
    for frame in 0..200 {
        rig.feed(frame);
    }
    assert_eq!(rig.metrics.dropped_samples.load(Ordering::Relaxed), 2 * 3 * 8000);
    assert!(matches!(rig.turn(now), Turn::Open));
    for frame in 200..210 {
        rig.feed(frame);
    }
    rig.close(210);
    assert!(matches!(rig.turn(now), Turn::Done));
    let found = rig.on_disk();
    assert_eq!(found.len(), 210 * 160);
    for (frame, samples) in (0..).zip(found.chunks(160)) {
        let expected = if frame < 150 { 0 } else { value(frame) };
        assert!(samples.iter().all(|&sample| sample == expected), "frame {frame}");
    }
    let json = fs::read(rig.folder.path().join(format!("{}.json", rig.call.id))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["dropped_samples"], 48_000);
    assert_eq!(json["complete"], true);
}

#[test]
fn a_full_queue_at_the_end_does_not_lose_the_end() {
    let mut rig = Rig::new(Duration::from_secs(1));
    for frame in 0..500 {
        rig.feed(frame);
    }
    rig.close(500);
    let now = rig.active.clock.now();
    assert!(matches!(rig.turn(now), Turn::Done));
    assert_eq!(rig.metrics.done.load(Ordering::Relaxed), 1);
    assert_eq!(rig.on_disk().last(), Some(&value(499)));
}

#[test]
fn a_removed_folder_fails_the_recording_and_not_the_call() {
    let mut rig = Rig::new(Duration::from_secs(1));
    let now = rig.active.clock.now();
    let blocked = rig.folder.path().join("file");
    fs::write(&blocked, "in the way").unwrap();
    Arc::get_mut(&mut rig.active.settings).unwrap().directory = blocked.join("recordings");
    for frame in 0..20 {
        rig.feed(frame);
    }
    let failed = rig.turn(now);
    assert!(matches!(failed, Turn::Failed(RecordingError::Directory { .. })));
    for frame in 20..40 {
        rig.feed(frame);
    }
    rig.close(40);
    assert_eq!(rig.metrics.unrecorded_samples.load(Ordering::Relaxed), 2 * 40 * 160);
    assert_eq!(rig.metrics.failed.load(Ordering::Relaxed), 1);
    assert_eq!(rig.metrics.open.load(Ordering::Relaxed), 0);
}
