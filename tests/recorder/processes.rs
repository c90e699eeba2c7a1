//! Tests that need a process of their own: it is limited, or killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use sidetone::event::EventKind;
use sidetone::processor::recorder::Track;

use super::{FRAME, call, close, feed, json, next, open, sample, start, wait_for_frames, wav_path};

/// Tells a child process of a test which part it plays.
const ROLE: &str = "SIDETONE_TEST_ROLE";

#[test]
fn a_thousand_recordings_at_once_are_all_complete() {
    const CALLS: u64 = 1000;
    let name = "processes::a_thousand_recordings_at_once_are_all_complete";
    if std::env::var(ROLE).is_err() {
        // Each recording holds a file open, and a shell's usual limit is 1024 of them.
        run_child(name, "ulimit -n 2048");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let mut calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let call = call(1000 + u128::from(number));
            let (recorder, events) = open(&recordings, &call);
            (call, recorder, events)
        })
        .collect();
    assert_eq!(recordings.metrics().open.load(Ordering::Relaxed), CALLS);
    for frame in 0..50 {
        for (_, recorder, _) in &mut calls {
            feed(recorder, Track::Uplink, frame, frame);
            feed(recorder, Track::Downlink, frame, frame);
        }
    }
    for (call, recorder, _) in &mut calls {
        close(recorder, call, 50);
    }
    for (_, _, events) in &mut calls {
        let EventKind::RecordingDone { path, .. } = next(events) else { panic!("complete") };
        let found = super::read(&path);
        assert_eq!(found.len(), 8000);
        for (position, frame) in (0_u64..).zip(found) {
            assert_eq!(frame, [Track::Uplink, Track::Downlink].map(|t| sample(t, position)));
        }
    }
    assert_eq!(recordings.metrics().done.load(Ordering::Relaxed), CALLS);
    assert_eq!(recordings.metrics().dropped_samples.load(Ordering::Relaxed), 0);
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    let name = "processes::a_full_disk_ends_the_recording_and_not_the_call";
    if std::env::var(ROLE).is_err() {
        // A file may take 64 blocks of 512 bytes; beyond, writes fail as on a full disk, and the
        // signal that comes with it is ignored.
        run_child(name, "trap '' XFSZ && ulimit -f 64");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let recordings = start(folder.path());
    let call = call(9);
    let (mut recorder, mut events) = open(&recordings, &call);
    for frame in 0..100 {
        feed(&mut recorder, Track::Uplink, frame, frame);
        feed(&mut recorder, Track::Downlink, frame, frame);
    }
    let EventKind::RecordingFailed { path, error } = next(&mut events) else {
        panic!("32 KiB do not hold 2 s")
    };
    assert!(error.contains("cannot write"), "{error}");
    for frame in 100..200 {
        feed(&mut recorder, Track::Uplink, frame, frame);
    }
    close(&mut recorder, &call, 200);
    assert!(events.try_recv().is_err(), "told once");
    let found = super::read(&path);
    assert_eq!(found.len(), (64 * 512 - 44) / 4, "all that the disk took");
    for (position, frame) in (0_u64..).zip(found) {
        let expected = [Track::Uplink, Track::Downlink].map(|track| sample(track, position));
        assert_eq!(frame, expected, "{position}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len() % 4, 0);
    assert_eq!(json(&path)["complete"], false);
    assert!(recordings.metrics().unrecorded_samples.load(Ordering::Relaxed) >= 100 * FRAME);
    assert_eq!(recordings.metrics().failed.load(Ordering::Relaxed), 1);
    // The next call fits.
    let (mut recorder, mut events) = open(&recordings, &super::call(10));
    feed(&mut recorder, Track::Uplink, 0, 0);
    close(&mut recorder, &super::call(10), 1);
    assert!(matches!(next(&mut events), EventKind::RecordingDone { .. }));
}

#[test]
fn a_killed_process_leaves_all_but_the_last_second() {
    const FRAMES: u64 = 250;
    const KEPT: u64 = FRAMES * FRAME - 8000;
    let name = "processes::a_killed_process_leaves_all_but_the_last_second";
    if let Ok(directory) = std::env::var(ROLE) {
        let directory = Path::new(&directory);
        let recordings = start(directory);
        let call = call(11);
        let (mut recorder, _events) = open(&recordings, &call);
        for frame in 0..FRAMES {
            feed(&mut recorder, Track::Uplink, frame, frame);
            feed(&mut recorder, Track::Downlink, frame, frame);
        }
        // Not told to close anything: the end comes without warning.
        wait_for_frames(&wav_path(directory, &call), usize::try_from(KEPT).unwrap());
        println!("recorded");
        std::io::stdout().flush().unwrap();
        let _ = std::io::stdin().read_line(&mut String::new());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("recorded")));
    child.kill().unwrap();
    child.wait().unwrap();
    let path = wav_path(folder.path(), &call(11));
    let found = super::read(&path);
    assert!(found.len() as u64 >= KEPT, "{} frames", found.len());
    for (position, frame) in (0_u64..).zip(found) {
        let expected = [Track::Uplink, Track::Downlink].map(|track| sample(track, position));
        assert_eq!(frame, expected, "{position}");
    }
    assert_eq!(json(&path)["complete"], false);
}

/// Runs one test of this file alone in a process of its own, after `setup` in a shell.
fn run_child(test: &str, setup: &str) {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{setup} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().expect("a test has a file"))
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "child")
        .output()
        .expect("sh is everywhere");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "the child ran the test: {text}");
}
