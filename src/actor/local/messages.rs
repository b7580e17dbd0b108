//! Messages on this shard: sent, taken from lanes, handled, sent back.

use super::Local;
use crate::actor::Handler;
use crate::actor::address::{ActorId, Address, Refused, SendError};
use crate::actor::envelope::{Envelope, Returned, What, delivery};
use crate::actor::handle::Outside;
use crate::actor::outside::{Calls, Word};
use crate::ring::parcel::Parcel;
use crate::ring::spsc::PushError;

impl Local {
    pub(crate) fn send<A: Handler<M>, M: Send + 'static>(
        &mut self,
        to: Address<A>,
        message: M,
        from: Option<ActorId>,
    ) -> Result<(), SendError<M>> {
        let to = to.id;
        if to.shard == self.me {
            if let Err(refused) = self.has_room(to) {
                return Err(match refused {
                    Refused::Full => SendError::Full(message),
                    Refused::Gone => SendError::Gone(message),
                });
            }
            let envelope =
                Envelope { to, from, what: What::Message(delivery::<A, M>()), parcel: Parcel::new(message) };
            self.enqueue(envelope);
            return Ok(());
        }
        let envelope =
            Envelope { to, from, what: What::Message(delivery::<A, M>()), parcel: Parcel::new(message) };
        self.mesh.send(to.shard, envelope).map_err(|error| {
            let unpack = |envelope: Envelope| envelope.parcel.downcast().expect("it was packed a moment ago");
            match error {
                PushError::Full(envelope) => SendError::Full(unpack(envelope)),
                PushError::Closed(envelope) => SendError::Gone(unpack(envelope)),
            }
        })
    }

    pub(super) fn has_room(&self, to: ActorId) -> Result<(), Refused> {
        let slot = self.slots.get(to.slot as usize).filter(|slot| slot.accepts(to));
        match slot {
            None => Err(Refused::Gone),
            Some(slot) if slot.mailbox.len() >= self.bounds.mailbox_slots || self.mail.is_full() => {
                Err(Refused::Full)
            }
            Some(_) => Ok(()),
        }
    }

    pub(super) fn enqueue(&mut self, envelope: Envelope) {
        let index = envelope.to.slot;
        let slot = &mut self.slots[index as usize];
        self.mail.push(&mut slot.mailbox, envelope);
        if !slot.state.ready {
            slot.state.ready = true;
            self.ready.push_back(index);
        }
    }

    /// Takes what other shards sent, at most `max` from each.
    pub(crate) fn lanes(&mut self, max: usize) {
        let mut refused = Vec::new(); // empty: takes no memory until something is
        let Self { mesh, slots, mail, ready, bounds, shard_mail, .. } = self;
        mesh.drain(max, |_, envelope| {
            if let What::Shard = envelope.what {
                shard_mail.push_back(envelope.parcel);
                return;
            }
            let to = envelope.to;
            let slot = slots.get_mut(to.slot as usize).filter(|slot| slot.accepts(to));
            match slot {
                None => refused.push((envelope, Refused::Gone)),
                Some(slot) if slot.mailbox.len() >= bounds.mailbox_slots || mail.is_full() => {
                    refused.push((envelope, Refused::Full));
                }
                Some(slot) => {
                    mail.push(&mut slot.mailbox, envelope);
                    if !slot.state.ready {
                        slot.state.ready = true;
                        ready.push_back(to.slot);
                    }
                }
            }
        });
        let mut back = Vec::new();
        mesh.drain_back(|_, envelope| back.push(envelope));
        for (envelope, reason) in refused {
            self.turn_back(envelope, reason);
        }
        for envelope in back {
            self.take_back(envelope);
        }
        self.return_mail();
    }

    /// Notes that an envelope goes back to its sender. Not at once: the sender may be running, or the way back full.
    pub(super) fn turn_back(&mut self, envelope: Envelope, reason: Refused) {
        self.counters.refused += 1;
        if envelope.from.is_some() {
            self.returns.push_back(Envelope { what: What::Returned(reason), ..envelope });
        } else {
            self.discard(envelope);
        }
    }

    /// Sends back what goes back. What finds the way full waits here, and since nothing is taken from a lane whose way
    /// back is full, no more waits than mailboxes held.
    fn return_mail(&mut self) {
        for _ in 0..self.returns.len() {
            let Some(envelope) = self.returns.pop_front() else { return };
            match envelope.from {
                Some(sender) if sender.shard != self.me => {
                    match self.mesh.send_back(sender.shard, envelope) {
                        Ok(()) => {}
                        Err(PushError::Full(envelope)) => self.returns.push_back(envelope),
                        Err(gone) => self.discard(gone),
                    }
                }
                _ => self.take_back(envelope),
            }
        }
    }

    pub(super) fn take_back(&mut self, envelope: Envelope) {
        let (Some(sender), What::Returned(reason)) = (envelope.from, envelope.what) else { return };
        let is_there = self.lives(sender);
        if is_there && self.is_waiting(sender) {
            return self.hold_returned(sender, envelope);
        }
        self.counters.returned += 1;
        if is_there {
            let returned = Returned::new(envelope.to, reason, envelope.parcel);
            self.run(sender.slot, |cell, local, me| cell.returned(returned, local, me));
        } else {
            self.discard(envelope);
        }
    }

    /// Lets actors handle what waits for them, at most `max` messages, a few from each in turn.
    pub(crate) fn deliver(&mut self, max: usize) {
        let mut left = max;
        while left > 0
            && let Some(slot) = self.ready.pop_front()
        {
            let state = &mut self.slots[slot as usize].state;
            if state.waiting {
                continue; // it is here from before
            }
            state.ready = false;
            for _ in 0..MAIL_PER_ACTOR.min(left) {
                let entry = &mut self.slots[slot as usize];
                if entry.state.waiting {
                    break;
                }
                let Some(envelope) = self.mail.pop(&mut entry.mailbox) else { break };
                left -= 1;
                self.counters.handled += 1;
                if let What::Message(delivery) = envelope.what {
                    self.run(slot, |cell, local, me| (delivery.deliver)(cell, envelope.parcel, local, me));
                }
            }
            let entry = &mut self.slots[slot as usize];
            if entry.mailbox.len() == 0 {
                self.end_if_done(slot);
            } else if !entry.state.ready {
                entry.state.ready = true;
                self.ready.push_back(slot);
            }
        }
    }

    /// Whether something waits in a mailbox or to be sent, or somebody waits for what became of a send: a send that
    /// succeeds posts no completion, so it would not end a sleep.
    pub(crate) fn is_busy(&self) -> bool {
        !self.ready.is_empty()
            || !self.dirty.is_empty()
            || !self.returns.is_empty()
            || !self.shard_mail.is_empty()
            || self.awaits_sent
            || self.has_ready_tasks()
            || self.calls.is_raised()
    }

    /// By which other threads reach all shards.
    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// By which they reach this one.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Hears what other threads have said, `max` words at most.
    pub(crate) fn hear_outside(&mut self, max: usize) {
        if !self.calls.is_raised() {
            return;
        }
        let mut heard = std::mem::take(&mut self.heard);
        self.calls.hear(max, &mut heard);
        for to in heard.pokes.drain(..) {
            if self.lives(to) {
                self.run(to.slot, |cell, local, me| cell.poke(local, me));
            }
        }
        for task in heard.woken.drain(..) {
            self.task_woken(task);
        }
        for word in heard.words.drain(..) {
            match word {
                Word::Mail(envelope) => match self.has_room(envelope.to) {
                    Ok(()) => self.enqueue(envelope),
                    Err(refused) => self.turn_back(envelope, refused),
                },
            }
        }
        self.heard = heard;
    }

    /// Drops every message that waits anywhere here, in mailboxes, timers and lanes. For the end: what is in them goes home.
    pub(crate) fn forget_messages(&mut self) {
        let words = self.calls.close();
        self.discard(words);
        while let Some(envelope) = self.mail.pop_any() {
            self.discard(envelope);
        }
        for timer in std::mem::take(&mut self.timers) {
            self.discard(timer.envelope);
        }
        let mut left = Vec::new();
        self.mesh.drain_back(|_, envelope| left.push(envelope));
        self.mesh.drain(usize::MAX, |_, envelope| left.push(envelope));
        self.discard(left);
        for envelope in std::mem::take(&mut self.returns) {
            self.discard(envelope);
        }
        for parcel in std::mem::take(&mut self.shard_mail) {
            self.discard(parcel);
        }
    }
}

const MAIL_PER_ACTOR: usize = 16;
