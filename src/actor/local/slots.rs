//! Slots: who is in them, and how they are run.

use super::Local;
use super::asks::outsider;
use crate::actor::address::{ActorId, Address, SendError};
use crate::actor::cell::{Cell, Next, Plain};
use crate::actor::mailbox::Mailbox;
use crate::actor::{Actor, Reason, crash};
use crate::ring::typed::Typed;
use crate::shard::ShardId;
use std::any::Any;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A place for one actor, and all of it that an idle one needs besides its own box.
pub(super) struct Slot {
    /// Of the actor that is in it, with [`CLOSED`] once it takes no more mail; 0 if nobody is.
    generation: u64,
    pub(super) cell: Option<Box<dyn Cell>>,
    pub(super) mailbox: Mailbox,
    pub(super) kind: u16,
    pub(super) state: SlotState,
}

const _: () = assert!(size_of::<Slot>() <= 48); // a million idle connections have a million of them

/// In a slot's generation: what was accepted is still handled, and nothing more is accepted. No address matches.
const CLOSED: u64 = 1 << 63;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SlotState {
    /// It is in the queue of those with mail, once. What is there from before an end or a wait stays.
    pub(super) ready: bool,
    pub(super) sending: Sending,
    /// Wants to be told that its send is done.
    pub(super) wants_sent: bool,
    /// Why it is closed.
    closed_by: ClosedBy,
    /// Its shard keeps something of it besides: futures, or who is to be told of its end. See `endings`.
    pub(super) known: bool,
    /// Handles nothing until one of them is done. Mail does not make it `ready` meanwhile.
    pub(super) waiting: bool,
}

impl SlotState {
    /// There is mail. True if it is to be put into the queue.
    #[inline]
    pub(super) fn becomes_ready(&mut self) -> bool {
        let becomes = !self.ready && !self.waiting;
        self.ready |= becomes;
        becomes
    }
}

/// Whether there is something for its socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sending {
    #[default]
    Nothing,
    PutOff,
    ThisTurn,
}

/// Who wanted an end that comes after what was accepted.
#[derive(Debug, Clone, Copy, Default)]
enum ClosedBy {
    #[default]
    Itself,
    Supervisor,
    Server,
}

/// A handler did, with these words. It has been said in the log.
pub(crate) struct Panicked(pub(super) String);

impl Slot {
    /// Whether it takes mail for `id`.
    #[inline]
    pub(super) fn accepts(&self, id: ActorId) -> bool {
        self.generation == id.generation.get()
    }

    /// Whether `id` is in it, taking mail or not.
    fn holds(&self, id: ActorId) -> bool {
        self.generation & !CLOSED == id.generation.get()
    }

    /// Who is in it; nobody once the slot is vacated.
    fn generation(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.generation & !CLOSED)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.generation & CLOSED != 0
    }

    /// Nobody is in it.
    pub(super) fn forget(&mut self) {
        self.generation = 0;
    }

    /// Who is to be in it was born elsewhere.
    pub(super) fn make_guest(&mut self) {
        if let Some(generation) = self.generation() {
            let here = ActorId { generation, slot: 0, shard: ShardId(0) };
            self.generation = here.guest().generation.get();
        }
    }
}

impl Local {
    pub(crate) fn spawn<A: Actor>(&mut self, actor: A) -> Result<Address<A>, SendError<A>> {
        if self.leaving {
            return Err(SendError::Gone(actor));
        }
        if self.is_full() {
            return Err(SendError::Full(actor));
        }
        Ok(Address::new(self.place(Box::new(Plain::new(actor)))))
    }

    /// Whether there is no slot left.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() >= self.bounds.actors_max as usize
    }

    /// Reserves the next slot, so that its number can be told before the cell is made.
    pub(crate) fn reserve(&mut self) -> Option<ActorId> {
        (!self.is_full()).then(|| self.reserve_anyway())
    }

    /// The same, full or not: for one that is counted already.
    pub(super) fn reserve_anyway(&mut self) -> ActorId {
        self.actors_made += 1;
        let generation = self.actors_made;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                cell: None,
                mailbox: Mailbox::EMPTY,
                kind: 0,
                state: SlotState::default(),
            });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = generation;
        slot.state = SlotState { ready: slot.state.ready, ..SlotState::default() };
        let generation = NonZeroU64::new(generation).expect("it counts from one");
        ActorId { generation, slot: index, shard: self.me }
    }

    /// Puts a cell into a slot that was reserved for it, and starts it.
    pub(crate) fn fill(&mut self, id: ActorId, cell: Box<dyn Cell>) {
        self.connections += u32::from(cell.is_connection());
        let kind = self.kind_of(&*cell);
        let slot = &mut self.slots[id.slot as usize];
        debug_assert!(slot.accepts(id) && slot.cell.is_none(), "a slot is filled once");
        slot.kind = kind;
        slot.cell = Some(cell);
        self.run(id.slot, |cell, local, me| cell.started(local, me));
    }

    /// A slot with this cell in it. The caller has asked [`Self::is_full`].
    fn place(&mut self, cell: Box<dyn Cell>) -> ActorId {
        let id = self.reserve().expect("the caller has looked");
        self.fill(id, cell);
        id
    }

    /// Runs `f` on the cell in a slot, contains its panics, and does what it asks for after.
    ///
    /// # Errors
    /// It panicked.
    pub(crate) fn try_run(
        &mut self,
        slot: u32,
        f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next,
    ) -> Result<(), Panicked> {
        let entry = &mut self.slots[slot as usize];
        let Some(mut cell) = entry.cell.take() else { return Ok(()) };
        let generation = entry.generation().expect("a slot with a cell has a generation");
        let me = ActorId { generation, slot, shard: self.me };
        let before = self.heartbeat.run(entry.kind);
        let ran = self.contained(&mut cell, me, f);
        let result = self.ran(me, cell, ran);
        self.heartbeat.rest(before);
        result
    }

    /// Puts a cell that has run back into its slot, or does what it asks for instead.
    #[inline(always)]
    fn ran(&mut self, me: ActorId, cell: Box<dyn Cell>, ran: Result<Next, Panicked>) -> Result<(), Panicked> {
        match ran {
            Ok(Next::Stay) => {
                std::mem::forget(ran); // there is nothing in it, which only is not seen
                self.slots[me.slot as usize].cell = Some(cell);
                Ok(())
            }
            ran => self.does_not_stay(me, cell, ran),
        }
    }

    /// The same where it does not stay as it is.
    #[cold]
    #[inline(never)]
    fn does_not_stay(
        &mut self,
        me: ActorId,
        mut cell: Box<dyn Cell>,
        ran: Result<Next, Panicked>,
    ) -> Result<(), Panicked> {
        let slot = me.slot;
        let (next, result) = match ran {
            Ok(next) => (next, Ok(())),
            Err(Panicked(what)) => {
                // Its own state may be half changed, but what a connection is made of is ours and whole.
                let next = self.contained(&mut cell, me, |cell, local, me| cell.crashed(&what, local, me));
                (next.unwrap_or(Next::Stop), Err(Panicked(what)))
            }
        };
        match next {
            Next::Stay => self.slots[slot as usize].cell = Some(cell),
            Next::Become(other) => {
                // Whoever knew the one before must not reach the one after.
                self.refuse_mail(slot);
                if std::mem::take(&mut self.slots[slot as usize].state.known) {
                    self.ended(me, &self.reason_after(&result));
                }
                let reason = self.reason_after(&result);
                self.forget_moves_of(me, &reason);
                self.ticks.clear(slot);
                self.connections -= u32::from(cell.is_connection());
                self.actors_made += 1;
                self.slots[slot as usize].generation = self.actors_made;
                self.discard(cell);
                let generation = NonZeroU64::new(self.actors_made).expect("it counts from one");
                self.fill(ActorId { generation, slot, shard: self.me }, other);
            }
            Next::AfterMail(reason) => {
                let entry = &mut self.slots[slot as usize];
                entry.generation |= CLOSED;
                entry.state.closed_by = match reason {
                    Reason::Shutdown => ClosedBy::Server,
                    Reason::Supervisor => ClosedBy::Supervisor,
                    _ => ClosedBy::Itself,
                };
                entry.cell = Some(cell);
                self.end_if_done(slot);
            }
            Next::End(reason) => self.depart(me, Some(cell), reason, true),
            Next::Stop => {
                let reason = self.reason_after(&result);
                if cell.is_connection() {
                    self.vacate(me, Some(cell), &reason); // it waits for nobody, and does not come back
                } else {
                    self.depart(me, Some(cell), reason, false);
                }
            }
        }
        result
    }

    /// Why somebody is over that has not said it.
    fn reason_after(&self, result: &Result<(), Panicked>) -> Reason {
        match result {
            Err(Panicked(what)) => Reason::Panicked(what.clone()),
            Ok(()) if self.leaving => Reason::Shutdown,
            Ok(()) => Reason::Stopped,
        }
    }

    /// As [`Self::try_run`], for whom it is all the same.
    pub(crate) fn run(&mut self, slot: u32, f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next) {
        let _ = self.try_run(slot, f);
    }

    /// Lends the cell of an actor that is not running to `f`, which calls nothing of the user's. `None`: it has ended, or
    /// is running, or lives elsewhere.
    #[inline]
    pub(crate) fn lend<R>(
        &mut self,
        id: ActorId,
        f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> R,
    ) -> Option<R> {
        let here = if id.shard == self.me { id } else { self.resident(id)? };
        let slot = self.slots.get_mut(here.slot as usize).filter(|slot| slot.holds(here))?;
        let mut cell = slot.cell.take()?;
        let result = f(&mut *cell, self, here);
        self.slots[here.slot as usize].cell = Some(cell);
        Some(result)
    }

    /// Runs `f`, which has no use for an actor, and contains its panics.
    pub(super) fn run_nobody(&mut self, f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next) {
        struct Nobody;
        impl Actor for Nobody {}
        let mut nobody: Box<dyn Cell> = Box::new(Plain::new(Nobody)); // of no bytes, so it is nowhere
        let _ = self.contained(&mut nobody, outsider(self.me), f);
    }

    /// Puts a slot that has mail into the queue, unless it is there or waits.
    #[inline]
    pub(super) fn queue_mail(&mut self, slot: u32) {
        if self.slots[slot as usize].state.becomes_ready() {
            self.ready.push_back(slot);
        }
    }

    /// Ends an actor that wanted to handle what it had accepted, and now has. What it waits for is part of that.
    pub(super) fn end_if_done(&mut self, slot: u32) {
        let entry = &self.slots[slot as usize];
        if entry.is_closed() && entry.mailbox.len() == 0 && !entry.state.waiting {
            let reason = match entry.state.closed_by {
                ClosedBy::Itself => Reason::Stopped,
                ClosedBy::Supervisor => Reason::Supervisor,
                ClosedBy::Server => Reason::Shutdown,
            };
            self.run(slot, |_, _, _| Next::End(reason));
        }
    }

    /// The actor of this number, to look at. None if it has ended, or is running.
    pub(super) fn actor_at(&mut self, id: ActorId) -> Option<Typed<'_>> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.holds(id))?;
        slot.cell.as_mut().map(|cell| cell.parts().0)
    }

    /// Whether somebody of this number lives here, even if it takes no more mail.
    pub(crate) fn lives(&self, id: ActorId) -> bool {
        if id.shard != self.me {
            return self.moves_here(id);
        }
        self.slots.get(id.slot as usize).is_some_and(|slot| slot.holds(id))
    }

    /// Whether it has stopped but for what it had accepted.
    pub(crate) fn is_closed(&self, id: ActorId) -> bool {
        self.slots[id.slot as usize].is_closed()
    }

    pub(super) fn contained(
        &mut self,
        cell: &mut Box<dyn Cell>,
        me: ActorId,
        f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next,
    ) -> Result<Next, Panicked> {
        // Unwind-safe: of what `f` touches, the cell is not run again but to crash, and `Local`'s own methods do not
        // call anything of the user's in the middle of a change.
        catch_unwind(AssertUnwindSafe(|| f(&mut **cell, self, me)))
            .map_err(|panic| self.note_panic(me, cell.kind().name, panic))
    }

    /// The same for what is not in a cell.
    pub(super) fn guarded<R>(
        &mut self,
        me: ActorId,
        kind: &'static str,
        f: impl FnOnce() -> R,
    ) -> Result<R, Panicked> {
        catch_unwind(AssertUnwindSafe(f)).map_err(|panic| self.note_panic(me, kind, panic))
    }

    #[cold]
    fn note_panic(&mut self, me: ActorId, kind: &'static str, panic: Box<dyn Any + Send>) -> Panicked {
        self.counters.panics += 1;
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let what = &*said.unwrap_or("no message").to_owned();
        crash::let_go(panic);
        let seen = crash::take_last();
        let place = seen.as_ref().map_or("unknown", |seen| &seen.place);
        // A backtrace takes milliseconds to print, so a client that finds a panic must not have one for each message.
        let is_due = self.backtrace_at.is_none_or(|at| self.now.since(at) >= BACKTRACE_INTERVAL);
        match seen.as_ref().filter(|_| is_due) {
            Some(seen) => {
                self.backtrace_at = Some(self.now);
                let backtrace = &seen.backtrace;
                tracing::error!(actor = ?me, kind, panic = what, place, %backtrace, "an actor panicked");
            }
            None => tracing::error!(actor = ?me, kind, panic = what, place, "an actor panicked"),
        }
        Panicked(what.into())
    }

    /// Takes no more mail, and sends back what it has.
    pub(super) fn close_mailbox(&mut self, me: ActorId) {
        self.slots[me.slot as usize].generation |= CLOSED;
        self.refuse_mail(me.slot);
    }

    /// Who is in a slot, or will be again.
    pub(super) fn tenant(&self, slot: u32) -> Option<ActorId> {
        let generation = self.slots[slot as usize].generation()?;
        Some(ActorId { generation, slot, shard: self.me })
    }

    /// Ends an actor, and frees its slot.
    pub(super) fn vacate(&mut self, me: ActorId, cell: Option<Box<dyn Cell>>, reason: &Reason) {
        let slot = me.slot;
        let is_connection = cell.as_ref().is_some_and(|cell| cell.is_connection());
        self.connections -= u32::from(is_connection);
        self.slots[slot as usize].generation = 0;
        self.ticks.clear(slot);
        self.refuse_mail(slot);
        self.forget_moves_of(me, reason);
        if self.slots[slot as usize].state.known {
            let failure = self.families.child_mut(me).and_then(|child| child.failure.take());
            let failure = failure.filter(|_| !reason.is_failure() && !self.leaving);
            self.ended(me, failure.as_ref().unwrap_or(reason));
        }
        // `ready` and `dirty` may still name the slot; both look before they act. Completions do not.
        if is_connection {
            self.vacated.push(slot)
        } else {
            self.free.push(slot)
        }
        self.discard(cell);
    }

    /// The driver has let go of every socket that it was asked to: nothing comes any more for the slots they were in.
    pub(crate) fn sockets_are_closed(&mut self) {
        self.free.append(&mut self.vacated);
    }

    /// Drops what a user has made: their `Drop` may panic too.
    pub(crate) fn discard<T>(&mut self, what: T) {
        if crash::caught(|| drop(what)).is_none() {
            self.counters.panics += 1;
        }
    }

    /// Every connection of this shard that is not running.
    pub(crate) fn all_connections(&self) -> Vec<ActorId> {
        let is_one = |slot: &u32| {
            let entry = &self.slots[*slot as usize];
            entry.cell.as_ref().is_some_and(|cell| cell.is_connection())
        };
        self.slots().filter(is_one).filter_map(|slot| self.tenant(slot)).collect()
    }

    /// Every slot that has a cell, for what must reach all.
    pub(crate) fn slots(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }
}

/// Backtraces of one shard are this far apart.
const BACKTRACE_INTERVAL: Duration = Duration::from_secs(1);
