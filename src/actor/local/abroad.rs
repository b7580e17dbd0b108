//! Those who were born here and live elsewhere: their mail is sent on, and what is to be done to them is carried there.
//!
//! Frames for their clients are carried too, so many at a time as may wait; what waits there then is told with each answer.
//!
//! Does not know: how they came there, which is `moves`'.

use super::Local;
use crate::actor::address::{ActorId, Refused};
use crate::actor::cell::{Cell, Next};
use crate::shard::ShardId;
use std::collections::VecDeque;

/// Something to be done where an actor lives, when nobody runs.
pub(super) type Carried = Box<dyn FnOnce(&mut dyn Cell, &mut Local, ActorId) -> Next + Send>;

/// Somebody who lives elsewhere.
#[derive(Default)]
pub(super) struct Abroad {
    /// None: on its way, or about to be. What comes waits here.
    pub(super) at: Option<ShardId>,
    pub(super) carried: VecDeque<Carried>,
    /// Rooms with frames on their way, or that wait there. A handful.
    rooms: Vec<RoomAbroad>,
    /// It was told to close.
    is_closing: bool,
}

/// What there is of one room for somebody who lives elsewhere.
struct RoomAbroad {
    room: u32,
    /// Frames and bytes that have not come there.
    under_way: (u32, usize),
    /// As it was last told.
    waits: WaitsThere,
    /// It is being asked.
    is_looked_at: bool,
}

impl Abroad {
    fn room(&mut self, room: u32) -> &mut RoomAbroad {
        let known = self.rooms.iter().position(|known| known.room == room);
        let at = known.unwrap_or_else(|| {
            let waits = WaitsThere::default();
            self.rooms.push(RoomAbroad { room, under_way: (0, 0), waits, is_looked_at: false });
            self.rooms.len() - 1
        });
        &mut self.rooms[at]
    }
}

/// What waits of a room for the client of one who lives elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WaitsThere {
    pub(crate) frames: u32,
    pub(crate) bytes: usize,
    /// And how many frames were dropped since this was last told.
    pub(crate) dropped: u32,
}

impl Local {
    /// Sends some of the mail on of somebody who lives elsewhere. Returns how many.
    pub(super) fn send_on(&mut self, slot: u32) -> usize {
        let Some(&Abroad { at: Some(at), .. }) = self.moves.abroad.get(&slot) else { return 0 };
        let mut sent = 0;
        while self.waiting_for(slot) > 0 {
            if self.mesh.room(at) == 0 {
                self.moves.held_up.push(slot); // the lane is full; next turn
                break;
            }
            if sent == SENT_ON_AT_ONCE {
                self.queue_mail(slot);
                break;
            }
            let Some(envelope) = self.take_mail(slot) else { break };
            sent += 1;
            if let Err(error) = self.mesh.send(at, envelope) {
                self.turn_back(error.into_inner(), Refused::Gone);
            }
        }
        sent
    }

    /// A turn begins: lanes may have room again.
    pub(super) fn go_on_sending(&mut self) {
        if !self.moves.held_up.is_empty() {
            self.send_held_up();
        }
    }

    #[inline(never)]
    fn send_held_up(&mut self) {
        for slot in std::mem::take(&mut self.moves.held_up) {
            if self.waiting_for(slot) > 0 {
                self.queue_mail(slot);
            }
        }
    }

    /// Does something where an actor lives that was born here. There is no more of this under way than whoever adds a use of
    /// it says.
    pub(crate) fn carry(
        &mut self,
        birth: ActorId,
        run: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> Next + Send + 'static,
    ) {
        let Some(abroad) = self.moves.abroad.get_mut(&birth.slot) else { return };
        match abroad.at {
            Some(at) => self.tell(at, move |local| local.run_guest(birth, Box::new(run))),
            None => abroad.carried.push_back(Box::new(run)),
        }
    }

    /// The same for so many frames and bytes of a room, as long as no more than `max` of it are under way. `run` says what waits
    /// there then, which is known here from then on.
    pub(crate) fn carry_frames(
        &mut self,
        birth: ActorId,
        (room, frames, bytes): (u32, u32, usize),
        max: (u32, usize),
        run: impl FnOnce(&mut dyn Cell, &mut Self, ActorId) -> (Next, WaitsThere) + Send + 'static,
    ) -> bool {
        let Some(abroad) = self.moves.abroad.get_mut(&birth.slot) else { return false };
        let under_way = &mut abroad.room(room).under_way;
        let all = (under_way.0.saturating_add(frames), under_way.1 + bytes);
        if under_way.0 > 0 && (all.0 > max.0 || all.1 > max.1) {
            return false;
        }
        *under_way = all;
        self.carry(birth, move |cell, local, me| {
            let (next, waits) = run(cell, local, me);
            local.at(birth.shard, move |local| local.waits_there(birth, room, (frames, bytes), waits));
            next
        });
        true
    }

    /// What waits of a room for somebody who lives elsewhere, as far as is known here, and what is under way. `look` sees it
    /// there; so the next answer is better than this one.
    pub(crate) fn what_waits_there(
        &mut self,
        birth: ActorId,
        room: u32,
        look: impl FnOnce(&mut dyn Cell) -> WaitsThere + Send + 'static,
    ) -> (u32, usize) {
        let waits = self.known_to_wait(birth, room);
        if let Some(abroad) = self.moves.abroad.get_mut(&birth.slot).filter(|_| waits.0 > 0)
            && !std::mem::replace(&mut abroad.room(room).is_looked_at, true)
        {
            self.carry(birth, move |cell, local, _| {
                let waits = look(cell);
                local.at(birth.shard, move |local| local.waits_there(birth, room, (0, 0), waits));
                Next::Stay
            });
        }
        waits
    }

    /// What is known of that, without a look.
    pub(crate) fn known_to_wait(&self, birth: ActorId, room: u32) -> (u32, usize) {
        let abroad = self.moves.abroad.get(&birth.slot);
        let known = abroad.and_then(|abroad| abroad.rooms.iter().find(|known| known.room == room));
        known.map_or((0, 0), |RoomAbroad { under_way, waits, .. }| {
            (under_way.0 + waits.frames, under_way.1 + waits.bytes)
        })
    }

    /// How many frames of a room were dropped there since this was last asked.
    pub(crate) fn dropped_there(&mut self, birth: ActorId, room: u32) -> u32 {
        let abroad = self.moves.abroad.get_mut(&birth.slot);
        abroad.map_or(0, |abroad| std::mem::take(&mut abroad.room(room).waits.dropped))
    }

    /// On the shard of its birth: so many frames and bytes have come there, and so much waits.
    fn waits_there(&mut self, birth: ActorId, room: u32, came: (u32, usize), waits: WaitsThere) {
        if !self.is_abroad(birth) {
            return;
        }
        let Some(abroad) = self.moves.abroad.get_mut(&birth.slot) else { return };
        let known = abroad.room(room);
        let (frames, bytes) = known.under_way;
        known.under_way = (frames.saturating_sub(came.0), bytes.saturating_sub(came.1));
        known.is_looked_at &= came.0 > 0; // else this is the answer
        known.waits = WaitsThere { dropped: known.waits.dropped + waits.dropped, ..waits };
        let is_nothing = |known: &RoomAbroad| {
            known.under_way.0 == 0
                && known.waits.frames == 0
                && known.waits.dropped == 0
                && !known.is_looked_at
        };
        abroad.rooms.retain(|known| !is_nothing(known));
    }

    /// Notes that one who lives elsewhere is to close. False: it is known.
    pub(crate) fn is_first_close_abroad(&mut self, birth: ActorId) -> bool {
        let abroad = self.moves.abroad.get_mut(&birth.slot);
        abroad.is_some_and(|abroad| !std::mem::replace(&mut abroad.is_closing, true))
    }

    /// Whether it was told to close.
    pub(crate) fn is_closing_abroad(&self, birth: ActorId) -> bool {
        self.moves.abroad.get(&birth.slot).is_some_and(|abroad| abroad.is_closing)
    }

    /// All who were born here and live elsewhere.
    pub(crate) fn all_abroad(&self) -> Vec<ActorId> {
        self.moves.abroad.keys().filter_map(|&slot| self.tenant(slot)).collect()
    }

    pub(super) fn run_guest(&mut self, birth: ActorId, run: Carried) {
        match self.resident(birth) {
            Some(here) => self.run(here.slot, run),
            None => self.discard(run), // it has ended
        }
    }
}

const SENT_ON_AT_ONCE: usize = 64;
