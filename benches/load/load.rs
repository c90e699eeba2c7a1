//! The loads, and what is promised of each.

/// So many calls at once, to a server with one pipeline.
#[derive(PartialEq, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// As `sidetone load` calls it.
    pub(crate) transport: &'static str,
    pub(crate) calls: u32,
    /// As the server's configuration calls it.
    pub(crate) pipeline: &'static str,
    pub(crate) limits: Limits,
}

impl Load {
    pub(crate) fn is_recorded(&self) -> bool {
        self.pipeline == "echo-record"
    }
}

/// What a load's figures may not pass. Where there is none, the figure is told all the same.
#[derive(PartialEq, Debug)]
pub(crate) struct Limits {
    /// Processor time per packet, to that of the bare loop, which runs only if there is this limit.
    pub(crate) times_bare: Option<f64>,
    pub(crate) round_trip_p99_ms: Option<f64>,
    pub(crate) tick_lateness_p99_ms: Option<f64>,
    /// Resident memory above that of the idle process.
    pub(crate) kib_per_call: Option<f64>,
    /// Of a core.
    pub(crate) share_per_call: Option<f64>,
}

const UNLIMITED: Limits = Limits {
    times_bare: None,
    round_trip_p99_ms: None,
    tick_lateness_p99_ms: None,
    kib_per_call: None,
    share_per_call: None,
};

pub(crate) const RTP_200: Load = Load {
    name: "200 calls, RTP",
    transport: "rtp",
    calls: 200,
    pipeline: "echo",
    limits: UNLIMITED,
};

pub(crate) const RTP_1000: Load = Load {
    name: "1,000 calls, RTP",
    calls: 1_000,
    limits: Limits {
        times_bare: Some(1.25),
        round_trip_p99_ms: Some(25.0),
        tick_lateness_p99_ms: Some(2.0),
        kib_per_call: Some(32.0),
        share_per_call: None,
    },
    ..RTP_200
};

pub(crate) const RTP_2000: Load = Load {
    name: "2,000 calls, RTP",
    calls: 2_000,
    limits: Limits { kib_per_call: None, ..RTP_1000.limits },
    ..RTP_200
};

pub(crate) const RECORDING: Load = Load {
    name: "1,000 calls, RTP, recorded",
    calls: 1_000,
    pipeline: "echo-record",
    limits: Limits { times_bare: Some(1.6), ..UNLIMITED },
    ..RTP_200
};

pub(crate) const AUDIOSOCKET: Load = Load {
    name: "1,000 calls, AudioSocket",
    transport: "audiosocket",
    calls: 1_000,
    pipeline: "echo",
    limits: Limits { times_bare: Some(1.4), kib_per_call: Some(48.0), ..UNLIMITED },
};

/// The pipeline with a detector, and a bot that says what it hears.
pub(crate) const ROBOT_PIPELINE: &str = "robot";

pub(crate) const ROBOT: Load = Load {
    name: "500 calls, RTP, detector and bot",
    calls: 500,
    pipeline: ROBOT_PIPELINE,
    limits: Limits { share_per_call: Some(0.002), ..UNLIMITED },
    ..RTP_200
};

/// The calls that last while as many others are set up and torn down each second.
pub(crate) const STEADY: Load = Load {
    name: "500 calls, RTP, beside 500 new ones a second",
    calls: 500,
    limits: Limits { tick_lateness_p99_ms: Some(2.0), ..UNLIMITED },
    ..RTP_200
};

/// The soak's calls at any moment.
pub(crate) const CHURNED: Load =
    Load { name: "500 calls, RTP, 50 new ones a second", calls: 500, limits: UNLIMITED, ..RTP_200 };

/// By how much resident memory may grow in a soak.
pub(crate) const SOAK_GROWTH: f64 = 0.05;

/// Processor time per packet of 2,000 calls, to that of 200.
pub(crate) const TIMES_FEW_CALLS: f64 = 1.0;
