use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::audio::{AudioFrame, Origin, Position};
use crate::call::{CallId, CallInfo, Transport};
use crate::media::CallStats;
use crate::processor::{Context, End, Processor, ProcessorFactory, Setup};
use crate::runtime::Clock;

/// Frames that are noted without allocating: 20 s of them.
const NOTED_FRAMES: usize = 1_000;

/// When a frame of the caller's audio reached the probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) position: Position,
    pub(super) at: Instant,
}

/// A call as the server saw it, told at its end.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) call: CallId,
    /// Frames that were received, in order; those made up are left out.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) stats: CallStats,
    pub(super) duration: Duration,
}

/// Makes probes: processors that note when each frame came, and change nothing.
pub(super) struct ProbeFactory {
    clock: Clock,
    rtp: UnboundedSender<Served>,
    audiosocket: UnboundedSender<Served>,
}

/// What the probes tell, by transport.
pub(super) struct ProbeReports {
    pub(super) rtp: UnboundedReceiver<Served>,
    pub(super) audiosocket: UnboundedReceiver<Served>,
}

impl ProbeFactory {
    pub(super) fn new(clock: Clock) -> (Self, ProbeReports) {
        let (rtp, rtp_reports) = unbounded_channel();
        let (audiosocket, audiosocket_reports) = unbounded_channel();
        let reports = ProbeReports { rtp: rtp_reports, audiosocket: audiosocket_reports };
        (Self { clock, rtp, audiosocket }, reports)
    }
}

impl ProcessorFactory for ProbeFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let reports = match setup.call.transport {
            Transport::Rtp => self.rtp.clone(),
            Transport::AudioSocket => self.audiosocket.clone(),
        };
        Box::new(Probe { clock: self.clock, arrivals: Vec::with_capacity(NOTED_FRAMES), reports })
    }
}

struct Probe {
    clock: Clock,
    arrivals: Vec<Arrival>,
    reports: UnboundedSender<Served>,
}

impl Processor for Probe {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        if frame.origin == Origin::Real {
            self.arrivals.push(Arrival { position: frame.position, at: self.clock.now() });
        }
    }

    fn finish(&mut self, call: &CallInfo, end: &End<'_>) {
        let served = Served {
            call: call.id,
            arrivals: std::mem::take(&mut self.arrivals),
            stats: *end.stats,
            duration: end.duration,
        };
        // Nobody waits for it where the caller has failed.
        let _ = self.reports.send(served);
    }
}
