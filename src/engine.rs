//! One call: its leg and its chain, driven from outside.
//!
//! The engine has no I/O and no clock. A driver hands it one [`Input`] at a time together with the
//! time of now, then drains [`Engine::poll_output`] until that says when to wake it next. An earlier
//! `now` than before is taken for the latest one; a wake too early does nothing.

mod io;
mod media_watch;
mod serving;
mod settling;
mod telling;

use std::collections::VecDeque;
use std::time::Instant;

pub use io::{Command, Epoch, Input, Output, Workbench};

use self::media_watch::{MediaWatch, Verdict};
use self::serving::{EventLog, Serving};

use crate::audio::{AudioFrame, MediaFormat, Origin, Ptime};
use crate::call::{CallInfo, EndReason, Transport};
use crate::dsp::prefetch::prefetch;
use crate::event::EventKind;
use crate::media::{
    AudioSocketLeg, CallStats, DigitFilter, Leg, MediaSettings, Pacer, PacketizerSeed, Playout,
    RtpLeg, Uplink,
};
use crate::processor::{End, Pipeline, Reach, Setup, Waker};

/// One call's leg and chain.
#[derive(Debug)]
pub struct Engine {
    about: Box<About>,
    leg: Leg,
    serving: Option<Serving>,
    pacer: Option<Pacer>,
    events: EventLog,
    /// Apart, because a frame needs only the first few of the counters.
    stats: Box<CallStats>,
    now: Instant,
    watch: MediaWatch,
    media_seen: bool,
    state: State,
}

/// What a call is, and what it wants: apart from what every frame needs.
#[derive(Debug)]
struct About {
    info: CallInfo,
    settings: MediaSettings,
    pipeline: Pipeline,
    waker: Waker,
    /// A moment at which a frame is due.
    ticks: Option<Instant>,
    digits: DigitFilter,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Running,
    /// Over; the peer may still have to be told.
    Farewell,
    Ended,
}

impl Engine {
    /// A call over RTP in `info.format`. It receives and sends nothing before
    /// [`Command::SetPeer`].
    ///
    /// # Panics
    /// Where `info` has no format, or one that does not travel over RTP, and where the settings of
    /// Opus are out of range.
    #[must_use]
    pub fn rtp(
        epoch: Epoch,
        info: CallInfo,
        pipeline: Pipeline,
        settings: MediaSettings,
        seed: PacketizerSeed,
    ) -> Self {
        let format = info.format.expect("a call over RTP has a format from its start");
        assert!(Transport::Rtp.carries(format), "{format} does not travel over RTP");
        let leg = RtpLeg::new(format, epoch.instant, &settings, seed);
        Self::new(epoch, info, pipeline, settings, Leg::Rtp(Box::new(leg)))
    }

    /// A call over AudioSocket, behind its UUID frame. Frames of more than `max_frame_bytes` end
    /// it. Where `info` has no format, the first frame of audio decides.
    #[must_use]
    pub fn audiosocket(
        epoch: Epoch,
        info: CallInfo,
        pipeline: Pipeline,
        settings: MediaSettings,
        max_frame_bytes: usize,
    ) -> Self {
        let leg = AudioSocketLeg::new(
            info.format.map(MediaFormat::sample_rate),
            epoch.instant,
            max_frame_bytes,
        );
        let mut engine =
            Self::new(epoch, info, pipeline, settings, Leg::AudioSocket(Box::new(leg)));
        engine.start_pacer();
        engine
    }

    fn new(
        epoch: Epoch,
        info: CallInfo,
        pipeline: Pipeline,
        settings: MediaSettings,
        leg: Leg,
    ) -> Self {
        let transport = info.transport;
        let watch = MediaWatch::new(&settings, epoch.instant);
        let (waker, digits) = (Waker::default(), DigitFilter::default());
        let about = About { info, settings, pipeline, waker, ticks: None, digits };
        let mut engine = Self {
            watch,
            about: Box::new(about),
            leg,
            serving: None,
            pacer: None,
            // Mostly there is one at a time.
            events: EventLog { epoch, queue: VecDeque::with_capacity(1) },
            stats: Box::default(),
            now: epoch.instant,
            media_seen: false,
            state: State::Running,
        };
        engine.tell(EventKind::CallStarted { transport });
        engine
    }

    /// Gives processors a way to have [`Command::Wake`] sent; to be called before the first input.
    /// Without it they are not woken.
    pub fn set_waker(&mut self, waker: Waker) {
        self.about.waker = waker;
    }

    /// Lets frames be sent at `moment` and whole packet times before and after it. Without this, the
    /// first is sent as soon as it can be.
    ///
    /// Once something was played, no frame comes less than a packet time behind the one before it.
    pub fn set_ticks(&mut self, now: Instant, moment: Instant) {
        self.now = self.now.max(now);
        self.about.ticks = Some(moment);
        let played = self.serving.as_ref().is_some_and(|serving| serving.playout.has_played());
        match &mut self.pacer {
            Some(pacer) if played => pacer.align(moment),
            pacer => {
                if pacer.take().is_some() {
                    self.start_pacer();
                }
            }
        }
    }

    /// Asks for the memory that the next packet needs, right behind the engine itself.
    pub fn prefetch(&self) {
        self.leg.prefetch();
        prefetch(&self.stats.packets_received);
        prefetch(&self.stats.packets_sent);
        if let Some(serving) = &self.serving {
            serving.chain.prefetch();
            serving.playout.prefetch();
        }
    }

    /// Asks for the memory behind that of [`Self::prefetch`].
    pub fn prefetch_behind(&self) {
        self.leg.prefetch_behind();
        if let Some(serving) = &self.serving {
            serving.chain.prefetch_behind();
        }
    }

    /// The call's description; its format is filled in once known.
    #[must_use]
    pub fn info(&self) -> &CallInfo {
        &self.about.info
    }

    /// What was counted so far, without how well audio arrived.
    #[must_use]
    pub fn counters(&self) -> &CallStats {
        &self.stats
    }

    /// What was counted so far, and how well audio arrived.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        CallStats { reception: self.leg.reception(), ..*self.stats }
    }

    /// How the call's audio travels.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.leg {
            Leg::Rtp(_) => Transport::Rtp,
            Leg::AudioSocket(_) => Transport::AudioSocket,
        }
    }

    /// Takes one input. Drain [`Self::poll_output`] after it.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        if self.state != State::Running {
            return;
        }
        match input {
            Input::Datagram { from, bytes } => {
                let before = self.stats.packets_received;
                self.leg.handle_datagram(self.now, from, bytes, &mut self.stats);
                self.receive();
                // Comfort noise and late packets are no frames, but a sign of life.
                if self.stats.packets_received > before {
                    self.watch.heard(self.now);
                }
            }
            Input::Stream(mut bytes) => {
                while !bytes.is_empty() && self.state == State::Running {
                    let taken = self.leg.handle_stream(bytes);
                    bytes = &bytes[taken..];
                    self.receive();
                }
            }
            Input::StreamClosed => {
                self.leg.close();
                self.end(EndReason::PeerClosed);
            }
            Input::TransmitFailed => {
                self.stats.packets_sent = self.stats.packets_sent.saturating_sub(1);
                self.stats.frames_skipped += 1;
                return;
            }
            Input::Command(Command::SetPeer(peer)) => {
                if let Leg::Rtp(leg) = &mut self.leg {
                    leg.set_peer(peer);
                    self.start_pacer();
                }
            }
            Input::Command(Command::Digit(digit)) => {
                self.take_digit(digit);
                self.settle();
            }
            Input::Command(Command::End(reason)) => self.end(reason),
            Input::Command(Command::Wake) => {
                self.about.waker.arrived();
                Serving::wake(&mut self.serving, &self.events, self.now);
                self.settle();
            }
            // A leg that has told its format has nothing of itself but what it waits with.
            Input::Timeout if self.serving.is_some() && self.leg.wake().is_none() => self.settle(),
            Input::Timeout => self.receive(),
        }
        if self.state == State::Running {
            self.watch_media();
        }
    }

    /// What is to be done next. Call it until it answers [`Output::Wait`] or [`Output::Ended`]. What is
    /// to be transmitted lies in the `workbench`.
    pub fn poll_output<'a>(&mut self, workbench: &'a mut Workbench) -> Output<'a> {
        if let Some(event) = self.events.queue.pop_front() {
            return Output::Event(event);
        }
        match self.state {
            State::Running => {
                if self.tick(workbench) {
                    return Output::Transmit(&workbench.tx);
                }
                match self.events.queue.pop_front() {
                    Some(event) => Output::Event(event),
                    None => Output::Wait(self.wake()),
                }
            }
            State::Farewell => {
                self.state = State::Ended;
                if self.leg.hangup(&mut workbench.tx) {
                    return Output::Transmit(&workbench.tx);
                }
                Output::Ended
            }
            State::Ended => Output::Ended,
        }
    }

    /// Takes all that the leg has, and carries out what the chain wants.
    fn receive(&mut self) {
        let mut ended = None;
        while let Some(uplink) = self.leg.poll(self.now, &mut self.stats) {
            match uplink {
                Uplink::Format { format, rate } => {
                    let About { info, settings, pipeline, waker, .. } = &mut *self.about;
                    info.format = Some(format);
                    let setup = Setup { call: info, rate, waker };
                    self.serving = Some(Serving {
                        chain: pipeline.build(&setup),
                        playout: Playout::new(rate, Ptime::MS_20, settings.playout_max_queue),
                        requests: Vec::new(),
                        reach: Reach {
                            controlled: info.caller.is_some(),
                            pipeline: pipeline.clone(),
                        },
                        hangs_up: false,
                    });
                }
                Uplink::Frame(mut frame) => {
                    let now = self.events.position(self.now, frame.rate);
                    if frame.origin == Origin::Real {
                        self.watch.heard(self.now);
                        if let (false, Some(format)) = (self.media_seen, self.about.info.format) {
                            self.media_seen = true;
                            let ready = EventKind::MediaReady { format };
                            Serving::tell(&mut self.serving, &mut self.events, self.now, ready);
                        }
                    }
                    if let Some((chain, mut cx)) = Serving::parts(&mut self.serving, now) {
                        chain.uplink(&mut frame, &mut cx);
                    }
                }
                Uplink::Late(frame) => {
                    let now = self.events.position(self.now, frame.rate);
                    if let Some((chain, mut cx)) = Serving::parts(&mut self.serving, now) {
                        chain.late(&frame, &mut cx);
                    }
                }
                Uplink::FormatMismatch { expected, actual } => {
                    self.tell(EventKind::FormatMismatch { expected, actual });
                }
                Uplink::Digit(digit) => self.take_digit(digit),
                Uplink::Ended(reason) => {
                    ended = Some(reason);
                    break;
                }
            }
        }
        self.settle();
        if let Some(reason) = ended {
            self.end(reason);
        }
    }

    /// Makes the frame that is due, if one is; true where `tx` holds something to send.
    fn tick(&mut self, Workbench { frame, tx }: &mut Workbench) -> bool {
        while self.state == State::Running
            && let Some(tick) = self.pacer.as_mut().and_then(|pacer| pacer.tick(self.now))
        {
            let rate = self.leg.send_rate();
            let count = Ptime::MS_20.samples(rate);
            self.stats.frames_skipped += u64::from(tick.skipped);
            self.leg.skip(count * tick.skipped as usize);
            // What another call has left there is gone; before this one is served it stays silence.
            frame.clear();
            frame.resize(count, 0);
            let mut origin = Origin::Silence;
            let mut drained = false;
            let now = self.events.position(self.now, rate);
            if let Some(serving) = &mut self.serving {
                let pulled = serving.playout.pull(frame);
                drained = pulled.drained;
                if pulled.queued_samples > 0 {
                    origin = Origin::Real;
                }
            }
            if let Some((chain, mut cx)) = Serving::parts(&mut self.serving, now) {
                let position = tick.position(rate);
                let mut frame = AudioFrame { samples: frame, rate, position, origin };
                chain.downlink(&mut frame, &mut cx);
            }
            let sent = self.leg.send(frame, origin != Origin::Silence, tx);
            self.stats.packets_sent += u64::from(sent);
            if drained {
                self.tell(EventKind::PlaybackDone);
            }
            self.settle();
            if sent {
                return true;
            }
        }
        false
    }

    fn start_pacer(&mut self) {
        if self.pacer.is_none() {
            let mut pacer = Pacer::new(Ptime::MS_20, self.events.epoch.instant, self.now);
            if let Some(moment) = self.about.ticks {
                pacer.align(moment);
            }
            self.pacer = Some(pacer);
        }
    }

    fn watch_media(&mut self) {
        match self.watch.verdict(self.now) {
            None => {}
            Some(Verdict::TooLong) => self.end(EndReason::NoMedia),
            Some(Verdict::Tell { silent_ms }) => {
                self.tell(EventKind::NoMedia { silent_ms });
                self.settle();
            }
        }
    }

    fn wake(&self) -> Option<Instant> {
        let tick = self.pacer.as_ref().map(Pacer::next);
        [tick, self.leg.wake(), self.watch.wake()].into_iter().flatten().min()
    }

    fn end(&mut self, reason: EndReason) {
        if self.state != State::Running {
            return;
        }
        self.state = State::Farewell;
        // What waits behind a hole has arrived: the archive wants it.
        self.leg.give_up_holes();
        self.receive();
        let stats = Box::new(self.stats());
        if let Some(serving) = &mut self.serving {
            let duration = self.now.saturating_duration_since(self.events.epoch.instant);
            let end = End { reason, duration, stats: &stats };
            serving.chain.finish(&self.about.info, &end);
        }
        self.events.push(self.now, EventKind::CallEnded { reason, stats });
    }
}
