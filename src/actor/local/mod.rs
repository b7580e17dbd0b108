//! One shard's actors, and all that they can reach.
//!
//! - here: slots, who is in them, and how they are run
//! - `messages`: between actors, here and on other shards
//! - `timers`: what is due
//! - `sockets`: what actors have to send to their sockets

mod messages;
mod sockets;
mod timers;

use super::Actor;
use super::address::{ActorId, Address, Refused, SendError};
use super::cell::{Cell, Next, Plain};
use super::context::TimerId;
use super::envelope::Envelope;
use super::mailbox::{MailStore, Mailbox};
use super::outside::Outside;
use super::stall::Heartbeat;
use crate::buf::Pool;
use crate::ring::parcel::Parcel;
use crate::shard::{Mesh, Outgoing, ShardId, SocketId, Time, Wheel};
use crate::sync::Arc;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many of everything a shard holds.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Actors, connections among them.
    pub(crate) actors_max: u32,
    /// Messages in one mailbox.
    pub(crate) mailbox_slots: u32,
    /// Messages in all mailboxes.
    pub(crate) mail_slots: u32,
    /// Timers that carry a message.
    pub(crate) timers_max: u32,
}

/// What happened on a shard, in plain cells. Read by message or at the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) handled: u64,
    pub(crate) refused: u64,
    pub(crate) returned: u64,
    pub(crate) panics: u64,
    pub(crate) shed: u64,
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) slow_closed: u64,
    pub(crate) wakes_lost: u64,
}

/// One shard's actors and what they share: everything but the driver.
pub(crate) struct Local {
    me: ShardId,
    now: Time,
    /// The shard's memory.
    pub(crate) pool: Pool,
    pub(crate) mesh: Mesh<Envelope>,
    pub(crate) counters: Counters,
    /// What is to be done to sockets at the end of the turn, after the sends.
    pub(crate) requests: Vec<Request>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    bounds: Bounds,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Left by connections whose sockets the driver still has: their completions carry these numbers.
    vacated: Vec<u32>,
    actors_made: u64,
    connections: u32,
    mail: MailStore,
    /// Slots with mail, in the order in which they got it.
    ready: VecDeque<u32>,
    /// Slots that may have something to send.
    dirty: Vec<u32>,
    /// What could not be delivered and goes back.
    returns: VecDeque<Envelope>,
    /// For the shard itself, from other shards.
    pub(crate) shard_mail: VecDeque<Parcel>,
    wheel: Wheel<Due>,
    due: Vec<Due>,
    timers: Vec<Timer>,
    free_timers: Vec<u32>,
    #[expect(
        clippy::vec_box,
        reason = "the box goes to the connection and the driver and comes back as it is"
    )]
    spare_outgoing: Vec<Box<Outgoing>>,
    memory_short: bool,
    /// A send of this turn has an owner who goes on when it is done.
    awaits_sent: bool,
    outside: Outside,
    /// Actor types and their numbers, so that the heartbeat's lock is taken once a type.
    kinds: Vec<(&'static str, u16)>,
    /// Timers whose message was taken back, and that are still on the wheel.
    cancelled: usize,
    /// The shard is ending: no new actors.
    pub(crate) leaving: bool,
}

/// Something to be done to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Pause(SocketId),
    Resume(SocketId),
    Bulk { socket: SocketId, on: bool },
    WaitWritable(SocketId),
    ShutdownWrite(SocketId),
    Close { socket: SocketId, reset: bool },
}

struct Slot {
    /// Of the actor that is in it, or was last.
    generation: u64,
    cell: Option<Box<dyn Cell>>,
    mailbox: Mailbox,
    kind: u16,
    state: SlotState,
}

#[derive(Debug, Clone, Copy, Default)]
struct SlotState {
    /// An actor has it, even if its cell is out because it runs.
    taken: bool,
    ready: bool,
    dirty: bool,
    /// Wants to be told that its send is done.
    wants_sent: bool,
}

#[derive(Debug, Clone, Copy)]
enum Due {
    /// A cell's own tick; the lower half of its generation tells whether it is still the same.
    Tick { slot: u32, generation: u32 },
    /// A timer with a message.
    Timer(TimerId),
}

struct Timer {
    generation: u32,
    envelope: Option<Envelope>,
}

impl Local {
    pub(crate) fn new(
        pool: Pool,
        mesh: Mesh<Envelope>,
        heartbeat: Arc<Heartbeat>,
        outside: Outside,
        bounds: Bounds,
    ) -> Self {
        Self {
            me: mesh.me(),
            now: Time::ZERO,
            pool,
            mesh,
            counters: Counters::default(),
            requests: Vec::new(),
            heartbeat,
            slots: Vec::new(),
            free: Vec::new(),
            vacated: Vec::new(),
            actors_made: 0,
            connections: 0,
            mail: MailStore::new(bounds.mail_slots),
            bounds,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            returns: VecDeque::new(),
            shard_mail: VecDeque::new(),
            wheel: Wheel::new(),
            due: Vec::new(),
            timers: Vec::new(),
            free_timers: Vec::new(),
            spare_outgoing: Vec::new(),
            memory_short: false,
            awaits_sent: false,
            outside,
            kinds: Vec::new(),
            cancelled: 0,
            leaving: false,
        }
    }

    pub(crate) fn begin(&mut self, now: Time) {
        self.now = now;
        self.awaits_sent = false;
        self.heartbeat.beat();
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// How many connections live here, closing ones included.
    pub(crate) fn connections(&self) -> u32 {
        self.connections
    }

    /// How many actors live here, connections among them.
    pub(crate) fn actors(&self) -> usize {
        self.slots.len() - self.free.len() - self.vacated.len()
    }

    pub(crate) fn spawn<A: Actor>(&mut self, actor: A) -> Result<Address<A>, SendError<A>> {
        if self.is_full() || self.leaving {
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
        if self.is_full() {
            return None;
        }
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
        slot.state = SlotState { taken: true, ..SlotState::default() };
        let generation = NonZeroU64::new(generation).expect("it counts from one");
        Some(ActorId { generation, slot: index, shard: self.me })
    }

    /// Puts a cell into a slot that was reserved for it, and starts it.
    pub(crate) fn fill(&mut self, id: ActorId, cell: Box<dyn Cell>) {
        self.connections += u32::from(cell.is_connection());
        let kind = self.kind(cell.type_name());
        let slot = &mut self.slots[id.slot as usize];
        debug_assert!(slot.state.taken && slot.cell.is_none(), "a slot is filled once");
        slot.kind = kind;
        slot.cell = Some(cell);
        self.run(id.slot, |cell, local, me| cell.started(local, me));
    }

    fn kind(&mut self, name: &'static str) -> u16 {
        if let Some((_, kind)) = self.kinds.iter().find(|(known, _)| std::ptr::eq(*known, name)) {
            return *kind;
        }
        let kind = self.heartbeat.kind(name);
        self.kinds.push((name, kind));
        kind
    }

    /// A slot with this cell in it. The caller has asked [`Self::is_full`].
    fn place(&mut self, cell: Box<dyn Cell>) -> ActorId {
        let id = self.reserve().expect("the caller has looked");
        self.fill(id, cell);
        id
    }

    /// Runs `f` on the cell in a slot, contains its panics, and does what it asks for after.
    pub(crate) fn run(&mut self, slot: u32, f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next) {
        let entry = &mut self.slots[slot as usize];
        let Some(mut cell) = entry.cell.take() else { return };
        let generation = NonZeroU64::new(entry.generation).expect("a slot with a cell has a generation");
        let me = ActorId { generation, slot, shard: self.me };
        self.heartbeat.run(entry.kind);
        let next = self.contained(&mut cell, me, f).unwrap_or_else(|()| {
            // Its own state may be half changed, but what a connection is made of is ours and whole.
            self.contained(&mut cell, me, |cell, local, me| cell.crashed(local, me)).unwrap_or(Next::Stop)
        });
        self.heartbeat.rest();
        match next {
            Next::Stay => self.slots[slot as usize].cell = Some(cell),
            Next::Become(other) => {
                // Whoever knew the one before must not reach the one after.
                self.refuse_mail(slot);
                self.connections -= u32::from(cell.is_connection());
                self.actors_made += 1;
                self.slots[slot as usize].generation = self.actors_made;
                self.drop_cell(cell);
                let generation = NonZeroU64::new(self.actors_made).expect("it counts from one");
                self.fill(ActorId { generation, slot, shard: self.me }, other);
            }
            Next::Stop => self.vacate(slot, cell),
        }
    }

    fn contained(
        &mut self,
        cell: &mut Box<dyn Cell>,
        me: ActorId,
        f: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next,
    ) -> Result<Next, ()> {
        // Unwind-safe: of what `f` touches, the cell is not run again but to crash, and `Local`'s own methods do not
        // call anything of the user's in the middle of a change.
        catch_unwind(AssertUnwindSafe(|| f(&mut **cell, self, me))).map_err(|panic| {
            self.counters.panics += 1;
            let what = panic.downcast_ref::<&str>().copied();
            let what = what.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
            tracing::error!(actor = ?me, kind = cell.type_name(), panic = what, "an actor panicked; it alone ends");
        })
    }

    fn vacate(&mut self, slot: u32, cell: Box<dyn Cell>) {
        self.connections -= u32::from(cell.is_connection());
        self.slots[slot as usize].state.taken = false;
        self.refuse_mail(slot);
        // `ready` and `dirty` may still name the slot; both look before they act. Completions do not.
        if cell.is_connection() {
            self.vacated.push(slot)
        } else {
            self.free.push(slot)
        }
        self.drop_cell(cell);
    }

    /// The driver has let go of every socket that it was asked to: nothing comes any more for the slots they were in.
    pub(crate) fn sockets_are_closed(&mut self) {
        self.free.append(&mut self.vacated);
    }

    /// What still waits is for nobody. Its senders are told.
    fn refuse_mail(&mut self, slot: u32) {
        let mut mailbox = std::mem::replace(&mut self.slots[slot as usize].mailbox, Mailbox::EMPTY);
        while let Some(envelope) = self.mail.pop(&mut mailbox) {
            self.turn_back(envelope, Refused::Gone);
        }
    }

    fn drop_cell(&mut self, cell: Box<dyn Cell>) {
        self.discard(cell);
    }

    /// Drops what a user has made: their `Drop` may panic too.
    fn discard<T>(&mut self, what: T) {
        if catch_unwind(AssertUnwindSafe(|| drop(what))).is_err() {
            self.counters.panics += 1;
        }
    }

    /// Every slot that has a cell, for what must reach all.
    pub(crate) fn slots(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("me", &self.me).field("actors", &self.actors()).finish_non_exhaustive()
    }
}
