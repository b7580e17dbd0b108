//! What a server costs without its kernel: real threads, real shards, real lanes, and clients that cost nothing.
//!
//! - [`Treadmill`]: shards, clients, and how long they run
//! - `driver`: the kernel that costs nothing; `clients`: what they say
//!
//! For the question how much of a message's time is the framework's and the handlers', and whether two shards do twice
//! what one does. What a socket costs comes on top, and is most of it.
//!
//! Does not know: sockets, faults, virtual time. Messages are not checked: they are as long as they should be, and that
//! is how they are counted.

mod clients;
mod driver;

use crate::actor::jobs::Jobs;
use crate::actor::local::Local;
use crate::actor::outside::Calls;
use crate::actor::service::Services;
use crate::actor::{Actor, Outside};
use crate::buf::Pool;
use crate::connection::{Session, Upgrade};
use crate::server::house::House;
use crate::server::route::Routes;
use crate::server::shared::{Phase, Shared};
use crate::server::{Config, Open, metrics, said_by};
use crate::shard::uring::host::Host;
use crate::shard::{Mesh, Shard, ShardId};
use crate::sync::{Arc, Ordering};
use crate::wire::frame::Opcode;
use crate::wire::http::Refusal;
use clients::{Says, Script};
use driver::{Figures, TreadDriver};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A server and clients that say the same again as soon as they have heard it.
///
/// ```
/// use corewire::prelude::*;
/// use corewire::sim::Treadmill;
/// use std::time::Duration;
///
/// struct Echo;
/// impl Session for Echo {
///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         Ok(cx.client().send(message)?)
///     }
/// }
///
/// let pace = Treadmill::new("/", |_: &Upgrade| Ok(Echo)).clients(10).messages(20, 4).run(Duration::from_millis(50))?;
/// assert!(pace.messages > 0);
/// println!("{:.0} messages a second, {:?} each", pace.per_second(), pace.each());
/// # std::io::Result::Ok(())
/// ```
#[must_use = "a treadmill does nothing until it is run"]
pub struct Treadmill {
    path: String,
    routes: Routes,
    services: Services,
    config: Config,
    cpus: Vec<u32>,
    shards: u16,
    clients: u32,
    speakers: u32,
    says: Says,
    in_flight: u32,
}

impl std::fmt::Debug for Treadmill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Treadmill")
            .field("path", &self.path)
            .field("shards", &self.shards)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

/// How many messages clients heard, in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Messages that clients have heard.
    pub messages: u64,
    /// Meanwhile.
    pub elapsed: Duration,
}

impl Pace {
    /// Messages a second.
    pub fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// The time between two messages.
    pub fn each(&self) -> Duration {
        self.elapsed.div_f64(self.messages.max(1) as f64)
    }
}

impl Treadmill {
    /// One shard, 100 clients, messages of 20 bytes, one in flight.
    pub fn new<F, S>(path: &str, make: F) -> Self
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        let mut routes = Routes::default();
        routes.add(path, &[], Open, make);
        Self {
            path: path.into(),
            routes,
            services: Services::default(),
            config: Config::default(),
            cpus: Vec::new(),
            shards: 1,
            clients: 100,
            speakers: u32::MAX,
            says: Says::text(20),
            in_flight: 1,
        }
    }

    /// Every shard has an actor that `make` makes, as with [`Server::service`](crate::Server::service).
    pub fn service<A: Actor>(mut self, make: impl Fn(ShardId) -> A + Send + Sync + 'static) -> Self {
        self.services.add(make);
        self
    }

    /// With so many shards, on any cores.
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = shards.max(1);
        self
    }

    /// With one shard on each of these cores.
    pub fn pinned(mut self, cpus: &[u32]) -> Self {
        self.shards = cpus.len().max(1) as u16;
        self.cpus = cpus.to_vec();
        self
    }

    /// With another configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// With so many clients a shard, of which the first `speakers` speak, as [`Self::speakers`] says.
    pub fn clients(mut self, clients: u32) -> Self {
        self.clients = clients.max(1);
        self
    }

    /// Only so many clients of each shard speak; the others listen.
    pub fn speakers(mut self, speakers: u32) -> Self {
        self.speakers = speakers;
        self
    }

    /// Messages of so many bytes, so many in flight.
    ///
    /// # Panics
    /// If what is in flight is 8 KiB or more: it would be read in bulk, and that needs a real kernel.
    pub fn messages(self, payload_bytes: usize, in_flight: u32) -> Self {
        self.say(Says::text(payload_bytes), in_flight)
    }

    /// These bytes as each message, so many in flight. What answers one must be as long.
    ///
    /// # Panics
    /// As [`Self::messages`].
    pub fn binary(self, payload: &[u8], in_flight: u32) -> Self {
        self.say(Says(Opcode::Binary, payload.to_vec()), in_flight)
    }

    fn say(mut self, says: Says, in_flight: u32) -> Self {
        (self.says, self.in_flight) = (says, in_flight.max(1));
        let bytes = Script::new("/", &self.says, self.in_flight, 0).stream_bytes();
        assert!(
            bytes < 8 << 10,
            "{bytes} bytes in flight: 8 KiB would be read in bulk, and that needs a real kernel"
        );
        self
    }

    /// Connects all clients, and counts for so long.
    ///
    /// # Errors
    /// A shard cannot start: no memory, no such core, or a service that cannot be made. Or what ran is no measure: not all
    /// clients got their handshake answered within ten seconds, or somebody panicked.
    pub fn run(self, time: Duration) -> io::Result<Pace> {
        let Self { path, routes, services, mut config, cpus, shards, clients, speakers, says, in_flight } =
            self;
        config.fit(u64::MAX);
        let script = Arc::new(Script::new(&path, &says, in_flight, speakers));
        let shared = Shared::new(shards, Jobs::new(config.pool_slots));
        let figures: Vec<Arc<Figures>> = (0..shards).map(|_| Arc::default()).collect();
        let (here, threads) = flume::bounded(usize::from(shards));
        let (ready, started) = flume::bounded::<io::Result<()>>(usize::from(shards));
        let (all_started, starts) = flume::bounded::<()>(usize::from(shards));
        let mut gos = Vec::new();
        let mut hosts = Vec::new();
        let epoch = Instant::now();
        for (mesh, figures) in Mesh::new(shards, config.lane_slots).into_iter().zip(&figures) {
            let me = mesh.me();
            let (go, gone) = flume::bounded::<(Arc<[Thread]>, Outside)>(1);
            gos.push(go);
            let (here, shared, script, routes) =
                (here.clone(), shared.clone(), script.clone(), routes.clone());
            let (config, figures) = (config.clone(), figures.clone());
            let (ready, starts) = (ready.clone(), starts.clone());
            let run = async move || -> io::Result<()> {
                let pool = Pool::new(&config.pool(true))?;
                let _ = here.send((me, std::thread::current()));
                drop(here); // so that one that cannot start is not waited for
                let Ok((threads, outside)) = gone.recv() else { return Ok(()) };
                let heartbeat = shared.shards[usize::from(me.0)].heartbeat.clone();
                let local = Local::new(pool, mesh, heartbeat, outside, shared.jobs.clone(), config.bounds());
                // Services are made there, by code that is not ours.
                let made = || House::new(local, shared.clone(), routes, &config, 7);
                let made = catch_unwind(AssertUnwindSafe(made))
                    .map_err(|panic| said_by("while its services were made", &*panic));
                let house = match made {
                    Ok(house) => house,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return Ok(());
                    }
                };
                let _ = ready.send(Ok(()));
                drop(ready); // once all have, nobody is waited for in vain
                if starts.recv().is_err() {
                    return Ok(()); // another shard could not start
                }
                let driver = TreadDriver::new(script, clients, threads, figures, epoch);
                let mut shard = Shard::new(driver, house, config.pace());
                let turning = catch_unwind(AssertUnwindSafe(|| {
                    while !shard.tenants.is_done() {
                        shard.turn();
                    }
                }));
                if let Err(panic) = turning {
                    // The others wait for nobody.
                    shared.advance(Phase::Cutting);
                    shared.say_emptied();
                    shared.say_drained();
                    return Err(said_by("of a shard's own", &*panic));
                }
                let Shard { driver, mut tenants, .. } = shard;
                drop(driver);
                tenants.forget();
                Ok(())
            };
            hosts.push(Host::start(&format!("tread-{}", me.0), cpus.get(usize::from(me.0)).copied(), run)?);
        }
        drop((here, ready, starts));
        let mut threads: Vec<_> = threads.iter().collect();
        threads.sort_by_key(|(shard, _)| *shard);
        let threads: Arc<[Thread]> = threads.into_iter().map(|(_, thread)| thread).collect();
        if threads.len() == usize::from(shards) {
            let calls = threads.iter().map(|thread| {
                let thread = thread.clone();
                Calls::new(config.outside_slots, move || thread.unpark())
            });
            let outside = Outside::new(calls, services);
            for go in &gos {
                let _ = go.send((threads.clone(), outside.clone())); // one that is gone says why below
            }
        }
        drop(gos);
        let failure = started.iter().take(usize::from(shards)).find_map(Result::err);
        let all_there = threads.len() == usize::from(shards) && failure.is_none();
        if all_there {
            for _ in 0..shards {
                let _ = all_started.send(()); // one that is gone is missed below
            }
        }
        drop(all_started);
        let all = u64::from(shards) * u64::from(clients);
        let read = |figure: fn(&Figures) -> u64| figures.iter().map(|figures| figure(figures)).sum::<u64>();
        let patience = Instant::now() + Duration::from_secs(10);
        let open = || read(|figures| figures.open.load(Ordering::Relaxed));
        while open() < all && all_there && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        let open = open();
        let heard = |figures: &Figures| figures.heard.load(Ordering::Relaxed);
        let (before, begun) = (read(heard), Instant::now());
        std::thread::sleep(time);
        let pace = Pace { messages: read(heard) - before, elapsed: begun.elapsed() };
        shared.advance(Phase::Cutting);
        threads.iter().for_each(Thread::unpark);
        for host in hosts {
            host.join()??;
        }
        match (failure, metrics::read(&shared).panics) {
            (Some(failure), _) => Err(failure),
            (None, 0) if open == all => Ok(pace),
            (None, panics) => Err(io::Error::other(format!(
                "{open} of {all} clients got their handshake answered, and there were {panics} panics; the log has them"
            ))),
        }
    }
}
