//! Jobs that this shard's actors have handed over. Their results come home as answers do, in room that was kept for them.

use super::Local;
use crate::actor::ask::Callback;
use crate::actor::jobs::{Closed, Job};
use crate::actor::pending::Pending;
use crate::actor::reply::Asker;
use crate::actor::{ActorId, Priority, WorkId, WorkRefused};
use crate::ring::parcel::Parcel;

impl Local {
    /// Hands a job to the worker pool, and keeps what is to be done with its result.
    pub(crate) fn work<J, R>(
        &mut self,
        from: ActorId,
        job: J,
        priority: Priority,
        callback: Callback,
    ) -> Result<WorkId, WorkRefused<J>>
    where
        J: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        if self.asks.is_full() {
            self.discard(callback);
            return Err(WorkRefused::Full(job));
        }
        let ask = self.asks.insert(Pending { asker: from, callback }, None);
        let calls = self.calls.clone();
        let tell = move |result| calls.answer(Asker { who: from, ask }, Ok(Parcel::new(result)));
        let mut job = Some(job);
        let pushed = self.jobs.push(priority, || Job::new(job.take().expect("a job is made once"), tell));
        pushed.map(|number| WorkId { ask, number }).map_err(|why| {
            let pending = self.asks.take(ask, from);
            self.discard(pending);
            let job = job.expect("a job that is refused is not made");
            match why {
                Closed::Full => WorkRefused::Full(job),
                Closed::Ending => WorkRefused::Ending(job),
            }
        })
    }

    /// Nobody waits for a job's result any more. False: nobody has.
    pub(crate) fn cancel_work(&mut self, from: ActorId, WorkId { ask, number }: WorkId) -> bool {
        let Some(pending) = self.asks.take(ask, from) else { return false };
        let job = self.jobs.take_back(number);
        self.discard((pending, job));
        true
    }
}
