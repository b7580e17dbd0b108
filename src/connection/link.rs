//! A connection's own state, under its session: the protocol, what waits to go out, what waits to be read.
//!
//! - here: what there is, and the time
//! - `out`: what is said in this turn; `behind`: what waits for a client that is behind
//! - `read`: what is heard, and when it may be
//! - `packed`: on its way to another shard

mod behind;
mod out;
mod packed;
mod read;

pub(crate) use packed::PackedLink;

use super::Rules;
use super::bulk::Bulk;
use super::later::Later;
use crate::actor::ActorId;
use crate::actor::cell::Extra;
use crate::actor::local::Local;
use crate::buf::Buf;
use crate::shard::{Outgoing, SocketId, Time};
use crate::wire::frame::Opcode;
use crate::wire::{Kind, Machine, Role};
use std::collections::VecDeque;
use std::rc::Rc;

/// All of a connection but its session. Small while idle: what is boxed is there only while it is needed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) machine: Machine,
    pub(crate) rules: Rc<Rules>,
    /// What is to be sent; none while nothing waits.
    outgoing: Option<Box<Outgoing>>,
    /// A message that has begun and not ended.
    pub(crate) assembly: Option<Buf>,
    /// What waits on either side; none while nothing does.
    behind: Option<Box<Behind>>,
    pub(crate) socket: SocketId,
    /// When something was last heard, in milliseconds of the shard's clock.
    heard_ms: u32,
    /// When the tick that counts is due; one before that is for what was held.
    tick_ms: u32,
    /// Why we closed; 0 before that.
    pub(crate) closed_with: u16,
    pub(crate) state: LinkState,
}

/// What a connection's box has besides the session.
pub(crate) const LINK_BYTES: usize = size_of::<Link>();

/// What waits because one of the two is not ready for it.
#[derive(Debug, Default)]
struct Behind {
    /// Bytes that were received and are not to be read yet.
    held: VecDeque<Buf>,
    /// Frames that are to be sent when the client has taken what was sent before.
    later: Later,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LinkState {
    /// The kernel did not take all that was sent: nothing is sent and nothing read until it does.
    pub(crate) blocked: bool,
    /// The session wants to hear nothing.
    pub(crate) paused: bool,
    /// Somebody else wants it to hear nothing.
    choked: bool,
    /// It is about to go to another shard.
    moving: bool,
    /// The session waits for a future.
    pub(crate) waiting: Waiting,
    /// The driver was told not to receive.
    reading_stopped: bool,
    /// We have sent a close frame and wait for the client's.
    pub(crate) closing: bool,
    /// The peer has hung up, and what it said before is not read yet.
    pub(crate) ended: bool,
    /// A message was refused because too much waits, or the connection has been counted as slow since.
    pub(crate) refused: bool,
    pub(crate) counted_slow: bool,
    /// A ping is out.
    pub(crate) pinged: bool,
    /// A fragmented message of ours has begun.
    pub(crate) streaming: bool,
    /// Whether it is read in bulk.
    pub(crate) bulk: Bulk,
}

/// Whether a session waits for a future.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    #[default]
    No,
    Yes,
    /// And there is room again, which it is told when it goes on.
    AndDrained,
}

/// Bytes to send, with or without an owner.
pub(crate) enum Payload<'a> {
    Copied(&'a [u8]),
    Owned(Buf),
}

impl Link {
    pub(crate) fn new(
        socket: SocketId,
        rules: Rc<Rules>,
        outgoing: Option<Box<Outgoing>>,
        now: Time,
    ) -> Self {
        Self {
            machine: Machine::new(Role::Server),
            rules,
            outgoing,
            assembly: None,
            behind: None,
            socket,
            heard_ms: ms(now),
            tick_ms: 0,
            closed_with: 0,
            state: LinkState::default(),
        }
    }

    /// This connection ends because its client does not take what is sent.
    pub(crate) fn count_slow(&mut self, local: &mut Local) {
        if !std::mem::replace(&mut self.state.counted_slow, true) {
            local.counters.slow_closed += 1;
        }
    }

    /// How many bytes wait for the peer.
    pub(crate) fn queued_bytes(&self) -> usize {
        let later = self.behind.as_ref().map_or(0, |behind| behind.later.bytes());
        self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes()) + later
    }

    /// How many of them the session is to answer for: all but what waits of rooms.
    pub(crate) fn own_bytes(&self) -> usize {
        let later = self.behind.as_ref().map_or(0, |behind| behind.later.own_bytes());
        self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes()) + later
    }

    /// How many bytes wait for anything.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = self.behind.as_ref().map_or(0, |behind| behind.held.iter().map(Buf::len).sum());
        self.queued_bytes() + held + self.assembly.as_ref().map_or(0, Buf::block_bytes)
    }

    /// The peer lives.
    pub(crate) fn heard(&mut self, now: Time) {
        self.heard_ms = ms(now);
        self.state.pinged = false;
    }

    /// How long nothing was heard, in milliseconds.
    pub(crate) fn silent_ms(&self, now: Time) -> u32 {
        ms(now).wrapping_sub(self.heard_ms)
    }

    /// Has the tick that counts come in `delay_ms` from now.
    pub(crate) fn tick_in(&mut self, delay_ms: u32, local: &mut Local, me: ActorId) {
        let due = local.tick_at(local.now() + std::time::Duration::from_millis(delay_ms.max(1).into()), me);
        self.tick_ms = ms(due);
    }

    /// After a tick that came before the one that counts: waits on for that.
    pub(crate) fn tick_again(&self, local: &mut Local, me: ActorId) {
        let now_ms = local.now().as_millis();
        let left_ms = self.tick_ms.wrapping_sub(now_ms as u32);
        local.tick_at(Time::from_nanos((now_ms + u64::from(left_ms)) * 1_000_000), me);
    }

    /// Whether the tick that counts is due.
    pub(crate) fn is_tick_due(&self, now: Time) -> bool {
        ms(now).wrapping_sub(self.tick_ms) < u32::MAX / 2
    }
}

impl Extra for Link {
    fn wait(&mut self, local: &mut Local) {
        if self.state.waiting == Waiting::No && !self.state.closing {
            self.state.waiting = Waiting::Yes;
            self.stop_reading(local);
        }
    }
}

impl Payload<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

pub(crate) fn opcode_of(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

/// Wraps after 49 days; only differences are used.
fn ms(time: Time) -> u32 {
    time.as_millis() as u32
}
