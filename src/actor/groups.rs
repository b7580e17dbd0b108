//! Groups: actors of one type that are sent to together, or of which any will do.

use super::handle::Outside;
use super::local::Local;
use super::outside::Word;
use super::{Actor, Address, Context, Handler, NAME_BYTES_MAX, SendError, Sendable, To, trail};
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

/// A group's name, and the type of its members. It costs nothing, and there is nothing to be made: who is in it is known
/// to all shards.
///
/// ```
/// use corewire::actor::{By, Group};
/// use corewire::prelude::*;
///
/// struct Resizer;
/// const RESIZERS: Group<Resizer> = Group::new("resizers");
///
/// impl Actor for Resizer {
///     fn started(&mut self, cx: &mut Context<Self>) {
///         if cx.join(RESIZERS).is_err() {
///             cx.stop(); // too many memberships
///         }
///     }
/// }
///
/// struct Resize(u64);
/// impl Handler<Resize> for Resizer {
///     type Reply = ();
///     fn handle(&mut self, _: Resize, _: &mut Context<Self>) {}
/// }
/// #[derive(Clone)]
/// struct Reload;
/// impl Handler<Reload> for Resizer {
///     type Reply = ();
///     fn handle(&mut self, _: Reload, _: &mut Context<Self>) {}
/// }
///
/// fn resize<A: Actor>(picture: u64, cx: &mut Context<A>) -> Result<(), SendError<Resize>> {
///     cx.send_to_group(RESIZERS, Reload);
///     cx.send_to_one(RESIZERS, By::RoundRobin, Resize(picture))?; // whose turn it is
///     cx.send_to_one(RESIZERS, By::Key(picture), Resize(picture)) // who always has this picture
/// }
/// ```
pub struct Group<'n, A> {
    name: &'n str,
    member: PhantomData<fn(A)>,
}

/// Which member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// One after the other, as this shard counts. One that has no room is passed over.
    RoundRobin,
    /// The same for the same key, on all shards that know the same members. Who joins or leaves takes or hands over keys of
    /// its own and moves no others. Looks at each member, some nanoseconds.
    Key(u64),
}

impl<'n, A> Group<'n, A> {
    /// The group of this name and type. Groups of different types have nothing to do with each other.
    pub const fn new(name: &'n str) -> Self {
        Self { name, member: PhantomData }
    }
}

impl<A: Actor> Context<'_, A> {
    /// This actor joins a group, until it ends or leaves. Its own shard knows that at once, the others soon. Joining twice is
    /// joining once; it stays when it is made anew by its supervisor.
    ///
    /// # Errors
    /// The group's name is longer than [`NAME_BYTES_MAX`], or this shard's actors are in as many groups as
    /// [`memberships_max`](crate::server::Config::memberships_max) allows.
    pub fn join(&mut self, group: Group<'_, A>) -> Result<(), JoinError> {
        if group.name.len() > NAME_BYTES_MAX {
            return Err(JoinError::TooLong);
        }
        self.local.join(self.identity(), TypeId::of::<A>(), group.name)
    }

    /// This actor leaves a group. False if it is not in it. If it joins again at once, it is a member again when all
    /// shards have heard that it was not.
    pub fn leave(&mut self, group: Group<'_, A>) -> bool {
        self.local.leave(self.identity(), group.name)
    }

    /// Who is in a group, as far as this shard knows.
    pub fn members<B: Actor>(&self, group: Group<'_, B>) -> impl ExactSizeIterator<Item = Address<B>> {
        self.local.members(TypeId::of::<B>(), group.name).iter().copied().map(Address::new)
    }

    /// Sends a clone of `message` to each member that this shard knows of, this actor too if it is one. Returns how many
    /// it could not be sent to.
    pub fn send_to_group<B: Handler<M>, M: Sendable + Clone>(
        &mut self,
        group: Group<'_, B>,
        message: M,
    ) -> usize {
        let members = self.local.copy_members(TypeId::of::<B>(), group.name);
        let refused = self.send_to_many(members.iter().copied().map(Address::<B>::new), message);
        self.local.put_members(members);
        refused
    }

    /// Sends `message` to one member that this shard knows of.
    ///
    /// # Errors
    /// The message comes back: nobody is in the group ([`SendError::Gone`]), or there was no room for it with the one that
    /// the key is for, or with anybody.
    pub fn send_to_one<B: Handler<M>, M: Sendable>(
        &mut self,
        group: Group<'_, B>,
        by: By,
        message: M,
    ) -> Result<(), SendError<M>> {
        let tries = if by == By::RoundRobin { self.members(group).len() } else { 1 };
        let mut refused = SendError::Gone(message);
        for _ in 0..tries {
            let Some(id) = self.local.one_member(TypeId::of::<B>(), group.name, by) else { break };
            match self.send(Address::<B>::new(id), refused.into_inner()) {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Outside {
    /// Sends a clone of `message` to each member of a group, as one shard knows them: always the same for one group, so that
    /// from one thread messages to a member arrive in order. What finds no room is dropped, and counted.
    ///
    /// # Errors
    /// As [`Outside::send`].
    pub fn send_to_group<B: Handler<M>, M: Sendable + Clone>(
        &self,
        group: Group<'_, B>,
        message: M,
    ) -> Result<(), SendError<M>> {
        self.say_to_group(group, message, |local, group, message| {
            let members = local.copy_members(TypeId::of::<B>(), group);
            for &id in &members {
                local.send_and_count(Address::<B>::new(id).route(), message.clone());
            }
            local.put_members(members);
        })
    }

    /// Sends `message` to one member of a group, if there is one. What finds nobody, or no room, is dropped, and counted.
    ///
    /// # Errors
    /// As [`Outside::send`].
    pub fn send_to_one<B: Handler<M>, M: Sendable>(
        &self,
        group: Group<'_, B>,
        by: By,
        message: M,
    ) -> Result<(), SendError<M>> {
        self.say_to_group(group, message, move |local, group, message| {
            match local.one_member(TypeId::of::<B>(), group, by) {
                Some(id) => local.send_and_count(Address::<B>::new(id).route(), message),
                None => local.counters.refused += 1,
            }
        })
    }

    fn say_to_group<B, M: Sendable>(
        &self,
        group: Group<'_, B>,
        message: M,
        send: impl FnOnce(&mut Local, &str, M) + Send + 'static,
    ) -> Result<(), SendError<M>> {
        let (name, span) = (Box::<str>::from(group.name), trail::current());
        self.say(self.home_of(group.name), message, |message| {
            Word::Errand(Box::new(move |local| {
                let _span = span.map(tracing::Span::entered);
                send(local, &name, message);
            }))
        })
    }
}

/// Why an actor is not in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// This shard's actors are in as many groups as [`memberships_max`](crate::server::Config::memberships_max) allows.
    Full,
    /// The group's name is longer than [`NAME_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "this shard's actors are in as many groups as memberships_max allows; raise it",
            Self::TooLong => "a group's name has 255 bytes at most",
        })
    }
}

impl std::error::Error for JoinError {}

impl<A> Clone for Group<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Group<'_, A> {}

impl<A> fmt::Debug for Group<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({:?})", self.name)
    }
}
