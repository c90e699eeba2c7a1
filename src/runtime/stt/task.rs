use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::time::{sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message as Frame;
use tracing::warn;

use super::Service;
use super::line::{Line, State};
use crate::audio::SampleRate;
use crate::call::CallId;
use crate::event::{CallEvent, Event, EventKind};
use crate::processor::Message;
use crate::processor::stt::{Output, Session};
use crate::runtime::directory::EventSink;
use crate::runtime::link::{Link, LinkError, LinkEvent, LinkRequest};

/// One call's talk with a service.
pub(super) struct Task {
    service: Arc<Service>,
    line: Arc<Line>,
    session: Session,
    request: LinkRequest,
    call: CallId,
    /// Where events go when the call takes them no more.
    events: Option<EventSink>,
    began: Instant,
    /// The call takes no more events.
    closed: bool,
}

/// The call is over, and so is the talk.
struct Done;

impl Task {
    pub(super) fn new(
        service: Arc<Service>,
        line: Arc<Line>,
        call: CallId,
        rate: SampleRate,
    ) -> Self {
        let settings = service.settings.session.clone();
        Self {
            session: Session::new(settings, Arc::clone(&service.name), rate),
            request: service.request(rate),
            events: service.listeners.of(call),
            began: service.clock.now(),
            service,
            line,
            call,
            closed: false,
        }
    }

    /// Connects again and again until the talk is over.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            match self.connect(failures).await {
                Err(Done) => return,
                Ok(Ok(link)) => {
                    let since = self.service.clock.now();
                    let lost = match self.talk(link).await {
                        Err(Done) => return,
                        Ok(lost) => lost,
                    };
                    if self.session.may_be_disconnected() {
                        failures = 0;
                        self.session.disconnected("closed", String::new());
                        continue;
                    }
                    // One that is taken and closed again at once is a failure, too.
                    let lasted = self.service.clock.now().saturating_duration_since(since);
                    let short = lasted < self.service.settings.reconnect_max;
                    failures = if short { failures + 1 } else { 0 };
                    self.lost(&lost);
                }
                Ok(Err(error)) => {
                    failures += 1;
                    self.lost(&error);
                }
            }
        }
    }

    /// Connects, after a pause where it has failed before; takes audio meanwhile.
    async fn connect(&mut self, failures: u32) -> Result<Result<Link, LinkError>, Done> {
        let (service, request) = (Arc::clone(&self.service), self.request.clone());
        let mut connecting = pin!(async {
            if failures > 0 {
                sleep(service.backoff().pause(failures)).await;
            }
            Link::connect(&request, &service.link(), &service.tls).await
        });
        loop {
            let wake = self.turn(None)?;
            tokio::select! {
                link = &mut connecting => return Ok(link),
                () = self.line.ready.notified() => {}
                () = at(wake) => {}
            }
        }
    }

    /// Talks on a new connection until that is lost.
    async fn talk(&mut self, mut link: Link) -> Result<LinkError, Done> {
        self.service.metrics.connections.fetch_add(1, Ordering::Relaxed);
        self.session.connected(self.service.clock.now());
        loop {
            let wake = match self.turn(Some(&mut link)) {
                Ok(wake) => wake,
                Err(Done) => {
                    link.close().await;
                    return Err(Done);
                }
            };
            tokio::select! {
                event = link.next() => match event {
                    Ok(LinkEvent::Free) => {}
                    Ok(LinkEvent::Text(text)) => self.session.text(&text),
                    Ok(LinkEvent::Binary(bytes)) => self.session.binary(bytes.len()),
                    Err(error) => return Ok(error),
                },
                () = self.line.ready.notified() => {}
                () = at(wake) => {}
            }
        }
    }

    /// Takes what has come from the call and does what the session wants; answers when it wants to
    /// be asked again.
    fn turn(&mut self, mut link: Option<&mut Link>) -> Result<Option<Instant>, Done> {
        let now = self.service.clock.now();
        self.take_audio(now)?;
        let wake = loop {
            let can_send = link.as_ref().is_some_and(|link| link.is_free());
            match (self.session.poll_output(now, can_send), &mut link) {
                (Output::Send(Message::Text(text)), Some(link)) => link.send(Frame::text(text)),
                (Output::Send(Message::Binary(bytes)), Some(link)) => {
                    link.send(Frame::binary(bytes));
                }
                (Output::Send(_), None) => {}
                (Output::Tell(event), _) => self.tell(event),
                (Output::Wait(wake), _) => break Ok(wake),
                (Output::Done, _) => break Err(Done),
            }
        };
        self.service.metrics.add(&self.session.take_counts());
        wake
    }

    fn take_audio(&mut self, now: Instant) -> Result<(), Done> {
        let state = self.line.state();
        while let Some(piece) = self.line.pop() {
            self.session.audio(now, &piece);
            self.line.recycle(piece);
        }
        let dropped = self.line.take_dropped_samples();
        if dropped > 0 {
            self.session.drop_samples(dropped);
        }
        match state {
            State::Open => {}
            State::Closed => {
                self.session.finish(now);
                self.closed = true;
                while let Some(event) = self.line.pop_event() {
                    self.tell_late(event);
                }
            }
            State::Abandoned => return Err(Done),
        }
        Ok(())
    }

    /// The connection is lost, or none could be made.
    fn lost(&mut self, error: &LinkError) {
        let Service { name, metrics, clock, log, .. } = &*self.service;
        metrics.fault(error.label(), 1);
        if let Some(held_back) = log.pass(clock.now()) {
            warn!(service = %name, call.id = %self.call, %error, held_back, "no speech-to-text");
        }
        self.session.disconnected(error.label(), error.to_string());
    }

    fn tell(&mut self, event: EventKind) {
        if self.closed {
            self.tell_late(event);
        } else if self.line.tell(event) {
            self.service.metrics.dropped_events.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells an event of a call that is over.
    fn tell_late(&self, kind: EventKind) {
        let Some(events) = &self.events else { return };
        let clock = self.service.clock;
        let media_time = clock.now().saturating_duration_since(self.began);
        let event = Event { media_time, wall_time: clock.wall(), kind };
        // Whoever opened the call may have lost interest.
        let _ = events.send(CallEvent { call: self.call, event });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.service.metrics.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Done at that moment; never without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}
