use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::caller::Conversation;
use super::probe::{Arrival, Served};
use super::recording::Recording;
use crate::audio::MediaFormat;
use crate::call::Transport;
use crate::cli::fixture::{FRAME_SAMPLES, RATE, travelled};
use crate::dsp::{Match, find_offset};

/// Where the echo is looked for: up to 2 s behind the speech.
const LAGS: RangeInclusive<isize> = 0..=2 * RATE.hz().cast_signed() as isize;

/// What was measured of one call.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) transport: Transport,
    pub(super) format: MediaFormat,
    pub(super) packets: Packets,
    /// By how much the caller itself missed its deadlines at most: so long the machine stood still.
    pub(super) held_up_ms: f64,
    /// From the caller's send to the frame's arrival at a processor.
    pub(super) uplink_latency: Percentiles,
    /// From the caller's send of a frame to its reception of the packet with the frame's last
    /// sample.
    pub(super) round_trip: Percentiles,
    /// Of the echo that the caller heard with what it had sent.
    pub(super) correlation: f64,
    pub(super) recording: RecordingFigures,
}

/// Packets of one call, as both ends counted them.
#[derive(Debug, Serialize)]
pub(super) struct Packets {
    pub(super) caller_sent: u64,
    pub(super) server_received: u64,
    pub(super) server_sent: u64,
    pub(super) caller_received: u64,
    /// Sent by the one and not received by the other, both ways together.
    pub(super) lost: u64,
    /// Frames that the server was too late to send.
    pub(super) skipped: u64,
    /// Packets that the server dropped, for any reason.
    pub(super) rejected: u64,
}

/// Nearest-rank percentiles.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Percentiles {
    /// How many values there were.
    pub(super) count: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// What lies on disk.
#[derive(Debug, Serialize)]
pub(super) struct RecordingFigures {
    pub(super) path: PathBuf,
    pub(super) complete: bool,
    pub(super) duration_ms: f64,
    /// Length of the call on the server's clock.
    pub(super) call_duration_ms: f64,
    /// From the first packet to the hang-up on the caller's clock.
    pub(super) caller_duration_ms: f64,
    /// Of the left side with what the caller sent.
    pub(super) caller_correlation: f64,
    /// Of the right side with the echo that the caller heard.
    pub(super) echo_correlation: f64,
    /// By how much the right side's speech lies behind that of the left side.
    pub(super) echo_behind_ms: f64,
}

impl Figures {
    /// Puts together what caller, server and disk have to say of one call.
    pub(super) fn new(
        transport: Transport,
        format: MediaFormat,
        speech: &[i16],
        conversation: &Conversation,
        served: &Served,
        recording: Recording,
    ) -> Self {
        let reference = travelled(speech, format);
        let echo = find_offset(&reference, &conversation.echo, LAGS);
        Self {
            transport,
            format,
            packets: Packets::new(conversation, served),
            held_up_ms: millis(conversation.held_up),
            uplink_latency: Percentiles::of(uplink_latencies(conversation, served)),
            round_trip: Percentiles::of(round_trips(conversation, echo.lag)),
            correlation: echo.coefficient,
            recording: RecordingFigures::new(recording, &reference, conversation, served),
        }
    }
}

impl Packets {
    fn new(conversation: &Conversation, served: &Served) -> Self {
        let caller_sent = conversation.sent.len() as u64;
        let caller_received = conversation.heard.len() as u64;
        let server_received = served.stats.packets_received;
        let server_sent = served.stats.packets_sent;
        let lost_up = caller_sent.saturating_sub(server_received).max(served.stats.packets_lost);
        Self {
            caller_sent,
            server_received,
            server_sent,
            caller_received,
            lost: lost_up + server_sent.saturating_sub(caller_received),
            skipped: served.stats.frames_skipped,
            rejected: served.stats.rejected.total(),
        }
    }
}

impl Percentiles {
    /// Of no values at all: zeros.
    fn of(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        let rank = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).map_or(0.0, |&value| millis(value))
        };
        Self { count: values.len(), p50_ms: rank(50), p99_ms: rank(99) }
    }
}

impl RecordingFigures {
    fn new(
        recording: Recording,
        reference: &[i16],
        conversation: &Conversation,
        served: &Served,
    ) -> Self {
        let best = |reference: &[i16], side: &[i16]| find_offset(reference, side, LAGS);
        let Match { lag: caller_lag, coefficient: caller_correlation } =
            best(reference, &recording.caller);
        let echo_lag = best(reference, &recording.bot).lag;
        let samples = recording.caller.len() as u64;
        Self {
            path: recording.path,
            complete: recording.complete,
            duration_ms: millis(RATE.duration_of(samples)),
            call_duration_ms: millis(served.duration),
            caller_duration_ms: millis(conversation.duration),
            caller_correlation,
            echo_correlation: best(&conversation.echo, &recording.bot).coefficient,
            echo_behind_ms: (echo_lag - caller_lag) as f64 * 1_000.0 / f64::from(RATE.hz()),
        }
    }
}

/// Time from the send of each frame to its arrival at the probe, for the frames that arrived at
/// the place where they belong.
fn uplink_latencies(conversation: &Conversation, served: &Served) -> Vec<Duration> {
    let Some(first) = served.arrivals.first() else { return Vec::new() };
    let latency = |arrival: &Arrival| {
        let samples = usize::try_from(arrival.position.0.checked_sub(first.position.0)?).ok()?;
        let frame = (samples % FRAME_SAMPLES == 0).then_some(samples / FRAME_SAMPLES)?;
        arrival.at.checked_duration_since(*conversation.sent.get(frame)?)
    };
    served.arrivals.iter().filter_map(latency).collect()
}

/// Time from the send of each frame to the reception of its last sample, where the speech lies
/// `lag` samples behind the first sample heard.
fn round_trips(conversation: &Conversation, lag: isize) -> Vec<Duration> {
    let heard = &conversation.heard;
    let round_trip = |(frame, sent): (usize, Instant)| {
        let last_sample = ((frame + 1) * FRAME_SAMPLES - 1).checked_add_signed(lag)? as u64;
        let packet = heard.partition_point(|packet| packet.start <= last_sample).checked_sub(1)?;
        let packet = heard.get(packet)?;
        (last_sample < packet.start + packet.samples as u64)
            .then(|| packet.at.checked_duration_since(sent))
            .flatten()
    };
    conversation.sent.iter().copied().enumerate().filter_map(round_trip).collect()
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::Position;
    use crate::cli::demo::caller::Heard;
    use crate::media::CallStats;
    use crate::runtime::Clock;

    const MS: Duration = Duration::from_millis(1);

    /// Figures of a call that went well.
    pub(in crate::cli::demo) fn good() -> Figures {
        Figures {
            transport: Transport::Rtp,
            format: MediaFormat::Ulaw,
            packets: Packets {
                caller_sent: 248,
                server_received: 248,
                server_sent: 273,
                caller_received: 273,
                lost: 0,
                skipped: 0,
                rejected: 0,
            },
            held_up_ms: 1.5,
            uplink_latency: Percentiles { count: 248, p50_ms: 0.2, p99_ms: 2.0 },
            round_trip: Percentiles { count: 248, p50_ms: 45.0, p99_ms: 60.0 },
            correlation: 1.0,
            recording: RecordingFigures {
                path: PathBuf::from("call.wav"),
                complete: true,
                duration_ms: 5_460.0,
                call_duration_ms: 5_455.0,
                caller_duration_ms: 5_450.0,
                caller_correlation: 1.0,
                echo_correlation: 1.0,
                echo_behind_ms: 45.0,
            },
        }
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let percentiles = Percentiles::of((1..=200).rev().map(|n| n * MS).collect());
        assert_eq!(percentiles.count, 200);
        assert_eq!((percentiles.p50_ms, percentiles.p99_ms), (100.0, 198.0));
        let one = Percentiles::of(vec![7 * MS]);
        assert_eq!((one.p50_ms, one.p99_ms), (7.0, 7.0));
        assert_eq!(Percentiles::of(Vec::new()).count, 0);
    }

    #[test]
    fn a_frame_is_matched_with_the_packet_that_brings_its_last_sample_back() {
        let start = Clock::new().now();
        let at = |ms: u32| start + ms * MS;
        let frame = FRAME_SAMPLES as u64;
        let conversation = Conversation {
            sent: vec![at(0), at(20), at(40)],
            held_up: Duration::ZERO,
            // The second packet is missing; the third frame never comes back.
            heard: vec![
                Heard { start: 0, samples: FRAME_SAMPLES, at: at(5) },
                Heard { start: 2 * frame, samples: FRAME_SAMPLES, at: at(45) },
                Heard { start: 3 * frame, samples: FRAME_SAMPLES, at: at(66) },
            ],
            echo: Vec::new(),
            duration: Duration::ZERO,
        };
        let two_frames = 2 * FRAME_SAMPLES.cast_signed();
        assert_eq!(round_trips(&conversation, two_frames), [45 * MS, 46 * MS]);
        assert_eq!(round_trips(&conversation, two_frames + 1), [66 * MS]);
        // Behind the first packet there is a hole.
        assert_eq!(round_trips(&conversation, 0), [5 * MS, 5 * MS]);
    }

    #[test]
    fn a_frame_out_of_place_has_no_latency() {
        let start = Clock::new().now();
        let arrival =
            |samples, ms: u32| Arrival { position: Position(samples), at: start + ms * MS };
        let frame = FRAME_SAMPLES as u64;
        let served = Served {
            call: Clock::new().new_call_id(),
            arrivals: vec![arrival(7, 1), arrival(7 + frame, 23), arrival(8 + 2 * frame, 44)],
            stats: CallStats::default(),
            duration: Duration::ZERO,
        };
        let conversation = Conversation {
            sent: vec![start, start + 20 * MS, start + 40 * MS],
            held_up: Duration::ZERO,
            heard: Vec::new(),
            echo: Vec::new(),
            duration: Duration::ZERO,
        };
        assert_eq!(uplink_latencies(&conversation, &served), [MS, 3 * MS]);
    }
}
