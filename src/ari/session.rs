//! One Asterisk: its event stream, its calls, and the requests for them.

mod wishes;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tracing::{debug, info, warn};

use super::arguments::Arguments;
use super::client::{AriClient, ExternalMedia};
use super::entry::Entry;
use super::errands::{Answer, Errands, Subject};
use super::ids::{Ids, Role};
use super::keypad::Keypad;
use super::machine::{CallMachine, Command, Input};
use super::metrics::AriMetrics;
use super::reconcile::{LiveCall, reconcile};
use super::rejected::Rejected;
use super::settings::AsteriskSettings;
use super::stream::StreamEvent;
use super::types::{AriEvent, Bridge, Channel};
use crate::call::{CallId, CallInfo, Caller, EndReason, Transport};
use crate::event::{CallEvent, EventKind};
use crate::media::{Digit, DigitSource};
use crate::processor::Registry;
use crate::runtime::{CallSpec, EventSink, MediaHandle, Throttle};

/// Time for the last requests after the grace period of a stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

pub(super) struct Session {
    settings: AsteriskSettings,
    media: MediaHandle,
    registry: Arc<Registry>,
    metrics: Arc<AriMetrics>,
    ids: Ids,
    errands: Errands,
    calls: HashMap<CallId, Entry>,
    callers: HashMap<String, CallId>,
    /// Callers who were found in our application, and of whom no event has told since.
    waiting: HashSet<String>,
    rejections: Throttle,
    timers: BinaryHeap<Reverse<(Instant, CallId)>>,
    answered: Option<UnboundedReceiver<Answer>>,
    media_events: EventSink,
    media_told: Option<UnboundedReceiver<CallEvent>>,
    connected: bool,
    stopping: bool,
}

impl Session {
    pub(super) fn new(
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
            errands: Errands::new(&settings, client, Arc::clone(&metrics), answers, media.clock()),
            settings,
            media,
            registry,
            metrics,
            calls: HashMap::new(),
            callers: HashMap::new(),
            waiting: HashSet::new(),
            rejections: Throttle::default(),
            timers: BinaryHeap::new(),
            answered: Some(answered),
            media_events,
            media_told: Some(media_told),
            connected: false,
            stopping: false,
        }
    }

    /// Runs until it is stopped and everything of ours is gone.
    pub(super) async fn run(
        mut self,
        mut stream: UnboundedReceiver<StreamEvent>,
        source: JoinHandle<()>,
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
        let reachable = self.connected;
        // Nobody can enter the application any more once its event stream is closed.
        drop(stream);
        let last = async {
            // A stream that panicked is closed, too.
            let _ = source.await;
            if reachable {
                self.errands.sweep().await;
            }
            self.errands.finish().await;
        };
        if timeout(LAST_REQUESTS, last).await.is_err() {
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
            StreamEvent::Event(event) => *event,
        };
        match event {
            AriEvent::StasisStart { channel, args } => match self.ids.parse(&channel.id) {
                Some((call, Role::Media)) if self.calls.contains_key(&call) => {
                    self.drive(now, call, Input::ExternalEntered);
                }
                Some(_) => self.errands.remove_orphans([channel.id], []),
                None => {
                    self.waiting.remove(&channel.id);
                    // Whoever enters again had left, even if nothing told it.
                    if let Some(call) = self.callers.get(&channel.id).copied() {
                        self.drive(now, call, Input::CallerGone);
                    }
                    self.caller_entered(now, channel, &args);
                }
            },
            AriEvent::StasisEnd { channel } | AriEvent::ChannelDestroyed { channel } => {
                self.waiting.remove(&channel.id);
                if let Some((call, _)) = self.ids.parse(&channel.id) {
                    self.drive(now, call, Input::ExternalGone);
                } else if let Some(call) = self.callers.get(&channel.id).copied() {
                    self.drive(now, call, Input::CallerGone);
                }
            }
            AriEvent::ChannelDtmfReceived { channel, digit, duration_ms } => {
                self.tell_digit(&channel, &digit, Duration::from_millis(duration_ms));
            }
            AriEvent::BridgeDestroyed { bridge } => {
                if let Some((call, _)) = self.ids.parse(&bridge.id) {
                    self.drive(now, call, Input::BridgeGone);
                }
            }
            // The stream has ended itself.
            AriEvent::ApplicationReplaced | AriEvent::Other => {}
        }
    }

    /// Tells the caller's call of a digit. What the external channel sends is none of the caller's.
    fn tell_digit(&self, channel: &Channel, digit: &str, duration: Duration) {
        let Some(call) = self.callers.get(&channel.id) else { return };
        let key = digit.chars().next();
        if let Some(digit) = key.and_then(|key| Digit::new(key, DigitSource::Ari, Some(duration))) {
            self.media.digit(*call, digit);
        }
    }

    fn handle_answer(&mut self, now: Instant, answer: Answer) {
        match answer {
            Answer::Request(call, request, reply) => {
                self.drive(now, call, Input::Reply(request, reply));
            }
            Answer::Pressed(call) => self.pressed(call),
            Answer::Lists { channels, bridges, settled } => {
                self.reconcile(now, &channels, &bridges, &settled);
            }
            Answer::ListsFailed if self.connected => self.ask_for_lists(),
            Answer::ListsFailed => {}
            Answer::LookForStranded(waiting) => {
                for channel in waiting {
                    if !self.waiting.remove(&channel) {
                        continue;
                    }
                    warn!(
                        asterisk = self.settings.name,
                        channel.id = channel,
                        "a caller waited for a server that had died"
                    );
                    self.metrics.stranded.fetch_add(1, Ordering::Relaxed);
                    self.errands.send_away(channel);
                }
            }
        }
    }

    fn handle_media(&mut self, now: Instant, told: &CallEvent) {
        match &told.event.kind {
            EventKind::CallEnded { reason, .. } => {
                self.drive(now, told.call, Input::MediaEnded(*reason));
            }
            EventKind::Transfer { destination } => self.note_place(told.call, destination),
            EventKind::SendDtmf { digits } => self.press(told.call, digits),
            _ => {}
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
            if let Some(held_back) = self.rejections.pass(now) {
                warn!(
                    asterisk = self.settings.name,
                    channel.id = id,
                    reason = %rejected,
                    held_back,
                    "a caller is turned away"
                );
            }
            self.metrics.reject(&rejected);
            self.errands.send_away(id);
        }
    }

    /// Opens the media side of a caller's call, and starts its machine.
    fn open(&mut self, now: Instant, channel: Channel, args: &[String]) -> Result<(), Rejected> {
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
            subject: Subject {
                caller: channel.id.clone(),
                media,
                format: arguments.format,
                place: None,
            },
            keypad: Keypad::default(),
            held: None,
            origin: channel.dialplan,
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
                Command::TransferFailed => self.transfer_failed(call),
            }
        }
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if entry.machine.is_finished() {
            debug!(call.id = %call, "nothing of the call is left in Asterisk");
            if self.callers.get(&entry.subject.caller) == Some(&call) {
                self.callers.remove(&entry.subject.caller);
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

    fn end_all(&mut self, now: Instant) {
        let calls: Vec<_> = self.calls.keys().copied().collect();
        for call in calls {
            self.drive(now, call, Input::End(EndReason::ShuttingDown));
        }
    }

    fn ask_for_lists(&self) {
        let up = |(call, entry): (&CallId, &Entry)| entry.machine.is_up().then_some(*call);
        self.errands.list(self.calls.iter().filter_map(up).collect());
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
                caller: entry.subject.caller.clone(),
                settled: settled.contains(id),
            })
            .collect();
        let findings = reconcile(&self.settings.app, &self.ids, channels, bridges, &calls);
        self.errands.remove_orphans(findings.orphan_channels, findings.orphan_bridges);
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
            self.waiting.extend(findings.waiting_callers.iter().cloned());
            self.errands.look_for_stranded(findings.waiting_callers);
        }
    }
}
