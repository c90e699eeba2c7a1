use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::warn;

use super::Service;
use super::line::{Line, Losses};
use super::metrics::add;
use crate::audio::SampleRate;
use crate::call::CallId;
use crate::processor::bot::{Facts, Output, Session};
use crate::processor::{Message, Setup};
use crate::runtime::line_state::State;
use crate::runtime::link::{Done, Driver, Link, LinkError, Lost, Talk, Way};

/// Codes with which a bot says that it has finished (RFC 6455 section 7.4.1): a normal closure, and
/// one without a code.
const FINISHED: [u16; 2] = [1_000, 1_005];

/// One call's talk with a bot.
pub(super) struct Task {
    service: Arc<Service>,
    line: Arc<Line>,
    session: Session,
    call: CallId,
}

impl Task {
    pub(super) fn new(
        service: Arc<Service>,
        line: Arc<Line>,
        setup: &Setup<'_>,
        rate: SampleRate,
    ) -> Self {
        let mut call = setup.call.clone();
        for (key, value) in &service.settings.parameters {
            call.parameters.insert(key.clone(), value.expand(setup.call));
        }
        let settings = service.settings.session.clone();
        let facts = Facts {
            call,
            rate,
            chunk: settings.chunk,
            account_sid: settings.account_sid.clone(),
            connection: 0,
        };
        let now = service.clock.now();
        let name = Arc::clone(&service.name);
        Self {
            session: Session::new(settings, name, facts, setup.rate, now),
            service,
            line,
            call: setup.call.id,
        }
    }

    /// Connects again and again until the talk is over.
    pub(super) async fn run(mut self, way: Way) {
        let line = Arc::clone(&self.line);
        let (backoff, clock) = (self.service.backoff(), self.service.clock);
        Driver { way, ready: &line.ready, backoff, clock }.run(&mut self).await;
    }

    /// Takes what the call has told.
    fn take(&mut self, now: Instant) -> Result<(), Done> {
        let state = self.line.state();
        while let Some(told) = self.line.pop() {
            self.session.told(told);
        }
        let Losses { samples, notices, discarded } = self.line.take_losses();
        if samples > 0 {
            self.session.drop_samples(samples);
        }
        add(&self.service.metrics.dropped_notices, notices);
        add(&self.service.metrics.discarded_samples, discarded);
        self.session.set_queued(self.line.waiting() as u64);
        match state {
            State::Open => Ok(()),
            State::Closed => {
                self.session.finish(now);
                Ok(())
            }
            State::Abandoned => Err(Done),
        }
    }
}

impl Talk for Task {
    fn turn(&mut self, mut link: Option<&mut Link>) -> Result<Option<Instant>, Done> {
        let now = self.service.clock.now();
        self.take(now)?;
        let mut ordered = false;
        let wake = loop {
            let can_send = link.as_ref().is_some_and(|link| link.is_free());
            match (self.session.poll_output(now, can_send), &mut link) {
                (Output::Send(message), Some(link)) => link.send(message),
                (Output::Send(_), None) => {}
                (Output::Order(order), _) => {
                    self.line.order(order);
                    ordered = true;
                }
                (Output::Wait(wake), _) => break Ok(wake),
                (Output::Done, _) => break Err(Done),
            }
        };
        if ordered {
            self.line.wake();
        }
        while let Some(piece) = self.session.spent() {
            self.line.recycle(piece);
        }
        self.service.metrics.add(&self.session.take_counts());
        wake
    }

    fn connected(&mut self) {
        self.service.metrics.connections.fetch_add(1, Ordering::Relaxed);
        self.session.connected(self.service.clock.now());
    }

    fn heard(&mut self, message: Message) {
        self.session.heard(self.service.clock.now(), &message);
    }

    fn reads(&self) -> bool {
        self.line.has_room()
    }

    fn lost(&mut self, error: &LinkError) -> Lost {
        if matches!(error, LinkError::Closed { code: Some(code) } if FINISHED.contains(code)) {
            self.session.ended();
            return Lost::Expected;
        }
        let Service { name, metrics, clock, log, .. } = &*self.service;
        metrics.faults.add(error.label(), 1);
        if let Some(held_back) = log.pass(clock.now()) {
            warn!(bot = %name, call.id = %self.call, %error, held_back, "no bot");
        }
        self.session.disconnected(clock.now(), error.label(), error.to_string());
        Lost::Failed
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.service.metrics.open.fetch_sub(1, Ordering::Relaxed);
    }
}
