use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::warn;

use super::Service;
use super::line::Line;
use crate::audio::SampleRate;
use crate::call::CallId;
use crate::event::{CallEvent, Event, EventKind};
use crate::processor::Message;
use crate::processor::stt::{Output, Session};
use crate::runtime::directory::EventSink;
use crate::runtime::line_state::State;
use crate::runtime::link::{Done, Driver, Link, LinkError, Lost, Talk, Way};

/// One call's talk with a service.
pub(super) struct Task {
    service: Arc<Service>,
    line: Arc<Line>,
    session: Session,
    call: CallId,
    /// Where events go when the call takes them no more.
    events: Option<EventSink>,
    began: Instant,
    /// The call takes no more events.
    closed: bool,
}

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
            events: service.listeners.of(call),
            began: service.clock.now(),
            service,
            line,
            call,
            closed: false,
        }
    }

    /// Connects again and again until the talk is over.
    pub(super) async fn run(mut self, way: Way) {
        let line = Arc::clone(&self.line);
        let (backoff, clock) = (self.service.backoff(), self.service.clock);
        Driver { way, ready: &line.ready, backoff, clock }.run(&mut self).await;
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

impl Talk for Task {
    fn turn(&mut self, mut link: Option<&mut Link>) -> Result<Option<Instant>, Done> {
        let now = self.service.clock.now();
        self.take_audio(now)?;
        let wake = loop {
            let can_send = link.as_ref().is_some_and(|link| link.is_free());
            match (self.session.poll_output(now, can_send), &mut link) {
                (Output::Send(message), Some(link)) => link.send(message),
                (Output::Send(_), None) => {}
                (Output::Tell(event), _) => self.tell(event),
                (Output::Wait(wake), _) => break Ok(wake),
                (Output::Done, _) => break Err(Done),
            }
        };
        self.service.metrics.add(&self.session.take_counts());
        wake
    }

    fn connected(&mut self) {
        self.service.metrics.connections.fetch_add(1, Ordering::Relaxed);
        self.session.connected(self.service.clock.now());
    }

    fn heard(&mut self, message: Message) {
        match message {
            Message::Text(text) => self.session.text(&text),
            Message::Binary(bytes) => self.session.binary(bytes.len()),
        }
    }

    fn lost(&mut self, error: &LinkError) -> Lost {
        if self.session.may_be_disconnected() {
            self.session.disconnected("closed", String::new());
            return Lost::Expected;
        }
        let Service { name, metrics, clock, log, .. } = &*self.service;
        metrics.faults.add(error.label(), 1);
        if let Some(held_back) = log.pass(clock.now()) {
            warn!(service = %name, call.id = %self.call, %error, held_back, "no speech-to-text");
        }
        self.session.disconnected(error.label(), error.to_string());
        Lost::Failed
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.service.metrics.open.fetch_sub(1, Ordering::Relaxed);
    }
}
