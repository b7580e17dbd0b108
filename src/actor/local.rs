//! One shard's actors, and all that they can reach.

use super::address::{ActorId, Address, Refused, SendError};
use super::cell::{Cell, Next, Plain};
use super::context::TimerId;
use super::envelope::{Envelope, Returned, What, deliver};
use super::mailbox::{MailStore, Mailbox};
use super::outside::Outside;
use super::stall::Heartbeat;
use super::{Actor, Handler};
use crate::buf::{Exhausted, Pool};
use crate::ring::parcel::Parcel;
use crate::ring::spsc::PushError;
use crate::shard::{Mesh, Outgoing, ShardId, SocketId, Time, Wheel};
use crate::sync::Arc;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

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

    // ---- slots ----

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

    // ---- messages ----

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
                Envelope { to, from, what: What::Message(deliver::<A, M>), parcel: Parcel::new(message) };
            self.enqueue(envelope);
            return Ok(());
        }
        let envelope =
            Envelope { to, from, what: What::Message(deliver::<A, M>), parcel: Parcel::new(message) };
        self.mesh.send(to.shard, envelope).map_err(|error| {
            let unpack = |envelope: Envelope| envelope.parcel.downcast().expect("it was packed a moment ago");
            match error {
                PushError::Full(envelope) => SendError::Full(unpack(envelope)),
                PushError::Closed(envelope) => SendError::Gone(unpack(envelope)),
            }
        })
    }

    fn has_room(&self, to: ActorId) -> Result<(), Refused> {
        let slot = self
            .slots
            .get(to.slot as usize)
            .filter(|slot| slot.state.taken && slot.generation == to.generation.get());
        match slot {
            None => Err(Refused::Gone),
            Some(slot) if slot.mailbox.len() >= self.bounds.mailbox_slots || self.mail.is_full() => {
                Err(Refused::Full)
            }
            Some(_) => Ok(()),
        }
    }

    fn enqueue(&mut self, envelope: Envelope) {
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
            let slot = slots
                .get_mut(to.slot as usize)
                .filter(|slot| slot.state.taken && slot.generation == to.generation.get());
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
    fn turn_back(&mut self, envelope: Envelope, reason: Refused) {
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

    fn take_back(&mut self, envelope: Envelope) {
        let (Some(sender), What::Returned(reason)) = (envelope.from, envelope.what) else { return };
        self.counters.returned += 1;
        if self.has_room(sender) != Err(Refused::Gone) {
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
            self.slots[slot as usize].state.ready = false;
            for _ in 0..MAIL_PER_ACTOR.min(left) {
                let entry = &mut self.slots[slot as usize];
                let Some(envelope) = self.mail.pop(&mut entry.mailbox) else { break };
                left -= 1;
                self.counters.handled += 1;
                if let What::Message(deliver) = envelope.what {
                    self.run(slot, |cell, local, me| deliver(cell, envelope.parcel, local, me));
                }
            }
            let entry = &mut self.slots[slot as usize];
            if entry.mailbox.len() > 0 && !entry.state.ready {
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
            || self.outside.is_set()
    }

    // ---- other threads ----

    /// By which other threads wake this shard.
    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Looks whether another thread has said something, and to whom.
    pub(crate) fn hear_outside(&mut self) {
        for to in self.outside.take() {
            if self.has_room(to) != Err(Refused::Gone) {
                self.run(to.slot, |cell, local, me| cell.poke(local, me));
            }
        }
    }

    // ---- timers ----

    pub(crate) fn after<A: Handler<M>, M: Send + 'static>(
        &mut self,
        delay: Duration,
        to: Address<A>,
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
            what: What::Message(deliver::<A, M>),
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
        self.wheel.next()
    }

    /// Fires what is due.
    pub(crate) fn fire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.now, &mut due);
        for due in due.drain(..) {
            match due {
                Due::Tick { slot, generation } => {
                    let entry = &self.slots[slot as usize];
                    if entry.state.taken && entry.generation as u32 == generation {
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
                    } else if self.has_room(envelope.to).is_ok() {
                        self.enqueue(envelope);
                    } else {
                        self.counters.refused += 1;
                        self.discard(envelope);
                    }
                }
            }
        }
        self.due = due;
    }

    // ---- sending to sockets ----

    /// The actor has something for its socket.
    pub(crate) fn mark_dirty(&mut self, slot: u32) {
        let state = &mut self.slots[slot as usize].state;
        if !state.dirty {
            state.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The actor wants to be told when its next send is done, however it went.
    pub(crate) fn want_sent(&mut self, slot: u32) {
        self.slots[slot as usize].state.wants_sent = true;
    }

    /// Hands everything that actors have to send to `send`.
    pub(crate) fn flush(&mut self, mut send: impl FnMut(SocketId, Box<Outgoing>)) {
        let Self { dirty, slots, counters, awaits_sent, .. } = self;
        for slot in dirty.drain(..) {
            let entry = &mut slots[slot as usize];
            entry.state.dirty = false;
            if let Some((socket, outgoing)) = entry.cell.as_mut().and_then(|cell| cell.take_outgoing()) {
                counters.bytes_out += outgoing.bytes() as u64;
                *awaits_sent |= entry.state.wants_sent;
                send(socket, outgoing);
            }
        }
    }

    /// What became of a send.
    pub(crate) fn sent(&mut self, slot: u32, outgoing: Box<Outgoing>, error: Option<std::io::Error>) {
        let state = &mut self.slots[slot as usize].state;
        if outgoing.is_empty() && error.is_none() && !state.wants_sent {
            self.put_outgoing(outgoing);
            return;
        }
        state.wants_sent = false;
        self.run(slot, |cell, local, me| cell.sent(outgoing, error, local, me));
    }

    /// An empty list of pieces, a used one if there is one.
    pub(crate) fn take_outgoing(&mut self) -> Box<Outgoing> {
        self.spare_outgoing.pop().unwrap_or_default()
    }

    /// Gives a list of pieces back, and what is left in it to the pool.
    pub(crate) fn put_outgoing(&mut self, mut outgoing: Box<Outgoing>) {
        outgoing.clear(&mut self.pool);
        if self.spare_outgoing.len() < SPARE_OUTGOING_MAX {
            self.spare_outgoing.push(outgoing);
        }
    }

    /// Memory could not be had. At the end of the turn the connection that holds the most lets go; unless it was asked
    /// for more than there ever is, which nobody else can help.
    pub(crate) fn memory_is_short(&mut self, why: Exhausted) {
        self.memory_short |= !matches!(why, Exhausted::TooLarge { .. });
    }

    /// If memory ran short: sheds the connection that holds the most.
    pub(crate) fn shed(&mut self) {
        if !std::mem::take(&mut self.memory_short) {
            return;
        }
        let queued =
            |slot: &u32| self.slots[*slot as usize].cell.as_ref().map_or(0, |cell| cell.held_bytes());
        if let Some(largest) = self.slots().max_by_key(queued).filter(|slot| queued(slot) > 0) {
            self.counters.shed += 1;
            self.run(largest, |cell, local, me| cell.shed(local, me));
        }
    }
}

impl Local {
    /// Drops every message that waits anywhere here, in mailboxes, timers and lanes. For the end: what is in them goes home.
    pub(crate) fn forget_messages(&mut self) {
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

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("me", &self.me).field("actors", &self.actors()).finish_non_exhaustive()
    }
}

const MAIL_PER_ACTOR: usize = 16;
const CANCELLED_MAX: usize = 1024;
const TICK_FAR: Duration = Duration::from_secs(4);
const TICK_COARSE_MS: u64 = 256;
const SPARE_OUTGOING_MAX: usize = 1024;
