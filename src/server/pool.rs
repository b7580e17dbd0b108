//! The worker pool's threads: how many, where they may run, and how they end.

use crate::actor::jobs::Jobs;
use crate::shard::uring::affinity;
use crate::topology::Plan;
use std::io;
use std::thread::{Builder, JoinHandle};

/// Threads that do what the shards' actors hand over.
#[derive(Debug)]
pub(super) struct Threads {
    jobs: Jobs,
    threads: Vec<JoinHandle<()>>,
}

/// How many threads there are if `asked`, or if nothing is asked: one a CPU that is left to them, as far as CPUs are granted.
pub(super) fn threads(plan: &Plan, asked: u32) -> u32 {
    let cpus: usize = plan.pool_cpus.iter().map(|node| node.cpus.len()).sum();
    let granted = plan.quota_millicpus.map_or(u32::MAX, |quota| (quota / 1000).max(1));
    if asked > 0 { asked } else { u32::try_from(cpus).unwrap_or(u32::MAX).min(granted).min(THREADS_MAX) }
}

impl Threads {
    /// Starts `threads` of them, on the nodes in turn; each on all CPUs of its node that shards leave.
    pub(super) fn start(jobs: Jobs, plan: &Plan, threads: u32) -> io::Result<Self> {
        let mut pool = Self { jobs, threads: Vec::new() };
        for number in 0..threads {
            let jobs = pool.jobs.clone();
            let node = &plan.pool_cpus[number as usize % plan.pool_cpus.len()];
            let cpus = plan.pinned.then(|| node.cpus.clone());
            let run = move || {
                if let Some(cpus) = cpus
                    && let Err(error) = affinity::bind(&cpus)
                {
                    tracing::warn!(%error, ?cpus, "a thread of the worker pool runs where it likes");
                }
                jobs.serve();
            };
            match Builder::new().name(format!("pool-{number}")).spawn(run) {
                Ok(thread) => pool.threads.push(thread),
                Err(error) => {
                    pool.jobs.close(); // and those that run end
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// Waits for the threads, after the shards have waited for their jobs; not for one that still has a job.
    pub(super) fn join(self) {
        self.jobs.close();
        let idle = self.jobs.is_idle();
        if !idle {
            tracing::warn!(
                "a job of the worker pool takes longer than the server's end; it is left to itself"
            );
        }
        for thread in self.threads.into_iter().filter(|thread| idle || thread.is_finished()) {
            drop(thread.join()); // it contains what its jobs do
        }
    }
}

/// More than this has to be asked for.
const THREADS_MAX: u32 = 64;
