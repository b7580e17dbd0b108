//! A connection that has not been upgraded yet: the request's head comes in, within one deadline, however it trickles.

use super::Rules;
use super::farewell::Farewell;
use super::link::Link;
use crate::actor::ActorId;
use crate::actor::cell::{Cell, Next};
use crate::actor::envelope::Returned;
use crate::actor::local::{Local, Request};
use crate::buf::{Buf, Exhausted};
use crate::shard::{SocketEvent, SocketId};
use crate::wire::handshake::{self, Progress};
use crate::wire::http::{self, Refusal};
use std::any::Any;
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;

/// A client's request to open a WebSocket: path, query, headers, as [`http::Request`] has them, and who asks.
///
/// ```
/// use corewire::connection::Upgrade;
/// use corewire::wire::http::Refusal;
///
/// fn admit(upgrade: &Upgrade<'_>) -> Result<(), Refusal> {
///     match upgrade.origin() {
///         Some("https://example.org") => Ok(()),
///         _ => Err(Refusal::new(403).with_body(format!("{} may not\n", upgrade.peer()))),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Upgrade<'a> {
    request: http::Request<'a>,
    peer: SocketAddr,
}

impl Upgrade<'_> {
    /// The client's address, as TCP knows it.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl<'a> Deref for Upgrade<'a> {
    type Target = http::Request<'a>;
    fn deref(&self) -> &http::Request<'a> {
        &self.request
    }
}

/// Decides what becomes of a request. The server's routes.
pub(crate) trait Doorman {
    /// A session for this request.
    fn admit(&self, upgrade: &Upgrade<'_>) -> Result<Admitted, Refusal>;
    /// An answer to a request for something else.
    fn plain(&self, request: &http::Request<'_>) -> Refusal;
}

/// A request that was accepted.
pub(crate) struct Admitted {
    /// Which of the offered subprotocols is spoken.
    pub(crate) subprotocol: Option<String>,
    /// Makes the connection, once its link is there.
    pub(crate) open: Box<dyn FnOnce(Link) -> Box<dyn Cell>>,
}

/// A connection that has not been upgraded yet.
pub(crate) struct Handshake {
    socket: SocketId,
    peer: SocketAddr,
    /// The head so far, if it did not come in one piece.
    head: Option<Buf>,
    doorman: Rc<dyn Doorman>,
    rules: Rc<Rules>,
    /// There is no room: whatever it asks for, the answer is 503.
    turned_away: bool,
}

/// What the bytes so far amount to.
enum Verdict {
    More,
    Open { response: Vec<u8>, head_bytes: usize, admitted: Admitted },
    Refuse { refusal: Refusal, head_only: bool },
}

impl Handshake {
    pub(crate) fn new(
        socket: SocketId,
        peer: SocketAddr,
        doorman: Rc<dyn Doorman>,
        rules: Rc<Rules>,
    ) -> Self {
        Self { socket, peer, head: None, doorman, rules, turned_away: false }
    }

    /// There is no room for this one.
    pub(crate) fn turn_away(&mut self) {
        self.turned_away = true;
    }

    /// The bytes so far, with those that just came.
    fn gather(&mut self, bytes: Buf, local: &mut Local) -> Result<Buf, Exhausted> {
        let Some(mut head) = self.head.take() else { return Ok(bytes) };
        if head.room() < bytes.len() {
            let mut larger = local.pool.take((head.len() + bytes.len()) * 2)?;
            larger.extend_from_slice(&head).expect("it was taken with room for more");
            local.pool.recycle(std::mem::replace(&mut head, larger));
        }
        head.extend_from_slice(&bytes).expect("it was taken with room for more");
        local.pool.recycle(bytes);
        Ok(head)
    }

    fn judge(&self, bytes: &[u8]) -> Verdict {
        let (request, key, head_bytes) = match handshake::parse(bytes, &self.rules.head) {
            Ok(Progress::Incomplete) => return Verdict::More,
            Ok(Progress::Plain { request }) => {
                return Verdict::Refuse {
                    refusal: self.doorman.plain(&request),
                    head_only: request.is_head(),
                };
            }
            Ok(Progress::Upgrade { request, key, head_bytes }) => (request, key, head_bytes),
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "request refused");
                return Verdict::Refuse { refusal: error.refusal(), head_only: false };
            }
        };
        let upgrade = Upgrade { request, peer: self.peer };
        let admitted = match self.doorman.admit(&upgrade) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                tracing::debug!(peer = %self.peer, status = refusal.status(), "request refused by its route");
                return Verdict::Refuse { refusal, head_only: false };
            }
        };
        let offered: Vec<&str> = upgrade.subprotocols().collect();
        let mut response = Vec::with_capacity(256);
        match handshake::response(&key, &offered, admitted.subprotocol.as_deref(), &[], &mut response) {
            Ok(()) => Verdict::Open { response, head_bytes, admitted },
            Err(error) => {
                tracing::error!(%error, "a route's answer cannot be sent");
                Verdict::Refuse { refusal: Refusal::new(500), head_only: false }
            }
        }
    }

    fn received(&mut self, bytes: Buf, local: &mut Local) -> Next {
        let Ok(mut bytes) = self.gather(bytes, local) else {
            return self.refuse(&Refusal::new(503), false, local);
        };
        match self.judge(&bytes) {
            Verdict::More => {
                // Out of the receive block: the rest may take its time.
                match local.pool.copy(&bytes) {
                    Ok(head) => self.head = Some(head),
                    Err(_) => return self.refuse(&Refusal::new(503), false, local),
                }
                local.pool.recycle(bytes);
                Next::Stay
            }
            Verdict::Open { response, head_bytes, admitted } => {
                let mut outgoing = local.take_outgoing();
                if outgoing.gather([&response, &[]], &mut local.pool).is_err() {
                    return self.refuse(&Refusal::new(503), false, local);
                }
                let mut link = Link::new(self.socket, self.rules.clone(), Some(outgoing), local.now());
                bytes.advance(head_bytes);
                if bytes.is_empty() {
                    local.pool.recycle(bytes);
                } else {
                    link.hold_first(bytes);
                }
                Next::Become((admitted.open)(link))
            }
            Verdict::Refuse { refusal, head_only } => {
                local.pool.recycle(bytes);
                self.refuse(&refusal, head_only, local)
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal, head_only: bool, local: &mut Local) -> Next {
        if let Some(head) = self.head.take() {
            local.pool.recycle(head);
        }
        let mut answer = Vec::new();
        refusal.encode(head_only, &mut answer);
        let mut outgoing = local.take_outgoing();
        // With no memory even for this, the client sees the connection end without a word.
        let _ = outgoing.gather([&answer, &[]], &mut local.pool);
        Next::Become(Box::new(Farewell::new(self.socket, Some(outgoing), false, self.rules.close_timeout)))
    }

    fn close(&mut self, local: &mut Local) -> Next {
        if let Some(head) = self.head.take() {
            local.pool.recycle(head);
        }
        local.requests.push(Request::Close { socket: self.socket, reset: false });
        Next::Stop
    }
}

impl Cell for Handshake {
    fn parts(&mut self) -> (&mut dyn Any, &mut dyn Any) {
        unreachable!("nobody has the address of a connection that has not been upgraded")
    }

    fn type_name(&self) -> &'static str {
        "a handshake"
    }

    fn is_connection(&self) -> bool {
        true
    }

    fn started(&mut self, local: &mut Local, me: ActorId) -> Next {
        if self.turned_away {
            return self.refuse(&Refusal::new(503), false, local);
        }
        local.tick_at(local.now() + self.rules.handshake_timeout, me);
        Next::Stay
    }

    fn stop(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.close(local)
    }

    fn returned(&mut self, _: Returned, _: &mut Local, _: ActorId) -> Next {
        Next::Stay
    }

    fn crashed(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.refuse(&Refusal::new(500), false, local) // a route's function failed
    }

    fn socket_event(&mut self, event: SocketEvent, local: &mut Local, _: ActorId) -> Next {
        match event {
            SocketEvent::Received(bytes) => {
                local.counters.bytes_in += bytes.len() as u64;
                self.received(bytes, local)
            }
            SocketEvent::Writable => Next::Stay,
            SocketEvent::Ended | SocketEvent::Failed(_) => self.close(local),
        }
    }

    fn tick(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.refuse(&Refusal::new(408), false, local)
    }

    fn shut_down(&mut self, local: &mut Local, _: ActorId, now: bool) -> Next {
        if now {
            return self.close(local);
        }
        self.refuse(&Refusal::new(503).with_body("the server goes away\n"), false, local)
    }
}
