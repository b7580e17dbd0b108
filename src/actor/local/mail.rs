//! Mailboxes of this shard: what gets in, and what is done when one is full.

use super::Local;
use super::slots::Slot;
use crate::actor::address::{ActorId, Refused};
use crate::actor::ask::AskError;
use crate::actor::cell::Cell;
use crate::actor::envelope::{Delivery, Envelope};
use crate::actor::mailbox::MailId;
use crate::actor::reply::Asker;
use crate::actor::trail::look_inside;
use crate::actor::{Overflow, Priority, crash};
use std::any::TypeId;

/// What is known about all actors of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActorKind {
    pub(crate) name: &'static str,
    /// How many messages may wait for one; the shard's default if nothing is said.
    pub(crate) mailbox_slots: Option<u32>,
    pub(crate) overflow: Overflow,
}

impl ActorKind {
    /// Of what nobody sends to.
    pub(crate) const fn unaddressed(name: &'static str) -> Self {
        Self { name, mailbox_slots: None, overflow: Overflow::Refuse }
    }
}

/// A kind as this shard knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    kind: ActorKind,
    /// A mailbox with fewer messages takes one more without a question; 0 where there always is one.
    slots: u32,
}

impl Slot {
    /// Whether it is of whom a message is for, and that has room in its mailbox.
    #[inline]
    pub(super) fn takes_one_more(&self, to: ActorId, kinds: &[Known]) -> bool {
        self.accepts(to)
            && kinds.get(usize::from(self.kind)).is_some_and(|known| self.mailbox.len() < known.slots)
    }
}

/// Of what a message is the latest. The type is the message's: keys of different ones have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Latest {
    slot: u32,
    priority: Priority,
    message: TypeId,
    key: u64,
}

impl Local {
    /// Puts an envelope into its mailbox here, or hands it back.
    pub(super) fn deposit(&mut self, envelope: Envelope) -> Option<(Refused, Envelope)> {
        let to = envelope.to;
        if self.has_place(to) {
            self.put(envelope);
            return None;
        }
        if self.slots.get(to.slot as usize).is_some_and(|slot| slot.accepts(to)) {
            self.deposit_with_care(envelope)
        } else {
            Some((Refused::Gone, envelope))
        }
    }

    /// Whether one more message gets into an actor's mailbox without a question.
    #[inline]
    fn has_place(&self, to: ActorId) -> bool {
        let slot = self.slots.get(to.slot as usize);
        slot.is_some_and(|slot| slot.takes_one_more(to, &self.kinds)) && !self.mail.is_full()
    }

    /// The same where the mailbox is full, or what is in it matters.
    #[cold]
    fn deposit_with_care(&mut self, envelope: Envelope) -> Option<(Refused, Envelope)> {
        let (to, priority) = (envelope.to, envelope.priority());
        let slot = &mut self.slots[to.slot as usize];
        let kind = self.kinds[usize::from(slot.kind)].kind;
        let slots = kind.mailbox_slots.unwrap_or(self.bounds.mailbox_slots);
        let full = slot.mailbox.len() >= slots || self.mail.is_full();
        match kind.overflow {
            Overflow::Refuse => return Some((Refused::Full, envelope)),
            Overflow::DropNewest => self.drop_mail(envelope),
            Overflow::DropOldest => match self.mail.pop_lowest(&mut slot.mailbox, priority) {
                Some(oldest) => {
                    self.put(envelope);
                    self.drop_mail(oldest);
                }
                // Nothing of its own waits, so it is others who have filled the store.
                None if slot.mailbox.len() == 0 => return Some((Refused::Full, envelope)),
                None => self.drop_mail(envelope),
            },
            Overflow::KeepLatest => {
                let latest = latest(&envelope);
                if let Some(place) = latest.and_then(|latest| self.latest.get(&latest)).copied()
                    && self.mail.holds(place, to)
                {
                    let earlier = self.mail.replace(place, envelope);
                    self.drop_mail(earlier);
                } else if full {
                    return Some((Refused::Full, envelope));
                } else {
                    let place = self.put(envelope);
                    latest.map(|latest| self.latest.insert(latest, place));
                }
            }
        }
        None
    }

    /// Puts an envelope into its mailbox, where there is room.
    fn put(&mut self, envelope: Envelope) -> MailId {
        let slot = envelope.to.slot;
        let place = self.mail.push(&mut self.slots[slot as usize].mailbox, envelope);
        self.queue_mail(slot);
        place
    }

    /// An envelope has left the mailbox of an actor that keeps the latest.
    fn forget_key(&mut self, envelope: &Envelope) {
        if !self.latest.is_empty()
            && let Some(latest) = latest(envelope)
        {
            self.latest.remove(&latest);
        }
    }

    /// The same, of one that was not opened yet.
    #[inline]
    pub(super) fn forget_key_of(&mut self, letter: MailId) {
        if !self.latest.is_empty()
            && let Some(latest) = latest(self.mail.unlinked(letter))
        {
            self.latest.remove(&latest);
        }
    }

    /// Opens an envelope that was unlinked: its message, and who asks.
    #[inline]
    pub(crate) fn open<M: 'static>(&mut self, letter: MailId) -> (M, Option<Asker>) {
        self.mail.open(letter)
    }

    /// Takes what is to be handled next by the actor that is running, if it is an `M` too that is delivered the same way, so
    /// that a run of messages finds its actor once. Nobody waits for an answer to it, and it is not timed.
    #[inline]
    pub(crate) fn take_alike<M: 'static>(&mut self, slot: u32, delivery: &'static Delivery) -> Option<M> {
        let Self { slots, mail, counters, notices, latest, run_until, .. } = self;
        if counters.handled >= *run_until {
            return None;
        }
        let slot = slots.get_mut(slot as usize)?;
        if slot.state.waiting || !notices.is_empty() || !latest.is_empty() {
            return None;
        }
        let message = mail.take_alike(&mut slot.mailbox, delivery)?;
        counters.handled += 1;
        Some(message)
    }

    /// With which priority an envelope came that was unlinked and not opened yet.
    pub(crate) fn priority_of(&self, letter: MailId) -> Priority {
        self.mail.unlinked(letter).priority()
    }

    /// Lays an envelope into no mailbox, to be opened at once.
    pub(crate) fn lay(&mut self, envelope: Envelope) -> MailId {
        self.mail.lay(envelope)
    }

    /// Nobody will handle it, and its sender is not told unless it waits for an answer.
    fn drop_mail(&mut self, envelope: Envelope) {
        self.counters.dropped += 1;
        if let Some(asker) = envelope.asker() {
            self.answer(asker, Err(AskError::Dropped));
        }
        self.discard(envelope);
    }

    /// Takes what is to be handled next out of a mailbox, for another shard.
    pub(super) fn take_mail(&mut self, slot: u32) -> Option<Envelope> {
        let envelope = self.mail.pop(&mut self.slots[slot as usize].mailbox)?;
        self.forget_key(&envelope);
        Some(envelope)
    }

    /// Takes all out.
    pub(super) fn pack_mail(&mut self, slot: u32) -> Vec<Envelope> {
        std::iter::from_fn(|| self.take_mail(slot)).collect()
    }

    /// Puts all into the mailbox of one who has come, even if that is more than there may be: it was accepted where it came
    /// from. So many more wait here than may as are on their way with those who move.
    pub(super) fn unpack_mail(&mut self, to: ActorId, mail: Vec<Envelope>) {
        let kind = usize::from(self.slots[to.slot as usize].kind);
        let keeps_latest = self.kinds[kind].kind.overflow == Overflow::KeepLatest;
        for envelope in mail {
            let envelope = Envelope { to, ..envelope };
            let key = if keeps_latest { latest(&envelope) } else { None };
            let place = self.put(envelope);
            if let Some(key) = key {
                self.latest.insert(key, place);
            }
        }
    }

    /// How many messages wait for the actor in a slot.
    pub(super) fn waiting_for(&self, slot: u32) -> u32 {
        self.slots[slot as usize].mailbox.len()
    }

    /// What still waits is for nobody. Its senders are told; futures are dropped.
    pub(super) fn refuse_mail(&mut self, slot: u32) {
        if self.slots[slot as usize].state.known {
            self.drop_tasks(slot);
        }
        while let Some(envelope) = self.mail.pop(&mut self.slots[slot as usize].mailbox) {
            self.forget_key(&envelope);
            self.turn_back(envelope, Refused::Gone);
        }
    }

    /// The number of a cell's kind.
    pub(super) fn kind_of(&mut self, cell: &dyn Cell) -> u16 {
        self.number_of(cell.kind())
    }

    pub(super) fn number_of(&mut self, kind: ActorKind) -> u16 {
        let is_it = |known: &Known| std::ptr::eq(known.kind.name, kind.name) && known.kind == kind;
        let index = self.kinds.iter().position(is_it).unwrap_or_else(|| {
            let slots = match kind.overflow {
                Overflow::KeepLatest => 0,
                _ => kind.mailbox_slots.unwrap_or(self.bounds.mailbox_slots),
            };
            self.heartbeat.add_kind(kind.name);
            self.kinds.push(Known { kind, slots });
            self.kinds.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX) // nobody writes so many types; the last ones share a mailbox's bound
    }
}

fn latest(envelope: &Envelope) -> Option<Latest> {
    let (delivery, priority) = envelope.delivery()?;
    // A user's: what it panics at is a message like any other.
    let key = crash::caught(|| (delivery.key)(&envelope.parcel)).unwrap_or_else(|| {
        tracing::error!(to = ?envelope.to, "`Handler::key` panicked; the message has none");
        None
    })?;
    Some(Latest {
        slot: envelope.to.slot,
        priority,
        message: look_inside(&envelope.parcel).message_type(),
        key,
    })
}
