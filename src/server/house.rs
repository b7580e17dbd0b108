//! Those who live on one shard of a server: its connections, its actors, and whoever opens the door.
//!
//! What a turn asks every time is inlined into it, and what it rarely does is not: a shard that wakes for one message finds
//! little of its code in the cache, so there should be little of it.

use super::balance::Balancer;
use super::metrics;
use super::placement::Placer;
use super::route::Routes;
use super::shared::{Phase, Public, Shared};
use crate::actor::ActorId;
use crate::actor::cell::Next;
use crate::actor::envelope::{Envelope, What};
use crate::actor::local::{Local, Request};
use crate::actor::moving::Baggage;
use crate::buf::Pool;
use crate::connection::handshake::{self, Doorman, Handshake};
use crate::connection::{Planted, Rules};
use crate::ring::parcel::Parcel;
use crate::shard::time::earlier;
use crate::shard::{Completion, Driver, Sent, ShardId, Slot, SocketId, Tenants, Time};
use crate::sync::Arc;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// One shard's tenants.
pub(crate) struct House<S> {
    pub(crate) local: Local,
    shared: Arc<Shared>,
    doorman: Rc<dyn Doorman>,
    rules: Rc<Rules>,
    connections_max: u64,
    drain_timeout: Duration,
    placer: Placer,
    balancer: Balancer,
    /// Connections that are this shard's and wait for the driver.
    arrivals: Vec<Arrival<S>>,
    /// The same, of those who come from another shard.
    moving_in: Vec<Mover<S>>,
    /// Who goes to another, and found the lane full.
    moving_out: VecDeque<(ShardId, u64, Mover<S>)>,
    /// How many of those in `Shared` are ours.
    counted: u32,
    /// Its first turn has begun.
    begun: bool,
    door: Door,
    goodbye: Goodbye,
}

/// A connection on its way to its shard.
struct Arrival<S> {
    socket: S,
    peer: SocketAddr,
    /// No shard had room for it: it is told so, and no more.
    turned_away: bool,
}

/// Somebody who moves from shard to shard, with its socket.
struct Mover<S> {
    socket: S,
    baggage: Baggage,
}

/// The listening socket.
#[derive(Debug, Default)]
struct Door {
    opened: bool,
    closed: bool,
    /// Accepting failed; when to try again.
    again_at: Option<Time>,
    back_off: Duration,
}

/// How far this shard's end has come.
#[derive(Debug, Default)]
struct Goodbye {
    /// The next slot to tell.
    told: u32,
    /// How many actors had been made when it last began with the first.
    made: u64,
    begun_at: Option<Time>,
    cut: bool,
    to_services: ToServices,
    drained: bool,
}

/// How far it has come with the services, who go last. One step a turn, so that what was sent before a step is in its
/// lane at the next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ToServices {
    /// Others are here.
    #[default]
    NotYet,
    /// Nobody else is here.
    Alone,
    /// The other shards know that.
    Said,
    /// Nobody else is anywhere.
    AllAlone,
    /// They were told to go.
    Told,
}

impl<S: Send + 'static> House<S> {
    pub(crate) fn new(
        mut local: Local,
        shared: Arc<Shared>,
        routes: Routes,
        config: &super::Config,
        seed: u64,
    ) -> Self {
        local.make_services();
        Self {
            local,
            shared,
            doorman: Rc::new(routes),
            rules: Rc::new(config.rules.clone()),
            connections_max: config.connections_max.into(),
            drain_timeout: config.drain_timeout,
            placer: Placer::new(config, seed),
            balancer: Balancer::new(config.rebalance, seed),
            arrivals: Vec::new(),
            moving_in: Vec::new(),
            moving_out: VecDeque::new(),
            counted: 0,
            begun: false,
            door: Door::default(),
            goodbye: Goodbye::default(),
        }
    }

    fn me(&self) -> ShardId {
        self.local.mesh.me()
    }

    /// Whether this shard may end: nobody has anything left, here or elsewhere.
    pub(crate) fn is_done(&self) -> bool {
        self.goodbye.drained && self.shared.all_drained()
    }

    /// Whose the connection is, as far as its first bytes say.
    fn user_of<D: Driver<Socket = S>>(
        &mut self,
        socket: &S,
        peer: SocketAddr,
        driver: &mut D,
    ) -> Option<Vec<u8>> {
        let mut head = [0; PEEK_BYTES];
        let peeked = driver.peek(socket, &mut head);
        let head = &head[..peeked];
        // Nothing of ours is changed in there; whoever panics is told of by the hook, as everywhere.
        let user =
            catch_unwind(AssertUnwindSafe(|| handshake::user_of(head, peer, &*self.doorman, &self.rules)));
        user.unwrap_or_else(|_| {
            self.local.counters.panics += 1;
            tracing::error!("`user_by` panicked; the connection is placed as if it had not known");
            None
        })
    }

    #[inline(never)]
    fn accepted<D: Driver<Socket = S>>(&mut self, socket: S, peer: SocketAddr, driver: &mut D) {
        self.door.back_off = Duration::ZERO;
        let wanted = self.placer.wants_user();
        let user = if wanted { self.user_of(&socket, peer, driver) } else { None };
        self.place(socket, peer, user.as_deref());
    }

    /// A peer has connected. What is on its way to a shard counts there already.
    fn place(&mut self, socket: S, peer: SocketAddr, user: Option<&[u8]>) {
        let me = self.me();
        let mut arrival = Arrival { socket, peer, turned_away: false };
        match self.placer.claim(&self.shared, user) {
            Some(to) if to == me => return self.arrive(arrival),
            Some(to) => {
                let envelope =
                    Envelope { to: door_of(to), from: None, what: What::Shard, parcel: Parcel::new(arrival) };
                let Err(back) = self.local.mesh.send(to, envelope) else { return };
                self.shared.remove_connections(to, 1);
                arrival = back.into_inner().parcel.downcast().expect("it was packed a moment ago");
                if self.placer.claim_on(me, &self.shared) {
                    return self.arrive(arrival);
                }
            }
            None => {}
        }
        self.shared.add_connection(me); // for as long as it takes to say so
        self.arrive(Arrival { turned_away: true, ..arrival });
    }

    fn arrive(&mut self, arrival: Arrival<S>) {
        self.counted += 1;
        self.arrivals.push(arrival);
    }

    /// Has the driver do what is to be done to sockets.
    #[inline(never)]
    fn pass_on_requests<D: Driver<Socket = S>>(&mut self, driver: &mut D) {
        for request in self.local.requests.drain(..) {
            match request {
                Request::Pause(socket) => driver.pause(socket),
                Request::Resume(socket) => driver.resume(socket),
                Request::Bulk { socket, on } => driver.bulk(socket, on),
                Request::WaitWritable(socket) => driver.wait_writable(socket),
                Request::ShutdownWrite(socket) => driver.shutdown_write(socket),
                Request::Close { socket, reset } => driver.close(socket, reset),
                Request::Detach(socket) => driver.detach(socket),
            }
        }
    }

    /// Makes connections of those that have arrived.
    #[inline(never)]
    fn settle_in<D: Driver<Socket = S>>(&mut self, driver: &mut D) {
        for Arrival { socket, peer, turned_away } in std::mem::take(&mut self.arrivals) {
            // Dropping the socket closes it.
            if self.goodbye.cut || self.goodbye.drained {
                continue; // there is no more time to be polite, and nobody would see to its end
            }
            let Some(id) = self.local.reserve() else { continue };
            let socket = driver.attach(socket, id.slot);
            let full = self.shared.connections() > self.connections_max;
            let mut handshake = Handshake::new(socket, peer, self.doorman.clone(), self.rules.clone());
            if turned_away || full || self.shared.phase() != Phase::Running {
                handshake.turn_away();
            }
            self.local.fill(id, Box::new(handshake));
        }
    }

    /// The driver has let go of a socket: its owner moves with it, or stays after all.
    #[cold]
    fn detached<D: Driver<Socket = S>>(&mut self, slot: Slot, was: SocketId, socket: S, driver: &mut D) {
        let requests = &mut self.local.requests;
        let is_closed =
            requests.iter().any(|request| matches!(request, Request::Close { socket, .. } if *socket == was));
        requests.retain(|request| request.socket() != was); // that number may soon be another's
        if is_closed {
            return; // dropping the socket closes it
        }
        match self.local.pack(slot) {
            Some((to, baggage)) => {
                let round = self.local.begin_round(to);
                self.moving_out.push_back((to, round, Mover { socket, baggage }));
            }
            None => {
                let socket = driver.attach(socket, slot);
                self.local.run(slot, |cell, local, me| {
                    cell.stays(socket, local, me);
                    Next::Stay
                });
            }
        }
    }

    /// Sends off who goes, and makes connections again of those who have come.
    #[inline(never)]
    fn settle_movers<D: Driver<Socket = S>>(&mut self, driver: &mut D) {
        for mover in std::mem::take(&mut self.moving_in) {
            self.counted += 1;
            self.move_in(mover, driver);
        }
        while self.may_next_leave()
            && let Some((to, _, mover)) = self.moving_out.pop_front()
        {
            let envelope =
                Envelope { to: door_of(to), from: None, what: What::Shard, parcel: Parcel::new(mover) };
            if let Err(back) = self.local.mesh.send(to, envelope) {
                self.local.discard(back); // its shard has ended, and so do we
            }
        }
    }

    fn move_in<D: Driver<Socket = S>>(&mut self, Mover { socket, baggage }: Mover<S>, driver: &mut D) {
        let slot = self.local.make_place(baggage.birth);
        let socket = driver.attach(socket, slot);
        let (cell, arrived) = baggage.open(socket, &self.rules);
        self.local.settle(slot, cell, arrived);
        // Who was told of the end before this one came would not be told again, and after that there is no time to be polite.
        let late = self.goodbye.cut || self.goodbye.drained;
        if late || self.local.leaving {
            self.local.shut_down(slot, late);
        }
    }

    /// Whether the next who goes may: what it has said has come to where it was to go, and there is room in the lane.
    fn may_next_leave(&mut self) -> bool {
        self.moving_out.front().is_some_and(|&(to, round, _)| {
            self.local.is_round_over(round) && !self.local.is_held_up(to) && self.local.mesh.room(to) > 0
        })
    }

    /// Whether somebody has come, or goes and need not wait for an answer.
    fn has_movers(&self) -> bool {
        let goes = self.moving_out.front().is_some_and(|&(_, round, _)| self.local.is_round_over(round));
        goes || !self.moving_in.is_empty()
    }

    /// Opens the door, closes it, or tries again after a failure.
    fn mind_door<D: Driver>(&mut self, driver: &mut D) {
        let running = self.shared.phase() == Phase::Running;
        let Door { opened, closed, again_at, .. } = self.door;
        if running && opened && again_at.is_none() || !running && closed {
            return;
        }
        self.move_door(running, driver);
    }

    #[inline(never)]
    fn move_door<D: Driver>(&mut self, running: bool, driver: &mut D) {
        let now = driver.now();
        if !running && !self.door.closed {
            self.door.closed = true;
            self.door.again_at = None; // else its shard would not sleep any more
            driver.accept(false);
        } else if running && (!self.door.opened || self.door.again_at.is_some_and(|at| at <= now)) {
            self.door.opened = true;
            self.door.again_at = None;
            driver.accept(true);
        }
    }

    #[cold]
    fn accept_failed(&mut self, error: &io::Error, now: Time) {
        let door = &mut self.door;
        if door.back_off.is_zero() {
            // Once, not once a try: this is when logs fill disks.
            tracing::warn!(shard = self.local.mesh.me().0, %error, "accepting fails; those who are connected go on");
        }
        door.back_off = (door.back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX);
        door.again_at = Some(now + door.back_off);
    }

    /// Says goodbye to some more of those who are here, and notes when nobody is left.
    fn go_on_leaving(&mut self) {
        let phase = self.shared.phase();
        if phase != Phase::Running && !self.goodbye.drained {
            self.leave(phase);
        }
    }

    #[cold]
    fn leave(&mut self, phase: Phase) {
        let now = self.local.now();
        self.local.leaving = true;
        let begun_at = *self.goodbye.begun_at.get_or_insert(now);
        let late = phase == Phase::Cutting || now.since(begun_at) >= self.drain_timeout;
        if late && !self.goodbye.cut {
            self.goodbye.cut = true;
            self.goodbye.told = 0;
        }
        let end = self.local.slots().end;
        let until = self.goodbye.told.saturating_add(GOODBYES_PER_TURN).min(end);
        for slot in self.goodbye.told..until {
            if !self.local.is_service(slot) {
                self.local.shut_down(slot, late);
            }
        }
        self.goodbye.told = until;
        if until < end || !self.arrivals.is_empty() {
            return;
        }
        if !self.local.only_services() {
            let made = self.local.actors_made();
            let others = std::mem::replace(&mut self.goodbye.made, made) != made;
            if (late || self.local.connections() == 0) && others {
                self.goodbye.told = 0; // some were made meanwhile; else those who are left know, and it is no reason to turn
            }
            return;
        }
        if self.local.service_slots().is_empty() || self.may_dismiss_services(late) {
            self.dismiss_services(late);
        }
    }

    /// Whether nobody is left on any shard who could want something of its services, nor anything on its way to them.
    fn may_dismiss_services(&mut self, late: bool) -> bool {
        let quiet = !self.local.is_busy() && !self.local.mesh.has_mail();
        let stage = &mut self.goodbye.to_services;
        match *stage {
            ToServices::NotYet => *stage = ToServices::Alone,
            ToServices::Alone => {
                self.shared.say_emptied();
                *stage = ToServices::Said;
            }
            ToServices::Said if self.shared.all_emptied() => *stage = ToServices::AllAlone,
            ToServices::Said => {}
            ToServices::AllAlone if quiet || late => *stage = ToServices::Told,
            ToServices::AllAlone | ToServices::Told => {}
        }
        *stage == ToServices::Told
    }

    /// Says goodbye to the services, the last first.
    fn dismiss_services(&mut self, late: bool) {
        for slot in self.local.service_slots().rev() {
            if self.local.is_service(slot) && late {
                self.local.shut_down(slot, true); // with its family, whatever that waits for
            } else if self.local.is_service(slot) {
                self.local.dismiss_service(slot);
            }
        }
        if self.local.actors() == 0 {
            // A job that has begun is waited for, by all shards: it may keep memory of any.
            if late || self.shared.jobs.is_idle() {
                self.goodbye.drained = true;
                self.shared.say_drained();
            }
        }
    }

    fn public(&self) -> &Public {
        &self.shared.shards[usize::from(self.me().0)]
    }

    /// Drops what messages on their way still keep. For the end, before [`Self::finish`] of any shard.
    pub(crate) fn forget(&mut self) {
        let movers = (std::mem::take(&mut self.moving_in), std::mem::take(&mut self.moving_out));
        self.local.discard(movers);
        self.local.forget_messages();
        self.shared.say_forgotten();
    }

    /// Counts what did not come home. For the end, when the driver is gone.
    pub(crate) fn finish(mut self) {
        self.local.pool.reclaim();
        metrics::publish(&self.local.counters, &self.public().figures);
        let lost = u64::from(self.local.pool.stats().blocks_out());
        if lost > 0 {
            tracing::error!(shard = self.me().0, lost, "blocks of memory did not come home");
        }
        metrics::lose(lost, &self.public().figures);
    }
}

impl<S: Send + 'static, D: Driver<Socket = S>> Tenants<D> for House<S> {
    fn begin(&mut self, now: Time) {
        self.local.begin(now);
        if !std::mem::replace(&mut self.begun, true) {
            self.local.start_services();
        }
    }

    fn lanes(&mut self, max: usize) {
        self.local.lanes(max);
        self.local.hear_outside(max);
        while let Some(parcel) = self.local.shard_mail.pop_front() {
            match parcel.downcast::<Arrival<S>>() {
                Ok(arrival) => self.arrive(arrival),
                Err(parcel) => {
                    let mover = parcel.downcast().expect("shards send each other arrivals and movers only");
                    self.moving_in.push(mover);
                }
            }
        }
    }

    fn completion(&mut self, completion: Completion<S>, driver: &mut D) {
        match completion {
            Completion::Socket(slot, event) => {
                self.balancer.see(slot);
                self.local.run(slot, |cell, local, me| cell.socket_event(event, local, me));
            }
            Completion::Readable(slot) => {
                self.balancer.see(slot);
                self.local.run(slot, |cell, local, me| cell.readable(driver, local, me));
            }
            Completion::Accepted(socket, peer) => self.accepted(socket, peer, driver),
            Completion::AcceptFailed(error) => self.accept_failed(&error, self.local.now()),
            Completion::Detached(slot, was, socket) => self.detached(slot, was, socket, driver),
        }
    }

    fn mail(&mut self, max: usize) {
        self.local.deliver(max);
        self.local.poll_tasks(max);
    }

    fn timers(&mut self) {
        self.local.fire();
    }

    fn flush(&mut self, driver: &mut D) {
        self.mind_door(driver);
        if !self.arrivals.is_empty() {
            self.settle_in(driver);
        }
        if !self.moving_in.is_empty() || !self.moving_out.is_empty() {
            self.settle_movers(driver);
        }
        self.go_on_leaving();
        self.local.shed();
        if self.balancer.is_due(self.local.now(), &self.shared) {
            self.balancer.look(driver.cpu_time(), &self.shared, &mut self.local);
        }
        let (placer, shared) = (&self.placer, &self.shared);
        self.local.begin_moves(|to| placer.claim_on(to, shared));
        self.local.flush(|socket, outgoing| driver.send(socket, outgoing));
        if !self.local.requests.is_empty() {
            self.pass_on_requests(driver);
        }
        self.local.sockets_are_closed();
    }

    fn publish(&mut self, driver: &mut D) {
        for to in self.local.not_coming() {
            self.shared.remove_connections(to, 1);
        }
        let here = self.local.connections() + self.arrivals.len() as u32;
        let gone = self.counted - here;
        if gone > 0 {
            self.counted = here;
            self.shared.remove_connections(self.me(), gone);
        }
        self.local.show_load();
        metrics::publish(&self.local.counters, &self.public().figures);
        let rings = self.rules.planted != Some(Planted::NotRung);
        self.local.mesh.publish(|shard| {
            if rings {
                driver.ring(shard);
            }
        });
    }

    fn sent(&mut self, Sent { slot, outgoing, error }: Sent) {
        self.local.sent(slot, outgoing, error);
    }

    fn is_busy(&mut self) -> bool {
        let leaving = self.shared.phase() != Phase::Running
            && !self.goodbye.drained
            && (self.goodbye.told < self.local.slots().end
                || matches!(self.goodbye.to_services, ToServices::Alone | ToServices::AllAlone));
        self.local.is_busy()
            || !self.arrivals.is_empty()
            || self.has_movers()
            || !self.local.requests.is_empty()
            || leaving
    }

    fn next_timer(&self) -> Option<Time> {
        let soonest = earlier(self.local.next_timer(), self.door.again_at);
        let Goodbye { begun_at, cut, drained, to_services, .. } = self.goodbye;
        if begun_at.is_none() {
            return soonest;
        }
        let cut_at = begun_at.filter(|_| !cut && !drained).map(|begun_at| begun_at + self.drain_timeout);
        // The others do not say when they have ended too, and jobs do not say it to all.
        let waits = drained || to_services == ToServices::Said || self.local.actors() == 0;
        let others_at = waits.then(|| self.local.now() + OTHERS_PAUSE);
        earlier(soonest, earlier(cut_at, others_at))
    }

    fn arm(&mut self) -> bool {
        self.local.mesh.arm();
        self.local.calls().arm();
        // All else was asked a moment ago, and only other threads can have changed anything.
        let something = self.local.mesh.has_mail() || self.local.calls().is_raised();
        if something {
            self.local.mesh.disarm();
            self.local.calls().disarm();
        } else {
            self.local.heartbeat.set_sleeping(true);
        }
        !something
    }

    fn disarm(&mut self, unrung: bool) {
        let (lanes_unrung, outside_unrung) = (self.local.mesh.disarm(), self.local.calls().disarm());
        let lost = unrung
            && (lanes_unrung && self.local.mesh.has_mail()
                || outside_unrung && self.local.calls().is_raised());
        self.local.counters.wakes_lost += u64::from(lost);
        self.local.heartbeat.set_sleeping(false);
    }

    fn pool(&mut self) -> &mut Pool {
        &mut self.local.pool
    }
}

/// Where arrivals for a shard are sent: no actor, but its door.
fn door_of(shard: ShardId) -> ActorId {
    ActorId { generation: NonZeroU64::MAX, slot: u32::MAX, shard }
}

/// Room for the head of a request, on the stack.
const PEEK_BYTES: usize = 4096;
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
const GOODBYES_PER_TURN: u32 = 256;
const OTHERS_PAUSE: Duration = Duration::from_millis(10);
