//! The call machine against a model of Asterisk, over arbitrary orders of everything.

use std::time::Duration;

use proptest::prelude::*;
use sidetone::ari::{Input, OnEnd, Reply};
use sidetone::call::EndReason;

use crate::model::{Fate, Step, World};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Carried),
        1 => Just(Fate::Unanswered),
        1 => Just(Fate::Failed),
        1 => Just(Fate::Late),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<usize>(), fate()).prop_map(|(index, fate)| Step::Carry(index, fate)),
        12 => any::<usize>().prop_map(Step::Answer),
        8 => Just(Step::Event),
        1 => Just(Step::CallerHangsUp),
        1 => Just(Step::ExternalDies),
        1 => Just(Step::BridgeDies),
        1 => Just(Step::MediaEnds),
        1 => Just(Step::Transfers),
        1 => Just(Step::End),
        1 => Just(Step::Tick),
        1 => Just(Step::CarryLate),
        1 => Just(Step::StreamCut),
    ]
}

fn on_end() -> impl Strategy<Value = OnEnd> {
    prop_oneof![Just(OnEnd::Hangup), Just(OnEnd::Continue)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_in_whatever_order_nothing_is_left_and_media_ends_once(
        on_end in on_end(),
        stranded in on_end(),
        has_place: bool,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new(on_end, stranded, has_place);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}

/// Where nothing fails and nobody ends it, every order of answers and events brings the call up.
#[test]
fn every_order_of_answers_and_events_brings_the_call_up() {
    // Each digit picks what comes next of whatever can come: all paths of a small tree.
    let mut paths = vec![Vec::new()];
    let mut ends = 0;
    while let Some(path) = paths.pop() {
        let mut world = World::new(OnEnd::Hangup, OnEnd::Continue, true);
        for &choice in &path {
            choose(&mut world, choice);
        }
        let choices = world.under_way.len() + world.answers.len() + world.events.len().min(1);
        if choices == 0 {
            assert!(world.machine.is_up(), "{path:?}");
            assert_eq!(world.peers, 1, "{path:?}");
            ends += 1;
        }
        paths.extend((0..choices).map(|choice| [&path[..], &[choice]].concat()));
    }
    assert!(ends > 1_000, "only {ends} orders");
}

fn choose(world: &mut World, choice: usize) {
    let (under_way, answers) = (world.under_way.len(), world.answers.len());
    if choice < under_way {
        world.carry(choice, Fate::Carried);
    } else if choice < under_way + answers {
        world.answer(choice - under_way);
    } else {
        world.event();
    }
}

#[test]
fn a_removal_that_never_works_is_given_up_within_a_minute() {
    let mut world = World::new(OnEnd::Hangup, OnEnd::Continue, true);
    while !world.machine.is_up() {
        world.carry(0, Fate::Carried);
        world.answer(0);
        world.event();
    }
    let start = world.now;
    world.tell(Input::End(EndReason::Requested));
    for _ in 0..100 {
        for request in std::mem::take(&mut world.under_way) {
            world.tell(Input::Reply(request, Reply::Failed));
        }
        world.tick();
    }
    assert!(world.machine.is_finished());
    assert!(world.now - start < Duration::from_secs(60));
}
