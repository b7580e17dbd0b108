//! A world: what it is made of, how long it runs, and what must hold.

use super::begun::Begun;
use super::client::{Client, Heard, Report};
use super::fault::{Fault, Faults};
use super::living::Living;
use crate::actor::service::Services;
use crate::actor::{Actor, Outside};
use crate::connection::{Middleware, Session, Upgrade};
use crate::server::house::House;
use crate::server::route::Routes;
use crate::server::shared::Phase;
use crate::server::{Config, Hosts, Layer, Open, Stats, Through, metrics};
use crate::shard::{Shard, ShardId, Time};
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
///
/// let bob = world.client(Client::at("/"));
/// world.run_for(60_000);
/// assert_eq!((world.stats().connections, world.now().as_millis()), (1, 60_000));
/// world.drain();
/// world.run_until_quiet(10_000);
/// assert_eq!(world.report(bob).close_code(), Some(Some(1001)));
/// world.shut_down();
/// ```
pub struct World {
    seed: u64,
    rng: fastrand::Rng,
    shards_count: u16,
    config: Config,
    routes: Routes,
    services: Services,
    faults: Faults,
    /// Clients that are made up when the world begins.
    crowd: usize,
    scripts: Vec<Client>,
    begun: Option<Begun>,
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
            services: Services::default(),
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
        self.routes.add(path, &[], Open, make);
        self
    }

    /// Says whose a request is, as with [`Server::user_by`](crate::Server::user_by). Where connections are placed by that, who
    /// says nothing is not accepted.
    #[must_use]
    pub fn user_by(
        mut self,
        user_of: impl Fn(&Upgrade<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.routes.user_by(user_of);
        self
    }

    /// Every shard has an actor that `make` makes, as with [`Server::service`](crate::Server::service).
    #[must_use]
    pub fn service<A: Actor>(mut self, make: impl Fn(ShardId) -> A + Send + Sync + 'static) -> Self {
        self.services.add(make);
        self
    }

    /// Puts middleware before the route that is added next, as with [`Server::with`](crate::Server::with).
    pub fn with<F, M>(self, make: F) -> Through<Self, Layer<F, M>>
    where
        F: Fn(&Upgrade<'_>) -> Result<M, Refusal> + Send + Sync + 'static,
        M: Middleware,
    {
        Through::new(self, make)
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

    /// The shards, as other threads see them. What is said by it is heard when chance likes, as everything here.
    pub fn outside(&mut self) -> Outside {
        self.begin().outside.clone()
    }

    /// Has the shards balance, as [`Handle::rebalance`](crate::server::Handle::rebalance).
    pub fn rebalance(&mut self) {
        self.begin().rebalance();
    }

    /// How many connections each shard has.
    pub fn connections_by_shard(&mut self) -> Vec<u32> {
        let shared = &self.begin().shared;
        (0..shared.shards.len()).map(|shard| shared.load(ShardId(shard as u16))).collect()
    }

    /// What the server has counted.
    pub fn stats(&mut self) -> Stats {
        metrics::read(&self.begin().shared)
    }

    /// The time.
    pub fn now(&mut self) -> Time {
        self.begin().wires.get().now
    }

    /// How many turns all shards have made: a server with nothing to do makes few.
    pub fn turns(&mut self) -> u64 {
        self.begin().turns
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
    /// cut, if it was; and who said close heard it. Not of clients that came back: what they missed only they can tell.
    ///
    /// # Panics
    /// If not; says which client misses what.
    pub fn assert_echoed(&self) {
        let world = self.begun.as_ref().expect("the world has begun");
        for (number, client) in
            world.clients.iter().enumerate().filter(|(_, client)| client.script.expects_echo)
        {
            let Report { said, closed, cut, heard, connections, .. } = &client.report;
            if *connections > 1 {
                continue; // what was on its way when it went is nobody's fault
            }
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
            let (local, me) = (&tenants.local, tenants.local.mesh.me());
            assert_eq!((local.actors(), local.tasks()), (0, 0), "actors or futures are left on {me}");
            assert_eq!((local.watches(), local.children()), (0, 0), "watches or children are left on {me}");
            assert_eq!(local.ties(), 0, "names or memberships are left on {me}");
            houses.push(tenants);
        }
        houses.iter_mut().for_each(House::forget);
        houses.into_iter().for_each(House::finish);
        let stats = metrics::read(&shared);
        assert_eq!(stats.connections, 0, "connections are still counted though there are none");
        assert_eq!(stats.blocks_lost, 0, "blocks of memory are not home");
        assert_eq!(stats.panics, panics, "actors panicked");
    }

    /// One of so many, by chance.
    pub(super) fn choose(&mut self, of: u16) -> u16 {
        self.begin().wires.get().rng.u16(0..of)
    }

    pub(super) fn begin(&mut self) -> &mut Begun {
        let Self { begun, rng, shards_count, config, routes, services, faults, crowd, scripts, .. } = self;
        begun.get_or_insert_with(|| {
            for _ in 0..*crowd {
                scripts.push(Client::some(rng, faults));
            }
            Begun::new(rng, *shards_count, config, (routes, services), faults, std::mem::take(scripts))
        })
    }
}

impl Hosts for World {
    #[expect(private_interfaces, reason = "for this crate's own")]
    fn routes(&mut self) -> &mut Routes {
        &mut self.routes
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
