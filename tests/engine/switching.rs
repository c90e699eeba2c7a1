//! Processors that are switched off and on again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, SampleRate};
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};

use crate::driver::{Rig, Sender, Track, ms, sample};
use crate::switch::{Switch, key};

const FORMAT: MediaFormat = MediaFormat::Ulaw;

/// What one listener was given.
#[derive(Default)]
struct Heard {
    frames: Vec<(Track, u64, Vec<i16>)>,
    switched: Vec<bool>,
    events: usize,
}

#[derive(Clone, Default)]
struct Listener {
    wants: Option<SampleRate>,
    heard: Arc<Mutex<Heard>>,
}

impl Listener {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no listener panicked")
    }

    fn keep(&self, track: Track, frame: &AudioFrame<'_>) {
        self.heard().frames.push((track, frame.position.0, frame.samples.to_vec()));
    }

    /// The stretches of a track that it was given: begin, and the samples.
    fn stretches(&self, track: Track) -> Vec<(u64, Vec<i16>)> {
        let mut stretches: Vec<(u64, Vec<i16>)> = Vec::new();
        for (_, begin, samples) in self.heard().frames.iter().filter(|kept| kept.0 == track) {
            match stretches.last_mut() {
                Some((at, all)) if *at + all.len() as u64 == *begin => all.extend(samples),
                _ => stretches.push((*begin, samples.clone())),
            }
        }
        stretches
    }
}

impl ProcessorFactory for Listener {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(self.clone())
    }
}

impl Processor for Listener {
    fn wants(&self) -> Option<SampleRate> {
        self.wants
    }

    fn uplink(&mut self, frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        self.keep(Track::Uplink, frame);
    }

    fn late(&mut self, frame: &AudioFrame<'_>, _cx: &mut Context<'_>) {
        self.keep(Track::Late, frame);
    }

    fn downlink(&mut self, frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        self.keep(Track::Downlink, frame);
    }

    fn event(&mut self, _event: &EventKind, _cx: &mut Context<'_>) {
        self.heard().events += 1;
    }

    fn switched(&mut self, on: bool, _cx: &mut Context<'_>) {
        self.heard().switched.push(on);
    }
}

/// A call of three seconds through a switch for the second processor, and these listeners: off from
/// 1,005 ms on, on again at 2,005.
fn call(listeners: &[Listener], delivered: impl Fn(u64) -> Duration) -> Rig {
    let mut processors: Vec<Arc<dyn ProcessorFactory>> = vec![Arc::new(Switch("1"))];
    processors.extend(listeners.iter().map(|listener| Arc::new(listener.clone()) as _));
    let mut rig = Rig::rtp_through(FORMAT, MediaSettings::default(), processors);
    let mut sender = Sender::new(FORMAT);
    let mut inputs: Vec<_> = (0..150).map(|n| (delivered(n), Some(sender.packet()), ' ')).collect();
    inputs.extend([(ms(1_005), None, '0'), (ms(2_005), None, '1')]);
    inputs.sort_by_key(|(at, ..)| *at);
    for (at, packet, pressed) in &inputs {
        match packet {
            Some(packet) => rig.datagram(*at, packet),
            None => rig.input(*at, key(*pressed)),
        }
    }
    rig.run_until(ms(3_000));
    rig
}

fn in_time(n: u64) -> Duration {
    ms(20 * n)
}

#[test]
fn one_that_is_off_gets_no_frames_but_all_that_happens() {
    let listeners = [Listener::default(), Listener::default()];
    let rig = call(&listeners, in_time);
    let switched: Vec<_> = rig
        .events()
        .filter_map(|(at, kind)| match kind {
            EventKind::ProcessorSwitched { name, on } => Some((at, &**name, *on)),
            _ => None,
        })
        .collect();
    assert_eq!(switched, [(ms(1_005), "1", false), (ms(2_005), "1", true)]);
    for (track, end) in [(Track::Uplink, 24_000), (Track::Downlink, 24_160)] {
        let stretches = listeners[0].stretches(track);
        let places = stretches.iter().map(|(at, all)| (*at, *at + all.len() as u64));
        assert_eq!(places.collect::<Vec<_>>(), [(0, 8_160), (16_160, end)], "{track:?}");
        let [(0, whole)] = &listeners[1].stretches(track)[..] else { panic!("a gap") };
        assert_eq!(whole.len() as u64, end);
        assert_eq!(whole[..8_160], stretches[0].1);
        assert_eq!(whole[16_160..], stretches[1].1);
    }
    let [first, second] = listeners.each_ref().map(Listener::heard);
    assert_eq!(first.switched, [false, true]);
    assert_eq!(first.events, second.events);
    assert_eq!(second.switched, [false; 0]);
}

#[test]
fn what_comes_late_from_before_it_was_on_again_it_does_not_get() {
    let listener = Listener::default();
    // Of the time while it was off, and of after: both come when their places were given up.
    let delivered = |n| match n {
        90 => ms(2_100),
        120 => ms(2_700),
        n => in_time(n),
    };
    call(std::slice::from_ref(&listener), delivered);
    let late = listener.stretches(Track::Late);
    assert_eq!(late.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [120 * 160]);
    assert_eq!(late[0].1[100], sample(FORMAT, 120 * 160 + 100));
}

#[test]
fn a_resampled_stream_stays_whole_for_all_that_share_it() {
    let wants = Some(SampleRate::HZ_16000);
    let listeners = [(); 3].map(|()| Listener { wants, ..Listener::default() });
    call(&listeners, in_time);
    let [off_and_on, shared, other] = listeners.map(|listener| listener.stretches(Track::Uplink));
    let [(0, whole)] = &shared[..] else { panic!("a gap") };
    assert!(shared == other);
    let [(0, before), (again, after)] = &off_and_on[..] else { panic!("one gap") };
    assert_eq!(before[..], whole[..before.len()]);
    let again = usize::try_from(*again).unwrap();
    assert_eq!(after[..], whole[again..]);
    // By the resampler's delay of some milliseconds earlier than at the call's own rate.
    assert!((2_000 * 16..2_020 * 16).contains(&again), "{again}");
    assert!((1_010 * 16..1_020 * 16).contains(&before.len()), "{}", before.len());
}

#[test]
fn a_resampled_stream_whose_only_listener_was_off_goes_on_without_what_was_said_meanwhile() {
    let wants = Some(SampleRate::HZ_16000);
    let [alone, always] = [(); 2].map(|()| Listener { wants, ..Listener::default() });
    call(std::slice::from_ref(&alone), in_time);
    call(&[Listener::default(), always.clone()], in_time);
    let [(0, whole)] = &always.stretches(Track::Uplink)[..] else { panic!("a gap") };
    let stretches = alone.stretches(Track::Uplink);
    assert_eq!(stretches.len(), 2);
    for (begin, samples) in stretches {
        let begin = usize::try_from(begin).unwrap();
        assert_eq!(samples[..], whole[begin..begin + samples.len()]);
    }
}

#[test]
fn a_name_that_is_not_in_the_pipeline_is_refused_with_the_names_there_are() {
    struct Asks;
    impl ProcessorFactory for Asks {
        fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
            Box::new(Self)
        }
    }
    impl Processor for Asks {
        fn uplink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
            let error = cx.set_processor("recorder", false).unwrap_err();
            let told = "no processor \"recorder\" in the call's pipeline; there are: 0, 1";
            assert_eq!(error.to_string(), told);
        }
    }
    let processors: Vec<Arc<dyn ProcessorFactory>> =
        vec![Arc::new(Asks), Arc::new(Listener::default())];
    let mut rig = Rig::rtp_through(FORMAT, MediaSettings::default(), processors);
    rig.datagram(ms(10), &Sender::new(FORMAT).packet());
    assert_eq!(rig.events().count(), 2, "its start and its audio");
}
