//! What the kernel tells of a process: CPU time by thread, memory.

use crate::error::Error;
use rustix::time::{ClockId, clock_gettime};
use std::fs;

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

/// CPU time of each thread so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuTimes(Vec<Thread>);

#[derive(Debug, Clone)]
pub(crate) struct Thread {
    id: u32,
    pub(crate) name: String,
    pub(crate) nanos: u64,
}

impl Process {
    /// The process `pid`, which must be there.
    pub(crate) fn new(pid: u32) -> Result<Self, Error> {
        let process = Self(pid);
        if process.cpu_times()?.0.is_empty() {
            return Err(Error::Machine(format!(
                "/proc/{pid}/task/*/schedstat tells nothing of process {pid}"
            )));
        }
        Ok(process)
    }

    pub(crate) fn pid(self) -> u32 {
        self.0
    }

    /// From `/proc/PID/task/*/schedstat`, in nanoseconds.
    pub(crate) fn cpu_times(self) -> Result<CpuTimes, Error> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).map_err(|error| self.gone(&error))?;
        let mut threads = Vec::new();
        for task in tasks {
            let path = task.map_err(|error| self.gone(&error))?.path();
            let read = |file| fs::read_to_string(path.join(file)).unwrap_or_default(); // a thread may end meanwhile
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let nanos = read("schedstat").split(' ').next().and_then(|field| field.parse().ok());
            if let (Some(id), Some(nanos)) = (id, nanos) {
                threads.push(Thread { id, name: read("comm").trim_end().into(), nanos });
            }
        }
        Ok(CpuTimes(threads))
    }

    /// Memory of its own, in bytes. `smaps_rollup` counts pages; where it may not be read, `status`, which may be off by some
    /// hundred KiB.
    pub(crate) fn rss_bytes(self) -> Result<u64, Error> {
        let kib_of = |file: &str, field: &str| {
            let text = fs::read_to_string(format!("/proc/{}/{file}", self.0)).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let kib = kib_of("smaps_rollup", "Rss:").or_else(|| kib_of("status", "VmRSS:"));
        let kib =
            kib.ok_or_else(|| Error::Machine(format!("the memory of process {} cannot be read", self.0)))?;
        Ok(kib << 10)
    }

    fn gone(self, error: &std::io::Error) -> Error {
        Error::Machine(format!("process {} cannot be read: {error}", self.0))
    }
}

impl CpuTimes {
    /// What each thread has used since `before`. Threads that have ended since are not seen.
    pub(crate) fn since(&self, before: &Self) -> Vec<Thread> {
        let earlier = |id| before.0.iter().find(|thread| thread.id == id).map_or(0, |thread| thread.nanos);
        let used = self.0.iter().map(|thread| Thread {
            nanos: thread.nanos.saturating_sub(earlier(thread.id)),
            ..thread.clone()
        });
        used.filter(|thread| thread.nanos > 0).collect()
    }
}

/// CPU time of this thread, in nanoseconds.
pub(crate) fn own_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
