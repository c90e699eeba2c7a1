//! The harness's own tests: what every test against a real Asterisk stands on.

use crate::steady::{steady, unsteady};
use crate::support::noise;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use sidetone::dsp::g722;

use crate::asterisk::{Asterisk, LocalCall, Options, Sipp, SippScenario, require};

/// Where the whole of `needle` stands in `hay`.
fn position(hay: &[i16], needle: &[i16]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[test]
fn boots_and_answers_cli_and_ari() {
    steady(|| {
        let Some(installation) = require() else { return };
        let started = Instant::now();
        let asterisk = Asterisk::start(&installation, &Options::default());
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "took {took:?}");

        assert!(asterisk.cli("core show version").starts_with("Asterisk "));
        assert_eq!(asterisk.ari("GET", "/asterisk/ping", &[], None).status, 200);
        assert_eq!(asterisk.ari("GET", "/channels/none", &[], None).status, 404);
        assert_eq!((asterisk.channels(), asterisk.bridges()), (0, 0));

        let status = std::fs::read_to_string(format!("/proc/{}/status", asterisk.pid().unwrap()));
        let memory = status.unwrap().lines().find(|l| l.starts_with("VmRSS")).map(str::to_owned);
        println!("fully booted after {took:?}, {}", memory.unwrap_or_default());
    });
}

#[test]
fn every_module_of_the_configuration_is_running_and_nothing_complains() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());

        let running = asterisk.cli("module show");
        let modules = std::fs::read_to_string(asterisk.folder().join("etc/modules.conf")).unwrap();
        let wanted = modules
            .lines()
            .filter_map(|line| line.strip_prefix("load = ").or(line.strip_prefix("require = ")));
        let mut count = 0;
        for module in wanted {
            count += 1;
            // The list cuts long names.
            let shown = &module[..module.len().min(30)];
            let line = running.lines().find(|line| line.starts_with(shown));
            assert!(line.is_some_and(|l| l.contains("Running")), "{module}: {line:?}");
        }
        assert!(count > 80, "{count} modules in modules.conf");

        let log = asterisk.log();
        assert!(!log.contains("ERROR") && !log.contains("WARNING"), "{log}");
    });
}

#[test]
fn two_instances_do_not_see_each_other() {
    steady(|| {
        let Some(installation) = require() else { return };
        let one = Asterisk::start(&installation, &Options::default());
        let two = Asterisk::start(&installation, &Options::default());
        assert_ne!(one.ari_url(), two.ari_url());

        LocalCall::new("asterisk-echo@sidetone").start(&one);
        one.wait_until("both halves of the call", Duration::from_secs(5), |a| a.channels() == 2);
        assert_eq!(two.channels(), 0);

        one.cli("channel request hangup all");
        one.wait_until_idle(Duration::from_secs(5));
    });
}

#[test]
fn caller_hears_through_echo_exactly_what_it_said() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        for rate in [8000, 16_000] {
            let prompt = noise(3 * rate as usize);
            asterisk.put_sound("noise", rate, &prompt);
            LocalCall::new("asterisk-echo@sidetone")
                .rate(rate)
                .plays("noise")
                .records(&format!("at-{rate}"))
                .start(&asterisk);
            asterisk.wait_until_idle(Duration::from_secs(10));

            let extension = if rate == 8000 { "sln" } else { "sln16" };
            for side in ["said", "heard"] {
                let recording = asterisk.recording(&format!("at-{rate}-{side}.{extension}"));
                let samples = recording.samples();
                let is_whole = position(&samples, &prompt).is_some();
                if !is_whole && side == "said" {
                    unsteady(&format!("Asterisk itself said {} samples", samples.len()));
                }
                assert!(
                    is_whole,
                    "the prompt is not in {side} at {rate} Hz ({} samples)\n{}",
                    samples.len(),
                    asterisk.log()
                );
            }
        }
    });
}

#[test]
fn wrong_password_is_refused() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let port: u16 = asterisk.ari_url().split(&[':', '/']).nth(4).unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // sidetone:sidetone, the password of the shipped configuration
        stream
            .write_all(
                b"GET /ari/channels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
              Authorization: Basic c2lkZXRvbmU6c2lkZXRvbmU=\r\n\r\n",
            )
            .unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 401"), "{line}");
    });
}

#[test]
fn killed_instance_comes_back_on_the_same_ports() {
    steady(|| {
        let Some(installation) = require() else { return };
        let mut asterisk = Asterisk::start(&installation, &Options::default());
        let url = asterisk.ari_url();
        LocalCall::new("asterisk-echo@sidetone").start(&asterisk);
        asterisk
            .wait_until("both halves of the call", Duration::from_secs(5), |a| a.channels() == 2);
        let before = asterisk.pid();

        asterisk.kill9();
        assert_eq!(asterisk.pid(), None);
        asterisk.restart();

        assert_ne!(asterisk.pid(), before);
        assert_eq!(asterisk.ari_url(), url);
        assert_eq!(asterisk.channels(), 0);
    });
}

#[test]
fn dropped_instance_leaves_no_process_and_no_folder() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let (folder, pid) = (asterisk.folder(), asterisk.pid().unwrap());
        assert!(folder.exists());
        drop(asterisk);
        assert!(!folder.exists());
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    });
}

#[test]
fn sip_call_is_echoed_and_ends_with_bye_from_the_telephone() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        // Every ulaw code in every order that the noise has.
        let ulaw: Vec<u8> = noise(16_000).iter().map(|s| s.to_le_bytes()[0]).collect();
        let ends = SippScenario::HangsUpAfter(Duration::from_millis(2600));
        Sipp::call(&asterisk, "echo-recorded", &ulaw, ends).wait();
        asterisk.wait_until_idle(Duration::from_secs(5));

        let heard = asterisk.recording("sip-heard.sln").samples();
        let said = asterisk.recording("sip-said.sln").samples();
        assert!(heard.len() >= 15_840, "two seconds were played, {} samples came", heard.len());
        // The middle second of what came in goes out again, unchanged.
        assert!(position(&said, &heard[4000..12_000]).is_some(), "{} samples out", said.len());
    });
}

#[test]
fn sip_call_ends_with_bye_from_asterisk() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let ends = SippScenario::IsHungUpWithin(Duration::from_secs(5));
        Sipp::call(&asterisk, "echo-bye-1", &[0xff; 8000], ends).wait();
        asterisk.wait_until_idle(Duration::from_secs(5));
    });
}

#[test]
fn call_without_sidetone_goes_on_in_the_dialplan() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        assert_eq!(asterisk.continued(), 0);
        LocalCall::to_sidetone("echo").start(&asterisk);
        asterisk.wait_until_idle(Duration::from_secs(5));
        assert_eq!(asterisk.continued(), 1);
    });
}

/// One second of what a caller hears when an external media channel of format slin16 is answered
/// with `payload` under `payload_type`, a packet for a packet.
fn heard_from_slin16_channel(asterisk: &Asterisk, payload_type: u8, payload: &[u8]) -> Vec<i16> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("not zero");
    let name = format!("pt-{payload_type}");
    LocalCall::new("unicast@test-called")
        .rate(16_000)
        .variable("PEER", &socket.local_addr().expect("bound").to_string())
        .variable("FORMAT", "slin16")
        .plays("noise")
        .records(&name)
        .start(asterisk);
    let mut packet = [0; 2048];
    for n in 0..50_u8 {
        let (length, asterisk_rtp) = socket.recv_from(&mut packet).expect("Asterisk sends RTP");
        assert_eq!((length, packet[1] & 0x7f), (12 + 640, 118), "slin16 as Asterisk sends it");
        let step = u32::try_from(payload.len()).expect("20 ms");
        let mut answer = vec![0x80, payload_type, 0, n];
        answer.extend((u32::from(n) * step).to_be_bytes());
        answer.extend([0, 0, 0x12, 0x34]);
        answer.extend(payload);
        socket.send_to(&answer, asterisk_rtp).expect("loopback");
    }
    asterisk.cli("channel request hangup all");
    asterisk.wait_until_idle(Duration::from_secs(5));
    asterisk.recording(&format!("{name}-heard.sln16")).samples()
}

/// Asterisk's `ast_rtp_codecs_get_payload` (main/rtp_engine.c): without SDP, a payload type above
/// 34 means nothing to it, not even the one that it sends on the same channel.
#[test]
fn dynamic_payload_type_is_dropped_by_asterisk_and_static_ones_are_heard() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        asterisk.put_sound("noise", 16_000, &noise(3 * 16_000));
        let loud = |samples: &[i16]| samples.iter().filter(|s| s.unsigned_abs() > 1000).count();

        // A square wave of 500 Hz in each encoding; 20 ms of it.
        let wave = |rate: usize| (0..rate / 50).map(move |i| (i * 1000 / rate).is_multiple_of(2));
        let slin16: Vec<u8> =
            wave(16_000).flat_map(|up| if up { [0x20, 0] } else { [0xe0, 0] }).collect();
        let slin: Vec<u8> =
            wave(8000).flat_map(|up| if up { [0x20, 0] } else { [0xe0, 0] }).collect();
        let ulaw: Vec<u8> = wave(8000).map(|up| if up { 0x9f } else { 0x1f }).collect();
        let samples: Vec<i16> = wave(16_000).map(|up| if up { 0x2000 } else { -0x2000 }).collect();
        let mut g722 = vec![0; 160];
        g722::Encoder::new().encode(&samples, &mut g722);

        let dynamic = heard_from_slin16_channel(&asterisk, 118, &slin16);
        assert_eq!(loud(&dynamic), 0, "payload type 118 is not heard");
        for (payload_type, payload) in [(0, &ulaw), (9, &g722), (10, &slin), (11, &slin)] {
            let heard = heard_from_slin16_channel(&asterisk, payload_type, payload);
            assert!(
                loud(&heard) > 8000,
                "payload type {payload_type}: {} of {} samples are loud",
                loud(&heard),
                heard.len()
            );
        }
    });
}

#[test]
fn ari_is_served_over_tls_when_asked_for() {
    steady(|| {
        let Some(installation) = require() else { return };
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let tls = Some((certified.cert.pem(), certified.signing_key.serialize_pem()));
        let asterisk = Asterisk::start(&installation, &Options { tls, ..Options::default() });

        let port: u16 = asterisk.ari_tls_url().split(&[':', '/']).nth(4).unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // The head of a TLS record that is no handshake: a TLS server answers with an alert, record
        // type 21; a plain HTTP server with text or nothing.
        stream.write_all(&[22, 3, 1, 0, 4, 0xff, 0, 0, 0]).unwrap();
        let mut first = [0];
        std::io::Read::read_exact(&mut stream, &mut first).unwrap();
        assert_eq!(first, [21]);
    });
}
