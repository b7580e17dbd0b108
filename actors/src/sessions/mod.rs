//! Who is there: sessions by number and by user, on whatever shard they live.
//!
//! A session signs in as a device of a user, who may have several. From then on it is found by its number and by the user's
//! id, is sent what is for the user, and can be kicked. Its end is heard of by itself.
//!
//! ```
//! use corewire::prelude::*;
//! use corewire_actors::sessions::{InSessions, SessionId, Sessions, SessionsConfig, SignInError};
//!
//! /// `GET /ws?user=ann`
//! struct Desk { user: String }
//!
//! impl Session for Desk {
//!     fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
//!         let user = self.user.clone();
//!         Ok(cx.sign_in(&user, "browser", Self::signed_in)?)
//!     }
//!
//!     /// What this one says, all sessions of the user hear.
//!     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
//!         cx.note_activity();
//!         Ok(cx.send_to_user(&self.user, message)?)
//!     }
//! }
//!
//! impl Desk {
//!     fn signed_in(&mut self, id: Result<SessionId, SignInError>, cx: &mut Context<Self>) {
//!         if let Err(error) = id {
//!             cx.client().close(error.into());
//!         }
//!     }
//! }
//!
//! let server = Server::bind(":8080")
//!     .service(Sessions::with(SessionsConfig::default()))
//!     .at("/ws", |upgrade: &Upgrade| {
//!         let user = upgrade.query().and_then(|query| query.strip_prefix("user="));
//!         Ok(Desk { user: user.ok_or_else(|| Refusal::new(400))?.to_owned() })
//!     });
//! # drop(server);
//! ```
//!
//! - [`Sessions`]: the service; [`SessionsConfig`]: its limits
//! - [`InSessions`]: what sessions do
//! - [`OfUser`], [`OfSession`], [`List`], [`Count`]: what anybody may ask the service of any shard
//! - [`ToUser`], [`Kick`]: what anybody may tell it
//! - `partition`: who is there, by user; `here`: the sessions of one shard
//! - `service`: what sessions say to their shard's service; `items`: what services say to each other
//!
//! **Where what is known lives.** What a session says of itself (its subscriptions, when it was last active) stays on its own
//! shard, since it changes often and is asked for rarely. Which sessions a user has stands in the user's partition: FNV-1a of
//! the id, modulo [`partitions`](SessionsConfig::partitions); partition *p* lives on shard *p* modulo the shards. So a
//! user's sign-ins are decided in one place and in one order, and nothing is locked.
//!
//! **A partition is no actor of its own.** The service of a shard hosts those that fall to it. Partitions of one shard run
//! one after the other anyway; as actors each pair of partitions would have a way of its own, with packets of one item,
//! where all that one shard has to say to another now goes in one. And the address of a service is a sum.
//!
//! **What is promised.** What shards say to each other is neither lost nor said twice ([`packets`](crate::packets)). What is
//! sent to a user reaches once each session whose sign-in was confirmed before, as far as its client takes it.
//!
//! **When a service fails** it is made anew and knows nobody. The others tell it which of their sessions belong to its
//! partitions, and forget those of its own shard, which are closed with 1012: clients that come back sign in again.

mod api;
mod asks;
mod here;
mod items;
mod partition;
mod service;

pub use api::{InSessions, NotSaid, SignInError};
pub use asks::{Count, Counts, Found, List, OfSession, OfUser, PartitionCount};
#[doc(hidden)]
pub use asks::{CountHere, Describe, ListHere};
pub use items::Item;
#[doc(hidden)]
pub use service::{End, Fail};
pub use service::{Kick, NoteActivity, NoteSubscription, SignIn, SignOut, ToUser, Whom};

use crate::packets::Packets;
use corewire::actor::ActorId;
use corewire::connection::{Slow, Terms};
use corewire::shard::{ShardId, Time};
use here::Here;
use partition::Partition;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

/// The service. One a shard: see [`Server::service`](corewire::Server::service).
#[derive(Debug)]
pub struct Sessions {
    config: SessionsConfig,
    me: ShardId,
    /// Another has had this shard before, and failed.
    is_second: bool,
    /// Known when it has started.
    shards: u16,
    here: Here,
    /// Those that live here: number *p* is at *p* divided by how many shards there are.
    partitions: Vec<Partition>,
    gatherings: asks::Gatherings,
    packets: Packets<Item>,
}

/// What there may be. Full is an answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionsConfig {
    /// How many parts the users are divided into (`--shards` of the chat).
    pub partitions: u16,
    /// Sessions that are signed in on one shard. Each takes one of the shard's
    /// [`watches_max`](corewire::server::Config::watches_max) too.
    pub sessions_max: u32,
    /// Sessions of one user.
    pub sessions_per_user_max: u32,
    /// Subscriptions of one session.
    pub subscriptions_max: u32,
    /// Items that wait on one shard for another to take what is under way, before what is for users is refused.
    pub waiting_max: u32,
    /// How much of what is for a user waits for one client that is behind.
    pub queue_frames: u32,
    /// How many bytes that may be.
    pub queue_bytes: u32,
    /// What is done then.
    pub slow: Slow,
    /// The number of what is for users among the [`Terms::room`]s of this server; no room has it.
    pub room: u32,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            partitions: 16,
            sessions_max: 50_000,
            sessions_per_user_max: 64,
            subscriptions_max: 1024,
            waiting_max: 16_384,
            queue_frames: 256,
            queue_bytes: 256 << 10,
            slow: Slow::DropOldest,
            room: u32::MAX,
        }
    }
}

impl SessionsConfig {
    fn terms(&self) -> Terms<'static> {
        Terms {
            room: self.room,
            slow: self.slow,
            queue_frames: self.queue_frames,
            queue_bytes: self.queue_bytes,
            ..Terms::default()
        }
    }
}

impl Sessions {
    /// Makes the service of each shard: for [`Server::service`](corewire::Server::service).
    pub fn with(config: SessionsConfig) -> impl Fn(ShardId) -> Self + Send + Sync + 'static {
        let made = Mutex::new(HashSet::new());
        move |me| Self {
            is_second: made.lock().is_ok_and(|mut made| !made.insert(me)),
            config: config.clone(),
            me,
            shards: 0,
            here: Here::default(),
            partitions: Vec::new(),
            gatherings: asks::Gatherings::default(),
            packets: Packets::of(me),
        }
    }

    /// The shard that decides about a user.
    fn home_of(&self, user: &str) -> ShardId {
        corewire::server::shard_of_user(user.as_bytes(), self.config.partitions, self.shards)
    }

    /// The partition of a user whom this shard decides about.
    fn partition_of(&mut self, user: &str) -> &mut Partition {
        let number = corewire::server::partition_of_user(user.as_bytes(), self.config.partitions);
        &mut self.partitions[usize::from(number / self.shards)]
    }
}

/// A session, for people and programs: no two of a process have the same. Text such as `2-17`.
///
/// ```
/// use corewire_actors::sessions::SessionId;
///
/// let id: SessionId = "2-17".parse().unwrap();
/// assert_eq!((id.shard().0, id.to_string().as_str()), (2, "2-17"));
/// assert!("2".parse::<SessionId>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    shard: ShardId,
    /// How many sessions had signed in there, this one counted.
    number: u64,
}

impl SessionId {
    /// The shard that it signed in on.
    pub fn shard(self) -> ShardId {
        self.shard
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard.0, self.number)
    }
}

impl FromStr for SessionId {
    type Err = NoSessionId;

    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        let (shard, number) = text.split_once('-').ok_or(NoSessionId)?;
        let shard = shard.parse().map_err(|_| NoSessionId)?;
        Ok(Self { shard: ShardId(shard), number: number.parse().map_err(|_| NoSessionId)? })
    }
}

/// That text is no [`SessionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSessionId;

impl fmt::Display for NoSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session is written as two numbers, such as 2-17")
    }
}

impl std::error::Error for NoSessionId {}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Which.
    pub id: SessionId,
    /// Its actor.
    pub actor: ActorId,
    /// Whose.
    pub user: Arc<str>,
    /// On what.
    pub device: Arc<str>,
    /// When it signed in.
    pub since: Time,
    /// When it was last active, as far as it said so ([`InSessions::note_activity`]).
    pub active: Time,
    /// What it is subscribed to, in order.
    pub subscriptions: Vec<Arc<str>>,
}
