use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::switchboard::CallError;
use crate::ari::{AriClient, AriError, ExternalMedia, Ids, Role};
use crate::audio::MediaFormat;
use crate::call::CallId;

/// Pauses between the attempts to remove something.
const TRY_AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// What a call is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// One of its channels is in our application.
    Entered(Role),
    /// One of its channels is gone.
    Gone,
    /// It shall end.
    HangUp,
}

/// What every call is made with.
pub(super) struct Maker {
    pub(super) client: AriClient,
    pub(super) ids: Ids,
    pub(super) endpoint: String,
    pub(super) format: MediaFormat,
    /// Requests at a time: Asterisk's HTTP server has a limited number of places.
    pub(super) permits: Semaphore,
}

/// One call: a channel to the endpoint and an external one, in a bridge.
pub(super) struct Call {
    pub(super) maker: Arc<Maker>,
    pub(super) id: CallId,
    pub(super) media: ExternalMedia,
    pub(super) turns: UnboundedReceiver<Turn>,
}

impl Call {
    /// Makes the call, and answers where Asterisk has its end of the audio, where that is to be known.
    ///
    /// # Errors
    /// [`CallError`] where it cannot be; what was made of it is still to be removed.
    pub(super) async fn set_up(&mut self) -> Result<Option<SocketAddr>, CallError> {
        let Maker { client, endpoint, format, .. } = &*self.maker;
        let [callee, media, bridge] = self.names();
        // All are waited for, so that nothing comes to be after it was removed.
        let (bridged, reached, called) = tokio::join!(
            self.asking(client.create_bridge(&bridge)),
            self.asking(client.create_external(&media, &self.media, *format)),
            self.asking(client.originate(&callee, endpoint, *format)),
        );
        bridged?;
        let peer = reached?;
        called?;
        let (mut has_callee, mut has_media) = (false, false);
        while !(has_callee && has_media) {
            match self.turns.recv().await {
                Some(Turn::Entered(Role::Callee)) => has_callee = true,
                Some(Turn::Entered(_)) => has_media = true,
                Some(Turn::Gone) => return Err(CallError::NotAnswered),
                Some(Turn::HangUp) | None => return Err(CallError::HungUp),
            }
        }
        self.asking(client.add_to_bridge(&bridge, &media)).await?;
        self.asking(client.add_to_bridge(&bridge, &callee)).await?;
        Ok(peer)
    }

    /// Waits for the call's end; true where it was not we who wanted it.
    pub(super) async fn wait(&mut self) -> bool {
        loop {
            match self.turns.recv().await {
                Some(Turn::Entered(_)) => {}
                Some(Turn::Gone) => return true,
                Some(Turn::HangUp) | None => return false,
            }
        }
    }

    /// Removes all that there is of it. What cannot be removed is left to the last look.
    pub(super) async fn remove(&self) {
        let [callee, media, bridge] = self.names();
        tokio::join!(
            self.removing(&callee, Role::Callee),
            self.removing(&media, Role::Media),
            self.removing(&bridge, Role::Bridge),
        );
    }

    async fn removing(&self, name: &str, role: Role) {
        let client = &self.maker.client;
        for pause in TRY_AGAIN {
            let removed = match role {
                Role::Callee | Role::Media => self.asking(client.hangup(name)).await,
                Role::Bridge => self.asking(client.destroy_bridge(name)).await,
            };
            if matches!(removed, Ok(()) | Err(AriError::NotFound { .. })) {
                return;
            }
            sleep(pause).await;
        }
    }

    async fn asking<T>(&self, request: impl Future<Output = T>) -> T {
        let _permit = self.maker.permits.acquire().await;
        request.await
    }

    fn names(&self) -> [String; 3] {
        [Role::Callee, Role::Media, Role::Bridge].map(|role| self.maker.ids.name(self.id, role))
    }
}
