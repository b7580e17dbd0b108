//! What this process asks of its machine: files, a core, the scheduler's attention.

use crate::error::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Lets this process open `connections` sockets and a few files.
pub(crate) fn allow_files(connections: usize) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    let needed = (connections + FILES_BESIDES) as u64;
    if let Some(hard) = limit.maximum
        && hard < needed
    {
        return Err(Error::Machine(format!(
            "{connections} connections need {needed} open files, but the hard limit is {hard}: raise it (`ulimit -Hn \
             {needed}` as root, or LimitNOFILE= or limits.conf), or ask for fewer"
        )));
    }
    if limit.current.is_some_and(|soft| soft < needed) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised)
            .map_err(|error| Error::Machine(format!("the limit of open files cannot be raised: {error}")))?;
    }
    Ok(())
}

/// Binds this thread to `core`.
pub(crate) fn pin(core: usize) -> Result<(), Error> {
    let refused = |why: String| Error::Machine(format!("cannot be pinned to core {core}: {why}"));
    if core >= CpuSet::MAX_CPU {
        return Err(refused("there is no such core".into()));
    }
    let mut wanted = CpuSet::new();
    wanted.set(core);
    sched_setaffinity(None, &wanted).map_err(|error| refused(error.to_string()))?;
    let got = sched_getaffinity(None).map_err(|error| refused(error.to_string()))?;
    if got != wanted {
        return Err(refused(format!("the kernel says {} cores", got.count())));
    }
    Ok(())
}

/// Gives this session's processes precedence over other sessions'. `nice` does not: with autogrouping it weighs only
/// within a session.
pub(crate) fn favour_autogroup() -> Result<(), Error> {
    std::fs::write("/proc/self/autogroup", "-20").map_err(|error| {
        Error::Machine(format!("/proc/self/autogroup does not take -20: {error} (root may write it)"))
    })
}

/// Standard streams, epoll, /proc files, and some to spare.
const FILES_BESIDES: usize = 32;
