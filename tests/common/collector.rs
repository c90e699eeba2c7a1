use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::audio::{AudioFrame, Origin};
use sidetone::call::CallInfo;
use sidetone::event::EventKind;
use sidetone::media::CallStats;
use sidetone::processor::{Context, End, Processor, ProcessorFactory, Setup};

/// Which way a frame went through the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Track {
    Uplink,
    Late,
    Downlink,
}

/// A frame that came through the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) track: Track,
    pub(crate) position: u64,
    pub(crate) origin: Origin,
    /// Media time at which it came.
    pub(crate) now: u64,
    pub(crate) samples: Vec<i16>,
}

impl Kept {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.samples.len() as u64
    }
}

/// What a chain has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) frames: Vec<Kept>,
    pub(crate) events: Vec<EventKind>,
    /// How often the call was finished, and what of the call was known then.
    pub(crate) finished: Vec<(Duration, CallStats)>,
    /// Frames or events after the call was finished.
    pub(crate) after_finish: u32,
}

impl Seen {
    pub(crate) fn of(&self, track: Track) -> impl Iterator<Item = &Kept> {
        self.frames.iter().filter(move |kept| kept.track == track)
    }
}

/// What a script reacts to.
pub(crate) enum Moment<'a, 'f> {
    Uplink(&'a AudioFrame<'f>),
    Late(&'a AudioFrame<'f>),
    Downlink(&'a AudioFrame<'f>),
    Event(&'a EventKind),
}

/// What a processor does beside collecting.
pub(crate) type Script = Box<dyn FnMut(Moment<'_, '_>, &mut Context<'_>) + Send>;

/// A script that does nothing.
pub(crate) fn idle() -> Script {
    Box::new(|_, _| {})
}

struct Collector {
    seen: Arc<Mutex<Seen>>,
    script: Script,
    keeps_frames: bool,
}

impl Collector {
    fn keep(&mut self, track: Track, frame: &AudioFrame<'_>, cx: &Context<'_>) {
        assert!(!frame.samples.is_empty(), "a frame is never empty");
        let mut seen = self.seen.lock().expect("no script panicked");
        seen.after_finish += u32::from(!seen.finished.is_empty());
        if self.keeps_frames {
            seen.frames.push(Kept {
                track,
                position: frame.position.0,
                origin: frame.origin,
                now: cx.now().0,
                samples: frame.samples.to_vec(),
            });
        }
    }
}

impl Processor for Collector {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.keep(Track::Uplink, frame, cx);
        (self.script)(Moment::Uplink(frame), cx);
    }

    fn late(&mut self, frame: &AudioFrame<'_>, cx: &mut Context<'_>) {
        self.keep(Track::Late, frame, cx);
        (self.script)(Moment::Late(frame), cx);
    }

    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.keep(Track::Downlink, frame, cx);
        (self.script)(Moment::Downlink(frame), cx);
    }

    fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        {
            let mut seen = self.seen.lock().expect("no script panicked");
            seen.after_finish += u32::from(!seen.finished.is_empty());
            seen.events.push(event.clone());
        }
        (self.script)(Moment::Event(event), cx);
    }

    fn finish(&mut self, _call: &CallInfo, end: &End<'_>) {
        self.seen.lock().expect("no script panicked").finished.push((end.duration, *end.stats));
    }
}

/// Makes the collector of one call.
pub(super) struct CollectorFactory {
    seen: Arc<Mutex<Seen>>,
    script: Mutex<Option<Script>>,
    keeps_frames: bool,
}

impl CollectorFactory {
    pub(super) fn new(seen: Arc<Mutex<Seen>>, script: Script, keeps_frames: bool) -> Self {
        Self { seen, script: Mutex::new(Some(script)), keeps_frames }
    }
}

impl ProcessorFactory for CollectorFactory {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        let script = self
            .script
            .lock()
            .expect("no script panicked")
            .take()
            .expect("a chain is built once per call");
        Box::new(Collector {
            seen: Arc::clone(&self.seen),
            script,
            keeps_frames: self.keeps_frames,
        })
    }
}
