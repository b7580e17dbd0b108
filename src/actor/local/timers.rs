//! What is due on this shard: messages to be sent later, and cells' own ticks.

use super::{Due, Local, Timer};
use crate::actor::address::{ActorId, SendError};
use crate::actor::context::TimerId;
use crate::actor::envelope::{Envelope, What};
use crate::actor::{Priority, Route, Sendable};
use crate::ring::parcel::Parcel;
use crate::shard::Time;
use std::time::Duration;

impl Local {
    pub(crate) fn after<M: Sendable>(
        &mut self,
        delay: Duration,
        to: Route,
        message: M,
        from: ActorId,
    ) -> Result<TimerId, SendError<M>> {
        let index = match self.free_timers.pop() {
            Some(index) => index,
            None if self.timers.len() < self.bounds.timers_max as usize => {
                self.timers.push(Timer { generation: 0, envelope: None });
                self.timers.len() as u32 - 1
            }
            None => return Err(SendError::Full(message)),
        };
        let timer = &mut self.timers[index as usize];
        timer.envelope = Some(Envelope {
            to: to.id,
            from: Some(from),
            what: What::Message(to.delivery, Priority::Normal),
            parcel: Parcel::new(message),
        });
        let id = TimerId { index, generation: timer.generation };
        self.wheel.schedule(self.now + delay, Due::Timer(id));
        Ok(id)
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> bool {
        let Some(envelope) = self.take_timer(id) else { return false };
        self.discard(envelope);
        self.cancelled += 1;
        if self.cancelled > CANCELLED_MAX.max(self.wheel.len() / 2) {
            // Each stays until it would have been due, which may be long.
            let Self { wheel, timers, .. } = self;
            wheel.retain(|due| match due {
                Due::Timer(id) => timers[id.index as usize].generation == id.generation,
                Due::Tick { .. } => true,
            });
            self.cancelled = 0;
        }
        true
    }

    fn take_timer(&mut self, id: TimerId) -> Option<Envelope> {
        let timer =
            self.timers.get_mut(id.index as usize).filter(|timer| timer.generation == id.generation)?;
        timer.generation = timer.generation.wrapping_add(1);
        self.free_timers.push(id.index);
        timer.envelope.take()
    }

    /// Calls [`Cell::tick`] of `me` at `when`, and says when that will be: what is far away is rounded up to a quarter of
    /// a second, so that ten thousand silent connections wake their shard four times a second and not four hundred.
    pub(crate) fn tick_at(&mut self, when: Time, me: ActorId) -> Time {
        let far = when.since(self.now) >= TICK_FAR;
        let due_ms = when.as_nanos().div_ceil(1_000_000);
        let due_ms = if far { due_ms.next_multiple_of(TICK_COARSE_MS) } else { due_ms };
        let due = Time::from_nanos(due_ms * 1_000_000);
        self.wheel.schedule(due, Due::Tick { slot: me.slot, generation: me.generation.get() as u32 });
        due
    }

    pub(crate) fn next_timer(&self) -> Option<Time> {
        [self.wheel.next(), self.asks.next()].into_iter().flatten().min()
    }

    /// Fires what is due.
    pub(crate) fn fire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.now, &mut due);
        for due in due.drain(..) {
            match due {
                Due::Tick { slot, generation } => {
                    let entry = &self.slots[slot as usize];
                    if entry.generation_low() == generation {
                        self.run(slot, |cell, local, me| cell.tick(local, me));
                    }
                }
                Due::Timer(id) => {
                    let Some(envelope) = self.take_timer(id) else { continue };
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
        }
        self.due = due;
        self.expire_asks();
    }
}

const CANCELLED_MAX: usize = 1024;
const TICK_FAR: Duration = Duration::from_secs(4);
const TICK_COARSE_MS: u64 = 256;
