use std::sync::Arc;
use std::time::Duration;

use super::{Fed, LoadPrompt, PlaySource, PlaySpecError, PlayerSettings};
use crate::audio::AudioFrame;
use crate::event::EventKind;
use crate::processor::{Context, Processor, ProcessorFactory, Setup};

/// The parameter of a call that says what is played to it.
const PLAY: &str = "play";

/// Silence of the caller after which it begins all the same. Asterisk sends nothing for a caller who
/// does not.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes processors that play something at the start of a call.
pub struct PlayerFactory {
    settings: PlayerSettings,
    loader: Arc<dyn LoadPrompt>,
}

impl PlayerFactory {
    /// A factory with these settings, whose files come by way of `loader`.
    #[must_use]
    pub fn new(settings: PlayerSettings, loader: Arc<dyn LoadPrompt>) -> Self {
        Self { settings, loader }
    }
}

impl ProcessorFactory for PlayerFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let Setup { call, rate, .. } = *setup;
        let spec = match call.parameters.get(PLAY) {
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|error: PlaySpecError| (text.clone(), error.to_string())),
            None => Ok(self.settings.play.clone()),
        };
        let mut player = Player {
            name: String::new(),
            source: None,
            failure: None,
            begun: false,
            patience: rate.samples_in(PATIENCE),
        };
        match spec {
            Ok(Some(spec)) => {
                let looped = self.settings.looped;
                player.name = spec.to_string();
                player.source = Some(PlaySource::new(&spec, looped, rate, &*self.loader));
            }
            Ok(None) => {}
            Err((text, error)) => {
                player.name = text;
                player.failure = Some(error);
            }
        }
        Box::new(player)
    }
}

/// Plays one source, from the caller's first audio on, until that ends or somebody clears the queue.
struct Player {
    name: String,
    source: Option<PlaySource>,
    /// Why there is none.
    failure: Option<String>,
    begun: bool,
    /// Samples of silence that are left before it begins without the caller.
    patience: u64,
}

impl Player {
    fn play(&mut self, cx: &mut Context<'_>) {
        match self.source.as_mut().map(|source| source.feed(cx)) {
            None | Some(Fed::More) => {}
            Some(Fed::Ended) => self.source = None,
            Some(Fed::Failed(error)) => self.fail(error.to_string(), cx),
        }
    }

    fn fail(&mut self, error: String, cx: &mut Context<'_>) {
        self.source = None;
        cx.emit(EventKind::PlaybackFailed { source: self.name.clone(), error });
    }
}

impl Processor for Player {
    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        if let Some(error) = self.failure.take() {
            self.fail(error, cx);
        }
        self.patience = self.patience.saturating_sub(frame.samples.len() as u64);
        self.begun |= self.patience == 0;
        if self.begun {
            self.play(cx);
        }
    }

    fn event(&mut self, event: &EventKind, _cx: &mut Context<'_>) {
        match event {
            EventKind::MediaReady { .. } => self.begun = true,
            EventKind::Cleared { .. } => self.source = None,
            _ => {}
        }
    }
}
