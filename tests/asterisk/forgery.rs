//! RTP from a stranger.

use crate::steady::steady;
use std::net::UdpSocket;
use std::time::Duration;

use sidetone::wire::rtp::{self, RtpHeader};
use sidetone::wire::{PayloadType, RtpTs, Seq, Ssrc};

use crate::asterisk::LocalCall;
use crate::support::{SOON, find, is_silent, pair, speech, whole};

#[test]
fn forged_rtp_is_not_heard_not_recorded_and_counted() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        let prompt = speech(8000);
        asterisk.put_sound("speech", 8000, &prompt);
        LocalCall::to_sidetone("echo-record")
            .plays("speech")
            .records("a")
            .waits(0.5, 2.0)
            .start(&asterisk);
        // In the middle of the prompt, which the caller begins after half a second.
        let packets = "sidetone_packets_total{state=\"received\"}";
        sidetone.wait_until("audio", SOON, |sidetone| sidetone.metric(packets) > 75.0);

        // A full-scale square wave, to every port of ours.
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut packet = Vec::new();
        let mut sent = 0.0;
        for n in 0..100_u16 {
            let header = RtpHeader {
                marker: false,
                payload_type: PayloadType::new(0).unwrap(),
                seq: Seq(n),
                timestamp: RtpTs(u32::from(n) * 160),
                ssrc: Ssrc(0xbad),
            };
            let loud: Vec<u8> =
                (0..160).map(|n| if n / 4 % 2 == 0 { 0x80 } else { 0x00 }).collect();
            rtp::write(&header, &loud, &mut packet);
            for port in sidetone.rtp() {
                stranger.send_to(&packet, port).unwrap();
                sent += 1.0;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        asterisk.wait_until_idle(Duration::from_secs(20));

        sidetone.wait_until("all of it is counted", SOON, |sidetone| {
            sidetone.metric("sidetone_stray_total{reason=\"foreign_source\"}") == sent
        });
        let recorded = sidetone.complete_recordings(1).remove(0);
        for (side, samples) in [("caller", &recorded.caller), ("bot", &recorded.bot)] {
            let found = find(&prompt, samples);
            whole(found, 0.99, side);
            let (from, to) = (found.lag.unsigned_abs(), found.lag.unsigned_abs() + prompt.len());
            assert!(
                is_silent(&samples[..from]) && is_silent(&samples[to..]),
                "{side}: more than it"
            );
        }
        let heard = asterisk.recording("a-heard.sln").samples();
        let found = find(&prompt, &heard);
        whole(found, 0.98, "the caller hears");
    });
}
