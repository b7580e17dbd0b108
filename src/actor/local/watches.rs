//! Who watches whom. The watcher's shard has the word: a watch that it has forgotten tells nobody anything, so that what
//! is told is told once. The shard of the watched knows only whom to tell.
//!
//! Each watch has a number on its maker's shard, and hears once from the other: that it is over, because of an end or
//! because it was taken back. Only then its place is free. So errands under way are at most two a watch and way.

use super::Local;
use super::endings::Notice;
use super::tasks::Held;
use crate::actor::cell::{Cell, Next};
use crate::actor::envelope::{Delivery, Envelope, What};
use crate::actor::watch::{Down, WatchesFull};
use crate::actor::{ActorId, Priority, Reason};
use crate::ring::parcel::Parcel;
use crate::shard::ShardId;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;

/// All of one shard's.
#[derive(Default)]
pub(super) struct Watches {
    /// Made by actors of this shard, by number.
    made: HashMap<u64, Made>,
    /// The same, as far as they are wanted: by their maker's slot, whom, and whether it is a link.
    wanted: BTreeMap<(u32, ActorId, bool), u64>,
    /// On actors of this shard: by the slot, and by the shard and number of the watch.
    on: BTreeMap<(u32, ShardId, u64), ActorId>,
    /// The number that was given last.
    last: u64,
}

struct Made {
    by: ActorId,
    whom: ActorId,
    how: How,
    wanted: bool,
}

/// What is done when the other has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// The maker is told, by this.
    Watch(&'static Delivery),
    /// It fails too, if that was a failure; and the other way round.
    Link,
}

impl How {
    fn is_link(self) -> bool {
        matches!(self, Self::Link)
    }
}

impl Local {
    pub(crate) fn watch(&mut self, by: ActorId, whom: ActorId, how: How) -> Result<(), WatchesFull> {
        if self.watches.made.len() >= self.bounds.watches_max as usize {
            return Err(WatchesFull);
        }
        // Who has moved here has its watches where it was born, and is told from there: more than that shard's own may be, by at most
        // as many as there may be here.
        self.at(by.shard, move |local| local.watch_here(by, whom, how));
        Ok(())
    }

    fn watch_here(&mut self, by: ActorId, whom: ActorId, how: How) {
        let key = (by.slot, whom, how.is_link());
        if by == whom || self.watches.wanted.contains_key(&key) {
            return;
        }
        self.note_end_of(by);
        self.watches.last += 1;
        let number = self.watches.last;
        self.watches.made.insert(number, Made { by, whom, how, wanted: true });
        self.watches.wanted.insert(key, number);
        self.at(whom.shard, move |local| local.be_watched(whom, by, number));
    }

    /// On the shard of the watched.
    fn be_watched(&mut self, whom: ActorId, by: ActorId, number: u64) {
        if self.note_end_of(whom) {
            self.watches.on.insert((whom.slot, by.shard, number), by);
        } else {
            self.at(by.shard, move |local| local.watch_is_over(number, Some(Reason::Gone)));
        }
    }

    pub(crate) fn unwatch(&mut self, by: ActorId, whom: ActorId, link: bool) -> bool {
        if by.shard != self.me {
            self.tell(by.shard, move |local| {
                local.unwatch(by, whom, link);
            });
            return true; // as far as is known here
        }
        let found = self.watches.wanted.remove(&(by.slot, whom, link));
        found.map(|number| self.take_watch_back(number, None)).is_some()
    }

    /// Its maker does not want it any more. With `failure`, a link takes the other along.
    fn take_watch_back(&mut self, number: u64, failure: Option<&Reason>) {
        let Some(made) = self.watches.made.get_mut(&number) else { return };
        made.wanted = false;
        let (by, whom) = (made.by, made.whom);
        let fails = made.how.is_link() && failure.is_some_and(Reason::is_failure);
        self.at(whom.shard, move |local| {
            // If it is not there, its maker has been told why.
            if local.watches.on.remove(&(whom.slot, by.shard, number)).is_some() {
                if fails {
                    local.notices.push_back(Notice::Fail(whom, Reason::Linked(by)));
                }
                local.at(by.shard, move |local| local.watch_is_over(number, None));
            }
        });
    }

    /// On the maker's shard, once a watch.
    fn watch_is_over(&mut self, number: u64, reason: Option<Reason>) {
        match reason {
            Some(reason) => self.notices.push_back(Notice::Down(number, reason)),
            None => drop(self.watches.made.remove(&number)),
        }
    }

    /// Tells the maker of a watch, if it still wants to know. Nobody is running.
    pub(super) fn tell_down(&mut self, number: u64, reason: Reason) {
        let Some(Made { by, whom, how, wanted }) = self.watches.made.remove(&number) else { return };
        if !wanted {
            return;
        }
        self.watches.wanted.remove(&(by.slot, whom, how.is_link()));
        match how {
            How::Watch(delivery) => {
                let down = Down { who: whom, reason };
                if self.is_abroad(by) {
                    // As many as it has watches.
                    self.carry(by, move |cell, local, me| {
                        if local.is_waiting(me) {
                            local.hold(me, Held::Down(delivery, down));
                            return Next::Stay;
                        }
                        down_to(cell, delivery, down, local, me)
                    });
                } else if self.is_waiting(by) {
                    self.hold(by, Held::Down(delivery, down));
                } else {
                    self.give_down(by, delivery, down);
                }
            }
            How::Link if reason.is_failure() || reason == Reason::Gone => self.fail(by, Reason::Linked(whom)),
            How::Link => {}
        }
    }

    pub(super) fn give_down(&mut self, to: ActorId, delivery: &'static Delivery, down: Down) {
        self.run(to.slot, |cell, local, me| down_to(cell, delivery, down, local, me));
    }

    /// `id` has ended: who watches it is told, and it watches nobody.
    pub(super) fn end_watches(&mut self, id: ActorId, reason: &Reason) {
        let all = (id.slot, ShardId(0), 0)..=(id.slot, ShardId(u16::MAX), u64::MAX);
        while let Some((&key, _)) = self.watches.on.range(all.clone()).next() {
            self.watches.on.remove(&key);
            let (_, shard, number) = key;
            let reason = reason.clone();
            self.at(shard, move |local| local.watch_is_over(number, Some(reason)));
        }
        while let Some((key, number)) = self.first_watch_of(id, 0) {
            self.watches.wanted.remove(&key);
            self.take_watch_back(number, Some(reason));
        }
    }

    /// It begins anew, and knows nothing of what it watched. Links stay.
    pub(super) fn forget_watches(&mut self, id: ActorId) {
        let mut links = 0;
        while let Some((key, number)) = self.first_watch_of(id, links) {
            if key.2 {
                links += 1;
                continue;
            }
            self.watches.wanted.remove(&key);
            self.take_watch_back(number, None);
        }
    }

    fn first_watch_of(&self, id: ActorId, skip: usize) -> Option<((u32, ActorId, bool), u64)> {
        let first = ActorId { generation: NonZeroU64::MIN, slot: 0, shard: ShardId(0) };
        let of_slot = self.watches.wanted.range((id.slot, first, false)..);
        of_slot.map(|(key, number)| (*key, *number)).take_while(|(key, _)| key.0 == id.slot).nth(skip)
    }

    /// How many watches actors here have, or are under.
    pub(crate) fn watches(&self) -> usize {
        self.watches.wanted.len() + self.watches.on.len()
    }

    /// Has a shard do something to its tables: at once if it is this one, else by an errand.
    pub(super) fn at(&mut self, shard: ShardId, f: impl FnOnce(&mut Self) + Send + 'static) {
        if shard == self.me { f(self) } else { self.tell(shard, f) }
    }
}

fn down_to(
    cell: &mut dyn Cell,
    delivery: &'static Delivery,
    down: Down,
    local: &mut Local,
    me: ActorId,
) -> Next {
    let what = What::Message(delivery, Priority::High);
    let letter = local.mail.lay(Envelope { to: me, from: None, what, parcel: Parcel::new(down) });
    (delivery.deliver)(cell, letter, local, &me)
}
