//! A world that has begun: what can happen next, and that one thing of it happens.

use super::client::Client;
use super::driver::SimDriver;
use super::fault::Faults;
use super::living::Living;
use super::net::{Net, SimSocket, Way, Wires};
use super::workers::Workers;
use crate::actor::Outside;
use crate::actor::jobs::Jobs;
use crate::actor::local::Local;
use crate::actor::outside::Calls;
use crate::actor::service::Services;
use crate::buf::Pool;
use crate::server::Config;
use crate::server::house::House;
use crate::server::route::Routes;
use crate::server::shared::{Phase, Shared};
use crate::shard::{Driver as _, Mesh, Pace, Shard, ShardId, Time};
use crate::sync::Arc;
use std::time::Duration;

/// Shards, network and clients.
pub(super) struct Begun {
    pub(super) wires: Wires,
    pub(super) shared: Arc<Shared>,
    pub(super) outside: Outside,
    pub(super) shards: Vec<Shard<SimDriver, House<SimSocket>>>,
    pub(super) clients: Vec<Living>,
    workers: Workers,
    steps: u64,
    pub(super) turns: u64,
}

/// What can happen next.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Shard(usize),
    Deliver(usize, Way),
    Client(usize),
    /// What other threads have said to this shard is there.
    Land(usize),
    /// A thread of the worker pool begins a job, or is done with it.
    Worker(usize),
}

impl Begun {
    pub(super) fn new(
        rng: &mut fastrand::Rng,
        shards: u16,
        config: &Config,
        (routes, services): (&Routes, &Services),
        faults: &Faults,
        scripts: Vec<Client>,
    ) -> Self {
        let mut config = config.clone();
        config.fit(u64::MAX);
        let config = &config;
        services.check(config.actors_max).unwrap_or_else(|what| panic!("{what}"));
        let wires = Wires::new(Net::new(rng.fork(), shards, faults.clone()));
        let shared = Shared::new(shards, Jobs::new(config.pool_slots));
        let incremental = rng.bool();
        let pace = Pace { sleep_max: NEVER, ..config.pace() };
        let calls = (0..shards).map(|me| {
            let (bell, sayings) = (wires.clone(), wires.clone());
            Calls::delayed(
                config.outside_slots,
                move || bell.get().bells[usize::from(me)] = true,
                move || sayings.get().say(ShardId(me)),
            )
        });
        let outside = Outside::new(calls, services.clone());
        let build = |mesh: Mesh<_>| {
            let me = mesh.me();
            let pool = Pool::new(&config.pool(incremental)).expect("a small pool can be had");
            let heartbeat = shared.shards[usize::from(me.0)].heartbeat.clone();
            let local =
                Local::new(pool, mesh, heartbeat, outside.clone(), shared.jobs.clone(), config.bounds());
            let house = House::new(local, shared.clone(), routes.clone(), config, rng.u64(..));
            Shard::new(
                SimDriver::new(wires.clone(), me, incremental, config.placement.wants_user()),
                house,
                pace,
            )
        };
        let shards = Mesh::new(shards, config.lane_slots).into_iter().map(build).collect();
        let clients = {
            let mut net = wires.get();
            scripts.into_iter().map(|script| Living::new(script, &mut net.rng, Time::ZERO)).collect()
        };
        let workers = Workers::new(shared.jobs.clone(), config.pool_threads);
        Self { wires, shared, outside, shards, clients, workers, steps: 0, turns: 0 }
    }

    pub(super) fn advance(&mut self, phase: Phase) {
        self.shared.advance(phase);
        self.wires.get().bells.fill(true);
    }

    pub(super) fn rebalance(&mut self) {
        self.shared.ask_to_balance();
        self.wires.get().bells.fill(true);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.clients.iter().all(|client| client.done) && self.shared.connections() == 0
    }

    pub(super) fn is_done(&self) -> bool {
        self.shards.iter().all(|shard| shard.tenants.is_done())
    }

    /// One thing happens, or time passes. False: nothing will before `end`.
    pub(super) fn step(&mut self, end: Time) -> bool {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "too much happens: {}", self.what_is_left());
        let mut choices = Vec::new();
        let mut next: Option<Time> = None;
        let mut at = |when: Time, now: Time, choice: Choice| {
            if when <= now {
                choices.push(choice);
            } else {
                next = Some(next.map_or(when, |next| next.min(when)));
            }
        };
        let now = self.wires.get().now;
        for (number, shard) in self.shards.iter().enumerate() {
            let due = match shard.driver.asleep {
                Some(until) if !shard.driver.has_news() => until,
                _ => now,
            };
            at(due, now, Choice::Shard(number));
        }
        {
            let net = self.wires.get();
            for id in 0..net.connections.len() {
                for way in [Way::Up, Way::Down] {
                    if let Some(due) = net.due(id, way) {
                        at(due, now, Choice::Deliver(id, way));
                    }
                }
            }
            for (number, due) in net.said.iter().enumerate() {
                if let Some(due) = *due {
                    at(due, now, Choice::Land(number));
                }
            }
            for (number, client) in self.clients.iter().enumerate() {
                if let Some(due) = client.due(&net) {
                    at(due, now, Choice::Client(number));
                }
            }
        }
        for (number, due) in self.workers.due(now) {
            at(due, now, Choice::Worker(number));
        }
        let choice = {
            let mut net = self.wires.get();
            if choices.is_empty() {
                let Some(next) = next.filter(|&next| next <= end) else { return false };
                net.now = next;
                return true;
            }
            choices[net.rng.usize(0..choices.len())]
        };
        match choice {
            Choice::Shard(number) => self.turn(number),
            Choice::Deliver(id, way) => self.wires.get().deliver(id, way),
            Choice::Land(number) => {
                self.wires.get().said[number] = None;
                self.shards[number].tenants.local.calls().land();
            }
            Choice::Worker(number) => self.workers.act(number, &self.wires),
            Choice::Client(number) => self.clients[number].act(&mut self.wires.get()),
        }
        now <= end
    }

    /// One shard wakes, if it slept, and turns until it enters its kernel again.
    fn turn(&mut self, number: usize) {
        self.turns += 1;
        let shard = &mut self.shards[number];
        if let Some(until) = shard.driver.asleep {
            shard.driver.wake();
            shard.settle(Some(until));
        }
        let (_, until) = shard.work();
        let now = shard.driver.now();
        assert!(
            until.is_none_or(|until| until > now),
            "shard {number} would sleep until {until:?}, which is over: it spins"
        );
        shard.driver.enter(&mut shard.tenants.local.pool, until);
        if until.is_none() {
            shard.settle(None);
        }
        self.assert_no_lost_wake_up();
    }

    /// Who sleeps has no mail, or was rung.
    fn assert_no_lost_wake_up(&mut self) {
        for shard in &mut self.shards {
            let me = shard.tenants.local.mesh.me();
            if shard.driver.asleep.is_some() && !self.wires.get().bells[usize::from(me.0)] {
                let local = &mut shard.tenants.local;
                assert!(!local.mesh.has_mail(), "{me} sleeps, its lanes have mail, and nobody rang");
                assert!(
                    !local.calls().is_raised(),
                    "{me} sleeps, other threads have said something, and nobody rang"
                );
            }
        }
    }

    pub(super) fn what_is_left(&self) -> String {
        let mut left = format!(
            "at {:?}; {} connections; ",
            self.wires.get().now.since(Time::ZERO),
            self.shared.connections()
        );
        for (number, client) in self.clients.iter().enumerate().filter(|(_, client)| !client.done).take(3) {
            left += &format!("client {number} goes on: {:.600}; ", format!("{client:?}"));
        }
        for shard in &self.shards {
            let local = &shard.tenants.local;
            let asleep = shard.driver.asleep;
            left += &format!("{} has {} actors, asleep until {asleep:?}; ", local.mesh.me(), local.actors());
        }
        left
    }
}

/// A sleep that only a timer or a wake-up ends.
const NEVER: Duration = Duration::from_secs(1 << 30);
/// More than any world needs; a shard that never stops turning gets here.
const STEPS_MAX: u64 = 20_000_000;
