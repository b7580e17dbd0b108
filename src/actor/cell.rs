//! What lives in a slot, as its shard sees it: without its type.

use super::address::ActorId;
use super::envelope::Returned;
use super::local::{ActorKind, Local};
use super::moving::Packed;
use super::{Actor, Context, Reason, Stopping};
use crate::ring::typed::Typed;
use crate::shard::{Outgoing, Reader, ShardId, SocketEvent, SocketId};
use std::any::Any;
use std::io;

/// An actor in its slot. One indirect call gets a completion, a timer or a message to it; what it does with all
/// that is inside is compiled for its type.
pub(crate) trait Cell {
    /// The actor, and what its context lends it besides: a connection, for a session.
    fn parts(&mut self) -> (Typed<'_>, Lent<'_>);

    /// What its kind has in common.
    fn kind(&self) -> ActorKind;

    /// It has its slot.
    fn started(&mut self, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// It asked to stop, or its handler did.
    fn stop(&mut self, local: &mut Local, me: ActorId) -> Next;

    /// It is to end as if it had failed by itself.
    fn fail(&mut self, _reason: Reason, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// Its supervisor ends it.
    fn dismiss(&mut self, _reason: Reason, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// It is over: the last that it is told, after [`Next::End`].
    fn end(&mut self, _reason: &Reason, _: &mut Local, _: ActorId) {}

    /// A message of its own came back.
    fn returned(&mut self, returned: Returned, local: &mut Local, me: ActorId) -> Next;

    /// A handler of its own panicked, with this message. The state may be half changed.
    fn crashed(&mut self, _panic: &str, _: &mut Local, _: ActorId) -> Next {
        Next::Stop
    }

    /// Something happened at its socket.
    fn socket_event(&mut self, _: SocketEvent, _: &mut Local, _: ActorId) -> Next {
        unreachable!("{} has no socket", self.kind().name)
    }

    /// Its socket may be read.
    fn readable(&mut self, _: &mut dyn Reader, _: &mut Local, _: ActorId) -> Next {
        unreachable!("{} has not asked to read", self.kind().name)
    }

    /// Its tick is due.
    fn tick(&mut self, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// Another thread has said something to it.
    fn poke(&mut self, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// It has waited for what it asked to wait for.
    fn go_on(&mut self, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// What it has to send, if it can be sent now.
    fn take_outgoing(&mut self) -> Option<(SocketId, Box<Outgoing>)> {
        None
    }

    /// What became of that; told if it was not sent whole, or if the cell asked to be told.
    fn sent(
        &mut self,
        outgoing: Box<Outgoing>,
        _error: Option<io::Error>,
        local: &mut Local,
        _: ActorId,
    ) -> Next {
        local.put_outgoing(outgoing);
        Next::Stay
    }

    /// How many bytes of the shard's memory it keeps for its peer: what waits to be sent, to be read, to be complete.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Memory is short, and of all it holds the most: let go.
    fn shed(&mut self, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// The server goes away: a connection says so to its peer. With `now`, there is no more time for that.
    fn shut_down(&mut self, local: &mut Local, me: ActorId, now: bool) -> Next;

    /// Whether it may move to another shard now.
    fn may_move(&self) -> bool {
        false
    }

    /// It is about to: has the driver let go of its socket.
    fn detach(&mut self, _: &mut Local, _: ActorId) {}

    /// The driver has let go of its socket, and it goes to another shard; or it stays, for want of memory.
    fn pack(self: Box<Self>, local: &mut Local) -> Result<Box<dyn Packed>, Box<dyn Cell>>;

    /// The driver had let go of its socket, and it stays: this is its socket now.
    fn stays(&mut self, _: SocketId, _: &mut Local, _: ActorId) {}

    /// It has come from another shard, and goes on here.
    fn arrived(&mut self, _from: ShardId, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    /// Whether it is a connection (and not some other actor).
    fn is_connection(&self) -> bool {
        false
    }
}

/// What a kind of actor has besides itself.
pub(crate) trait Extra: Any {
    /// Its actor waits: until [`Cell::go_on`], nothing must be handled.
    fn wait(&mut self, _: &mut Local) {}
}

/// Most have nothing.
impl Extra for () {}

/// Who stands between an actor and what it has besides itself. What passes, and what that is, is known to the room that
/// both come from.
pub(crate) trait Guard {
    /// `word` is about to pass to `extra`. What becomes of it is written into it.
    fn pass(&mut self, word: &mut dyn Any, extra: &mut dyn Any, local: &mut Local, me: ActorId);

    /// Whether it is to see everything, and not only the end.
    fn sees_all(&self) -> bool;
}

/// What a cell lends its actor's context.
pub(crate) struct Lent<'a> {
    pub(crate) extra: &'a mut dyn Extra,
    pub(crate) guard: Option<&'a mut dyn Guard>,
}

/// Most have no guard.
impl<'a, E: Extra> From<&'a mut E> for Lent<'a> {
    #[inline]
    fn from(extra: &'a mut E) -> Self {
        Self { extra, guard: None }
    }
}

/// What becomes of a cell after it ran.
pub(crate) enum Next {
    /// It stays.
    Stay,
    /// Another takes its slot, under a new address: this one's is stale from now on.
    Become(Box<dyn Cell>),
    /// It takes no more mail, and is over when it has handled what it had accepted.
    AfterMail(Reason),
    /// Nothing more is handled: it is told why, by [`Cell::end`], and then it is over.
    End(Reason),
    /// It is over. Its address is stale from now on.
    Stop,
}

/// What is known about actors of type `A`.
pub(crate) fn kind_of<A: Actor>() -> ActorKind {
    const {
        let at_least_one = match A::MAILBOX_SLOTS {
            Some(slots) => slots > 0,
            None => true,
        };
        assert!(at_least_one, "with `MAILBOX_SLOTS` of 0 no message would arrive");
    }
    ActorKind { name: std::any::type_name::<A>(), mailbox_slots: A::MAILBOX_SLOTS, overflow: A::OVERFLOW }
}

/// An actor that is no connection.
pub(crate) struct Plain<A> {
    actor: A,
    nothing: (),
}

impl<A: Actor> Plain<A> {
    pub(crate) fn new(actor: A) -> Self {
        Self { actor, nothing: () }
    }

    fn with(&mut self, local: &mut Local, me: ActorId, f: impl FnOnce(&mut A, &mut Context<'_, A>)) -> Next {
        let mut lent = (&mut self.nothing).into();
        let mut cx = Context::new(local, me, &mut lent);
        f(&mut self.actor, &mut cx);
        if cx.is_stopping() { self.stop(local, me) } else { Next::Stay }
    }

    fn stop_because(&mut self, reason: Reason, local: &mut Local, me: ActorId) -> Next {
        if local.is_closed(me) {
            return Next::Stay; // asked already, and still at its mail
        }
        if local.would_return(me, &reason) {
            return Next::End(reason); // its mail is the next one's
        }
        let mut lent = (&mut self.nothing).into();
        match self.actor.stopping(&mut Context::new(local, me, &mut lent)) {
            Stopping::Now => Next::End(reason),
            Stopping::AfterMail => Next::AfterMail(reason),
        }
    }
}

impl<A: Actor> Cell for Plain<A> {
    fn parts(&mut self) -> (Typed<'_>, Lent<'_>) {
        (Typed::new(&mut self.actor), (&mut self.nothing).into())
    }

    fn kind(&self) -> ActorKind {
        kind_of::<A>()
    }

    fn pack(self: Box<Self>, _: &mut Local) -> Result<Box<dyn Packed>, Box<dyn Cell>> {
        Err(self)
    }

    fn started(&mut self, local: &mut Local, me: ActorId) -> Next {
        self.with(local, me, A::started)
    }

    fn stop(&mut self, local: &mut Local, me: ActorId) -> Next {
        self.stop_because(Reason::Stopped, local, me)
    }

    fn fail(&mut self, reason: Reason, _: &mut Local, _: ActorId) -> Next {
        Next::End(reason)
    }

    fn dismiss(&mut self, reason: Reason, local: &mut Local, me: ActorId) -> Next {
        self.stop_because(reason, local, me)
    }

    fn end(&mut self, reason: &Reason, local: &mut Local, me: ActorId) {
        let mut lent = (&mut self.nothing).into();
        self.actor.stopped(reason, &mut Context::new(local, me, &mut lent));
    }

    fn shut_down(&mut self, local: &mut Local, me: ActorId, now: bool) -> Next {
        if now { Next::End(Reason::Shutdown) } else { self.stop_because(Reason::Shutdown, local, me) }
    }

    fn returned(&mut self, returned: Returned, local: &mut Local, me: ActorId) -> Next {
        self.with(local, me, |actor, cx| actor.returned(returned, cx))
    }
}
