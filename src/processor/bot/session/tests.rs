use super::*;
use crate::audio::{MediaFormat, Position};
use crate::call::{CallId, CallInfo, EndReason, Transport};
use crate::processor::bot::Dialect;
use crate::testing::epoch;

const BOT: SampleRate = SampleRate::HZ_16000;
const CALL: SampleRate = SampleRate::HZ_8000;
const CHUNK: usize = 320;

/// A session in virtual time, whose call and whose bot are the test.
struct Rig {
    session: Session,
    now: Instant,
    connected: bool,
    sent: Vec<Message>,
    orders: Vec<Order>,
    done: bool,
    said: u64,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rig(settings: SessionSettings) -> Rig {
    let format = Some(MediaFormat::Ulaw);
    let id = CallId::new(uuid::Uuid::from_u128(7));
    let call = CallInfo::unannounced(id, Transport::Rtp, format, "robot".into());
    let facts = Facts {
        call,
        rate: BOT,
        chunk: settings.chunk,
        account_sid: settings.account_sid.clone(),
        connection: 0,
    };
    let session = Session::new(settings, "test".into(), facts, CALL, epoch());
    let (sent, orders) = (Vec::new(), Vec::new());
    Rig { session, now: epoch(), connected: false, sent, orders, done: false, said: 0 }
}

impl Rig {
    /// What the session wants, done at once.
    fn settle(&mut self) -> Option<Instant> {
        loop {
            match self.session.poll_output(self.now, self.connected) {
                Output::Send(message) => self.sent.push(message),
                Output::Order(order) => self.orders.push(order),
                Output::Wait(wake) => return wake,
                Output::Done => {
                    self.done = true;
                    return None;
                }
            }
        }
    }

    /// Time passes, and the session is asked whenever it wants to be.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(wake) = self.settle().filter(|wake| *wake <= until) {
            assert!(wake > self.now, "it wants to be asked for ever");
            self.now = wake;
        }
        self.now = until;
        self.settle();
    }

    /// The caller says so many chunks, of samples that are their number.
    fn say(&mut self, chunks: usize) {
        for _ in 0..chunks {
            let mut piece = Piece::with_room(CHUNK);
            piece.restart(Position(self.said));
            piece.samples.resize(CHUNK, i16::try_from(self.said / CHUNK as u64).expect("few"));
            self.said += CHUNK as u64;
            self.session.told(Told::Audio(piece));
        }
    }

    fn connect(&mut self) {
        self.session.connected(self.now);
        self.connected = true;
        self.settle();
    }

    fn lose(&mut self) {
        self.connected = false;
        self.session.disconnected(self.now, "closed", "the peer closed it".to_owned());
        self.settle();
    }

    fn hear(&mut self, message: &Message) {
        self.session.heard(self.now, message);
        self.settle();
    }

    fn hear_text(&mut self, text: &str) {
        self.hear(&Message::Text(text.to_owned()));
    }

    fn hear_audio(&mut self, samples: &[i16]) {
        self.hear(&Message::Binary(samples.iter().flat_map(|s| s.to_le_bytes()).collect()));
    }

    /// The first sample of each message of audio that was sent.
    fn heard_chunks(&self) -> Vec<i16> {
        let audio = self.sent.iter().filter_map(|message| match message {
            Message::Binary(bytes) => Some(i16::from_le_bytes([bytes[0], bytes[1]])),
            Message::Text(_) => None,
        });
        audio.collect()
    }

    fn texts(&self) -> Vec<serde_json::Value> {
        let texts = self.sent.iter().filter_map(|message| match message {
            Message::Text(text) => Some(serde_json::from_str(text).expect("JSON")),
            Message::Binary(_) => None,
        });
        texts.collect()
    }

    fn types(&self) -> Vec<String> {
        self.texts().iter().map(|text| text["type"].as_str().expect("a type").to_owned()).collect()
    }

    fn audio(&self) -> Vec<i16> {
        let audio = self.orders.iter().filter_map(|order| match order {
            Order::Wish(Wish::Audio(samples)) => Some(&samples[..]),
            _ => None,
        });
        audio.flatten().copied().collect()
    }

    /// The orders but for audio, by name.
    fn words(&self) -> Vec<&'static str> {
        let words = self.orders.iter().map(|order| match order {
            Order::Wish(wish) => wish.name(),
            Order::Connected => "connected",
            Order::Lost => "lost",
            Order::Ended => "ended",
            Order::GaveUp => "gave_up",
            Order::Tell(EventKind::BotDegraded { reason, .. }) => reason,
            Order::Tell(_) => "told",
        });
        words.filter(|word| !["audio", "told"].contains(word)).collect()
    }
}

#[test]
fn what_the_caller_said_before_there_was_a_bot_is_sent_once_there_is() {
    let mut rig = rig(SessionSettings::default());
    rig.say(3);
    rig.pass(ms(60));
    assert_eq!(rig.sent, []);
    rig.connect();
    assert_eq!(rig.types(), ["start"]);
    assert_eq!(rig.texts()[0]["media_ms"], 0, "the audio begins with the call");
    assert_eq!(rig.heard_chunks(), [0, 1, 2]);
    assert_eq!(rig.words(), ["connected"]);
    let counts = rig.session.take_counts();
    assert_eq!((counts.sent_samples, counts.dropped_samples), (3 * CHUNK as u64, 0));
    assert_eq!(std::iter::from_fn(|| rig.session.spent()).count(), 3, "pieces come back");
}

#[test]
fn the_oldest_audio_goes_where_there_is_too_much_and_that_is_told_once() {
    let mut rig = rig(SessionSettings { buffer: ms(100), ..SessionSettings::default() });
    rig.say(8);
    rig.settle();
    assert_eq!(rig.words(), ["dropped"]);
    rig.connect();
    assert_eq!(rig.heard_chunks(), [3, 4, 5, 6, 7]);
    assert_eq!(rig.texts()[0]["media_ms"], 60);
    assert_eq!(rig.session.take_counts().dropped_samples, 3 * CHUNK as u64);
    rig.connected = false;
    rig.say(6);
    rig.settle();
    assert_eq!(rig.words(), ["dropped", "connected", "dropped"], "it had been well in between");
}

#[test]
fn a_bot_that_does_not_come_is_given_up_in_time() {
    let mut rig = rig(SessionSettings { give_up: ms(1_000), ..SessionSettings::default() });
    rig.pass(ms(999));
    assert!(rig.words().is_empty() && !rig.done);
    rig.pass(ms(1));
    assert!(rig.done);
    assert_eq!(rig.words(), ["gave_up"]);
    assert_eq!(rig.session.take_counts().fallbacks, 1);
}

#[test]
fn the_time_without_a_bot_counts_anew_each_time_one_is_lost() {
    let mut rig = rig(SessionSettings { give_up: ms(1_000), ..SessionSettings::default() });
    for _ in 0..3 {
        rig.pass(ms(900));
        rig.connect();
        rig.pass(ms(60_000));
        rig.lose();
    }
    rig.pass(ms(400));
    rig.session.disconnected(rig.now, "unreachable", String::new());
    rig.pass(ms(599));
    assert!(!rig.done);
    rig.pass(ms(1));
    assert!(rig.done);
    // A fault is told once until a bot is heard of again.
    let expected =
        ["connected", "lost", "closed", "connected", "lost", "connected", "lost", "gave_up"];
    assert_eq!(rig.words(), expected);
}

#[test]
fn a_bot_that_closes_in_good_order_has_ended_the_talk() {
    let mut rig = rig(SessionSettings::default());
    rig.connect();
    rig.session.ended();
    rig.settle();
    assert!(rig.done);
    assert_eq!(rig.words(), ["connected", "ended"]);
}

#[test]
fn at_the_end_of_the_call_the_bot_is_told_all_that_is_left() {
    let mut rig = rig(SessionSettings::default());
    rig.connect();
    rig.connected = false;
    rig.say(2);
    let notice = Notice::Stop { reason: EndReason::CallerGone };
    rig.session.told(Told::Notice { media_ms: 40, notice });
    rig.session.finish(rig.now);
    rig.settle();
    assert!(!rig.done, "the link is busy");
    rig.connected = true;
    rig.settle();
    assert!(rig.done);
    assert_eq!(rig.heard_chunks(), [0, 1]);
    assert_eq!(rig.types(), ["start", "stop"]);
}

#[test]
fn a_call_that_is_over_is_not_done_before_its_last_message_has_left() {
    let mut rig = rig(SessionSettings::default());
    rig.connect();
    let notice = Notice::Stop { reason: EndReason::CallerGone };
    rig.session.told(Told::Notice { media_ms: 40, notice });
    rig.session.finish(rig.now);
    assert!(matches!(rig.session.poll_output(rig.now, true), Output::Send(_)));
    assert!(matches!(rig.session.poll_output(rig.now, false), Output::Wait(Some(_))));
    assert!(matches!(rig.session.poll_output(rig.now, true), Output::Done));
}

#[test]
fn a_bot_that_does_not_read_cannot_keep_a_call_that_is_over() {
    let mut rig = rig(SessionSettings::default());
    rig.connect();
    rig.connected = false;
    rig.say(2);
    rig.session.finish(rig.now);
    rig.pass(FINISH - ms(1));
    assert!(!rig.done);
    rig.pass(ms(1));
    assert!(rig.done);
}

#[test]
fn a_call_without_a_bot_ends_at_once_and_without_a_fallback() {
    let mut rig = rig(SessionSettings::default());
    rig.session.finish(rig.now);
    rig.settle();
    assert!(rig.done && rig.orders.is_empty());
}

#[test]
fn the_bots_audio_comes_at_the_calls_rate_to_its_very_end() {
    // A step that only the last sample makes: without what is in the resampler it is not heard.
    for chunk in [1, 7, 320, 16_000] {
        let mut rig = rig(SessionSettings::default());
        rig.connect();
        let mut said = vec![0; 16_000];
        said[15_999] = 16_000;
        for piece in said.chunks(chunk) {
            rig.hear_audio(piece);
        }
        let before = rig.audio();
        assert_eq!(before.len(), 8_000, "chunks of {chunk}");
        assert!(before[7_990..].iter().all(|sample| sample.abs() < 100));
        // It waits for as long as what came plays, and more could come in time.
        rig.pass(ms(1_000) - PAUSES - ms(1));
        assert_eq!(rig.audio().len(), 8_000);
        rig.pass(PAUSES);
        let tail = rig.audio().split_off(8_000);
        let peak = tail.iter().map(|sample| sample.abs()).max();
        assert!(peak > Some(5_000), "chunks of {chunk}: {peak:?}");
        assert!(tail.len() < 80, "no more than its delay");
        rig.pass(ms(5_000));
        assert_eq!(rig.audio().len(), 8_000 + tail.len());
    }
}

#[test]
fn what_is_cleared_leaves_nothing_in_the_resampler() {
    let mut rig = rig(SessionSettings::default());
    rig.connect();
    rig.hear_audio(&[16_000; 320]);
    rig.hear_text("{\"type\":\"clear\"}");
    rig.orders.clear();
    rig.hear_audio(&[0; 320]);
    rig.pass(ms(1_000));
    assert!(rig.audio().iter().all(|sample| *sample == 0));
}

#[test]
fn what_makes_no_sense_is_counted_each_time_and_told_once_until_it_is_over() {
    let mut rig = rig(SessionSettings::default());
    rig.connect();
    for _ in 0..3 {
        rig.hear_text("{");
    }
    rig.hear_text("{\"type\":\"pause\"}");
    rig.hear_text("{\"type\":\"dance\"}");
    assert_eq!(rig.words(), ["connected", "unreadable", "pause", "unreadable"]);
    assert_eq!(rig.types(), ["start", "error", "error"]);
    assert_eq!(rig.session.take_counts().unreadable, 4);
}

#[test]
fn what_became_of_another_connections_audio_is_not_told_to_the_next_one() {
    let mut rig = rig(SessionSettings::default());
    let mark = |played| Notice::Mark { name: "a".to_owned(), played };
    let tell = |rig: &mut Rig, notice| rig.session.told(Told::Notice { media_ms: 1, notice });
    tell(&mut rig, mark(true));
    rig.connect();
    tell(&mut rig, mark(true));
    rig.settle();
    rig.connected = false;
    tell(&mut rig, mark(false));
    tell(&mut rig, Notice::Dtmf { digit: '5', duration_ms: None });
    rig.lose();
    tell(&mut rig, mark(false));
    rig.connect();
    assert_eq!(rig.types(), ["start", "mark", "start", "dtmf"]);
}

#[test]
fn figures_come_as_often_as_they_are_wanted() {
    let stats_every = ms(1_000);
    let mut rig = rig(SessionSettings { stats_every, ..SessionSettings::default() });
    rig.connect();
    rig.say(50);
    rig.hear_audio(&[1; 1_600]);
    rig.session.set_queued(400);
    rig.pass(ms(2_500));
    assert_eq!(rig.types(), ["start", "stats", "stats"]);
    let told = &rig.texts()[1];
    let figures = ["sent_ms", "dropped_ms", "received_ms", "queued_ms"].map(|key| &told[key]);
    assert_eq!(figures, [1_000, 0, 100, 50].map(serde_json::Value::from).each_ref());
}

#[test]
fn a_twilio_bot_gets_a_stream_of_its_own_with_each_connection() {
    let settings = SessionSettings { dialect: Dialect::Twilio, ..SessionSettings::default() };
    let mut rig = rig(settings);
    rig.connect();
    rig.lose();
    rig.connect();
    let starts = rig.texts().into_iter().filter(|text| text["event"] == "start");
    let streams: Vec<_> = starts.map(|start| start["streamSid"].clone()).collect();
    assert!(streams.len() == 2 && streams[0] != streams[1], "{streams:?}");
}
