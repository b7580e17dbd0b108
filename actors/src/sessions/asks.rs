//! What anybody may ask the service of any shard: who is there, and how many.
//!
//! Where the answer lies on several shards, the service that was asked (or the user's, to which it hands the question on)
//! gathers it. A shard that does not answer in time is missing from the answer, which says so.

use super::{SessionId, SessionInfo, Sessions};
use crate::packets::Peer;
use corewire::actor::{AskError, Context, Handler, ReplyTo, Request, SendError, Sendable};
use corewire::shard::ShardId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The sessions of this user, wherever they live. Answered with [`Found`].
///
/// ```
/// use corewire::prelude::*;
/// use corewire_actors::sessions::{Found, OfUser, Sessions};
///
/// /// Says which devices a user is there with.
/// fn devices(user: &str, shards: &Outside) -> Result<Vec<String>, AskError> {
///     let sessions = shards.services::<Sessions>().next().ok_or(AskError::Gone)?; // any of them
///     let Found { sessions, .. } = shards.ask(sessions, OfUser(user.into())).wait()?;
///     Ok(sessions.iter().map(|session| session.device.to_string()).collect())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct OfUser(pub Arc<str>);

/// This session. Answered with an `Option<SessionInfo>`.
#[derive(Debug, Clone, Copy)]
pub struct OfSession(pub SessionId);

/// Sessions of all users: so many at most, those with the lowest numbers of each shard. Answered with [`Found`].
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// How many.
    pub most: u32,
}

/// How many users and sessions there are. Answered with [`Counts`].
#[derive(Debug, Clone, Copy)]
pub struct Count;

/// Some sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// By number.
    pub sessions: Vec<SessionInfo>,
    /// So many shards have not answered, and what they know is missing.
    pub unanswered: u16,
}

/// How many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users who have a session.
    pub users: u64,
    /// Sessions.
    pub sessions: u64,
    /// The same for each partition, by number.
    pub partitions: Vec<PartitionCount>,
    /// So many shards have not answered, and what they know is missing.
    pub unanswered: u16,
}

/// How many there are of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionCount {
    /// Which.
    pub partition: u16,
    /// Where it lives.
    pub shard: ShardId,
    /// Users who have a session.
    pub users: u32,
    /// Sessions.
    pub sessions: u32,
}

/// Answers that are being put together.
#[derive(Debug, Default)]
pub(super) struct Gatherings {
    open: BTreeMap<u64, Gathering>,
    last: u64,
}

#[derive(Debug)]
struct Gathering {
    /// So many shards have not said anything yet.
    left: usize,
    so_far: SoFar,
}

#[derive(Debug)]
enum SoFar {
    Found(Found, u32, ReplyTo<Found>),
    Counts(Counts, ReplyTo<Counts>),
}

/// Between services: what is known of these sessions of the receiver's.
#[derive(Debug)]
pub struct Describe(Vec<u64>);
/// Between services: as many of the receiver's.
#[derive(Debug)]
pub struct ListHere(u32);
/// Between services: of the receiver's partitions.
#[derive(Debug)]
pub struct CountHere;

impl Handler<Request<OfUser, Found>> for Sessions {
    type Reply = ();
    fn handle(&mut self, Request { message, reply }: Request<OfUser, Found>, cx: &mut Context<'_, Self>) {
        let home = self.home_of(&message.0);
        if home == self.me {
            let to: Vec<_> = self.partition_of(&message.0).of(&message.0).collect();
            self.gather(SoFar::Found(Found::default(), u32::MAX, reply), to.into_iter(), Describe, cx);
        } else {
            hand_on(home, message, reply, cx);
        }
        self.flush_packets(cx);
    }
}

impl Handler<Request<OfSession, Option<SessionInfo>>> for Sessions {
    type Reply = ();
    fn handle(
        &mut self,
        Request { message, reply }: Request<OfSession, Option<SessionInfo>>,
        cx: &mut Context<'_, Self>,
    ) {
        let SessionId { shard, number } = message.0;
        if shard == self.me || shard.0 >= self.shards {
            let info = self.here.info(self.me, number).filter(|info| info.id == message.0);
            reply.send(info, cx);
        } else {
            hand_on(shard, message, reply, cx);
        }
        self.flush_packets(cx);
    }
}

impl Handler<Request<List, Found>> for Sessions {
    type Reply = ();
    fn handle(&mut self, request: Request<List, Found>, cx: &mut Context<'_, Self>) {
        let Request { message: List { most }, reply } = request;
        let so_far = SoFar::Found(Found::default(), most, reply);
        self.gather(so_far, all(self.shards), |()| ListHere(most), cx);
        self.flush_packets(cx);
    }
}

impl Handler<Request<Count, Counts>> for Sessions {
    type Reply = ();
    fn handle(&mut self, request: Request<Count, Counts>, cx: &mut Context<'_, Self>) {
        let so_far = SoFar::Counts(Counts::default(), request.reply);
        self.gather(so_far, all(self.shards), |()| CountHere, cx);
        self.flush_packets(cx);
    }
}

impl Handler<Describe> for Sessions {
    type Reply = Vec<SessionInfo>;
    fn handle(&mut self, Describe(numbers): Describe, cx: &mut Context<'_, Self>) -> Vec<SessionInfo> {
        self.flush_packets(cx);
        numbers.into_iter().filter_map(|number| self.here.info(self.me, number)).collect()
    }
}

impl Handler<ListHere> for Sessions {
    type Reply = Vec<SessionInfo>;
    fn handle(&mut self, ListHere(most): ListHere, cx: &mut Context<'_, Self>) -> Vec<SessionInfo> {
        self.flush_packets(cx);
        let infos = self.here.numbers().filter_map(|number| self.here.info(self.me, number));
        infos.take(most as usize).collect()
    }
}

impl Handler<CountHere> for Sessions {
    type Reply = Vec<PartitionCount>;
    fn handle(&mut self, _: CountHere, cx: &mut Context<'_, Self>) -> Vec<PartitionCount> {
        self.flush_packets(cx);
        let counted = (self.me.0..).step_by(self.shards.into()).zip(&self.partitions);
        let count = |(number, partition): (u16, &super::Partition)| PartitionCount {
            partition: number,
            shard: self.me,
            users: partition.users(),
            sessions: partition.sessions(),
        };
        counted.map(count).collect()
    }
}

/// What one shard says to a gathering.
trait Part {
    fn add_to(self, so_far: &mut SoFar);
}

impl Part for Vec<SessionInfo> {
    fn add_to(self, so_far: &mut SoFar) {
        if let SoFar::Found(found, ..) = so_far {
            found.sessions.extend(self);
        }
    }
}

impl Part for Vec<PartitionCount> {
    fn add_to(self, so_far: &mut SoFar) {
        if let SoFar::Counts(counts, _) = so_far {
            counts.users += self.iter().map(|partition| u64::from(partition.users)).sum::<u64>();
            counts.sessions += self.iter().map(|partition| u64::from(partition.sessions)).sum::<u64>();
            counts.partitions.extend(self);
        }
    }
}

impl Sessions {
    /// Asks the services of some shards, each what `question` makes for it, and answers when all have answered.
    fn gather<T, M>(
        &mut self,
        so_far: SoFar,
        to: impl ExactSizeIterator<Item = (ShardId, T)>,
        question: impl Fn(T) -> M,
        cx: &mut Context<'_, Self>,
    ) where
        M: Sendable,
        Self: Handler<M>,
        <Self as Handler<M>>::Reply: Part,
    {
        self.gatherings.last += 1;
        let key = self.gatherings.last;
        // One more, so that it is not over before all were asked.
        self.gatherings.open.insert(key, Gathering { left: to.len() + 1, so_far });
        for (shard, of_it) in to {
            let question = question(of_it);
            if shard == self.me {
                let part = self.handle(question, cx);
                self.gathered(key, Some(part), cx);
                continue;
            }
            let asked = cx.service_on::<Self>(shard).is_some_and(|service| {
                let then = move |this: &mut Self,
                                 part: Result<<Self as Handler<M>>::Reply, AskError>,
                                 cx: &mut Context<'_, Self>| {
                    this.gathered(key, part.ok(), cx);
                };
                cx.ask(service, question).within(WITHIN).then(then).is_ok()
            });
            if !asked {
                self.gathered(key, None::<Vec<SessionInfo>>, cx);
            }
        }
        self.gathered(key, Some(Vec::<SessionInfo>::new()), cx);
    }

    /// One shard has answered, or will not.
    fn gathered(&mut self, key: u64, part: Option<impl Part>, cx: &mut Context<'_, Self>) {
        let Some(gathering) = self.gatherings.open.get_mut(&key) else { return };
        gathering.left -= 1;
        match (part, &mut gathering.so_far) {
            (Some(part), so_far) => part.add_to(so_far),
            (None, SoFar::Found(found, ..)) => found.unanswered += 1,
            (None, SoFar::Counts(counts, _)) => counts.unanswered += 1,
        }
        if gathering.left > 0 {
            return;
        }
        match self.gatherings.open.remove(&key).map(|gathering| gathering.so_far) {
            Some(SoFar::Found(mut found, most, reply)) => {
                found.sessions.sort_unstable_by_key(|info| info.id);
                found.sessions.truncate(most as usize);
                reply.send(found, cx);
            }
            Some(SoFar::Counts(mut counts, reply)) => {
                counts.partitions.sort_unstable_by_key(|count| count.partition);
                reply.send(counts, cx);
            }
            None => {}
        }
    }
}

/// All shards, this one among them.
fn all(shards: u16) -> impl ExactSizeIterator<Item = (ShardId, ())> {
    (0..shards).map(|shard| (ShardId(shard), ()))
}

/// Another shard's service answers it. Where there is no way to it, whoever has asked hears that there is no reply.
fn hand_on<M, R>(shard: ShardId, message: M, reply: ReplyTo<R>, cx: &mut Context<'_, Sessions>)
where
    M: Sendable,
    R: Send + 'static,
    Sessions: Handler<Request<M, R>>,
{
    let Some(service) = cx.service_on::<Sessions>(shard) else { return };
    let handed_on: Result<(), SendError<Request<M, R>>> = reply.forward(service, message, cx);
    drop(handed_on);
}

/// How long a shard has to answer.
const WITHIN: Duration = Duration::from_secs(2);
