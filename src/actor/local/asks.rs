//! Questions that wait for their answers, on the shard of who asked.

use super::Local;
use super::tasks::Held;
use crate::actor::address::{ActorId, SendError};
use crate::actor::ask::{AskError, AskId, Callback};
use crate::actor::envelope::{Envelope, What};
use crate::actor::pending::Pending;
use crate::actor::reply::Asker;
use crate::actor::{Priority, Route, Sendable};
use crate::ring::parcel::Parcel;
use crate::shard::ShardId;
use std::num::NonZeroU64;
use std::time::Duration;

impl Local {
    /// Sends a question, and keeps what is to be done with its answer.
    pub(crate) fn ask<M: Sendable>(
        &mut self,
        to: Route,
        message: M,
        priority: Priority,
        from: ActorId,
        within: Duration,
        mut callback: Callback,
    ) -> Result<(), SendError<M>> {
        if self.traces {
            // What is done with the answer belongs to whatever the question did.
            let (span, inner) = (tracing::Span::current(), callback);
            callback =
                Box::new(move |cell, answer, local, me| span.in_scope(|| inner(cell, answer, local, me)));
        }
        if self.asks.is_full() {
            self.discard(callback);
            return Err(SendError::Full(message));
        }
        let ask = self.asks.insert(Pending { asker: from, callback }, Some(self.now + within));
        let sent = self.post(to, priority, Some(ask), message, Some(from));
        match &sent {
            Ok(()) => self.counters.asks += 1,
            Err(_) => {
                let pending = self.asks.take(ask, from);
                self.discard(pending);
            }
        }
        sent
    }

    /// Keeps what is to be done with an answer that is sure to come, from a shard and not from an actor: it has no
    /// deadline. None: too much is asked already.
    pub(crate) fn keep_callback(&mut self, who: ActorId, callback: Callback) -> Option<Asker> {
        if self.asks.is_full() {
            self.discard(callback);
            return None;
        }
        Some(Asker { who, ask: self.asks.insert(Pending { asker: who, callback }, None) })
    }

    /// Hands somebody else's question on: the answer goes to who asked.
    pub(crate) fn pass_on<M: Sendable>(
        &mut self,
        to: Route,
        message: M,
        priority: Priority,
        asker: Asker,
    ) -> Result<(), SendError<M>> {
        self.post(to, priority, Some(asker.ask), message, Some(asker.who))
    }

    /// Answers a question of anybody's, here or on another shard.
    pub(crate) fn answer(&mut self, asker: Asker, answer: Result<Parcel, AskError>) {
        self.send_home(Envelope::answer(asker, answer));
    }

    /// An answer has come, or none will.
    pub(super) fn answered(&mut self, asker: Asker, answer: Result<Parcel, AskError>) {
        let Some(Pending { callback, .. }) = self.asks.take(asker.ask, asker.who) else {
            self.counters.answers_late += 1;
            return self.discard(answer);
        };
        self.counters.asks_failed += u64::from(answer.is_err());
        if asker.who == outsider(self.me) {
            self.run_nobody(|cell, local, me| callback(cell, answer, local, me));
        } else if self.lives(asker.who) && self.is_waiting(asker.who) {
            self.hold(asker.who, Held::Answer(callback, answer));
        } else if self.lives(asker.who) {
            self.run(asker.who.slot, |cell, local, me| callback(cell, answer, local, me));
        } else {
            self.counters.answers_late += 1;
            self.discard((callback, answer));
        }
    }

    /// Tells those whose time is up, at most `max`.
    pub(super) fn expire_asks(&mut self, max: usize) {
        for _ in 0..max {
            let Some((ask, who)) = self.asks.next_expired() else { break };
            self.answered(Asker { who, ask }, Err(AskError::TimedOut));
        }
    }

    /// Nobody waits any more for the answers to what `who` asked.
    pub(super) fn forget_asks_of(&mut self, who: ActorId) {
        for pending in self.asks.take_all_of(who) {
            self.discard(pending);
        }
    }

    /// For the end.
    pub(super) fn forget_asks(&mut self) {
        for pending in self.asks.drain() {
            self.discard(pending);
        }
    }
}

/// Who asks for another thread: nobody in any slot, on the shard of whom is asked.
pub(crate) fn outsider(shard: ShardId) -> ActorId {
    ActorId { generation: NonZeroU64::MIN, slot: u32::MAX, shard }
}

impl Envelope {
    /// An answer on its way to the asker.
    pub(crate) fn answer(Asker { who, ask }: Asker, answer: Result<Parcel, AskError>) -> Self {
        let (what, parcel) = match answer {
            Ok(parcel) => (What::Answer(ask), parcel),
            Err(why) => (What::NoAnswer(ask, why), Parcel::new(())),
        };
        Self { to: who, from: None, what, parcel }
    }
}

const _: () = assert!(size_of::<AskId>() == 6); // what an envelope has left
