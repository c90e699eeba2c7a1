//! The media side with one service.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use sidetone::event::EventKind;
use sidetone::processor::stt::TranscriberFactory;
use sidetone::runtime::Clock;
use sidetone::runtime::stt::{SttService, SttSettings};
use tokio::time::timeout;

use crate::media_rig::{MediaRig, SOON, impatient};

pub struct Rig {
    media: MediaRig,
    pub service: SttService,
}

impl Rig {
    pub async fn start(settings: SttSettings) -> Self {
        let mut made = None;
        let media = MediaRig::start(|registry, recordings| {
            let listeners = recordings.listeners().clone();
            let service = SttService::new("test", settings, listeners, Clock::new()).unwrap();
            let factory = TranscriberFactory::new(Arc::new(service.clone()));
            registry.add_processor("stt", Arc::new(factory));
            registry.add_pipeline("stt", &["stt", "echo"]).unwrap();
            made = Some(service);
        });
        let media = media.await;
        Self { media, service: made.unwrap() }
    }

    pub async fn stop(self) {
        self.media.stop().await;
        timeout(SOON, self.service.finish()).await.expect("tasks end with their calls");
    }
}

impl Deref for Rig {
    type Target = MediaRig;

    fn deref(&self) -> &MediaRig {
        &self.media
    }
}

/// The reasons for which a service was told to be degraded.
pub fn reasons(events: &[EventKind]) -> Vec<&'static str> {
    let reasons = events.iter().filter_map(|event| match event {
        EventKind::SttDegraded { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

/// Impatient settings, for a test's own service.
pub fn quick(url: String) -> SttSettings {
    SttSettings {
        url,
        link: impatient(SttSettings::default().link),
        reconnect_min: Duration::from_millis(50),
        reconnect_max: Duration::from_millis(200),
        ..SttSettings::default()
    }
}
