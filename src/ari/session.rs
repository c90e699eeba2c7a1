//! One Asterisk: its event stream, its calls, and the requests for them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::arguments::{ArgumentError, Arguments};
use super::client::{AriClient, AriError, ExternalMedia};
use super::ids::{Ids, Role};
use super::machine::{CallMachine, Command, Input, Reply, Request};
use super::metrics::AriMetrics;
use super::reconcile::{LiveCall, reconcile};
use super::settings::{AsteriskSettings, OnEnd};
use super::stream::{EventStream, StreamEvent};
use super::tls::{self, TlsError};
use super::types::{AriEvent, Bridge, Channel};
use crate::audio::MediaFormat;
use crate::call::{CallId, CallInfo, Caller, EndReason, Transport};
use crate::event::{CallEvent, EventKind};
use crate::processor::{PipelineError, Registry};
use crate::runtime::{CallSpec, EventSink, MediaHandle, OpenError};

/// Requests under way at once.
const MAX_REQUESTS: usize = 64;

/// How long a caller that was listed in our application, but of whom no event told, may be one who
/// has just entered. After that the caller waits for a server that died.
const STRANDED_AFTER: Duration = Duration::from_secs(2);

/// Time for the last requests after the grace period of a stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Pause before the lists are asked for again, where that failed.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// Why a session did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The URL.
    #[error(transparent)]
    Client(#[from] AriError),
}

/// What may be known of a session from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AriHandle {
    name: Arc<str>,
    metrics: Arc<AriMetrics>,
}

impl AriHandle {
    /// Our name for this Asterisk.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its event stream is there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.metrics.connected.load(Ordering::Relaxed)
    }

    /// What is counted about it.
    #[must_use]
    pub fn metrics(&self) -> &Arc<AriMetrics> {
        &self.metrics
    }
}

/// The control of one Asterisk: a task that runs until it is stopped.
#[derive(Debug)]
pub struct AriSession {
    handle: AriHandle,
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
}

impl AriSession {
    /// Starts the control of one Asterisk, whether or not that is there yet.
    ///
    /// # Errors
    /// [`StartError`] where the settings cannot be used.
    pub fn start(
        settings: AsteriskSettings,
        media: MediaHandle,
        registry: Arc<Registry>,
    ) -> Result<Self, StartError> {
        let tls = tls::client_config(settings.ca_file.as_deref())?;
        let client = AriClient::new(&settings, &tls)?;
        let metrics = Arc::new(AriMetrics::default());
        let handle =
            AriHandle { name: settings.name.as_str().into(), metrics: Arc::clone(&metrics) };
        let (events, stream) = unbounded_channel();
        let source = EventStream {
            settings: settings.clone(),
            url: client.events_url().into(),
            tls,
            metrics: Arc::clone(&metrics),
        };
        tokio::spawn(source.run(events));
        let (stop, stopped) = oneshot::channel();
        let session = Session::new(settings, client, media, registry, metrics);
        let task = tokio::spawn(session.run(stream, stopped));
        Ok(Self { handle, stop, task })
    }

    /// What may be known from outside.
    #[must_use]
    pub fn handle(&self) -> &AriHandle {
        &self.handle
    }

    /// Turns new callers away, lets calls end by themselves for `grace`, then ends them, and
    /// returns when nothing of ours is left in Asterisk, or that cannot be had.
    pub async fn stop(self, grace: Duration) {
        // A session that is gone has nothing to stop.
        let _ = self.stop.send(grace);
        if let Err(error) = self.task.await {
            warn!(asterisk = %self.handle.name, %error, "the control of an Asterisk failed");
        }
    }
}

/// Why a caller was turned away.
#[derive(Debug, Error)]
pub(super) enum Rejected {
    #[error("Stasis(): {0}")]
    Arguments(#[from] ArgumentError),
    #[error("Stasis(): {0}")]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Media(#[from] OpenError),
    #[error("the server is stopping")]
    Stopping,
}

/// What comes back from tasks of the session.
enum Answer {
    Request(CallId, Request, Reply),
    Lists { channels: Vec<Channel>, bridges: Vec<Bridge>, settled: Vec<CallId> },
    ListsFailed,
    LookForStranded(Vec<String>),
}

struct Entry {
    machine: CallMachine,
    caller: String,
    media: ExternalMedia,
    format: MediaFormat,
    scheduled: Option<Instant>,
}

struct Session {
    settings: AsteriskSettings,
    client: AriClient,
    media: MediaHandle,
    registry: Arc<Registry>,
    metrics: Arc<AriMetrics>,
    ids: Ids,
    calls: HashMap<CallId, Entry>,
    callers: HashMap<String, CallId>,
    timers: BinaryHeap<Reverse<(Instant, CallId)>>,
    permits: Arc<Semaphore>,
    answers: UnboundedSender<Answer>,
    answered: Option<UnboundedReceiver<Answer>>,
    media_events: EventSink,
    media_told: Option<UnboundedReceiver<CallEvent>>,
    connected: bool,
    stopping: bool,
}

impl Session {
    fn new(
        settings: AsteriskSettings,
        client: AriClient,
        media: MediaHandle,
        registry: Arc<Registry>,
        metrics: Arc<AriMetrics>,
    ) -> Self {
        let (answers, answered) = unbounded_channel();
        let (media_events, media_told) = unbounded_channel();
        Self {
            ids: Ids::new(&settings.app),
            settings,
            client,
            media,
            registry,
            metrics,
            calls: HashMap::new(),
            callers: HashMap::new(),
            timers: BinaryHeap::new(),
            permits: Arc::new(Semaphore::new(MAX_REQUESTS)),
            answers,
            answered: Some(answered),
            media_events,
            media_told: Some(media_told),
            connected: false,
            stopping: false,
        }
    }

    async fn run(
        mut self,
        mut stream: UnboundedReceiver<StreamEvent>,
        stop: oneshot::Receiver<Duration>,
    ) {
        let mut answered = self.answered.take().expect("a session runs once");
        let mut media_told = self.media_told.take().expect("a session runs once");
        let clock = self.media.clock();
        let far = Duration::from_secs(3_600);
        let mut stop = std::pin::pin!(stop);
        // While stopping: when calls are ended, and when what is left of them is given up.
        let mut deadlines: Option<(Instant, Instant)> = None;
        loop {
            if deadlines.is_some() && self.calls.is_empty() {
                break;
            }
            let now = clock.now();
            let timer = self.timers.peek().map_or(now + far, |Reverse((at, _))| *at);
            let end_at = deadlines.map_or(now + far, |(end, _)| end);
            let give_up_at = deadlines.map_or(now + far, |(_, give_up)| give_up);
            tokio::select! {
                biased;
                grace = &mut stop, if deadlines.is_none() => {
                    let end_at = clock.now() + grace.unwrap_or_default();
                    deadlines = Some((end_at, end_at + LAST_REQUESTS));
                    self.stopping = true;
                }
                () = sleep_until(give_up_at.into()), if deadlines.is_some() => break,
                () = sleep_until(end_at.into()), if deadlines.is_some() => {
                    deadlines = Some((clock.now() + far, give_up_at));
                    self.end_all(clock.now());
                }
                Some(event) = stream.recv() => self.handle_stream(clock.now(), event),
                Some(answer) = answered.recv() => self.handle_answer(clock.now(), answer),
                Some(event) = media_told.recv() => self.handle_media(clock.now(), &event),
                () = sleep_until(timer.into()) => self.run_timers(clock.now()),
            }
        }
        if self.connected && timeout(LAST_REQUESTS, self.sweep()).await.is_err() {
            warn!(asterisk = self.settings.name, "Asterisk did not answer the last requests");
        }
        self.metrics.calls.store(0, Ordering::Relaxed);
    }

    fn handle_stream(&mut self, now: Instant, event: StreamEvent) {
        let event = match event {
            StreamEvent::Connected => {
                self.connected = true;
                return self.ask_for_lists();
            }
            StreamEvent::Disconnected => {
                self.connected = false;
                return;
            }
            StreamEvent::Event(event) => event,
        };
        match event {
            AriEvent::StasisStart { channel, args } => match self.ids.parse(&channel.id) {
                Some((call, Role::Media)) if self.calls.contains_key(&call) => {
                    self.drive(now, call, Input::ExternalEntered);
                }
                Some(_) => self.remove_orphans([channel.id], []),
                None => self.caller_entered(now, channel, &args),
            },
            AriEvent::StasisEnd { channel } | AriEvent::ChannelDestroyed { channel } => {
                if let Some((call, _)) = self.ids.parse(&channel.id) {
                    self.drive(now, call, Input::ExternalGone);
                } else if let Some(call) = self.callers.get(&channel.id).copied() {
                    self.drive(now, call, Input::CallerGone);
                }
            }
            AriEvent::BridgeDestroyed { bridge } => {
                if let Some((call, _)) = self.ids.parse(&bridge.id) {
                    self.drive(now, call, Input::BridgeGone);
                }
            }
            AriEvent::ApplicationReplaced => warn!(
                asterisk = self.settings.name,
                app = self.settings.app,
                "another program has taken our application over"
            ),
            AriEvent::Other => {}
        }
    }

    fn handle_answer(&mut self, now: Instant, answer: Answer) {
        match answer {
            Answer::Request(call, request, reply) => {
                self.drive(now, call, Input::Reply(request, reply));
            }
            Answer::Lists { channels, bridges, settled } => {
                self.reconcile(now, &channels, &bridges, &settled);
            }
            Answer::ListsFailed if self.connected => self.ask_for_lists(),
            Answer::ListsFailed => {}
            Answer::LookForStranded(mut waiting) => {
                waiting.retain(|channel| !self.callers.contains_key(channel));
                for channel in waiting {
                    warn!(
                        asterisk = self.settings.name,
                        channel.id = channel,
                        "a caller waited for a server that had died"
                    );
                    self.metrics.stranded.fetch_add(1, Ordering::Relaxed);
                    self.send_away(channel);
                }
            }
        }
    }

    fn handle_media(&mut self, now: Instant, told: &CallEvent) {
        if let EventKind::CallEnded { reason, .. } = told.event.kind {
            self.drive(now, told.call, Input::MediaEnded(reason));
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, call))) = self.timers.peek().copied().filter(|r| r.0.0 <= now) {
            self.timers.pop();
            if let Some(entry) = self.calls.get_mut(&call)
                && entry.scheduled == Some(at)
            {
                entry.scheduled = None;
                self.drive(now, call, Input::Timeout);
            }
        }
    }

    fn caller_entered(&mut self, now: Instant, channel: Channel, args: &[String]) {
        let id = channel.id.clone();
        if let Err(rejected) = self.open(now, channel, args) {
            warn!(
                asterisk = self.settings.name,
                channel.id = id,
                reason = %rejected,
                "a caller is turned away"
            );
            self.metrics.reject(&rejected);
            self.send_away(id);
        }
    }

    /// Opens the media side of a caller's call, and starts its machine.
    fn open(
        &mut self,
        now: Instant,
        channel: Channel,
        args: &[String],
    ) -> Result<(), Rejected> {
        if self.stopping {
            return Err(Rejected::Stopping);
        }
        let arguments = Arguments::parse(args, &self.settings)?;
        let pipeline = self.registry.pipeline(&arguments.pipeline)?;
        let id = self.media.clock().new_call_id();
        let info = CallInfo {
            id,
            transport: arguments.media,
            format: Some(arguments.format),
            pipeline: Arc::clone(pipeline.name()),
            parameters: arguments.parameters,
            caller: Some(Caller {
                channel_id: channel.id.clone(),
                channel_name: channel.name,
                number: channel.caller.number,
                name: channel.caller.name,
            }),
            stream_uuid: None,
        };
        let spec = CallSpec { info, pipeline, events: Some(self.media_events.clone()) };
        let opened = match arguments.media {
            Transport::Rtp => self.media.open_rtp(spec).map(|host| ExternalMedia::Rtp { host }),
            Transport::AudioSocket => self
                .media
                .expect_audiosocket(spec)
                .map(|host| ExternalMedia::AudioSocket { host, uuid: id.uuid() }),
        };
        let media = opened?;
        info!(
            call.id = %id,
            channel.id,
            asterisk = self.settings.name,
            pipeline = arguments.pipeline,
            transport = %arguments.media,
            format = %arguments.format,
            "caller entered"
        );
        let entry = Entry {
            machine: CallMachine::new(now, arguments.on_end, self.settings.stranded),
            caller: channel.id.clone(),
            media,
            format: arguments.format,
            scheduled: None,
        };
        self.callers.insert(channel.id, id);
        self.calls.insert(id, entry);
        self.metrics.calls.store(self.calls.len() as u64, Ordering::Relaxed);
        self.carry_on(id);
        Ok(())
    }

    fn drive(&mut self, now: Instant, call: CallId, input: Input) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.machine.handle(now, input);
            self.carry_on(call);
        }
    }

    /// Does what a call's machine wants, and forgets the call when it is finished.
    fn carry_on(&mut self, call: CallId) {
        while let Some(command) =
            self.calls.get_mut(&call).and_then(|entry| entry.machine.poll_command())
        {
            match command {
                Command::Ask(request) => self.ask(call, request),
                Command::SetPeer(peer) => self.media.set_peer(call, peer),
                Command::EndMedia(reason) => self.media.end(call, reason),
            }
        }
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if entry.machine.is_finished() {
            debug!(call.id = %call, "nothing of the call is left in Asterisk");
            if self.callers.get(&entry.caller) == Some(&call) {
                self.callers.remove(&entry.caller);
            }
            self.calls.remove(&call);
            self.metrics.calls.store(self.calls.len() as u64, Ordering::Relaxed);
        } else if let Some(at) = entry.machine.wake()
            && entry.scheduled.is_none_or(|scheduled| at < scheduled)
        {
            entry.scheduled = Some(at);
            self.timers.push(Reverse((at, call)));
        }
    }

    fn ask(&self, call: CallId, request: Request) {
        let Some(entry) = self.calls.get(&call) else { return };
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let (caller, media, format) = (entry.caller.clone(), entry.media.clone(), entry.format);
        let external = self.ids.name(call, Role::Media);
        let bridge = self.ids.name(call, Role::Bridge);
        let (permits, metrics) = (Arc::clone(&self.permits), Arc::clone(&self.metrics));
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
                    client.continue_in_dialplan(&caller).await.map(|()| None)
                }
                Request::RemoveExternal => client.hangup(&external).await.map(|()| None),
                Request::RemoveBridge => client.destroy_bridge(&bridge).await.map(|()| None),
            };
            let reply = match result {
                Ok(peer) => Reply::Done { peer },
                Err(AriError::NotFound { .. }) => Reply::Absent,
                // The caller is in the dialplan already.
                Err(AriError::Refused { status: 409, .. })
                    if request == Request::ContinueCaller =>
                {
                    Reply::Absent
                }
                Err(error) => {
                    metrics.failed_requests.fetch_add(1, Ordering::Relaxed);
                    warn!(call.id = %call, %error, "a request failed");
                    Reply::Failed
                }
            };
            // A session that is gone needs no answer.
            let _ = answers.send(Answer::Request(call, request, reply));
        });
    }

    fn end_all(&mut self, now: Instant) {
        let calls: Vec<_> = self.calls.keys().copied().collect();
        for call in calls {
            self.drive(now, call, Input::End(EndReason::ShuttingDown));
        }
    }

    /// Sends a caller on whom we do not serve.
    fn send_away(&self, channel: String) {
        let (client, how) = (self.client.clone(), self.settings.stranded);
        tokio::spawn(async move {
            let result = match how {
                OnEnd::Hangup => client.hangup(&channel).await,
                OnEnd::Continue => client.continue_in_dialplan(&channel).await,
            };
            match result {
                Ok(()) | Err(AriError::NotFound { .. }) => {}
                Err(error) => warn!(channel.id = channel, %error, "a caller could not be sent on"),
            }
        });
    }

    fn ask_for_lists(&self) {
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let up = |(call, entry): (&CallId, &Entry)| entry.machine.is_up().then_some(*call);
        let settled: Vec<_> = self.calls.iter().filter_map(up).collect();
        let name = self.settings.name.clone();
        tokio::spawn(async move {
            let answer = match tokio::try_join!(client.channels(), client.bridges()) {
                Ok((channels, bridges)) => Answer::Lists { channels, bridges, settled },
                Err(error) => {
                    warn!(asterisk = name, %error, "channels and bridges could not be listed");
                    sleep(LIST_AGAIN).await;
                    Answer::ListsFailed
                }
            };
            // A session that is gone needs no answer.
            let _ = answers.send(answer);
        });
    }

    fn reconcile(
        &mut self,
        now: Instant,
        channels: &[Channel],
        bridges: &[Bridge],
        settled: &[CallId],
    ) {
        let calls: Vec<_> = self
            .calls
            .iter()
            .map(|(id, entry)| LiveCall {
                id: *id,
                caller: entry.caller.clone(),
                settled: settled.contains(id),
            })
            .collect();
        let findings = reconcile(&self.settings.app, &self.ids, channels, bridges, &calls);
        self.remove_orphans(findings.orphan_channels, findings.orphan_bridges);
        for (calls, input) in [
            (findings.with_external, Input::ExternalEntered),
            (findings.without_caller, Input::CallerGone),
            (findings.without_external, Input::ExternalGone),
            (findings.without_bridge, Input::BridgeGone),
        ] {
            for call in calls {
                self.drive(now, call, input);
            }
        }
        if !findings.waiting_callers.is_empty() {
            let (answers, waiting) = (self.answers.clone(), findings.waiting_callers);
            tokio::spawn(async move {
                sleep(STRANDED_AFTER).await;
                // A session that is gone needs no answer.
                let _ = answers.send(Answer::LookForStranded(waiting));
            });
        }
    }

    fn remove_orphans(
        &self,
        channels: impl IntoIterator<Item = String>,
        bridges: impl IntoIterator<Item = String>,
    ) {
        let remove = |name: String, is_bridge: bool| {
            info!(asterisk = self.settings.name, name, "removing what belongs to no call");
            self.metrics.orphans.fetch_add(1, Ordering::Relaxed);
            let client = self.client.clone();
            tokio::spawn(async move {
                let result = match is_bridge {
                    true => client.destroy_bridge(&name).await,
                    false => client.hangup(&name).await,
                };
                match result {
                    Ok(()) | Err(AriError::NotFound { .. }) => {}
                    Err(error) => warn!(name, %error, "an orphan could not be removed"),
                }
            });
        };
        channels.into_iter().for_each(|name| remove(name, false));
        bridges.into_iter().for_each(|name| remove(name, true));
    }

    /// Removes everything of ours that is still there: the last thing before the end.
    async fn sweep(&self) {
        let Ok((channels, bridges)) =
            tokio::try_join!(self.client.channels(), self.client.bridges())
        else {
            return;
        };
        for channel in channels.iter().filter(|there| self.ids.parse(&there.id).is_some()) {
            // It may have gone by itself meanwhile.
            let _ = self.client.hangup(&channel.id).await;
        }
        for bridge in bridges.iter().filter(|there| self.ids.parse(&there.id).is_some()) {
            // It may have gone by itself meanwhile.
            let _ = self.client.destroy_bridge(&bridge.id).await;
        }
    }
}
