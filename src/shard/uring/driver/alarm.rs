//! When a sleep ends at the latest: a request that stays in the ring, and not an argument of each sleep.
//!
//! A sleep with a time of its own has the kernel set a timer and take it back, at every sleep; on a virtual machine that is
//! a good microsecond. Most sleeps end long before their time, because somebody says something. So one alarm stands for all of
//! them: it is set earlier where a sleep must end earlier, and where it rings too early, the shard turns once for nothing.

use super::UringDriver;
use super::queue::{OP_ALARM, OP_IGNORED, user_data};
use crate::shard::Time;
use io_uring::{opcode, squeue, types};
use std::time::Duration;

/// The timer that is with the kernel, if one is.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    rings_at: Option<Time>,
    /// It has rung since the last enter began.
    rang: bool,
    /// What the kernel is told; it reads that when it takes the request.
    after: Box<types::Timespec>,
}

impl Alarm {
    pub(super) fn begin_enter(&mut self) {
        self.rang = false;
    }

    pub(super) fn has_rung(&mut self) {
        self.rings_at = None;
        self.rang = true;
    }

    /// Whether it has rung in this enter: then nobody else has ended its sleep, unless there is a completion too.
    pub(super) fn ended_sleep(&self) -> bool {
        self.rang
    }
}

impl UringDriver {
    /// Sees to it that a completion comes at `until` or before. To be submitted before the next call of this.
    pub(super) fn set_alarm(&mut self, until: Time) {
        if self.alarm.rings_at.is_none_or(|at| at > until) {
            self.set_earlier(until);
        }
    }

    #[inline(never)]
    fn set_earlier(&mut self, until: Time) {
        let after = until.since(Time::ZERO + self.epoch.elapsed()).max(Duration::from_micros(1));
        *self.alarm.after = types::Timespec::from(after);
        let (alarm, after) = (user_data(OP_ALARM, 0), &raw const *self.alarm.after);
        let request = match self.alarm.rings_at.replace(until) {
            None => opcode::Timeout::new(after).build().user_data(alarm),
            // If it rings just now, there is nothing to set earlier; but then its completion is there, and nobody sleeps.
            Some(_) => opcode::TimeoutUpdate::new(alarm, after)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(user_data(OP_IGNORED, 0)),
        };
        self.push(&request);
    }
}
