//! The worker pool's twin: jobs begin, run and end at moments that chance chooses, on no thread at all.
//!
//! A job runs in one go, so one that waits for another job, or for a client, waits for ever here.

use super::net::Wires;
use crate::actor::jobs::{Job, Jobs};
use crate::shard::Time;
use std::time::Duration;

/// As many as there would be threads.
pub(super) struct Workers {
    jobs: Jobs,
    workers: Vec<Option<Busy>>,
}

/// With a job, which it is done with at some moment.
struct Busy {
    job: Job,
    until: Time,
}

impl Workers {
    pub(super) fn new(jobs: Jobs, threads: u32) -> Self {
        let threads = if threads == 0 { THREADS } else { threads };
        Self { jobs, workers: (0..threads).map(|_| None).collect() }
    }

    /// Who can do something, and when.
    pub(super) fn due(&self, now: Time) -> impl Iterator<Item = (usize, Time)> {
        let waiting = self.jobs.has_waiting();
        self.workers.iter().enumerate().filter_map(move |(number, worker)| match worker {
            Some(busy) => Some((number, busy.until)),
            None => waiting.then_some((number, now)),
        })
    }

    /// One of them begins a job, or runs the one that it has begun.
    pub(super) fn act(&mut self, number: usize, wires: &Wires) {
        let worker = &mut self.workers[number];
        if let Some(Busy { job, .. }) = worker.take() {
            return self.jobs.run(job); // it may say something to a shard, so the network is not held
        }
        let Some(job) = self.jobs.begin() else { return };
        let mut net = wires.get();
        let takes =
            Duration::from_micros([0, net.rng.u64(0..2_000), net.rng.u64(0..200_000)][net.rng.usize(0..3)]);
        *worker = Some(Busy { job, until: net.now + takes });
    }
}

/// If nothing else is said.
const THREADS: u32 = 2;
