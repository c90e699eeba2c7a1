use std::sync::Arc;
use std::time::Duration;

use super::{LoadPrompt, PlaySpec, Prompt, PromptError};
use crate::audio::{Ptime, SampleRate};
use crate::dsp::cadence::Cadence;
use crate::processor::Context;

/// What came of [`PlaySource::fill`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filled {
    /// So many samples; fewer than asked for at the end.
    Samples(usize),
    /// None yet: the file is being read. Ask again at the next frame.
    Loading,
    /// Nothing more.
    Ended,
    /// There is nothing to play.
    Failed(PromptError),
}

/// Audio of a source that waits in the queue: enough for a tick that comes late, little enough to
/// stop soon.
const AHEAD: Duration = Duration::from_millis(100);

/// What came of [`PlaySource::feed`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fed {
    /// There is more, later.
    More,
    /// That was the last of it.
    Ended,
    /// There is nothing to play.
    Failed(PromptError),
}

/// Something that plays: a file or tones, once or again and again. Dropped, it has stopped.
#[derive(Debug)]
pub struct PlaySource {
    kind: Kind,
    looped: bool,
    /// Samples since it last began.
    given: u64,
    piece: Vec<i16>,
}

#[derive(Debug)]
enum Kind {
    Prompt { prompt: Arc<Prompt>, at: usize },
    Tones(Cadence),
}

impl PlaySource {
    /// What `spec` says, at `rate`. Files come by way of `loader`.
    #[must_use]
    pub fn new(spec: &PlaySpec, looped: bool, rate: SampleRate, loader: &dyn LoadPrompt) -> Self {
        let kind = match spec {
            PlaySpec::File(name) => Kind::Prompt { prompt: loader.load(name, rate), at: 0 },
            PlaySpec::Tones(beats) => Kind::Tones(Cadence::new(beats, rate)),
        };
        Self { kind, looped, given: 0, piece: Vec::new() }
    }

    /// Keeps the call's queue filled for 100 ms; to be called for every frame that leaves. Allocates
    /// the first time.
    pub fn feed(&mut self, cx: &mut Context<'_>) -> Fed {
        let mut piece = std::mem::take(&mut self.piece);
        piece.resize(Ptime::MS_20.samples(cx.rate()), 0);
        let ahead = cx.rate().length_of(AHEAD);
        let fed = loop {
            if cx.queued() >= ahead || cx.room() < piece.len() {
                break Fed::More;
            }
            match self.fill(&mut piece) {
                Filled::Samples(count) => {
                    cx.play(&piece[..count]);
                }
                Filled::Loading => break Fed::More,
                Filled::Ended => break Fed::Ended,
                Filled::Failed(error) => break Fed::Failed(error),
            }
        };
        self.piece = piece;
        fed
    }

    /// Fills `out` with what is next. Does not allocate, but for the words of a failure.
    pub fn fill(&mut self, out: &mut [i16]) -> Filled {
        let mut done = 0;
        while done < out.len() {
            let count = match self.kind.fill(&mut out[done..]) {
                Filled::Samples(count) => count,
                other => return other,
            };
            done += count;
            self.given += count as u64;
            if done < out.len() {
                // An empty file would begin for ever.
                if !self.looped || self.given == 0 {
                    break;
                }
                self.given = 0;
                self.kind.rewind();
            }
        }
        if done == 0 && !out.is_empty() { Filled::Ended } else { Filled::Samples(done) }
    }
}

impl Kind {
    fn fill(&mut self, out: &mut [i16]) -> Filled {
        match self {
            Self::Tones(cadence) => Filled::Samples(cadence.fill(out)),
            Self::Prompt { prompt, at } => match prompt.get() {
                None => Filled::Loading,
                Some(Err(error)) => Filled::Failed(error.clone()),
                Some(Ok(samples)) => {
                    let rest = &samples[*at..];
                    let count = rest.len().min(out.len());
                    out[..count].copy_from_slice(&rest[..count]);
                    *at += count;
                    Filled::Samples(count)
                }
            },
        }
    }

    fn rewind(&mut self) {
        match self {
            Self::Tones(cadence) => cadence.rewind(),
            Self::Prompt { at, .. } => *at = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shelf(Arc<Prompt>);

    impl LoadPrompt for Shelf {
        fn load(&self, _name: &str, _rate: SampleRate) -> Arc<Prompt> {
            Arc::clone(&self.0)
        }
    }

    fn file(samples: Option<&[i16]>, looped: bool) -> (PlaySource, Arc<Prompt>) {
        let prompt = Arc::new(Prompt::default());
        if let Some(samples) = samples {
            prompt.set(Ok(samples.into()));
        }
        let spec = PlaySpec::File("a.wav".to_owned());
        let shelf = Shelf(Arc::clone(&prompt));
        (PlaySource::new(&spec, looped, SampleRate::HZ_8000, &shelf), prompt)
    }

    #[test]
    fn a_file_is_played_once_or_again_and_again() {
        let (mut once, _) = file(Some(&[1, 2, 3]), false);
        let mut out = [0; 2];
        assert_eq!((once.fill(&mut out), out), (Filled::Samples(2), [1, 2]));
        assert_eq!((once.fill(&mut out), out[0]), (Filled::Samples(1), 3));
        assert_eq!(once.fill(&mut out), Filled::Ended);
        let (mut again, _) = file(Some(&[1, 2, 3]), true);
        let mut out = [0; 8];
        assert_eq!((again.fill(&mut out), out), (Filled::Samples(8), [1, 2, 3, 1, 2, 3, 1, 2]));
        assert_eq!((again.fill(&mut out), out), (Filled::Samples(8), [3, 1, 2, 3, 1, 2, 3, 1]));
    }

    #[test]
    fn an_empty_file_ends_even_if_it_is_played_again_and_again() {
        for looped in [false, true] {
            assert_eq!(file(Some(&[]), looped).0.fill(&mut [0; 4]), Filled::Ended);
        }
    }

    #[test]
    fn a_file_is_waited_for_and_a_failure_is_told() {
        let (mut source, prompt) = file(None, false);
        assert_eq!(source.fill(&mut [0; 4]), Filled::Loading);
        let error = PromptError::NoRoot { name: "a.wav".to_owned() };
        prompt.set(Err(error.clone()));
        assert_eq!(source.fill(&mut [0; 4]), Filled::Failed(error));
    }

    #[test]
    fn tones_go_round_at_their_rate() {
        let spec: PlaySpec = "tone:425/10,0/10".parse().unwrap();
        let shelf = Shelf(Arc::default());
        let mut source = PlaySource::new(&spec, true, SampleRate::HZ_16000, &shelf);
        let mut out = [1; 640];
        assert_eq!(source.fill(&mut out), Filled::Samples(640));
        assert!(out[160..320].iter().chain(&out[480..]).all(|&sample| sample == 0));
        assert!(out[80] != 0 && out[400] != 0);
    }
}
