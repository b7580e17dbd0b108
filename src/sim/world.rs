//! A world: shards, a network, clients, one source of chance, and what must hold.

use super::client::{Client, Heard, Living, Report};
use super::driver::SimDriver;
use super::fault::{Fault, Faults};
use super::net::{Net, SimSocket, Way, Wires};
use crate::actor::local::Local;
use crate::actor::outside::Outside;
use crate::buf::Pool;
use crate::connection::{Session, Upgrade};
use crate::server::house::House;
use crate::server::route::Routes;
use crate::server::shared::{Phase, Shared};
use crate::server::{Config, Stats, metrics};
use crate::shard::{Driver as _, Mesh, Shard, Time};
use crate::sync::Arc;
use crate::wire::http::Refusal;
use std::time::Duration;

/// A server, its clients, and everything between them.
///
/// ```
/// use corewire::prelude::*;
/// use corewire::sim::{Client, Heard, World};
///
/// struct Echo;
/// impl Session for Echo {
///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         Ok(cx.client().send(message)?)
///     }
/// }
///
/// let mut world = World::new(7).shards(3).at("/", |_: &Upgrade| Ok(Echo));
/// let ann = world.client(Client::at("/").text("hello").until_heard(1).close(1000));
/// world.run_until_quiet(10_000); // milliseconds, none of which pass
/// assert_eq!(world.report(ann).heard[0], Heard::Text("hello".into()));
/// world.shut_down();
/// ```
pub struct World {
    seed: u64,
    rng: fastrand::Rng,
    shards_count: u16,
    config: Config,
    routes: Routes,
    faults: Faults,
    /// Clients that are made up when the world begins.
    crowd: usize,
    scripts: Vec<Client>,
    begun: Option<Begun>,
}

struct Begun {
    wires: Wires,
    shared: Arc<Shared>,
    shards: Vec<Shard<SimDriver, House<SimSocket>>>,
    /// Turns of which only the first half has run: until when they sleep.
    clients: Vec<Living>,
    steps: u64,
}

/// What can happen next.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Shard(usize),
    Deliver(usize, Way),
    Client(usize),
}

impl World {
    /// A world of one shard in which nothing goes wrong, and everything else is decided by `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: fastrand::Rng::with_seed(seed),
            shards_count: 1,
            config: small_config(),
            routes: Routes::default(),
            faults: Faults::none(),
            crowd: 0,
            scripts: Vec::new(),
            begun: None,
        }
    }

    /// What it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// With so many shards.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards_count = shards.max(1);
        self
    }

    /// With a configuration made of the world's own, which is a small one.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// WebSockets at `path`, as with [`Server::at`](crate::Server::at).
    #[must_use]
    pub fn at<F, S>(mut self, path: &str, make: F) -> Self
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        self.routes.add(path, &[], make);
        self
    }

    /// With so many clients that say all kinds of things to `/` and expect to hear them again; some are as rude as
    /// the faults say.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Self {
        self.crowd = clients;
        self
    }

    /// With these faults.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// One more client. Its number is for [`Self::report`].
    pub fn client(&mut self, script: Client) -> usize {
        if self.begun.is_none() {
            self.scripts.push(script);
            return self.scripts.len() - 1;
        }
        let world = self.begin();
        let living = {
            let mut net = world.wires.get();
            let now = net.now;
            Living::new(script, &mut net.rng, now)
        };
        world.clients.push(living);
        world.clients.len() - 1
    }

    /// What became of a client so far.
    ///
    /// # Panics
    /// If there is none of that number, or the world has not begun.
    pub fn report(&self, client: usize) -> &Report {
        &self.begun.as_ref().expect("the world has begun").clients[client].report
    }

    /// What the server has counted.
    pub fn stats(&mut self) -> Stats {
        metrics::read(&self.begin().shared)
    }

    /// The time.
    pub fn now(&mut self) -> Time {
        self.begin().wires.get().now
    }

    /// How often a fault was dealt so far, by the network and the kernel.
    pub fn dealt(&mut self, fault: Fault) -> u64 {
        self.begin().wires.get().dealt[fault as usize]
    }

    /// Runs until `ticks` milliseconds have passed.
    ///
    /// # Panics
    /// If a shard sleeps although there is something for it to do.
    pub fn run_for(&mut self, ticks: u64) {
        let world = self.begin();
        let end = world.wires.get().now + Duration::from_millis(ticks);
        while world.step(end) {}
        let mut net = world.wires.get();
        net.now = net.now.max(end);
    }

    /// Runs until every client's script has ended and the server has let all connections go.
    ///
    /// # Panics
    /// If that takes more than `ticks_max` milliseconds, or a shard sleeps although there is something for it to do.
    pub fn run_until_quiet(&mut self, ticks_max: u64) {
        let world = self.begin();
        let end = world.wires.get().now + Duration::from_millis(ticks_max);
        while !world.is_quiet() {
            assert!(world.step(end), "not quiet after {ticks_max} ms: {}", world.what_is_left());
        }
    }

    /// Every message of every client that expects an echo came back once and in order, up to where its connection was
    /// cut, if it was; and who said close heard it.
    ///
    /// # Panics
    /// If not; says which client misses what.
    pub fn assert_echoed(&self) {
        let world = self.begun.as_ref().expect("the world has begun");
        for (number, client) in
            world.clients.iter().enumerate().filter(|(_, client)| client.script.expects_echo)
        {
            let Report { said, closed, cut, heard, .. } = &client.report;
            for (at, message) in client.report.messages().enumerate() {
                assert_eq!(
                    Some(message),
                    said.get(at),
                    "client {number}: message {at} of {} came back as something else",
                    said.len()
                );
            }
            if *cut || !client.script.polite {
                continue;
            }
            let echoed = client.report.messages().count();
            let last = heard.last();
            assert_eq!(
                echoed,
                said.len(),
                "client {number} is polite, but not all its messages came back; last: {last:?}"
            );
            if let Some(code) = closed {
                let back = client.report.close_code();
                assert_eq!(
                    back,
                    Some(Some(*code)),
                    "client {number} said close and expects it back; last: {last:?}"
                );
                assert_eq!(last, Some(&Heard::End), "client {number}: the server hangs up after a close");
            }
        }
    }

    /// Begins a graceful end: the server stops accepting and says 1001 to all clients.
    pub fn drain(&mut self) {
        self.begin().advance(Phase::Draining);
    }

    /// Ends the server, gracefully, and checks that nothing is left: no connection, no actor, no block of memory; and
    /// that nothing panicked that the caller does not know of (`panics_known`).
    ///
    /// # Panics
    /// If something is left.
    pub fn shut_down(self) {
        self.shut_down_after_panics(0);
    }

    /// As [`Self::shut_down`], when so many actors have panicked, on purpose.
    ///
    /// # Panics
    /// If something is left, or another number have panicked.
    pub fn shut_down_after_panics(mut self, panics: u64) {
        let world = self.begin();
        world.advance(Phase::Draining);
        let end = world.wires.get().now + Duration::from_secs(60);
        while !world.is_done() {
            assert!(world.step(end), "the server does not end: {}", world.what_is_left());
        }
        let Some(Begun { shards, shared, .. }) = self.begun.take() else { return };
        let mut houses = Vec::new();
        for Shard { driver, tenants, .. } in shards {
            drop(driver);
            assert_eq!(tenants.local.actors(), 0, "actors are left on {}", tenants.local.mesh.me());
            houses.push(tenants);
        }
        houses.into_iter().for_each(House::finish);
        let stats = metrics::read(&shared);
        assert_eq!(stats.connections, 0, "connections are still counted though there are none");
        assert_eq!(stats.blocks_lost, 0, "blocks of memory are not home");
        assert_eq!(stats.panics, panics, "actors panicked");
    }

    fn begin(&mut self) -> &mut Begun {
        let Self { begun, rng, shards_count, config, routes, faults, crowd, scripts, .. } = self;
        begun.get_or_insert_with(|| {
            for _ in 0..*crowd {
                scripts.push(Client::some(rng, faults));
            }
            Begun::new(rng, *shards_count, config, routes, faults, std::mem::take(scripts))
        })
    }
}

impl Begun {
    fn new(
        rng: &mut fastrand::Rng,
        shards: u16,
        config: &Config,
        routes: &Routes,
        faults: &Faults,
        scripts: Vec<Client>,
    ) -> Self {
        let mut config = config.clone();
        config.fit(u64::MAX);
        let config = &config;
        let wires = Wires::new(Net::new(rng.fork(), shards, faults.clone()));
        let shared = Shared::new(shards);
        let incremental = rng.bool();
        let pace = crate::shard::Pace { sleep_max: NEVER, ..config.pace() };
        let build = |mesh: Mesh<_>| {
            let me = mesh.me();
            let pool = Pool::new(&config.pool(incremental)).expect("a small pool can be had");
            let heartbeat = shared.shards[usize::from(me.0)].heartbeat.clone();
            // What another thread would wake, the world sees by its flag.
            let outside = Outside::new(|| ());
            let local = Local::new(pool, mesh, heartbeat, outside, config.bounds());
            let house = House::new(local, shared.clone(), routes.clone(), config, rng.u64(..));
            Shard::new(SimDriver::new(wires.clone(), me, incremental), house, pace)
        };
        let shards = Mesh::new(shards, config.lane_slots).into_iter().map(build).collect();
        let clients = {
            let mut net = wires.get();
            scripts.into_iter().map(|script| Living::new(script, &mut net.rng, Time::ZERO)).collect()
        };
        Self { wires, shared, shards, clients, steps: 0 }
    }

    fn advance(&mut self, phase: Phase) {
        self.shared.advance(phase);
        self.wires.get().bells.fill(true);
    }

    fn is_quiet(&self) -> bool {
        self.clients.iter().all(|client| client.done) && self.shared.connections() == 0
    }

    fn is_done(&self) -> bool {
        self.shards.iter().all(|shard| shard.tenants.is_done())
    }

    /// One thing happens, or time passes. False: nothing will before `end`.
    fn step(&mut self, end: Time) -> bool {
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
                Some(until) if !(shard.driver.has_news() || shard.tenants.local.outside().is_set()) => until,
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
            for (number, client) in self.clients.iter().enumerate() {
                if let Some(due) = client.due(&net) {
                    at(due, now, Choice::Client(number));
                }
            }
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
            Choice::Client(number) => self.clients[number].act(&mut self.wires.get()),
        }
        now <= end
    }

    /// One shard wakes, if it slept, and turns until it enters its kernel again.
    fn turn(&mut self, number: usize) {
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
                assert!(
                    !shard.tenants.local.mesh.has_mail(),
                    "{me} sleeps, its lanes have mail, and nobody rang"
                );
            }
        }
    }

    fn what_is_left(&self) -> String {
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

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("shards", &self.shards_count)
            .finish_non_exhaustive()
    }
}

fn small_config() -> Config {
    Config { lane_slots: 64, receive_bytes: 256 << 10, outbound_bytes_max: 64 << 20, ..Config::default() }
}

/// A sleep that only a timer or a wake-up ends.
const NEVER: Duration = Duration::from_secs(1 << 30);
/// More than any world needs; a shard that never stops turning gets here.
const STEPS_MAX: u64 = 20_000_000;
