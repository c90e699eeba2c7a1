//! The recorder from blocks of audio to files on disk, with its real writer thread.
//!
//! Virtual time on the audio's side; on the writer's side every wait is for an event or for the
//! file, with a deadline.

#[path = "common/arrivals.rs"]
mod arrivals;
#[path = "common/driver.rs"]
mod driver;
#[path = "common/emulator.rs"]
mod emulator;
#[path = "recorder/jitter.rs"]
mod jitter;
#[path = "recorder/processes.rs"]
mod processes;
#[path = "common/switch.rs"]
mod switch;
#[path = "recorder/switching.rs"]
mod switching;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use sidetone::audio::{MediaFormat, Position, SampleRate};
use sidetone::call::{CallId, CallInfo, Caller, Transport};
use sidetone::event::{CallEvent, EventKind};
use sidetone::media::CallStats;
use sidetone::processor::recorder::{Ending, OpenRecording, Recorder, RecorderSettings, Track};
use sidetone::runtime::Clock;
use sidetone::runtime::recording::Recordings;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;

const RATE: SampleRate = SampleRate::HZ_8000;
/// Samples of 20 ms.
const FRAME: u64 = 160;
/// Longer than any wait here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

fn start(directory: &Path) -> Recordings {
    // What tests say in no time must fit, in blocks as short as gaps and late frames make them.
    let settings = RecorderSettings {
        directory: directory.to_owned(),
        queue: Duration::from_secs(120),
        ..RecorderSettings::default()
    };
    Recordings::start(settings, Clock::new()).expect("a thread can be started")
}

fn call(number: u128) -> CallInfo {
    CallInfo {
        id: CallId::new(Uuid::from_u128(number)),
        transport: Transport::Rtp,
        format: Some(MediaFormat::Ulaw),
        pipeline: "record".into(),
        parameters: BTreeMap::from([("tenant".to_owned(), "acme".to_owned())]),
        caller: Some(Caller {
            channel_id: "1763689200.7".to_owned(),
            channel_name: "../../etc/passwd".to_owned(),
            number: "+4930123456".to_owned(),
            name: "../Alice".to_owned(),
        }),
        stream_uuid: None,
    }
}

/// Opens a recording of `call` whose events come to the receiver.
fn open(recordings: &Recordings, call: &CallInfo) -> (Recorder, UnboundedReceiver<CallEvent>) {
    let (sender, receiver) = unbounded_channel();
    let _registration = recordings.listeners().register(call.id, sender);
    (Recorder::new(recordings.open(call, RATE), RATE), receiver)
}

/// A sample that tells its side and place.
fn sample(track: Track, position: u64) -> i16 {
    let side = if track == Track::Downlink { 15_000 } else { 1 };
    i16::try_from(side + position % 14_983).expect("below 30,000")
}

fn feed(recorder: &mut Recorder, track: Track, frame: u64, now_frame: u64) {
    let position = frame * FRAME;
    let samples: Vec<i16> = (position..position + FRAME).map(|p| sample(track, p)).collect();
    recorder.record(track, Position(position), &samples, Position(now_frame * FRAME));
}

fn close(recorder: &mut Recorder, call: &CallInfo, frames: u64) {
    let duration = RATE.duration_of(frames * FRAME);
    let ending = Ending { call: call.clone(), duration, stats: CallStats::default() };
    recorder.close(ending, Position(frames * FRAME));
}

/// Caller and bot, frame by frame, as `hound` reads them.
fn read(path: &Path) -> Vec<[i16; 2]> {
    let mut reader = hound::WavReader::open(path).expect("a WAV file at every moment");
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, RATE.hz()));
    let samples: Vec<i16> =
        reader.samples().map(|sample| sample.expect("as many as the header says")).collect();
    samples.chunks_exact(2).map(|frame| [frame[0], frame[1]]).collect()
}

fn json(wav: &Path) -> Value {
    let text = std::fs::read(wav.with_extension("json")).expect("a description beside the file");
    serde_json::from_slice(&text).expect("JSON")
}

fn wav_path(directory: &Path, call: &CallInfo) -> PathBuf {
    directory.join(format!("{}.wav", call.id))
}

/// The next event, which must come.
fn next(events: &mut UnboundedReceiver<CallEvent>) -> EventKind {
    block_on(async { events.recv().await.expect("an event before the sink is gone").event.kind })
}

/// Waits until the file has `frames`.
fn wait_for_frames(path: &Path, frames: usize) {
    block_on(async {
        while !path.exists() || read(path).len() < frames {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without sockets")
        .block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("in time") })
}

#[test]
fn both_sides_are_aligned_to_the_sample_and_gaps_keep_their_length() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(&folder.path().join("made/when/needed"));
    let call = call(1);
    let (mut recorder, mut events) = open(&recordings, &call);
    let talks = |frame: u64| !(40..90).contains(&frame) && frame != 120;
    for frame in 0..200 {
        if talks(frame) {
            // The caller's clock has slipped by 3 samples against the frames' grid.
            let position = frame * FRAME + 3;
            let samples: Vec<i16> =
                (position..position + FRAME).map(|p| sample(Track::Uplink, p)).collect();
            let now = Position(frame * FRAME);
            recorder.record(Track::Uplink, Position(position), &samples, now);
        }
        if frame < 150 {
            feed(&mut recorder, Track::Downlink, frame, frame);
        }
    }
    close(&mut recorder, &call, 220);
    let EventKind::RecordingDone { path, duration_ms } = next(&mut events) else {
        panic!("the recording is complete")
    };
    assert_eq!(path, wav_path(&folder.path().join("made/when/needed"), &call));
    assert_eq!(duration_ms, 4400, "as long as the call, though its last 400 ms were silent");
    let found = read(&path);
    assert_eq!(found.len() as u64, 220 * FRAME);
    for (position, [left, right]) in (0_u64..).zip(found) {
        let heard = position >= 3 && (position - 3) / FRAME < 200 && talks((position - 3) / FRAME);
        assert_eq!(left, if heard { sample(Track::Uplink, position) } else { 0 }, "{position}");
        let sent = position < 150 * FRAME;
        assert_eq!(right, if sent { sample(Track::Downlink, position) } else { 0 }, "{position}");
    }
}

#[test]
fn late_frames_replace_concealment_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let call = call(2);
    let (mut recorder, mut events) = open(&recordings, &call);
    let lost = [3_u64, 4, 11, 25, 50, 51, 52, 99];
    for frame in 0..100 {
        if lost.contains(&frame) {
            let concealment = [-1; FRAME as usize];
            let position = Position(frame * FRAME);
            recorder.record(Track::Uplink, position, &concealment, position);
        } else {
            feed(&mut recorder, Track::Uplink, frame, frame);
        }
        match frame {
            5 => feed(&mut recorder, Track::Late, 4, frame),
            6 => feed(&mut recorder, Track::Late, 3, frame),
            70 => [52, 11, 50, 25, 51]
                .into_iter()
                .for_each(|late| feed(&mut recorder, Track::Late, late, frame)),
            _ => {}
        }
    }
    feed(&mut recorder, Track::Late, 99, 100);
    close(&mut recorder, &call, 100);
    let EventKind::RecordingDone { path, .. } = next(&mut events) else { panic!("complete") };
    for (position, [left, right]) in (0_u64..).zip(read(&path)) {
        assert_eq!([left, right], [sample(Track::Uplink, position), 0], "{position}");
    }
    let patched = recordings.metrics().late_patched_samples.load(Ordering::Relaxed);
    assert_eq!(patched, lost.len() as u64 * FRAME);
}

#[test]
fn the_file_is_readable_while_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let call = call(3);
    let (mut recorder, mut events) = open(&recordings, &call);
    let path = wav_path(folder.path(), &call);
    let mut before = 0;
    for second in 0..4 {
        for frame in second * 50..(second + 1) * 50 {
            feed(&mut recorder, Track::Uplink, frame, frame);
            feed(&mut recorder, Track::Downlink, frame, frame);
        }
        // 200 ms blocks divide a second: all of it has left the recorder.
        wait_for_frames(&path, usize::try_from((second + 1) * 8000).unwrap());
        let copy = folder.path().join("copy.wav");
        std::fs::copy(&path, &copy).unwrap();
        let found = read(&copy);
        assert!(found.len() > before, "it grows");
        before = found.len();
        for (position, frame) in (0_u64..).zip(found) {
            let expected = [Track::Uplink, Track::Downlink].map(|track| sample(track, position));
            assert_eq!(frame, expected, "{position}");
        }
        assert_eq!(json(&path)["complete"], false);
        assert_eq!(json(&path)["duration_ms"], Value::Null);
    }
    close(&mut recorder, &call, 200);
    assert!(matches!(next(&mut events), EventKind::RecordingDone { duration_ms: 4000, .. }));
}

#[test]
fn the_description_holds_what_is_known_of_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let call = call(4);
    let before = Clock::new().wall().as_millis();
    let (mut recorder, mut events) = open(&recordings, &call);
    // The first block leaves at 0.2 s of the call, so position 0 lies that far in the past.
    for frame in 0..50 {
        feed(&mut recorder, Track::Uplink, frame, frame);
    }
    close(&mut recorder, &call, 50);
    let EventKind::RecordingDone { path, .. } = next(&mut events) else { panic!("complete") };
    let mut found = json(&path);
    let start = u128::from(found["start_unix_ms"].take().as_u64().unwrap());
    let after = Clock::new().wall().as_millis();
    assert!((before - 180..=after - 180).contains(&start), "{before} {start} {after}");
    let expected = serde_json::json!({
        "complete": true,
        "error": null,
        "call_id": "00000000-0000-0000-0000-000000000004",
        "channel_id": "1763689200.7",
        "channel_name": "../../etc/passwd",
        "caller_number": "+4930123456",
        "caller_name": "../Alice",
        "stream_uuid": null,
        "pipeline": "record",
        "parameters": { "tenant": "acme" },
        "transport": "rtp",
        "format": "ulaw",
        "sample_rate_hz": 8000,
        "start_unix_ms": null,
        "duration_ms": 1000,
        "dropped_samples": 0,
        "stats": serde_json::to_value(CallStats::default()).unwrap(),
    });
    assert_eq!(found, expected);
}

#[test]
fn nothing_that_a_caller_says_gets_into_a_file_name() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let call = call(5);
    for _ in 0..2 {
        let (mut recorder, mut events) = open(&recordings, &call);
        feed(&mut recorder, Track::Uplink, 0, 0);
        close(&mut recorder, &call, 1);
        assert!(matches!(next(&mut events), EventKind::RecordingDone { .. }));
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let id = call.id;
    let expected = ["-2.json", "-2.wav", ".json", ".wav"].map(|end| format!("{id}{end}"));
    assert_eq!(names, expected, "and a second recording does not overwrite the first");
}

#[test]
fn a_call_without_an_end_leaves_a_readable_file_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let (dropped, stopped) = (call(6), call(7));
    let (mut first, mut first_events) = open(&recordings, &dropped);
    let (mut second, mut second_events) = open(&recordings, &stopped);
    for frame in 0..10 {
        feed(&mut first, Track::Uplink, frame, frame);
        feed(&mut second, Track::Uplink, frame, frame);
    }
    drop(first);
    assert!(matches!(next(&mut first_events), EventKind::RecordingFailed { .. }));
    recordings.shutdown();
    assert!(matches!(next(&mut second_events), EventKind::RecordingFailed { .. }));
    assert!(second_events.try_recv().is_err(), "told once");
    for call in [dropped, stopped] {
        let path = wav_path(folder.path(), &call);
        assert_eq!(read(&path).len(), 1600);
        assert_eq!(json(&path)["complete"], false);
        assert_eq!(json(&path)["duration_ms"], 200);
        assert!(json(&path)["error"].is_string());
    }
    let (_third, mut third_events) = open(&recordings, &call(8));
    assert!(matches!(next(&mut third_events), EventKind::RecordingFailed { .. }));
    assert_eq!(recordings.metrics().failed.load(Ordering::Relaxed), 3);
    assert_eq!(recordings.metrics().open.load(Ordering::Relaxed), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Frames that come, are concealed, come late in random order or never: the file is what
    /// laying them into an array gives.
    #[test]
    fn any_order_within_the_window_gives_the_file_of_a_naive_model(
        fates in prop::collection::vec((0_u8..4, 1_usize..100, 0_u64..40), 1..150),
        suppressed in prop::collection::vec(any::<bool>(), 150),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let recordings = start(folder.path());
        let call = call(12);
        let (mut recorder, mut events) = open(&recordings, &call);
        let mut model = vec![[0_i16; 2]; fates.len() * FRAME as usize];
        let mut late: Vec<(usize, u64, u64)> = Vec::new();
        for (frame, &(fate, delay, offset)) in (0_u64..).zip(&fates) {
            let (start, now) = (usize::try_from(frame).unwrap() * 160, frame);
            match fate {
                // Never sent.
                0 => {}
                // In time.
                1 => {
                    feed(&mut recorder, Track::Uplink, frame, now);
                    for (i, slot) in model[start..start + 160].iter_mut().enumerate() {
                        slot[0] = sample(Track::Uplink, (start + i) as u64);
                    }
                }
                // Concealed; half of these come late.
                _ => {
                    recorder.record(Track::Uplink, Position(frame * FRAME), &[-9; 160],
                        Position(now * FRAME));
                    model[start..start + 160].iter_mut().for_each(|slot| slot[0] = -9);
                    if fate == 2 {
                        late.push((usize::try_from(frame).unwrap() + delay, offset, frame));
                    }
                }
            }
            if !suppressed[usize::try_from(frame).unwrap() % 150] {
                feed(&mut recorder, Track::Downlink, frame, now);
                for (i, slot) in model[start..start + 160].iter_mut().enumerate() {
                    slot[1] = sample(Track::Downlink, (start + i) as u64);
                }
            }
            late.sort_unstable();
            while late.first().is_some_and(|(due, ..)| *due as u64 <= frame) {
                let (.., missed) = late.remove(0);
                feed(&mut recorder, Track::Late, missed, now);
                let start = usize::try_from(missed).unwrap() * 160;
                for (i, slot) in model[start..start + 160].iter_mut().enumerate() {
                    slot[0] = sample(Track::Uplink, (start + i) as u64);
                }
            }
        }
        close(&mut recorder, &call, fates.len() as u64);
        recordings.shutdown();
        let done = events.try_recv().map(|event| event.event.kind);
        let Ok(EventKind::RecordingDone { path, .. }) = done else {
            panic!("complete before the shutdown returns: {done:?}")
        };
        prop_assert_eq!(&json(&path)["dropped_samples"], 0);
        prop_assert!(read(&path) == model);
    }
}
