use std::io::{self, Write};

use serde::Serialize;

use super::driver::Outcome;
use super::plan::Plan;
use super::process::Usage;
use super::tally::{Calls, Times};
use super::verifier::Echo;

/// What a run has found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    transport: &'static str,
    target: String,
    /// Calls at once.
    calls: u32,
    /// How long was measured.
    seconds: f64,
    setup: SetUp,
    packets: PacketFigures,
    echo: EchoFigures,
    round_trip_ms: Option<Quantiles>,
    interarrival_ms: Option<Quantiles>,
    generator: Generator,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bare: Option<Box<BareFigures>>,
    /// What is not as it must be, a sentence each.
    faults: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SetUp {
    calls: u64,
    failed: u64,
    per_second: f64,
    took_ms: Option<Quantiles>,
}

/// Of the time that was measured.
#[derive(Debug, Serialize)]
struct PacketFigures {
    sent: u64,
    unsent: u64,
    withheld: u64,
    received: u64,
    lost: u64,
    reordered: u64,
    duplicate: u64,
    late: u64,
    timestamp_jumps: u64,
    restarts: u64,
    foreign: u64,
    overruns: u64,
}

/// Of the whole run.
#[derive(Debug, Serialize)]
struct EchoFigures {
    calls: u64,
    calls_without: u64,
    calls_faulty: u64,
    frames_right: u64,
    samples_wrong: u64,
    samples_missing: u64,
    samples_repeated: u64,
    samples_silent: u64,
    samples_before: u64,
}

/// Quantiles of a time.
#[derive(Clone, Copy, Debug, Serialize)]
struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Generator {
    cpu_seconds: f64,
    send_lateness_ms: Option<Quantiles>,
}

/// What a server took.
#[derive(Debug, Serialize)]
struct ServerFigures {
    pid: u32,
    cpu_seconds: f64,
    cpu_us_per_packet: f64,
    cores: f64,
    calls_per_core: f64,
    resident_bytes: u64,
    resident_bytes_before: u64,
    resident_bytes_per_call: f64,
}

/// What the bare loop took, and what was seen of it.
#[derive(Debug, Serialize)]
struct BareFigures {
    #[serde(flatten)]
    server: ServerFigures,
    packets: PacketFigures,
    echo: EchoFigures,
    round_trip_ms: Option<Quantiles>,
}

impl Quantiles {
    /// Of times, if there are any.
    fn of(times: &Times) -> Option<Self> {
        let of = |share| times.quantile_ms(share);
        let (p50, p90, p99, p999, max) = (of(0.5)?, of(0.9)?, of(0.99)?, of(0.999)?, of(1.0)?);
        Some(Self { p50, p90, p99, p999, max })
    }
}

impl PacketFigures {
    fn new(outcome: &Outcome) -> Self {
        let (packets, order) = (&outcome.packets, &outcome.packets.order);
        Self {
            sent: packets.sent,
            unsent: packets.unsent,
            withheld: packets.withheld,
            received: packets.received,
            lost: order.lost,
            reordered: order.reordered,
            duplicate: order.duplicate,
            late: packets.late,
            timestamp_jumps: order.timestamp_jumps,
            restarts: order.restarts,
            foreign: packets.foreign,
            overruns: outcome.overruns,
        }
    }
}

impl EchoFigures {
    fn new(outcome: &Outcome) -> Self {
        let Calls { ended, without_echo, faulty, .. } = outcome.tally.calls;
        let echo = &outcome.tally.echo;
        Self {
            calls: ended,
            calls_without: without_echo,
            calls_faulty: faulty,
            frames_right: echo.frames_right,
            samples_wrong: echo.samples_wrong,
            samples_missing: echo.samples_missing,
            samples_repeated: echo.samples_repeated,
            samples_silent: echo.samples_silent,
            samples_before: echo.samples_before,
        }
    }
}

impl ServerFigures {
    fn new(usage: &Usage, plan: &Plan, outcome: &Outcome) -> Self {
        let cpu_seconds = usage.cpu().as_secs_f64();
        let cores = cpu_seconds / outcome.measured.as_secs_f64();
        let calls = f64::from(plan.calls);
        let [before, resident] = usage.resident_bytes();
        Self {
            pid: usage.process.pid,
            cpu_seconds,
            cpu_us_per_packet: ratio(1e6 * cpu_seconds, outcome.packets.received as f64),
            cores,
            calls_per_core: ratio(calls, cores),
            resident_bytes: resident,
            resident_bytes_before: before,
            resident_bytes_per_call: (resident as f64 - before as f64) / calls,
        }
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl Report {
    /// The report of a run against `target`, after one against a bare loop, if there was one; it may
    /// be the same one.
    pub(super) fn new(
        transport: &'static str,
        target: String,
        plan: &Plan,
        outcome: &Outcome,
        bare: Option<&Outcome>,
    ) -> Self {
        let tally = &outcome.tally;
        let is_bare = bare.is_some_and(|bare| std::ptr::eq(bare, outcome));
        let server = outcome.server.as_ref().filter(|_| !is_bare);
        Self {
            transport,
            target,
            calls: plan.calls,
            seconds: outcome.measured.as_secs_f64(),
            setup: SetUp {
                calls: tally.calls.begun,
                failed: tally.calls.failed,
                per_second: ratio(f64::from(plan.calls), outcome.set_up.as_secs_f64()),
                took_ms: Quantiles::of(&tally.set_up),
            },
            packets: PacketFigures::new(outcome),
            echo: EchoFigures::new(outcome),
            round_trip_ms: Quantiles::of(&tally.round_trip),
            interarrival_ms: Quantiles::of(&tally.interarrival),
            generator: Generator {
                cpu_seconds: outcome.own.cpu().as_secs_f64(),
                send_lateness_ms: Quantiles::of(&tally.lateness),
            },
            server: server.map(|usage| ServerFigures::new(usage, plan, outcome)),
            bare: bare.and_then(|bare| BareFigures::new(plan, bare)).map(Box::new),
            faults: faults(plan, outcome),
        }
    }

    /// What is not as it must be, a sentence each.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Writes the report as one JSON object.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes the report for people.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { packets, echo, generator, .. } = self;
        writeln!(
            out,
            "{} calls over {} to {}, measured for {:.1} s\n",
            self.calls, self.transport, self.target, self.seconds
        )?;
        let mut row = |name: &str, figures: String| writeln!(out, "  {name:<16}  {figures}");
        row("calls", self.setup.text())?;
        if self.setup.took_ms.is_some() {
            row("set up within", times(self.setup.took_ms.as_ref()))?;
        }
        row("packets", packets.text())?;
        row("echo", echo.text())?;
        row("round trip", times(self.round_trip_ms.as_ref()))?;
        let off = if self.interarrival_ms.is_some() { " off 20 ms" } else { "" };
        row("interarrival", times(self.interarrival_ms.as_ref()) + off)?;
        row("sent late by", times(generator.send_lateness_ms.as_ref()))?;
        let cores = generator.cpu_seconds / self.seconds;
        row("load generator", format!("{cores:.3} cores"))?;
        if let Some(server) = &self.server {
            row("server", server.text())?;
            row("server's memory", server.memory())?;
        }
        if let Some(bare) = &self.bare {
            row("bare loop", bare.server.text())?;
            row("", format!("round trip {}", times(bare.round_trip_ms.as_ref())))?;
            let per_packet = bare.server.cpu_us_per_packet;
            if let Some(server) = &self.server
                && per_packet > 0.0
            {
                let times = server.cpu_us_per_packet / per_packet;
                row("server / bare", format!("{times:.2} times the processor time per packet"))?;
            }
        }
        writeln!(out)?;
        if self.faults.is_empty() {
            return writeln!(out, "No fault.");
        }
        self.faults.iter().try_for_each(|fault| writeln!(out, "FAULT  {fault}"))
    }
}

impl BareFigures {
    fn new(plan: &Plan, outcome: &Outcome) -> Option<Self> {
        Some(Self {
            server: ServerFigures::new(outcome.server.as_ref()?, plan, outcome),
            packets: PacketFigures::new(outcome),
            echo: EchoFigures::new(outcome),
            round_trip_ms: Quantiles::of(&outcome.tally.round_trip),
        })
    }
}

impl SetUp {
    fn text(&self) -> String {
        let Self { calls, failed, per_second, .. } = self;
        format!("{calls} set up, the first at {per_second:.0}/s, {failed} failed")
    }
}

impl PacketFigures {
    fn text(&self) -> String {
        let named = [
            (self.unsent, "not taken by the kernel"),
            (self.withheld, "withheld"),
            (self.reordered, "reordered"),
            (self.duplicate, "duplicate"),
            (self.late, "late"),
            (self.timestamp_jumps, "timestamp jumps"),
            (self.restarts, "restarts"),
            (self.foreign, "not audio"),
            (self.overruns, "dropped before this process read them"),
        ];
        let named = named.into_iter().filter(|(count, _)| *count > 0);
        let rest: String = named.map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{} sent, {} came back, {} lost{rest}", self.sent, self.received, self.lost)
    }
}

impl EchoFigures {
    fn text(&self) -> String {
        let before = match self.samples_before {
            0 => String::new(),
            count => format!(" {count} before the way was open,"),
        };
        format!(
            "{} frames right; {} samples wrong, {} missing, {} repeated, {} silent;{before} {} of \
             {} calls without",
            self.frames_right,
            self.samples_wrong,
            self.samples_missing,
            self.samples_repeated,
            self.samples_silent,
            self.calls_without,
            self.calls
        )
    }
}

/// Times for people; a dash where there are none.
fn times(quantiles: Option<&Quantiles>) -> String {
    let Some(Quantiles { p50, p90, p99, p999, max }) = quantiles else { return "—".to_owned() };
    format!("p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2} ms")
}

impl ServerFigures {
    fn text(&self) -> String {
        let Self { cpu_us_per_packet, cores, calls_per_core, .. } = self;
        format!(
            "{cores:.3} cores, {cpu_us_per_packet:.2} µs per packet, {calls_per_core:.0} calls per \
             core"
        )
    }

    fn memory(&self) -> String {
        const MIB: f64 = 1_048_576.0;
        format!(
            "{:.1} MiB, {:.1} before, {:.1} KiB per call",
            self.resident_bytes as f64 / MIB,
            self.resident_bytes_before as f64 / MIB,
            self.resident_bytes_per_call / 1_024.0
        )
    }
}

/// What is not as it must be. Where packets were impaired on purpose, an echo cannot be whole.
fn faults(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let Outcome { tally, .. } = outcome;
    let Calls { failed, without_echo, .. } = tally.calls;
    let (packets, order) = (&tally.packets, &tally.packets.order);
    let Echo { samples_wrong, samples_missing, samples_repeated, .. } = tally.echo;
    let impaired = !plan.impairment.is_none();
    let of_echo = |count: u64| if impaired { 0 } else { count };
    let of_timing = |count: u64| if plan.relayed { 0 } else { of_echo(count) };
    let counts = [
        (failed, "calls failed"),
        (without_echo, "calls heard no echo"),
        (packets.unsent, "packets were not taken by the kernel"),
        (packets.foreign, "answers were no audio of the calls' format"),
        (order.lost, "answers were lost"),
        (order.duplicate, "answers came twice"),
        (order.restarts, "times an answer began another stream"),
        (of_timing(order.timestamp_jumps), "timestamps did not fit to the sequence numbers"),
        (of_echo(samples_wrong), "samples were not the caller's"),
        (of_echo(samples_missing), "samples never came back"),
        (of_echo(samples_repeated), "samples came back more than once"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, what)| format!("{count} {what}")).collect()
}
