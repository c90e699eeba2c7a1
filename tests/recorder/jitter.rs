//! Recordings of long calls over a bad network, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use sidetone::audio::MediaFormat;
use sidetone::call::{EndReason, Transport};
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::recorder::{RecorderFactory, RecorderSettings};
use sidetone::runtime::Clock;
use sidetone::runtime::recording::Recordings;
use tokio::sync::mpsc::unbounded_channel;

use super::{RATE, json, next, read};
use crate::arrivals::{BAD, check, is_regular};
use crate::driver::{Rig, Sender, call, ms};
use crate::emulator::Emulator;

/// Far enough behind the call's start for packets older than the first to have a place.
const START: Duration = ms(3_000);

/// Five minutes.
const PACKETS: u64 = 5 * 60 * 50;

#[test]
fn five_minutes_over_a_bad_network_are_recorded_in_their_place_with_all_that_arrived() {
    let mut late = 0;
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let settings = RecorderSettings {
            directory: folder.path().to_owned(),
            // The call runs much faster than the writer looks.
            queue: Duration::from_secs(600),
            ..RecorderSettings::default()
        };
        let recordings = Recordings::start(settings, Clock::new()).unwrap();
        let (events, mut told) = unbounded_channel();
        let format = MediaFormat::Ulaw;
        let registration =
            recordings.listeners().register(call(Transport::Rtp, Some(format)).id, events);
        let recorder = RecorderFactory::new(Arc::new(recordings.clone()));
        let settings = MediaSettings::default();
        let mut rig = Rig::rtp_through(format, settings, vec![Arc::new(recorder)]);
        drop(registration);
        rig.keeps_sent = false;

        let (mut sender, mut network) = (Sender::new(format), Emulator::new(BAD, seed));
        // Both wrap within the first seconds.
        (sender.seq, sender.ts) = (65_500, u32::MAX - 10_000);
        for index in 0..PACKETS {
            network.send(START + ms(20) * u32::try_from(index).unwrap(), &sender.packet());
        }
        let deliveries = network.receive_all();
        for delivery in &deliveries {
            rig.datagram(delivery.at, &delivery.bytes);
        }
        let last = deliveries.last().expect("something arrives").at;
        rig.end(last + ms(1_000), EndReason::CallerGone);

        let EventKind::RecordingDone { path, .. } = next(&mut told) else { panic!("complete") };
        let caller: Vec<i16> = read(&path).iter().map(|[caller, _]| *caller).collect();
        let json = json(&path);
        assert_eq!(json["dropped_samples"], 0);
        is_regular(&deliveries).expect("so it was sent");
        let found = check(&deliveries, &caller, &json["stats"]);
        println!("seed {seed}: {:?}, {found:?}", network.statistics());
        assert_eq!(found.first_at as u64, RATE.samples_in(deliveries[0].at));
        let (lost, sent) = (network.statistics().lost as f64, PACKETS as f64);
        assert!((0.03..0.07).contains(&(lost / sent)), "{lost} of {sent} lost");
        late += found.late;
    }
    assert!(late > 0, "some came after their place was given up");
}
