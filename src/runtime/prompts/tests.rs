use std::fs;
use std::path::Path;
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;

use super::*;
use crate::dsp::find_offset;
use crate::dsp::tone::Sine;

const RATE: SampleRate = SampleRate::HZ_8000;

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format: SampleFormat::Int }
}

fn write(path: &Path, spec: WavSpec, samples: impl IntoIterator<Item = i32>) {
    let mut writer = WavWriter::create(path, spec).unwrap();
    samples.into_iter().for_each(|sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

/// What comes of a name, read by a thread of its own.
#[allow(clippy::disallowed_methods, reason = "waits for a thread")]
fn wait(prompt: &Prompt) -> Result<Arc<[i16]>, PromptError> {
    for _ in 0..2_000 {
        if let Some(result) = prompt.get() {
            return result.clone();
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing came within ten seconds");
}

fn prompts(root: &Path, cache_bytes: u64) -> Prompts {
    let root = Some(root.to_owned());
    Prompts::start(&PlayerSettings { root, cache_bytes, ..PlayerSettings::default() }).unwrap()
}

#[test]
fn a_file_is_read_once_and_shared() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("menus")).unwrap();
    write(&folder.path().join("menus/a.wav"), spec(1, 8_000, 16), 0..1_000);
    let prompts = prompts(folder.path(), 1 << 20);
    let first = prompts.load("menus/a.wav", RATE);
    let expected: Vec<i16> = (0..1_000).collect();
    assert_eq!(&wait(&first).unwrap()[..], expected);
    assert!(Arc::ptr_eq(&first, &prompts.load("menus/a.wav", RATE)));
    assert!(!Arc::ptr_eq(&first, &prompts.load("menus/a.wav", SampleRate::HZ_16000)));
}

#[test]
fn nothing_outside_of_the_root_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let secret = folder.path().join("secret.wav");
    write(&secret, spec(1, 8_000, 16), 0..10);
    std::os::unix::fs::symlink(&secret, root.join("link.wav")).unwrap();
    std::os::unix::fs::symlink(folder.path(), root.join("up")).unwrap();
    write(&root.join("inside.wav"), spec(1, 8_000, 16), 0..10);
    std::os::unix::fs::symlink("inside.wav", root.join("alias.wav")).unwrap();
    let prompts = prompts(&root, 1 << 20);
    let absolute = secret.to_str().unwrap();
    for name in [
        "../secret.wav",
        "x/../../secret.wav",
        absolute,
        "link.wav",
        "up/secret.wav",
        "",
        ".",
        "./inside.wav",
    ] {
        let error = wait(&prompts.load(name, RATE)).unwrap_err();
        assert_eq!(error, PromptError::Outside { name: name.to_owned() });
    }
    assert_eq!(
        wait(&prompts.load("alias.wav", RATE)).unwrap().len(),
        10,
        "a link that stays inside"
    );
}

#[test]
fn what_cannot_be_played_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("text.wav"), "no RIFF at all").unwrap();
    fs::create_dir(root.join("folder.wav")).unwrap();
    write(&root.join("odd.wav"), spec(1, 8_001, 16), 0..10);
    write(&root.join("long.wav"), spec(1, 8_000, 16), 0..1_000);
    let prompts = prompts(root, 1_999);
    let why = |name| wait(&prompts.load(name, RATE)).unwrap_err();
    for name in ["missing.wav", "text.wav", "folder.wav"] {
        assert!(matches!(why(name), PromptError::Unreadable { .. }), "{name}: {}", why(name));
    }
    let name = "odd.wav".to_owned();
    assert_eq!(why("odd.wav"), PromptError::Rate { name, actual_hz: 8_001, wanted: RATE });
    let name = "long.wav".to_owned();
    assert_eq!(why("long.wav"), PromptError::TooLarge { name, need: 2_000, have: 1_999 });
    let nowhere = Prompts::start(&PlayerSettings::default()).unwrap();
    let error = wait(&nowhere.load("a.wav", RATE)).unwrap_err();
    assert_eq!(error, PromptError::NoRoot { name: "a.wav".to_owned() });
}

#[test]
fn a_file_that_was_missing_is_found_once_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = prompts(folder.path(), 1 << 20);
    assert!(wait(&prompts.load("late.wav", RATE)).is_err());
    write(&folder.path().join("late.wav"), spec(1, 8_000, 16), 0..10);
    assert!(wait(&prompts.load("late.wav", RATE)).is_ok());
}

#[test]
fn the_least_recently_used_file_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.wav", "b.wav", "c.wav"] {
        write(&folder.path().join(name), spec(1, 8_000, 16), 0..1_000);
    }
    let prompts = prompts(folder.path(), 4_000);
    let a = prompts.load("a.wav", RATE);
    wait(&a).unwrap();
    wait(&prompts.load("b.wav", RATE)).unwrap();
    prompts.load("a.wav", RATE);
    wait(&prompts.load("c.wav", RATE)).unwrap();
    let shelf = lock(&prompts.shelf);
    let mut names: Vec<_> = shelf.entries.keys().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!((names, shelf.bytes), (vec!["a.wav", "c.wav"], 4_000));
}

#[test]
fn widths_and_channels_become_mono_of_16_bits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let ramp: Vec<i32> = (-100..100).collect();
    let expected: Vec<i16> = (-100..100).map(|n| 256 * n).collect();
    for bits in [8, 16, 24, 32] {
        let scaled = ramp.iter().map(|n| ((i64::from(*n) << bits) >> 8) as i32);
        let name = format!("{bits}.wav");
        write(&root.join(&name), spec(1, 8_000, bits), scaled);
        assert_eq!(file::read(Some(root), &name, RATE, 1 << 20).unwrap(), expected, "{bits} bits");
    }
    // Left and right, far apart: the mean.
    let stereo = ramp.iter().flat_map(|n| [256 * n + 1_000, 256 * n - 1_000]);
    write(&root.join("stereo.wav"), spec(2, 8_000, 16), stereo);
    assert_eq!(file::read(Some(root), "stereo.wav", RATE, 1 << 20).unwrap(), expected);
    let float = WavSpec { sample_format: SampleFormat::Float, ..spec(1, 8_000, 32) };
    let mut writer = WavWriter::create(root.join("float.wav"), float).unwrap();
    ramp.iter().for_each(|n| writer.write_sample(*n as f32 / 128.0).unwrap());
    writer.finalize().unwrap();
    assert_eq!(file::read(Some(root), "float.wav", RATE, 1 << 20).unwrap(), expected);
}

#[test]
fn any_usual_rate_becomes_the_calls() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for from_hz in [6_000_u32, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000] {
        // A second of 440 Hz.
        let turn = std::f64::consts::TAU * 440.0 / f64::from(from_hz);
        let sine = (0..from_hz).map(|n| (8_000.0 * (turn * f64::from(n)).sin()).round() as i32);
        let name = format!("{from_hz}.wav");
        write(&root.join(&name), spec(1, from_hz, 16), sine);
        for rate in SampleRate::ALL {
            let played = file::read(Some(root), &name, rate, 4 << 20).unwrap();
            let count = rate.hz() as usize;
            assert!(played.len().abs_diff(count) <= 1, "{from_hz} to {rate}: {}", played.len());
            let mut expected = vec![0; count];
            Sine::new(440.0, rate, 8_000.0 / 32_767.0).fill(&mut expected);
            // Away from the edges, where the filter meets what is not there.
            let (from, to) = (count / 10, count / 10 * 9);
            let place = find_offset(&expected[from..to], &played, 0..=count.cast_signed());
            let error = (from..to)
                .map(|n| (f64::from(played[n]) - f64::from(expected[n])).abs())
                .fold(0.0, f64::max);
            assert!(error < 30.0, "{from_hz} to {rate}: off by {error}, {place:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_file_with_one_wrong_byte_of_its_head_is_read_or_refused(at in 0_usize..44, byte: u8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, spec(2, 16_000, 16), 0..50);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        let read = file::read(Some(folder.path()), "a.wav", RATE, 1 << 20);
        prop_assert!(read.is_err() || read.is_ok_and(|samples| samples.len() <= 1 << 19));
    }
}
