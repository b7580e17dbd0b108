//! A connection on its way from one shard to another: which sessions may go, and what goes with them.
//!
//! Does not know: when, where to, or what becomes of mail and timers; those are `actor`'s.

use super::cell::Connection;
use super::link::PackedLink;
use super::rules::Rules;
use super::session::Session;
use crate::actor::cell::Cell;
use crate::actor::moving::Packed;
use crate::actor::{Actor, ActorId, Context};
use crate::shard::{ShardId, SocketId};
use std::any::Any;
use std::fmt;
use std::rc::Rc;

/// That sessions of a type may move to another shard: [`Session::MIGRATION`]. There is one for every session that is `Send`.
///
/// ```
/// use corewire::prelude::*;
///
/// #[derive(Default)]
/// struct Counter { heard: u64 }
/// impl Session for Counter {
///     const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;
///
///     fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         self.heard += 1;
///         let answer = format!("{} on {}", self.heard, cx.shard());
///         Ok(cx.client().send_text(&answer)?)
///     }
/// }
/// ```
///
/// What is not `Send` stays where it is:
/// ```compile_fail,E0277
/// use corewire::prelude::*;
/// use std::rc::Rc;
///
/// struct Counter { heard: Rc<u64> }
/// impl Session for Counter {
///     const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;
///     fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> { Ok(()) }
/// }
/// ```
pub struct Migration<S> {
    pack: fn(S, PackedLink) -> Box<dyn Packed>,
}

impl<S: Session + Send> Migration<S> {
    /// They may.
    pub const ALLOWED: Option<Self> =
        Some(Self { pack: |session, link| Box::new(Traveller { session, link }) });
}

impl<S> Migration<S> {
    pub(super) fn pack(&self, session: S, link: PackedLink) -> Box<dyn Packed> {
        (self.pack)(session, link)
    }
}

impl<S> Clone for Migration<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Migration<S> {}

impl<S> fmt::Debug for Migration<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Migration")
    }
}

/// A session and its link, neither of any shard.
struct Traveller<S> {
    session: S,
    link: PackedLink,
}

impl<S: Session + Send> Packed for Traveller<S> {
    fn unpack(self: Box<Self>, socket: SocketId, house: &dyn Any) -> Box<dyn Cell> {
        let rules: &Rc<Rules> = house.downcast_ref().expect("a house gives its rules");
        let Self { session, link } = *self;
        Box::new(Connection::new(session, link.unpack(socket, rules.clone()), ()))
    }
}

impl<A: Actor> Context<'_, A> {
    /// Has a session of this shard move to another, with its client, when this turn ends: its own, or another's. The client
    /// notices nothing: what it says is heard once and in order, and so is what is said to it. The session's address stays what
    /// it is; who sends to it goes by the shard where it was born, and what is delivered to it there is passed on, a message each.
    /// When it is there, its [`Session::moved`] is called. Probes that it has registered end.
    ///
    /// It comes to nothing, which is counted ([`Stats::moves_refused`](crate::server::Stats::moves_refused)), where its type does
    /// not say that it may ([`Session::MIGRATION`]), where it has middleware, where that shard is full, and while something is
    /// under way that stays with this shard: a question that is not answered, a future, a job, children, a close.
    ///
    /// False: nobody of that address lives here, or it is moving already, or there is no such shard, or this is it.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use corewire::connection::Migration;
    /// use corewire::shard::ShardId;
    ///
    /// struct Nomad;
    /// impl Session for Nomad {
    ///     const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;
    ///
    ///     fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         let next = ShardId((cx.shard().0 + 1) % cx.shards());
    ///         cx.migrate(cx.address(), next);
    ///         Ok(())
    ///     }
    ///
    ///     fn moved(&mut self, from: ShardId, cx: &mut Context<Self>) {
    ///         println!("from {from} to {}", cx.shard());
    ///     }
    /// }
    /// ```
    pub fn migrate(&mut self, session: impl Into<ActorId>, to: ShardId) -> bool {
        self.local.ask_to_move(session.into(), to)
    }
}
