//! What shards tell of themselves when they are asked.

use super::address::SendError;
use super::ask::{AskError, Callback, WITHIN};
use super::cell::Next;
use super::envelope::with_actor;
use super::handle::{Asked, Outside};
use super::histogram::Histogram;
use super::local::outsider;
use super::outside::Word;
use super::{Actor, Context};
use crate::ring::typed::Typed;
use crate::shard::ShardId;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What all shards have told, each at its own moment. From [`Outside::stats`] and [`Context::stats`].
///
/// ```
/// use corewire::actor::Outside;
/// use std::time::Duration;
///
/// /// On a thread of its own.
/// fn watch(shards: &Outside) -> Result<(), corewire::actor::AskError> {
///     let stats = shards.stats().wait(Duration::from_secs(1))?;
///     println!("{} clients, {} messages wait", stats.probe("active_clients"), stats.sum(|shard| shard.waiting));
///     for handler in stats.handlers() {
///         println!("{} of {}: {:?}", handler.message, handler.actor, handler.time);
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// By number.
    pub shards: Vec<ShardStats>,
}

/// What one shard tells. What is counted is counted from its start.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ShardStats {
    /// Actors, connections among them.
    pub actors: u64,
    /// Connections, those that are opening or closing included.
    pub connections: u64,
    /// Messages in mailboxes.
    pub waiting: u64,
    /// Messages between actors that were handled.
    pub handled: u64,
    /// Messages between actors that found no room, or nobody.
    pub refused: u64,
    /// Of those, the ones that came back to a sender here.
    pub returned: u64,
    /// Messages that were dropped because a mailbox was full.
    pub dropped: u64,
    /// Actors that panicked.
    pub panics: u64,
    /// Children that were made anew.
    pub restarts: u64,
    /// Bytes of the shard's memory that are in use for messages and what waits to be sent, by whole blocks: what its pool counts.
    pub memory_bytes: u64,
    /// Messages that clients sent.
    pub messages_in: u64,
    /// Messages that were sent to clients.
    pub messages_out: u64,
    /// Questions that wait for an answer.
    pub asks: u64,
    /// Futures of actors.
    pub tasks: u64,
    /// Handlers that were looked at, one message in 251.
    pub handlers: Vec<HandlerStats>,
    /// Probes and counters by name. Of a name that is used twice, both are here.
    pub probes: Vec<(Cow<'static, str>, i64)>,
}

/// How one handler did, in one message in 251.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Whose it is: the actor's type.
    pub actor: &'static str,
    /// The message's type; [`Message`](crate::connection::Message) for what a client says to its session.
    pub message: &'static str,
    /// How long it took, in nanoseconds.
    pub time: Histogram,
    /// How many messages waited in the actor's mailbox, this one included; 0 for what a client says.
    pub depth: Histogram,
}

impl Snapshot {
    /// What the probes and counters of this name add up to over all shards; 0 if there is none.
    ///
    /// `active_connections` and `messages_processed` are always there.
    pub fn probe(&self, name: &str) -> i64 {
        let all = self.shards.iter().flat_map(|shard| &shard.probes);
        all.filter(|(other, _)| other == name).map(|(_, value)| value).sum()
    }

    /// The same figure of all shards, added up.
    pub fn sum(&self, figure: impl Fn(&ShardStats) -> u64) -> u64 {
        self.shards.iter().map(figure).sum()
    }

    /// Handlers, added up over all shards.
    pub fn handlers(&self) -> Vec<HandlerStats> {
        let mut all: Vec<HandlerStats> = Vec::new();
        for handler in self.shards.iter().flat_map(|shard| &shard.handlers) {
            match all
                .iter_mut()
                .find(|known| known.actor == handler.actor && known.message == handler.message)
            {
                Some(known) => {
                    known.time.merge(&handler.time);
                    known.depth.merge(&handler.depth);
                }
                None => all.push(handler.clone()),
            }
        }
        all
    }
}

impl<A: Actor> Context<'_, A> {
    /// Asks all shards how they are, and calls `then` with what they tell. They are asked one after the other, and not
    /// in the middle of a handler. If that takes more than five seconds, because one of them is kept by an actor, the
    /// answer is [`AskError::TimedOut`].
    ///
    /// # Errors
    /// So many of this shard's questions are open already, or 64 of this kind.
    pub fn stats(
        &mut self,
        then: impl FnOnce(&mut A, Result<Snapshot, AskError>, &mut Context<'_, A>) + 'static,
    ) -> Result<(), SendError<()>> {
        let callback: Callback = Box::new(|cell, answer, local, me| {
            let answer = answer.map(|parcel| parcel.downcast().expect("shards answer with what they saw"));
            with_actor(cell, local, me, |actor, cx| then(actor, answer, cx))
        });
        self.local.ask_all(self.me, WITHIN, callback)
    }

    /// Has `read` called whenever somebody asks for [`Self::stats`], under this name. It sees this actor as it is then,
    /// between two of its messages, and goes with it. Registered again by the same actor, it is replaced; of several
    /// actors with probes of one name, each counts.
    ///
    /// # Errors
    /// The shard has as many probes as [`probes_max`](crate::server::Config::probes_max) allows.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use std::collections::HashMap;
    ///
    /// struct Hub { clients: HashMap<u64, String> }
    /// impl Actor for Hub {
    ///     fn started(&mut self, cx: &mut Context<Self>) {
    ///         if let Err(full) = cx.register_probe("active_clients", |hub| hub.clients.len() as i64) {
    ///             eprintln!("{full}");
    ///         }
    ///     }
    /// }
    /// ```
    pub fn register_probe(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        read: impl Fn(&A) -> i64 + 'static,
    ) -> Result<(), ProbesFull> {
        let read = Box::new(move |actor: Typed<'_>| actor.get::<A>().map_or(0, |actor| read(actor)));
        if self.local.add_probe(name.into(), self.me, read) { Ok(()) } else { Err(ProbesFull(())) }
    }
}

impl Outside {
    /// Asks all shards how they are, as [`Context::stats`] does.
    pub fn stats(&self) -> Asked<Snapshot> {
        let (answer, asked) = Asked::new();
        let refused = answer.clone();
        let said = self.calls(ShardId(0)).say(|| {
            Word::Errand(Box::new(move |local| {
                let full = answer.clone();
                let callback: Callback = Box::new(move |_, snapshot, _, _| {
                    let snapshot =
                        snapshot.map(|parcel| parcel.downcast().expect("shards answer with what they saw"));
                    let _ = answer.try_send(snapshot); // nobody may wait any more
                    Next::Stay
                });
                if let Err(error) = local.ask_all(outsider(ShardId(0)), LONG, callback) {
                    let _ = full.try_send(Err(error.reason().into()));
                }
            }))
        });
        if let Err(reason) = said {
            let _ = refused.try_send(Err(reason.into()));
        }
        asked
    }
}

/// A shard has as many probes as [`Config::probes_max`](crate::server::Config::probes_max) allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbesFull(());

impl fmt::Display for ProbesFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this shard has no room for one more probe; raise `probes_max`, or register fewer")
    }
}

impl std::error::Error for ProbesFull {}

/// Whoever waits on a thread says for how long itself.
const LONG: Duration = Duration::from_secs(60);
