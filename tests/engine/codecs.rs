//! Calls in formats whose codecs have a memory, and the format in which a call is answered.

use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::call::Transport;
use sidetone::dsp::codec::Decoder;
use sidetone::dsp::tone::Sine;
use sidetone::dsp::{find_offset, opus};
use sidetone::event::EventKind;
use sidetone::media::{MediaSettings, OpusSettings, Rejected, ReturnFormat, SilencePolicy};

use crate::driver::speech::{frame_samples, payloads, speech};
use crate::driver::{JOIN, Moment, Rig, Script, Sender, Track, idle, ms};

const SECONDS: f64 = 4.0;

/// A call of speech: what was sent, packet by packet, and its rate.
struct Speech {
    format: MediaFormat,
    rate: SampleRate,
    payloads: Vec<Vec<u8>>,
}

impl Speech {
    fn new(format: MediaFormat, settings: &MediaSettings) -> Self {
        let rate = settings.rate_of(format);
        let samples = speech(rate, SECONDS);
        let payloads = payloads(format, rate, &settings.opus.encoder, &samples);
        Self { format, rate, payloads }
    }

    /// Sends every packet but those that are lost, 20 ms apart.
    fn play(&self, rig: &mut Rig, lost: impl Fn(usize) -> bool) {
        let mut sender = Sender::new(self.format);
        let ticks = u64::from(self.format.clock_rate().hz()) / 50;
        for (n, payload) in self.payloads.iter().enumerate() {
            let packet = sender.carry(payload, ticks);
            if !lost(n) {
                rig.datagram(at(n), &packet);
            }
        }
        rig.run_until(at(self.payloads.len() + 20));
    }

    /// What a decoder makes of it where nothing is lost.
    fn decoded(&self) -> Vec<i16> {
        let mut decoder = Decoder::new(self.format, self.rate).expect("the codec has the rate");
        let (mut samples, mut all) = (Vec::new(), Vec::new());
        for payload in &self.payloads {
            decoder.decode(payload, &mut samples).expect("it was encoded");
            all.extend_from_slice(&samples);
        }
        all
    }
}

fn at(packet: usize) -> Duration {
    ms(100 + 20 * packet as u64)
}

fn heard(rig: &Rig) -> Vec<i16> {
    rig.seen().of(Track::Uplink).flat_map(|frame| frame.samples.clone()).collect()
}

/// A script that plays what it hears.
fn echo() -> Script {
    Box::new(|moment, cx| {
        if let Moment::Uplink(frame) = moment {
            cx.play(frame.samples);
        }
    })
}

/// What the peer hears of us, by its own decoder.
fn returned(rig: &Rig, format: MediaFormat, rate: SampleRate) -> Vec<i16> {
    let mut decoder = Decoder::new(format, rate).expect("the codec has the rate");
    let (mut samples, mut all) = (Vec::new(), Vec::new());
    for (_, packet) in rig.packets() {
        assert_eq!(packet.payload_type().value(), format.payload_type());
        decoder.decode(packet.payload(), &mut samples).expect("we send whole packets");
        all.extend_from_slice(&samples);
    }
    all
}

#[test]
fn a_call_hears_just_what_its_codec_makes_of_the_packets() {
    let settings = MediaSettings::default();
    for &format in Transport::Rtp.formats() {
        let speech = Speech::new(format, &settings);
        let mut rig = Rig::rtp(format);
        speech.play(&mut rig, |_| false);
        assert!(heard(&rig) == speech.decoded(), "{format}");
        let samples = frame_samples(speech.rate);
        let start = speech.rate.samples_in(at(0));
        for (n, frame) in rig.seen().of(Track::Uplink).enumerate() {
            assert_eq!(frame.position, start + (n * samples) as u64, "{format}");
            assert_eq!((frame.samples.len(), frame.origin), (samples, Origin::Real));
        }
        assert_eq!(rig.stats().packets_received, speech.payloads.len() as u64);
        assert_eq!(rig.stats().rejected.total() + rig.stats().timestamp_jumps, 0, "{format}");
        let ready = |kind: &EventKind| matches!(kind, EventKind::MediaReady { format: told } if *told == format);
        assert_eq!(rig.count(ready), 1);
    }
}

#[test]
fn opus_is_decoded_straight_at_the_rate_that_is_set() {
    for rate in opus::RATES {
        let opus = OpusSettings { rate, ..OpusSettings::default() };
        let settings = MediaSettings { opus, ..MediaSettings::default() };
        let speech = Speech::new(MediaFormat::Opus, &settings);
        let mut rig = Rig::rtp_with(MediaFormat::Opus, settings, idle());
        speech.play(&mut rig, |_| false);
        let heard = heard(&rig);
        assert_eq!(heard.len(), speech.payloads.len() * frame_samples(rate));
        assert!(heard == speech.decoded(), "{rate}");
    }
}

#[test]
fn a_lost_packet_of_opus_is_recovered_from_the_one_behind_it() {
    let encoder = opus::Settings { expected_loss_percent: 20, ..opus::Settings::default() };
    let opus = OpusSettings { encoder, ..OpusSettings::default() };
    let settings = MediaSettings { opus, ..MediaSettings::default() };
    let speech = Speech::new(MediaFormat::Opus, &settings);
    let whole = speech.decoded();
    let mut rig = Rig::rtp_with(MediaFormat::Opus, settings, idle());
    let lost = |n: usize| n % 10 == 9;
    speech.play(&mut rig, lost);
    let stats = rig.stats();
    let losses = (0..speech.payloads.len() - 1).filter(|&n| lost(n)).count() as u64;
    assert_eq!((stats.packets_lost, stats.frames_concealed), (losses, losses));
    // Not every frame is worth its redundancy: silence and plain vowels are concealed.
    assert!(stats.frames_recovered > losses / 2, "{} of {losses}", stats.frames_recovered);

    let heard = heard(&rig);
    let found = find_offset(&whole, &heard, -200..=200);
    assert_eq!(found.lag, 0);
    // One frame in ten as silence leaves 1 − 10 % of the energy: √0.9 = 0.949.
    assert!(found.coefficient > 0.97, "{found:?}");
    let seen = rig.seen();
    let concealed = seen.of(Track::Uplink).filter(|frame| frame.origin == Origin::Concealed);
    assert_eq!(concealed.count() as u64, losses);
}

#[test]
fn a_longer_loss_of_opus_goes_on_where_libopus_takes_it_and_then_fades() {
    let settings = MediaSettings::default();
    let speech = Speech::new(MediaFormat::Opus, &settings);
    let decoded = speech.decoded();
    let frame = frame_samples(speech.rate);
    let energy = |samples: &[i16]| sidetone::dsp::level::energy(samples);
    let loudest =
        (20..speech.payloads.len() - 20).max_by_key(|n| energy(&decoded[n * frame..][..frame]));
    let first = loudest.expect("there are packets") + 1;
    let mut rig = Rig::rtp(MediaFormat::Opus);
    speech.play(&mut rig, |n| (first..first + 8).contains(&n));
    let seen = rig.seen();
    let concealed: Vec<u64> = seen
        .of(Track::Uplink)
        .filter(|frame| frame.origin == Origin::Concealed)
        .map(|frame| energy(&frame.samples))
        .collect();
    assert_eq!(concealed.len(), 8);
    let before = energy(&decoded[(first - 1) * frame..][..frame]);
    assert!(concealed[0] > before / 4, "{concealed:?} after {before}");
    assert!(concealed[7] < concealed[0] / 10, "{concealed:?}");
}

#[test]
fn what_comes_late_reaches_the_archive_and_leaves_the_stream_alone() {
    for format in [MediaFormat::G722, MediaFormat::Opus] {
        let speech = Speech::new(format, &MediaSettings::default());
        let ticks = u64::from(format.clock_rate().hz()) / 50;
        let late = 60;
        let play = |comes: bool| {
            let mut rig = Rig::rtp(format);
            let mut sender = Sender::new(format);
            let mut held = Vec::new();
            for (n, payload) in speech.payloads.iter().enumerate() {
                let packet = sender.carry(payload, ticks);
                if n == late {
                    held = packet;
                    continue;
                }
                rig.datagram(at(n), &packet);
                if n == late + 20 && comes {
                    rig.datagram(at(n), &held);
                }
            }
            rig
        };
        let (with, without) = (play(true), play(false));
        assert!(heard(&with) == heard(&without), "{format}");
        let seen = with.seen();
        let archived: Vec<_> = seen.of(Track::Late).collect();
        assert_eq!(archived.len(), 1);
        let start = speech.rate.samples_in(at(late));
        assert_eq!(archived[0].position, start, "{format}");
        // And what the frame behind it began with before it was joined; Opus joins by itself.
        let join = if format == MediaFormat::Opus { 0 } else { speech.rate.samples_in(JOIN) };
        let expected = frame_samples(speech.rate) as u64 + join;
        assert_eq!(archived[0].samples.len() as u64, expected, "{format}");
        assert!(archived[0].samples.iter().any(|&sample| sample != 0), "{format}");
        assert_eq!((with.stats().packets_late, with.stats().packets_lost), (1, 0));
    }
}

#[test]
fn redundancy_is_for_the_frame_right_before_its_packet() {
    let encoder = opus::Settings { expected_loss_percent: 20, ..opus::Settings::default() };
    let opus = OpusSettings { encoder, ..OpusSettings::default() };
    let settings = MediaSettings { opus, ..MediaSettings::default() };
    let speech = Speech::new(MediaFormat::Opus, &settings);
    let frame = frame_samples(speech.rate) as u64;
    // A sender that pauses for five frames after the packet that gets lost, or does not pause.
    let recovered = |pause: u64, lost: usize| {
        let mut rig = Rig::rtp_with(MediaFormat::Opus, settings.clone(), idle());
        let mut sender = Sender::new(MediaFormat::Opus);
        let mut late = 0;
        for (n, payload) in speech.payloads.iter().enumerate() {
            let packet = sender.carry(payload, 960);
            if n == lost {
                sender.pause(960 * pause);
                late = 20 * pause;
            } else {
                rig.datagram(at(n) + ms(late), &packet);
            }
        }
        rig.run_until(at(speech.payloads.len()) + ms(late + 500));
        let seen = rig.seen();
        let frames: Vec<_> = seen.of(Track::Uplink).collect();
        let concealed = frames.iter().position(|kept| kept.origin == Origin::Concealed);
        let concealed = concealed.expect("the lost frame is concealed");
        assert_eq!(frames[concealed].position, frames[concealed - 1].end());
        assert_eq!(
            frames[concealed + 1].position,
            frames[concealed].position + (pause + 1) * frame
        );
        assert_eq!(rig.stats().frames_concealed, 1);
        rig.stats().frames_recovered
    };
    let lost: Vec<usize> = (30..200).step_by(10).filter(|&n| recovered(0, n) == 1).collect();
    assert!(lost.len() > 5, "most packets carry the frame before them");
    for n in lost {
        assert_eq!(recovered(5, n), 0, "packet {n}");
    }
}

#[test]
fn the_end_of_what_is_audible_leaves_before_silence_is_suppressed() {
    // Half a second of a loud tone, then nothing.
    let script = |rate: SampleRate| -> Script {
        let mut tone = vec![0; rate.hz() as usize / 2];
        Sine::new(1_000.0, rate, 0.5).fill(&mut tone);
        let mut rest = Some(tone);
        Box::new(move |_, cx| {
            if let Some(tone) = rest.take() {
                cx.play(&tone);
            }
        })
    };
    let silence = SilencePolicy::Suppress;
    let settings = MediaSettings { silence, ..MediaSettings::default() };
    for (format, packets) in [
        (MediaFormat::Ulaw, 25),
        // One more for the tail in the codec's and the resampler's filters.
        (MediaFormat::G722, 26),
        (MediaFormat::Slin(SampleRate::HZ_48000), 26),
    ] {
        let rate = format.sample_rate();
        let mut rig = Rig::rtp_with(format, settings.clone(), script(rate));
        rig.datagram(ms(10), &Sender::new(format).carry(&[0; 160], 160));
        rig.run_until(ms(3_000));
        assert_eq!(rig.packets().count(), packets, "{format}");
    }
}

#[test]
fn what_is_no_packet_of_opus_is_counted_and_its_place_concealed() {
    let settings = MediaSettings::default();
    let mut speech = Speech::new(MediaFormat::Opus, &settings);
    // Code 3 with a frame count of 0 (RFC 6716 section 3.2.5, requirement 5).
    speech.payloads[50] = vec![0x03, 0x00];
    // Two frames of 10 ms, whose lengths do not fit (requirement 3).
    speech.payloads[70] = vec![0x41, 1, 2, 3];
    let mut rig = Rig::rtp(MediaFormat::Opus);
    speech.play(&mut rig, |_| false);
    let stats = rig.stats();
    assert_eq!(stats.rejected.of(Rejected::Undecodable), 2);
    assert_eq!((stats.frames_concealed, stats.packets_lost), (2, 0));
    let seen = rig.seen();
    let frames: Vec<_> = seen.of(Track::Uplink).collect();
    assert_eq!(frames.len(), speech.payloads.len());
    for bad in [50, 70] {
        assert_eq!(frames[bad].origin, Origin::Concealed);
        assert_eq!(frames[bad].position, frames[bad - 1].end());
        assert_eq!(frames[bad + 1].position, frames[bad].end());
    }
    assert_eq!(stats.timestamp_jumps, 0);
}

#[test]
fn a_call_is_answered_in_what_asterisk_takes_back() {
    let settings = MediaSettings::default();
    for (format, expected) in [
        (MediaFormat::Ulaw, MediaFormat::Ulaw),
        (MediaFormat::Alaw, MediaFormat::Alaw),
        (MediaFormat::G722, MediaFormat::G722),
        (MediaFormat::Opus, MediaFormat::G722),
        (MediaFormat::Slin(SampleRate::HZ_8000), MediaFormat::Slin(SampleRate::HZ_8000)),
        (MediaFormat::Slin(SampleRate::HZ_16000), MediaFormat::G722),
        (MediaFormat::Slin(SampleRate::HZ_44100), MediaFormat::G722),
        (MediaFormat::Slin(SampleRate::HZ_48000), MediaFormat::G722),
    ] {
        check_answer(format, &settings, expected);
    }
}

#[test]
fn a_call_is_answered_in_the_format_that_is_set() {
    let with = |return_format| MediaSettings { return_format, ..MediaSettings::default() };
    for fixed in [
        MediaFormat::Ulaw,
        MediaFormat::Alaw,
        MediaFormat::G722,
        MediaFormat::Slin(SampleRate::HZ_8000),
    ] {
        let settings = with(ReturnFormat::Fixed(fixed));
        for format in
            [MediaFormat::Ulaw, MediaFormat::Opus, MediaFormat::Slin(SampleRate::HZ_48000)]
        {
            check_answer(format, &settings, fixed);
        }
    }
    for &format in Transport::Rtp.formats() {
        check_answer(format, &with(ReturnFormat::Same), format);
    }
}

/// Checks that speech which is played back comes in `expected`, with a timestamp that keeps step,
/// and sounds as it did.
fn check_answer(format: MediaFormat, settings: &MediaSettings, expected: MediaFormat) {
    let speech = Speech::new(format, settings);
    let mut rig = Rig::rtp_with(format, settings.clone(), echo());
    speech.play(&mut rig, |_| false);
    let ticks = expected.clock_rate().hz() / 50;
    let stamps: Vec<u32> = rig.packets().map(|(_, packet)| packet.timestamp().0).collect();
    assert!(stamps.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == ticks), "{expected}");

    let rate = settings.rate_of(expected);
    let answer = returned(&rig, expected, rate);
    let reference = crate::driver::speech::speech(rate, SECONDS);
    let second = rate.hz().cast_signed() as isize;
    let found = find_offset(&reference, &answer, 0..=second / 2);
    // The first packet comes at 100 ms and leaves within the next 20, the codecs and filters need
    // 20 ms at most.
    let bounds = second / 10..=second * 14 / 100;
    assert!(bounds.contains(&found.lag), "{format} as {expected}: {found:?}");
    // From a call of 8 kHz half of the band is gone; Opus keeps the sound rather than the waveform:
    // its encoder takes the lowest tones away and turns those next to them.
    let opus = [format, expected].iter().filter(|&&it| it == MediaFormat::Opus).count();
    let bound = match opus {
        0 if speech.rate >= rate => 0.98,
        0 | 1 => 0.93,
        _ => 0.88,
    };
    assert!(found.coefficient > bound, "{format} as {expected}: {found:?}");
}

#[test]
fn opus_says_nothing_in_silence_where_that_is_set() {
    let encoder = opus::Settings { dtx: true, ..opus::Settings::default() };
    let opus = OpusSettings { encoder, ..OpusSettings::default() };
    let return_format = ReturnFormat::Same;
    let settings = MediaSettings { opus, return_format, ..MediaSettings::default() };
    let mut rig = Rig::rtp_with(MediaFormat::Opus, settings, idle());
    rig.run_until(ms(10_000));
    let sent = rig.packets().count();
    // One packet in 400 ms keeps the stream alive, after some to begin with.
    assert!((20..100).contains(&sent), "{sent} packets in 10 s");
    let packets: Vec<_> = rig.packets().collect();
    for pair in packets.windows(2) {
        let passed = pair[1].0 - pair[0].0;
        let ticks = pair[1].1.timestamp().0.wrapping_sub(pair[0].1.timestamp().0);
        assert_eq!(u128::from(ticks), passed.as_millis() * 48);
        assert_eq!(pair[1].1.marker(), passed > ms(20), "a pause begins a talkspurt");
    }
    assert_eq!(rig.stats().packets_sent, sent as u64);
}
