use std::fmt;
use std::sync::Arc;

use super::{Block, Ending, OpenRecording, RecordingSink, Track};
use crate::audio::{AudioFrame, Position, SampleRate};
use crate::call::CallInfo;
use crate::processor::{Context, End, Processor, ProcessorFactory, Setup};

/// Makes a [`Recorder`] per call.
#[derive(Clone)]
pub struct RecorderFactory {
    sinks: Arc<dyn OpenRecording>,
}

impl RecorderFactory {
    /// A factory whose recorders write to what `sinks` opens.
    #[must_use]
    pub fn new(sinks: Arc<dyn OpenRecording>) -> Self {
        Self { sinks }
    }
}

impl fmt::Debug for RecorderFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderFactory").finish_non_exhaustive()
    }
}

impl ProcessorFactory for RecorderFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let sink = self.sinks.open(setup.call, setup.rate);
        Box::new(Recorder::new(sink, setup.rate))
    }
}

/// Records one call. Changes no sample, never blocks, and allocates only while its sink does.
pub struct Recorder {
    /// Taken by the end of the call.
    sink: Option<Box<dyn RecordingSink>>,
    rate: SampleRate,
    filling: [Option<Filling>; Track::ALL.len()],
}

/// A block that is not full yet.
struct Filling {
    block: Block,
    /// Media time at which the first sample was put in.
    since: Position,
}

impl Recorder {
    /// A recorder that writes audio of `rate` to `sink`.
    #[must_use]
    pub fn new(sink: Box<dyn RecordingSink>, rate: SampleRate) -> Self {
        Self { sink: Some(sink), rate, filling: [const { None }; Track::ALL.len()] }
    }

    /// Records samples of `track` that lie at `position`, at media time `now`.
    ///
    /// [`Track::Late`] replaces what [`Track::Uplink`] has given for the same positions.
    pub fn record(
        &mut self,
        track: Track,
        mut position: Position,
        mut samples: &[i16],
        now: Position,
    ) {
        let room = Block::room(self.rate);
        self.release_old(now);
        if track == Track::Late {
            // Blocks are written in the order of their handing over: the concealment must go first.
            let end = position.plus(samples.len());
            let overlaps = self.filling[Track::Uplink as usize].as_ref().is_some_and(|filling| {
                filling.block.position < end && position < filling.block.end()
            });
            if overlaps {
                self.release(Track::Uplink, now);
            }
        }
        while !samples.is_empty() {
            let fits = self.filling[track as usize].as_ref().is_some_and(|filling| {
                filling.block.end() == position && filling.block.samples.len() < room
            });
            if !fits {
                self.release(track, now);
                let Some(sink) = &mut self.sink else { return };
                let mut block = sink.block();
                block.restart(track, position);
                self.filling[track as usize] = Some(Filling { block, since: now });
            }
            let filling =
                self.filling[track as usize].as_mut().expect("a block was put there if none fit");
            let taken = samples.len().min(room - filling.block.samples.len());
            let (head, rest) = samples.split_at(taken);
            filling.block.samples.extend_from_slice(head);
            position = position.plus(taken);
            samples = rest;
        }
        if self.filling[track as usize].as_ref().is_some_and(|f| f.block.samples.len() == room) {
            self.release(track, now);
        }
    }

    /// Hands over what is left and closes the sink. Later samples are ignored.
    pub fn close(&mut self, ending: Ending, now: Position) {
        for track in Track::ALL {
            self.release(track, now);
        }
        if let Some(sink) = self.sink.take() {
            sink.close(ending);
        }
    }

    /// Hands over blocks that wait for more audio for too long: one side may pause for minutes.
    fn release_old(&mut self, now: Position) {
        let room = Block::room(self.rate) as u64;
        for track in Track::ALL {
            let old = self.filling[track as usize]
                .as_ref()
                .is_some_and(|filling| now.0.saturating_sub(filling.since.0) >= room);
            if old {
                self.release(track, now);
            }
        }
    }

    fn release(&mut self, track: Track, now: Position) {
        if let (Some(filling), Some(sink)) = (self.filling[track as usize].take(), &mut self.sink) {
            sink.push(filling.block, now);
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("open", &self.sink.is_some()).finish_non_exhaustive()
    }
}

impl Processor for Recorder {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.record(Track::Uplink, frame.position, frame.samples, cx.now());
    }

    fn late(&mut self, frame: &AudioFrame<'_>, cx: &mut Context<'_>) {
        self.record(Track::Late, frame.position, frame.samples, cx.now());
    }

    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.record(Track::Downlink, frame.position, frame.samples, cx.now());
    }

    fn switched(&mut self, _on: bool, cx: &mut Context<'_>) {
        // Nothing would push it out before there is audio again.
        for track in Track::ALL {
            self.release(track, cx.now());
        }
    }

    fn finish(&mut self, call: &CallInfo, end: &End<'_>) {
        let ending = Ending { call: call.clone(), duration: end.duration, stats: *end.stats };
        self.close(ending, Position(self.rate.samples_in(end.duration)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const RATE: SampleRate = SampleRate::HZ_8000;
    const FRAME: u64 = 160;

    /// What a sink was given, by a recorder that is still at work.
    #[derive(Default)]
    struct Seen {
        blocks: Vec<Block>,
        closed: bool,
    }

    struct MemorySink(Arc<Mutex<Seen>>);

    impl RecordingSink for MemorySink {
        fn block(&mut self) -> Block {
            Block::new(RATE)
        }

        fn push(&mut self, block: Block, _now: Position) {
            self.0.lock().unwrap().blocks.push(block);
        }

        fn close(self: Box<Self>, _ending: Ending) {
            self.0.lock().unwrap().closed = true;
        }
    }

    fn rig() -> (Recorder, Arc<Mutex<Seen>>) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        (Recorder::new(Box::new(MemorySink(Arc::clone(&seen))), RATE), seen)
    }

    fn feed(recorder: &mut Recorder, track: Track, frame: u64, now_frame: u64) {
        let value = i16::try_from(frame).unwrap();
        let position = Position(frame * FRAME);
        recorder.record(track, position, &[value; 160], Position(now_frame * FRAME));
    }

    #[test]
    fn ten_frames_make_one_block_that_leaves_when_it_is_full() {
        let (mut recorder, seen) = rig();
        for frame in 0..25 {
            feed(&mut recorder, Track::Uplink, frame, frame);
            assert_eq!(seen.lock().unwrap().blocks.len() as u64, (frame + 1) / 10);
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.blocks[1].position, Position(1600));
        assert_eq!(seen.blocks[1].samples.len(), 1600);
        assert_eq!(seen.blocks[1].samples[160], 11);
    }

    #[test]
    fn a_block_never_outgrows_its_storage() {
        let (mut recorder, seen) = rig();
        // 60 ms do not divide 200 ms, and one piece is longer than three blocks.
        for piece in 0..7 {
            let position = Position(piece * 480);
            recorder.record(Track::Downlink, position, &[1; 480], position);
        }
        recorder.record(Track::Downlink, Position(7 * 480), &[2; 5000], Position(7 * 480));
        let seen = seen.lock().unwrap();
        let mut expected = Position(0);
        for block in &seen.blocks {
            assert_eq!((block.position, block.samples.capacity()), (expected, 1600));
            expected = block.end();
        }
        assert_eq!(expected.0, (7 * 480 + 5000) / 1600 * 1600);
    }

    #[test]
    fn a_gap_starts_a_new_block() {
        let (mut recorder, seen) = rig();
        feed(&mut recorder, Track::Uplink, 0, 0);
        feed(&mut recorder, Track::Uplink, 3, 3);
        assert_eq!(seen.lock().unwrap().blocks[0].samples.len(), 160);
    }

    #[test]
    fn a_silent_caller_does_not_keep_the_last_words_back() {
        let (mut recorder, seen) = rig();
        feed(&mut recorder, Track::Uplink, 0, 0);
        for frame in 0..=10 {
            feed(&mut recorder, Track::Downlink, frame, frame);
        }
        let seen = seen.lock().unwrap();
        assert!(seen.blocks.iter().any(|block| block.track == Track::Uplink));
    }

    #[test]
    fn a_late_frame_follows_the_concealment_that_it_replaces() {
        let (mut recorder, seen) = rig();
        for frame in 0..4 {
            feed(&mut recorder, Track::Uplink, frame, frame);
        }
        // Two that do not touch: the second pushes the first out.
        feed(&mut recorder, Track::Late, 2, 4);
        feed(&mut recorder, Track::Late, 0, 4);
        let seen = seen.lock().unwrap();
        let order: Vec<_> = seen.blocks.iter().map(|b| (b.track, b.position.0 / FRAME)).collect();
        assert_eq!(order, [(Track::Uplink, 0), (Track::Late, 2)]);
    }

    #[test]
    fn closing_hands_over_the_rest_once_and_later_audio_is_ignored() {
        let (mut recorder, seen) = rig();
        feed(&mut recorder, Track::Uplink, 0, 0);
        feed(&mut recorder, Track::Downlink, 0, 0);
        let call = CallInfo {
            id: crate::call::CallId::new(uuid::Uuid::nil()),
            transport: crate::call::Transport::AudioSocket,
            format: None,
            pipeline: "record".into(),
            parameters: std::collections::BTreeMap::new(),
            caller: None,
            stream_uuid: None,
        };
        let ending =
            Ending { call, duration: std::time::Duration::ZERO, stats: Default::default() };
        recorder.close(ending.clone(), Position(160));
        feed(&mut recorder, Track::Uplink, 1, 1);
        recorder.close(ending, Position(320));
        let seen = seen.lock().unwrap();
        assert!(seen.closed);
        assert_eq!(seen.blocks.len(), 2);
    }
}
