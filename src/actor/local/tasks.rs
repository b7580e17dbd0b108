//! The futures of a shard's actors: who was woken is polled once a turn.

use super::Local;
use crate::actor::address::ActorId;
use crate::actor::ask::{AskError, Callback};
use crate::actor::envelope::{Delivery, Returned};
use crate::actor::futures::{Step, Task, TaskId, TasksFull};
use crate::actor::outside::Calls;
use crate::actor::watch::Down;
use crate::ring::parcel::Parcel;
use crate::sync::Arc;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::task;

/// All of them.
#[derive(Default)]
pub(super) struct Tasks {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Who is to be polled.
    ready: VecDeque<u32>,
    /// Slots and the tasks of those who are in them.
    by_owner: BTreeSet<(u32, u32)>,
    /// By slot: actors that handle nothing until a task of theirs is done.
    waiting: HashMap<u32, Waiting>,
}

struct Entry {
    generation: u32,
    /// None: the entry is free.
    owner: Option<ActorId>,
    /// Out while it is polled.
    task: Option<Pin<Box<dyn Task>>>,
    /// Names the entry, not the task: whoever keeps it too long makes another task look once for nothing.
    waker: task::Waker,
    /// Its owner waits for it.
    waits: bool,
    /// It is in `ready`, or in its owner's `Waiting`.
    queued: bool,
}

/// What an actor finds when it has waited.
#[derive(Default)]
struct Waiting {
    /// How many tasks it waits for.
    left: u32,
    /// What has come for it, past its mailbox.
    held: VecDeque<Held>,
    /// Its other tasks that were woken.
    tasks: Vec<u32>,
}

/// What has come for an actor that waits, past its mailbox.
pub(super) enum Held {
    /// A message of its own came back.
    Returned(Returned),
    /// A question of its own was answered, or will not be.
    Answer(Callback, Result<Parcel, AskError>),
    /// Somebody whom it watches has ended.
    Down(&'static Delivery, Down),
}

/// By which a future says that it can go on.
struct Wake {
    calls: Calls,
    task: u32,
}

impl task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        self.calls.wake_task(self.task);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.calls.wake_task(self.task);
    }
}

impl Local {
    /// Gives `future` back, one way or the other: whether there is room for one more.
    pub(crate) fn check_task<F>(&self, future: F) -> Result<F, TasksFull<F>> {
        let tasks = self.tasks.entries.len() - self.tasks.free.len();
        if tasks < self.bounds.tasks_max as usize { Ok(future) } else { Err(TasksFull(future)) }
    }

    /// Takes a task, to be polled for the first time in this turn or the next. The caller has asked
    /// [`Self::check_task`]. With `waits`, its owner handles nothing before it is done.
    pub(crate) fn add_task(&mut self, owner: ActorId, task: Pin<Box<dyn Task>>, waits: bool) -> TaskId {
        let Self { tasks, calls, slots, .. } = self;
        let index = tasks.free.pop().unwrap_or_else(|| {
            let task = tasks.entries.len() as u32;
            let waker = Arc::new(Wake { calls: calls.clone(), task }).into();
            tasks.entries.push(Entry {
                generation: 0,
                owner: None,
                task: None,
                waker,
                waits: false,
                queued: false,
            });
            task
        });
        let entry = &mut tasks.entries[index as usize];
        (entry.owner, entry.task, entry.waits) = (Some(owner), Some(task), waits);
        tasks.by_owner.insert((owner.slot, index));
        let slot = &mut slots[owner.slot as usize];
        slot.state.known = true;
        if waits {
            slot.state.waiting = true;
            tasks.waiting.entry(owner.slot).or_default().left += 1;
        }
        tasks.make_ready(index);
        TaskId { index, generation: tasks.entries[index as usize].generation }
    }

    pub(crate) fn cancel_task(&mut self, id: TaskId, owner: ActorId) -> bool {
        let found = self.tasks.entries.get_mut(id.index as usize);
        let its = |entry: &&mut Entry| entry.generation == id.generation && entry.owner == Some(owner);
        let Some(entry) = found.filter(its) else { return false };
        let task = if entry.waits {
            // Its owner may be running, so what follows from it follows later.
            entry.generation = entry.generation.wrapping_add(1);
            let task = entry.task.take();
            self.tasks.make_ready(id.index);
            task
        } else {
            self.tasks.remove(id.index)
        };
        self.discard(task);
        true
    }

    /// Another thread, or a handler here, has woken the task of this number.
    pub(super) fn task_woken(&mut self, index: u32) {
        if self.tasks.entries[index as usize].owner.is_some() {
            self.tasks.make_ready(index);
        }
    }

    /// Whether a task is to be polled.
    pub(super) fn has_ready_tasks(&self) -> bool {
        !self.tasks.ready.is_empty()
    }

    /// Polls who was woken, at most `max` and each once.
    pub(crate) fn poll_tasks(&mut self, max: usize) {
        if self.has_ready_tasks() {
            self.poll_ready_tasks(max);
        }
    }

    #[inline(never)]
    fn poll_ready_tasks(&mut self, max: usize) {
        for _ in 0..self.tasks.ready.len().min(max) {
            let Some(index) = self.tasks.ready.pop_front() else { return };
            self.poll_task(index);
        }
    }

    fn poll_task(&mut self, index: u32) {
        let entry = &mut self.tasks.entries[index as usize];
        entry.queued = false;
        let Some(owner) = entry.owner else { return }; // it ended meanwhile
        if !entry.waits
            && self.slots[owner.slot as usize].state.waiting
            && let Some(waiting) = self.tasks.waiting.get_mut(&owner.slot)
        {
            entry.queued = true;
            waiting.tasks.push(index);
            return;
        }
        let Some(mut task) = entry.task.take() else { return self.end_task(index) }; // it was cancelled
        let (generation, waker) = (entry.generation, entry.waker.clone());
        let mut step = Step::Done; // of a future that panics
        self.run(owner.slot, |cell, local, me| {
            let (next, how_far) = task.as_mut().step(cell, local, me, &mut task::Context::from_waker(&waker));
            step = how_far;
            next
        });
        let entry = &mut self.tasks.entries[index as usize];
        let is_there = entry.generation == generation && entry.owner == Some(owner);
        if is_there && step != Step::Done {
            entry.task = Some(task);
            if step == Step::Again {
                self.tasks.make_ready(index);
            }
            return;
        }
        if is_there {
            self.end_task(index);
        }
        self.discard(task);
    }

    /// Forgets a task whose future is out, and lets its owner go on if it waited for this one.
    fn end_task(&mut self, index: u32) {
        let entry = &self.tasks.entries[index as usize];
        let (owner, waits) = (entry.owner, entry.waits);
        self.tasks.remove(index);
        if waits && let Some(owner) = owner {
            self.has_waited(owner);
        }
    }

    /// Drops what the actor in this slot has begun: it is gone.
    pub(super) fn drop_tasks(&mut self, slot: u32) {
        while let Some(&(_, index)) = self.tasks.by_owner.range((slot, 0)..=(slot, u32::MAX)).next() {
            let task = self.tasks.remove(index);
            self.discard(task);
        }
        if let Some(waiting) = self.tasks.waiting.remove(&slot) {
            self.slots[slot as usize].state.waiting = false; // it has no mail, or waits again at once
            self.discard(waiting.held);
        }
    }

    /// Whether it handles nothing until a task of its is done.
    pub(crate) fn is_waiting(&self, id: ActorId) -> bool {
        self.slots[id.slot as usize].state.waiting
    }

    /// Whether it has begun something that is not done.
    pub(super) fn has_tasks(&self, id: ActorId) -> bool {
        let its = (id.slot, 0)..=(id.slot, u32::MAX);
        self.is_waiting(id) || self.tasks.by_owner.range(its).next().is_some()
    }

    /// Keeps what has come for an actor that waits, until it has.
    pub(super) fn hold(&mut self, owner: ActorId, what: Held) {
        self.tasks.waiting.entry(owner.slot).or_default().held.push_back(what);
    }

    /// Its mail waits, and what comes past its mailbox too, until [`Self::has_waited`].
    pub(super) fn suspend(&mut self, id: ActorId) {
        let slot = &mut self.slots[id.slot as usize];
        slot.state.waiting = true;
        slot.state.known = true; // so that what is held is dropped if it does not go on
        self.tasks.waiting.entry(id.slot).or_default().left += 1;
    }

    /// One thing that it waited for is done.
    pub(super) fn has_waited(&mut self, owner: ActorId) {
        let slot = owner.slot;
        let Some(waiting) = self.tasks.waiting.get_mut(&slot) else { return };
        waiting.left -= 1;
        if waiting.left > 0 {
            return;
        }
        let Waiting { held, tasks, .. } = self.tasks.waiting.remove(&slot).unwrap_or_default();
        self.slots[slot as usize].state.waiting = false;
        if self.waiting_for(slot) > 0 {
            self.queue_mail(slot);
        }
        for index in tasks {
            self.tasks.entries[index as usize].queued = false;
            self.tasks.make_ready(index);
        }
        for what in held {
            if self.lives(owner) && self.is_waiting(owner) {
                // It waits again: for a future, or for its next life, to which answers to this one mean nothing.
                match what {
                    Held::Answer(..) | Held::Down(..) if self.slots[slot as usize].cell.is_none() => {
                        self.discard(what)
                    }
                    _ => self.hold(owner, what),
                }
                continue;
            }
            match what {
                Held::Returned(returned) => {
                    self.run(slot, |cell, local, me| cell.returned(returned, local, me))
                }
                Held::Answer(callback, answer) => {
                    self.run(slot, |cell, local, me| callback(cell, answer, local, me));
                }
                Held::Down(delivery, down) => self.give_down(owner, delivery, down),
            }
        }
        if self.lives(owner) && !self.is_waiting(owner) {
            self.run(slot, |cell, local, me| cell.go_on(local, me));
        }
        if self.lives(owner) {
            self.end_if_done(slot);
        }
    }

    /// How many there are.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.entries.len() - self.tasks.free.len()
    }
}

impl Tasks {
    fn make_ready(&mut self, index: u32) {
        if !std::mem::replace(&mut self.entries[index as usize].queued, true) {
            self.ready.push_back(index);
        }
    }

    fn remove(&mut self, index: u32) -> Option<Pin<Box<dyn Task>>> {
        let entry = &mut self.entries[index as usize];
        let owner = entry.owner.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        entry.queued = false; // a list may still name it: then whoever takes the entry next is polled once for nothing
        self.by_owner.remove(&(owner.slot, index));
        self.free.push(index);
        entry.task.take()
    }
}
