//! Names between shards: one holder at a time, in everybody's view; copies that come to the same; and nothing left over.

use corewire::actor::{NameError, Place};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Faults, World};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NAMES: [&str; 4] = ["ann", "bob", "eve", "joe"];
const SHARDS: u16 = 3;

/// What everybody was told. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    /// Who was told that it has a name, and has not given it up.
    holders: HashMap<&'static str, Address<Holder>>,
    /// What each shard says at the end.
    views: Vec<[Option<Address<Holder>>; 4]>,
    granted: usize,
    taken: usize,
    gone: usize,
    seen: usize,
}

type Shared = Arc<Mutex<Book>>;

/// Looks, and starts holders.
struct Town(Shared);
/// Wants a name.
struct Holder {
    book: Shared,
    name: &'static str,
    /// Ends while its claim is on its way.
    hasty: bool,
}

struct Hire {
    name: &'static str,
    place: Place,
    hasty: bool,
}
struct Look {
    last: bool,
}
struct Quit;
struct GiveUp;
struct Break;

impl Actor for Town {}

impl Handler<Hire> for Town {
    type Reply = ();
    fn handle(&mut self, Hire { name, place, hasty }: Hire, cx: &mut Context<Self>) {
        let holder = Holder { book: self.0.clone(), name, hasty };
        if hasty {
            // It may be gone before its claim comes to its shard.
            let placed = |town: &mut Self, holder: Result<Address<Holder>, _>, cx: &mut Context<Self>| {
                let Ok(holder) = holder else { return };
                let told = |town: &mut Self, named: Result<(), NameError>, _: &mut Context<Self>| {
                    town.0.lock().unwrap().gone += usize::from(named == Err(NameError::Gone));
                };
                cx.register(town.name_of_the_day(), holder).then(told).expect("there is room");
            };
            cx.spawn_at(place, holder).then(placed).expect("there is room");
        } else {
            cx.spawn_at(place, holder).then(|_, _, _| ()).expect("there is room");
        }
    }
}

impl Town {
    fn name_of_the_day(&self) -> &'static str {
        NAMES[self.0.lock().unwrap().granted % 4]
    }
}

impl Handler<Look> for Town {
    type Reply = ();
    fn handle(&mut self, Look { last }: Look, cx: &mut Context<Self>) {
        let mut book = self.0.lock().unwrap();
        let view = NAMES.map(|name| cx.whereis::<Holder>(name));
        for (name, found) in NAMES.iter().zip(view) {
            assert!(cx.whereis::<Town>(name).is_none(), "a name is found for the type that has it");
            let (Some(&holder), Some(found)) = (book.holders.get(name), found) else { continue };
            assert_eq!(found, holder, "{} says that {name} is another's than who has it", cx.shard());
            book.seen += 1;
        }
        if last {
            book.views.push(view);
        }
    }
}

impl Actor for Holder {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        if self.hasty {
            // Before its claim comes to its shard, or after.
            let ms = self.book.lock().unwrap().granted as u64 % 2;
            if ms == 0 {
                cx.stop();
            } else {
                cx.after(Duration::from_millis(ms), me, Quit).expect("a shard has timers left");
            }
        } else {
            cx.register(self.name, me).then(Self::named).expect("there is room");
        }
    }

    fn stopped(&mut self, _: &Reason, cx: &mut Context<Self>) {
        self.lose(cx);
    }
}

impl Holder {
    fn named(&mut self, named: Result<(), NameError>, cx: &mut Context<Self>) {
        let mut book = self.book.lock().unwrap();
        match named {
            Ok(()) => {
                assert_eq!(cx.whereis(self.name), Some(cx.address()), "who is told is found");
                let before = book.holders.insert(self.name, cx.address());
                assert_eq!(before, None, "{} has two holders", self.name);
                book.granted += 1;
            }
            Err(NameError::Taken) => {
                book.taken += 1;
                cx.stop();
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn lose(&mut self, cx: &mut Context<Self>) -> bool {
        let mut book = self.book.lock().unwrap();
        let had = book.holders.get(self.name) == Some(&cx.address());
        if had {
            book.holders.remove(self.name);
        }
        had
    }
}

impl Handler<Quit> for Holder {
    type Reply = ();
    fn handle(&mut self, _: Quit, cx: &mut Context<Self>) {
        cx.stop();
    }
}

impl Handler<GiveUp> for Holder {
    type Reply = ();
    fn handle(&mut self, _: GiveUp, cx: &mut Context<Self>) {
        if self.lose(cx) {
            assert!(cx.unregister(self.name), "its shard knows that it has it");
            assert_eq!(cx.whereis::<Self>(self.name), None);
            assert!(!cx.unregister(self.name), "once is enough");
            let me = cx.address();
            cx.register(self.name, me).then(Self::named).expect("there is room"); // the next may be quicker
        }
    }
}

impl Handler<Break> for Holder {
    type Reply = ();
    fn handle(&mut self, _: Break, cx: &mut Context<Self>) {
        self.lose(cx);
        std::panic::resume_unwind(Box::new("on purpose")); // without a line each
    }
}

fn towns(world: World, book: &Shared) -> World {
    let book = book.clone();
    world.shards(SHARDS).service(move |_| Town(book.clone()))
}

/// Has all towns look, at a time when nothing happens.
fn views(world: &mut World, book: &Shared) -> Vec<[Option<Address<Holder>>; 4]> {
    let outside = world.outside();
    for town in outside.services::<Town>() {
        outside.send(town, Look { last: true }).expect("there is room");
    }
    world.run_for(100);
    std::mem::take(&mut book.lock().unwrap().views)
}

#[test]
fn a_name_has_one_holder_in_every_view_and_is_free_when_that_ends() {
    let sums = Mutex::new([0; 4]);
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let book = Shared::default();
        let mut world = towns(world, &book).faults(Faults::swarm(seed)).configure(|config| {
            config.lane_slots = 2 << (seed % 4);
            config.batch = [1, 2, 32][seed as usize / 4 % 3];
            config.names_max = 4; // one that leaks is missed
        });
        let outside = world.outside();
        let mut panics = 0;
        for _ in 0..80 {
            let town = outside.service_on::<Town>(ShardId(rng.u16(0..SHARDS))).expect("one a shard");
            let place = Place::Shard(ShardId(rng.u16(0..SHARDS)));
            let name = NAMES[rng.usize(0..4)];
            let holder = book.lock().unwrap().holders.get(name).copied();
            let sent = match (rng.u8(0..8), holder) {
                (0 | 1, Some(holder)) => outside.send(holder, Quit).is_ok(),
                (2, Some(holder)) => outside.send(holder, GiveUp).is_ok(),
                (3, Some(holder)) if panics == 0 => {
                    panics += 1;
                    outside.send(holder, Break).is_ok()
                }
                (4, _) => outside.send(town, Hire { name, place, hasty: true }).is_ok(),
                _ => outside.send(town, Hire { name, place, hasty: false }).is_ok(),
            };
            assert!(sent, "there is room, and what has gone is counted only when it is heard");
            for town in outside.services::<Town>() {
                outside.send(town, Look { last: false }).expect("there is room");
            }
            world.run_for(rng.u64(0..4));
        }
        world.run_for(2000);
        // It is quiet: all know the same, and it is so.
        let holders = NAMES.map(|name| book.lock().unwrap().holders.get(name).copied());
        assert_eq!(views(&mut world, &book), [holders; SHARDS as usize]);
        // All go, and every name can be had again.
        for holder in holders.into_iter().flatten() {
            outside.send(holder, Quit).expect("there is room");
        }
        world.run_for(2000);
        assert_eq!(views(&mut world, &book), [[None; 4]; SHARDS as usize]);
        let granted = book.lock().unwrap().granted;
        for (number, name) in NAMES.into_iter().enumerate() {
            let place = Place::Shard(ShardId(number as u16 % SHARDS));
            let town = outside.service_on::<Town>(ShardId(0)).expect("one a shard");
            outside.send(town, Hire { name, place, hasty: false }).expect("there is room");
        }
        world.run_for(2000);
        {
            let book = book.lock().unwrap();
            assert_eq!(book.granted, granted + 4, "all names are free");
            let seen = [book.granted, book.taken, book.gone, book.seen];
            sums.lock().unwrap().iter_mut().zip(seen).for_each(|(sum, seen)| *sum += seen);
        }
        let panicked = world.stats().panics; // who had gone did not panic
        world.shut_down_after_panics(panicked);
    });
    let sums = sums.into_inner().unwrap();
    assert!(sums.iter().all(|&seen| seen > 300), "too few granted, taken, gone, seen to tell: {sums:?}");
}

#[test]
fn a_shard_decides_about_so_many_names_and_one_more_is_refused() {
    let book = Shared::default();
    let mut world = World::new(1).configure(|config| config.names_max = 2);
    let theirs = book.clone();
    world = world.service(move |_| Town(theirs.clone()));
    let outside = world.outside();
    let told = Arc::new(Mutex::new(Vec::new()));
    let many = Many(told.clone());
    drop(outside.spawn_on(ShardId(0), many)); // it is there all the same
    world.run_for(100);
    assert_eq!(
        *told.lock().unwrap(),
        [Ok(()), Ok(()), Err(NameError::Full), Ok(()), Err(NameError::TooLong), Err(NameError::Gone)]
    );
    world.shut_down();
}

/// Claims three names, one of them once more, a long one, and one for somebody who is gone.
struct Many(Arc<Mutex<Vec<Result<(), NameError>>>>);

impl Actor for Many {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        for name in ["one", "two", "three", "two"] {
            cx.register(name, me).then(Self::named).expect("there is room");
        }
        let long = "n".repeat(256);
        let refused = cx.register(&long, me).then(|_, _, _| unreachable!("it is refused at once"));
        let gone = cx.spawn(Gone).expect("there is room");
        cx.register("four", gone)
            .then(move |many, named, _| many.0.lock().unwrap().extend([refused, named]))
            .expect("room");
    }
}

impl Many {
    fn named(&mut self, named: Result<(), NameError>, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(named);
    }
}

/// Is gone at once.
struct Gone;
impl Actor for Gone {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.stop();
    }
}
