//! A connection that has not been upgraded yet: the request's head comes in, within one deadline, however it trickles.

use super::Rules;
use super::farewell::Farewell;
use super::link::Link;
use crate::actor::ActorId;
use crate::actor::cell::{Cell, Lent, Next};
use crate::actor::envelope::Returned;
use crate::actor::local::{ActorKind, Local, Request};
use crate::actor::moving::Packed;
use crate::actor::outside::Calls;
use crate::buf::{Buf, Exhausted};
use crate::ring::typed::Typed;
use crate::shard::{SocketEvent, SocketId};
use crate::wire::handshake::{self, Progress};
use crate::wire::http::{self, Refusal};
use std::any::Any;
use std::cell::RefCell;
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
    attached: RefCell<Vec<Box<dyn Any>>>,
}

impl Upgrade<'_> {
    /// Attaches something for whoever is asked after: a user that was found, say. One of a type; the last counts.
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// fn authenticate(upgrade: &Upgrade<'_>) -> Result<(), Refusal> {
    ///     let name = upgrade.header("authorization").ok_or_else(|| Refusal::new(401))?;
    ///     upgrade.attach(User(name.to_owned()));
    ///     Ok(())
    /// }
    ///
    /// struct Desk { user: User }
    /// impl Session for Desk {
    ///     fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         Ok(cx.client().send_text(&self.user.0)?)
    ///     }
    /// }
    ///
    /// let server = Server::bind(":9001").with(authenticate).at("/desk", |upgrade: &Upgrade| {
    ///     let user = upgrade.attached().ok_or_else(|| Refusal::new(500))?;
    ///     Ok(Desk { user })
    /// });
    /// ```
    pub fn attach<T: Any>(&self, what: T) {
        let mut attached = self.attached.borrow_mut();
        attached.retain(|other| !other.is::<T>());
        attached.push(Box::new(what));
    }

    /// What of this type was attached.
    pub fn attached<T: Any + Clone>(&self) -> Option<T> {
        self.attached.borrow().iter().find_map(|what| what.downcast_ref().cloned())
    }

    /// The client's address, as TCP knows it.
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port()) // not ::ffff:192.0.2.1
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
    /// A session for this request, now or later.
    fn admit(&self, upgrade: &Upgrade<'_>, calls: &Calls, to: ActorId) -> Result<Admitted, Refusal>;
    /// Whose this request is, if anybody can say.
    fn user_of(&self, upgrade: &Upgrade<'_>) -> Option<Vec<u8>>;
    /// Writes the answer to a request for something else.
    fn plain(&self, request: &http::Request<'_>, answer: &mut Vec<u8>);
}

/// Whose the request is whose first bytes these are, if they are enough to tell.
pub(crate) fn user_of(
    bytes: &[u8],
    peer: SocketAddr,
    doorman: &dyn Doorman,
    rules: &Rules,
) -> Option<Vec<u8>> {
    match handshake::parse(bytes, &rules.head) {
        Ok(Progress::Upgrade { request, .. }) => {
            doorman.user_of(&Upgrade { request, peer, attached: RefCell::default() })
        }
        _ => None,
    }
}

/// A request that was accepted.
pub(crate) struct Admitted {
    /// Which of the offered subprotocols is spoken.
    pub(crate) subprotocol: Option<String>,
    pub(crate) session: Decision,
}

/// Who it will be.
pub(crate) enum Decision {
    /// Makes the connection, once its link is there.
    Now(Box<dyn FnOnce(Link) -> Box<dyn Cell>>),
    /// Another thread will say. What is around the session waits here: it need not be `Send`.
    Later(flume::Receiver<Verdict>, Box<dyn Any>),
}

/// What another thread says of a request. Who is accepted needs what is around it.
pub(crate) type Verdict = Result<Box<dyn FnOnce(Link, Box<dyn Any>) -> Box<dyn Cell> + Send>, Refusal>;

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
    waiting: Option<Box<Waiting>>,
}

/// A request that is whole, and waits for a [`Ticket`](super::Ticket) to be used.
struct Waiting {
    response: Vec<u8>,
    verdict: flume::Receiver<Verdict>,
    around: Box<dyn Any>,
}

/// What the bytes so far amount to.
enum Progressed {
    More,
    Open {
        response: Vec<u8>,
        head_bytes: usize,
        session: Decision,
    },
    Refuse(Refusal),
    /// It asks for no WebSocket: this is said, and it is over.
    Answer(Vec<u8>),
}

impl Handshake {
    pub(crate) fn new(
        socket: SocketId,
        peer: SocketAddr,
        doorman: Rc<dyn Doorman>,
        rules: Rc<Rules>,
    ) -> Self {
        Self { socket, peer, head: None, doorman, rules, turned_away: false, waiting: None }
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

    fn judge(&self, bytes: &[u8], calls: &Calls, me: ActorId) -> Progressed {
        let (request, key, head_bytes) = match handshake::parse(bytes, &self.rules.head) {
            Ok(Progress::Incomplete) => return Progressed::More,
            Ok(Progress::Plain { request }) => {
                let mut answer = Vec::new();
                self.doorman.plain(&request, &mut answer);
                return Progressed::Answer(answer);
            }
            Ok(Progress::Upgrade { request, key, head_bytes }) => (request, key, head_bytes),
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "request refused");
                return Progressed::Refuse(error.refusal());
            }
        };
        let upgrade = Upgrade { request, peer: self.peer, attached: RefCell::default() };
        let admitted = match self.doorman.admit(&upgrade, calls, me) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                tracing::debug!(peer = %self.peer, status = refusal.status(), "request refused by its route");
                return Progressed::Refuse(refusal);
            }
        };
        let offered: Vec<&str> = upgrade.subprotocols().collect();
        let mut response = Vec::with_capacity(256);
        match handshake::response(&key, &offered, admitted.subprotocol.as_deref(), &[], &mut response) {
            Ok(()) => Progressed::Open { response, head_bytes, session: admitted.session },
            Err(error) => {
                tracing::error!(%error, "a route's answer cannot be sent");
                Progressed::Refuse(Refusal::new(500))
            }
        }
    }

    fn received(&mut self, bytes: Buf, local: &mut Local, me: ActorId) -> Next {
        let ends_a_line = bytes.contains(&b'\n');
        let mut bytes = match self.gather(bytes, local) {
            Ok(bytes) => bytes,
            Err(exhausted) => {
                local.memory_is_short(exhausted);
                return self.refuse(&Refusal::new(503), local);
            }
        };
        if self.waiting.is_some() {
            return self.keep(bytes, local); // was on its way when we paused
        }
        if !ends_a_line && bytes.len() < self.rules.head.head_bytes_max {
            return self.keep(bytes, local); // a head that trickles is not read again for every byte
        }
        match self.judge(&bytes, local.calls(), me) {
            Progressed::More => self.keep(bytes, local),
            Progressed::Open { response, head_bytes, session } => {
                bytes.advance(head_bytes);
                match session {
                    Decision::Now(open) => self.open(open, &response, bytes, local),
                    Decision::Later(verdict, around) => {
                        self.waiting = Some(Box::new(Waiting { response, verdict, around }));
                        // What follows the head already is the session's; more must not come.
                        local.requests.push(Request::Pause(self.socket));
                        self.keep(bytes, local)
                    }
                }
            }
            Progressed::Refuse(refusal) => {
                local.pool.recycle(bytes);
                self.refuse(&refusal, local)
            }
            Progressed::Answer(answer) => {
                local.pool.recycle(bytes);
                self.end_with(&answer, local)
            }
        }
    }

    /// Keeps bytes in a block of their own: the rest may take its time.
    fn keep(&mut self, bytes: Buf, local: &mut Local) -> Next {
        if bytes.len() > self.rules.head.head_bytes_max + KEPT_BYTES_MAX {
            return self.refuse(&Refusal::new(431), local);
        }
        if !bytes.is_in_receive_block() {
            self.head = Some(bytes);
            return Next::Stay;
        }
        let kept = local.pool.copy(&bytes);
        local.pool.recycle(bytes);
        match kept {
            Ok(head) => {
                self.head = Some(head);
                Next::Stay
            }
            Err(_) => self.refuse(&Refusal::new(503), local),
        }
    }

    /// Answers 101, and makes the connection. `first` are bytes that followed the head.
    fn open(
        &mut self,
        open: impl FnOnce(Link) -> Box<dyn Cell>,
        response: &[u8],
        first: Buf,
        local: &mut Local,
    ) -> Next {
        let mut outgoing = local.take_outgoing();
        if outgoing.gather([response, &[]], &mut local.pool).is_err() {
            local.put_outgoing(outgoing);
            return self.refuse(&Refusal::new(503), local);
        }
        outgoing.pin(); // it is no frame
        let mut link = Link::new(self.socket, self.rules.clone(), Some(outgoing), local.now());
        if first.is_empty() {
            local.pool.recycle(first);
        } else {
            link.hold_first(first, local);
        }
        if self.waiting.is_some() {
            local.requests.push(Request::Resume(self.socket));
        }
        Next::Become(open(link))
    }

    fn refuse(&mut self, refusal: &Refusal, local: &mut Local) -> Next {
        let mut answer = Vec::new();
        refusal.encode(false, &mut answer);
        self.end_with(&answer, local)
    }

    fn end_with(&mut self, answer: &[u8], local: &mut Local) -> Next {
        if let Some(head) = self.head.take() {
            local.pool.recycle(head);
        }
        let mut outgoing = local.take_outgoing();
        // With no memory even for this, the client sees the connection end without a word.
        let _ = outgoing.gather([answer, &[]], &mut local.pool);
        outgoing.pin(); // it is no frame
        Next::Become(Box::new(Farewell::new(
            self.socket,
            Some(outgoing),
            false,
            false,
            self.rules.close_timeout,
        )))
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
    fn parts(&mut self) -> (Typed<'_>, Lent<'_>) {
        unreachable!("nobody has the address of a connection that has not been upgraded")
    }

    fn kind(&self) -> ActorKind {
        ActorKind::unaddressed("a handshake")
    }

    fn pack(self: Box<Self>, _: &mut Local) -> Result<Box<dyn Packed>, Box<dyn Cell>> {
        Err(self)
    }

    fn is_connection(&self) -> bool {
        true
    }

    fn started(&mut self, local: &mut Local, me: ActorId) -> Next {
        if self.turned_away {
            return self.refuse(&Refusal::new(503), local);
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

    fn crashed(&mut self, _: &str, local: &mut Local, _: ActorId) -> Next {
        self.refuse(&Refusal::new(500), local) // a route's function failed
    }

    fn socket_event(&mut self, event: SocketEvent, local: &mut Local, me: ActorId) -> Next {
        match event {
            SocketEvent::Received(bytes) => {
                local.counters.bytes_in += bytes.len() as u64;
                self.received(bytes, local, me)
            }
            SocketEvent::Writable => Next::Stay,
            SocketEvent::Ended | SocketEvent::Failed(_) => self.close(local),
        }
    }

    fn poke(&mut self, local: &mut Local, _: ActorId) -> Next {
        let Some(waiting) = &mut self.waiting else { return Next::Stay };
        match waiting.verdict.try_recv() {
            Ok(Ok(open)) => {
                let response = std::mem::take(&mut waiting.response);
                let around = std::mem::replace(&mut waiting.around, Box::new(()));
                let first = self.head.take().unwrap_or_default();
                self.open(move |link| open(link, around), &response, first, local)
            }
            Ok(Err(refusal)) => self.refuse(&refusal, local),
            Err(flume::TryRecvError::Empty) => Next::Stay,
            Err(flume::TryRecvError::Disconnected) => self.refuse(&Refusal::new(503), local),
        }
    }

    fn tick(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.refuse(&Refusal::new(408), local)
    }

    fn held_bytes(&self) -> usize {
        self.head.as_ref().map_or(0, Buf::block_bytes)
    }

    fn shed(&mut self, local: &mut Local, _: ActorId) -> Next {
        self.close(local)
    }

    fn shut_down(&mut self, local: &mut Local, _: ActorId, now: bool) -> Next {
        if now {
            return self.close(local);
        }
        self.refuse(&Refusal::new(503).with_body("the server goes away\n"), local)
    }
}

/// Beyond a head, what a client may send before it has its answer.
const KEPT_BYTES_MAX: usize = 64 << 10;
