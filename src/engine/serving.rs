use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Epoch;
use crate::audio::{Position, SampleRate};
use crate::event::{Event, EventKind};
use crate::media::Playout;
use crate::processor::{Chain, Context, Reach, Request};

/// What exists once the call's sample rate is known.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) chain: Chain,
    pub(super) playout: Playout,
    pub(super) requests: Vec<Request>,
    pub(super) reach: Reach,
    /// The call ends once nothing waits to be played.
    pub(super) hangs_up: bool,
}

/// What is to be told, and since when the call's time counts.
#[derive(Debug)]
pub(super) struct EventLog {
    pub(super) epoch: Epoch,
    pub(super) queue: VecDeque<Event>,
}

impl Serving {
    /// The chain, and what it may do at `now`.
    pub(super) fn parts(
        serving: &mut Option<Self>,
        now: Position,
    ) -> Option<(&mut Chain, Context<'_>)> {
        let Self { chain, playout, requests, reach, .. } = serving.as_mut()?;
        Some((chain, Context { now, playout, requests, reach }))
    }

    /// Lets processors look whether something has come from outside of the shard.
    pub(super) fn wake(serving: &mut Option<Self>, events: &EventLog, now: Instant) {
        let Some(rate) = serving.as_ref().map(|serving| serving.playout.rate()) else { return };
        if let Some((chain, mut cx)) = Self::parts(serving, events.position(now, rate)) {
            chain.woken(&mut cx);
        }
    }

    /// Switches the stages that `name` stands for; answers the names that they have in the pipeline.
    pub(super) fn switch(
        serving: &mut Option<Self>,
        now: Position,
        name: &str,
        on: bool,
    ) -> Vec<Arc<str>> {
        let Some(Self { reach: Reach { pipeline, .. }, .. }) = serving else { return Vec::new() };
        let stages: Vec<_> =
            pipeline.stages(name).map(|(index, name)| (index, Arc::clone(name))).collect();
        if let Some((chain, mut cx)) = Self::parts(serving, now) {
            stages.iter().for_each(|(index, _)| chain.switch(*index, on, &mut cx));
        }
        stages.into_iter().map(|(_, name)| name).collect()
    }

    /// Tells an event to the chain and to the outside.
    pub(super) fn tell(
        serving: &mut Option<Self>,
        events: &mut EventLog,
        now: Instant,
        kind: EventKind,
    ) {
        if let Some(rate) = serving.as_ref().map(|serving| serving.playout.rate()) {
            let position = events.position(now, rate);
            if let Some((chain, mut cx)) = Self::parts(serving, position) {
                chain.event(&kind, &mut cx);
            }
        }
        events.push(now, kind);
    }
}

impl EventLog {
    /// Where `now` lies, in samples since the call's start.
    pub(super) fn position(&self, now: Instant, rate: SampleRate) -> Position {
        Position(rate.samples_in(now.saturating_duration_since(self.epoch.instant)))
    }

    /// Adds what happens now.
    pub(super) fn push(&mut self, now: Instant, kind: EventKind) {
        let media_time = now.saturating_duration_since(self.epoch.instant);
        let wall_time = self.epoch.wall + media_time;
        self.queue.push_back(Event { media_time, wall_time, kind });
    }
}
