//! Slow work leaves the handler: a job for the worker pool, whose result comes back to its actor.

use super::ask::{AskId, Callback};
use super::envelope::with_actor;
use super::{Actor, Context, Priority};
use std::fmt;

/// A job that was handed over, for [`Context::cancel_work`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkId {
    /// Under which its result is waited for.
    pub(crate) ask: AskId,
    /// In the pool's queue.
    pub(crate) number: u64,
}

/// A job that has not been handed over yet, from [`Context::work`].
#[must_use = "a job is handed over by `then`"]
pub struct Work<'c, 'a, A, J> {
    cx: &'c mut Context<'a, A>,
    job: J,
    priority: Priority,
}

impl<'a, A: Actor> Context<'a, A> {
    /// Has a thread of the worker pool do `job`, which may block or compute for as long as it likes: [`Work::then`] says
    /// what is done with the result. The pool has [`pool_threads`](crate::server::Config::pool_threads) (`--pool`), on CPUs
    /// of its own where the shards leave some, and is shared by all shards.
    ///
    /// ```
    /// use corewire::actor::{Priority, WorkError};
    /// use corewire::prelude::*;
    ///
    /// # fn scrypt(password: &str) -> u64 { password.len() as u64 }
    /// /// Says the hash of what it hears. Hashing takes half a second, in which its shard serves others.
    /// struct Login;
    /// impl Session for Login {
    ///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         let password = message.as_text().unwrap_or_default().to_owned();
    ///         cx.work(move || scrypt(&password)).at(Priority::High).then(Self::hashed)?; // too many wait: close 1013
    ///         Ok(())
    ///     }
    /// }
    /// impl Login {
    ///     fn hashed(&mut self, hash: Result<u64, WorkError>, cx: &mut Context<Self>) {
    ///         let answer = hash.map_or_else(|error| error.to_string(), |hash| format!("{hash:x}"));
    ///         let _ = cx.client().send_text(&answer); // a client that is not there any more needs no answer
    ///     }
    /// }
    /// ```
    pub fn work<J, R>(&mut self, job: J) -> Work<'_, 'a, A, J>
    where
        J: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        Work { cx: self, job, priority: Priority::Normal }
    }

    /// Takes a job back: what [`Work::then`] was given is not called. A job that has not begun is not done, and dropped here;
    /// one that has begun goes on to its end, and its result is dropped and counted. False if its result has come, or it is not
    /// this actor's.
    pub fn cancel_work(&mut self, job: WorkId) -> bool {
        self.local.cancel_work(self.me, job)
    }
}

impl<A: Actor, J> Work<'_, '_, A, J> {
    /// Before or after other jobs that wait. Of [`Priority::Low`] the first waits for at most
    /// [`LOW_WAITS`](super::LOW_WAITS) others to begin.
    pub fn at(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Hands the job over. `then` is called once, with what it gave or why it gave nothing, unless this actor stops before:
    /// then the job is done all the same, and its result is dropped and counted. Other messages are handled meanwhile.
    ///
    /// # Errors
    /// The job comes back, and `then` is not called: see [`WorkRefused`].
    pub fn then<R: Send + 'static>(
        self,
        then: impl FnOnce(&mut A, Result<R, WorkError>, &mut Context<'_, A>) + 'static,
    ) -> Result<WorkId, WorkRefused<J>>
    where
        J: FnOnce() -> R + Send + 'static,
    {
        let Self { cx, job, priority } = self;
        let callback: Callback = Box::new(|cell, answer, local, me| {
            // It has no deadline, and no shard turns a result away, so there is always a parcel.
            let result = answer.map_or(Err(WorkError::Ending), |parcel| {
                parcel.downcast().expect("a job is made together with what hears of it")
            });
            with_actor(cell, local, me, |actor, cx| then(actor, result, cx))
        });
        cx.local.work(cx.me, job, priority, callback)
    }
}

/// Why a job gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkError {
    /// It panicked, with this message. Its thread goes on with the next.
    Panicked(String),
    /// The server ends, and it had not begun.
    Ending,
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(what) => write!(f, "the job panicked: {what}"),
            Self::Ending => f.write_str("the server ends, and the job had not begun"),
        }
    }
}

impl std::error::Error for WorkError {}

/// A job that was not taken, handed back.
pub enum WorkRefused<J> {
    /// As many wait as may: [`pool_slots`](crate::server::Config::pool_slots) in all, and as many results and answers of
    /// this shard as [`asks_max`](crate::server::Config::asks_max) allows.
    Full(J),
    /// The server ends.
    Ending(J),
}

impl<J> WorkRefused<J> {
    /// The job.
    pub fn into_inner(self) -> J {
        match self {
            Self::Full(job) | Self::Ending(job) => job,
        }
    }
}

impl<J> fmt::Debug for WorkRefused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Ending(_) => "Ending(..)",
        })
    }
}

impl<J> fmt::Display for WorkRefused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => {
                "the worker pool's queue is full; try later, or give it more threads (--pool) or room (pool_slots)"
            }
            Self::Ending(_) => "the server ends, and its worker pool takes nothing more",
        })
    }
}

impl<J> std::error::Error for WorkRefused<J> {}

impl<A, J> fmt::Debug for Work<'_, '_, A, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("priority", &self.priority).finish_non_exhaustive()
    }
}
