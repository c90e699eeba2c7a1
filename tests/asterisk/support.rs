//! What the tests of this binary share.

use std::path::Path;
use std::time::Duration;

use sidetone::dsp::{Match, find_offset};

use crate::asterisk::{self, ARI_PASSWORD, ARI_USER, Asterisk, Options};
use crate::server::{Block, Recorded, Sidetone};
use crate::steady::unsteady;

/// The echo's cushion in tests that ask for continuity: a busy machine may let a packet come late by
/// this much.
pub(crate) const CUSHION: &str = "[echo]\ndelay_ms = 200";
pub(crate) const CUSHION_MS: f64 = 200.0;

/// One Asterisk and a server that controls it; `None` where there is no Asterisk to be had.
pub(crate) fn pair(config: &str, block: &str) -> Option<(Asterisk, Sidetone)> {
    let installation = asterisk::require()?;
    let asterisk = Asterisk::start(&installation, &Options::default());
    let sidetone = serve(&asterisk, config, block);
    Some((asterisk, sidetone))
}

/// A server that controls `asterisk` under the name `pbx`, connected.
pub(crate) fn serve(asterisk: &Asterisk, config: &str, block: &str) -> Sidetone {
    let url = asterisk.ari_url();
    let sidetone = Sidetone::start(&[self::block("pbx", &url, block)], config);
    sidetone.wait_connected(&["pbx"]);
    sidetone
}

/// A block of the configuration for a test's Asterisk.
pub(crate) fn block<'a>(name: &'a str, url: &'a str, more: &'a str) -> Block<'a> {
    Block { name, url, user: ARI_USER, password: ARI_PASSWORD, more }
}

/// The speech of `fixtures/`, at 8 or 16 kHz.
pub(crate) fn speech(rate: u32) -> Vec<i16> {
    let name = format!("fixtures/speech-{}k.wav", rate / 1000);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut reader = hound::WavReader::open(path).expect("the fixture is in the repository");
    assert_eq!(reader.spec().sample_rate, rate);
    reader.samples().map(|sample| sample.expect("a sample")).collect()
}

/// Noise that is like itself nowhere else, low-passed so that every codec carries it well.
pub(crate) fn noise(samples: usize) -> Vec<i16> {
    let mut state = 0x9e37_79b9_u32;
    let mut smooth = 0.0_f64;
    (0..samples)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let white = f64::from(state) / f64::from(u32::MAX) - 0.5;
            smooth = 0.6 * smooth + 0.4 * white;
            (smooth * 24_000.0) as i16
        })
        .collect()
}

/// Where `prompt` lies in `heard`, whole.
pub(crate) fn find(prompt: &[i16], heard: &[i16]) -> Match {
    let last = heard.len().saturating_sub(prompt.len());
    find_offset(prompt, heard, 0..=last.cast_signed())
}

/// Whether `heard` holds the whole of `prompt` from one offset on, window by window: no sample is
/// missing, none comes twice. Answers the offset, or the first window that is off.
pub(crate) fn continuous(prompt: &[i16], heard: &[i16], rate: u32) -> Result<usize, String> {
    let window = rate as usize;
    let slack = window / 10;
    let first = find_offset(&prompt[..2 * window], heard, 0..=heard.len().cast_signed());
    let offset = usize::try_from(first.lag).expect("asked for so");
    for (n, piece) in prompt.chunks_exact(window).enumerate() {
        let here = offset + n * window;
        let from = here.saturating_sub(slack);
        let to = (here + window + slack).min(heard.len());
        let found = find_offset(piece, &heard[from.min(to)..to], 0..=(2 * slack).cast_signed());
        let at = from + usize::try_from(found.lag).expect("asked for so");
        if at != here || found.coefficient < 0.98 {
            let coefficient = found.coefficient;
            // Where it is off, by pieces of 10 ms.
            let step = window / 100;
            let heard = heard[here.min(heard.len())..].chunks_exact(step);
            let is_off =
                |(said, heard): (&[i16], &[i16])| find_offset(said, heard, 0..=0).coefficient < 0.9;
            let off: Vec<_> = piece
                .chunks_exact(step)
                .zip(heard)
                .enumerate()
                .filter(|(_, p)| is_off(*p))
                .collect();
            let off: Vec<_> = off.iter().map(|(n, _)| 10 * n).collect();
            return Err(format!(
                "second {n} lies at {at}, not {here}, correlation {coefficient:.4}, off at {off:?} ms"
            ));
        }
    }
    Ok(offset)
}

/// Ends the attempt where audio that went through Asterisk is not `what` it should be.
///
/// Asterisk drops and doubles frames of its own where it is late by a few of them, between its
/// channels and in `MixMonitor()`, long before a processor counts as having stood still. A fault of
/// ours is there in every attempt.
#[track_caller]
pub(crate) fn whole(found: Match, floor: f64, what: &str) {
    if found.coefficient <= floor {
        let at = std::panic::Location::caller();
        unsteady(&format!("{at}: {what}: {found:?}, not above {floor}"));
    }
}

/// The recording of the call of this transport and format.
pub(crate) fn of_call<'a>(recordings: &'a [Recorded], media: &str, format: &str) -> &'a Recorded {
    let is_it = |r: &&Recorded| r.json["transport"] == media && r.json["format"] == format;
    recordings.iter().find(is_it).unwrap_or_else(|| panic!("no recording of {media} {format}"))
}

/// Whether nothing but the residue of codecs is in `samples`.
pub(crate) fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() < 64)
}

/// Long enough for anything to settle on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);
