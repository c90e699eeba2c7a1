//! Every format that travels over RTP: what Asterisk sends in it, what arrives of the caller's
//! voice, and what the caller hears.

use crate::steady::{steady, unsteady};
use std::f64::consts::{PI, TAU};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::Transport;
use sidetone::dsp::codec::{Decoder, Encoder};
use sidetone::dsp::resample::{Quality, Resampler};
use sidetone::dsp::{Match, find_offset, opus};

use crate::asterisk::{Asterisk, LocalCall, Options, require};
use crate::server::Recorded;
use crate::support::{CUSHION, CUSHION_MS, SOON, find, is_silent, pair, speech, whole};

/// The caller waits so many seconds until the media is there before it speaks.
const LEAD: f64 = 0.5;
/// What is narrow-band has less than this above 4.5 kHz, compared with the speech: -60 dB, and the
/// clicks where a frame of the caller's recording was late.
const NARROW_DB: f64 = -15.0;
fn formats() -> impl Iterator<Item = MediaFormat> {
    Transport::Rtp.formats().iter().copied()
}

/// The speech of 16 kHz, as far as `rate` holds it.
fn speech_at(rate: SampleRate) -> Vec<i16> {
    resampled(&speech(16_000), SampleRate::HZ_16000, rate)
}

/// The same at another rate, in its place.
fn resampled(samples: &[i16], from: SampleRate, to: SampleRate) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to, Quality::High);
    let delay = resampler.output_delay();
    let mut resampled = Vec::new();
    resampler.process(samples, &mut resampled);
    resampled.split_off(delay)
}

/// A caller of 16 kHz who says the speech of 16 kHz, recorded under the format's name.
fn speaker(format: MediaFormat) -> LocalCall {
    let name = format.asterisk_name();
    LocalCall::to_sidetone(&format!("echo-record,media=rtp,format={name}"))
        .rate(16_000)
        .plays("speech")
        .records(name)
        .waits(LEAD as f32, 1.0)
}

#[test]
fn every_format_is_recorded_and_echoed_as_it_was_spoken() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair(CUSHION, "") else { return };
        asterisk.put_sound("speech", 16_000, &speech(16_000));
        for format in formats() {
            speaker(format).start(&asterisk);
        }
        asterisk.wait_until_idle(Duration::from_secs(30));
        let recordings = sidetone.complete_recordings(formats().count());
        for recorded in recordings {
            let format: MediaFormat = recorded.json["format"].as_str().unwrap().parse().unwrap();
            // An Opus call has the rate of the configuration, 16 kHz by default.
            let is_opus = format == MediaFormat::Opus;
            let rate = if is_opus { SampleRate::HZ_16000 } else { format.sample_rate() };
            assert_eq!(recorded.rate, rate.hz(), "{format}");
            let stats = &recorded.json["stats"];
            assert_eq!(stats["packets_lost"], 0, "{format}: {stats}");
            assert_eq!(stats["rejected"], serde_json::json!({}), "{format}: {stats}");

            let said = find(&speech(16_000), &recording(&asterisk, format, "said"));
            let prompt = speech_at(rate);
            // Opus' encoder for speech cuts the lowest tones off and turns those next to them: what is
            // to be recorded is what it makes of the speech.
            let expected = if is_opus { through_opus(&prompt) } else { prompt };
            let (caller, bot) = (find(&expected, &recorded.caller), find(&expected, &recorded.bot));
            let heard = Heard::by_the_caller(&asterisk, format);
            let ms = |samples: isize, hz: u32| samples as f64 * 1000.0 / f64::from(hz);
            let spoken = ms(caller.lag, rate.hz());
            let echoed = ms(bot.lag - caller.lag, rate.hz());
            let back = ms(heard.lag - said.lag, 16_000);
            let upper = heard.upper_band_db;
            println!(
                "{format}: caller {:.4} at {spoken:.1} ms, echoed {:.4} {echoed:.1} ms later, \
                 heard {:.4} {back:.1} ms after it was said, {upper:.1} dB above 4.5 kHz",
                caller.coefficient, bot.coefficient, heard.coefficient,
            );
            let floor = if is_opus { 0.98 } else { 0.99 };
            let itself = find(&speech_at(rate), &recorded.caller);
            println!("{format}: caller {:.4} with the speech itself", itself.coefficient);
            whole(caller, floor, &format!("{format}, caller, {stats}"));
            whole(bot, floor, &format!("{format}, bot, {stats}"));
            whole(itself, floor - 0.03, &format!("{format}, caller, with the speech itself"));
            // The whole band, pieces of which Opus changes more than others.
            let heard_floor = if is_opus { 0.93 } else { 0.97 };
            let is_heard = Match { lag: heard.lag, coefficient: heard.coefficient };
            whole(is_heard, heard_floor, &format!("{format}, heard"));
            // As much of the upper band comes back as the call's rate holds; Opus holds less.
            let expected = match rate.hz() {
                8_000 => f64::NEG_INFINITY..=NARROW_DB,
                12_000 => -9.0..=-1.0,
                // Asterisk's resampling to or from 44.1 kHz takes 6 dB, each of the three times.
                44_100 => -25.0..=-10.0,
                _ if is_opus => -5.0..=1.0,
                _ => -2.0..=1.0,
            };
            if !expected.contains(&upper) {
                unsteady(&format!("{format}: {upper} dB above 4.5 kHz, not {expected:?}"));
            }

            // Position 0 is when the caller came, who began to speak after LEAD.
            assert!((spoken / 1000.0 - LEAD).abs() < 0.3, "{format}: after {spoken} ms");
            // A prompt that begins late lies late, where Asterisk's timestamps leap, and uses up that
            // much of the cushion, which began with the call. Up to one tick until a frame leaves,
            // and one more for a packet that came late.
            let expected = CUSHION_MS - 100.0..=CUSHION_MS + 40.0;
            assert!(expected.contains(&echoed), "{format}: {echoed} ms");
            let expected = CUSHION_MS - 20.0..=CUSHION_MS + 300.0;
            assert!(expected.contains(&back), "{format}: {back} ms");
        }
    });
}

#[test]
fn a_format_that_is_returned_has_its_band_and_a_dynamic_one_is_dropped() {
    steady(|| {
        let names = ["g722", "opus", "slin48"];
        let mut pairs = Vec::new();
        for returned in ["slin", "same"] {
            let config = format!("{CUSHION}\n[playout]\nreturn_format = \"{returned}\"");
            let Some((asterisk, sidetone)) = pair(&config, "") else { return };
            asterisk.put_sound("speech", 16_000, &speech(16_000));
            for name in names {
                speaker(name.parse().unwrap()).start(&asterisk);
            }
            pairs.push((returned, asterisk, sidetone));
        }
        for (returned, asterisk, sidetone) in pairs {
            asterisk.wait_until_idle(Duration::from_secs(30));
            for recorded in sidetone.complete_recordings(names.len()) {
                let format: MediaFormat =
                    recorded.json["format"].as_str().unwrap().parse().unwrap();
                let case = format!("{format} by {returned}");
                let echoed = find(&speech_at(SampleRate::HZ_8000), &at_8_khz(&recorded));
                whole(echoed, 0.9, &format!("{case}, bot"));
                let sent = recorded.json["stats"]["packets_sent"].as_u64().unwrap();
                assert!(sent > 250, "{case}: {sent} packets");
                if returned == "same" && !format.has_static_payload_type() {
                    let heard = recording(&asterisk, format, "heard");
                    assert!(heard.len() > 5 * 16_000, "{case}: {} samples", heard.len());
                    assert!(is_silent(&heard), "{case}: Asterisk drops dynamic payload types");
                    continue;
                }
                let heard = Heard::by_the_caller(&asterisk, format);
                println!("{case}: {heard:?}");
                let is_narrow = heard.upper_band_db < NARROW_DB;
                if heard.coefficient < 0.9 || is_narrow != (returned == "slin") {
                    unsteady(&format!("{case}: {heard:?}"));
                }
            }
        }
    });
}

/// What the bot's side of a recording holds of the band below 4 kHz.
fn at_8_khz(recorded: &Recorded) -> Vec<i16> {
    resampled(&recorded.bot, recorded.rate.try_into().unwrap(), SampleRate::HZ_8000)
}

/// The caller's own recording of one side of the call in `format`.
fn recording(asterisk: &Asterisk, format: MediaFormat, side: &str) -> Vec<i16> {
    asterisk.recording(&format!("{}-{side}.sln16", format.asterisk_name())).samples()
}

/// The speech as the caller heard it come back.
#[derive(Debug)]
struct Heard {
    lag: isize,
    /// Median over pieces of a quarter of a second: `MixMonitor()` takes 160 samples at a time, and
    /// puts silence in the place of what is a little late.
    coefficient: f64,
    /// Power above 4.5 kHz, compared with that of the speech.
    upper_band_db: f64,
}

impl Heard {
    fn by_the_caller(asterisk: &Asterisk, format: MediaFormat) -> Self {
        const PIECE: usize = 4000;
        let (spoken, heard) = (speech(16_000), recording(asterisk, format, "heard"));
        let lag = find(&spoken, &heard).lag;
        let pieces = spoken.chunks_exact(PIECE).enumerate().map(|(n, piece)| {
            let at = lag + (n * PIECE).cast_signed();
            find_offset(piece, &heard, at - 1600..=at + 1600).coefficient
        });
        let mut pieces: Vec<f64> = pieces.collect();
        pieces.sort_by(f64::total_cmp);
        let Some(whole) = heard[lag.cast_unsigned()..].get(..spoken.len()) else {
            unsteady(&format!("{format}: the caller heard {} samples only", heard.len()));
        };
        Self {
            lag,
            coefficient: pieces[pieces.len() / 2],
            upper_band_db: energy_above_4500_hz_db(whole) - energy_above_4500_hz_db(&spoken),
        }
    }
}

/// What is left of speech at 16 kHz that goes through Opus, in its place.
fn through_opus(samples: &[i16]) -> Vec<i16> {
    let rate = SampleRate::HZ_16000;
    // As Debian's codec_opus_open_source sends it: 140 bytes in 20 ms.
    let settings = opus::Settings { bitrate_bps: 56_000, complexity: 10, ..Default::default() };
    let mut encoder = Encoder::new(MediaFormat::Opus, rate, &settings).expect("a rate of Opus");
    let mut decoder = Decoder::new(MediaFormat::Opus, rate).expect("a rate of Opus");
    let (mut payload, mut frame, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for samples in samples.chunks_exact(320) {
        let _ = encoder.encode(samples, &mut payload).expect("20 ms");
        decoder.decode(&payload, &mut frame).expect("just encoded");
        left.extend_from_slice(&frame);
    }
    left.split_off(encoder.output_delay())
}

/// Energy of what is above 4.5 kHz in samples at 16 kHz, in dB.
///
/// A high-pass filter of 257 taps (von Hann's window) in the middle of 4.4 and 4.6 kHz.
fn energy_above_4500_hz_db(samples: &[i16]) -> f64 {
    const REACH: i32 = 128;
    let cut = 4_500.0 / 16_000.0;
    let tap = |n: i32| {
        let window = 0.5 + 0.5 * (PI * f64::from(n) / f64::from(REACH)).cos();
        let (impulse, low) = match n {
            0 => (1.0, 2.0 * cut),
            n => (0.0, (TAU * cut * f64::from(n)).sin() / (PI * f64::from(n))),
        };
        (impulse - low) * window
    };
    let taps: Vec<f64> = (-REACH..=REACH).map(tap).collect();
    let filtered = samples.windows(taps.len()).map(|window| {
        window.iter().zip(&taps).map(|(&sample, tap)| f64::from(sample) * tap).sum::<f64>()
    });
    10.0 * filtered.map(|sample| sample * sample).sum::<f64>().max(1.0).log10()
}

/// A call of 16 kHz that comes over RTP in `format` to the socket that is returned.
fn unicast(asterisk: &Asterisk, format: MediaFormat, sound: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("not zero");
    LocalCall::new("unicast@test-called")
        .rate(16_000)
        .variable("PEER", &socket.local_addr().expect("bound").to_string())
        .variable("FORMAT", format.asterisk_name())
        .talks(sound)
        .start(asterisk);
    socket
}

#[test]
fn asterisk_sends_20_ms_under_the_payload_type_of_every_format() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        // Whole frames throughout.
        asterisk.put_sound("speech", 16_000, &speech(16_000)[..3 * 16_000]);
        for format in MediaFormat::ALL {
            let socket = unicast(&asterisk, format, "speech");
            let mut packet = [0; 65_536];
            let (mut last, mut regular) = (None, 0);
            for _ in 0..20 {
                let (length, _) = socket.recv_from(&mut packet).expect("Asterisk sends RTP");
                assert_eq!(packet[0], 0x80, "{format}: version 2, nothing beside the audio");
                assert_eq!(packet[1] & 0x7f, format.payload_type(), "{format}");
                let frame = format.sample_rate().hz() as usize / 50;
                let expected = match format {
                    MediaFormat::Ulaw | MediaFormat::Alaw => frame..=frame,
                    MediaFormat::G722 => frame / 2..=frame / 2,
                    MediaFormat::Slin(_) => 2 * frame..=2 * frame,
                    MediaFormat::Opus => 1..=400,
                };
                assert!(expected.contains(&(length - 12)), "{format}: {} bytes", length - 12);
                let timestamp = u32::from_be_bytes(packet[4..8].try_into().expect("4 bytes"));
                let step = last.replace(timestamp).map(|last| timestamp.wrapping_sub(last));
                if let Some(step) = step {
                    regular += usize::from(step == format.clock_rate().hz() / 50);
                }
            }
            // At high rates the timestamp follows Asterisk's clock where a frame is a little late.
            assert!(regular > 9, "{format}: {regular} of 19 steps of the timestamp are 20 ms");
            asterisk.cli("channel request hangup all");
            asterisk.wait_until_idle(SOON);
        }
    });
}

/// Asterisk's `main/smoother.c` has room for 8,000 bytes, of which a frame of `slin192` takes
/// 7,680: what a shorter frame leaves in it bars every one that follows.
#[test]
fn slin192_ends_with_the_first_frame_of_another_length() {
    steady(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let slin192 = MediaFormat::Slin(SampleRate::HZ_192000);
        // Ends with a quarter of a frame.
        asterisk.put_sound("second", 16_000, &speech(16_000)[..16_000 + 80]);
        for (format, ends) in [(MediaFormat::Slin(SampleRate::HZ_96000), false), (slin192, true)] {
            let socket = unicast(&asterisk, format, "second");
            let mut packet = [0; 65_536];
            let began = Instant::now();
            let mut packets = 0;
            while began.elapsed() < Duration::from_secs(3) && socket.recv_from(&mut packet).is_ok()
            {
                packets += 1;
            }
            println!("{format}: {packets} packets in 3 s");
            assert_eq!(packets < 75, ends, "{format}: {packets} packets in 3 s");
            assert_eq!(asterisk.log().contains("Out of smoother space"), ends, "{format}");
            asterisk.cli("channel request hangup all");
            asterisk.wait_until_idle(SOON);
        }
    });
}
