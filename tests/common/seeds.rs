//! The inputs that fuzzing begins with, as ordinary tests.

use std::fs;
use std::path::Path;

/// A fuzz target: its name, and what must hold for any input.
type Target = (&'static str, fn(&[u8]));

/// Runs each target's check over its seeds.
pub(crate) fn check<const TARGETS: usize>(targets: [Target; TARGETS]) {
    for (name, check) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let mut seeds = 0;
        for entry in fs::read_dir(&folder).expect("a folder of seeds") {
            let path = entry.expect("a seed").path();
            println!("{}", path.display());
            check(&fs::read(path).expect("a file"));
            seeds += 1;
        }
        assert!(seeds >= 5, "{} holds {seeds} seeds", folder.display());
    }
}
