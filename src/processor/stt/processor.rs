use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::audio::{AudioFrame, Position, SampleRate};
use crate::call::CallInfo;
use crate::event::EventKind;
use crate::processor::{
    Context, Cutter, End, PieceLine, Processor, ProcessorFactory, Setup, Speech,
};

/// Opens lines to a service: what the transcriber needs of the half that owns sockets.
pub trait OpenLine: Send + Sync {
    /// The rate at which the service gets the audio of a call that has the rate `call`.
    fn rate(&self, call: SampleRate) -> SampleRate;

    /// How much audio a piece shall have, at `rate`.
    fn chunk_samples(&self, rate: SampleRate) -> usize;

    /// A line for the audio of one call, at `rate`. Must not block and does not fail: what is wrong
    /// with the service is told through the line.
    fn open(&self, setup: &Setup<'_>, rate: SampleRate) -> Box<dyn AudioLine>;
}

/// Takes one call's audio, gives what was heard in it. Never blocks. Dropped without
/// [`AudioLine::close`], the call counts as given up: what was taken is not sent any more.
pub trait AudioLine: PieceLine {
    /// What the service's side has to tell.
    fn poll(&mut self) -> Option<EventKind>;

    /// The call is over.
    fn close(self: Box<Self>);
}

/// Makes a [`Transcriber`] per call.
#[derive(Clone)]
pub struct TranscriberFactory {
    lines: Arc<dyn OpenLine>,
}

impl TranscriberFactory {
    /// A factory whose transcribers speak with what `lines` opens.
    #[must_use]
    pub fn new(lines: Arc<dyn OpenLine>) -> Self {
        Self { lines }
    }
}

impl fmt::Debug for TranscriberFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TranscriberFactory").finish_non_exhaustive()
    }
}

impl ProcessorFactory for TranscriberFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let rate = self.lines.rate(setup.rate);
        let chunk_samples = self.lines.chunk_samples(rate);
        Box::new(Transcriber::new(self.lines.open(setup, rate), rate, chunk_samples))
    }
}

/// Hands one call's audio to a service, and tells what that heard. Changes no sample, never blocks,
/// and allocates only while its line does.
pub struct Transcriber {
    /// Taken when this is dropped.
    line: Option<Box<dyn AudioLine>>,
    /// The call is over.
    over: bool,
    rate: SampleRate,
    cutter: Cutter,
    /// What a detector says.
    told: Speech,
    on: bool,
}

impl Transcriber {
    /// A transcriber that hands audio of `rate` to `line`, in pieces of so many samples.
    #[must_use]
    pub fn new(line: Box<dyn AudioLine>, rate: SampleRate, chunk_samples: usize) -> Self {
        let cutter = Cutter::new(chunk_samples);
        Self { line: Some(line), over: false, rate, cutter, told: Speech::Silent, on: true }
    }

    /// A detector says that the caller speaks, or has finished: nobody does while this is off.
    fn set_speech(&mut self, told: Speech) {
        self.told = told;
        let speech = if self.on { told } else { Speech::Silent };
        if let Some(line) = &mut self.line {
            self.cutter.set_speech(speech, &mut **line);
        }
    }
}

impl fmt::Debug for Transcriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcriber").field("open", &self.line.is_some()).finish_non_exhaustive()
    }
}

impl Processor for Transcriber {
    fn wants(&self) -> Option<SampleRate> {
        Some(self.rate)
    }

    fn uplink(&mut self, frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        if let Some(line) = &mut self.line {
            self.cutter.take(frame.position, frame.samples, &mut **line);
        }
    }

    fn event(&mut self, event: &EventKind, _cx: &mut Context<'_>) {
        match event {
            EventKind::SpeechStarted { at_ms } => {
                let start = self.rate.samples_in(Duration::from_millis(*at_ms));
                self.set_speech(Speech::Since(Position(start)));
            }
            EventKind::SpeechEnded { .. } => self.set_speech(Speech::Silent),
            _ => {}
        }
    }

    fn switched(&mut self, on: bool, cx: &mut Context<'_>) {
        self.on = on;
        let now = Position(self.rate.samples_in(cx.rate().duration_of(cx.now().0)));
        self.set_speech(match self.told {
            // Of what was said before it was on there is nothing.
            Speech::Since(start) if on => Speech::Since(start.max(now)),
            told => told,
        });
        if let Some(line) = &mut self.line {
            self.cutter.release(&mut **line);
        }
    }

    fn woken(&mut self, cx: &mut Context<'_>) {
        let Some(line) = &mut self.line else { return };
        while let Some(event) = line.poll() {
            cx.emit(event);
        }
    }

    fn finish(&mut self, _call: &CallInfo, _end: &End<'_>) {
        if let Some(line) = &mut self.line {
            self.cutter.release(&mut **line);
        }
        self.over = true;
    }
}

/// The line is closed only now, when the end of the call has been told: the service's last words
/// come behind it.
impl Drop for Transcriber {
    fn drop(&mut self) {
        if let Some(line) = self.line.take_if(|_| self.over) {
            line.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use uuid::Uuid;

    use super::*;
    use crate::audio::{Origin, Ptime};
    use crate::call::{CallId, EndReason, Transport};
    use crate::media::{CallStats, Playout};
    use crate::processor::{Piece, Reach};

    const RATE: SampleRate = SampleRate::HZ_8000;

    #[derive(Default)]
    struct Seen {
        pieces: Vec<Piece>,
        closed: bool,
    }

    struct Memory(Arc<Mutex<Seen>>);

    impl PieceLine for Memory {
        fn piece(&mut self) -> Piece {
            Piece::new(RATE)
        }

        fn push(&mut self, piece: Piece) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).pieces.push(piece);
        }
    }

    impl AudioLine for Memory {
        fn poll(&mut self) -> Option<EventKind> {
            None
        }

        fn close(self: Box<Self>) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        }
    }

    fn rig(chunk_samples: usize) -> (Transcriber, Arc<Mutex<Seen>>) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        (Transcriber::new(Box::new(Memory(Arc::clone(&seen))), RATE, chunk_samples), seen)
    }

    fn feed(transcriber: &mut Transcriber, start: u64, count: usize) {
        let mut playout = Playout::new(RATE, Ptime::MS_20, Duration::from_secs(1));
        let (position, mut samples) = (Position(start), vec![7; count]);
        let (requests, reach) = (&mut Vec::new(), &Reach::default());
        let mut cx = Context { now: position, playout: &mut playout, requests, reach };
        let (rate, origin) = (RATE, Origin::Real);
        let mut frame = AudioFrame { samples: &mut samples, rate, position, origin };
        transcriber.uplink(&mut frame, &mut cx);
    }

    fn tell(transcriber: &mut Transcriber, event: &EventKind) {
        let mut playout = Playout::new(RATE, Ptime::MS_20, Duration::from_secs(1));
        let (now, requests, reach) = (Position::default(), &mut Vec::new(), &Reach::default());
        let mut cx = Context { now, playout: &mut playout, requests, reach };
        transcriber.event(event, &mut cx);
    }

    fn places(seen: &Mutex<Seen>) -> Vec<(u64, usize)> {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.pieces.iter().map(|piece| (piece.position.0, piece.samples.len())).collect()
    }

    #[test]
    fn pieces_have_the_length_asked_for_however_frames_are_cut() {
        for frame in [1, 80, 160, 333, 2_000] {
            let (mut transcriber, seen) = rig(800);
            for start in (0..4_000).step_by(frame) {
                feed(&mut transcriber, start as u64, frame.min(4_000 - start));
            }
            let expected: Vec<_> = (0..5).map(|piece| (piece * 800, 800)).collect();
            assert_eq!(places(&seen), expected, "frames of {frame}");
        }
    }

    #[test]
    fn a_gap_begins_a_piece_and_so_does_speech() {
        let (mut transcriber, seen) = rig(800);
        feed(&mut transcriber, 0, 160);
        feed(&mut transcriber, 320, 160);
        tell(&mut transcriber, &EventKind::SpeechStarted { at_ms: 50 });
        tell(&mut transcriber, &EventKind::SpeechStarted { at_ms: 50 });
        tell(&mut transcriber, &EventKind::PlaybackDone);
        feed(&mut transcriber, 480, 160);
        tell(&mut transcriber, &EventKind::SpeechEnded { at_ms: 70 });
        tell(&mut transcriber, &EventKind::SpeechStarted { at_ms: 110 });
        let seen = seen.lock().unwrap();
        let told: Vec<_> =
            seen.pieces.iter().map(|piece| (piece.samples.len(), piece.speech)).collect();
        let since = Speech::Since(Position(400));
        let expected = [
            (160, Speech::Silent),
            (160, since),
            (160, Speech::Silent),
            (0, Speech::Since(Position(880))),
        ];
        assert_eq!(told, expected);
    }
    fn switch(transcriber: &mut Transcriber, on: bool, now: u64) {
        let mut playout = Playout::new(RATE, Ptime::MS_20, Duration::from_secs(1));
        let (now, requests, reach) = (Position(now), &mut Vec::new(), &Reach::default());
        let mut cx = Context { now, playout: &mut playout, requests, reach };
        transcriber.switched(on, &mut cx);
    }

    #[test]
    fn one_that_is_switched_off_hands_on_what_it_has_and_hears_of_speech_again_when_it_is_on() {
        let (mut transcriber, seen) = rig(800);
        tell(&mut transcriber, &EventKind::SpeechStarted { at_ms: 10 });
        feed(&mut transcriber, 0, 160);
        switch(&mut transcriber, false, 320);
        // Told while nothing is heard.
        tell(&mut transcriber, &EventKind::SpeechEnded { at_ms: 50 });
        tell(&mut transcriber, &EventKind::SpeechStarted { at_ms: 60 });
        switch(&mut transcriber, true, 4_000);
        feed(&mut transcriber, 4_000, 800);
        let seen = seen.lock().unwrap();
        let told: Vec<_> =
            seen.pieces.iter().map(|piece| (piece.samples.len(), piece.speech)).collect();
        let again = Speech::Since(Position(4_000));
        let expected =
            [(0, Speech::Since(Position(80))), (160, Speech::Silent), (0, again), (800, again)];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_line_is_closed_behind_the_end_of_the_call_and_not_where_that_never_came() {
        for finished in [true, false] {
            let (mut transcriber, seen) = rig(800);
            feed(&mut transcriber, 0, 160);
            if finished {
                let id = CallId::new(Uuid::nil());
                let call = CallInfo::unannounced(id, Transport::Rtp, None, "listen".into());
                let (reason, duration) = (EndReason::Requested, Duration::ZERO);
                let end = End { reason, duration, stats: &CallStats::default() };
                transcriber.finish(&call, &end);
                assert_eq!(places(&seen), [(0, 160)]);
            }
            let is_closed = || seen.lock().unwrap_or_else(PoisonError::into_inner).closed;
            assert!(!is_closed(), "there may be more to tell");
            drop(transcriber);
            assert_eq!(is_closed(), finished);
        }
    }
}
