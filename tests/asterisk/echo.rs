//! What the caller hears through `echo`, as Asterisk itself recorded it.

use crate::steady::{steady_alone, unsteady};
use std::time::Duration;

use sidetone::dsp::find_offset;

use crate::asterisk::LocalCall;
use crate::support::{CUSHION, continuous, find, noise, of_call, pair, speech, whole};

#[test]
fn sixty_seconds_of_echo_have_no_gap_and_no_repeat() {
    steady_alone(|| {
        let Some((asterisk, sidetone)) = pair(CUSHION, "") else { return };
        let prompt = noise(60 * 8000);
        asterisk.put_sound("noise", 8000, &prompt);
        let calls = [("rtp", "ulaw"), ("audiosocket", "slin")];
        for (media, format) in calls {
            LocalCall::to_sidetone(&format!("echo-record,media={media},format={format}"))
                .plays("noise")
                .records(media)
                .waits(1.0, 2.0)
                .start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(90));
        let recordings = sidetone.complete_recordings(2);
        for (media, format) in calls {
            let said = asterisk.recording(&format!("{media}-said.sln")).samples();
            let heard = asterisk.recording(&format!("{media}-heard.sln")).samples();
            let spoken_at = continuous(&prompt, &said, 8000)
                .unwrap_or_else(|gap| unsteady(&format!("{media}, said by Asterisk: {gap}")));
            // What we received goes back as it is; Asterisk may lose of it on its way to the caller.
            let recorded = of_call(&recordings, media, format);
            let echo = find_offset(&recorded.caller, &recorded.bot, 0..=8000);
            let at = usize::try_from(echo.lag).expect("asked for so");
            let back = recorded.caller.len().min(recorded.bot.len() - at);
            assert_eq!(recorded.bot[at..][..back], recorded.caller[..back], "{media}");
            let heard_at = continuous(&prompt, &heard, 8000)
                .unwrap_or_else(|gap| unsteady(&format!("{media}, heard in Asterisk: {gap}")));
            let delay_ms = (heard_at.cast_signed() - spoken_at.cast_signed()) / 8;
            println!(
                "{media}: heard {delay_ms} ms after it was said, 200 ms of that is the cushion"
            );
            assert!((180..500).contains(&delay_ms), "{media}: {delay_ms} ms");
        }
        sidetone.wait_until_idle(Duration::from_secs(5));
        assert_eq!(sidetone.metric("sidetone_packets_total{state=\"missed\"}"), 0.0);
    });
}

#[test]
fn the_caller_hears_the_echo_in_every_format() {
    steady_alone(|| {
        let Some((asterisk, sidetone)) = pair(CUSHION, "") else { return };
        let formats = [
            ("rtp", "alaw", 8000),
            ("rtp", "slin", 8000),
            ("rtp", "slin16", 16_000),
            ("audiosocket", "slin16", 16_000),
            ("audiosocket", "slin48", 48_000),
        ];
        for (media, format, rate) in formats {
            let prompt = if rate == 48_000 { noise(3 * 48_000) } else { speech(rate) };
            asterisk.put_sound(&format!("prompt-{rate}"), rate, &prompt);
            LocalCall::to_sidetone(&format!("echo-record,media={media},format={format}"))
                .rate(rate)
                .plays(&format!("prompt-{rate}"))
                .records(&format!("{media}-{format}"))
                .waits(0.5, 2.0)
                .start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(30));
        let recordings = sidetone.complete_recordings(formats.len());
        for (media, format, rate) in formats {
            let case = format!("{media} {format}");
            let prompt = if rate == 48_000 { noise(3 * 48_000) } else { speech(rate) };
            let extension =
                if rate == 8000 { "sln".to_owned() } else { format!("sln{}", rate / 1000) };
            let recorded = of_call(&recordings, media, format);
            whole(find(&prompt, &recorded.caller), 0.98, &format!("{case}, caller"));
            whole(find(&prompt, &recorded.bot), 0.98, &format!("{case}, bot"));
            let name = format!("{media}-{format}-heard.{extension}");
            let heard = asterisk.recording(&name).samples();
            whole(find(&prompt, &heard), 0.98, &format!("{case}, heard"));
        }
    });
}
