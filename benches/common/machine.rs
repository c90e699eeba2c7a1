//! The processor core that measures.

use std::fs;

/// What the processor is called.
pub(crate) fn processor() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpus.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("a processor without a name", |(_, model)| model)
        .to_owned()
}

/// The middle one of the values, of an even number the upper of both.
///
/// # Panics
/// Where there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Keeps the process on one core: the last that it may use. Answers its number.
pub(crate) fn pin() -> Option<usize> {
    // SAFETY: an all-zero set is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of_val(&set);
    // SAFETY: `set` is as large as is said.
    if unsafe { libc::sched_getaffinity(0, size, &raw mut set) } != 0 {
        return None;
    }
    let cores = 0..usize::try_from(libc::CPU_SETSIZE).ok()?;
    // SAFETY: `core` is below the size of the set.
    let core = cores.rev().find(|&core| unsafe { libc::CPU_ISSET(core, &set) })?;
    // SAFETY: as above, twice.
    unsafe {
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(core, &mut set);
    }
    // SAFETY: `set` is as large as is said.
    (unsafe { libc::sched_setaffinity(0, size, &raw const set) } == 0).then_some(core)
}
