use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::*;
use crate::audio::{Origin, Position, Ptime};
use crate::dsp::resample::{Quality, Resampler};
use crate::media::Playout;
use crate::processor::Reach;

/// Where a processor's frames lay, and what was in them.
type Heard = Arc<Mutex<Vec<(Position, Vec<i16>)>>>;

struct Listener {
    wants: Option<SampleRate>,
    heard: Heard,
    /// Added to every sample, for the processors that follow.
    changes: i16,
}

impl Processor for Listener {
    fn wants(&self) -> Option<SampleRate> {
        self.wants
    }

    fn uplink(&mut self, frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        assert!(!frame.samples.is_empty());
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((frame.position, frame.samples.to_vec()));
        frame.samples.iter_mut().for_each(|sample| *sample += self.changes);
    }
}

/// A chain of listeners that want these rates, each adding one to what it heard.
fn chain(rate: SampleRate, wants: &[Option<SampleRate>]) -> (Chain, Vec<Heard>) {
    let heard: Vec<Heard> = wants.iter().map(|_| Heard::default()).collect();
    let processors = wants.iter().zip(&heard).map(|(wants, heard)| {
        let heard = Arc::clone(heard);
        Box::new(Listener { wants: *wants, heard, changes: 1 }) as Box<dyn Processor>
    });
    (Chain::new(processors.collect(), rate), heard)
}

/// Gives a chain frames of 20 ms of `signal`, the first of them at `start`.
fn feed(chain: &mut Chain, rate: SampleRate, start: u64, signal: &[i16]) {
    let mut playout = Playout::new(rate, Ptime::MS_20, Duration::from_secs(1));
    let mut requests = Vec::new();
    let mut position = Position(start);
    for piece in signal.chunks(Ptime::MS_20.samples(rate)) {
        let mut samples = piece.to_vec();
        let (now, reach) = (position, &Reach::default());
        let mut cx = Context { now, playout: &mut playout, requests: &mut requests, reach };
        let mut frame = AudioFrame { samples: &mut samples, rate, position, origin: Origin::Real };
        chain.uplink(&mut frame, &mut cx);
        position = position.plus(piece.len());
    }
}

fn taken(heard: &Heard) -> Vec<(Position, Vec<i16>)> {
    std::mem::take(&mut heard.lock().expect("no listener panicked"))
}

#[test]
fn a_sound_lies_at_the_same_time_at_every_rate() {
    for from in [SampleRate::HZ_8000, SampleRate::HZ_16000, SampleRate::HZ_48000] {
        for to in [SampleRate::HZ_8000, SampleRate::HZ_16000, SampleRate::HZ_24000] {
            let (mut chain, heard) = chain(from, &[Some(to)]);
            // A second into the call, and an impulse a tenth of a second after that.
            let second = u64::from(from.hz());
            let at = second / 10;
            let mut signal = vec![0; usize::try_from(second / 5).expect("short")];
            signal[usize::try_from(at).expect("short")] = 20_000;
            feed(&mut chain, from, second, &signal);
            let heard = taken(&heard[0]);
            assert_eq!(heard[0].0, Position(to.hz().into()), "{from} to {to}");
            let mut expected = heard[0].0;
            let mut peak = (0, Position(0));
            for (position, samples) in &heard {
                assert_eq!(*position, expected, "{from} to {to}: no gap");
                for (index, sample) in samples.iter().enumerate() {
                    peak = peak.max((sample.unsigned_abs(), position.plus(index)));
                }
                expected = position.plus(samples.len());
            }
            assert_eq!(peak.1, Position(u64::from(to.hz()) * 11 / 10), "{from} to {to}");
        }
    }
}

#[test]
fn a_gap_stays_where_it_is_and_nothing_before_it_is_lost() {
    let (from, to) = (SampleRate::HZ_8000, SampleRate::HZ_16000);
    let (mut chain, heard) = chain(from, &[Some(to)]);
    let tone: Vec<i16> =
        (0..800_u16).map(|n| (f32::from(n) * 0.3).sin().mul_add(8_000.0, 0.0) as i16).collect();
    feed(&mut chain, from, 0, &tone);
    feed(&mut chain, from, 4_000, &tone);
    let heard = taken(&heard[0]);
    let mut runs: Vec<(u64, Vec<i16>)> = Vec::new();
    for (position, samples) in heard {
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() as u64 == position.0 => run.extend(samples),
            _ => runs.push((position.0, samples)),
        }
    }
    let [(first_at, first), (second_at, second)] = &runs[..] else { panic!("{} runs", runs.len()) };
    assert_eq!((*first_at, *second_at), (0, 8_000));
    assert_eq!(first.len(), 1_600, "to the last sample before the gap");
    // The second run has no memory of the first one; the end of it is still in the filter.
    assert_eq!(first[..second.len()], second[..]);
    assert!(second.len() >= 1_600 - 80, "{}", second.len());
}

#[test]
fn a_rate_is_resampled_once_and_changes_stay_among_those_that_want_it() {
    let (call, other) = (SampleRate::HZ_8000, SampleRate::HZ_16000);
    let wants = [Some(other), None, Some(other), Some(call), Some(SampleRate::HZ_24000)];
    let (mut chain, heard) = chain(call, &wants);
    assert_eq!(chain.resampled.len(), 2);
    feed(&mut chain, call, 0, &[0; 1_600]);
    let levels = heard.iter().map(|heard| {
        let heard = taken(heard);
        let samples = heard.iter().map(|(_, samples)| samples.len()).sum::<usize>();
        (heard[5].1[10], samples)
    });
    // The filter holds 26 periods of 8 kHz back.
    assert_eq!(
        levels.collect::<Vec<_>>(),
        [(0, 3_148), (0, 1_600), (1, 3_148), (1, 1_600), (2, 4_722)]
    );
}

#[test]
fn what_is_heard_at_another_rate_is_what_the_resampler_makes_of_all_of_it() {
    for (from, to) in
        [(SampleRate::HZ_8000, SampleRate::HZ_16000), (SampleRate::HZ_48000, SampleRate::HZ_8000)]
    {
        let signal: Vec<i16> = (0..40_000_i32).map(|n| ((n * n) % 16_001 - 8_000) as i16).collect();
        let (mut chain, heard) = chain(from, &[Some(to)]);
        feed(&mut chain, from, 0, &signal);
        let heard: Vec<i16> = taken(&heard[0]).into_iter().flat_map(|(_, piece)| piece).collect();
        let mut resampler = Resampler::new(from, to, Quality::Voice);
        let mut whole = Vec::new();
        resampler.process(&signal, &mut whole);
        assert!(heard == whole[resampler.output_delay()..], "{from} to {to}");
    }
}
