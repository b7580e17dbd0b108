//! An address is a number: shard, slot, generation.

use super::Actor;
use crate::shard::ShardId;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;

/// Where an actor is, without its type. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId {
    /// How many actors the shard had made when it made this one: no two of a shard have the same.
    pub(crate) generation: NonZeroU64,
    pub(crate) slot: u32,
    pub(crate) shard: ShardId,
}

const _: () = assert!(size_of::<Option<ActorId>>() == 16); // copied into every envelope

impl ActorId {
    /// The shard that the actor lives on.
    pub fn shard(self) -> ShardId {
        self.shard
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.shard.0, self.slot, self.generation)
    }
}

/// Where an actor of type `A` is. A number: copying it is free, holding it keeps nothing alive, and sending to it after
/// the actor has stopped gives [`SendError::Gone`].
pub struct Address<A> {
    pub(crate) id: ActorId,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Address<A> {
    pub(crate) const fn new(id: ActorId) -> Self {
        Self { id, actor: PhantomData }
    }

    /// The same without the type.
    pub fn id(self) -> ActorId {
        self.id
    }
}

impl<A> Clone for Address<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Address<A> {}

impl<A> PartialEq for Address<A> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<A> Eq for Address<A> {}

impl<A> std::hash::Hash for Address<A> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<A> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?})", self.id)
    }
}

/// A message that was not sent, handed back.
#[derive(PartialEq, Eq)]
pub enum SendError<M> {
    /// The mailbox, or the lane to its shard, is full. Try later, or shed.
    Full(M),
    /// The actor has stopped; the address is stale.
    Gone(M),
}

impl<M> SendError<M> {
    /// The message.
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Gone(message) => message,
        }
    }

    /// The same with something else made of the message.
    pub(crate) fn map<N>(self, f: impl FnOnce(M) -> N) -> SendError<N> {
        match self {
            Self::Full(message) => SendError::Full(f(message)),
            Self::Gone(message) => SendError::Gone(f(message)),
        }
    }

    /// Why it was not sent.
    pub fn reason(&self) -> Refused {
        match self {
            Self::Full(_) => Refused::Full,
            Self::Gone(_) => Refused::Gone,
        }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Gone(_) => f.write_str("Gone(..)"),
        }
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

impl<M> std::error::Error for SendError<M> {}

/// Why a message was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No room in its mailbox or on the way.
    Full,
    /// Nobody is there.
    Gone,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the receiver's queue is full; send later, or less",
            Self::Gone => "the receiver has stopped; look its address up again",
        })
    }
}
