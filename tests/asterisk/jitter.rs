//! A call from a real Asterisk over a bad network.

use crate::steady::{steady, unsteady};
use std::time::{Duration, SystemTime};

use crate::arrivals::{BAD, check, is_audible, is_regular};
use crate::asterisk::LocalCall;
use crate::impairment::{ADVERTISED, Impairment};
use crate::support::{noise, pair};

const SEED: u64 = 1;

const SECONDS: usize = 60;

/// Of 20 ms each: the prompt, the half second before it and as much behind it. Asterisk sends silence
/// where nothing is said, and goes on until it ends the call.
const PACKETS: u64 = SECONDS as u64 * 50 + 50;

/// What a recording may be off by.
const FRAME: Duration = Duration::from_millis(20);

#[test]
fn a_minute_over_a_bad_network_is_recorded_in_its_place_with_all_that_arrived() {
    steady(|| {
        let config = format!("[rtp]\nport = 0\nadvertise = \"{ADVERTISED}\"");
        let Some((asterisk, sidetone)) = pair(&config, "") else { return };
        let Some(relay) = Impairment::require(&sidetone.rtp(), BAD, SEED, PACKETS) else { return };
        asterisk.put_sound("noise", 8000, &noise(SECONDS * 8000));
        LocalCall::to_sidetone("record,media=rtp,format=ulaw")
            .plays("noise")
            .records("a")
            .waits(0.5, 2.0)
            .start(&asterisk);
        asterisk.wait_until_idle(Duration::from_secs(90));
        let recorded = sidetone.complete_recordings(1).remove(0);
        let passed = relay.finish();

        let (network, deliveries) = (passed.statistics, &passed.deliveries);
        let lost = network.lost as f64 / network.sent as f64;
        println!("{network:?}, {:.2} % lost", 100.0 * lost);
        if let Err(why) = is_regular(deliveries) {
            unsteady(&format!("sent by Asterisk: {why}"));
        }
        // The prompt went through it, and it was a bad network.
        if network.sent < PACKETS {
            unsteady(&format!("{} packets sent by Asterisk, not {PACKETS}", network.sent));
        }
        let audible = deliveries.iter().filter(|delivery| is_audible(delivery)).count();
        assert!(audible > SECONDS * 50 * 9 / 10, "{audible} packets of the prompt");
        assert!((0.03..0.07).contains(&lost), "{network:?}");
        assert!(network.lost as f64 / network.loss_bursts as f64 > 2.0, "{network:?}");
        assert!(network.reordered as f64 > 0.2 * network.delivered as f64, "{network:?}");

        let found = check(deliveries, &recorded.caller, &recorded.json["stats"]);
        println!("{found:?}");

        // All lie by their timestamps from the first one on, and that lies where it arrived, by the wall
        // clock, which no counter of ours has a part in.
        let start = Duration::from_millis(recorded.json["start_unix_ms"].as_u64().unwrap());
        let place = start + Duration::from_micros(found.first_at as u64 * 125);
        let began = passed.began.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let arrived = began + deliveries[0].at;
        println!("the first packet, which came at {arrived:?}, lies at {place:?}");
        if place.abs_diff(arrived) > FRAME {
            // The server or the relay may be late; a fault of ours is there every time.
            unsteady(&format!("the first packet is off by {:?}", place.abs_diff(arrived)));
        }
    });
}
