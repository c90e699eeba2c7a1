use super::*;
use crate::processor::stt::Dialect;
use crate::testing::epoch;

mod opus;

const RATE: SampleRate = SampleRate::HZ_8000;
/// Samples of a piece of 100 ms.
const CHUNK: usize = 800;

/// A session in virtual time, whose service is the test.
struct Rig {
    session: Session,
    now: Instant,
    sent: Vec<Message>,
    told: Vec<EventKind>,
    done: bool,
    connected: bool,
    /// Audio that the caller has said.
    said: u64,
    speech: Speech,
}

impl Rig {
    fn new(settings: SessionSettings) -> Self {
        Self {
            session: Session::new(settings, "test".into(), RATE),
            now: epoch(),
            sent: Vec::new(),
            told: Vec::new(),
            done: false,
            connected: false,
            said: 0,
            speech: Speech::Silent,
        }
    }

    fn with(dialect: Dialect) -> Self {
        Self::new(SessionSettings { dialect, ..SessionSettings::default() })
    }

    fn connect(&mut self) {
        self.connected = true;
        self.session.connected(self.now);
        self.drain();
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.session.disconnected("closed", String::new());
        self.drain();
    }

    fn answer(&mut self, text: &str) {
        self.session.text(text);
        self.drain();
    }

    fn finish(&mut self) {
        self.session.finish(self.now);
        self.drain();
    }

    /// Lets the caller say so many pieces, in real time. Their samples tell which they are.
    fn say(&mut self, pieces: u64) {
        for _ in 0..pieces {
            self.pass(Duration::from_millis(100));
            let number = i16::try_from(self.said / CHUNK as u64).unwrap();
            let piece = Piece {
                position: Position(self.said),
                samples: vec![number; CHUNK],
                speech: self.speech,
            };
            self.session.audio(self.now, &piece);
            self.said += CHUNK as u64;
            self.drain();
        }
    }

    /// Lets the caller say nothing, and Asterisk send nothing.
    fn pause(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
        self.said += RATE.samples_in(Duration::from_millis(ms));
    }

    /// Lets a detector find something.
    fn speech(&mut self, speech: Speech) {
        self.speech = speech;
        let position = Position(self.said);
        let piece = Piece { position, samples: Vec::new(), speech };
        self.session.audio(self.now, &piece);
        self.drain();
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Output::Wait(Some(wake)) = self.session.poll_output(self.now, false)
            && wake <= end
        {
            assert!(wake > self.now, "asked to be woken at once, for nothing");
            self.now = wake;
            self.drain();
        }
        self.now = end;
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll_output(self.now, self.connected) {
                Output::Send(message) => self.sent.push(message),
                Output::Tell(event) => self.told.push(event),
                Output::Wait(_) => return,
                Output::Done => return self.done = true,
            }
        }
    }

    /// What was sent: texts, and of audio the numbers of its pieces.
    fn sent(&mut self) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent).into_iter().map(|message| match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => {
                let sample = i16::from_le_bytes([bytes[0], bytes[1]]);
                assert!(bytes.chunks(2).all(|pair| pair == sample.to_le_bytes()));
                format!("{sample}:{}", bytes.len() / 2)
            }
        });
        sent.collect()
    }

    fn transcripts(&mut self) -> Vec<Transcript> {
        let (heard, others) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|event| matches!(event, EventKind::Transcript(_)));
        self.told = others;
        let heard: Vec<EventKind> = heard;
        let heard = heard.into_iter().filter_map(|event| match event {
            EventKind::Transcript(transcript) => Some(*transcript),
            _ => None,
        });
        heard.collect()
    }

    /// The reasons of what was told to be wrong.
    fn faults(&mut self) -> Vec<&'static str> {
        let told = std::mem::take(&mut self.told).into_iter();
        told.filter_map(|event| match event {
            EventKind::SttDegraded { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
    }
}

/// Names of pieces of a whole chunk.
fn pieces(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("{number}:{CHUNK}")).collect()
}

fn vosk_final(word: &str, start: f64, end: f64) -> String {
    let result = format!(r#"[{{"conf":1.0,"start":{start},"end":{end},"word":"{word}"}}]"#);
    format!(r#"{{"result":{result},"text":"{word}"}}"#)
}

#[test]
fn all_that_was_said_while_it_connects_is_sent_at_once() {
    let mut rig = Rig::with(Dialect::Vosk);
    rig.say(20);
    assert_eq!(rig.sent(), [""; 0]);
    rig.connect();
    let mut expected = vec![r#"{"config":{"sample_rate":8000,"words":1}}"#.to_owned()];
    expected.extend(pieces(0..20));
    assert_eq!(rig.sent(), expected, "without any time passing");
    rig.answer(&vosk_final("hello", 0.3, 0.7));
    let heard = rig.transcripts();
    assert_eq!((heard[0].start_ms, heard[0].end_ms, heard[0].is_final), (300, 700, true));
    assert_eq!(heard[0].words[0].word, "hello");
    assert_eq!(rig.session.take_counts().sent_samples, 16_000);
}

#[test]
fn what_was_not_acknowledged_is_said_again_and_lies_where_it_lay() {
    let mut rig = Rig::with(Dialect::Deepgram);
    rig.connect();
    rig.say(30);
    let done = r#"{"type":"Results","start":0.0,"duration":1.2,"is_final":true,
        "channel":{"alternatives":[{"transcript":"one","words":[]}]}}"#;
    rig.answer(done);
    rig.sent();
    rig.disconnect();
    rig.say(2);
    rig.connect();
    assert_eq!(rig.sent(), pieces(12..32), "the rest of what it had heard, and what it missed");
    // Its clock begins anew: 0.5 s of it are 1.7 s of the call.
    let again = r#"{"type":"Results","start":0.0,"duration":2.0,"is_final":true,"channel":
        {"alternatives":[{"transcript":"two","words":[{"word":"two","start":0.5,"end":0.75}]}]}}"#;
    rig.answer(again);
    let heard = rig.transcripts();
    assert_eq!((heard[0].text.as_str(), heard[1].text.as_str()), ("one", "two"));
    let word = &heard[1].words[0];
    assert_eq!((word.start_ms, word.end_ms), (1_700, 1_950));
    let counts = rig.session.take_counts();
    assert_eq!((counts.sent_samples, counts.replayed_samples), (32 * 800, 18 * 800));
    assert_eq!(rig.faults(), ["closed"]);
}

#[test]
fn a_service_that_is_away_for_long_costs_the_oldest_audio_and_one_event() {
    let mut rig =
        Rig::new(SessionSettings { buffer: Duration::from_secs(2), ..SessionSettings::default() });
    for _ in 0..5 {
        rig.disconnect();
        rig.say(6);
    }
    assert_eq!(rig.faults(), ["closed", "dropped"], "once each");
    assert_eq!(rig.session.take_counts().dropped_samples, 10 * 800);
    rig.connect();
    assert_eq!(rig.sent()[1..], pieces(10..30));
    // A gap in what it heard is none on its clock.
    rig.answer(&vosk_final("late", 0.0, 0.1));
    assert_eq!(rig.transcripts()[0].start_ms, 1_000);
    rig.disconnect();
    assert_eq!(rig.faults(), ["closed"], "it had been well in between");
}

#[test]
fn speech_alone_is_sent_with_its_pre_roll_and_an_end() {
    let settings = SessionSettings {
        dialect: Dialect::Deepgram,
        mode: Mode::Speech,
        ..SessionSettings::default()
    };
    let mut rig = Rig::new(settings);
    rig.connect();
    rig.say(30);
    assert_eq!(rig.sent(), [""; 0]);
    // It began at 2.75 s; the pre-roll is 0.4 s.
    rig.speech(Speech::Since(Position(22_000)));
    let lead = rig.sent();
    assert_eq!(lead[0], "23:400");
    assert_eq!(lead[1..], pieces(24..30));
    rig.say(10);
    assert_eq!(rig.sent(), pieces(30..40));
    rig.speech(Speech::Silent);
    assert_eq!(rig.sent(), [r#"{"type":"Finalize"}"#]);
    rig.say(50);
    rig.speech(Speech::Since(Position(rig.said)));
    rig.say(3);
    let sent: Vec<_> = rig.sent().into_iter().filter(|it| !it.contains("KeepAlive")).collect();
    assert_eq!(sent, pieces(86..93));
    // It has heard 1.65 s of the first, which ended at 4 s, and then what began at 8.6 s.
    let text = r#"{"type":"Results","start":1.65,"duration":0.7,"is_final":true,"channel":
        {"alternatives":[{"transcript":"b","words":[{"word":"b","start":1.75,"end":2.0}]}]}}"#;
    rig.answer(text);
    let heard = &rig.transcripts()[0];
    assert_eq!((heard.words[0].start_ms, heard.words[0].end_ms), (8_700, 8_950));
}

#[test]
fn a_vosk_server_is_left_at_the_end_of_an_utterance_and_asked_again_for_the_next() {
    let mode = Mode::Speech;
    let mut rig = Rig::new(SessionSettings { mode, ..SessionSettings::default() });
    rig.connect();
    rig.speech(Speech::Since(Position(0)));
    rig.say(5);
    rig.speech(Speech::Silent);
    assert_eq!(rig.sent().last().map(String::as_str), Some(r#"{"eof" : 1}"#));
    rig.speech(Speech::Since(Position(4_000)));
    rig.say(2);
    assert_eq!(rig.sent(), [""; 0], "the connection is closing");
    for _ in 0..5 {
        rig.answer(r#"{"partial":""}"#);
    }
    assert!(!rig.session.may_be_disconnected(), "the last answer is missing");
    rig.answer(&vosk_final("one", 0.1, 0.4));
    assert!(rig.session.may_be_disconnected());
    rig.disconnect();
    rig.connect();
    assert_eq!(rig.sent()[1..], pieces(5..7));
    rig.answer(&vosk_final("two", 0.1, 0.2));
    let heard = rig.transcripts();
    assert_eq!((heard[0].start_ms, heard[1].start_ms), (100, 600));
    assert_eq!(rig.faults(), [""; 0]);
}

#[test]
fn a_vosk_server_that_dies_before_its_last_answer_is_asked_again() {
    let mode = Mode::Speech;
    let mut rig = Rig::new(SessionSettings { mode, ..SessionSettings::default() });
    rig.connect();
    rig.speech(Speech::Since(Position(0)));
    rig.say(2);
    rig.speech(Speech::Silent);
    rig.sent();
    rig.disconnect();
    assert_eq!(rig.faults(), ["closed"]);
    rig.connect();
    let mut expected = pieces(0..2);
    expected.push(r#"{"eof" : 1}"#.to_owned());
    assert_eq!(rig.sent()[1..], expected);
}

#[test]
fn the_last_words_are_waited_for_and_not_for_ever() {
    for answers in [true, false] {
        let mut rig = Rig::with(Dialect::Vosk);
        rig.connect();
        rig.say(3);
        rig.finish();
        assert_eq!(rig.sent().last().map(String::as_str), Some(r#"{"eof" : 1}"#));
        assert!(!rig.done);
        if answers {
            (0..3).for_each(|_| rig.answer(r#"{"partial":"by"}"#));
            rig.answer(&vosk_final("bye", 0.0, 0.3));
            rig.disconnect();
            assert_eq!(rig.transcripts().last().map(|heard| heard.text.as_str()), Some("bye"));
        } else {
            rig.pass(Duration::from_millis(2_999));
            assert!(!rig.done);
            rig.pass(Duration::from_millis(1));
        }
        assert!(rig.done);
        assert_eq!(rig.faults(), [""; 0]);
    }
}

#[test]
fn a_call_that_is_shorter_than_connecting_is_heard_all_the_same() {
    let mut rig = Rig::with(Dialect::Raw);
    rig.say(2);
    rig.finish();
    assert!(!rig.done);
    rig.connect();
    let start = r#"{"encoding":"linear16","rate_hz":8000,"type":"start"}"#;
    let mut expected = vec![start.to_owned()];
    expected.extend(pieces(0..2));
    expected.push(r#"{"type":"stop"}"#.to_owned());
    assert_eq!(rig.sent(), expected);
    rig.disconnect();
    assert!(rig.done);

    let mut silent = Rig::with(Dialect::Raw);
    silent.finish();
    assert!(silent.done, "nothing was said: there is nothing to wait for");
}

#[test]
fn a_service_without_audio_is_kept_and_told_that_the_sentence_is_over() {
    let mut rig = Rig::with(Dialect::Deepgram);
    rig.connect();
    rig.say(1);
    rig.sent();
    rig.pause(13_000);
    let alive = r#"{"type":"KeepAlive"}"#;
    assert_eq!(rig.sent(), [r#"{"type":"Finalize"}"#, alive, alive, alive]);
    rig.say(1);
    assert_eq!(rig.sent(), pieces([131]));
}

#[test]
fn a_slow_vosk_server_gets_no_more_than_it_can_answer() {
    let mut rig = Rig::with(Dialect::Vosk);
    rig.connect();
    rig.say(100);
    assert_eq!(rig.sent()[1..], pieces(0..30), "three seconds without an answer");
    rig.answer(r#"{"partial":"a"}"#);
    rig.answer(r#"{"partial":"a"}"#);
    assert_eq!(rig.sent(), pieces(30..32));
    assert_eq!(rig.transcripts().len(), 1, "what is not new is not told");
    assert_eq!(rig.faults(), [""; 0]);
    rig.say(100);
    assert_eq!(rig.faults(), ["dropped"]);
}

#[test]
fn nonsense_is_counted_each_time_and_told_once() {
    let mut rig = Rig::with(Dialect::Vosk);
    rig.connect();
    rig.say(6);
    for text in ["", "{", "[]", "\u{0}", r#"{"text":[]}"#] {
        rig.answer(text);
    }
    rig.session.binary(1_000);
    rig.drain();
    assert_eq!(rig.faults(), ["unreadable"]);
    let counts = rig.session.take_counts();
    assert_eq!((counts.unreadable, counts.binary), (5, 1));
    rig.answer(r#"{"partial":"a"}"#);
    rig.session.binary(7);
    rig.drain();
    assert_eq!(rig.faults(), ["binary"], "it had been well in between");
    rig.sent();
    rig.say(30);
    assert_eq!(rig.sent(), pieces(6..36), "each was an answer: nothing is owed");
}

#[test]
fn a_partial_result_begins_where_no_final_one_has_been() {
    let mut rig = Rig::with(Dialect::Vosk);
    rig.connect();
    rig.say(5);
    for _ in 0..3 {
        rig.answer(r#"{"partial":""}"#);
    }
    rig.answer(&vosk_final("one", 0.1, 0.2));
    rig.answer(r#"{"partial":"two"}"#);
    let heard = rig.transcripts();
    assert_eq!((heard[1].start_ms, heard[1].end_ms), (400, 500));
}

#[test]
fn messages_of_a_service_of_ones_own_are_passed_on() {
    let mut rig = Rig::with(Dialect::Raw);
    rig.connect();
    rig.say(10);
    rig.answer(r#"{"mood":"good"}"#);
    let Some(EventKind::SttMessage { message, .. }) = rig.told.first() else { panic!("one") };
    assert_eq!(message["mood"], "good");
    // Without times: it ends where the audio does.
    rig.answer(r#"{"text":"hello"}"#);
    let heard = &rig.transcripts()[0];
    assert_eq!((heard.start_ms, heard.end_ms), (0, 1_000));
    rig.sent();
    rig.disconnect();
    rig.connect();
    assert_eq!(rig.sent().len(), 1, "a final result acknowledges all that it had heard");
}
