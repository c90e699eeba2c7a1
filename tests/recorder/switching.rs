//! Recordings that are switched off for a while: a card's number that nobody may keep.

use std::path::Path;
use std::sync::Arc;

use sidetone::audio::MediaFormat;
use sidetone::call::{EndReason, Transport};
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::EchoFactory;
use sidetone::processor::recorder::{RecorderFactory, RecorderSettings};
use sidetone::runtime::Clock;
use sidetone::runtime::recording::Recordings;
use tokio::sync::mpsc::unbounded_channel;

use super::{json, next, read};
use crate::driver::{Rig, Sender, call, ms};
use crate::switch::{Switch, key};

const FORMAT: MediaFormat = MediaFormat::Ulaw;

/// Records an echoed call of ten seconds, in which these keys are pressed, and two packets come late.
fn record(folder: &Path, keys: &[(u64, char)]) -> Vec<[i16; 2]> {
    let settings = RecorderSettings {
        directory: folder.to_owned(),
        // The call runs much faster than the writer looks.
        queue: ms(600_000),
        ..RecorderSettings::default()
    };
    let recordings = Recordings::start(settings, Clock::new()).expect("a thread can be started");
    let (events, mut told) = unbounded_channel();
    let registration =
        recordings.listeners().register(call(Transport::Rtp, Some(FORMAT)).id, events);
    let recorder = RecorderFactory::new(Arc::new(recordings));
    let mut rig = Rig::rtp_through(
        FORMAT,
        MediaSettings::default(),
        vec![Arc::new(Switch("2")), Arc::new(EchoFactory::default()), Arc::new(recorder)],
    );
    drop(registration);
    let mut sender = Sender::new(FORMAT);
    let mut inputs: Vec<_> = (0..500_u64)
        .map(|n| {
            let late = if n == 390 || n == 420 { 220 } else { 0 };
            (20 * n + late, Some(sender.packet()), ' ')
        })
        .collect();
    inputs.extend(keys.iter().map(|(at, key)| (*at, None, *key)));
    inputs.sort_by_key(|(at, ..)| *at);
    for (at, packet, pressed) in &inputs {
        match packet {
            Some(packet) => rig.datagram(ms(*at), packet),
            None => rig.input(ms(*at), key(*pressed)),
        }
    }
    rig.end(ms(10_000), EndReason::CallerGone);
    let EventKind::RecordingDone { path, .. } = next(&mut told) else { panic!("complete") };
    assert_eq!(json(&path)["dropped_samples"], 0);
    read(&path)
}

#[test]
fn what_is_said_while_it_is_off_is_silence_on_both_sides_and_the_rest_stays_in_its_place() {
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let whole = record(whole.path(), &[]);
    // Twice; the last packet of the second time comes late, when it is on again.
    let keys = [(2_005, '0'), (3_005, '1'), (5_005, '0'), (7_905, '1')];
    let parts = record(parts.path(), &keys);
    assert_eq!(whole.len(), parts.len());
    let mut silent = 0;
    for (n, (whole, part)) in whole.iter().zip(&parts).enumerate() {
        // Frames of 20 ms: the first that comes behind a key.
        let off = [2_020 * 8..3_020 * 8, 5_020 * 8..7_920 * 8].iter().any(|off| off.contains(&n));
        assert_eq!(*part, if off { [0; 2] } else { *whole }, "at sample {n}");
        silent += usize::from(off && *whole != [0; 2]);
    }
    assert!(silent > 30_000, "there was something that is not kept: {silent}");
}
