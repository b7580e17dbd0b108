//! Where connections live: as evenly as was asked for, never more on a shard than it may have, whatever the network does.

use corewire::prelude::*;
use corewire::server::{Placement, shard_of_user};
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHARDS: u16 = 3;

/// How many are open on each shard, and how many were at once at most. One thread runs the world; the lock is for the
/// compiler.
type Open = Arc<Mutex<BTreeMap<ShardId, (u32, u32)>>>;

struct Guest(Open);

impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut open = self.0.lock().unwrap();
        let (now, most) = open.entry(cx.shard()).or_default();
        *now += 1;
        *most = (*now).max(*most);
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }

    fn closed(&mut self, _: CloseReason, cx: &mut Context<Self>) {
        self.0.lock().unwrap().get_mut(&cx.shard()).expect("it was counted").0 -= 1;
    }
}

fn world_of(world: World, open: &Open, change: impl FnOnce(&mut Config)) -> World {
    let open = open.clone();
    world.shards(SHARDS).at("/", move |_: &Upgrade| Ok(Guest(open.clone()))).configure(change)
}

#[test]
fn round_robin_gives_each_shard_as_many_as_the_others() {
    sim::check(super::seeds(50), |world| {
        let open = Open::default();
        let mut world = world_of(world, &open, |config| config.placement = Placement::RoundRobin);
        for n in 0..30 {
            world.client(Client::at("/").later(Duration::from_millis(n / 10)));
        }
        world.run_for(1000);
        let now: Vec<_> = open.lock().unwrap().values().map(|(now, _)| *now).collect();
        assert_eq!(now, [10; SHARDS as usize]);
        world.shut_down();
    });
}

#[test]
fn the_less_loaded_of_two_is_nearly_even() {
    let unevenness = Mutex::new(0);
    sim::check(super::seeds(50), |world| {
        let open = Open::default();
        let mut world = world_of(world, &open, |_| ());
        for n in 0..60 {
            world.client(Client::at("/").later(Duration::from_millis(n / 20)));
        }
        world.run_for(1000);
        let now: Vec<_> = open.lock().unwrap().values().map(|(now, _)| *now).collect();
        *unevenness.lock().unwrap() += now.iter().max().unwrap() - now.iter().min().unwrap();
        world.shut_down();
    });
    let unevenness = unevenness.into_inner().unwrap();
    assert!(
        unevenness <= 50 * 4,
        "20 on each, and between fullest and emptiest {} on average",
        unevenness / 50
    );
}

#[test]
fn no_shard_has_more_clients_than_it_may_and_all_are_used_before_one_is_refused() {
    let refused = Mutex::new(0);
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let open = Open::default();
        let wide = seed / 2 % 2 == 1;
        let faults = Faults::swarm(seed).with(Fault::Cut, 0.0);
        let mut world = world_of(world.faults(faults), &open, |config| {
            config.clients_per_shard_max = 5;
            config.placement = [Placement::LeastLoaded, Placement::RoundRobin][seed as usize % 2];
            config.lane_slots = [2, 64][usize::from(wide)];
            config.rules.idle_timeout = Duration::from_secs(3600);
        });
        let first: Vec<_> = (0..25).map(|_| world.client(Client::at("/"))).collect();
        world.run_for(120_000);
        let counted = |world: &World, clients: &[usize]| {
            let is_refused =
                |client: &&usize| world.report(**client).heard.first() == Some(&Heard::Refused(503));
            let opened = clients.iter().filter(|&&client| world.report(client).opened).count();
            (opened, clients.iter().filter(is_refused).count())
        };
        let (opened, turned_away) = counted(&world, &first);
        assert!(opened <= 15, "{opened} of 15");
        // Where the way to a shard is full, its room is not used.
        assert!(opened == 15 || !wide, "{opened} of 15, {turned_away} turned away");
        *refused.lock().unwrap() += turned_away;
        world.drain();
        world.run_until_quiet(7_200_000);
        for (shard, (now, most)) in &*open.lock().unwrap() {
            assert!(*now == 0 && *most <= 5, "{shard} had {most}, and has {now}");
        }
        world.shut_down();
    });
    assert!(refused.into_inner().unwrap() > 1000);
}

#[test]
fn there_is_room_again_when_clients_have_gone() {
    let open = Open::default();
    let mut world = world_of(World::new(3), &open, |config| config.clients_per_shard_max = 2);
    for round in 0..10 {
        let clients: Vec<_> =
            (0..6).map(|_| world.client(Client::at("/").wait(Duration::from_secs(1)).close(1000))).collect();
        world.run_for(500);
        let late = world.client(Client::at("/"));
        world.run_until_quiet(60_000);
        assert!(clients.iter().all(|&client| world.report(client).opened), "round {round}");
        assert_eq!(world.report(late).heard.first(), Some(&Heard::Refused(503)));
    }
    world.shut_down();
}

/// Echoes, and notes whether it is where its user lives.
struct AtHome(Arc<Mutex<(u32, u32)>>, String);

impl Session for AtHome {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut seen = self.0.lock().unwrap();
        let home = shard_of_user(self.1.as_bytes(), 16, SHARDS);
        *(if home == cx.shard() { &mut seen.0 } else { &mut seen.1 }) += 1;
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

/// How many of 30 connections of 5 users came to where their users live, and how many elsewhere.
fn at_home_and_elsewhere(world: World, faults: Faults, panics: bool) -> (u32, u32) {
    let seen = Arc::new(Mutex::new((0, 0)));
    let theirs = seen.clone();
    let make = move |upgrade: &Upgrade<'_>| {
        let user = upgrade.query().and_then(|query| query.rsplit('=').next()).expect("it says who it is");
        Ok(AtHome(theirs.clone(), user.to_owned()))
    };
    let mut world = world.shards(SHARDS).faults(faults).at("/", make);
    world = world.configure(|config| config.placement = Placement::UserHash { partitions: 16 });
    if panics {
        world = world.user_by(|_| std::panic::resume_unwind(Box::new("on purpose")));
    }
    for n in 0..30 {
        let client = Client::at(&format!("/?v=1&user=u{}", n % 5)).later(Duration::from_millis(n / 10));
        world.client(client.text("hello").expects_echo().until_heard(1).close(1000));
    }
    world.run_until_quiet(7_200_000);
    world.assert_echoed();
    world.shut_down_after_panics(if panics { 30 } else { 0 });
    *seen.lock().unwrap()
}

#[test]
fn users_connections_live_where_their_partition_does() {
    sim::check(super::seeds(50), |world| {
        assert_eq!(at_home_and_elsewhere(world, Faults::none(), false), (30, 0));
    });
}

#[test]
fn whose_request_comes_in_pieces_is_served_elsewhere_if_need_be() {
    let sums = Mutex::new((0, 0));
    sim::check(super::seeds(200), |world| {
        let faults = Faults::swarm(world.seed());
        let (at_home, elsewhere) = at_home_and_elsewhere(world, faults, false);
        let mut sums = sums.lock().unwrap();
        *sums = (sums.0 + at_home, sums.1 + elsewhere);
    });
    let (at_home, elsewhere) = sums.into_inner().unwrap();
    assert!(at_home > elsewhere && elsewhere > 100, "{at_home} at home, {elsewhere} elsewhere");
}

#[test]
fn a_panic_of_who_is_to_say_whose_a_request_is_ends_nobody() {
    sim::check(5, |world| {
        let (at_home, elsewhere) = at_home_and_elsewhere(world, Faults::none(), true);
        assert_eq!(at_home + elsewhere, 30);
    });
}
