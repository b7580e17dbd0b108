//! Jobs that wait for a thread of the worker pool: one bounded queue for all shards.
//!
//! A lock is taken once a job on either side, and never for a message. Closed and full are decided under it, so that no
//! job is left in the queue of a server that ends.
//!
//! Does not know: what a job does, who asked for it, which threads there are (`server` has them, and `sim` its twin).

use super::crash;
use super::policy::{LOW_WAITS, Priority};
use super::work::WorkError;
use crate::sync::Arc;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue of a server's worker pool.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// There is a job, or there will be no more.
    more: Condvar,
    slots: usize,
}

#[derive(Default)]
struct State {
    /// By priority, the lowest first, with their numbers.
    waiting: [VecDeque<(u64, Job)>; PRIORITIES],
    /// How many were begun while the first of the lowest waited.
    passed: u32,
    running: usize,
    closed: bool,
    figures: Figures,
}

/// What the pool has done.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) panicked: u64,
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    Full,
    Ending,
}

/// Something to be done by whoever comes first, and how what comes of it is told.
pub(crate) struct Job(Box<Run>);

type Run = dyn FnOnce(Fate, &Jobs) + Send;

enum Fate {
    Runs,
    Refused,
}

impl Job {
    /// `tell` gets what `job` gives, or why it does not.
    pub(crate) fn new<R>(
        job: impl FnOnce() -> R + Send + 'static,
        tell: impl FnOnce(Result<R, WorkError>) + Send + 'static,
    ) -> Self {
        Self(Box::new(move |fate, jobs| {
            let result = match fate {
                Fate::Runs => catch_unwind(AssertUnwindSafe(job)).map_err(|panic| {
                    let what = panic.downcast_ref::<&str>().map(|what| (*what).to_owned());
                    let what = what.or_else(|| panic.downcast_ref::<String>().cloned());
                    crash::let_go(panic);
                    WorkError::Panicked(what.unwrap_or_else(|| "no message".into()))
                }),
                Fate::Refused => {
                    crash::caught(|| drop(job)); // what it keeps is the user's
                    Err(WorkError::Ending)
                }
            };
            if let Err(WorkError::Panicked(what)) = &result {
                tracing::error!(panic = what, "a job of the worker pool panicked; its actor is told");
                jobs.state().figures.panicked += 1;
            }
            tell(result);
        }))
    }

    fn meet(self, fate: Fate, jobs: &Jobs) {
        // What is told, if nobody hears it, is dropped on this thread: that is the user's too.
        crash::caught(|| (self.0)(fate, jobs));
    }
}

impl Jobs {
    /// Room for `slots` jobs that wait.
    pub(crate) fn new(slots: u32) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), more: Condvar::new(), slots: slots as usize }))
    }

    /// Leaves a job, which is made if there is room for it. Gives its number.
    pub(crate) fn push(&self, priority: Priority, job: impl FnOnce() -> Job) -> Result<u64, Closed> {
        let mut state = self.state();
        if state.closed || state.waiting() >= self.0.slots {
            state.figures.refused += 1;
            return Err(if state.closed { Closed::Ending } else { Closed::Full });
        }
        state.figures.accepted += 1;
        let number = state.figures.accepted;
        state.waiting[priority as usize].push_back((number, job()));
        drop(state);
        self.0.more.notify_one();
        Ok(number)
    }

    /// Takes the job of this number out of the queue, if it has not begun. Looks at all that wait: for what is rare.
    pub(crate) fn take_back(&self, number: u64) -> Option<Job> {
        let mut state = self.state();
        state.waiting.iter_mut().find_map(|waiting| {
            let at = waiting.iter().position(|(other, _)| *other == number)?;
            waiting.remove(at).map(|(_, job)| job)
        })
    }

    /// A thread of the pool: does what there is, until there will be no more.
    pub(crate) fn serve(&self) {
        let mut state = self.state();
        loop {
            match state.begin() {
                Some(job) => {
                    drop(state);
                    self.run(job);
                    state = self.state();
                }
                None if state.closed => return,
                None => state = self.0.more.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes the next job, for [`Self::run`]. The simulator does both by itself; threads [`serve`](Self::serve).
    pub(crate) fn begin(&self) -> Option<Job> {
        self.state().begin()
    }

    /// Does a job that was begun.
    pub(crate) fn run(&self, job: Job) {
        job.meet(Fate::Runs, self);
        self.state().running -= 1;
    }

    /// Whether [`Self::begin`] would find one.
    pub(crate) fn has_waiting(&self) -> bool {
        self.state().waiting() > 0
    }

    /// Whether nothing waits and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    /// Takes no more jobs, and tells those who wait that theirs will not be done. What is under way goes on.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.0.more.notify_all();
        for (_, job) in waiting.into_iter().flatten() {
            job.meet(Fate::Refused, self);
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        self.state().figures
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting() == 0
    }

    /// The next job, which is under way from now on. The lowest priority has its turn as in a mailbox.
    fn begin(&mut self) -> Option<Job> {
        let low_waits = !self.waiting[0].is_empty();
        let next = if low_waits && self.passed >= LOW_WAITS {
            0
        } else {
            (0..PRIORITIES).rev().find(|&priority| !self.waiting[priority].is_empty())?
        };
        self.passed = if low_waits && next != 0 { self.passed + 1 } else { 0 };
        self.running += 1;
        self.waiting[next].pop_front().map(|(_, job)| job)
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jobs(..)")
    }
}

const PRIORITIES: usize = Priority::Critical as usize + 1;
