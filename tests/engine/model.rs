//! The jitter buffer against a naive one, over whatever may be done to it.

use proptest::prelude::*;

use crate::jitter_checks::{self, Operation, Setting, check};
use crate::seeds;

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        20 => Just(Operation::Push(0)),
        12 => (-6_i64..8).prop_map(Operation::Push),
        4 => (-80_i64..80).prop_map(Operation::Push),
        // Beyond all that is remembered, and leaps that the sequence numbers' 16 bits allow.
        1 => (-40_000_i64..32_768).prop_map(Operation::Push),
        12 => (0_u64..70).prop_map(Operation::Pass),
        1 => (0_u64..20_000).prop_map(Operation::Pass),
        1 => Just(Operation::GiveUpHoles),
        1 => Just(Operation::Restart),
    ]
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 0..400)
}

fn sizes() -> impl Strategy<Value = (usize, usize)> {
    (1_usize..70, prop::sample::select(vec![64_usize, 128, 256]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_jitter_buffer_that_waits_a_fixed_time_does_what_a_sorted_map_does(
        wait_ms in 0_u64..150,
        (capacity, remembered) in sizes(),
        operations in operations(),
    ) {
        let setting =
            Setting { min_wait_ms: wait_ms, max_wait_ms: wait_ms, capacity, remembered };
        check(setting, operations);
    }

    #[test]
    fn a_jitter_buffer_that_learns_keeps_its_bounds_and_does_what_a_sorted_map_does(
        min_wait_ms in 0_u64..100,
        range_ms in 0_u64..300,
        (capacity, remembered) in sizes(),
        operations in operations(),
    ) {
        let max_wait_ms = min_wait_ms + range_ms;
        check(Setting { min_wait_ms, max_wait_ms, capacity, remembered }, operations);
    }
}

#[test]
fn the_seeds_of_the_jitter_buffers_fuzz_target_pass() {
    seeds::check([("jitter_buffer", jitter_checks::jitter_buffer)]);
}
