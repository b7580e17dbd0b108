//! Messages on this shard: sent, taken from lanes, handled, sent back.

use super::Local;
use super::tasks::Held;
use crate::actor::address::{ActorId, Refused, SendError};
use crate::actor::ask::{AskError, AskId};
use crate::actor::cell::{Cell, Next};
use crate::actor::envelope::{Delivery, Envelope, Returned, What};
use crate::actor::handle::Outside;
use crate::actor::mailbox::MailId;
use crate::actor::outside::{Calls, Word};
use crate::actor::reply::Asker;
use crate::actor::trail::uncarried;
use crate::actor::{Priority, Route, Sendable};
use crate::ring::parcel::Parcel;
use crate::ring::spsc::PushError;
use crate::shard::ShardId;

impl Local {
    #[inline]
    pub(crate) fn send<M: Sendable>(
        &mut self,
        to: Route,
        message: M,
        priority: Priority,
        from: Option<ActorId>,
    ) -> Result<(), SendError<M>> {
        self.post(to, priority, None, message, from)
    }

    /// Sends to an actor of this shard in the next turn in which there is room. As many are under way as actors, if each has
    /// one.
    pub(crate) fn send_next_turn<M: Sendable>(&mut self, to: Route, message: M) {
        self.tell(self.me, move |local| {
            // Before what waits: it has waited a turn, and a full mailbox would hold it up for many.
            if let Err(SendError::Full(message)) = local.send(to, message, Priority::High, Some(to.id)) {
                local.send_next_turn(to, message);
            }
        });
    }

    /// The same for somebody who is told nothing of it.
    pub(crate) fn send_and_count<M: Sendable>(&mut self, to: Route, message: M) {
        if let Err(error) = self.send(to, message, Priority::Normal, None) {
            self.counters.refused += 1;
            self.discard(error);
        }
    }

    /// Puts a message into a mailbox of this shard, or into the lane to another. With `ask`, its answer is waited for.
    #[inline]
    pub(super) fn post<M: Sendable>(
        &mut self,
        to: Route,
        priority: Priority,
        ask: Option<AskId>,
        message: M,
        from: Option<ActorId>,
    ) -> Result<(), SendError<M>> {
        let Route { id: to, delivery } = to;
        if to.shard == self.me && !self.traces {
            let Self { slots, kinds, mail, ready, .. } = self;
            if let Some(slot) = slots.get_mut(to.slot as usize)
                && slot.takes_one_more(to, kinds)
                && !mail.is_full()
            {
                mail.write(
                    &mut slot.mailbox,
                    to,
                    from,
                    What::message(delivery, priority, ask),
                    priority,
                    message,
                );
                if slot.state.becomes_ready() {
                    ready.push_back(to.slot);
                }
                return Ok(());
            }
        }
        let what = What::message(delivery, priority, ask);
        self.put_out(Envelope { to, from, what, parcel: Parcel::new(message) }).map_err(|(why, parcel)| {
            let message = parcel.downcast().expect("it was packed a moment ago");
            match why {
                Refused::Full => SendError::Full(message),
                Refused::Gone => SendError::Gone(message),
            }
        })
    }

    /// Puts an envelope into a mailbox or a lane, with a span if somebody wants those. If it is refused, its parcel comes back
    /// as it was.
    #[inline(never)]
    fn put_out(&mut self, envelope: Envelope) -> Result<(), (Refused, Parcel)> {
        if envelope.to.shard == self.me || self.traces {
            return self.put_out_with_care(envelope);
        }
        match self.mesh.send(envelope.to.shard, envelope) {
            Ok(()) => Ok(()),
            Err(PushError::Full(envelope)) => Err((Refused::Full, envelope.parcel)),
            Err(PushError::Closed(envelope)) => Err((Refused::Gone, envelope.parcel)),
        }
    }

    /// The same where the mailbox is of this shard, or it is to have a span.
    #[cold]
    #[inline(never)]
    fn put_out_with_care(&mut self, mut envelope: Envelope) -> Result<(), (Refused, Parcel)> {
        if self.traces {
            envelope = envelope.carried();
        }
        let to = envelope.to.shard;
        let refused = if to == self.me {
            self.deposit(envelope)
        } else {
            match self.mesh.send(to, envelope) {
                Ok(()) => None,
                Err(PushError::Full(envelope)) => Some((Refused::Full, envelope)),
                Err(PushError::Closed(envelope)) => Some((Refused::Gone, envelope)),
            }
        };
        refused.map_or(Ok(()), |(why, envelope)| Err((why, uncarried(envelope.parcel))))
    }

    /// Takes what other shards sent, at most `max` from each.
    pub(crate) fn lanes(&mut self, max: usize) {
        if self.mesh.shards() > 1 {
            self.drain_lanes(max);
        }
        self.run_errands();
        if !self.returns.is_empty() {
            self.return_mail();
        }
    }

    #[inline(never)]
    fn drain_lanes(&mut self, max: usize) {
        let mut arrived = std::mem::take(&mut self.arrived);
        let Self { mesh, home, slots, kinds, mail, ready, .. } = self;
        let (me, mut waits) = (mesh.me(), false);
        mesh.drain_each(max, |_, lane| {
            while let Some(envelope) = lane.peek() {
                let to = envelope.to;
                // Straight into its mailbox where it gets in without a question, unless mail before it has to be asked about.
                if !waits
                    && let Some(priority) = envelope.mail_priority()
                    && to.shard == me
                    && let Some(slot) = slots.get_mut(to.slot as usize)
                    && slot.takes_one_more(to, kinds)
                    && !mail.is_full()
                {
                    mail.push_with(&mut slot.mailbox, priority, || lane.next().expect("it was looked at"));
                    if slot.state.becomes_ready() {
                        ready.push_back(to.slot);
                    }
                    continue;
                }
                waits |= !matches!(envelope.what, What::Shard);
                arrived.extend(lane.next());
            }
        });
        mesh.drain_back(|_, envelope| home.push_back(envelope));
        for mut envelope in arrived.drain(..) {
            if let What::Shard = envelope.what {
                match envelope.parcel.downcast() {
                    Ok(errand) => self.errands.push_back(errand),
                    Err(parcel) => self.shard_mail.push_back(parcel),
                }
            } else if envelope.to.shard != self.me && !self.redirect(&mut envelope.to) {
                self.turn_back(envelope, Refused::Gone); // who has moved here has ended
            } else if let Some((refused, envelope)) = self.deposit(envelope) {
                self.turn_back(envelope, refused);
            }
        }
        self.arrived = arrived;
    }

    /// An envelope goes back to its sender, who is told why.
    pub(super) fn turn_back(&mut self, mut envelope: Envelope, reason: Refused) {
        self.counters.refused += 1;
        envelope.to = self.identity(envelope.to);
        if envelope.turn_back(reason) { self.send_home(envelope) } else { self.discard(envelope) }
    }

    /// Sends on what goes back to its sender, or answers one. Nobody is run here: who is concerned may be running.
    pub(super) fn send_home(&mut self, envelope: Envelope) {
        let Some(home) = envelope.home() else { return self.discard(envelope) };
        if home.shard == self.me {
            self.home.push_back(envelope);
        } else if self.returns.is_empty() {
            self.put_on_way_back(home.shard, envelope);
        } else {
            self.returns.push_back(envelope);
        }
    }

    /// What finds the way back full waits here. Nothing is taken from a lane whose way back is full, so there are no more
    /// than messages that mailboxes held and questions that were asked.
    fn put_on_way_back(&mut self, shard: ShardId, envelope: Envelope) {
        match self.mesh.send_back(shard, envelope) {
            Ok(()) => {}
            Err(PushError::Full(envelope)) => self.returns.push_back(envelope),
            Err(gone) => self.discard(gone),
        }
    }

    #[inline(never)]
    fn return_mail(&mut self) {
        for _ in 0..self.returns.len() {
            let Some(envelope) = self.returns.pop_front() else { return };
            if let Some(home) = envelope.home() {
                self.put_on_way_back(home.shard, envelope);
            }
        }
    }

    /// Something has come back to an actor of this shard.
    fn take_back(&mut self, envelope: Envelope) {
        let Envelope { to, from, what, parcel } = envelope;
        match what {
            What::Answer(ask) => self.answered(Asker { who: to, ask }, Ok(parcel)),
            What::NoAnswer(ask, why) => {
                self.discard(parcel);
                self.answered(Asker { who: to, ask }, Err(why));
            }
            What::Returned(reason) => {
                self.counters.returned += 1;
                match from.filter(|&sender| self.lives(sender)) {
                    Some(sender) if self.is_abroad(sender) => {
                        let returned = Returned::new(to, reason, parcel);
                        // As many as messages of its, which mailboxes and lanes bound.
                        self.carry(sender, move |cell, local, me| {
                            if local.is_waiting(me) {
                                local.hold(me, Held::Returned(returned));
                                return Next::Stay;
                            }
                            cell.returned(returned, local, me)
                        });
                    }
                    Some(sender) if self.is_waiting(sender) => {
                        self.hold(sender, Held::Returned(Returned::new(to, reason, parcel)));
                    }
                    Some(sender) => {
                        let returned = Returned::new(to, reason, parcel);
                        self.run(sender.slot, |cell, local, me| cell.returned(returned, local, me));
                    }
                    None => self.discard(parcel),
                }
            }
            What::Message(..) | What::Ask(..) | What::Shard => {
                unreachable!("only what has a home comes back")
            }
        }
    }

    /// Lets actors handle what waits for them, at most `max` messages: first what came back, then a few from each in
    /// turn.
    pub(crate) fn deliver(&mut self, max: usize) {
        if !(self.ready.is_empty() && self.home.is_empty() && self.notices.is_empty()) {
            self.deliver_mail(max);
        }
    }

    #[inline(never)]
    fn deliver_mail(&mut self, max: usize) {
        let mut left = max;
        while left > 0 {
            if let Some(notice) = self.notices.pop_front() {
                left -= 1;
                self.take_notice(notice);
                continue;
            }
            if let Some(envelope) = self.home.pop_front() {
                left -= 1;
                self.take_back(envelope);
                continue;
            }
            let Some(slot) = self.ready.pop_front() else { return };
            let state = &mut self.slots[slot as usize].state;
            state.ready = false;
            if state.waiting {
                continue; // it is here from before
            }
            if self.slots[slot as usize].cell.is_none() {
                left -= self.send_on(slot).clamp(1, left);
                continue;
            }
            left -= self.deliver_to(slot, MAIL_PER_ACTOR.min(left)) as usize;
        }
    }

    /// Lets the actor in a slot handle at most `max` of what waits for it. How many it were.
    fn deliver_to(&mut self, slot: u32, max: usize) -> u64 {
        let begun = self.counters.handled;
        let until = begun + max as u64;
        let mut owed = None; // an answer, by the handler that runs
        let ran = self.try_run(slot, |cell, local, me| {
            while local.counters.handled < until {
                let entry = &mut local.slots[slot as usize];
                // What the system has to say comes before the rest of the mail.
                if entry.mailbox.len() == 0 || entry.state.waiting || !local.notices.is_empty() {
                    break;
                }
                let Some(letter) = local.mail.unlink(&mut entry.mailbox) else { break };
                let is_last = entry.mailbox.len() == 0;
                local.counters.handled += 1;
                local.forget_key_of(letter);
                let envelope = local.mail.unlinked(letter);
                let (delivery, _) = envelope.delivery().expect("only what is delivered is in a mailbox");
                owed = envelope.asker().filter(|_| !delivery.passes_duty);
                let next = if local.is_sample_due() {
                    local.deliver_timed(delivery, cell, letter, &me)
                } else if is_last {
                    (delivery.deliver)(cell, letter, local, &me)
                } else {
                    let before = local.counters.handled;
                    local.run_until = until.min(before + u64::from(local.until_sample()));
                    let next = (delivery.deliver)(cell, letter, local, &me);
                    local.pass_to_sample((local.counters.handled - before) as u32);
                    local.run_alone();
                    next
                };
                match next {
                    Next::Stay => std::mem::forget(next), // there is nothing in it, which only is not seen
                    next => return next,
                }
            }
            Next::Stay
        });
        if ran.is_err() {
            self.run_alone();
            if let Some(asker) = owed {
                self.answer(asker, Err(AskError::Crashed));
            }
        }
        let entry = &mut self.slots[slot as usize];
        if entry.mailbox.len() > 0 {
            if entry.state.becomes_ready() {
                self.ready.push_back(slot);
            }
        } else if entry.is_closed() {
            self.end_if_done(slot);
        }
        self.counters.handled - begun
    }

    /// What is delivered next is delivered alone.
    pub(crate) fn run_alone(&mut self) {
        self.run_until = 0;
    }

    /// Has a message handled, and looks at the clock before and after.
    #[cold]
    #[inline(never)]
    fn deliver_timed(
        &mut self,
        delivery: &'static Delivery,
        cell: &mut dyn Cell,
        letter: MailId,
        me: &ActorId,
    ) -> Next {
        let (actor, message) = self.mail.unlinked(letter).names();
        let depth = self.waiting_for(me.slot) + 1;
        let began = self.begin_sample();
        let next = (delivery.deliver)(cell, letter, self, me);
        if let Some(began) = began {
            self.end_sample(began, actor, message, depth);
        }
        next
    }

    /// Whether something waits in a mailbox, to be sent or to fire, or somebody waits for what became of a send: a send that
    /// succeeds posts no completion, so it would not end a sleep.
    pub(crate) fn is_busy(&self) -> bool {
        self.has_work() || !self.put_off.is_empty()
    }

    /// As [`Self::is_busy`], but for what may wait for a turn without work.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || !self.dirty.is_empty()
            || !self.home.is_empty()
            || !self.notices.is_empty()
            || !self.returns.is_empty()
            || !self.shard_mail.is_empty()
            || self.has_errands()
            || self.has_moves()
            || self.awaits_sent
            || self.has_due()
            || self.has_ready_tasks()
            || self.calls.is_raised()
    }

    /// By which other threads reach all shards.
    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// By which they reach this one.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Hears what other threads have said, `max` words at most.
    pub(crate) fn hear_outside(&mut self, max: usize) {
        if self.calls.is_raised() {
            self.hear_calls(max);
        }
    }

    #[inline(never)]
    fn hear_calls(&mut self, max: usize) {
        let mut heard = std::mem::take(&mut self.heard);
        self.calls.hear(max, &mut heard);
        for to in heard.pokes.drain(..) {
            if self.lives(to) {
                self.run(to.slot, |cell, local, me| cell.poke(local, me));
            }
        }
        for task in heard.woken.drain(..) {
            self.task_woken(task);
        }
        for answer in heard.answers.drain(..) {
            self.send_home(answer);
        }
        for word in heard.words.drain(..) {
            match word {
                Word::Mail(envelope) => {
                    if let Some((refused, envelope)) = self.deposit(envelope) {
                        self.turn_back(envelope, refused);
                    }
                }
                Word::Errand(run) => self.run_nobody(|_, local, _| {
                    run(local);
                    Next::Stay
                }),
            }
        }
        self.heard = heard;
    }

    /// Drops every message that waits anywhere here, in mailboxes, timers and lanes. For the end: what is in them goes home.
    pub(crate) fn forget_messages(&mut self) {
        let words = self.calls.close();
        self.discard(words);
        while let Some(envelope) = self.mail.pop_any() {
            self.discard(envelope);
        }
        for timer in std::mem::take(&mut self.timers) {
            self.discard((timer.envelope, timer.every));
        }
        let mut left = Vec::new();
        self.mesh.drain_back(|_, envelope| left.push(envelope));
        self.mesh.drain(usize::MAX, |_, envelope| left.push(envelope));
        self.discard(left);
        for envelope in std::mem::take(&mut self.returns).into_iter().chain(std::mem::take(&mut self.home)) {
            self.discard(envelope);
        }
        self.forget_asks();
        self.forget_carried();
        self.forget_errands();
        self.forget_probes();
        for parcel in std::mem::take(&mut self.shard_mail) {
            self.discard(parcel);
        }
    }
}

const MAIL_PER_ACTOR: usize = 16;
