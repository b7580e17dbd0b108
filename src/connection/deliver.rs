//! From one actor to the clients of others: frames that go to many, straight to where each client's wait.
//!
//! No message, no mailbox and no handler on the way: a room hands the same bytes to each member for the price of a look at
//! its connection. So it works on one shard only, and whoever delivers lives on the shard of who is delivered to, or where that was born:
//! to one who has moved, frames go by a message.

use super::frames::{FrameWriter, Frames};
use super::guard::Word;
use super::later::{Slow, Terms};
use super::link::Link;
use super::session::Close;
use super::{Client, Message};
use crate::actor::cell::{Cell, Guard, Lent, Next};
use crate::actor::local::{Local, WaitsThere};
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
    /// Nobody is there, or it is closing, or was born and lives on another shard.
    Gone,
}

impl<A: Actor> Context<'_, A> {
    /// Hands frames to the client of a session of this shard. Middleware that sees what sessions send sees a copy of each,
    /// and what it makes of that is sent, on the same terms.
    ///
    /// See [`FrameWriter`](super::FrameWriter) for an example. A session cannot deliver to its own client by this, but has
    /// [`Context::client`].
    #[inline]
    pub fn deliver(&mut self, to: ActorId, frames: &Frames, terms: &Terms<'_>) -> Delivered {
        let delivered = with_link(self.local, to, |link, guarded, local, here| {
            if guarded { None } else { Some(link.queue_shared(frames, terms, local, here)) }
        });
        match delivered {
            None if self.local.is_abroad(to) => deliver_abroad(self.local, to, frames, terms),
            None => Delivered::Gone,
            Some(None) => ended_if_too_slow(deliver_guarded(self.local, to, frames, terms), self.local, to),
            Some(Some(delivered)) => ended_if_too_slow(delivered, self.local, to),
        }
    }

    /// Closes all sessions that were born on this shard, as [`Self::close_session`] does one: for a service that has lost what it knew of them.
    pub fn close_sessions(&mut self, how: &Close) {
        let me = self.me;
        for id in self.local.all_connections() {
            if id != me && !id.is_guest() {
                close(self.local, id, how.clone());
            }
        }
        for id in self.local.all_abroad() {
            close_abroad(self.local, id, how.clone());
        }
    }

    /// How many frames and bytes of a room wait for the client of a session of this shard. `None`: nobody is there.
    pub fn waiting_for(&mut self, session: ActorId, room: u32) -> Option<(u32, usize)> {
        if self.local.is_abroad(session) {
            return Some(self.local.what_waits_there(session, room, move |cell| {
                let extra: &mut dyn Any = cell.parts().1.extra;
                let waits = extra.downcast_mut::<Link>().map(|link| link.waits_of(room));
                let (frames, bytes) = waits.unwrap_or_default();
                WaitsThere { frames, bytes, dropped: 0 }
            }));
        }
        with_link(self.local, session, |link, _, _, _| link.waits_of(room))
    }

    /// Has a session of this shard hear nothing of its client until [`Self::release_reads`], whatever it does itself; TCP
    /// soon tells the client to wait. For those who publish faster than the slowest can hear. Who holds twice releases once.
    /// A connection that closes hears its client all the same. False: nobody is there.
    pub fn hold_reads(&mut self, session: ActorId) -> bool {
        choke(self.local, session, true)
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
        if self.local.is_abroad(session) {
            return close_abroad(self.local, session, with);
        }
        let open = with_link(self.local, session, |link, _, _, _| !link.state.closing) == Some(true);
        if open {
            close(self.local, session, with);
        }
        open
    }

    /// Takes [`Self::hold_reads`] back.
    pub fn release_reads(&mut self, session: ActorId) -> bool {
        choke(self.local, session, false)
    }
}

/// Shows `f` the link of a connection of this shard, and whether there is middleware before it.
#[inline]
fn with_link<R>(
    local: &mut Local,
    id: ActorId,
    f: impl FnOnce(&mut Link, bool, &mut Local, ActorId) -> R,
) -> Option<R> {
    local.lend(id, |cell, local, here| {
        let Lent { extra, guard } = cell.parts().1;
        let guarded = guard.is_some();
        let extra: &mut dyn Any = extra;
        extra.downcast_mut::<Link>().map(|link| f(link, guarded, local, here))
    })?
}

/// The same where there is middleware, which may panic, and if it sees what is sent, wants messages.
fn deliver_guarded(local: &mut Local, to: ActorId, frames: &Frames, terms: &Terms<'_>) -> Delivered {
    let mut delivered = Delivered::Gone;
    local.run(to.slot, |cell, local, me| {
        let Lent { extra, guard: Some(guard) } = cell.parts().1 else { return Next::Stay };
        let extra: &mut dyn Any = extra;
        let Some(link) = extra.downcast_mut::<Link>() else { return Next::Stay };
        if !guard.sees_all() {
            delivered = link.queue_shared(frames, terms, local, me);
            return Next::Stay;
        }
        let mut all = Delivered::Sent;
        for index in 0..frames.len() {
            let more = deliver_seen(guard, link, frames, index, terms, local, me);
            all = all.and(more, frames.len() - index - 1);
            if matches!(all, Delivered::Gone | Delivered::TooSlow { .. }) {
                break;
            }
        }
        delivered = all;
        Next::Stay
    });
    delivered
}

/// Hands one frame to middleware, and what that makes of it to the client.
fn deliver_seen(
    guard: &mut dyn Guard,
    link: &mut Link,
    frames: &Frames,
    index: usize,
    terms: &Terms<'_>,
    local: &mut Local,
    me: ActorId,
) -> Delivered {
    if link.machine.close_sent() {
        return Delivered::Gone;
    }
    let (kind, payload) = frames.message(index);
    let Ok(copy) = local.pool.copy(payload) else { return short_of_memory(link, terms, local) };
    let mut word = Word::Delivered(Some(Message::checked(kind, copy)));
    guard.pass(&mut word, link, local, me);
    let Word::Delivered(Some(message)) = word else { return Delivered::Sent };
    match FrameWriter::of(message, &mut local.pool) {
        Ok(frame) => {
            let Some(ticket) = frame.freeze(1, &mut local.pool).next() else { return Delivered::Gone };
            let keys = [terms.keys.get(index).copied().flatten()];
            link.queue_shared(&ticket.open(), &Terms { keys: &keys, ..*terms }, local, me)
        }
        Err(message) => {
            local.pool.recycle(message.into_bytes());
            short_of_memory(link, terms, local)
        }
    }
}

/// Of the shard: as if there were no room for it here.
#[cold]
fn short_of_memory(link: &Link, terms: &Terms<'_>, local: &mut Local) -> Delivered {
    local.counters.slow_dropped += 1;
    let (frames, bytes) = link.waits_of(terms.room);
    Delivered::Waits { frames, bytes, dropped: 1 }
}

impl Delivered {
    /// What became of all, when this became of those before and `next` of one more; `left` come after it.
    fn and(self, next: Self, left: usize) -> Self {
        let before = if let Self::Waits { dropped, .. } = self { dropped } else { 0 };
        match (self, next) {
            (_, Self::Gone) => Self::Gone,
            (_, Self::TooSlow { dropped }) => Self::TooSlow { dropped: before + dropped + left as u32 },
            (_, Self::Waits { frames, bytes, dropped }) => {
                Self::Waits { frames, bytes, dropped: before + dropped }
            }
            (before, Self::Sent) => before,
        }
    }
}

/// Closes a connection of this shard whose client is too slow.
#[inline]
fn ended_if_too_slow(delivered: Delivered, local: &mut Local, id: ActorId) -> Delivered {
    if matches!(delivered, Delivered::TooSlow { .. }) {
        end_too_slow(local, id);
    }
    delivered
}

#[cold]
fn end_too_slow(local: &mut Local, id: ActorId) {
    with_link(local, id, |link, _, local, _| link.count_slow(local));
    close(local, id, too_slow());
}

/// Closes one that was born here and lives elsewhere. False: it is closing already.
fn close_abroad(local: &mut Local, session: ActorId, with: Close) -> bool {
    let first = local.is_first_close_abroad(session);
    if first {
        local.carry(session, |cell, local, me| close_cell(cell, with, local, me));
    }
    first
}

fn end_cell_too_slow(cell: &mut dyn Cell, local: &mut Local, me: ActorId) -> Next {
    let extra: &mut dyn Any = cell.parts().1.extra;
    if let Some(link) = extra.downcast_mut::<Link>() {
        link.count_slow(local);
    }
    close_cell(cell, too_slow(), local, me)
}

fn too_slow() -> Close {
    Close::new(1013, "too slow: what was sent was not taken")
}

/// Closes a connection of this shard.
fn close(local: &mut Local, id: ActorId, close: Close) {
    if let Some(here) = local.resident(id) {
        local.run(here.slot, |cell, local, me| close_cell(cell, close, local, me));
    }
}

fn close_cell(cell: &mut dyn Cell, close: Close, local: &mut Local, me: ActorId) -> Next {
    let Lent { extra, guard } = cell.parts().1;
    let extra: &mut dyn Any = extra;
    if let Some(link) = extra.downcast_mut::<Link>() {
        Client::with(link, local, &me, guard).close(close);
    }
    Next::Stay
}

/// Has a session of this shard hear nothing of its client, or again.
fn choke(local: &mut Local, session: ActorId, on: bool) -> bool {
    if local.is_abroad(session) {
        // As many as who holds has held.
        local.carry(session, move |cell, local, me| {
            let extra: &mut dyn Any = cell.parts().1.extra;
            if let Some(link) = extra.downcast_mut::<Link>() {
                link.choke(on, local, me);
            }
            Next::Stay
        });
        return true;
    }
    with_link(local, session, |link, _, local, here| link.choke(on, local, here)).is_some()
}

/// For the client of a session that was born here and has moved: its frames go there in a message, and wait there on their
/// terms. No more of them are under way than may wait.
#[cold]
fn deliver_abroad(local: &mut Local, to: ActorId, frames: &Frames, terms: &Terms<'_>) -> Delivered {
    let count = frames.len() as u32;
    let Terms { room, priority, keeps_order, counts, slow, queue_frames, queue_bytes, keys } = *terms;
    if local.is_closing_abroad(to) {
        return Delivered::Gone;
    }
    let (ticket, keys) = (frames.pack(), keys.to_vec());
    let carried = local.carry_frames(
        to,
        (room, count, frames.bytes()),
        (queue_frames, queue_bytes as usize),
        move |cell, local, me| {
            let keys = &keys;
            let terms = Terms { room, priority, keeps_order, counts, slow, queue_frames, queue_bytes, keys };
            let extra: &mut dyn Any = cell.parts().1.extra;
            let delivered =
                extra.downcast_mut::<Link>().map(|link| link.queue_shared(&ticket.open(), &terms, local, me));
            let waits = match delivered {
                Some(Delivered::Waits { frames, bytes, dropped }) => WaitsThere { frames, bytes, dropped },
                Some(Delivered::TooSlow { dropped }) => {
                    let next = end_cell_too_slow(cell, local, me);
                    return (next, WaitsThere { frames: 0, bytes: 0, dropped });
                }
                Some(Delivered::Sent | Delivered::Gone) | None => WaitsThere::default(),
            };
            (Next::Stay, waits)
        },
    );
    let mut dropped = local.dropped_there(to, room);
    if !carried {
        local.counters.slow_dropped += u64::from(count);
        dropped += count;
        if slow == Slow::Close {
            if local.is_first_close_abroad(to) {
                local.carry(to, end_cell_too_slow);
            }
            return Delivered::TooSlow { dropped };
        }
    }
    let (frames, bytes) = local.known_to_wait(to, room);
    Delivered::Waits { frames, bytes, dropped }
}
