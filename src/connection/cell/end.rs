//! Why a connection is over, and what is done then: who is told, what is still said, who gets the socket.
//!
//! Does not know: how the client's answer to a close is waited for; that is a `Farewell`'s.

use super::Connection;
use crate::actor::cell::{Lent, Next};
use crate::actor::local::{Local, Request};
use crate::actor::{ActorId, Context};
use crate::buf::Exhausted;
use crate::connection::farewell::Farewell;
use crate::connection::guard::Around;
use crate::connection::session::{Close, CloseReason, ClosedBy, Session};
use crate::connection::{Passage, Planted};
use crate::wire::{CloseCode, WireError};

/// Why a connection is over.
pub(super) enum Ending {
    /// We say why, and listen no more.
    Fail(Close),
    /// The client has closed; we answer.
    Client { code: Option<CloseCode>, reason: String },
    /// Both have said close, we first.
    Done { reason: String },
    /// The client will send no more, and has not said close.
    HungUp,
    /// There is nobody to say anything to.
    Broken(String),
}

impl<S: Session, G: Around> Connection<S, G> {
    /// What is said to the client where our side wants to say `close`.
    pub(super) fn closing(&mut self, close: Close, local: &mut Local, me: ActorId) -> Close {
        if G::NONE || self.link.machine.close_sent() {
            return close;
        }
        let _span = self.around.enter();
        self.around.closing(close, Passage::new(&mut self.link, local, me))
    }

    /// It is over, for this reason.
    fn tell_closed(&mut self, mut reason: CloseReason, local: &mut Local, me: ActorId) {
        let _span = self.around.enter();
        self.around.closed(&mut reason, Passage::new(&mut self.link, local, me));
        if self.around.is_open() {
            let mut lent = Lent { extra: &mut self.link, guard: self.around.guard() };
            self.session.closed(reason, &mut Context::new(local, me, &mut lent));
        }
    }

    /// After everything that can end a connection.
    pub(super) fn next(&mut self, result: Result<(), Ending>, local: &mut Local, me: ActorId) -> Next {
        match result {
            Ok(()) => Next::Stay,
            Err(ending) => self.end(ending, local, me),
        }
    }

    pub(super) fn end(&mut self, ending: Ending, local: &mut Local, me: ActorId) -> Next {
        let (reason, goodbye) = match ending {
            Ending::Fail(close) => {
                let close = self.closing(close, local, me);
                self.link.queue_close(Some(&close), local, me);
                (
                    CloseReason {
                        code: self.link.closed_with, // what we said first, if we had closed already
                        reason: close.reason.into_owned(),
                        by: ClosedBy::Server,
                    },
                    true,
                )
            }
            Ending::Client { code, reason } => {
                let answer = code.map(|code| Close { code, reason: "".into() });
                self.link.queue_close(answer.as_ref(), local, me);
                (CloseReason { code: code.map_or(1005, CloseCode::get), reason, by: ClosedBy::Client }, true)
            }
            Ending::Done { reason } => {
                (CloseReason { code: self.link.closed_with, reason, by: ClosedBy::Server }, true)
            }
            // What it asked for before it hung up it may still read.
            Ending::HungUp => (broken("the client hung up without a close"), self.link.queued_bytes() > 0),
            Ending::Broken(reason) => (broken(&reason), false),
        };
        tracing::debug!(actor = ?me, code = reason.code, reason = reason.reason, by = ?reason.by, "connection ended");
        self.tell_closed(reason, local, me);
        self.leave(goodbye, local)
    }

    /// Hands the socket to a [`Farewell`], or lets it go at once.
    pub(super) fn leave(&mut self, goodbye: bool, local: &mut Local) -> Next {
        let socket = self.link.socket;
        if let Some(assembly) = self.link.assembly.take() {
            if self.link.rules.planted == Some(Planted::Leaked) {
                std::mem::forget(assembly);
            } else {
                local.pool.recycle(assembly);
            }
        }
        if goodbye {
            self.link.release_all(local);
        }
        self.link.forget_later(local);
        let (outgoing, blocked) = self.link.take_all_outgoing();
        if goodbye {
            return Next::Become(Box::new(Farewell::new(
                socket,
                outgoing,
                blocked,
                self.link.state.ended,
                self.link.rules.close_timeout,
            )));
        }
        if let Some(outgoing) = outgoing {
            local.put_outgoing(outgoing);
        }
        local.requests.push(Request::Close { socket, reset: false });
        Next::Stop
    }

    pub(super) fn reset(&mut self, why: &str, local: &mut Local, me: ActorId) -> Next {
        let reason = CloseReason { code: 1006, reason: why.into(), by: ClosedBy::Server };
        self.tell_closed(reason, local, me);
        self.link.forget_later(local);
        if let (Some(outgoing), _) = self.link.take_all_outgoing() {
            local.put_outgoing(outgoing);
        }
        local.requests.push(Request::Close { socket: self.link.socket, reset: true });
        Next::Stop
    }
}

pub(super) fn failed(error: &WireError) -> Ending {
    Ending::Fail(Close { code: error.close_code(), reason: error.to_string().into() })
}

fn broken(reason: &str) -> CloseReason {
    CloseReason { code: 1006, reason: reason.into(), by: ClosedBy::Broken }
}

pub(super) fn short_of_memory(exhausted: Exhausted, local: &mut Local) -> Ending {
    local.memory_is_short(exhausted);
    local.counters.shed += 1;
    Ending::Fail(Close { code: CloseCode::TRY_AGAIN_LATER, reason: "the server is short of memory".into() })
}
