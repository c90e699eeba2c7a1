//! Asterisk, the way to it, or Sidetone itself fails.

use crate::steady::steady;
use std::time::{Duration, Instant};

use crate::asterisk::{self, Asterisk, LocalCall, Options};
use crate::relay::Relay;
use crate::server::Sidetone;
use crate::support::{SOON, block, find, noise, pair, speech, whole};

#[test]
fn asterisk_killed_during_calls_is_served_again_when_it_is_back() {
    steady(|| {
        let Some((mut asterisk, sidetone)) = pair("[media]\nend_after_ms = 4000", "") else {
            return;
        };
        asterisk.put_sound("speech", 8000, &speech(8000));
        for media in ["rtp,format=ulaw", "audiosocket,format=slin"] {
            LocalCall::to_sidetone(&format!("echo-record,media={media}"))
                .talks("speech")
                .start(&asterisk);
        }
        sidetone.wait_until("audio", SOON, |s| s.heard() == 2.0);

        asterisk.kill9();
        sidetone.wait_until("the loss is noticed", SOON, |sidetone| {
            sidetone.metric("sidetone_ari_connected{asterisk=\"pbx\"}") == 0.0
        });
        asterisk.restart();
        sidetone.wait_connected(&["pbx"]);
        sidetone.wait_until_idle(Duration::from_secs(20));

        LocalCall::to_sidetone("echo-record")
            .plays("speech")
            .records("next")
            .waits(0.5, 1.0)
            .start(&asterisk);
        asterisk.wait_until("the call", SOON, |asterisk| asterisk.channels() > 0);
        asterisk.wait_until_idle(Duration::from_secs(20));
        sidetone.wait_until_idle(SOON);
        let recordings = sidetone.complete_recordings(3);
        let last = recordings.last().unwrap();
        whole(find(&speech(8000), &last.caller), 0.99, "caller");
        whole(find(&speech(8000), &last.bot), 0.99, "bot");
    });
}

#[test]
fn calls_keep_their_audio_while_the_event_stream_is_cut() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let relay = Relay::to(asterisk.ari_url().split('/').nth(2).unwrap());
        let url = format!("http://{}", relay.address());
        let sidetone = Sidetone::start(
            &[block("pbx", &url, "reconnect_min_ms = 100\nreconnect_max_ms = 500")],
            "[echo]\ndelay_ms = 200",
        );
        sidetone.wait_connected(&["pbx"]);
        let prompt = noise(8 * 8000);
        asterisk.put_sound("noise", 8000, &prompt);
        asterisk.put_sound("speech", 8000, &speech(8000));
        // One who hangs up while we are deaf, one who stays.
        for media in ["rtp,format=ulaw", "audiosocket,format=slin"] {
            LocalCall::to_sidetone(&format!("echo-record,media={media}"))
                .plays("noise")
                .waits(0.5, 1.0)
                .records(&media[..3])
                .start(&asterisk);
        }
        let stays = LocalCall::to_sidetone("echo").talks("speech").start(&asterisk);
        sidetone.wait_until("audio", SOON, |s| s.heard() == 3.0);

        relay.cut();
        sidetone.wait_until("the cut is noticed", SOON, |sidetone| {
            sidetone.metric("sidetone_ari_connected{asterisk=\"pbx\"}") == 0.0
        });
        asterisk.wait_until("two callers are through", Duration::from_secs(20), |asterisk| {
            asterisk.channel_names().iter().filter(|name| name.starts_with("Local/")).count() == 2
        });
        let heard = sidetone.metric("sidetone_packets_total{state=\"received\"}");
        sidetone.wait_until("the third caller is heard all the time", SOON, |sidetone| {
            sidetone.metric("sidetone_packets_total{state=\"received\"}") > heard + 100.0
        });
        relay.mend();
        sidetone.wait_connected(&["pbx"]);
        sidetone.wait_until("only the third call is left", SOON, |s| s.calls().len() == 1);
        asterisk.wait_until("its three channels and one bridge", SOON, |asterisk| {
            asterisk.channels() == 3 && asterisk.bridges() == 1
        });
        asterisk.ari("DELETE", &format!("/channels/{stays}"), &[], None);
        asterisk.wait_until_idle(SOON);
        sidetone.wait_until_idle(SOON);
        for recorded in sidetone.complete_recordings(2) {
            let transport = &recorded.json["transport"];
            let found = find(&prompt, &recorded.caller);
            whole(found, 0.99, &format!("{transport}, caller"));
        }
        for media in ["rtp", "aud"] {
            let heard = asterisk.recording(&format!("{media}-heard.sln")).samples();
            let found = find(&prompt, &heard);
            whole(found, 0.98, &format!("{media}, heard"));
        }
    });
}

#[test]
fn sidetone_killed_and_restarted_leaves_no_orphans_and_its_recordings_are_readable() {
    steady(|| {
        for (stranded, continued) in [("hangup", 0), ("continue", 2)] {
            let block = format!("stranded = \"{stranded}\"");
            let Some((asterisk, mut sidetone)) = pair("", &block) else { return };
            asterisk.put_sound("speech", 8000, &speech(8000));
            for media in ["rtp,format=ulaw", "audiosocket,format=slin"] {
                LocalCall::to_sidetone(&format!("echo-record,media={media}"))
                    .talks("speech")
                    .start(&asterisk);
            }
            sidetone.wait_until("three seconds of recording", SOON, |sidetone| {
                let recordings = sidetone.recordings();
                recordings.len() == 2 && recordings.iter().all(|r| r.caller.len() > 24_000)
            });
            let before: Vec<_> = sidetone.recordings().iter().map(|r| r.caller.len()).collect();
            sidetone.kill9();
            let written: Vec<_> = sidetone.recordings();
            for (recorded, before) in written.iter().zip(before) {
                assert!(recorded.caller.len() >= before);
                assert_eq!(recorded.json["complete"], false);
                let found = find(&recorded.caller[8000..16_000], &speech(8000).repeat(2));
                whole(found, 0.98, "what is there is speech");
            }

            let started = Instant::now();
            sidetone.launch();
            asterisk.wait_until("no orphan", Duration::from_secs(5), |asterisk| {
                asterisk.channels() == 0 && asterisk.bridges() == 0
            });
            println!("{stranded}: orphans gone {:?} after the launch", started.elapsed());
            assert_eq!(asterisk.continued(), continued);
            sidetone.wait_until("it is counted", SOON, |sidetone| {
                sidetone.metric("sidetone_ari_stranded_total{asterisk=\"pbx\"}") >= 1.0
            });
        }
    });
}

#[test]
fn two_asterisks_are_served_at_once() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let asterisks = [(), ()].map(|()| Asterisk::start(&installation, &Options::default()));
        let urls = asterisks.each_ref().map(Asterisk::ari_url);
        let sidetone =
            Sidetone::start(&[block("one", &urls[0], ""), block("two", &urls[1], "")], "");
        sidetone.wait_connected(&["one", "two"]);
        // Each Asterisk's callers say something else.
        let prompts = [speech(8000), noise(4 * 8000)];
        for (asterisk, prompt) in asterisks.iter().zip(&prompts) {
            asterisk.put_sound("speech", 8000, prompt);
            for media in ["rtp,format=ulaw", "audiosocket,format=slin"] {
                LocalCall::to_sidetone(&format!("record,media={media}"))
                    .plays("speech")
                    .waits(0.5, 1.0)
                    .start(asterisk);
            }
        }
        sidetone.wait_until("four calls", SOON, |sidetone| sidetone.calls().len() == 4);
        for asterisk in &asterisks {
            asterisk.wait_until_idle(Duration::from_secs(20));
        }
        sidetone.wait_until_idle(SOON);
        let recordings = sidetone.complete_recordings(4);
        for prompt in &prompts {
            let mut found: Vec<_> = recordings.iter().map(|r| find(prompt, &r.caller)).collect();
            found.sort_by(|a, b| a.coefficient.total_cmp(&b.coefficient));
            let [other, another, ours, ours_too] = found[..] else { panic!("four recordings") };
            whole(ours, 0.99, "one of its two callers");
            whole(ours_too, 0.99, "the other of its two callers");
            assert!(other.coefficient.max(another.coefficient) < 0.5, "{other:?}, {another:?}");
        }
    });
}
