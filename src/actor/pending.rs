//! Open questions of a shard: a slab, and an alarm for each. Asking and being answered take no memory once it has grown,
//! and an answered question leaves nothing behind.

use super::ActorId;
use super::ask::{AskId, Callback, GENERATIONS};
use crate::shard::{Time, Wheel};

/// A question that waits for its answer.
pub(crate) struct Pending {
    pub(crate) asker: ActorId,
    pub(crate) callback: Callback,
}

/// All of a shard's.
pub(crate) struct Asks {
    entries: Vec<Entry>,
    free: Vec<u32>,
    open_max: u32,
    /// By entry.
    deadlines: Wheel,
}

struct Entry {
    /// Of the question that is in it, or will be next.
    generation: u32,
    pending: Option<Pending>,
}

impl Asks {
    pub(crate) fn new(open_max: u32) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), open_max, deadlines: Wheel::new() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.open_max as usize
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Keeps a question until [`Self::take`], or until `due`. The caller has asked [`Self::is_full`].
    pub(crate) fn insert(&mut self, pending: Pending, due: Option<Time>) -> AskId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, pending: None });
            self.entries.len() as u32 - 1
        });
        if let Some(due) = due {
            self.deadlines.set(index, due);
        }
        let entry = &mut self.entries[index as usize];
        entry.pending = Some(pending);
        AskId::new(index, entry.generation)
    }

    /// Takes a question out, if it still waits and is `asker`'s.
    pub(crate) fn take(&mut self, id: AskId, asker: ActorId) -> Option<Pending> {
        let index = id.index();
        let entry =
            self.entries.get_mut(index as usize).filter(|entry| entry.generation == id.generation())?;
        entry.pending.as_ref().filter(|pending| pending.asker == asker)?;
        entry.generation = (entry.generation + 1) % GENERATIONS;
        self.deadlines.clear(index);
        self.free.push(index);
        entry.pending.take()
    }

    /// Takes all of `asker`'s out. Looks at every question: for what is rare.
    pub(crate) fn take_all_of(&mut self, asker: ActorId) -> Vec<Pending> {
        let id = |(index, entry): (usize, &Entry)| {
            let is_its = entry.pending.as_ref().is_some_and(|pending| pending.asker == asker);
            is_its.then(|| AskId::new(index as u32, entry.generation))
        };
        let all: Vec<AskId> = self.entries.iter().enumerate().filter_map(id).collect();
        all.into_iter().filter_map(|id| self.take(id, asker)).collect()
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.entries.len()
    }

    /// Whether some are open of `asker`'s. Looks at every question: for what is rare.
    pub(crate) fn has_of(&self, asker: ActorId) -> bool {
        let is_its = |entry: &Entry| entry.pending.as_ref().is_some_and(|pending| pending.asker == asker);
        self.entries.iter().any(is_its)
    }

    /// Finds those whose deadline is over at `now`, for [`Self::next_expired`].
    pub(crate) fn expire(&mut self, now: Time) {
        self.deadlines.expire(now);
    }

    /// One whose deadline is over, told once. It stays until it is taken.
    pub(crate) fn next_expired(&mut self) -> Option<(AskId, ActorId)> {
        let index = self.deadlines.pop()?;
        let Entry { generation, pending } = &self.entries[index as usize];
        pending.as_ref().map(|pending| (AskId::new(index, *generation), pending.asker))
    }

    /// Whether [`Self::next_expired`] would find one.
    pub(crate) fn has_expired(&self) -> bool {
        self.deadlines.has_rung()
    }

    /// When the next deadline is over.
    pub(crate) fn next(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// All that are left. For the end.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Pending> + use<> {
        let left = std::mem::replace(self, Self::new(self.open_max));
        left.entries.into_iter().filter_map(|entry| entry.pending)
    }
}
