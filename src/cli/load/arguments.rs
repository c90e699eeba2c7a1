use std::net::SocketAddr;
use std::num::{ParseFloatError, ParseIntError};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use thiserror::Error;

use crate::audio::{MediaFormat, RateError, SampleRate};

const EXAMPLES: &str = "\
Examples:
  sidetone load rtp --to 127.0.0.1:40000
  sidetone load rtp --to 127.0.0.1:40000 --calls 2000 --pid \"$(pidof sidetone)\" --bare
  sidetone load rtp --to 192.0.2.10:40000 --loss 1% --jitter 30ms
  sidetone load audiosocket --to 127.0.0.1:9092 --calls 500 --hold 5s --check --json
  sidetone load rtp --bare
  sidetone load rtp --asterisk http://user:password@127.0.0.1:8088 --dial Local/echo@sidetone

The server must echo, and take callers that nobody announced:
  SIDETONE__RTP__ACCEPT=any sidetone serve

A call over RTP has no end that the server could see but silence: set its
media.end_after_ms to 1000 for --hold, and between two runs.

With --asterisk an Asterisk makes the calls, to whatever echoes behind --dial, and
relays the audio. The password may come from SIDETONE_ARI_PASSWORD instead.";

/// Play thousands of callers against a server that echoes, verify every sample, and measure
///
/// Each caller plays speech in frames of 20 ms and compares what comes back with it, sample by
/// sample. One thread does all of it.
#[derive(Args, Clone, PartialEq, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LoadArgs {
    #[command(subcommand)]
    pub(super) what: What,
}

/// What plays, over which transport.
#[derive(Subcommand, Clone, PartialEq, Debug)]
pub(super) enum What {
    /// Callers over RTP
    #[command(after_help = EXAMPLES)]
    Rtp(RtpArgs),
    /// Callers over AudioSocket, which is TCP
    #[command(name = "audiosocket", after_help = EXAMPLES)]
    AudioSocket(AudioSocketArgs),
    /// The least that a server can do: a loop that sends back what comes, until its standard input
    /// closes
    Bare(BareArgs),
}

#[derive(Args, Clone, PartialEq, Debug)]
pub(super) struct RtpArgs {
    #[command(flatten)]
    pub(super) calls: CallsArgs,
    #[command(flatten)]
    pub(super) asterisk: AsteriskArgs,
    /// Format of the audio
    #[arg(long, value_enum, default_value_t = Codec::Ulaw)]
    pub(super) codec: Codec,
    /// Share of the packets that is lost on the way to the server
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = share)]
    pub(super) loss: f64,
    /// Longest time by which a packet to the server is delayed; all up to it are equally likely
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = delay)]
    pub(super) jitter: Duration,
}

#[derive(Args, Clone, PartialEq, Debug)]
pub(super) struct AudioSocketArgs {
    #[command(flatten)]
    pub(super) calls: CallsArgs,
    #[command(flatten)]
    pub(super) asterisk: AsteriskArgs,
    /// Samples per second
    #[arg(long, value_name = "HZ", default_value = "8000", value_parser = rate)]
    pub(super) rate: SampleRate,
}

#[derive(Args, Clone, PartialEq, Debug)]
pub(super) struct CallsArgs {
    /// The server; without it only the bare loop is measured
    #[arg(long, value_name = "HOST:PORT", group = "target", required_unless_present_any = ["bare", "asterisk"])]
    pub(super) to: Option<String>,
    /// Calls at once
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) calls: u32,
    /// How long is measured, once all calls are up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub(super) duration: Duration,
    /// How many calls are set up in a second [default: 500/s, with --asterisk 20/s]
    #[arg(long, value_name = "COUNT/s", value_parser = per_second)]
    pub(super) ramp: Option<f64>,
    /// How long a call lasts; then another one takes its place [default: to the end]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(super) hold: Option<Duration>,
    /// Process of the server, on this machine, to measure its processor time and memory
    #[arg(long, value_name = "PID", requires = "target")]
    pub(super) pid: Option<u32>,
    /// Play the same against a bare loop first
    #[arg(long, conflicts_with = "asterisk")]
    pub(super) bare: bool,
    /// Core that the callers stay on
    #[arg(long, value_name = "NUMBER")]
    pub(super) core: Option<usize>,
    /// Core that the bare loop stays on
    #[arg(long, value_name = "NUMBER", requires = "bare")]
    pub(super) bare_core: Option<usize>,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// End with exit code 1 unless every call got its echo, and nothing of it is lost, wrong or
    /// missing
    #[arg(long)]
    pub(super) check: bool,
}

/// An Asterisk that makes the calls.
#[derive(Args, Clone, PartialEq, Debug)]
pub(super) struct AsteriskArgs {
    /// Let an Asterisk make the calls: where its ARI is, with user and password
    #[arg(long, value_name = "URL", group = "target", requires = "dial")]
    pub(super) asterisk: Option<String>,
    /// Whom it calls: an endpoint as in Dial(), behind which there is an echo
    #[arg(long, value_name = "ENDPOINT", requires = "asterisk", conflicts_with_all = ["to", "bare"])]
    pub(super) dial: Option<String>,
    /// Name of the ARI application that the calls are in; what is left in it is removed
    #[arg(long, value_name = "NAME", default_value = "sidetone-load")]
    pub(super) app: String,
    /// Host that it sends audio to [default: this machine's address towards it]
    #[arg(long, value_name = "HOST", requires = "asterisk", conflicts_with_all = ["to", "bare"])]
    pub(super) advertise: Option<String>,
}

#[derive(Args, Clone, PartialEq, Debug)]
pub(super) struct BareArgs {
    /// What comes
    #[arg(value_enum)]
    pub(super) transport: Transport,
    /// Where to listen
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub(super) bind: SocketAddr,
    /// Core to stay on
    #[arg(long, value_name = "NUMBER")]
    pub(super) core: Option<usize>,
    /// How long it waits before each read, so that more comes at a time
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = humantime::parse_duration)]
    pub(super) pause: Duration,
}

/// How audio travels.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Rtp,
    #[value(name = "audiosocket")]
    AudioSocket,
}

/// Formats of RTP that come back as they went.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Codec {
    Ulaw,
    Alaw,
}

/// What is wrong with an argument.
#[derive(Debug, Error)]
enum ArgumentError {
    #[error("not a number: {0}")]
    Number(#[from] ParseFloatError),
    #[error("allowed: more than 0 calls a second, as in 500/s")]
    Ramp,
    #[error("allowed: 0% to 99%")]
    Share,
    #[error("{0}")]
    Time(#[from] humantime::DurationError),
    #[error("allowed: {SHORTEST:?} to {LONGEST:?}")]
    Span,
    #[error("allowed: 0ms to {LONGEST_DELAY:?}")]
    Delay,
    #[error("not a number: {0}")]
    Hz(#[from] ParseIntError),
    #[error(transparent)]
    Rate(#[from] RateError),
}

/// Limits of a time that calls last or are measured.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

/// A packet that is delayed for longer might leave when nobody listens any more.
const LONGEST_DELAY: Duration = Duration::from_millis(500);

impl Transport {
    /// Its name.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::AudioSocket => "audiosocket",
        }
    }
}

impl Codec {
    pub(super) const fn format(self) -> MediaFormat {
        match self {
            Self::Ulaw => MediaFormat::Ulaw,
            Self::Alaw => MediaFormat::Alaw,
        }
    }
}

fn per_second(text: &str) -> Result<f64, ArgumentError> {
    let number: f64 = text.strip_suffix("/s").unwrap_or(text).parse()?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err(ArgumentError::Ramp) }
}

fn share(text: &str) -> Result<f64, ArgumentError> {
    let percent: f64 = text.strip_suffix('%').ok_or(ArgumentError::Share)?.parse()?;
    if (0.0..=99.0).contains(&percent) { Ok(percent / 100.0) } else { Err(ArgumentError::Share) }
}

fn span(text: &str) -> Result<Duration, ArgumentError> {
    let span = humantime::parse_duration(text)?;
    if (SHORTEST..=LONGEST).contains(&span) { Ok(span) } else { Err(ArgumentError::Span) }
}

fn delay(text: &str) -> Result<Duration, ArgumentError> {
    let delay = humantime::parse_duration(text)?;
    if delay <= LONGEST_DELAY { Ok(delay) } else { Err(ArgumentError::Delay) }
}

fn rate(text: &str) -> Result<SampleRate, ArgumentError> {
    let hz: u32 = text.parse()?;
    Ok(SampleRate::try_from(hz)?)
}
