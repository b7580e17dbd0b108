//! The end of a connection: send what is left, say that we are done, wait for the peer to hang up, but not for long.
//!
//! A socket that is closed with unread bytes resets the connection, and the reset can overtake our last words. So
//! we stop sending first, and read on, into nothing, until the peer has ended too.

use crate::actor::ActorId;
use crate::actor::cell::{Cell, Lent, Next};
use crate::actor::envelope::Returned;
use crate::actor::local::{ActorKind, Local, Request};
use crate::actor::moving::Packed;
use crate::ring::typed::Typed;
use crate::shard::{Outgoing, Reader, Reading, SocketEvent, SocketId, Time};
use std::io;
use std::time::Duration;

/// A socket that is being let go.
pub(crate) struct Farewell {
    socket: SocketId,
    outgoing: Option<Box<Outgoing>>,
    blocked: bool,
    /// The peer has hung up already.
    ended: bool,
    timeout: Duration,
    deadline: Time,
}

impl Farewell {
    /// `outgoing` is what is left to say; `blocked`: the kernel was asked to tell when it can be said; `ended`: the peer
    /// will say no more.
    pub(crate) fn new(
        socket: SocketId,
        outgoing: Option<Box<Outgoing>>,
        blocked: bool,
        ended: bool,
        timeout: Duration,
    ) -> Self {
        let outgoing = outgoing.filter(|outgoing| !outgoing.is_empty());
        Self { socket, outgoing, blocked, ended, timeout, deadline: Time::ZERO }
    }

    /// The peer has so long from now to take what is left, and to hang up.
    fn give_time(&mut self, local: &mut Local, me: ActorId) {
        self.deadline = local.tick_at(local.now() + self.timeout, me);
    }

    fn close(&mut self, reset: bool, local: &mut Local) -> Next {
        if let Some(outgoing) = self.outgoing.take() {
            local.put_outgoing(outgoing);
        }
        local.requests.push(Request::Close { socket: self.socket, reset });
        Next::Stop
    }
}

impl Cell for Farewell {
    fn parts(&mut self) -> (Typed<'_>, Lent<'_>) {
        unreachable!("nobody has the address of a connection that is being let go")
    }

    fn kind(&self) -> ActorKind {
        ActorKind::unaddressed("a closing connection")
    }

    fn pack(self: Box<Self>, _: &mut Local) -> Result<Box<dyn Packed>, Box<dyn Cell>> {
        Err(self)
    }

    fn is_connection(&self) -> bool {
        true
    }

    fn started(&mut self, local: &mut Local, me: ActorId) -> Next {
        self.give_time(local, me);
        local.requests.push(Request::Resume(self.socket));
        if self.outgoing.is_some() {
            local.mark_dirty(me.slot);
            local.want_sent(me.slot);
        } else if self.ended {
            return self.close(false, local);
        } else {
            local.requests.push(Request::ShutdownWrite(self.socket));
        }
        Next::Stay
    }

    /// The connection ended on its way to another shard.
    fn stays(&mut self, socket: SocketId, local: &mut Local, me: ActorId) {
        self.socket = socket;
        if self.blocked {
            local.requests.push(Request::WaitWritable(socket));
        } else if self.outgoing.is_some() {
            local.mark_dirty(me.slot);
            local.want_sent(me.slot);
        } else {
            local.requests.push(Request::ShutdownWrite(socket));
        }
    }

    fn stop(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.close(false, local)
    }

    fn returned(&mut self, _: Returned, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    fn socket_event(&mut self, event: SocketEvent, local: &mut Local, me: ActorId) -> Next {
        match event {
            SocketEvent::Received(bytes) => {
                local.pool.recycle(bytes);
                Next::Stay
            }
            SocketEvent::Writable => {
                self.give_time(local, me); // it reads
                self.blocked = false;
                local.mark_dirty(me.slot);
                local.want_sent(me.slot);
                Next::Stay
            }
            // It may still read what is left for it.
            SocketEvent::Ended if self.outgoing.is_some() => {
                self.ended = true;
                Next::Stay
            }
            SocketEvent::Ended => self.close(false, local),
            SocketEvent::Failed(_) => self.close(true, local),
        }
    }

    fn readable(&mut self, reader: &mut dyn Reader, local: &mut Local, me: ActorId) -> Next {
        let event = match reader.read(self.socket, &mut [], usize::MAX, &mut local.pool) {
            Reading::Bytes { behind, .. } => SocketEvent::Received(behind),
            Reading::Nothing => return Next::Stay,
            Reading::Ended => SocketEvent::Ended,
            Reading::Failed(error) => SocketEvent::Failed(error),
        };
        self.socket_event(event, local, me)
    }

    fn tick(&mut self, local: &mut Local, me: ActorId) -> Next {
        if local.now() < self.deadline {
            local.tick_at(self.deadline, me);
            return Next::Stay;
        }
        // What the kernel has taken it delivers, if it is let; what it has not, nobody waits for any more.
        let reset = self.outgoing.is_some();
        self.close(reset, local)
    }

    fn take_outgoing(&mut self) -> Option<(SocketId, Box<Outgoing>)> {
        if self.blocked {
            return None;
        }
        self.outgoing.take().map(|outgoing| (self.socket, outgoing))
    }

    fn sent(
        &mut self,
        outgoing: Box<Outgoing>,
        error: Option<io::Error>,
        local: &mut Local,
        _: ActorId,
    ) -> Next {
        if error.is_some() {
            local.put_outgoing(outgoing);
            return self.close(true, local);
        }
        if outgoing.is_empty() {
            local.put_outgoing(outgoing);
            if self.ended {
                return self.close(false, local);
            }
            local.requests.push(Request::ShutdownWrite(self.socket));
        } else {
            let mut outgoing = outgoing;
            if let Err(exhausted) = outgoing.leave_receive_blocks(&mut local.pool) {
                local.memory_is_short(exhausted);
            }
            self.outgoing = Some(outgoing);
            self.blocked = true;
            local.requests.push(Request::WaitWritable(self.socket));
        }
        Next::Stay
    }

    fn held_bytes(&self) -> usize {
        self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes())
    }

    fn shed(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.close(true, local)
    }

    fn shut_down(&mut self, local: &mut Local, _: ActorId, now: bool) -> Next {
        if now { self.close(true, local) } else { Next::Stay }
    }
}
