//! Requests on their way to Asterisk: each is a task of its own, and its answer comes back to the
//! session as a message.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;
use tracing::{info, warn};

use super::client::{AriClient, AriError, ExternalMedia};
use super::ids::{Ids, Role};
use super::machine::{Reply, Request};
use super::metrics::AriMetrics;
use super::place::Place;
use super::settings::{AsteriskSettings, OnEnd};
use super::types::{Bridge, Channel};
use crate::audio::MediaFormat;
use crate::call::CallId;
use crate::runtime::{Clock, Throttle};

/// Requests for calls that are under way at once.
const MAX_REQUESTS: usize = 64;

/// How long a caller that was listed in our application, but of whom no event told, may be one who
/// has just entered. After that the caller waits for a server that died.
const STRANDED_AFTER: Duration = Duration::from_secs(2);

/// Pauses after failures to send a caller on or to remove an orphan; then it is left to the next
/// reconciliation.
const TRY_AGAIN: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::ZERO,
];

/// Pause before the lists are asked for again, where that failed.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// What comes back to the session.
pub(super) enum Answer {
    /// Asterisk answered a call's request.
    Request(CallId, Request, Reply),
    /// Keys were pressed towards a call's caller, or that failed.
    Pressed(CallId),
    /// What Asterisk has; `settled` calls were up before it was asked.
    Lists { channels: Vec<Channel>, bridges: Vec<Bridge>, settled: Vec<CallId> },
    /// The lists could not be had.
    ListsFailed,
    /// Time has passed since these callers were found waiting.
    LookForStranded(Vec<String>),
}

/// What a call's requests are about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Id of the caller's channel.
    pub(super) caller: String,
    pub(super) media: ExternalMedia,
    pub(super) format: MediaFormat,
    /// Where a processor sends the caller.
    pub(super) place: Option<Place>,
}

/// Sends requests for one session.
pub(super) struct Errands {
    asterisk: Arc<str>,
    app: Arc<str>,
    stranded: OnEnd,
    ids: Ids,
    client: AriClient,
    metrics: Arc<AriMetrics>,
    permits: Arc<Semaphore>,
    answers: UnboundedSender<Answer>,
    clock: Clock,
    failures: Arc<Throttle>,
    /// Held by every errand that must not be left undone.
    pending: mpsc::Sender<()>,
    settled: mpsc::Receiver<()>,
}

impl Errands {
    pub(super) fn new(
        settings: &AsteriskSettings,
        client: AriClient,
        metrics: Arc<AriMetrics>,
        answers: UnboundedSender<Answer>,
        clock: Clock,
    ) -> Self {
        let (pending, settled) = mpsc::channel(1);
        Self {
            clock,
            failures: Arc::default(),
            pending,
            settled,
            asterisk: settings.name.as_str().into(),
            app: settings.app.as_str().into(),
            stranded: settings.stranded,
            ids: Ids::new(&settings.app),
            client,
            metrics,
            permits: Arc::new(Semaphore::new(MAX_REQUESTS)),
            answers,
        }
    }

    /// Asks something for a call.
    pub(super) fn ask(&self, call: CallId, request: Request, subject: &Subject) {
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let Subject { caller, media, format, place } = subject.clone();
        let external = self.ids.name(call, Role::Media);
        let bridge = self.ids.name(call, Role::Bridge);
        let (permits, metrics) = (Arc::clone(&self.permits), Arc::clone(&self.metrics));
        let (failures, clock) = (Arc::clone(&self.failures), self.clock);
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let result = match request {
                Request::AnswerCaller => client.answer(&caller).await.map(|()| None),
                Request::CreateBridge => client.create_bridge(&bridge).await.map(|()| None),
                Request::CreateExternal => client.create_external(&external, &media, format).await,
                Request::JoinCaller => client.add_to_bridge(&bridge, &caller).await.map(|()| None),
                Request::JoinExternal => {
                    client.add_to_bridge(&bridge, &external).await.map(|()| None)
                }
                Request::HangupCaller => client.hangup(&caller).await.map(|()| None),
                Request::ContinueCaller => {
                    client.continue_in_dialplan(&caller, None).await.map(|()| None)
                }
                Request::TransferCaller => {
                    transfer(&client, &caller, place.as_ref()).await.map(|()| None)
                }
                Request::RemoveExternal => client.hangup(&external).await.map(|()| None),
                Request::RemoveBridge => client.destroy_bridge(&bridge).await.map(|()| None),
            };
            let reply = match result {
                Ok(peer) => Reply::Done { peer },
                Err(AriError::NotFound { .. }) => Reply::Absent,
                // The caller is in the dialplan already.
                Err(AriError::Refused { status: 409, .. })
                    if matches!(request, Request::ContinueCaller | Request::TransferCaller) =>
                {
                    Reply::Absent
                }
                Err(error) => {
                    metrics.failed_requests.fetch_add(1, Ordering::Relaxed);
                    if let Some(held_back) = failures.pass(clock.now()) {
                        warn!(call.id = %call, %error, held_back, "a request failed");
                    }
                    match error {
                        // Another place is to be had at once; everything else is worth a retry.
                        AriError::Refused { status: 400..=499, .. }
                            if request == Request::TransferCaller =>
                        {
                            Reply::Refused
                        }
                        _ => Reply::Failed,
                    }
                }
            };
            // A session that is gone needs no answer.
            let _ = answers.send(Answer::Request(call, request, reply));
        });
    }

    /// Presses keys towards a call's caller.
    pub(super) fn press(&self, call: CallId, caller: &str, digits: String) {
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let (permits, metrics) = (Arc::clone(&self.permits), Arc::clone(&self.metrics));
        let (failures, clock, caller) = (Arc::clone(&self.failures), self.clock, caller.to_owned());
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            match client.send_dtmf(&caller, &digits).await {
                // Gone, or in the dialplan already.
                Ok(()) | Err(AriError::NotFound { .. } | AriError::Refused { status: 409, .. }) => {
                }
                Err(error) => {
                    metrics.dropped_digits.fetch_add(digits.len() as u64, Ordering::Relaxed);
                    if let Some(held_back) = failures.pass(clock.now()) {
                        warn!(call.id = %call, %error, held_back, "digits were not sent");
                    }
                }
            }
            // A session that is gone needs no answer.
            let _ = answers.send(Answer::Pressed(call));
        });
    }

    /// Sends a caller on whom we do not serve.
    pub(super) fn send_away(&self, channel: String) {
        let (client, how, pending) = (self.client.clone(), self.stranded, self.pending.clone());
        let (failures, clock) = (Arc::clone(&self.failures), self.clock);
        tokio::spawn(async move {
            let _pending = pending;
            for pause in TRY_AGAIN {
                let result = match how {
                    OnEnd::Hangup => client.hangup(&channel).await,
                    OnEnd::Continue => client.continue_in_dialplan(&channel, None).await,
                };
                match result {
                    // Gone, or in the dialplan already.
                    Ok(())
                    | Err(AriError::NotFound { .. } | AriError::Refused { status: 409, .. }) => {
                        return;
                    }
                    Err(error) => {
                        if let Some(held_back) = failures.pass(clock.now()) {
                            let channel = channel.as_str();
                            warn!(channel.id = channel, %error, held_back, "a caller was not sent on");
                        }
                        sleep(pause).await;
                    }
                }
            }
        });
    }

    /// Asks what Asterisk has.
    pub(super) fn list(&self, settled: Vec<CallId>) {
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let asterisk = Arc::clone(&self.asterisk);
        tokio::spawn(async move {
            let answer = match tokio::try_join!(client.channels(), client.bridges()) {
                Ok((channels, bridges)) => Answer::Lists { channels, bridges, settled },
                Err(error) => {
                    warn!(%asterisk, %error, "channels and bridges could not be listed");
                    sleep(LIST_AGAIN).await;
                    Answer::ListsFailed
                }
            };
            // A session that is gone needs no answer.
            let _ = answers.send(answer);
        });
    }

    /// Brings these callers up again when no event of theirs can be on its way any more.
    pub(super) fn look_for_stranded(&self, waiting: Vec<String>) {
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let app = Arc::clone(&self.app);
        tokio::spawn(async move {
            sleep(STRANDED_AFTER).await;
            // Whoever is not in the application any more goes their own way. Without an answer it
            // is left to the next reconciliation.
            let there = client.channels().await.unwrap_or_default();
            let still = |id: &String| there.iter().any(|c| c.id == *id && c.is_in(&app));
            let waiting = waiting.into_iter().filter(still).collect();
            // A session that is gone needs no answer.
            let _ = answers.send(Answer::LookForStranded(waiting));
        });
    }

    /// Removes channels and bridges of ours that belong to no call.
    pub(super) fn remove_orphans(
        &self,
        channels: impl IntoIterator<Item = String>,
        bridges: impl IntoIterator<Item = String>,
    ) {
        let channels = channels.into_iter().map(|name| (name, Role::Media));
        let bridges = bridges.into_iter().map(|name| (name, Role::Bridge));
        for (name, role) in channels.chain(bridges) {
            info!(asterisk = %self.asterisk, name, "removing what belongs to no call");
            self.metrics.orphans.fetch_add(1, Ordering::Relaxed);
            let (client, pending) = (self.client.clone(), self.pending.clone());
            let (failures, clock) = (Arc::clone(&self.failures), self.clock);
            tokio::spawn(async move {
                let _pending = pending;
                for pause in TRY_AGAIN {
                    let result = match role {
                        Role::Callee | Role::Media => client.hangup(&name).await,
                        Role::Bridge => client.destroy_bridge(&name).await,
                    };
                    match result {
                        Ok(()) | Err(AriError::NotFound { .. }) => return,
                        Err(error) => {
                            if let Some(held_back) = failures.pass(clock.now()) {
                                let name = name.as_str();
                                warn!(name, %error, held_back, "an orphan was not removed");
                            }
                        }
                    }
                    sleep(pause).await;
                }
            });
        }
    }

    /// Waits until every caller has been sent on and every orphan removed, or that was given up.
    /// There are no errands after it.
    pub(super) async fn finish(&mut self) {
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.pending, closed));
        // Nobody sends: it ends when the last sender is gone.
        let _ = self.settled.recv().await;
    }

    /// Removes everything of ours that is still there, and sends on whoever is still in our
    /// application: the last look before the end.
    pub(super) async fn sweep(&self) {
        let Ok((channels, bridges)) =
            tokio::try_join!(self.client.channels(), self.client.bridges())
        else {
            return;
        };
        let ours = |name: &str| self.ids.parse(name).is_some();
        for channel in &channels {
            if !ours(&channel.id) && channel.is_in(&self.app) {
                self.send_away(channel.id.clone());
            }
        }
        self.remove_orphans(
            channels.into_iter().map(|channel| channel.id).filter(|name| ours(name)),
            bridges.into_iter().map(|bridge| bridge.id).filter(|name| ours(name)),
        );
    }
}

/// Sends a caller to a place in the dialplan, if it is there: once Asterisk has let the caller go, it is
/// too late for another one.
async fn transfer(client: &AriClient, caller: &str, place: Option<&Place>) -> Result<(), AriError> {
    if let Some(place) = place
        // Where Asterisk cannot tell, it is tried.
        && let Ok(false) = client.has_place(caller, place).await
    {
        let request = format!("POST channels/{caller}/continue");
        let message = format!("the dialplan has no {place}");
        return Err(AriError::Refused { request, status: 404, message });
    }
    client.continue_in_dialplan(caller, place).await
}
