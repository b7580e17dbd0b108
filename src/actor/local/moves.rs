//! Who has moved from shard to shard.
//!
//! An actor has one address for all its life: of the shard where it was born. Its slot there stays, without a cell, and
//! passes on what comes. So all who know the address reach it, in the order in which they sent; who talks to one that lives
//! on the same shard takes the long way too.
//!
//! A move, and then another:
//! 1. The shard where it lives has the driver let go of its socket, packs it with its mail and timers, and sends it. Its
//!    birth slot keeps what comes meanwhile.
//! 2. Where it arrives it gets a slot, and the shard of its birth is told; that sends on what has come, and all that comes.
//! 3. To move on, it has the shard of its birth keep what comes again. The answer to that comes behind all that was sent on,
//!    so when it is there, nothing is under way to it, and it may be packed.
//!
//! So nothing is ever sent from one of its homes to the next but the actor itself, and nothing overtakes. What it says itself stays
//! in order too: it leaves when what it has said lies in mailboxes.
//!
//! What is done for those who are away: `abroad`. Does not know: why somebody moves, or what it is.

use super::abroad::Abroad;
use super::slots::Slot;
use super::{Local, Timer};
use crate::actor::Reason;
use crate::actor::address::ActorId;
use crate::actor::cell::{Cell, Next};
use crate::actor::context::TimerId;
use crate::actor::moving::{Baggage, PackedTimer};
use crate::shard::{ShardId, SocketId};
use std::collections::{HashMap, VecDeque};

/// All of one shard's.
#[derive(Default)]
pub(super) struct Moves {
    /// Born here, living elsewhere. By slot.
    pub(super) abroad: HashMap<u32, Abroad>,
    /// Living here, born elsewhere: their slots, by address.
    guests: HashMap<ActorId, u32>,
    /// The same, by slot.
    births: HashMap<u32, ActorId>,
    /// What those who have come here call their timers, and what these are here. By slot.
    timers: HashMap<u32, Vec<(TimerId, TimerId)>>,
    /// Who is to go. By slot.
    leaving: HashMap<u32, Leaving>,
    /// Who of them has not begun to.
    asked: VecDeque<u32>,
    /// Slots with mail for elsewhere, to where the lane was full.
    pub(super) held_up: Vec<u32>,
    /// How many rounds to the other shards have begun, and those that are not over: how many answers are missing.
    rounds: u64,
    open_rounds: VecDeque<(u64, u16)>,
    /// Where connections were counted that do not come.
    pub(super) not_coming: Vec<ShardId>,
}

struct Leaving {
    who: ActorId,
    to: ShardId,
    /// The connection is counted there.
    counted: bool,
}

impl Local {
    /// By what everybody knows it: its address.
    #[inline]
    pub(crate) fn identity(&self, me: ActorId) -> ActorId {
        if me.is_guest() { self.birth_of(me) } else { me }
    }

    #[cold]
    fn birth_of(&self, me: ActorId) -> ActorId {
        self.moves.births.get(&me.slot).copied().unwrap_or(me)
    }

    /// The number by which somebody is known here who lives here, wherever it was born.
    #[inline]
    pub(crate) fn resident(&self, id: ActorId) -> Option<ActorId> {
        if id.shard == self.me && !self.is_abroad(id) {
            return self.lives(id).then_some(id);
        }
        self.moves.guests.get(&id).and_then(|&slot| self.tenant(slot))
    }

    /// Whether it was born here and lives elsewhere, or is on its way.
    #[inline]
    pub(crate) fn is_abroad(&self, id: ActorId) -> bool {
        !self.moves.abroad.is_empty()
            && id.shard == self.me
            && self.moves.abroad.contains_key(&id.slot)
            && self.lives(id)
    }

    /// Whether one who was born elsewhere lives here.
    #[cold]
    pub(super) fn moves_here(&self, id: ActorId) -> bool {
        self.moves.guests.contains_key(&id)
    }

    /// What is for a guest is for the number that it has here. False: there is no such guest.
    pub(super) fn redirect(&self, to: &mut ActorId) -> bool {
        let slot = self.moves.guests.get(to);
        let here = slot.and_then(|&slot| self.tenant(slot));
        here.is_some_and(|here| {
            *to = here;
            true
        })
    }

    // ---- leaving ----

    /// Has a connection of this shard move, when this turn ends. False: it does not live here, or is moving.
    pub(crate) fn ask_to_move(&mut self, id: ActorId, to: ShardId) -> bool {
        let Some(who) = self.resident(id) else { return false };
        if to == self.me || to.0 >= self.mesh.shards() || self.moves.leaving.contains_key(&who.slot) {
            return false;
        }
        self.moves.leaving.insert(who.slot, Leaving { who, to, counted: false });
        self.moves.asked.push_back(who.slot);
        true
    }

    /// The same by its slot, if it is a connection of a kind that moves, now.
    pub(crate) fn ask_connection_to_move(&mut self, slot: u32, to: ShardId) -> bool {
        let may = |slot: &Slot| slot.cell.as_ref().is_some_and(|cell| cell.may_move());
        let who = self.slots.get(slot as usize).filter(|slot| may(slot)).and_then(|_| self.tenant(slot));
        who.is_some_and(|who| self.ask_to_move(self.identity(who), to))
    }

    /// Begins some of the moves that were asked for, where `claim` finds room. Nobody is running.
    pub(crate) fn begin_moves(&mut self, claim: impl FnMut(ShardId) -> bool) {
        if !self.moves.asked.is_empty() {
            self.begin_some_moves(claim);
        }
    }

    #[inline(never)]
    fn begin_some_moves(&mut self, mut claim: impl FnMut(ShardId) -> bool) {
        // Each looks through what the shard has of timers and questions.
        let looked_at = (self.timers.len() + self.asks.places()).max(1);
        for _ in 0..(LOOKED_AT_PER_TURN / looked_at).clamp(1, MOVES_PER_TURN) {
            let Some(slot) = self.moves.asked.pop_front() else { return };
            let Some(&Leaving { who, to, counted: false }) = self.moves.leaving.get(&slot) else { continue };
            if !self.may_leave(who) || self.leaving || !claim(to) {
                self.moves.leaving.remove(&slot);
                self.counters.moves_refused += 1;
                continue;
            }
            if let Some(leaving) = self.moves.leaving.get_mut(&slot) {
                leaving.counted = true;
            }
            if who.is_guest() {
                let (birth, here) = (self.birth_of(who), self.me);
                self.tell(birth.shard, move |local| local.keep_what_comes(birth, here));
            } else {
                self.let_go(slot);
            }
        }
    }

    /// Whether some are to be begun, or have mail that waits for a lane.
    pub(super) fn has_moves(&self) -> bool {
        !self.moves.asked.is_empty() || !self.moves.held_up.is_empty()
    }

    /// Whether an actor may be packed: what it has begun and waits for stays with its shard.
    fn may_leave(&self, who: ActorId) -> bool {
        self.lives(who)
            && !self.is_closed(who)
            && self.slots[who.slot as usize].cell.as_ref().is_some_and(|cell| cell.may_move())
            && !self.has_tasks(who)
            && !self.asks.has_of(who)
            && !self.families.has(who)
    }

    /// On the shard of its birth: what comes for it waits here from now on.
    fn keep_what_comes(&mut self, birth: ActorId, at: ShardId) {
        if self.is_abroad(birth)
            && let Some(abroad) = self.moves.abroad.get_mut(&birth.slot)
        {
            abroad.at = None;
            self.tell(at, move |local| local.nothing_comes(birth)); // behind all that was sent on
        }
    }

    /// All that was sent on to a guest is here.
    fn nothing_comes(&mut self, birth: ActorId) {
        let Some(&slot) = self.moves.guests.get(&birth) else { return };
        if self.moves.leaving.contains_key(&slot) {
            self.let_go(slot);
        } else {
            self.stays(birth);
        }
    }

    fn let_go(&mut self, slot: u32) {
        self.run(slot, |cell, local, me| {
            cell.detach(local, me);
            Next::Stay
        });
    }

    /// A guest does not move on after all.
    fn stays(&mut self, birth: ActorId) {
        let here = self.me;
        self.tell(birth.shard, move |local| local.has_arrived(birth, here));
    }

    /// The socket of a connection is nobody's: packs what is in the slot. `None`: it stays.
    pub(crate) fn pack(&mut self, slot: u32) -> Option<(ShardId, Baggage)> {
        let Leaving { who, to, counted } = self.moves.leaving.remove(&slot)?;
        let packed = if self.may_leave(who) && !self.leaving {
            let cell = self.slots[slot as usize].cell.take();
            cell.map(|cell| cell.pack(self))
        } else {
            None
        };
        let cell = match packed {
            Some(Ok(cell)) => cell,
            stays => {
                if let Some(Err(cell)) = stays {
                    self.slots[slot as usize].cell = Some(cell);
                }
                if counted {
                    self.moves.not_coming.push(to);
                }
                self.counters.moves_refused += 1;
                if who.is_guest() {
                    let birth = self.birth_of(who);
                    self.stays(birth);
                }
                return None;
            }
        };
        let birth = self.identity(who);
        let timers = self.pack_timers(slot, birth);
        self.ticks.clear(slot);
        let mail = self.pack_mail(slot);
        self.connections -= 1;
        self.counters.moved_out += 1;
        if who.is_guest() {
            self.forget_guest(slot);
            self.slots[slot as usize].forget();
            self.free.push(slot);
        } else {
            self.moves.abroad.insert(slot, Abroad::default());
        }
        Some((to, Baggage { birth, cell, mail, timers, from: self.me }))
    }

    /// Takes out all timers that an actor has set.
    fn pack_timers(&mut self, slot: u32, birth: ActorId) -> Vec<PackedTimer> {
        let known = self.moves.timers.remove(&slot).unwrap_or_default();
        let mut packed = Vec::new();
        for index in 0..self.timers.len() as u32 {
            let Timer { generation, envelope, every } = &mut self.timers[index as usize];
            let is_its = envelope.as_ref().is_some_and(|envelope| envelope.from == Some(birth))
                || every.as_ref().is_some_and(|every| every.is_of(birth));
            if !is_its {
                continue;
            }
            let here = TimerId { index, generation: *generation, shard: self.me };
            let id = known.iter().find(|(_, now)| *now == here).map_or(here, |(id, _)| *id);
            let every = every.take();
            let due = self.timer_wheel.due(index).unwrap_or(self.now);
            self.timer_wheel.clear(index);
            let envelope = self.take_timer(index);
            packed.push(PackedTimer { id, due, envelope, every });
        }
        packed
    }

    /// What an actor that has moved calls this timer is this one here; none if it has ended.
    pub(super) fn timer_here(&self, slot: u32, id: TimerId) -> Option<TimerId> {
        let known = self.moves.timers.get(&slot).into_iter().flatten().find(|(known, _)| *known == id);
        known.map(|(_, here)| *here).or((id.shard == self.me).then_some(id))
    }

    /// Begins a round: it is over when what was sent from here to all shards but `to` lies in mailboxes there. Who has been packed
    /// waits for that, so that what it says on the next shard comes after what it said on this one.
    pub(crate) fn begin_round(&mut self, to: ShardId) -> u64 {
        self.moves.rounds += 1;
        let (round, me) = (self.moves.rounds, self.me);
        let others: Vec<ShardId> =
            (0..self.mesh.shards()).map(ShardId).filter(|&shard| shard != me && shard != to).collect();
        if !others.is_empty() {
            self.moves.open_rounds.push_back((round, others.len() as u16));
        }
        for shard in others {
            self.tell(shard, move |local| local.tell(me, move |local| local.answer_to_round(round)));
        }
        round
    }

    fn answer_to_round(&mut self, round: u64) {
        let open = &mut self.moves.open_rounds;
        if let Some(at) = open.iter().position(|(other, _)| *other == round) {
            open[at].1 -= 1;
            if open[at].1 == 0 {
                open.remove(at);
            }
        }
    }

    /// Whether all shards have answered.
    pub(crate) fn is_round_over(&self, round: u64) -> bool {
        self.moves.open_rounds.iter().all(|(other, _)| *other != round)
    }

    /// Whether something is to be sent to `shard` that found its lane full: nothing may go before it.
    pub(crate) fn is_held_up(&self, shard: ShardId) -> bool {
        !self.errands_out[usize::from(shard.0)].is_empty()
    }

    // ---- arriving ----

    /// A slot for somebody who arrives: where it was born, if that was here. There is always one.
    pub(crate) fn make_place(&mut self, birth: ActorId) -> u32 {
        if birth.shard == self.me {
            return birth.slot;
        }
        let slot = self.reserve_anyway().slot;
        self.slots[slot as usize].make_guest();
        slot
    }

    /// It is unpacked: it goes on.
    pub(crate) fn settle(&mut self, slot: u32, cell: Box<dyn Cell>, baggage: Arrived) {
        let Arrived { birth, mut mail, timers, from } = baggage;
        self.connections += 1;
        self.counters.moved_in += 1;
        let kind = self.kind_of(&*cell);
        let entry = &mut self.slots[slot as usize];
        entry.kind = kind;
        entry.cell = Some(cell);
        let mut carried = VecDeque::new();
        if birth.shard == self.me {
            mail.append(&mut self.pack_mail(slot)); // what has come meanwhile
            carried = self.moves.abroad.remove(&slot).map(|abroad| abroad.carried).unwrap_or_default();
        } else {
            self.moves.guests.insert(birth, slot);
            self.moves.births.insert(slot, birth);
            self.stays(birth);
        }
        if let Some(here) = self.tenant(slot) {
            self.unpack_mail(here, mail);
        }
        self.unpack_timers(slot, timers);
        self.run(slot, |cell, local, me| cell.arrived(from, local, me));
        for run in carried {
            if self.lives(birth) {
                self.run(slot, run);
            } else {
                self.discard(run);
            }
        }
    }

    fn unpack_timers(&mut self, slot: u32, timers: Vec<PackedTimer>) {
        for PackedTimer { id, due, envelope, every } in timers {
            let index = self.free_timers.pop().unwrap_or_else(|| {
                self.timers.push(Timer { generation: 0, envelope: None, every: None });
                self.timers.len() as u32 - 1
            });
            let timer = &mut self.timers[index as usize];
            (timer.envelope, timer.every) = (envelope, every);
            let here = TimerId { index, generation: timer.generation, shard: self.me };
            self.timer_wheel.set(index, due);
            self.moves.timers.entry(slot).or_default().push((id, here));
        }
    }

    /// On the shard of its birth: it lives there now.
    fn has_arrived(&mut self, birth: ActorId, at: ShardId) {
        if !self.is_abroad(birth) {
            return; // it has ended
        }
        let Some(abroad) = self.moves.abroad.get_mut(&birth.slot) else { return };
        abroad.at = Some(at);
        for run in std::mem::take(&mut abroad.carried) {
            self.tell(at, move |local| local.run_guest(birth, run));
        }
        if self.waiting_for(birth.slot) > 0 {
            self.queue_mail(birth.slot);
        }
    }

    // ---- ending ----

    /// Somebody's slot is about to be nobody's, or another's.
    pub(super) fn forget_moves_of(&mut self, me: ActorId, reason: &Reason) {
        if self.moves.leaving.is_empty() && self.moves.timers.is_empty() && !me.is_guest() {
            return;
        }
        self.moves.timers.remove(&me.slot);
        if let Some(Leaving { to, counted: true, .. }) = self.moves.leaving.remove(&me.slot) {
            self.moves.not_coming.push(to);
        }
        if me.is_guest() {
            let birth = self.birth_of(me);
            self.forget_guest(me.slot);
            let reason = reason.clone();
            self.tell(birth.shard, move |local| local.has_ended_abroad(birth, &reason));
        }
    }

    fn forget_guest(&mut self, slot: u32) {
        if let Some(birth) = self.moves.births.remove(&slot) {
            self.moves.guests.remove(&birth);
        }
    }

    /// On the shard of its birth: nobody has its address any more.
    fn has_ended_abroad(&mut self, birth: ActorId, reason: &Reason) {
        if !self.is_abroad(birth) {
            return;
        }
        let abroad = self.moves.abroad.remove(&birth.slot);
        self.discard(abroad);
        self.vacate(birth, None, reason);
    }

    /// Where connections were counted that do not come, for whoever counts.
    pub(crate) fn not_coming(&mut self) -> impl Iterator<Item = ShardId> + '_ {
        self.moves.not_coming.drain(..)
    }

    /// For the end.
    pub(super) fn forget_carried(&mut self) {
        let abroad = std::mem::take(&mut self.moves.abroad);
        self.discard(abroad);
    }
}

/// What is left of a [`Baggage`] when the cell is unpacked.
pub(crate) struct Arrived {
    birth: ActorId,
    mail: Vec<crate::actor::envelope::Envelope>,
    timers: Vec<PackedTimer>,
    from: ShardId,
}

impl Baggage {
    /// Unpacks the cell.
    pub(crate) fn open(self, socket: SocketId, house: &dyn std::any::Any) -> (Box<dyn Cell>, Arrived) {
        let Self { birth, cell, mail, timers, from } = self;
        (cell.unpack(socket, house), Arrived { birth, mail, timers, from })
    }
}

/// A thousand that leave at once are packed in many turns, and others are heard between them.
const MOVES_PER_TURN: usize = 64;
const LOOKED_AT_PER_TURN: usize = 1 << 20;
