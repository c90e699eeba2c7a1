//! What each stage of the media path costs by itself, for `make bench-stages`.
//!
//! Times are of one frame of 20 ms, in criterion's own words; how they have changed since the last
//! run is in them, too. Caches are warm but for `engines`, where each frame is another call's.
//!
//! Without `--bench`, as `cargo test` runs it, every stage does a few frames, nothing is timed and
//! nothing is written.
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect stops")]

mod call;
#[path = "../common/mod.rs"]
mod common;
mod demultiplex;
#[path = "../../tests/common/driver.rs"]
mod driver;
mod engine;
mod jitter;
mod media;
mod stages;
mod wire;

use crate::common::machine;
use crate::stages::Stages;

fn main() {
    let mut stages = Stages::new();
    if !stages.is_trial() {
        // Elsewhere times are less steady, no more.
        let _core = machine::pin();
    }
    wire::parse(&mut stages);
    demultiplex::find(&mut stages);
    jitter::push_pop(&mut stages);
    media::decode(&mut stages);
    media::playout(&mut stages);
    media::packetize(&mut stages);
    engine::warm(&mut stages);
    engine::cold(&mut stages);
    stages.finish();
}
