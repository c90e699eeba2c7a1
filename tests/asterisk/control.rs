//! What a caller gets by the arguments of `Stasis()`, TLS, and the end of the server.

use crate::steady::steady;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::asterisk::{self, Asterisk, LocalCall, Options};
use crate::server::Sidetone;
use crate::support::{SOON, block, pair, speech};

#[test]
fn a_call_that_we_end_goes_on_in_the_dialplan_where_that_is_wanted() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        for arguments in ["echo,on_end=continue", "echo"] {
            LocalCall::to_sidetone(arguments).start(&asterisk);
        }
        sidetone.wait_until("two calls", SOON, |sidetone| sidetone.calls().len() == 2);
        for call in sidetone.calls() {
            let id = call["id"].as_str().unwrap();
            assert_eq!(sidetone.api("DELETE", &format!("/v1/calls/{id}")).0, 202);
        }
        asterisk.wait_until_idle(SOON);
        assert_eq!(asterisk.continued(), 1, "one was hung up, one went on");
    });
}

#[test]
fn arguments_that_make_no_sense_are_named_and_the_caller_goes_on() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        let wrong = [
            ("no-such-pipeline", "no pipeline \"no-such-pipeline\""),
            ("echo,media=pigeon", "media=\"pigeon\"; allowed: rtp, audiosocket"),
            ("echo,format=g729", "format \"g729\" is not served"),
            ("echo,media=audiosocket,format=ulaw", "audiosocket does not carry format=ulaw"),
        ];
        for (arguments, _) in wrong {
            LocalCall::to_sidetone(arguments).start(&asterisk);
        }
        asterisk.wait_until("every caller went on", SOON, |asterisk| {
            asterisk.continued() == wrong.len()
        });
        asterisk.wait_until_idle(SOON);
        let log = sidetone.log().replace('\\', "");
        for (_, message) in wrong {
            assert!(log.contains(message), "{message}\n{log}");
        }
        let rejected = "sidetone_ari_rejected_total{asterisk=\"pbx\",reason=\"arguments\"}";
        assert_eq!(sidetone.metric(rejected), wrong.len() as f64);
    });
}

#[test]
fn a_server_that_stops_leaves_no_channel_no_bridge_and_complete_recordings() {
    steady(|| {
        let Some((asterisk, mut sidetone)) = pair("", "") else { return };
        asterisk.put_sound("speech", 8000, &speech(8000));
        for n in 0..6 {
            let media = ["rtp,format=ulaw", "audiosocket,format=slin16"][n % 2];
            LocalCall::to_sidetone(&format!("echo-record,media={media}"))
                .talks("speech")
                .start(&asterisk);
        }
        sidetone.wait_until("audio", SOON, |s| s.heard() == 6.0);
        assert!(sidetone.terminate().success());
        asterisk.wait_until_idle(SOON);
        let recordings = sidetone.recordings();
        assert_eq!(recordings.len(), 6);
        for recorded in recordings {
            assert_eq!(recorded.json["complete"], true, "{}", recorded.json);
        }
    });
}

#[test]
fn asterisk_is_controlled_over_tls_and_a_wrong_certificate_is_explained() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = Some((cert.pem(), signing_key.serialize_pem()));
        let asterisk = Asterisk::start(&installation, &Options { tls, ..Options::default() });
        asterisk.put_sound("speech", 8000, &speech(8000));
        let folder = tempfile::TempDir::new().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, cert.pem()).unwrap();

        let url = asterisk.ari_tls_url();
        let trusting = format!("ca_file = {ca_file:?}");
        let sidetone = Sidetone::start(&[block("pbx", &url, &trusting)], "");
        sidetone.wait_connected(&["pbx"]);
        LocalCall::to_sidetone("record").plays("speech").start(&asterisk);
        sidetone.wait_until("audio", SOON, |s| s.heard() == 1.0);
        asterisk.wait_until_idle(Duration::from_secs(20));
        drop(sidetone);

        let by_number = url.replace("localhost", "127.0.0.1");
        for (url, more, message) in [
            (&url, "", "signed by nobody we trust; set ca_file"),
            (&by_number, trusting.as_str(), "its certificate is for another name"),
        ] {
            let sidetone = Sidetone::start(&[block("pbx", url, more)], "");
            sidetone.wait_until(message, SOON, |sidetone| sidetone.log().contains(message));
            assert_eq!(sidetone.metric("sidetone_ari_connected{asterisk=\"pbx\"}"), 0.0);
        }
    });
}
