//! The caller's side of a recording is what the caller said, for every format.

use crate::steady::steady;
use std::time::{Duration, SystemTime};

use crate::asterisk::LocalCall;
use crate::support::{SOON, find, of_call, pair, speech, whole};

/// The caller waits so many seconds until the media is there before it speaks.
const LEAD: f32 = 0.5;

#[test]
fn the_recording_holds_what_the_caller_said_in_every_format() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        let formats = [
            ("rtp", "ulaw", 8000),
            ("rtp", "alaw", 8000),
            ("rtp", "slin", 8000),
            ("rtp", "slin16", 16_000),
            ("audiosocket", "slin", 8000),
            ("audiosocket", "slin16", 16_000),
        ];
        for rate in [8000, 16_000] {
            asterisk.put_sound(&format!("speech-{rate}"), rate, &speech(rate));
        }
        let before = unix_ms();
        for (media, format, rate) in formats {
            LocalCall::to_sidetone(&format!("record,media={media},format={format}"))
                .rate(rate)
                .plays(&format!("speech-{rate}"))
                .records(&format!("{media}-{format}"))
                .waits(LEAD, 1.0)
                .start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(30));
        let after = unix_ms();

        let recordings = sidetone.complete_recordings(formats.len());
        for (media, format, rate) in formats {
            let recorded = of_call(&recordings, media, format);
            assert_eq!(recorded.rate, rate);
            let prompt = speech(rate);
            let found = find(&prompt, &recorded.caller);
            whole(found, 0.99, &format!("{media} {format}"));
            assert!(recorded.bot.iter().all(|&sample| sample == 0), "nobody answered the caller");
            let stats = &recorded.json["stats"];
            assert_eq!(stats["packets_lost"], 0, "{stats}");
            // Position 0 is when the caller came, who began to speak after LEAD.
            let spoken_after = found.lag as f32 / rate as f32;
            assert!((spoken_after - LEAD).abs() < 0.3, "{media} {format}: after {spoken_after} s");
            // The prompt's true place: it was spoken between the start and the end of the test.
            let start = recorded.json["start_unix_ms"].as_u64().unwrap();
            let spoken_at = start + found.lag as u64 * 1000 / u64::from(rate);
            let spoken_until = spoken_at + prompt.len() as u64 * 1000 / u64::from(rate);
            assert!(before <= spoken_at && spoken_until <= after, "{media} {format}: {spoken_at}");
        }
    });
}

#[test]
fn both_sides_of_a_recording_are_aligned() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("[echo]\ndelay_ms = 100", "") else { return };
        asterisk.put_sound("speech", 8000, &speech(8000));
        for media in ["rtp", "audiosocket"] {
            LocalCall::to_sidetone(&format!("echo-record,media={media},format=slin"))
                .plays("speech")
                .records(media)
                .waits(LEAD, 2.0)
                .start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(30));
        for recorded in sidetone.complete_recordings(2) {
            let transport = &recorded.json["transport"];
            let said = find(&speech(8000), &recorded.caller);
            let echoed = find(&speech(8000), &recorded.bot);
            whole(said, 0.99, &format!("{transport}, caller"));
            whole(echoed, 0.99, &format!("{transport}, bot"));
            // The echo's cushion, and up to one tick until the frame leaves.
            let delay = echoed.lag - said.lag;
            assert!((800..=800 + 160 + 160).contains(&delay), "{transport}: {delay} samples");
        }
    });
}

/// Samples by which one side of a growing recording may be ahead of the other: 100 ms.
const LATEST: usize = 800;

#[test]
fn a_recording_is_readable_while_it_grows() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        asterisk.put_sound("speech", 8000, &speech(8000));
        LocalCall::to_sidetone("record").plays("speech").records("growing").start(&asterisk);
        sidetone.wait_until("two seconds of recording", SOON, |sidetone| {
            sidetone.recordings().first().is_some_and(|recorded| recorded.caller.len() > 16_000)
        });
        let early = sidetone.recordings().remove(0);
        assert_eq!(early.json["complete"], false);
        assert_eq!(sidetone.calls().len(), 1, "the call is still there");
        asterisk.wait_until_idle(Duration::from_secs(30));
        let late = sidetone.complete_recordings(1).remove(0);
        assert!(late.caller.len() > early.caller.len());
        // The file is as long as the side that is ahead; the other one's latest frames come later.
        let whole = early.caller.len() - LATEST;
        assert!(late.caller[..whole] == early.caller[..whole], "what was written stays");
    });
}

fn unix_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis().try_into().unwrap()
}
