//! Assembling a process: configuration, cores, listening sockets, shards, signals.
//!
//! - [`Server`]: what people write; [`Running`]: a server that runs
//! - [`Config`]: every limit, in one place
//! - [`Placement`]: which shard a connection gets; [`partition_of_user`], [`shard_of_user`]: where users belong
//! - [`Stats`]: what it has done so far
//! - `route`: which path gets which session; [`Through`]: what stands before it
//! - `listen`, `house`: sockets are accepted on every shard, and live on the one where they are placed
//! - `pool`: threads for what would keep a shard
//! - `shared`: what shards see of each other besides lanes; `signals`: what ends a process
//!
//! Does not know: what sessions do.
//!
//! A message comes from `shard`, goes through its `house` to its `connection`, and does not stop here.

mod balance;
mod config;
mod error;
pub(crate) mod house;
mod listen;
pub(crate) mod metrics;
mod placement;
mod pool;
pub(crate) mod route;
pub(crate) mod shared;
mod signals;
mod through;

pub use balance::{Rebalance, ShardLoad};
pub use config::Config;
pub use error::Error;
pub use metrics::Stats;
pub use placement::{Placement, partition_of_user, shard_of_user};
pub(crate) use through::Open;
pub use through::{Hosts, Layer, Layered, Layers, Through};

use crate::actor::envelope::Envelope;
use crate::actor::jobs::Jobs;
use crate::actor::local::Local;
use crate::actor::outside::Calls;
use crate::actor::service::Services;
use crate::actor::{Actor, Outside};
use crate::buf::{Pages, Pool};
use crate::connection::{Middleware, Session, Ticket, Upgrade};
use crate::shard::uring::driver::UringConfig;
use crate::shard::uring::host::Host;
use crate::shard::uring::probe::{Features, probe};
use crate::shard::uring::{Peers, UringDriver, Waker};
use crate::shard::{Mesh, Shard, ShardId, Stopwatch, Time};
use crate::sync::Arc;
use crate::topology::{Machine, plan};
use crate::wire::http::{Page, Refusal};
use futures_lite::FutureExt;
use house::House;
use pool::Threads;
use route::Routes;
use shared::{Phase, Shared};
use signals::Heeded;
use std::borrow::Cow;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Instant;

/// A server to be.
///
/// ```no_run
/// use corewire::prelude::*;
///
/// struct Echo;
/// impl Session for Echo {
///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         Ok(cx.client().send(message)?)
///     }
/// }
///
/// fn main() -> corewire::Result {
///     Server::bind(":9001").at("/", |_: &Upgrade| Ok(Echo)).run()
/// }
/// ```
#[must_use = "a server does nothing until it is run"]
pub struct Server {
    address: String,
    config: Config,
    routes: Routes,
    services: Services,
}

impl Server {
    /// A server that will listen on `address`: `:9001` for all addresses, or `host:port`. Port 0 is any free one.
    pub fn bind(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            config: Config::default(),
            routes: Routes::default(),
            services: Services::default(),
        }
    }

    /// With this configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Puts middleware before the route that is added next, and before that only: `make` makes it for each client, or
    /// refuses. Of several, the first is the outermost: nearest to the client. See [`Middleware`].
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// # struct Echo;
    /// # impl Session for Echo {
    /// #     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    /// #         Ok(cx.client().send(message)?)
    /// #     }
    /// # }
    /// let from_here = |upgrade: &Upgrade| if upgrade.peer().ip().is_loopback() { Ok(()) } else { Err(Refusal::new(403)) };
    /// let server = Server::bind(":9001")
    ///     .with(Logging::of).with(from_here).at("/admin", |_: &Upgrade| Ok(Echo))
    ///     .at("/", |_: &Upgrade| Ok(Echo)); // for everybody, and not logged
    /// ```
    pub fn with<F, M>(self, make: F) -> Through<Self, Layer<F, M>>
    where
        F: Fn(&Upgrade<'_>) -> Result<M, Refusal> + Send + Sync + 'static,
        M: Middleware,
    {
        Through::new(self, make)
    }

    /// WebSockets at `path` get the session that `make` makes, on the shard where the connection lives; or a refusal,
    /// with a status. A panic in it is answered 500. A path that ends in `/*` takes all paths below it
    /// ([`path`](crate::wire::http::Request::path)); of several that fit, the first that was added is taken.
    pub fn at<F, S>(self, path: &str, make: F) -> Self
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        self.at_with(path, &[], make)
    }

    /// As [`Self::at`], speaking one of `subprotocols`: the first that the client offers (RFC 6455 §1.9). None in common
    /// is no error; `make` can refuse it.
    pub fn at_with<F, S>(mut self, path: &str, subprotocols: &[&str], make: F) -> Self
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        self.routes.add(path, subprotocols, Open, make);
        self
    }

    /// WebSockets at `path` are accepted or refused later, from any thread, by a [`Ticket`].
    pub fn at_later<F, S>(mut self, path: &str, ask: F) -> Self
    where
        F: Fn(&Upgrade<'_>, Ticket<S>) + Send + Sync + 'static,
        S: Session,
    {
        self.routes.add_later(path, Open, ask);
        self
    }

    /// Browsers that ask for `path`, and for no WebSocket, get this page: the bytes that are given here, whoever asks, to GET
    /// and HEAD. It may have the path of a WebSocket. Middleware does not see it.
    ///
    /// It is for the few pages that go with a WebSocket, and is copied for each who asks; what is larger than a MiB, or
    /// changes, is better served by a web server.
    ///
    /// # Panics
    /// If the content type has a control character in it.
    ///
    /// ```
    /// use corewire::Server;
    /// let page = "<!doctype html><script>new WebSocket(`ws://${location.host}/ws`)</script>";
    /// let server = Server::bind(":9001").page("/", "text/html; charset=utf-8", page.as_bytes());
    /// ```
    pub fn page(
        mut self,
        path: &str,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        let page = Page::new(content_type, body).expect("a content type is one line of text");
        self.routes.add_page(path, page);
        self
    }

    /// Says whose a request is, for [`Placement::UserHash`]: what it returns is the user's id. If nothing is said, that is what
    /// follows `user=` in the query, as it came. Not asked where connections are placed otherwise; a panic in it is as `None`.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use corewire::server::Placement;
    ///
    /// let mut config = Config::default();
    /// config.placement = Placement::UserHash { partitions: 16 };
    /// let server = Server::bind(":9001")
    ///     .config(config)
    ///     .user_by(|upgrade| upgrade.header("x-user").map(|user| user.as_bytes().to_vec()));
    /// # drop(server);
    /// ```
    pub fn user_by(
        mut self,
        user_of: impl Fn(&Upgrade<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.routes.user_by(user_of);
        self
    }

    /// Every shard has an actor that `make` makes for it, reached by [`Context::service`](crate::actor::Context::service)
    /// there and by [`service_on`](crate::actor::Context::service_on) from everywhere. It is made before the server
    /// serves: if `make` panics, the server does not start. Services start in the order in which they are given, before
    /// any other actor and any connection of their shard; they stop in the opposite order, when nobody else is left on
    /// any shard.
    ///
    /// A service that panics, or fails otherwise ([`Reason::is_failure`](crate::actor::Reason::is_failure)), is made anew by
    /// `make`, unless its [`AS_SERVICE`](crate::actor::Actor::AS_SERVICE) says otherwise, as a child is
    /// ([`spawn_child`](crate::actor::Context::spawn_child)): its address is as good as before, what waits for it is handled by
    /// the next, and only the message that crashed is not. That is done after 10 ms, and after twice the last pause when it
    /// has not held for five seconds, up to a second; however often it fails, since nobody is there whom its failure could
    /// end. One that stops by itself is gone: its address finds nobody.
    pub fn service<A: Actor>(mut self, make: impl Fn(ShardId) -> A + Send + Sync + 'static) -> Self {
        self.services.add(make);
        self
    }

    /// Runs until SIGINT or SIGTERM, then says goodbye to all clients and returns. A second signal ends the process at
    /// once. Another server may run after it in the same process, or beside it: a signal is for all that run.
    ///
    /// # Errors
    /// The server cannot start, or did not end well.
    pub fn run(self) -> Result<(), Error> {
        self.run_with(|_| ())
    }

    /// As [`Self::run`], calling `started` once it serves.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with(self, started: impl FnOnce(&Running)) -> Result<(), Error> {
        let heeded = Heeded::begin().map_err(Error::Shard)?;
        let running = self.start()?;
        heeded.stops(running.handle());
        started(&running);
        running.join()
    }

    /// Starts, and returns once it serves.
    ///
    /// # Errors
    /// The server cannot start. Nothing is left behind.
    pub fn start(self) -> Result<Running, Error> {
        let Self { address, mut config, routes, services } = self;
        config.check().map_err(Error::Config)?;
        services.check(config.actors_max).map_err(Error::Config)?;
        if routes.is_empty() {
            return Err(Error::Config("no path leads anywhere: add one with `at`".into()));
        }
        let machine = if config.pin {
            Machine::discover()?
        } else {
            Machine::uniform(1, 1, config.workers.max(1), 1) // as many cores as asked for, and none of them bound
        };
        let plan = plan(&machine, &config.policy())?;
        let shards = plan.shards.len() as u16;
        let mut features = probe(shards)?;
        features.incremental &= config.receive_incremental;
        config.fit(features.open_files);
        config.pool_threads = pool::threads(&plan, config.pool_threads);
        let (listeners, address) = listen::listen(&address, shards)?;
        tracing::info!("{plan}");
        tracing::info!("{}", config.sum(shards));

        let wakers =
            (0..shards).map(|_| Waker::new()).collect::<Result<Vec<_>, _>>().map_err(Error::Shard)?;
        let shared = Shared::new(shards, Jobs::new(config.pool_slots));
        let calls = wakers.iter().map(|waker| {
            let waker = waker.clone();
            Calls::new(config.outside_slots, move || waker.wake())
        });
        let outside = Outside::new(calls, services);
        let epoch = Instant::now();
        let building = Building {
            peers: Peers::new(wakers.clone()),
            outside: outside.clone(),
            shared: shared.clone(),
            routes,
            config: config.clone(),
            features,
            epoch,
        };
        let (ready, started) = flume::bounded(usize::from(shards));
        let (go, starts) = flume::bounded(usize::from(shards));
        let meshes = Mesh::new(shards, config.lane_slots);
        let mut hosts = Vec::new();
        for ((place, mesh), listener) in plan.shards.iter().zip(meshes).zip(listeners) {
            let (building, ready, starts) = (building.clone(), ready.clone(), starts.clone());
            let cpu = plan.pinned.then_some(place.cpu);
            let run = async move || building.run(mesh, listener, ready, &starts).await;
            hosts.push(Host::start(&format!("shard-{}", place.shard), cpu, run).map_err(Error::Shard)?);
        }
        drop((ready, starts));
        let failure = (0..shards).find_map(|_| match started.recv() {
            Ok(said) => said.err(),
            Err(flume::RecvError::Disconnected) => {
                Some(std::io::Error::other("a shard ended without a word"))
            }
        });
        let pool = match failure {
            Some(error) => Err(Error::Shard(error)),
            None => Threads::start(shared.jobs.clone(), &plan, config.pool_threads).map_err(Error::Pool),
        };
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => {
                drop(go); // and those who wait for it end
                let why = hosts.into_iter().filter_map(|host| host.join().err()).last();
                return Err(why.map_or(error, Error::Shard));
            }
        };
        for _ in 0..shards {
            let _ = go.send(()); // a shard that is gone by now is missed below
        }
        tracing::info!(%address, "serving");
        let watchdog = watch(&shared, &config);
        Ok(Running {
            handle: Handle { shared, wakers: wakers.into(), outside, address, epoch },
            hosts,
            pool,
            watchdog,
        })
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    hosts: Vec<Host<()>>,
    pool: Threads,
    watchdog: Option<JoinHandle<()>>,
}

impl Running {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.handle.address
    }

    /// For other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for the end, which [`Handle::stop`] begins.
    ///
    /// # Errors
    /// A shard could not go on, or memory was not home at the end.
    pub fn join(self) -> Result<(), Error> {
        let ended: Vec<_> = self.hosts.into_iter().map(|host| host.join().map_err(Error::Shard)).collect();
        self.pool.join();
        if let Some(watchdog) = self.watchdog.filter(|_| self.handle.shared.all_drained()) {
            watchdog.thread().unpark();
            drop(watchdog.join());
        }
        ended.into_iter().collect::<Result<(), _>>()?;
        match self.handle.stats().blocks_lost {
            0 => Ok(()),
            blocks => Err(Error::BlocksLost(blocks)),
        }
    }
}

/// A server, from any thread.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    wakers: Arc<[Waker]>,
    outside: Outside,
    address: SocketAddr,
    epoch: Instant,
}

impl Handle {
    /// Stops accepting and says goodbye to all clients (close 1001). [`Running::join`] returns when they have answered and
    /// the jobs that have begun are done, or after [`Config::drain_timeout`]. Jobs that have not begun are not done.
    pub fn stop(&self) {
        self.shared.advance(Phase::Draining);
        self.wake();
    }

    /// Stops without waiting for anybody: connections are reset, and jobs that have begun are left to themselves.
    pub fn stop_now(&self) {
        self.shared.advance(Phase::Cutting);
        self.wake();
    }

    /// Its shards, to send to their actors from this thread or any other.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        metrics::read(&self.shared)
    }

    /// For each shard, the type of the actor that kept it for longer than [`Config::turn_max`], the last time that
    /// happened.
    pub fn last_stalls(&self) -> Vec<Option<&'static str>> {
        self.shared.shards.iter().map(|shard| shard.heartbeat.last_stall()).collect()
    }

    /// Has the shards balance, whether [`Config::rebalance`] says when or not: the one with the most connections gives half of
    /// what it has more to the one with the fewest. Once; where there are more than two shards, again for the next of them.
    pub fn rebalance(&self) {
        self.shared.ask_to_balance();
        self.wake();
    }

    /// What each shard has to do.
    pub fn loads(&self) -> Vec<ShardLoad> {
        self.shared.loads(Time::ZERO + self.epoch.elapsed())
    }

    /// How many connections each shard has.
    pub fn connections_by_shard(&self) -> Vec<u32> {
        (0..self.shared.shards.len()).map(|shard| self.shared.load(ShardId(shard as u16))).collect()
    }

    fn wake(&self) {
        self.wakers.iter().for_each(Waker::wake);
    }
}

/// What every shard is built from.
#[derive(Clone)]
struct Building {
    peers: Arc<Peers>,
    outside: Outside,
    shared: Arc<Shared>,
    routes: Routes,
    config: Config,
    features: Features,
    epoch: Instant,
}

impl Building {
    /// One shard, from beginning to end, on its own thread.
    async fn run(
        self,
        mesh: Mesh<Envelope>,
        listener: OwnedFd,
        ready: flume::Sender<std::io::Result<()>>,
        starts: &flume::Receiver<()>,
    ) {
        let me = mesh.me();
        let shared = self.shared.clone();
        // Services are made there, by code that is not ours.
        let built = catch_unwind(AssertUnwindSafe(|| self.build(mesh, listener)));
        let mut shard =
            match built.unwrap_or_else(|panic| Err(said_by("while its services were made", &*panic))) {
                Ok(shard) => shard,
                Err(error) => return drop(ready.send(Err(error))),
            };
        let told = ready.send(Ok(()));
        drop(ready); // once all have, nobody can be waited for in vain
        if told.is_err() || starts.recv().is_err() {
            return; // another shard could not start
        }
        // A panic here is not an actor's (those are contained) but ours: what it left half done nobody can mend.
        ALONE.set(Some(Alone(me)));
        let turning = AssertUnwindSafe(shard.run(House::is_done)).catch_unwind().await;
        if turning.is_err() {
            give_up(me, "the driver panicked");
        }
        if let Some(alone) = ALONE.take() {
            std::mem::forget(alone);
        }
        let Shard { driver, mut tenants, .. } = shard;
        drop(driver);
        tenants.forget();
        // Another shard's lanes may hold blocks of this one.
        let patience = Instant::now() + FORGET_MAX;
        while !shared.all_forgotten() && Instant::now() < patience {
            std::thread::yield_now();
        }
        tenants.finish();
    }

    fn build(
        self,
        mesh: Mesh<Envelope>,
        listener: OwnedFd,
    ) -> std::io::Result<Shard<UringDriver, House<crate::shard::uring::Socket>>> {
        let Self { peers, outside, shared, routes, config, features, epoch } = self;
        let me = mesh.me();
        let pool_config = config.pool(features.incremental);
        let pool = Pool::new(&pool_config)?;
        let pages = match pool.pages() {
            Pages::HugeTlb => "huge pages of its own",
            Pages::Transparent => "transparent huge pages",
            Pages::Ordinary if config.huge_pages => "ordinary pages: there are no huge ones to be had",
            Pages::Ordinary => "ordinary pages, as configured",
        };
        tracing::info!(shard = me.0, pages, incremental = features.incremental, "memory");
        let uring = UringConfig {
            entries: config.ring,
            receive_blocks: pool_config.receive_blocks as u16,
            incremental: features.incremental,
            receive_window_bytes: config.receive_window_bytes,
            accept_deferred: config.placement.wants_user(),
            epoch,
        };
        let driver = UringDriver::new(me, peers, Some(listener), &uring)?;
        let heartbeat = shared.shards[usize::from(me.0)].heartbeat.clone();
        let mut local = Local::new(pool, mesh, heartbeat, outside, shared.jobs.clone(), config.bounds());
        local.set_stopwatch(Stopwatch::from(epoch));
        let house = House::new(local, shared, routes, &config, fastrand::u64(..));
        Ok(Shard::new(driver, house, config.pace()))
    }
}

/// A shard that runs. Dropped only by a thread that ends meanwhile: a task that was given to glommio itself has panicked, and
/// taken glommio along.
struct Alone(ShardId);

thread_local! {
    static ALONE: RefCell<Option<Alone>> = const { RefCell::new(None) };
}

impl Drop for Alone {
    fn drop(&mut self) {
        give_up(self.0, "a task that was spawned in glommio panicked");
    }
}

/// Nobody serves the clients of this shard any more.
fn give_up(shard: ShardId, why: &str) -> ! {
    tracing::error!(shard = shard.0, "{why}; the process ends, since its clients cannot be served");
    std::process::abort();
}

/// What a panic said, of code that is not ours.
pub(crate) fn said_by(when: &str, panic: &(dyn std::any::Any + Send)) -> std::io::Error {
    let what = panic.downcast_ref::<&str>().copied();
    let what = what.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    std::io::Error::other(format!("a panic {when}: {what}"))
}

fn watch(shared: &Arc<Shared>, config: &Config) -> Option<JoinHandle<()>> {
    let (shared, turn_max) = (shared.clone(), config.turn_max);
    let heartbeats: Vec<_> = shared.shards.iter().map(|shard| shard.heartbeat.clone()).collect();
    let watch = move || {
        crate::actor::watch_for_stalls(&heartbeats, turn_max, |pause| {
            std::thread::park_timeout(pause);
            shared.all_drained()
        });
    };
    std::thread::Builder::new().name("watchdog".into()).spawn(watch).ok() // without it, stalls are not seen, no more
}

/// How long a shard waits at its end for another to drop its messages.
const FORGET_MAX: std::time::Duration = std::time::Duration::from_secs(1);
