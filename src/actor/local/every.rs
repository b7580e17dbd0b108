//! Timers that fire again and again, at a fixed rate: what was missed is left out, not made up for.

use super::Local;
use crate::actor::address::{ActorId, SendError};
use crate::actor::cell::Next;
use crate::actor::context::TimerId;
use crate::actor::envelope::{Envelope, What};
use crate::actor::{Priority, Route, Sendable};
use crate::ring::parcel::Parcel;
use crate::shard::Time;
use std::time::Duration;

/// What such a timer sends, and when it does so next.
pub(crate) struct Every {
    to: Route,
    from: ActorId,
    period: Duration,
    due: Time,
    message: Box<dyn Fn() -> Parcel + Send>,
}

impl Every {
    /// Whether `who` has set it.
    pub(super) fn is_of(&self, who: ActorId) -> bool {
        self.from == who
    }
}

impl Local {
    pub(crate) fn every<M: Sendable + Clone>(
        &mut self,
        period: Duration,
        to: Route,
        message: M,
        from: ActorId,
    ) -> Result<TimerId, SendError<M>> {
        let Some(index) = self.new_timer() else { return Err(SendError::Full(message)) };
        let period = period.max(PERIOD_MIN);
        let due = self.now + period;
        let message = Box::new(move || Parcel::new(message.clone()));
        let timer = &mut self.timers[index as usize];
        timer.every = Some(Box::new(Every { to, from, period, due, message }));
        let id = TimerId { index, generation: timer.generation, shard: self.me };
        self.timer_wheel.set(index, due);
        Ok(id)
    }

    /// Sends what a timer sends every time, and sets it again; or ends it, with the first end of the two it concerns.
    pub(super) fn fire_every(&mut self, index: u32, mut every: Box<Every>) {
        let (to, from) = (every.to.id, every.from);
        let goes_on = self.lives(from) && (to.shard != self.me || self.lives(to));
        let mut parcel = None;
        if goes_on {
            self.run_nobody(|_, _, _| {
                parcel = Some((every.message)()); // a clone of the user's
                Next::Stay
            });
        }
        let Some(parcel) = parcel else {
            self.take_timer(index);
            return self.discard(every);
        };
        every.due = next(every.due, every.period, self.now);
        self.timer_wheel.set(index, every.due);
        let what = What::Message(every.to.delivery, Priority::Normal);
        self.timers[index as usize].every = Some(every);
        self.send_fired(Envelope { to, from: Some(from), what, parcel });
    }
}

/// The first moment after `now` that is a multiple of `period` after `due`.
fn next(due: Time, period: Duration, now: Time) -> Time {
    let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
    let missed = now.as_nanos().saturating_sub(due.as_nanos()) / period_ns;
    Time::from_nanos(due.as_nanos().saturating_add(period_ns.saturating_mul(missed + 1)))
}

/// Nothing is due between two milliseconds.
const PERIOD_MIN: Duration = Duration::from_millis(1);
