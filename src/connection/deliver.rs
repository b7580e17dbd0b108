//! From one actor to the clients of others: frames that go to many, straight to where each client's wait.
//!
//! No message, no mailbox and no handler on the way: a room hands the same bytes to each member for the price of a look at
//! its connection. So it works on one shard only, and whoever delivers lives on the shard of who is delivered to.

use super::frames::Frames;
use super::later::Terms;
use super::link::Link;
use super::session::Close;
use super::{Client, Message};
use crate::actor::cell::{Lent, Next};
use crate::actor::local::Local;
use crate::actor::{Actor, ActorId, Context};
use std::any::Any;

/// What became of frames for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// They leave at the end of the turn.
    Sent,
    /// The client has not taken what was sent before; so many frames and bytes of this room wait for it now.
    Waits {
        /// Frames.
        frames: u32,
        /// Bytes.
        bytes: usize,
        /// How many were dropped for it, by [`Terms::slow`].
        dropped: u32,
    },
    /// It is closed with 1013, as [`Slow::Close`](super::Slow::Close) says; so many frames will not reach it.
    TooSlow {
        /// Those, and what waited.
        dropped: u32,
    },
    /// Nobody is there, or it is closing, or lives on another shard.
    Gone,
}

impl<A: Actor> Context<'_, A> {
    /// Hands frames to the client of a session of this shard. Middleware that sees what sessions send sees each of them.
    ///
    /// See [`FrameWriter`](super::FrameWriter) for an example. A session cannot deliver to its own client by this, but has
    /// [`Context::client`].
    #[inline]
    pub fn deliver(&mut self, to: ActorId, frames: &Frames, terms: &Terms<'_>) -> Delivered {
        let delivered = with_link(self.local, to, |link, guarded, local| {
            if guarded { None } else { Some(link.queue_shared(frames, terms, local, to)) }
        });
        match delivered {
            None => Delivered::Gone,
            Some(None) => deliver_guarded(self.local, to, frames),
            Some(Some(delivered @ Delivered::TooSlow { .. })) => {
                self.local.counters.slow_closed += 1;
                close(self.local, to, Close::new(1013, "too slow: what was sent was not taken"));
                delivered
            }
            Some(Some(delivered)) => delivered,
        }
    }

    /// Closes all sessions of this shard, as [`Self::close_session`] does one: for a service that has lost what it knew of them.
    pub fn close_sessions(&mut self, how: &Close) {
        let me = self.me;
        for id in self.local.all_connections() {
            if id != me {
                close(self.local, id, how.clone());
            }
        }
    }

    /// How many frames and bytes of a room wait for the client of a session of this shard. `None`: nobody is there.
    pub fn waiting_for(&mut self, session: ActorId, room: u32) -> Option<(u32, usize)> {
        with_link(self.local, session, |link, _, _| link.waits_of(room))
    }

    /// Has a session of this shard hear nothing of its client until [`Self::release_reads`], whatever it does itself; TCP
    /// soon tells the client to wait. For those who publish faster than the slowest can hear. False: nobody is there.
    pub fn hold_reads(&mut self, session: ActorId) -> bool {
        with_link(self.local, session, |link, _, local| link.choke(true, local, session)).is_some()
    }

    /// Closes a session of this shard, after what was sent to its client, and through its middleware: as if it had closed
    /// itself. False: nobody is there, or it is closing, or lives on another shard; or it is who asks, and has
    /// [`Client::close`].
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use corewire::actor::ActorId;
    ///
    /// /// Shows everybody out.
    /// struct Porter(Vec<ActorId>);
    /// impl Actor for Porter {
    ///     fn stopped(&mut self, _: &Reason, cx: &mut Context<Self>) {
    ///         for session in self.0.drain(..) {
    ///             cx.close_session(session, Close::new(4000, "the house is closed"));
    ///         }
    ///     }
    /// }
    /// ```
    pub fn close_session(&mut self, session: ActorId, with: Close) -> bool {
        let open = with_link(self.local, session, |link, _, _| !link.state.closing) == Some(true);
        if open {
            close(self.local, session, with);
        }
        open
    }

    /// Takes [`Self::hold_reads`] back.
    pub fn release_reads(&mut self, session: ActorId) -> bool {
        with_link(self.local, session, |link, _, local| link.choke(false, local, session)).is_some()
    }
}

/// Shows `f` the link of a connection of this shard, and whether somebody stands before it who sees everything.
#[inline]
fn with_link<R>(
    local: &mut Local,
    id: ActorId,
    f: impl FnOnce(&mut Link, bool, &mut Local) -> R,
) -> Option<R> {
    local.lend(id, |cell, local| {
        let Lent { extra, guard } = cell.parts().1;
        let guarded = guard.is_some_and(|guard| guard.sees_all());
        let extra: &mut dyn Any = extra;
        extra.downcast_mut::<Link>().map(|link| f(link, guarded, local))
    })?
}

/// The same through middleware, which wants a message and may panic.
#[cold]
fn deliver_guarded(local: &mut Local, to: ActorId, frames: &Frames) -> Delivered {
    let mut dropped = 0;
    local.run(to.slot, |cell, local, me| {
        for index in 0..frames.len() {
            let (kind, payload) = frames.message(index);
            let Ok(copy) = local.pool.copy(payload) else {
                dropped += 1;
                continue;
            };
            let message = Message::checked(kind, copy);
            let Lent { extra, guard } = cell.parts().1;
            let extra: &mut dyn Any = extra;
            let Some(link) = extra.downcast_mut::<Link>() else { return Next::Stay };
            if let Err(error) = Client::with(link, local, me, guard).send(message) {
                dropped += 1;
                local.pool.recycle(error.into_inner().into_bytes());
            }
        }
        Next::Stay
    });
    if dropped == 0 {
        return Delivered::Sent;
    }
    local.counters.slow_dropped += u64::from(dropped);
    Delivered::Waits { frames: 0, bytes: 0, dropped }
}

/// Closes a connection of this shard.
fn close(local: &mut Local, id: ActorId, close: Close) {
    local.run(id.slot, |cell, local, me| {
        let Lent { extra, guard } = cell.parts().1;
        let extra: &mut dyn Any = extra;
        if let Some(link) = extra.downcast_mut::<Link>() {
            Client::with(link, local, me, guard).close(close);
        }
        Next::Stay
    });
}
