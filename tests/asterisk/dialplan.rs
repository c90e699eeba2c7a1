//! AudioSocket straight from the dialplan, without ARI.

use crate::steady::steady;
use std::time::Duration;

use crate::asterisk::{self, Asterisk, LocalCall, Options};
use crate::server::Sidetone;
use crate::support::{SOON, find, speech, whole};

#[test]
fn the_application_and_the_channel_get_the_default_pipeline() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let sidetone = Sidetone::start(&[], "[pipelines]\ndefault = \"echo-record\"");
        let audiosocket = Some(sidetone.audiosocket().to_string());
        let asterisk =
            Asterisk::start(&installation, &Options { audiosocket, ..Options::default() });
        for (extension, rate) in [("audiosocket", 8000), ("audiosocket-dial", 16_000)] {
            asterisk.put_sound(&format!("speech-{rate}"), rate, &speech(rate));
            LocalCall::new(&format!("{extension}@sidetone"))
                .rate(rate)
                .plays(&format!("speech-{rate}"))
                .records(extension)
                .waits(0.5, 2.0)
                .start(&asterisk);
        }
        sidetone.wait_until("two calls", SOON, |sidetone| sidetone.calls().len() == 2);
        asterisk.wait_until_idle(Duration::from_secs(30));
        sidetone.wait_until_idle(SOON);
        let recordings = sidetone.complete_recordings(2);
        for rate in [8000, 16_000] {
            let recorded = recordings.iter().find(|recorded| recorded.rate == rate).expect("both");
            for (side, samples) in [("caller", &recorded.caller), ("bot", &recorded.bot)] {
                let found = find(&speech(rate), samples);
                whole(found, 0.99, &format!("{rate} Hz, {side}"));
            }
        }
        let heard = asterisk.recording("audiosocket-heard.sln").samples();
        whole(find(&speech(8000), &heard), 0.98, "the caller hears the echo");
    });
}

#[test]
fn a_caller_who_says_nothing_stays_in_the_application() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let sidetone = Sidetone::start(&[], "");
        let audiosocket = Some(sidetone.audiosocket().to_string());
        let asterisk =
            Asterisk::start(&installation, &Options { audiosocket, ..Options::default() });
        LocalCall::new("audiosocket@sidetone").start(&asterisk);
        sidetone.wait_until("a call", SOON, |sidetone| sidetone.calls().len() == 1);
        // The application gives up after two seconds without a frame from us.
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(sidetone.calls().len(), 1);
        let id = sidetone.calls()[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(sidetone.api("DELETE", &format!("/v1/calls/{id}")).0, 202);
        asterisk.wait_until_idle(SOON);
    });
}
