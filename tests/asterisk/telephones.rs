//! The tests' own telephone: what every figure stands on that is taken with it.

use std::time::Duration;

use sidetone::dsp::g711;

use crate::steady::steady;
use crate::support::{SOON, find, noise, pair, whole};
use crate::telephone::{Frame, Telephone, last_heard};

const AUDIBLE: u16 = 300;

#[test]
fn a_telephone_hears_its_own_voice_a_moment_after_it_spoke() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        // As it is on the way.
        let mut said = noise(8000);
        let mut coded = vec![0; said.len()];
        g711::ulaw_encode(&said, &mut coded);
        g711::ulaw_decode(&coded, &mut said);
        for media in ["rtp,format=ulaw", "audiosocket,format=slin"] {
            let phone = Telephone::dial(&asterisk, &format!("echo,media={media}"));
            assert!(phone.wait_until(SOON, |heard| heard.len() > 25), "{media}: nothing came");
            phone.say(&said);
            let over = |heard: &[Frame]| {
                let now = heard.last().map(|frame| frame.at);
                let last = last_heard(heard, AUDIBLE);
                now.zip(last).is_some_and(|(now, last)| {
                    now.saturating_duration_since(last) > Duration::from_millis(500)
                })
            };
            assert!(phone.wait_until(SOON, over), "{media}: the echo did not end");
            let line = phone.hang_up(&asterisk);
            whole(find(&said, &line.heard_samples()), 0.999, media);
            let (first, last) = (line.first_said(AUDIBLE), line.last_heard(AUDIBLE));
            let took = last.unwrap() - first.unwrap();
            let back_ms = took.as_secs_f64() * 1e3 - 1000.0;
            println!("{media}: {back_ms:.1} ms later");
            // The packet that is spoken, the echo's own 40 ms less a frame's time, up to a tick.
            assert!((39.0..150.0).contains(&back_ms), "{media}: {back_ms} ms");
            asterisk.wait_until_idle(SOON);
        }
        sidetone.wait_until_idle(SOON);
    });
}
