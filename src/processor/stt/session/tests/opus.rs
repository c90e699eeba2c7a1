//! Opus: what a decoder makes of the packets, and where that lies in the call.

use super::*;
use crate::dsp::find_offset;
use crate::dsp::opus::Decoder;
use crate::processor::stt::Encoding;

/// Samples of a packet of 20 ms.
const PACKET: usize = 160;
/// By which a decoder is late: 6.5 ms.
const DELAY: usize = 52;

fn rig(mode: Mode, buffer: Duration) -> Rig {
    let (dialect, encoding) = (Dialect::Deepgram, Encoding::Opus);
    let settings = SessionSettings { dialect, encoding, mode, buffer, ..Default::default() };
    Rig::new(settings)
}

fn listening(mode: Mode) -> Rig {
    let mut rig = rig(mode, Duration::from_secs(15));
    rig.connect();
    rig
}

/// Five seconds of speech, behind a header of 44 bytes.
fn speech() -> Vec<i16> {
    let wav = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/speech-8k.wav"));
    wav[44..].as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect()
}

/// Lets the caller say something from `position` on, in pieces of so many samples, in real time.
fn say(rig: &mut Rig, position: usize, said: &[i16], piece: usize) {
    for (number, samples) in said.chunks(piece).enumerate() {
        rig.pass(RATE.duration_of(samples.len() as u64));
        let position = Position((position + number * piece) as u64);
        let piece = Piece { position, samples: samples.to_vec(), speech: rig.speech };
        rig.session.audio(rig.now, &piece);
        rig.said = piece.end().0;
        rig.drain();
    }
}

/// What a decoder hears that gets all packets that were sent since this was last asked for, and what
/// was sent besides.
fn heard(rig: &mut Rig) -> (Vec<i16>, Vec<String>) {
    let mut decoder = Decoder::new(RATE).unwrap();
    let (mut heard, mut texts, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for message in std::mem::take(&mut rig.sent) {
        match message {
            Message::Text(text) => texts.push(text),
            Message::Binary(packet) => {
                decoder.decode(&packet, &mut samples).unwrap();
                assert_eq!(samples.len(), PACKET);
                heard.extend_from_slice(&samples);
            }
        }
    }
    (heard, texts)
}

/// The first sample of `heard` that is of `said`.
fn place(said: &[i16], heard: &[i16]) -> usize {
    let found = find_offset(said, heard, 0..=heard.len().cast_signed());
    // The encoder turns the phase of a low voice: the whole fixture has 0.97.
    assert!(found.coefficient > 0.93, "{found:?}");
    found.lag.unsigned_abs()
}

/// A final result about the first `seconds`, with a word in each of these stretches of samples.
fn results(seconds: f64, words: &[(usize, usize)]) -> String {
    let seconds_of = |samples: usize| samples as f64 / 8_000.0;
    let words = words.iter().map(|&(start, end)| {
        let (start, end) = (seconds_of(start), seconds_of(end));
        serde_json::json!({ "word": "w", "start": start, "end": end })
    });
    let words: Vec<_> = words.collect();
    let best = serde_json::json!({ "transcript": "w", "words": words });
    let channel = serde_json::json!({ "alternatives": [best] });
    serde_json::json!({
        "type": "Results", "start": 0.0, "duration": seconds, "is_final": true, "channel": channel
    })
    .to_string()
}

#[test]
fn a_decoder_hears_all_that_was_said_however_it_is_cut() {
    let speech = speech();
    // The last packet is full; has just enough silence for what the encoder holds back; has less.
    for (count, packets) in [(20_000, 126), (20_108, 126), (20_109, 127)] {
        for piece in [37, PACKET, 333, 800, 1_600] {
            let mut rig = listening(Mode::Stream);
            say(&mut rig, 0, &speech[..count], piece);
            rig.finish();
            let (heard, texts) = heard(&mut rig);
            assert_eq!(texts, [r#"{"type":"CloseStream"}"#]);
            assert_eq!(heard.len(), packets * PACKET, "{count} in pieces of {piece}");
            assert_eq!(place(&speech[..count], &heard), DELAY);
            let sent_samples = count as u64;
            assert_eq!(rig.session.take_counts(), Counts { sent_samples, ..Counts::default() });
            rig.answer(&results(2.6, &[]));
            rig.disconnect();
            assert!(rig.done);
            assert_eq!(rig.faults(), [""; 0]);
        }
    }
}

#[test]
fn words_lie_where_they_were_said_whatever_is_missing_or_was_added_in_between() {
    let speech = speech();
    // Places in the call, what is said there, and the packets of that: 7,840 are 49 packets, and one
    // more at the end of the utterance.
    let said = [
        (8_000, &speech[..12_345], 78),
        (30_000, &speech[12_345..20_185], 50),
        (100_000, &speech[20_185..30_000], 62),
    ];
    let mut rig = listening(Mode::Stream);
    for (number, (position, samples, _)) in said.into_iter().enumerate() {
        say(&mut rig, position, samples, 800);
        if number == 1 {
            rig.pass(Duration::from_secs(3));
        }
    }
    rig.finish();
    let (heard, texts) = heard(&mut rig);
    assert_eq!(texts, [r#"{"type":"Finalize"}"#, r#"{"type":"CloseStream"}"#]);
    let mut words = Vec::new();
    let mut begins = 0;
    for (_, samples, packets) in said {
        let start = place(samples, &heard);
        assert_eq!(start, begins + DELAY);
        words.push((start, start + samples.len()));
        begins += packets * PACKET;
    }
    assert_eq!(heard.len(), begins);
    rig.answer(&results(4.0, &words));
    let words = rig.transcripts().remove(0).words;
    for (word, (position, samples, _)) in words.iter().zip(said) {
        let ends = (position + samples.len()) as u64;
        assert_eq!((word.start_ms, word.end_ms), (position as u64 / 8, ends / 8));
    }
    assert_eq!(words.len(), said.len());
}

#[test]
fn an_utterance_ends_with_a_whole_packet_and_the_next_one_begins_with_another() {
    let speech = speech();
    let mut rig = listening(Mode::Speech);
    say(&mut rig, 0, &speech[..8_000], 800);
    assert!(rig.sent.is_empty());
    // The pre-roll is 0.4 s.
    rig.speech(Speech::Since(Position(7_003)));
    say(&mut rig, 8_000, &speech[8_000..16_050], 800);
    rig.speech(Speech::Silent);
    // 12,247 samples are 77 packets, the last of which has 87 samples, and silence enough.
    assert!(matches!(rig.sent.last(), Some(Message::Text(text)) if text.contains("Finalize")));
    assert_eq!(rig.sent.len(), 77 + 1);
    say(&mut rig, 16_050, &speech[16_050..28_000], 800);
    assert_eq!(rig.sent.len(), 78, "nobody speaks");
    rig.speech(Speech::Since(Position(25_000)));
    say(&mut rig, 28_000, &speech[28_000..30_000], 800);
    let (heard, _) = heard(&mut rig);
    let first = place(&speech[3_803..16_050], &heard);
    assert_eq!(first, DELAY);
    let second = place(&speech[21_800..29_900], &heard);
    assert_eq!(second, 77 * PACKET + DELAY);
    rig.answer(&results(2.0, &[(first, first + 8_000), (second, second + 800)]));
    let words = rig.transcripts().remove(0).words;
    assert_eq!((words[0].start_ms, words[0].end_ms), (3_803 / 8, 11_803 / 8));
    assert_eq!((words[1].start_ms, words[1].end_ms), (21_800 / 8, 22_600 / 8));
}

#[test]
fn what_is_said_again_is_a_stream_of_its_own() {
    let speech = speech();
    let mut rig = listening(Mode::Stream);
    say(&mut rig, 0, &speech[..16_000], 800);
    // In one second it hears 7,948 samples, which are 49 packets and some of another.
    rig.answer(&results(1.0, &[]));
    rig.sent.clear();
    rig.disconnect();
    say(&mut rig, 16_000, &speech[16_000..17_600], 800);
    rig.connect();
    let again = &speech[49 * PACKET..17_600];
    let Some(Message::Binary(first)) = rig.sent.first() else { panic!("audio") };
    let fresh = Encoding::Opus.encoder(RATE).encode(&again[..PACKET]).bytes;
    assert!(*first == fresh, "it builds on nothing of the connection before");
    let (heard, _) = heard(&mut rig);
    assert_eq!((place(again, &heard), heard.len()), (DELAY, again.len()));
    rig.answer(&results(1.0, &[(DELAY + 800, DELAY + 1_600)]));
    let word = &rig.transcripts()[1].words[0];
    assert_eq!((word.start_ms, word.end_ms), (980 + 100, 980 + 200));
    let counts = rig.session.take_counts();
    assert_eq!((counts.sent_samples, counts.replayed_samples), (17_600, 16_000 - 7_840));
    assert_eq!(rig.faults(), ["closed"]);
}

#[test]
fn each_sample_is_sent_or_counts_as_dropped() {
    let speech = speech();
    let mut rig = rig(Mode::Stream, Duration::from_secs(2));
    say(&mut rig, 0, &speech[..33_333], 333);
    rig.connect();
    rig.finish();
    let (heard, _) = heard(&mut rig);
    let Counts { sent_samples, dropped_samples, .. } = rig.session.take_counts();
    assert_eq!(sent_samples + dropped_samples, 33_333);
    assert!(dropped_samples.is_multiple_of(PACKET as u64));
    assert!((15_840..=16_000).contains(&sent_samples), "{sent_samples} of two seconds");
    let kept = usize::try_from(dropped_samples).unwrap();
    assert_eq!(place(&speech[kept..33_333], &heard), DELAY);
    assert_eq!(rig.faults(), ["dropped"]);
}

#[test]
fn a_service_of_ones_own_is_told_and_gets_the_rest_before_the_end() {
    let settings = SessionSettings {
        dialect: Dialect::Raw,
        encoding: Encoding::Opus,
        ..SessionSettings::default()
    };
    let mut rig = Rig::new(settings);
    rig.connect();
    rig.say(1);
    rig.finish();
    let (heard, texts) = heard(&mut rig);
    let start = r#"{"encoding":"opus","rate_hz":8000,"type":"start"}"#;
    assert_eq!(texts, [start, r#"{"type":"stop"}"#]);
    assert_eq!(heard.len(), CHUNK + PACKET);
}

#[test]
#[should_panic(expected = "opus at 44100 Hz")]
fn a_session_has_a_rate_of_its_encoding() {
    let settings = SessionSettings { encoding: Encoding::Opus, ..SessionSettings::default() };
    let _ = Session::new(settings, "test".into(), SampleRate::HZ_44100);
}
