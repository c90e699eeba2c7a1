use serde::Serialize;

use super::figures::Figures;
use crate::audio::Ptime;

/// What the figures must keep to. Generous in time: the machine may be busy building.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    /// Packets lost, either way.
    pub(super) lost: u64,
    /// Correlations must be higher than this.
    pub(super) correlation: f64,
    /// Uplink latency must stay below.
    pub(super) uplink_p99_ms: f64,
    /// Round trip must stay below.
    pub(super) round_trip_p99_ms: f64,
    /// How far the caller's and the server's clocks may disagree on the length of the call.
    pub(super) duration_tolerance_ms: f64,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        lost: 0,
        correlation: 0.99,
        uplink_p99_ms: 100.0,
        round_trip_p99_ms: 300.0,
        duration_tolerance_ms: 500.0,
    };

    /// A line per figure that breaks a limit: what was expected, and what was found.
    pub(super) fn failures(&self, figures: &Figures) -> Vec<String> {
        let mut failures = Failures { transport: figures.transport.label(), lines: Vec::new() };
        let Figures { packets, uplink_latency, round_trip, recording, .. } = figures;
        let frames = packets.caller_sent;

        failures.expect_count("packets that the server received", frames, packets.server_received);
        failures.expect_count(
            "packets that the caller received",
            packets.server_sent,
            packets.caller_received,
        );
        failures.expect_count("packets lost", self.lost, packets.lost);
        failures.expect_count("packets rejected by the server", 0, packets.rejected);
        failures.expect_count(
            "frames that reached a processor",
            frames,
            uplink_latency.count as u64,
        );
        failures.expect_below("uplink latency p99", self.uplink_p99_ms, uplink_latency.p99_ms);
        failures.expect_count("frames that came back", frames, round_trip.count as u64);
        failures.expect_below("round trip p99", self.round_trip_p99_ms, round_trip.p99_ms);
        failures.expect_above("correlation of the echo", self.correlation, figures.correlation);

        failures.expect(recording.complete, "recording: expected complete, found incomplete");
        let frame_ms = Ptime::MS_20.duration().as_secs_f64() * 1_000.0;
        let (length, call, caller) =
            (recording.duration_ms, recording.call_duration_ms, recording.caller_duration_ms);
        // The last frame sent may reach beyond the end of its call; half a sample is rounding.
        failures.expect(
            (-0.1..=frame_ms + 0.1).contains(&(length - call)),
            &format!("length of the recording: expected {call:.1} ms as the call, and at most a frame of {frame_ms:.0} ms more, found {length:.1} ms"),
        );
        failures.expect(
            (length - caller).abs() <= self.duration_tolerance_ms,
            &format!(
                "length of the recording: expected {caller:.1} ms as on the caller's clock, give or take {:.0} ms, found {length:.1} ms",
                self.duration_tolerance_ms
            ),
        );
        failures.expect_above(
            "correlation of the recording's left side",
            self.correlation,
            recording.caller_correlation,
        );
        failures.expect_above(
            "correlation of the recording's right side",
            self.correlation,
            recording.echo_correlation,
        );
        failures.expect(
            (0.0..self.round_trip_p99_ms).contains(&recording.echo_behind_ms),
            &format!(
                "the recording's right side: expected 0 to {:.0} ms behind the left, found {:.1} ms",
                self.round_trip_p99_ms, recording.echo_behind_ms
            ),
        );
        failures.lines
    }
}

struct Failures {
    transport: &'static str,
    lines: Vec<String>,
}

impl Failures {
    fn expect(&mut self, kept: bool, line: &str) {
        if !kept {
            self.lines.push(format!("{}: {line}", self.transport));
        }
    }

    fn expect_count(&mut self, what: &str, expected: u64, actual: u64) {
        self.expect(expected == actual, &format!("{what}: expected {expected}, found {actual}"));
    }

    fn expect_below(&mut self, what: &str, limit: f64, actual: f64) {
        let line = format!("{what}: expected below {limit} ms, found {actual:.1} ms");
        self.expect(actual < limit, &line);
    }

    fn expect_above(&mut self, what: &str, limit: f64, actual: f64) {
        self.expect(actual > limit, &format!("{what}: expected above {limit}, found {actual:.4}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::figures::tests::good;

    #[test]
    fn good_figures_break_no_limit() {
        assert_eq!(Limits::DEFAULT.failures(&good()), Vec::<String>::new());
    }

    #[test]
    fn each_figure_that_is_off_is_told_with_what_was_expected_and_found() {
        type Spoil = fn(&mut Figures);
        let cases: [(&str, Spoil); 13] = [
            ("server received: expected 248, found 249", |f| f.packets.server_received = 249),
            ("caller received: expected 273, found 270", |f| f.packets.caller_received = 270),
            ("packets lost: expected 0, found 1", |f| f.packets.lost = 1),
            ("rejected by the server: expected 0, found 2", |f| f.packets.rejected = 2),
            ("reached a processor: expected 248, found 3", |f| f.uplink_latency.count = 3),
            ("uplink latency p99: expected below 100", |f| f.uplink_latency.p99_ms = 100.0),
            ("came back: expected 248, found 0", |f| f.round_trip.count = 0),
            ("round trip p99: expected below 300", |f| f.round_trip.p99_ms = 300.5),
            ("of the echo: expected above 0.99, found NaN", |f| f.correlation = f64::NAN),
            ("expected complete", |f| f.recording.complete = false),
            ("as the call", |f| f.recording.call_duration_ms = 5_461.0),
            ("left side", |f| f.recording.caller_correlation = 0.5),
            ("behind the left, found -1.0 ms", |f| f.recording.echo_behind_ms = -1.0),
        ];
        for (told, spoil) in cases {
            let mut figures = good();
            spoil(&mut figures);
            let failures = Limits::DEFAULT.failures(&figures);
            let [failure] = &*failures else { panic!("{told}: {failures:?}") };
            assert!(failure.starts_with("rtp: ") && failure.contains(told), "{told}: {failure}");
        }
    }

    #[test]
    fn a_recording_that_both_ends_of_the_call_contradict_fails_twice() {
        let mut figures = good();
        figures.recording.duration_ms = 1_000.0;
        assert_eq!(Limits::DEFAULT.failures(&figures).len(), 2);
    }
}
