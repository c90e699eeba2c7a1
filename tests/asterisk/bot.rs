//! Bots that know nothing of us talk with a caller: what he hears, and what they are told.

use std::time::{Duration, Instant};

use sidetone::dsp::{Match, find_offset, g711};

use crate::asterisk::Asterisk;
use crate::bots::Bot;
use crate::server::Sidetone;
use crate::steady::{steady_alone, unsteady};
use crate::support::{SOON, pair, speech};
use crate::telephone::{FRAME, Frame, Line, Telephone, duration, last_heard, wall_seconds};

/// Both transports, as arguments of a call.
const LEGS: [&str; 2] = ["media=rtp,format=ulaw", "media=audiosocket,format=slin"];

/// Peak from which on something is heard, and from which on the caller speaks.
const AUDIBLE: u16 = 300;

/// The fixture's phrases: places of their first and last samples.
const PHRASES: [(usize, usize); 3] = [(0, 11_520), (13_709, 26_189), (28_111, 39_672)];

/// An Asterisk and a server with the pipeline `robot`, which has `bot` at its end.
fn robot(bot: &Bot, keys: &str) -> Option<(Asterisk, Sidetone)> {
    let url = &bot.url;
    let config = format!(
        "[bot.test]\ndialect = \"twilio\"\nurl = {url:?}\nbarge_in = \"notify\"\n{keys}\n\
         [pipelines.robot]\nprocessors = [\"recorder\", \"bot\"]"
    );
    pair(&config, "")
}

/// A phrase as it is after µ-law.
fn phrase(n: usize) -> Vec<i16> {
    let (first, last) = PHRASES[n];
    through_ulaw(&speech(8000)[first..last])
}

fn through_ulaw(samples: &[i16]) -> Vec<i16> {
    let mut coded = vec![0; samples.len()];
    let mut decoded = vec![0; samples.len()];
    g711::ulaw_encode(samples, &mut coded);
    g711::ulaw_decode(&coded, &mut decoded);
    decoded
}

/// Whether something was heard, and nothing for `pause` since.
fn is_silent_for(heard: &[Frame], pause: Duration) -> bool {
    let now = heard.last().map(|frame| frame.at);
    now.zip(last_heard(heard, AUDIBLE))
        .is_some_and(|(now, last)| now.saturating_duration_since(last) > pause)
}

/// Where `prompt` lies in `heard`, and how like it the worst of its pieces of 100 ms is, each within
/// `slack` of its place: a bot that sends in real time leaves gaps where it is late.
fn found(prompt: &[i16], heard: &[i16], slack: usize) -> (usize, f64) {
    const PIECE: usize = 800;
    let Match { lag, .. } = find_offset(&prompt[..2 * PIECE], heard, 0..=heard.len().cast_signed());
    let start = lag.cast_unsigned();
    let pieces = prompt.chunks_exact(PIECE).enumerate();
    let like = pieces.map(|(n, piece)| {
        let at = start + n * PIECE;
        let window = &heard[at.min(heard.len())..(at + PIECE + slack).min(heard.len())];
        if piece.iter().all(|sample| sample.unsigned_abs() < AUDIBLE) || window.len() < PIECE {
            return if window.len() < PIECE { 0.0 } else { 1.0 };
        }
        find_offset(piece, window, 0..=slack.cast_signed()).coefficient
    });
    (start, like.fold(1.0, f64::min))
}

#[test]
fn a_pipecat_bot_greets_the_caller_and_answers_him_with_his_own_words() {
    for leg in LEGS {
        steady_alone(|| {
            let greeting = phrase(0);
            let Some(bot) = Bot::pipecat(&greeting) else { return };
            let Some((asterisk, sidetone)) = robot(&bot, "") else { return };
            let phone = Telephone::dial(&asterisk, &format!("robot,{leg}"));
            let greeted = |heard: &[Frame]| is_silent_for(heard, Duration::from_millis(300));
            assert!(phone.wait_until(SOON, greeted), "{leg}: no greeting\n{}", sidetone.log());
            let said = phrase(1);
            let before = phone.line().heard.len();
            phone.say(&said);
            let answered =
                |heard: &[Frame]| is_silent_for(&heard[before..], Duration::from_millis(600));
            assert!(phone.wait_until(SOON, answered), "{leg}: no answer\n{}", sidetone.log());
            let line = phone.hang_up(&asterisk);
            let heard = line.heard_samples();
            let (at, like) = found(&greeting, &heard, 1600);
            println!("{leg}: the greeting lies at {} ms, its worst piece is {like:.4}", at / 8);
            if like < 0.95 {
                unsteady(&format!("{leg}: the greeting is {like:.4}"));
            }
            let (back, like) = found(&said, &heard[before * FRAME..], 1600);
            println!("{leg}: the answer came {} ms later, its worst piece is {like:.4}", back / 8);
            if like < 0.95 {
                unsteady(&format!("{leg}: the answer is {like:.4}"));
            }
            asterisk.wait_until_idle(SOON);
            sidetone.wait_until_idle(SOON);
        });
    }
}

/// A caller who speaks over the bot, by Pipecat's own detector: it sends `clear`.
#[test]
fn who_speaks_over_a_pipecat_bot_hears_it_fall_silent() {
    for leg in LEGS {
        steady_alone(|| {
            let greeting = through_ulaw(&speech(8000));
            let Some(bot) = Bot::pipecat(&greeting) else { return };
            let Some((asterisk, sidetone)) = robot(&bot, "") else { return };
            let phone = Telephone::dial(&asterisk, &format!("robot,{leg}"));
            let listens = |heard: &[Frame]| heard_for(heard) > Duration::from_millis(600);
            assert!(phone.wait_until(SOON, listens), "{leg}: no greeting\n{}", sidetone.log());
            let said = phrase(2);
            phone.say(&said);
            let is_silent = |heard: &[Frame]| is_silent_for(heard, Duration::from_millis(500));
            assert!(phone.wait_until(SOON, is_silent), "{leg}: it goes on\n{}", sidetone.log());
            let line = phone.line();
            let spoke = line.first_said(AUDIBLE).expect("he spoke");
            let fell = line.last_heard(AUDIBLE).expect("it was heard") - spoke;
            println!("{leg}: silent {fell:?} after the caller began to speak");
            // Its detector wants 200 ms of speech.
            assert!((150..800).contains(&fell.as_millis()), "{leg}: silent after {fell:?}");
            // The rest of the greeting is gone: what comes next is what he said.
            let before = line.heard.len();
            let answered =
                |heard: &[Frame]| is_silent_for(&heard[before..], Duration::from_millis(600));
            assert!(phone.wait_until(SOON, answered), "{leg}: no answer\n{}", sidetone.log());
            let heard = phone.hang_up(&asterisk).heard_samples();
            let (_, like) = found(&said, &heard[before * FRAME..], 1600);
            if like < 0.95 {
                unsteady(&format!("{leg}: the answer is {like:.4}"));
            }
            asterisk.wait_until_idle(SOON);
            sidetone.wait_until_idle(SOON);
        });
    }
}

/// How much of what was heard is audible.
fn heard_for(heard: &[Frame]) -> Duration {
    let is_audible = |frame: &&Frame| frame.samples.iter().any(|s| s.unsigned_abs() >= AUDIBLE);
    duration(FRAME * heard.iter().filter(is_audible).count())
}

/// How much later a mark may come than the sample before it was heard: the packet with that sample
/// may hold up to 20 ms more, and a message takes its time on a busy machine.
const MARK_LATE_S: f64 = 0.1;

/// What is heard after a `clear`: two frames, and as much for a busy machine.
const CLEAR_S: f64 = 0.04 + 0.02;

/// Clocks of two processes, and Asterisk on the way.
const SOONER_S: f64 = 0.005;

#[test]
fn marks_come_when_the_caller_has_heard_what_is_before_them_and_clear_leaves_two_frames() {
    for leg in LEGS {
        steady_alone(|| {
            let Some(bot) = Bot::mark() else { return };
            let Some((asterisk, sidetone)) = robot(&bot, "") else { return };
            let phone = Telephone::dial(&asterisk, &format!("robot,{leg}"));
            // The first tone lasts for 1.5 s, the second one begins 300 ms later.
            let listens = |heard: &[Frame]| heard_for(heard) > Duration::from_millis(2500);
            assert!(phone.wait_until(SOON, listens), "{leg}: no tones\n{}", sidetone.log());
            phone.say(&phrase(1));
            let is_silent = |heard: &[Frame]| is_silent_for(heard, Duration::from_secs(1));
            assert!(phone.wait_until(SOON, is_silent), "{leg}: it goes on\n{}", sidetone.log());
            let line = phone.hang_up(&asterisk);
            bot.wait_for("closed", SOON);
            let told = bot.told();
            let of =
                |event: &str| told.iter().filter(|it| it["event"] == event).collect::<Vec<_>>();
            let (marks, clears) = (of("mark"), of("clear"));
            let ([first, second], [clear]) = (&marks[..], &clears[..]) else {
                panic!("{leg}: {told:#?}");
            };
            assert_eq!([&first["name"], &second["name"]], ["first", "second"], "{leg}: {told:#?}");
            let [first_s, second_s, clear_s] =
                [first, second, clear].map(|it| it["at"].as_f64().expect("a time"));

            let (first_ended, second_ended) = tones_ended(&line);
            let mark_s = first_s - wall_seconds(first_ended);
            let silent_s = wall_seconds(second_ended) - clear_s;
            println!(
                "{leg}: the mark came {:.1} ms after the last sample before it, silent {:.1} ms after \
                 clear, the other mark {:.1} ms after it",
                mark_s * 1e3,
                silent_s * 1e3,
                (second_s - clear_s) * 1e3
            );
            // The whole packet with the last sample is sent before the mark; it ends up to 20 ms later.
            let earliest = -duration(FRAME).as_secs_f64() - SOONER_S;
            assert!((earliest..MARK_LATE_S).contains(&mark_s), "{leg}: {mark_s} s");
            assert!((-SOONER_S..CLEAR_S).contains(&silent_s), "{leg}: {silent_s} s");
            assert!((0.0..MARK_LATE_S).contains(&(second_s - clear_s)), "{leg}: {told:#?}");
            let events: Vec<_> = told.iter().map(|it| it["event"].as_str().unwrap()).collect();
            let expected = ["connected", "start", "mark", "clear", "mark", "stop", "closed"];
            assert_eq!(events, expected, "{leg}: {told:#?}");
            check_start(&told[1]["start"], leg);
            asterisk.wait_until_idle(SOON);
            sidetone.wait_until_idle(SOON);
        });
    }
}

/// When the last samples of both tones had been heard: a pause lies between them.
fn tones_ended(line: &Line) -> (Instant, Instant) {
    let tone =
        line.heard.iter().position(|frame| heard_for(std::slice::from_ref(frame)) > Duration::ZERO);
    let rest = &line.heard[tone.expect("a tone was heard")..];
    let pause = rest.windows(5).position(|frames| heard_for(frames) == Duration::ZERO);
    let first = last_heard(&rest[..pause.expect("there is a pause")], AUDIBLE);
    (first.expect("a tone"), line.last_heard(AUDIBLE).expect("a tone"))
}

fn check_start(start: &serde_json::Value, leg: &str) {
    assert_eq!(start["tracks"], serde_json::json!(["inbound"]), "{leg}: {start:#}");
    let format =
        serde_json::json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
    assert_eq!(start["mediaFormat"], format, "{leg}: {start:#}");
    for (key, letters) in [("streamSid", "MZ"), ("callSid", "CA"), ("accountSid", "AC")] {
        let sid = start[key].as_str().unwrap_or_default();
        assert!(sid.starts_with(letters), "{leg}: {key} in {start:#}");
    }
}
