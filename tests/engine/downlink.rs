//! What leaves towards the caller, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::engine::{Command, Input};
use sidetone::event::EventKind;
use sidetone::media::{Cleared, MediaSettings, QueueLevel, SilencePolicy};
use sidetone::wire::RtpTs;

use crate::driver::{Done, Moment, Rig, SEED, Script, Sender, Track, idle, ms, peer};

const FORMAT: MediaFormat = MediaFormat::Ulaw;
/// µ-law of silence.
const SILENCE: [u8; 160] = [0xff; 160];

/// A script that does `acts[n]` at the n-th frame of the caller's audio.
fn at_uplink(acts: Vec<fn(&mut sidetone::processor::Context<'_>)>) -> Script {
    let mut acts = acts.into_iter();
    Box::new(move |moment, cx| {
        if let Moment::Uplink(_) = moment
            && let Some(act) = acts.next()
        {
            act(cx);
        }
    })
}

/// A call with this script and one packet of the caller at each of these moments.
fn rig_with(settings: MediaSettings, script: Script, packets_at: &[u64], until: u64) -> Rig {
    let mut rig = Rig::rtp_with(FORMAT, settings, script);
    let mut sender = Sender::new(FORMAT);
    for &at in packets_at {
        rig.datagram(ms(at), &sender.packet());
    }
    rig.run_until(ms(until));
    rig
}

/// Moments in ms at which something else than silence was sent.
fn audible_at(rig: &Rig) -> Vec<u128> {
    let audible = rig.packets().filter(|(_, packet)| packet.payload() != SILENCE);
    audible.map(|(at, _)| at.as_millis()).collect()
}

#[test]
fn one_frame_of_silence_leaves_every_20_ms_from_the_peers_address_on() {
    for (format, bytes) in
        [(FORMAT, 160), (MediaFormat::Alaw, 160), (MediaFormat::Slin(SampleRate::HZ_8000), 320)]
    {
        let mut rig = Rig::rtp_without_peer(format, MediaSettings::default(), idle(), true);
        rig.run_until(ms(137));
        assert_eq!(rig.sent().count(), 0);
        rig.input(ms(137), Input::Command(Command::SetPeer(peer())));
        rig.run_until(ms(4_999));
        let mut expected = SEED;
        for (n, (at, packet)) in (0..).zip(rig.packets()) {
            assert_eq!(at, ms(137 + 20 * n));
            assert_eq!(packet.payload_type().value(), format.payload_type());
            assert_eq!(packet.ssrc(), SEED.ssrc);
            assert_eq!((packet.seq(), packet.timestamp()), (expected.seq, expected.timestamp));
            assert_eq!(packet.marker(), n == 0, "the marker is on the first packet only");
            assert_eq!(packet.payload().len(), bytes);
            expected.seq = expected.seq.plus(1);
            expected.timestamp = expected.timestamp.plus(160);
        }
        assert_eq!(rig.sent().count(), 244);
        assert_eq!(rig.stats().packets_sent, 244);
        let seen = rig.seen();
        let frames: Vec<_> = seen.of(Track::Downlink).collect();
        assert_eq!(frames.len(), 244);
        for (n, frame) in (0..).zip(frames) {
            assert_eq!((frame.position, frame.origin), (137 * 8 + 160 * n, Origin::Silence));
            assert!(frame.samples.iter().all(|&sample| sample == 0));
        }
    }
}

#[test]
fn a_peer_that_is_set_again_gets_no_second_clock() {
    let mut rig = Rig::rtp(FORMAT);
    rig.input(ms(10), Input::Command(Command::SetPeer(peer())));
    rig.run_until(ms(99));
    assert_eq!(rig.sent().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [0, 20, 40, 60, 80]);
}

/// Moments in ms at which packets were sent.
fn sent_at(rig: &Rig) -> Vec<u128> {
    rig.packets().map(|(at, _)| at.as_millis()).collect()
}

#[test]
fn frames_leave_at_the_moments_that_were_asked_for() {
    let mut rig = Rig::rtp_without_peer(FORMAT, MediaSettings::default(), idle(), true);
    rig.set_ticks(ms(0), ms(13));
    rig.input(ms(40), Input::Command(Command::SetPeer(peer())));
    rig.run_until(ms(100));
    // Nothing was played yet: the next frame may come sooner than a packet time.
    rig.set_ticks(ms(100), ms(1_007));
    rig.run_until(ms(150));
    assert_eq!(sent_at(&rig), [53, 73, 93, 107, 127, 147]);
}

#[test]
fn once_something_was_played_no_frame_comes_too_soon() {
    let script = at_uplink(vec![|cx| {
        cx.play(&[1_000; 1_600]);
    }]);
    let mut rig = rig_with(MediaSettings::default(), script, &[10], 65);
    assert_eq!(sent_at(&rig), [0, 20, 40, 60]);
    rig.set_ticks(ms(65), ms(5));
    rig.run_until(ms(130));
    assert_eq!(sent_at(&rig), [0, 20, 40, 60, 85, 105, 125]);
    assert_eq!(audible_at(&rig), [20, 40, 60, 85, 105, 125]);
}

#[test]
fn an_hour_does_not_drift() {
    let settings = MediaSettings { end_after: Duration::ZERO, ..MediaSettings::default() };
    let mut rig = Rig::rtp_without_peer(FORMAT, settings, idle(), false);
    let start = ms(7);
    rig.input(start, Input::Command(Command::SetPeer(peer())));
    rig.run_until(start + ms(3_600_000));
    let (last, packet) = rig.packets().last().expect("it sends");
    assert_eq!(last, start + ms(3_600_000));
    assert_eq!(rig.sent().count(), 180_001);
    assert_eq!(packet.timestamp(), RtpTs(SEED.timestamp.0.wrapping_add(180_000 * 160)));
    // One wake-up per frame, and one to tell that no media comes.
    assert!(rig.wakes <= 180_002, "woken {} times", rig.wakes);
}

#[test]
fn suppressed_silence_sends_nothing_and_the_next_audio_carries_the_marker() {
    let settings = MediaSettings { silence: SilencePolicy::Suppress, ..MediaSettings::default() };
    let play: fn(&mut sidetone::processor::Context<'_>) = |cx| {
        cx.play(&[1_000; 320]);
    };
    let rig = rig_with(settings, at_uplink(vec![play, play]), &[110, 510], 1_000);
    let sent: Vec<_> = rig
        .packets()
        .map(|(at, packet)| {
            let ticks = packet.timestamp().since(SEED.timestamp);
            (at.as_millis(), packet.marker(), packet.seq().since(SEED.seq), ticks)
        })
        .collect();
    assert_eq!(
        sent,
        [
            (120, true, 0, 6 * 160),
            (140, false, 1, 7 * 160),
            (520, true, 2, 26 * 160),
            (540, false, 3, 27 * 160),
        ],
    );
    assert_eq!(rig.stats().packets_sent, 4);
    assert_eq!(rig.seen().of(Track::Downlink).count(), 51, "the chain hears all of the silence");
}

#[test]
fn what_is_played_goes_out_in_order_whatever_its_chunks() {
    let play: fn(&mut sidetone::processor::Context<'_>) = |cx| {
        let all: Vec<i16> = (0..1_000).collect();
        for chunk in all.chunks(37) {
            assert_eq!(cx.play(chunk), chunk.len());
        }
        assert_eq!(cx.queued(), 1_000);
    };
    let rig = rig_with(MediaSettings::default(), at_uplink(vec![play]), &[50], 300);
    let seen = rig.seen();
    let played: Vec<_> = seen.of(Track::Downlink).filter(|f| f.origin == Origin::Real).collect();
    assert_eq!(played.iter().map(|f| f.now / 160).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9]);
    let samples: Vec<_> = played.iter().flat_map(|frame| frame.samples.clone()).collect();
    assert_eq!(samples[..1_000], (0..1_000).collect::<Vec<i16>>());
    assert!(samples[1_000..].iter().all(|&sample| sample == 0));
    assert_eq!(audible_at(&rig), [60, 80, 100, 120, 140, 160, 180]);
}

#[test]
fn clear_answers_what_was_really_sent_and_leaves_nothing_to_send() {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&answers);
    let mut frame = 0;
    let script: Script = Box::new(move |moment, cx| {
        let Moment::Uplink(_) = moment else { return };
        frame += 1;
        if frame == 1 {
            cx.play(&[1_000; 8_000]);
            cx.mark("never heard");
        } else {
            kept.lock().unwrap().push(cx.clear());
        }
    });
    // The second packet comes in the middle between the frames at 200 and at 220 ms.
    let rig = rig_with(MediaSettings::default(), script, &[0, 210], 600);
    // The frame at 0 had left when the audio was queued.
    let audible = audible_at(&rig);
    assert_eq!(audible, (1..=11).map(|n| 20 * n).collect::<Vec<u128>>());
    let marks = vec!["never heard".to_owned()];
    // With the 4 ms that fade out.
    let expected = Cleared { played: ms(204), discarded: ms(796), marks };
    assert_eq!(*answers.lock().unwrap(), [expected]);
    let told: Vec<_> = rig.events().filter(|(at, _)| *at == ms(210)).map(|(_, k)| k).collect();
    let [EventKind::Cleared { played_ms: 204, discarded_ms: 796, marks }, mark] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(marks, &["never heard"]);
    assert!(
        matches!(mark, EventKind::Mark { name, played: false } if name == "never heard"),
        "its mark is told at once, and does not lie: {mark:?}"
    );
    assert_eq!(rig.count(|kind| matches!(kind, EventKind::Mark { .. })), 1);
    assert_eq!(rig.count(|kind| matches!(kind, EventKind::PlaybackDone)), 0);
}

#[test]
fn marks_are_told_in_order_right_behind_the_frame_with_their_last_sample() {
    let play: fn(&mut sidetone::processor::Context<'_>) = |cx| {
        cx.mark("start");
        cx.play(&[1_000; 160]);
        cx.mark("one frame");
        cx.play(&[1_000; 1]);
        cx.mark("one sample more");
        cx.play(&[1_000; 319]);
        cx.mark("end");
    };
    let rig = rig_with(MediaSettings::default(), at_uplink(vec![play]), &[50], 300);
    let mut audible = 0;
    let mut marks = Vec::new();
    for (at, done) in &rig.done {
        match done {
            Done::Sent(bytes) => audible += u32::from(bytes[12..] != SILENCE),
            Done::Told(event) => {
                if let EventKind::Mark { name, played: true } = &event.kind {
                    marks.push((at.as_millis(), audible, name.as_str()));
                    assert_eq!(event.media_time, *at);
                    assert_eq!(event.wall_time, *at + Duration::from_secs(1_000));
                }
            }
            Done::Ended => {}
        }
    }
    let expected =
        [(50, 0, "start"), (60, 1, "one frame"), (80, 2, "one sample more"), (100, 3, "end")];
    assert_eq!(marks, expected);
}

#[test]
fn a_pause_lets_silence_out_and_the_rest_follows_behind_it() {
    let played = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&played);
    let mut frame = 0;
    let script: Script = Box::new(move |moment, cx| {
        let Moment::Uplink(_) = moment else { return };
        frame += 1;
        match frame {
            1 => {
                cx.play(&[1_000; 800]);
                cx.mark("end");
            }
            2 => cx.pause(),
            3 => cx.resume(),
            _ => {}
        }
        kept.lock().unwrap().push((cx.played(), cx.is_paused()));
    });
    let rig = rig_with(MediaSettings::default(), script, &[10, 50, 130, 250], 400);
    // The one at 60 fades out.
    assert_eq!(audible_at(&rig), [20, 40, 60, 140, 160]);
    let expected = [(ms(0), false), (ms(40), true), (ms(60), false), (ms(100), false)];
    assert_eq!(*played.lock().unwrap(), expected);
    let ends: Vec<_> = rig
        .events()
        .filter(|(_, k)| matches!(k, EventKind::Mark { .. } | EventKind::PlaybackDone))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(ends, [ms(160); 2]);
}

#[test]
fn what_is_ducked_is_lower_until_that_is_taken_back() {
    let script = at_uplink(vec![
        |cx| {
            cx.play(&[10_000; 1_600]);
        },
        |cx| cx.duck(-12.0),
        |cx| cx.unduck(),
    ]);
    let rig = rig_with(MediaSettings::default(), script, &[10, 50, 130], 400);
    let seen = rig.seen();
    let played: Vec<_> = seen.of(Track::Downlink).filter(|f| f.origin == Origin::Real).collect();
    let levels: Vec<_> = played.iter().map(|frame| *frame.samples.last().unwrap()).collect();
    // 10^(−12/20) of the level.
    let low = 2_512;
    let full = 10_000;
    assert_eq!(levels, [full, full, low, low, low, low, full, full, full, full]);
    let samples: Vec<_> = played.iter().flat_map(|frame| frame.samples.clone()).collect();
    // The whole way in one frame of 160 samples: 46.8 each.
    assert!(samples.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 48));
}

#[test]
fn whoever_fills_the_queue_is_told_when_to_wait_and_when_to_go_on() {
    let script: Script = Box::new(move |moment, cx| match moment {
        Moment::Event(EventKind::MediaReady { .. }) => cx.watch_queue(ms(60), ms(200)),
        Moment::Uplink(_) => {
            cx.play(&[1_000; 1_600]);
        }
        _ => {}
    });
    let rig = rig_with(MediaSettings::default(), script, &[10, 50], 600);
    let told: Vec<_> = rig
        .events()
        .filter_map(|(at, kind)| match kind {
            EventKind::QueueLevel { level, queued_ms } => {
                Some((at.as_millis(), *level, *queued_ms))
            }
            _ => None,
        })
        .collect();
    // 400 ms in all, of which the first leaves at 20: at 340 it is the 17th frame of 20.
    assert_eq!(told, [(10, QueueLevel::High, 200), (340, QueueLevel::Low, 60)]);
    assert_eq!(audible_at(&rig).len(), 20);
}

#[test]
fn a_mark_set_by_the_news_of_a_mark_waits_for_the_next_turn() {
    let script: Script = Box::new(move |moment, cx| match moment {
        Moment::Uplink(_) => cx.mark("0"),
        Moment::Event(EventKind::Mark { name, .. }) => {
            let next = name.parse::<u32>().unwrap() + 1;
            assert!(next < 1_000, "one turn has no end");
            cx.mark(&next.to_string());
        }
        _ => {}
    });
    let rig = rig_with(MediaSettings::default(), script, &[50], 250);
    let marks = rig.count(|kind| matches!(kind, EventKind::Mark { .. }));
    // Each wake-up has two turns: what has come, and the frame that is due.
    assert!((10..=22).contains(&marks), "{marks} marks in 200 ms");
}

#[test]
fn a_full_queue_takes_no_more_and_says_so() {
    let settings = MediaSettings { playout_max_queue: ms(100), ..MediaSettings::default() };
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    let script: Script = Box::new(move |moment, cx| {
        if let Moment::Uplink(_) = moment {
            kept.lock().unwrap().push((cx.play(&[1_000; 500]), cx.queued()));
        }
    });
    rig_with(settings, script, &[10, 11, 12, 30], 100);
    assert_eq!(*taken.lock().unwrap(), [(500, 500), (300, 800), (0, 800), (160, 800)]);
}

#[test]
fn playback_done_is_told_once_when_the_queue_runs_empty() {
    let play: fn(&mut sidetone::processor::Context<'_>) = |cx| {
        cx.play(&[1_000; 400]);
    };
    // The second comes while the first is being played, the third afterwards.
    let script = at_uplink(vec![play, play, play]);
    let rig = rig_with(MediaSettings::default(), script, &[50, 70, 510], 1_000);
    let done = rig.events().filter(|(_, kind)| matches!(kind, EventKind::PlaybackDone));
    assert_eq!(done.map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [140, 560]);
    assert_eq!(audible_at(&rig), [60, 80, 100, 120, 140, 520, 540, 560]);
}

#[test]
fn a_spurious_wake_does_nothing() {
    let mut rig = Rig::rtp(FORMAT);
    rig.run_until(ms(100));
    let (before, wake) = (rig.done.len(), rig.wake());
    for at in [100, 101, 119] {
        rig.give(ms(at), Input::Timeout);
        rig.give(ms(at), Input::Timeout);
    }
    assert_eq!((rig.done.len(), rig.wake()), (before, wake));
}

#[test]
fn an_earlier_now_is_taken_for_the_latest() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = Sender::new(FORMAT);
    rig.run_until(ms(100));
    rig.give(ms(30), Input::Datagram { from: peer(), bytes: &sender.packet() });
    assert_eq!(rig.seen().of(Track::Uplink).next().map(|kept| kept.now), Some(800));
    rig.give(ms(120), Input::Timeout);
    assert_eq!(rig.sent().count(), 7);
}

#[test]
fn a_stall_of_50_ms_is_made_up_for_at_once() {
    let mut rig = Rig::rtp(FORMAT);
    rig.run_until(ms(40));
    rig.give(ms(115), Input::Timeout);
    rig.run_until(ms(160));
    let times: Vec<_> = rig.sent().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 20, 40, 115, 115, 115, 120, 140, 160]);
    for (n, (_, packet)) in (0..).zip(rig.packets()) {
        assert_eq!(packet.timestamp(), SEED.timestamp.plus(160 * n));
        assert_eq!(packet.seq(), SEED.seq.plus(u16::try_from(n).unwrap()));
    }
    assert_eq!(rig.stats().frames_skipped, 0);
}

#[test]
fn a_stall_of_5_s_skips_all_but_the_last_100_ms() {
    let mut rig = Rig::rtp(FORMAT);
    rig.run_until(ms(40));
    rig.give(ms(5_040), Input::Timeout);
    rig.run_until(ms(5_100));
    let times: Vec<_> = rig.sent().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 20, 40, 5_040, 5_040, 5_040, 5_040, 5_040, 5_060, 5_080, 5_100]);
    assert_eq!(rig.stats().frames_skipped, 245);
    for (n, (_, packet)) in (0..).zip(rig.packets()) {
        let skipped = if n < 3 { 0 } else { 245 };
        assert_eq!(packet.timestamp(), SEED.timestamp.plus(160 * (n + skipped)));
        assert_eq!(packet.seq(), SEED.seq.plus(u16::try_from(n).unwrap()));
        assert_eq!(packet.marker(), n == 0);
    }
    let last = rig.seen().of(Track::Downlink).last().map(|kept| kept.position);
    assert_eq!(last, Some(8 * 5_100));
}

#[test]
fn a_stall_longer_than_the_circle_of_the_timestamp_is_survived() {
    let settings = MediaSettings { end_after: Duration::ZERO, ..MediaSettings::default() };
    let mut rig = Rig::rtp_with(FORMAT, settings, idle());
    // 2^32 ticks of 8 kHz are 6.2 days.
    rig.give(Duration::from_secs(7 * 86_400), Input::Timeout);
    let last = rig.packets().last().map(|(_, packet)| packet.timestamp());
    let ticks: u64 = 7 * 86_400 * 8_000;
    assert_eq!(last, Some(SEED.timestamp.plus((ticks & 0xffff_ffff) as u32)));
}

#[test]
fn a_frame_that_could_not_be_sent_is_counted_as_skipped() {
    let mut rig = Rig::rtp(FORMAT);
    rig.run_until(ms(100));
    rig.give(ms(100), Input::TransmitFailed);
    assert_eq!((rig.stats().packets_sent, rig.stats().frames_skipped), (5, 1));
}
