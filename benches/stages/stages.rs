use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};

/// Frames that a stage does in a trial: ten seconds, in which every hole has been given up.
const TRIAL_FRAMES: usize = 500;

/// Where stages are measured, or tried where nothing is to be measured.
pub(crate) struct Stages(Option<Criterion>);

impl Stages {
    pub(crate) fn new() -> Self {
        // Criterion would refuse what `cargo test` hands to every test.
        let is_bench = std::env::args().any(|argument| argument == "--bench");
        Self(is_bench.then(|| {
            Criterion::default()
                .without_plots()
                .sample_size(50)
                .nresamples(10_000)
                .warm_up_time(Duration::from_millis(500))
                .measurement_time(Duration::from_millis(1_500))
                .configure_from_args()
        }))
    }

    pub(crate) fn is_trial(&self) -> bool {
        self.0.is_none()
    }

    /// Measures `group/case`. `make` makes the stage, which does a frame whenever it is called.
    pub(crate) fn case<F: FnMut() -> O, O>(
        &mut self,
        group: &str,
        case: &str,
        make: impl Fn() -> F,
    ) {
        let Some(criterion) = &mut self.0 else {
            let mut frame = make();
            return (0..TRIAL_FRAMES).for_each(|_| drop(black_box(frame())));
        };
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(1));
        // Made only where it is not left out by the command line, and once.
        let mut frame = None;
        group.bench_function(case, |bencher| bencher.iter(frame.get_or_insert_with(&make)));
        group.finish();
    }

    pub(crate) fn finish(self) {
        if let Some(criterion) = self.0 {
            criterion.final_summary();
        }
    }
}
