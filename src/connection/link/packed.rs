//! A link that is of no shard: every byte in it is its own.
//!
//! Does not know: whose it is, or how it travels.

use super::{Behind, Link, LinkState, ms};
use crate::actor::ActorId;
use crate::actor::local::{Local, Request};
use crate::buf::{Buf, Exhausted};
use crate::connection::Rules;
use crate::connection::bulk::Bulk;
use crate::connection::later::PackedLater;
use crate::shard::SocketId;
use crate::shard::outgoing::PackedOutgoing;
use crate::wire::Machine;
use std::collections::VecDeque;
use std::rc::Rc;

/// All of it but what the next shard gives.
#[derive(Debug)]
pub(crate) struct PackedLink {
    machine: Machine,
    outgoing: Option<PackedOutgoing>,
    assembly: Option<Buf>,
    held: VecDeque<Buf>,
    later: PackedLater,
    heard_ms: u32,
    state: LinkState,
}

impl Link {
    /// Whether nothing stands against a move: it is open, on both sides, and waits for no future.
    pub(crate) fn may_move(&self) -> bool {
        let LinkState { closing, ended, streaming, waiting, .. } = self.state;
        !closing && !ended && !streaming && waiting == super::Waiting::No && !self.machine.close_sent()
    }

    /// Has the driver let go of the socket. What still comes waits.
    pub(crate) fn detach(&mut self, local: &mut Local) {
        self.state.moving = true;
        local.requests.push(Request::Detach(self.socket));
    }

    /// It stays, and this is its socket.
    pub(crate) fn stays(&mut self, socket: SocketId, local: &mut Local, me: ActorId) {
        self.socket = socket;
        self.state.moving = false;
        self.state.reading_stopped = false; // so it was attached
        self.state.bulk = Bulk::default();
        if self.state.blocked {
            local.requests.push(Request::WaitWritable(socket));
        } else if self.outgoing.is_some() {
            local.mark_dirty(me.slot);
        }
        if self.must_hold() || self.has_held() {
            self.stop_reading(local);
        }
        self.go_on_later(local, me);
        local.want_sent(me.slot); // whoever is to be told that there is room is told, once too often perhaps
        local.tick_at(local.now(), me); // reads what waits
    }

    /// Packs it: what it shares with others is copied.
    ///
    /// # Errors
    /// Memory is short. It is as good as it was.
    pub(crate) fn pack(&mut self, local: &mut Local) -> Result<PackedLink, Exhausted> {
        let pool = &mut local.pool;
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.leave_receive_blocks(pool)?;
        }
        if let Some(assembly) = self.assembly.as_mut().filter(|assembly| assembly.is_in_receive_block()) {
            let own = pool.copy(assembly)?;
            pool.recycle(std::mem::replace(assembly, own));
        }
        let Behind { held, later } = self.behind.take().map_or_else(Behind::default, |behind| *behind);
        let outgoing = self.outgoing.take();
        let packed = PackedLink {
            machine: std::mem::replace(&mut self.machine, Machine::new(crate::wire::Role::Server)),
            outgoing: outgoing.map(|outgoing| PackedOutgoing::of(*outgoing)),
            assembly: self.assembly.take(),
            held,
            later: later.pack(),
            heard_ms: self.heard_ms,
            state: self.state,
        };
        Ok(packed)
    }
}

impl PackedLink {
    /// The link again, on this socket.
    pub(crate) fn unpack(self, socket: SocketId, rules: Rc<Rules>) -> Link {
        let Self { machine, outgoing, assembly, held, later, heard_ms, state } = self;
        let later = later.unpack();
        let behind = Behind { held, later };
        let is_behind = !behind.held.is_empty() || !behind.later.is_empty();
        Link {
            machine,
            rules,
            outgoing: outgoing.map(|outgoing| Box::new(outgoing.unpack())),
            assembly,
            behind: is_behind.then(|| Box::new(behind)),
            socket,
            heard_ms,
            tick_ms: ms(crate::shard::Time::ZERO),
            closed_with: 0,
            state,
        }
    }
}
