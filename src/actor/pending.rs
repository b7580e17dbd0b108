//! Open questions of a shard: a slab, and a wheel of lists through it for their deadlines, so that asking and being
//! answered take no memory once the slab has grown, and an answered question leaves nothing behind.

use super::ActorId;
use super::ask::{AskId, Callback, GENERATIONS};
use crate::shard::Time;

/// A question that waits for its answer.
pub(crate) struct Pending {
    pub(crate) asker: ActorId,
    pub(crate) callback: Callback,
}

/// All of a shard's.
pub(crate) struct Asks {
    entries: Vec<Entry>,
    /// The first free entry; the others follow by `next`.
    free: u32,
    open: u32,
    open_max: u32,
    /// One list a millisecond of deadlines, in rounds of [`LISTS`]; empty until the first question.
    first: Box<[u32]>,
    /// One bit a list: does it hold anything?
    occupied: [u64; LISTS / 64],
    /// Everything due at or before this millisecond has come out.
    expired_ms: u64,
}

struct Entry {
    /// Of the question that is in it, or will be next.
    generation: u32,
    pending: Option<Pending>,
    due_ms: u64,
    previous: u32,
    next: u32,
}

impl Asks {
    pub(crate) fn new(open_max: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: NONE,
            open: 0,
            open_max,
            first: Box::default(),
            occupied: [0; LISTS / 64],
            expired_ms: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open >= self.open_max
    }

    /// Keeps a question until [`Self::take`] or [`Self::expire`]. The caller has asked [`Self::is_full`].
    pub(crate) fn insert(&mut self, pending: Pending, due: Time) -> AskId {
        if self.first.is_empty() {
            self.first = vec![NONE; LISTS].into();
        }
        let index = match self.free {
            NONE => {
                self.entries.push(Entry {
                    generation: 0,
                    pending: None,
                    due_ms: 0,
                    previous: NONE,
                    next: NONE,
                });
                self.entries.len() as u32 - 1
            }
            index => index,
        };
        let due_ms = due.as_nanos().div_ceil(1_000_000).max(self.expired_ms + 1);
        let list = list_of(due_ms);
        let next = std::mem::replace(&mut self.first[list], index);
        self.occupied[list / 64] |= 1 << (list % 64);
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.previous = index;
        }
        self.open += 1;
        let entry = &mut self.entries[index as usize];
        if self.free == index {
            self.free = entry.next;
        }
        (entry.pending, entry.due_ms, entry.previous, entry.next) = (Some(pending), due_ms, NONE, next);
        AskId::new(index, entry.generation)
    }

    /// Takes a question out, if it still waits and is `asker`'s.
    pub(crate) fn take(&mut self, id: AskId, asker: ActorId) -> Option<Pending> {
        let index = id.index();
        let entry =
            self.entries.get_mut(index as usize).filter(|entry| entry.generation == id.generation())?;
        entry.pending.as_ref().filter(|pending| pending.asker == asker)?;
        entry.generation = (entry.generation + 1) % GENERATIONS;
        let Entry { due_ms, previous, next, .. } = *entry;
        entry.next = std::mem::replace(&mut self.free, index);
        let pending = entry.pending.take();
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.previous = previous;
        }
        match self.entries.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => {
                let list = list_of(due_ms);
                self.first[list] = next;
                if next == NONE {
                    self.occupied[list / 64] &= !(1 << (list % 64));
                }
            }
        }
        self.open -= 1;
        pending
    }

    /// Tells which are due at `now`. They stay until they are taken.
    pub(crate) fn expire(&mut self, now: Time, due: &mut Vec<(AskId, ActorId)>) {
        let now_ms = now.as_millis();
        if self.open > 0 {
            // After a long sleep one round visits every list: going round twice would find nothing new.
            let first_ms = (self.expired_ms + 1).max(now_ms.saturating_sub(LISTS as u64 - 1));
            for list in (first_ms..=now_ms).map(list_of) {
                if self.occupied[list / 64] & (1 << (list % 64)) == 0 {
                    continue;
                }
                let mut index = self.first[list];
                while let Some(entry) = self.entries.get(index as usize) {
                    if entry.due_ms <= now_ms
                        && let Some(pending) = &entry.pending
                    {
                        due.push((AskId::new(index, entry.generation), pending.asker));
                    }
                    index = entry.next;
                }
            }
        }
        self.expired_ms = self.expired_ms.max(now_ms);
    }

    /// When to look again, if nothing happens before: when a list has come round that holds something, even if that is
    /// due in a later round.
    pub(crate) fn next(&self) -> Option<Time> {
        if self.open == 0 {
            return None;
        }
        let start = list_of(self.expired_ms + 1);
        let after = (0..=LISTS / 64).find_map(|n| {
            let word = (start / 64 + n) % (LISTS / 64);
            let mask = match n {
                0 => u64::MAX << (start % 64),
                _ => u64::MAX,
            };
            let bits = self.occupied[word] & mask;
            let list = word * 64 + bits.trailing_zeros() as usize;
            (bits != 0).then(|| (list + LISTS - start) % LISTS)
        })?;
        Some(Time::from_nanos((self.expired_ms + 1 + after as u64) * 1_000_000))
    }

    /// All that are left. For the end.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Pending> + use<> {
        let left = std::mem::replace(self, Self::new(self.open_max));
        left.entries.into_iter().filter_map(|entry| entry.pending)
    }
}

fn list_of(ms: u64) -> usize {
    ms as usize & (LISTS - 1)
}

const NONE: u32 = u32::MAX;
const LISTS: usize = 4096;
const _: () = assert!(LISTS.is_power_of_two()); // a list is found by mask
