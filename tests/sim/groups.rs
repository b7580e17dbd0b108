//! Groups between shards: all come to know the same members, those who end have left, and nothing is left over.

use corewire::actor::{By, Group, JoinError};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Faults, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

const SHARDS: u16 = 3;
const GROUPS: [Group<Singer>; 3] = [Group::new("alto"), Group::new("bass"), Group::new("choir")];

/// One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    /// Who is in which group, as they say themselves.
    members: [BTreeSet<Id>; 3],
    singers: Vec<Address<Singer>>,
    views: Vec<[BTreeSet<Id>; 3]>,
    heard: HashMap<(Address<Singer>, u32), u32>,
    full: usize,
    again: usize,
}

type Id = corewire::actor::ActorId;
type Shared = Arc<Mutex<Book>>;

/// Is in some groups.
struct Singer(Shared);
/// Looks, and sends.
struct Stage(Shared);

struct Join(usize);
struct Leave(usize);
/// Leaves, and joins before anybody else can have heard of it.
struct Waver(usize);
struct Quit;
struct Look;
#[derive(Clone)]
struct Note(u32);
/// Send this to all, by round robin so often, and by key once.
struct Conduct {
    group: usize,
    all: u32,
    turns: (u32, u32),
    key: (u64, u32),
}

impl Actor for Singer {
    fn started(&mut self, cx: &mut Context<Self>) {
        self.0.lock().unwrap().singers.push(cx.address());
    }

    fn stopped(&mut self, _: &Reason, cx: &mut Context<Self>) {
        let (mut book, me) = (self.0.lock().unwrap(), cx.address());
        book.members.iter_mut().for_each(|members| {
            members.remove(&me.id());
        });
        book.singers.retain(|singer| *singer != me);
    }
}

impl Handler<Join> for Singer {
    type Reply = ();
    fn handle(&mut self, Join(group): Join, cx: &mut Context<Self>) {
        let me = cx.address().id();
        match cx.join(GROUPS[group]) {
            Ok(()) => drop(self.0.lock().unwrap().members[group].insert(me)),
            Err(error) => {
                assert_eq!(error, JoinError::Full);
                self.0.lock().unwrap().full += 1;
            }
        }
    }
}

impl Handler<Leave> for Singer {
    type Reply = ();
    fn handle(&mut self, Leave(group): Leave, cx: &mut Context<Self>) {
        let was_in = self.0.lock().unwrap().members[group].remove(&cx.address().id());
        assert_eq!(cx.leave(GROUPS[group]), was_in);
        assert!(
            cx.members(GROUPS[group]).all(|member| member != cx.address()),
            "its own shard knows at once"
        );
    }
}

impl Handler<Waver> for Singer {
    type Reply = ();
    fn handle(&mut self, Waver(group): Waver, cx: &mut Context<Self>) {
        if cx.leave(GROUPS[group]) {
            cx.join(GROUPS[group]).expect("it has its place still");
            self.0.lock().unwrap().again += 1;
        }
    }
}

impl Handler<Quit> for Singer {
    type Reply = ();
    fn handle(&mut self, _: Quit, cx: &mut Context<Self>) {
        cx.stop();
    }
}

impl Handler<Note> for Singer {
    type Reply = ();
    fn handle(&mut self, Note(note): Note, cx: &mut Context<Self>) {
        *self.0.lock().unwrap().heard.entry((cx.address(), note)).or_default() += 1;
    }
}

impl Actor for Stage {}

impl Handler<Look> for Stage {
    type Reply = ();
    fn handle(&mut self, _: Look, cx: &mut Context<Self>) {
        let view = GROUPS.map(|group| cx.members(group).map(Address::id).collect());
        self.0.lock().unwrap().views.push(view);
    }
}

impl Handler<Conduct> for Stage {
    type Reply = ();
    fn handle(&mut self, conduct: Conduct, cx: &mut Context<Self>) {
        let group = GROUPS[conduct.group];
        assert_eq!(cx.send_to_group(group, Note(conduct.all)), 0, "there is room");
        for _ in 0..conduct.turns.0 {
            cx.send_to_one(group, By::RoundRobin, Note(conduct.turns.1)).expect("somebody is in it");
        }
        cx.send_to_one(group, By::Key(conduct.key.0), Note(conduct.key.1)).expect("somebody is in it");
    }
}

fn views(world: &mut World, book: &Shared) -> Vec<[BTreeSet<Id>; 3]> {
    let outside = world.outside();
    for stage in outside.services::<Stage>() {
        outside.send(stage, Look).expect("there is room");
    }
    world.run_for(100);
    std::mem::take(&mut book.lock().unwrap().views)
}

fn check_all_know(world: &mut World, book: &Shared) {
    world.run_for(2000);
    let members = book.lock().unwrap().members.clone();
    for view in views(world, book) {
        assert_eq!(view, members, "a shard knows other members than there are");
    }
}

#[test]
fn all_shards_come_to_know_the_same_members_and_those_who_end_have_left() {
    let sums = Mutex::new([0; 3]);
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let book = Shared::default();
        let theirs = book.clone();
        let mut world =
            world.shards(SHARDS).service(move |_| Stage(theirs.clone())).faults(Faults::swarm(seed));
        world = world.configure(|config| {
            config.lane_slots = [4, 512][seed as usize % 2];
            config.batch = [1, 2, 32][seed as usize / 2 % 3];
            config.memberships_max = [6, 1000][seed as usize / 6 % 2];
        });
        let outside = world.outside();
        for _ in 0..120 {
            let singer = rng.choice(&book.lock().unwrap().singers).copied();
            let group = rng.usize(0..3);
            match (rng.u8(0..12), singer) {
                (0..=5, Some(singer)) => outside.send(singer, Join(group)).expect("there is room"),
                (6, Some(singer)) => outside.send(singer, Leave(group)).expect("there is room"),
                (7 | 8, Some(singer)) => outside.send(singer, Waver(group)).expect("there is room"),
                (9, Some(singer)) => outside.send(singer, Quit).expect("there is room"),
                _ => drop(outside.spawn_on(ShardId(rng.u16(0..SHARDS)), Singer(book.clone()))),
            }
            world.run_for(rng.u64(0..3));
        }
        check_all_know(&mut world, &book);
        for group in (0..3).filter(|_| seed % 2 == 1) {
            check_heard(&mut world, &book, group);
        }
        let singers = book.lock().unwrap().singers.clone();
        for &singer in &singers {
            outside.send(singer, Quit).expect("there is room");
        }
        check_all_know(&mut world, &book);
        let members = book.lock().unwrap().members.clone();
        assert!(members.iter().all(BTreeSet::is_empty), "nobody is left");
        // As many can join as ever.
        for shard in 0..SHARDS {
            for _ in 0..2 {
                drop(outside.spawn_on(ShardId(shard), Singer(book.clone())));
            }
        }
        world.run_for(100);
        let singers = book.lock().unwrap().singers.clone();
        let full = book.lock().unwrap().full;
        assert_eq!(singers.len(), usize::from(SHARDS) * 2);
        for &singer in &singers {
            (0..3).for_each(|group| outside.send(singer, Join(group)).expect("there is room"));
        }
        check_all_know(&mut world, &book);
        {
            let book = book.lock().unwrap();
            assert_eq!(book.full, full, "places of members who have left are free");
            let seen = [book.heard.len(), book.full, book.again];
            sums.lock().unwrap().iter_mut().zip(seen).for_each(|(sum, seen)| *sum += seen);
        }
        world.shut_down();
    });
    let sums = sums.into_inner().unwrap();
    assert!(sums.iter().all(|&seen| seen > 300), "too few heard, full, joined again to tell: {sums:?}");
}

/// From each shard: all hear what is for all, each hears its share of the turns, and one hears what has a key.
fn check_heard(world: &mut World, book: &Shared, group: usize) {
    let members = book.lock().unwrap().members[group].clone();
    if members.is_empty() {
        return;
    }
    let outside = world.outside();
    let mut by_key = BTreeMap::new();
    for stage in outside.services::<Stage>() {
        let base = group as u32 * 100 + u32::from(stage.id().shard().0) * 10;
        let turns = (members.len() as u32 * 2, base + 1);
        let conduct = Conduct { group, all: base, turns, key: (group as u64, base + 2) };
        outside.send(stage, conduct).expect("there is room");
        world.run_for(500);
        let book = book.lock().unwrap();
        let heard = |note| book.heard.iter().filter(move |((_, heard), _)| *heard == note);
        let all: BTreeSet<_> = heard(base).map(|((who, _), _)| who.id()).collect();
        assert_eq!(all, members, "all hear what is for all");
        assert!(heard(base).all(|(_, &times)| times == 1), "and once");
        assert!(heard(base + 1).all(|(_, &times)| times == 2), "turns are taken");
        assert_eq!(heard(base + 1).count(), members.len());
        for ((who, _), times) in heard(base + 2) {
            *by_key.entry(who.id()).or_insert(0) += times;
        }
    }
    assert_eq!(
        by_key.into_values().collect::<Vec<_>>(),
        [u32::from(SHARDS)],
        "one has the key on all shards"
    );
}
