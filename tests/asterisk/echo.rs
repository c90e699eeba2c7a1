//! What the caller hears through `echo`, as Asterisk itself recorded it.

use crate::steady::{steady, steady_alone, unsteady};
use std::time::Duration;

use crate::asterisk::LocalCall;
use crate::support::{continuous, find, noise, pair, speech};

/// The test asks for continuity; a busy machine may let a packet come late by this much.
const CUSHION: &str = "[echo]\ndelay_ms = 200";

#[test]
fn sixty_seconds_of_echo_have_no_gap_and_no_repeat() {
    steady_alone(|| {
        let Some((asterisk, sidetone)) = pair(CUSHION, "") else { return };
        let prompt = noise(60 * 8000);
        asterisk.put_sound("noise", 8000, &prompt);
        for (media, format) in [("rtp", "ulaw"), ("audiosocket", "slin")] {
            LocalCall::to_sidetone(&format!("echo,media={media},format={format}"))
                .plays("noise")
                .records(media)
                .waits(1.0, 2.0)
                .start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(90));
        for media in ["rtp", "audiosocket"] {
            let said = asterisk.recording(&format!("{media}-said.sln")).samples();
            let heard = asterisk.recording(&format!("{media}-heard.sln")).samples();
            let spoken_at = continuous(&prompt, &said, 8000)
                .unwrap_or_else(|gap| unsteady(&format!("{media}, said by Asterisk: {gap}")));
            let heard_at = continuous(&prompt, &heard, 8000)
                .unwrap_or_else(|gap| panic!("{media}, heard: {gap}"));
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
    steady(|| {
        let Some((asterisk, _sidetone)) = pair(CUSHION, "") else { return };
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
            LocalCall::to_sidetone(&format!("echo,media={media},format={format}"))
                .rate(rate)
                .plays(&format!("prompt-{rate}"))
                .records(&format!("{media}-{format}"))
                .waits(0.5, 2.0)
                .start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(30));
        for (media, format, rate) in formats {
            let prompt = if rate == 48_000 { noise(3 * 48_000) } else { speech(rate) };
            let extension =
                if rate == 8000 { "sln".to_owned() } else { format!("sln{}", rate / 1000) };
            let heard =
                asterisk.recording(&format!("{media}-{format}-heard.{extension}")).samples();
            let found = find(&prompt, &heard);
            assert!(
                found.coefficient > 0.98,
                "{media} {format}: correlation {:.4} at {}",
                found.coefficient,
                found.lag
            );
        }
    });
}
