//! Who acts, and how they are reached.
//!
//! An actor has a slot on one shard, private state, and handlers that run to completion, one at a time. What
//! it wants from others it sends them; nobody else touches it.
//!
//! - [`Actor`], [`Handler`]: what people write
//! - [`Address`]: a number by which an actor is reached; [`Recipient`]: one that has forgotten the actor's type
//! - [`Priority`], [`Overflow`]: what comes first in a mailbox, and what is done when it is full
//! - [`Stopping`], [`Reason`]: how an actor ends; [`SpawnError`]: why one does not begin
//! - [`Supervision`], [`Restart`]: who is made anew after a crash; [`Down`]: hearing of another's end
//! - [`Ask`], [`Answers`], [`AskError`]: a message that is answered; [`Request`], [`ReplyTo`]: answering later
//! - [`Context`]: what a handler may do
//! - `cell`, `local`: slots, and what is done to them without knowing types
//! - `envelope`, `mailbox`: messages on their way and waiting; `pending`: questions that wait for their answers
//! - `futures`: what a handler has done meanwhile
//! - [`Place`], [`SpawnAt`], [`NotSpawned`]: starting an actor elsewhere; `load`: where there is room
//! - [`Register`], [`NameError`]: names; [`Group`], [`By`]: many under one name
//! - `service`: one of a kind on every shard
//! - [`Work`], [`WorkError`], [`WorkRefused`]: what it has a thread do; `jobs`: the worker pool's queue
//! - [`Outside`]: for other threads; `outside`: how they get a shard's attention, and answer its questions
//! - [`Snapshot`], [`Histogram`]: what shards tell of themselves
//! - `trail`: spans that follow messages
//! - `stall`: who keeps a shard that does not come round
//! - `crash`: where a panic came from
//!
//! Does not know: WebSocket, what a connection is.
//!
//! A message comes from `shard` and leaves for `connection`, or for another actor.

mod address;
mod ask;
pub(crate) mod cell;
mod context;
pub(crate) mod crash;
mod end;
pub(crate) mod envelope;
mod futures;
mod groups;
mod handle;
mod histogram;
pub(crate) mod jobs;
mod load;
pub(crate) mod local;
mod mailbox;
pub(crate) mod moving;
mod names;
pub(crate) mod outside;
mod pending;
mod place;
mod policy;
mod recipient;
mod reply;
pub(crate) mod service;
mod spawn;
mod stall;
mod stats;
pub(crate) mod supervision;
mod trail;
mod watch;
mod work;

pub use address::{ActorId, Address, Refused, SendError};
pub(crate) use ask::ASKS_MAX;
pub use ask::{Answers, Ask, AskError, AtOnce, InTime};
pub use context::{Context, TimerId};
pub use end::{Reason, Stopping};
pub use envelope::{Delivery, Returned};
pub use futures::{TaskId, TasksFull};
pub use groups::{By, Group, JoinError};
pub use handle::{Asked, Outside, OutsideAsk};
pub use histogram::Histogram;
pub use names::{NAME_BYTES_MAX, NameError, Register};
pub use place::{NotSpawned, Place, SpawnAt};
pub use policy::{LOW_WAITS, Overflow, Priority};
#[doc(hidden)]
pub use recipient::Route;
pub use recipient::{Recipient, To};
pub use reply::{ReplyTo, Request};
pub use spawn::SpawnError;
pub(crate) use stall::{Heartbeat, watch as watch_for_stalls};
pub use stats::{HandlerStats, ProbesFull, ShardStats, Snapshot};
pub use supervision::{Escalation, Restart, Supervision};
pub use watch::{Down, WatchesFull};
pub use work::{Work, WorkError, WorkId, WorkRefused};

/// Someone who acts. State is private; what others want comes as messages, one [`Handler`] a type.
///
/// Every [`Session`](crate::connection::Session) is an actor too, so that others can send to it.
///
/// ```
/// use corewire::actor::{Actor, Context, Handler};
///
/// struct Counter(u64);
/// impl Actor for Counter {}
///
/// struct Add(u64);
/// impl Handler<Add> for Counter {
///     type Reply = u64; // the sum, for those who ask; who only sends does not hear it
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
/// ```
pub trait Actor: Sized + 'static {
    #[doc(hidden)]
    const IS_SESSION: bool = false;

    /// How many messages may wait for it; [`mailbox_slots`](crate::server::Config::mailbox_slots) if nothing is said.
    const MAILBOX_SLOTS: Option<u32> = None;

    /// What is done with one more.
    const OVERFLOW: Overflow = Overflow::Refuse;

    /// What is done when an actor fails that this one has started by [`Context::spawn_child`].
    const SUPERVISION: Supervision = Supervision::ONE_FOR_ONE;

    /// When it is made anew if it is a service: see [`Server::service`](crate::Server::service). [`Restart::Never`] where others
    /// count on what it knows, and are to hear that it is gone.
    const AS_SERVICE: Restart = Restart::OnFailure;

    /// Called once, before any message.
    fn started(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx;
    }

    /// It is about to stop, by itself or with its server: what becomes of the messages that wait for it? Not asked after
    /// a panic, nor when a server has no more time.
    fn stopping(&mut self, cx: &mut Context<'_, Self>) -> Stopping {
        let _ = cx;
        Stopping::Now
    }

    /// Called once, after the last message. Not after a panic: the state may be half changed.
    fn stopped(&mut self, reason: &Reason, cx: &mut Context<'_, Self>) {
        let _ = (reason, cx);
    }

    /// A message that [`Context::send`] took came back: on another shard the mailbox was full or nobody there, or the
    /// actor stopped before it came to it. By default it is dropped here; the shard counts it either way.
    fn returned(&mut self, returned: Returned, cx: &mut Context<'_, Self>) {
        let _ = (returned, cx);
    }
}

/// Handles messages of type `M`, to completion, with nothing else of this actor running meanwhile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{M}`",
    label = "there is no `Handler<{M}>` for `{Self}`",
    note = "write `impl Handler<{M}> for {Self}`, with the `Reply` that an asker gets, or `()`"
)]
pub trait Handler<M>: Actor {
    /// The answer; `()` where there is nothing to say.
    type Reply: Send + 'static;

    /// A message has come.
    fn handle(&mut self, message: M, cx: &mut Context<'_, Self>) -> Self::Reply;

    /// Two messages with the same key: who has heard the later need not hear the earlier. For
    /// [`Overflow::KeepLatest`]. A question that is answered by a [`Request`] has none.
    fn key(message: &M) -> Option<u64> {
        let _ = message;
        None
    }
}

/// What may be sent: what owns all that it holds and may change threads, since an actor may live on another shard.
/// Nobody implements this; it follows.
///
/// ```compile_fail,E0277
/// use corewire::prelude::*;
/// use std::rc::Rc;
///
/// struct Note(Rc<str>); // an `Arc<str>` could be sent
/// struct Reader;
/// impl Actor for Reader {}
/// impl Handler<Note> for Reader {
///     type Reply = ();
///     fn handle(&mut self, _: Note, _: &mut Context<Self>) {}
/// }
/// fn tell(reader: Address<Reader>, note: Note, cx: &mut Context<Reader>) {
///     let _ = cx.send(reader, note);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to an actor",
    label = "is not `Send`, or borrows something",
    note = "an actor may live on another shard, and so on another thread: a message owns what it holds, and all of it \
            is `Send`; use `Arc` for `Rc`, `Frozen` for `Shared`, an `Address` for what one actor keeps to itself"
)]
pub trait Sendable: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<M: Send + 'static> Sendable for M {}
