//! A telephone: SIPp calls through PJSIP, speaks, hears its echo, and either side says BYE.

use crate::steady::steady;
use std::time::Duration;

use sidetone::dsp::g711;

use crate::asterisk::{self, Asterisk, Options, Sipp, SippScenario};
use crate::support::{CUSHION, SOON, find, serve, speech, whole};

const DIALPLAN: &str = "[sidetone](+)\n\
    exten => echo-record,1,Answer()\n \
    same => n,MixMonitor(${ASTSPOOLDIR}/recording/${UNIQUEID}.sln,t(${ASTSPOOLDIR}/recording/${UNIQUEID}-to-phone.sln))\n \
    same => n,Stasis(sidetone,echo-record)\n \
    same => n,Hangup()\n";

#[test]
fn a_telephone_is_answered_echoed_and_hung_up_from_either_side() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let options = Options { dialplan: DIALPLAN.to_owned(), ..Options::default() };
        let asterisk = Asterisk::start(&installation, &options);
        let sidetone = serve(&asterisk, CUSHION, "");
        let prompt = speech(8000);
        // SIPp speaks as soon as it is answered, which is before the media is there.
        let mut spoken = vec![0; 8000];
        spoken.extend_from_slice(&prompt);
        let mut ulaw = vec![0; spoken.len()];
        g711::ulaw_encode(&spoken, &mut ulaw);

        let hangs_up = SippScenario::HangsUpAfter(Duration::from_secs(8));
        let waits = SippScenario::IsHungUpWithin(Duration::from_secs(20));
        let caller = Sipp::call(&asterisk, "echo-record", &ulaw, hangs_up);
        let called = Sipp::call(&asterisk, "echo-record", &ulaw, waits);
        sidetone.wait_until("two calls", SOON, |sidetone| sidetone.calls().len() == 2);
        caller.wait();
        // The first caller is gone; the second one is hung up by us.
        sidetone.wait_until("one call", SOON, |sidetone| sidetone.calls().len() == 1);
        let id = sidetone.calls()[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(sidetone.api("DELETE", &format!("/v1/calls/{id}")).0, 202);
        called.wait();

        asterisk.wait_until_idle(SOON);
        sidetone.wait_until_idle(SOON);
        for recorded in sidetone.complete_recordings(2) {
            for (side, samples) in [("caller", &recorded.caller), ("bot", &recorded.bot)] {
                let found = find(&prompt, samples);
                whole(found, 0.98, side);
            }
        }
        // What Asterisk sent to the telephones.
        let folder = asterisk.folder().join("spool/recording");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        let to_phone: Vec<_> = names.iter().filter(|n| n.ends_with("-to-phone.sln")).collect();
        assert_eq!(to_phone.len(), 2, "{names:?}");
        for name in to_phone {
            let found = find(&prompt, &asterisk.recording(name).samples());
            whole(found, 0.98, name);
        }
    });
}
