//! What is due on this shard: messages to be sent later, and cells' own ticks.

use super::{Local, Timer};
use crate::actor::address::{ActorId, SendError};
use crate::actor::context::TimerId;
use crate::actor::envelope::{Envelope, What};
use crate::actor::{Priority, Route, Sendable};
use crate::ring::parcel::Parcel;
use crate::shard::Time;
use crate::shard::time::earlier;
use std::time::Duration;

impl Local {
    pub(crate) fn after<M: Sendable>(
        &mut self,
        delay: Duration,
        to: Route,
        message: M,
        from: ActorId,
    ) -> Result<TimerId, SendError<M>> {
        let Some(index) = self.new_timer() else { return Err(SendError::Full(message)) };
        let timer = &mut self.timers[index as usize];
        let what = What::Message(to.delivery, Priority::Normal);
        let envelope = Envelope { to: to.id, from: Some(from), what, parcel: Parcel::new(message) };
        timer.envelope = Some(if self.traces { envelope.carried() } else { envelope });
        let id = TimerId { index, generation: timer.generation, shard: self.me };
        self.timer_wheel.set(index, self.now + delay);
        Ok(id)
    }

    /// A place for a timer, if there is one left.
    pub(super) fn new_timer(&mut self) -> Option<u32> {
        if let Some(index) = self.free_timers.pop() {
            return Some(index);
        }
        if self.timers.len() < self.bounds.timers_max as usize {
            self.timers.push(Timer { generation: 0, envelope: None, every: None });
            return Some(self.timers.len() as u32 - 1);
        }
        // Those who come and go must not leave nothing for others. Once a turn, since it looks at every timer.
        if self.timers_swept_at.replace(self.now) != Some(self.now) {
            self.forget_timers_for_nobody();
        }
        self.free_timers.pop()
    }

    /// Takes back what would find nobody on this shard.
    fn forget_timers_for_nobody(&mut self) {
        for index in 0..self.timers.len() as u32 {
            let Timer { generation, envelope, .. } = &self.timers[index as usize];
            let generation = *generation;
            let is_for_nobody = envelope
                .as_ref()
                // What one who was born elsewhere sets for itself goes where it goes.
                .is_some_and(|Envelope { to, from, .. }| {
                    (to.shard == self.me || *from == Some(*to)) && !self.lives(*to)
                });
            if is_for_nobody {
                self.counters.refused += 1;
                self.cancel(TimerId { index, generation, shard: self.me });
            }
        }
    }

    /// Takes a timer of this actor's back, which may have set it on another shard.
    pub(crate) fn cancel_of(&mut self, me: ActorId, id: TimerId) -> bool {
        self.timer_here(me.slot, id).is_some_and(|here| self.cancel(here))
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> bool {
        let timer = self.timers.get(id.index as usize).filter(|timer| timer.generation == id.generation);
        if timer.is_none() {
            return false;
        }
        self.timer_wheel.clear(id.index);
        let every = self.timers[id.index as usize].every.take();
        let envelope = self.take_timer(id.index);
        self.discard((envelope, every));
        true
    }

    /// Takes back what `who` has set for itself, or to fire again and again. Looks at every timer: for what is rare.
    pub(super) fn forget_timers_of(&mut self, who: ActorId) {
        for index in 0..self.timers.len() as u32 {
            let Timer { generation, envelope, every } = &self.timers[index as usize];
            let is_for_itself = |envelope: &Envelope| envelope.to == who && envelope.from == Some(who);
            if envelope.as_ref().is_some_and(is_for_itself)
                || every.as_ref().is_some_and(|every| every.is_of(who))
            {
                let generation = *generation;
                self.cancel(TimerId { index, generation, shard: self.me });
            }
        }
    }

    /// Ends a timer, and gives its message.
    pub(super) fn take_timer(&mut self, index: u32) -> Option<Envelope> {
        let timer = &mut self.timers[index as usize];
        timer.generation = timer.generation.wrapping_add(1);
        self.free_timers.push(index);
        timer.envelope.take()
    }

    /// Calls [`Cell::tick`] of `me` at `when`, and says when that will be: what is far away is rounded up to about a
    /// second, so that ten thousand silent connections wake their shard once a second and not four hundred times.
    ///
    /// A cell has one tick. If it has asked for an earlier one, that one comes and this does not: whoever is called
    /// before its time asks again.
    pub(crate) fn tick_at(&mut self, when: Time, me: ActorId) -> Time {
        let far = when.since(self.now) >= TICK_FAR;
        let due_ms = when.as_nanos().div_ceil(1_000_000);
        let due_ms = if far { due_ms.next_multiple_of(TICK_COARSE_MS) } else { due_ms };
        let due = Time::from_nanos(due_ms * 1_000_000);
        if self.ticks.due(me.slot).is_none_or(|earlier| due < earlier) {
            self.ticks.set(me.slot, due);
        }
        due
    }

    pub(crate) fn next_timer(&self) -> Option<Time> {
        earlier(earlier(self.ticks.next(), self.timer_wheel.next()), self.asks.next())
    }

    /// Whether something was due and has not fired.
    pub(super) fn has_due(&self) -> bool {
        self.ticks.has_rung() || self.timer_wheel.has_rung() || self.asks.has_expired()
    }

    /// Fires what is due, or some of it: ten thousand connections that have fallen silent together are pinged in many
    /// turns, and others are heard between them.
    pub(crate) fn fire(&mut self) {
        self.ticks.expire(self.now);
        self.timer_wheel.expire(self.now);
        self.asks.expire(self.now);
        if self.has_due() {
            self.fire_due();
        }
    }

    #[inline(never)]
    fn fire_due(&mut self) {
        for _ in 0..FIRED_PER_TURN {
            let Some(slot) = self.ticks.pop() else { break };
            if self.slots[slot as usize].cell.is_none() {
                self.make_anew(slot);
                continue;
            }
            self.run(slot, |cell, local, me| cell.tick(local, me));
        }
        for _ in 0..FIRED_PER_TURN {
            let Some(index) = self.timer_wheel.pop() else { break };
            if let Some(every) = self.timers[index as usize].every.take() {
                self.fire_every(index, every);
            } else if let Some(envelope) = self.take_timer(index) {
                self.send_fired(envelope);
            }
        }
        self.expire_asks(FIRED_PER_TURN);
    }

    /// Sends what was due. Where there is no room for it, nobody is there to take it back.
    pub(super) fn send_fired(&mut self, envelope: Envelope) {
        if envelope.to.shard != self.me {
            if let Err(error) = self.mesh.send(envelope.to.shard, envelope) {
                self.counters.refused += 1;
                self.discard(error);
            }
        } else if let Some((_, envelope)) = self.deposit(envelope) {
            self.counters.refused += 1;
            self.discard(envelope);
        }
    }
}

const FIRED_PER_TURN: usize = 64;
const TICK_FAR: Duration = Duration::from_secs(4);
const TICK_COARSE_MS: u64 = 1024;
