use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

use thiserror::Error;

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
}

/// What a process used in a run.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) process: Process,
    /// Before the first call, at the beginning of what was measured, and at its end.
    readings: Vec<Reading>,
}

/// What a process has used at one moment.
#[derive(Clone, Debug, Default)]
struct Reading {
    /// Time on a processor of each thread that is there.
    threads: BTreeMap<u32, Duration>,
    /// Time on processors of all threads that ever were, in the kernel's clock ticks.
    total: Duration,
    resident_bytes: u64,
}

/// Why a process cannot be measured.
#[derive(Debug, Error)]
pub(super) enum ProcessError {
    #[error("process {pid} cannot be measured: {path}: {source}")]
    Read { pid: u32, path: String, source: io::Error },
    #[error("process {pid} cannot be measured: {path} is not as it should be")]
    Content { pid: u32, path: String },
}

/// By how much the kernel's ticks may be ahead of the threads' times before threads must have come
/// and gone unseen: the threads' are brought up to date at least at each of the scheduler's ticks, of
/// 10 ms at most, and so are ours of 10 ms rounded.
const TICKS_AHEAD: Duration = Duration::from_millis(50);

impl Usage {
    /// Of a process that was not read yet.
    pub(super) fn new(process: Process) -> Self {
        Self { process, readings: Vec::new() }
    }

    /// Reads what it has used by now: before the first call, then at the beginning of what is
    /// measured, then at its end.
    ///
    /// # Errors
    /// Where there is no such process, or it belongs to somebody else.
    pub(super) fn read(&mut self) -> Result<(), ProcessError> {
        self.readings.push(self.process.read()?);
        Ok(())
    }

    /// Time on processors while it was measured.
    pub(super) fn cpu(&self) -> Duration {
        match &self.readings[..] {
            [.., began, ended] => ended.cpu_since(began),
            _ => Duration::ZERO,
        }
    }

    /// Resident memory before the first call, and at the end of what was measured.
    pub(super) fn resident_bytes(&self) -> [u64; 2] {
        let ends = [self.readings.first(), self.readings.last()];
        ends.map(|reading| reading.map_or(0, |reading| reading.resident_bytes))
    }
}

impl Process {
    /// This process.
    pub(super) fn own() -> Self {
        Self { pid: std::process::id() }
    }

    fn read(self) -> Result<Reading, ProcessError> {
        Ok(Reading {
            threads: self.threads()?,
            total: self.total()?,
            resident_bytes: self.resident_bytes()?,
        })
    }

    fn threads(self) -> Result<BTreeMap<u32, Duration>, ProcessError> {
        let folder = format!("/proc/{}/task", self.pid);
        let entries = fs::read_dir(&folder).map_err(|source| self.unreadable(&folder, source))?;
        let mut threads = BTreeMap::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, Ok(thread)) = (format!("{folder}/{name}/schedstat"), name.parse()) else {
                continue;
            };
            // A thread may end between the two.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok());
            threads.insert(thread, Duration::from_nanos(nanos.ok_or_else(|| self.odd(&path))?));
        }
        Ok(threads)
    }

    fn total(self) -> Result<Duration, ProcessError> {
        let path = format!("/proc/{}/stat", self.pid);
        let text = fs::read_to_string(&path).map_err(|source| self.unreadable(&path, source))?;
        // Field 14 and 15, of which the second, a name in brackets, may hold anything.
        let fields = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ').skip(11).take(2));
        let ticks: Vec<u64> =
            fields.into_iter().flatten().filter_map(|field| field.parse().ok()).collect();
        let [user, system] = ticks[..] else { return Err(self.odd(&path)) };
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_nanos((user + system) * (1_000_000_000 / per_second)))
    }

    fn resident_bytes(self) -> Result<u64, ProcessError> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).map_err(|source| self.unreadable(&path, source))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.ok_or_else(|| self.odd(&path))? * 1_024)
    }

    fn unreadable(self, path: &str, source: io::Error) -> ProcessError {
        ProcessError::Read { pid: self.pid, path: path.to_owned(), source }
    }

    fn odd(self, path: &str) -> ProcessError {
        ProcessError::Content { pid: self.pid, path: path.to_owned() }
    }
}

impl Reading {
    /// Time on processors since `earlier`: to the nanosecond as the threads have it; where threads
    /// have ended meanwhile and taken theirs with them, in ticks.
    fn cpu_since(&self, earlier: &Self) -> Duration {
        let of_threads: Duration = self
            .threads
            .iter()
            .map(|(thread, used)| {
                let before = earlier.threads.get(thread).copied().unwrap_or_default();
                used.saturating_sub(before)
            })
            .sum();
        let ticks = self.total.saturating_sub(earlier.total);
        if ticks > of_threads + TICKS_AHEAD { ticks } else { of_threads }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::runtime::Clock;

    /// Keeps a processor busy.
    fn work(clock: Clock, time: Duration) {
        let until: Instant = clock.now() + time;
        while clock.now() < until {
            black_box(0);
        }
    }

    #[test]
    fn the_time_of_threads_counts_whether_they_stay_or_end() {
        let clock = Clock::new();
        let before = Process::own().read().unwrap();
        work(clock, Duration::from_millis(30));
        let after = Process::own().read().unwrap();
        assert!(after.cpu_since(&before) > Duration::from_millis(5), "{:?}", (before, after));

        let before = Process::own().read().unwrap();
        thread::spawn(move || work(clock, Duration::from_millis(400))).join().unwrap();
        let after = Process::own().read().unwrap();
        assert!(after.cpu_since(&before) > Duration::from_millis(100), "{:?}", (before, after));
        assert!(after.resident_bytes > 1 << 20);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Process { pid: u32::MAX }.read().unwrap_err().to_string();
        assert!(error.contains("process 4294967295"), "{error}");
    }
}
