//! The media side with one bot.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use sidetone::audio::SampleRate;
use sidetone::event::EventKind;
use sidetone::processor::bot::BotFactory;
use sidetone::processor::player::{LoadPrompt, Prompt};
use sidetone::runtime::Clock;
use sidetone::runtime::bot::{BotService, BotSettings};
use tokio::time::timeout;

use crate::media_rig::{MediaRig, SOON, impatient};

pub struct Rig {
    media: MediaRig,
    pub bot: BotService,
}

struct NoFiles;

impl LoadPrompt for NoFiles {
    fn load(&self, _name: &str, _rate: SampleRate) -> Arc<Prompt> {
        Arc::default()
    }
}

impl Rig {
    pub async fn start(settings: BotSettings) -> Self {
        let behaviour = settings.behaviour.clone();
        let bot = BotService::new("test", settings, Clock::new()).unwrap();
        let factory = BotFactory::new(behaviour, Arc::new(bot.clone()), Arc::new(NoFiles));
        let media = MediaRig::start(|registry, _| {
            registry.add_processor("bot", Arc::new(factory));
            registry.add_pipeline("bot", &["bot"]).unwrap();
        });
        Self { media: media.await, bot }
    }

    pub async fn stop(self) {
        self.media.stop().await;
        timeout(SOON, self.bot.finish()).await.expect("tasks end with their calls");
    }
}

impl Deref for Rig {
    type Target = MediaRig;

    fn deref(&self) -> &MediaRig {
        &self.media
    }
}

/// The reasons for which a bot was told to be degraded.
pub fn reasons(events: &[EventKind]) -> Vec<&'static str> {
    let reasons = events.iter().filter_map(|event| match event {
        EventKind::BotDegraded { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

/// How many of the events are so.
pub fn count(events: &[EventKind], is: fn(&EventKind) -> bool) -> usize {
    events.iter().filter(|event| is(event)).count()
}

/// What is no silence. Callers of these tests never say a sample of 0.
pub fn sounds(samples: &[i16]) -> Vec<i16> {
    samples.iter().copied().filter(|sample| *sample != 0).collect()
}

/// Impatient settings, for a test's own bot.
pub fn quick(url: &str) -> BotSettings {
    BotSettings {
        url: Some(url.parse().unwrap()),
        link: impatient(BotSettings::default().link),
        reconnect_min: Duration::from_millis(50),
        reconnect_max: Duration::from_millis(200),
        ..BotSettings::default()
    }
}
