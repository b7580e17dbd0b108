//! The way in for other threads: a handle that any of them may have.

use super::address::{Address, Refused, SendError};
use super::envelope::{Envelope, What, delivery};
use super::outside::{Calls, Word};
use super::{Actor, Context, Handler};
use crate::ring::parcel::Parcel;
use crate::sync::Arc;

/// The shards of a server, for any thread: `main`, a signal handler, a tokio runtime beside it. From
/// [`Handle::outside`](crate::server::Handle::outside), or [`Context::outside`] to give away.
///
/// What is sent waits in a box of the receiver's shard, which has
/// [`outside_slots`](crate::server::Config::outside_slots) and wakes the shard if it sleeps. From one thread to one actor
/// messages arrive in order.
#[derive(Clone)]
pub struct Outside(Arc<[Calls]>);

impl Outside {
    pub(crate) fn new(shards: impl IntoIterator<Item = Calls>) -> Self {
        Self(shards.into_iter().collect())
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.0.len() as u16
    }

    /// Sends `message`. Does not block, and hears no answer: a message that finds a full mailbox, or nobody, when it gets
    /// there is dropped and counted.
    ///
    /// # Errors
    /// The message comes back: as many wait for its shard as may ([`SendError::Full`]), or the server has ended
    /// ([`SendError::Gone`]).
    pub fn send<A: Handler<M>, M: Send + 'static>(
        &self,
        to: Address<A>,
        message: M,
    ) -> Result<(), SendError<M>> {
        let Some(calls) = self.0.get(usize::from(to.id.shard.0)) else {
            return Err(SendError::Gone(message));
        };
        let mut message = Some(message);
        let mut word = || {
            let parcel = Parcel::new(message.take().expect("a word is made once"));
            Word::Mail(Envelope { to: to.id, from: None, what: What::Message(delivery::<A, M>()), parcel })
        };
        calls.say(&mut word).map_err(|refused| {
            let message = message.expect("a word that is refused is not made");
            match refused {
                Refused::Full => SendError::Full(message),
                Refused::Gone => SendError::Gone(message),
            }
        })
    }

    pub(crate) fn calls(&self, shard: crate::shard::ShardId) -> &Calls {
        &self.0[usize::from(shard.0)]
    }
}

impl<A: Actor> Context<'_, A> {
    /// All shards, for another thread that is to send here.
    pub fn outside(&self) -> Outside {
        self.local.outside().clone()
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("shards", &self.0.len()).finish_non_exhaustive()
    }
}
