//! A room's order, where what is said in it has priorities: numbers only grow, and the urgent is before what others say.

use super::board::{Board, Enter, Post, long, names};
use super::rooms::{seqs, told, world};
use corewire::actor::Priority;
use corewire::connection::Slow;
use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Report, World};
use corewire_actors::rooms::{RoomRules, SlowRule};
use std::sync::Mutex;
use std::time::Duration;

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (board, me) = (cx.service::<Board>().expect("one is on each shard"), cx.address().id());
        Ok(cx.send(board, Enter(me))?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

/// The numbers of what was heard of a room, whose frames are called "ROOM/NUMBER".
fn numbers(heard: &[&str], room: u32) -> Vec<usize> {
    let of_room = heard.iter().filter_map(|name| name.strip_prefix(&format!("{room}/"))?.parse().ok());
    of_room.collect()
}

#[test]
fn of_a_room_that_keeps_its_order_a_client_hears_what_is_left_in_that_order() {
    let dropped = Mutex::new(0);
    sim::check(super::seeds(500), |w| {
        let seed = w.seed();
        let rate = 0.2 * (seed % 3) as f64;
        let faults = Faults::none().with(Fault::SmallBuffers, 1.0).with(Fault::ShortSend, rate);
        let (world, _) = Board::in_world(w.faults(faults));
        let mut world = world.at("/", |_: &Upgrade| Ok(Member)).configure(super::sessions::patient);
        let script = Client::at("/").wait(Duration::from_secs(30)).close(1000);
        let client = world.client(match seed % 4 {
            0 => script, // it keeps up
            _ => script.reads_slowly(4000, Duration::from_millis(2)),
        });
        world.run_for(20);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut said = [0; 4];
        // Now and then so much in one turn that what the kernel does not take of it is more than may be on its way.
        let bytes_max = if seed % 2 == 0 { 400 } else { 20_000 };
        for _ in 0..60 {
            let posts = (0..rng.usize(1..6)).map(|_| {
                let room = rng.u32(0..4);
                let frames = (0..rng.usize(1..4)).map(|_| {
                    said[room as usize] += 1;
                    let key = Some(rng.u64(0..4)).filter(|&key| key > 0);
                    (long(format!("{room}/{}", said[room as usize]), rng.usize(0..bytes_max)), key)
                });
                let frames = frames.collect();
                Post {
                    priority: *rng.choice(&PRIORITIES).expect("there are some"),
                    keeps_order: room < 3,
                    slow: [Slow::DropOldest, Slow::DropNewest, Slow::KeepLatest, Slow::DropOldest]
                        [room as usize],
                    queue_frames: [20, 500, 12, 30][room as usize],
                    frames,
                    ..Post::plain(room, "")
                }
            });
            let posts = posts.collect();
            Board::post(&mut world, posts);
            world.run_for(rng.u64(0..3));
        }
        world.run_until_quiet(3_600_000);
        let stats = world.stats();
        let heard = names(world.report(client));
        for room in 0..3 {
            let numbers = numbers(&heard, room);
            assert!(numbers.is_sorted_by(|a, b| a < b), "room {room}: {numbers:?}");
        }
        assert_eq!(heard.len() as u64 + stats.slow_dropped, said.iter().sum::<usize>() as u64);
        *dropped.lock().unwrap() += stats.slow_dropped;
        world.shut_down();
    });
    assert!(dropped.into_inner().unwrap() > 1000, "too little was dropped to tell");
}

/// A world whose one client does not read for a while, and so much is on its way already that nothing more is sent.
fn world_with_one_who_is_behind(seed: u64, filler: Post) -> (World, usize) {
    let faults = Faults::none().with(Fault::SmallBuffers, 1.0);
    let (world, _) = Board::in_world(World::new(seed).faults(faults));
    let mut world = world.at("/", |_: &Upgrade| Ok(Member));
    let script = Client::at("/").stop_reading().wait(Duration::from_millis(100)).read_again();
    let client = world.client(script.wait(Duration::from_secs(5)).close(1000));
    world.run_for(20);
    Board::post(&mut world, vec![filler]);
    world.run_for(1);
    (world, client)
}

fn of_room(room: u32, priority: Priority, frames: &[&str]) -> Post {
    let frames = frames.iter().map(|name| ((*name).to_owned(), None)).collect();
    Post { priority, keeps_order: true, frames, ..Post::plain(room, "") }
}

#[test]
fn the_urgent_of_a_room_takes_what_was_said_there_before_along_and_leaves_before_what_others_say() {
    let (mut world, client) = world_with_one_who_is_behind(1, Post::plain(99, long("filler", 8000)));
    let posts = [
        of_room(1, Priority::Normal, &["1/1", "1/2"]),
        of_room(2, Priority::High, &["2/1"]),
        of_room(3, Priority::Low, &["3/1"]),
        of_room(1, Priority::Low, &["1/3"]),
        of_room(1, Priority::Critical, &["1/4"]),
        of_room(1, Priority::Normal, &["1/5"]),
        of_room(3, Priority::Normal, &["3/2"]),
    ];
    Board::post(&mut world, posts.into());
    world.run_until_quiet(60_000);
    let heard = names(world.report(client));
    assert_eq!(heard[1..], ["1/1", "1/2", "1/3", "1/4", "2/1", "1/5", "3/1", "3/2"]);
    world.shut_down();
}

#[test]
fn what_is_full_drops_the_least_urgent_of_its_room_though_that_was_taken_along() {
    let (mut world, client) = world_with_one_who_is_behind(2, Post::plain(99, long("filler", 8000)));
    let four = |post| Post { queue_frames: 4, ..post };
    let posts = [
        of_room(1, Priority::Normal, &["1/1", "1/2"]),
        of_room(1, Priority::Low, &["1/3"]),
        of_room(1, Priority::Critical, &["1/4", "1/5", "1/6"]),
    ];
    Board::post(&mut world, posts.map(four).into());
    world.run_until_quiet(60_000);
    assert_eq!(names(world.report(client))[1..], ["1/2", "1/4", "1/5", "1/6"]);
    assert_eq!(world.stats().slow_dropped, 2);
    world.shut_down();
}

#[test]
fn the_urgent_does_not_overtake_what_of_its_room_was_to_be_sent_already_but_that_of_others() {
    for (room, first) in [(1, "1/20"), (2, "2/1")] {
        let mut filler = of_room(1, Priority::Normal, &[]);
        filler.frames = (1..=20).map(|n| (long(format!("1/{n}"), 10_000), None)).collect();
        let (mut world, client) = world_with_one_who_is_behind(3, filler);
        let name = format!("{room}/{}", if room == 1 { 21 } else { 1 });
        Board::post(&mut world, vec![of_room(room, Priority::Critical, &[&name])]);
        world.run_until_quiet(60_000);
        let heard = names(world.report(client));
        let place = |name| heard.iter().position(|heard| *heard == name).expect("it was heard");
        assert_eq!(numbers(&heard, 1).len() + numbers(&heard, 2).len(), 21);
        assert!(numbers(&heard, 1).is_sorted(), "{heard:?}");
        assert!(place(first) < place(if room == 1 { "1/21" } else { "1/20" }), "{heard:?}");
        world.shut_down();
    }
}

/// A client that joins, says so much with all priorities, and goes.
fn talker(name: usize, says: usize, room: &str) -> Client {
    let mut script = Client::at("/").text(&format!("join {room} n{name}"));
    for n in 0..says {
        script =
            script.wait(Duration::from_millis(7)).text(&format!("at {} {room} n{name}-{n}", (n + name) % 4));
    }
    script.wait(Duration::from_secs(20)).close(1000)
}

#[test]
fn whatever_the_priorities_the_numbers_only_grow_and_nothing_is_left_out_but_what_was_dropped() {
    let gaps = Mutex::new(0);
    sim::check(super::seeds(200), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.0).with(Fault::SmallBuffers, 1.0);
        let queue_frames = if w.seed() % 2 == 0 { 4 } else { 1000 };
        let rules = RoomRules { slow: SlowRule::DropOldest, queue_frames, ..RoomRules::default() };
        let mut world = world(w, rules).faults(faults);
        for n in 0..3 {
            world.client(talker(n, 30, "lobby"));
        }
        let slow = Client::at("/").text("join lobby slow").reads_slowly(40, Duration::from_millis(20));
        let slow = world.client(slow.wait(Duration::from_secs(60)).close(1000));
        world.run_until_quiet(3_600_000);
        let heard = seqs(world.report(slow));
        assert!(heard.is_sorted_by(|a, b| a < b), "{heard:?}");
        let missing = heard.windows(2).map(|pair| pair[1] - pair[0] - 1).sum::<u64>();
        assert!(queue_frames == 4 || missing == 0, "nothing was dropped: {heard:?}");
        *gaps.lock().unwrap() += missing;
        world.shut_down();
    });
    assert!(gaps.into_inner().unwrap() > 50, "nothing was dropped");
}

#[test]
fn who_was_behind_and_comes_back_by_the_highest_number_it_heard_has_heard_all_in_the_end() {
    let came_back = Mutex::new(0);
    sim::check(super::seeds(500), |w| {
        let faults = Faults::swarm(w.seed())
            .with(Fault::Cut, 0.1)
            .with(Fault::StalledClient, 0.0)
            .with(Fault::SmallBuffers, 1.0);
        let rules = RoomRules { queue_frames: 1000, history_frames: 1000, ..RoomRules::default() };
        let mut world = world(w, rules).faults(faults);
        for n in 0..3 {
            world.client(talker(n, 20, "lobby"));
        }
        let listen = |script: Client| {
            let script = script.reads_slowly(60, Duration::from_millis(20));
            script.wait(Duration::from_secs(60)).close(1000)
        };
        let again = move |report: &Report| {
            let joined = told(report, "joined").last();
            listen(Client::at("/").text(&match joined {
                Some(joined) => {
                    let seq = seqs(report).into_iter().max().or(joined["seq"].as_u64()).unwrap();
                    format!("since lobby l {} {seq}", joined["epoch"].as_str().unwrap())
                }
                None => "join lobby l".to_owned(),
            }))
        };
        let listener = listen(Client::at("/").text("join lobby l"));
        let listener = world.client(listener.comes_back(1000, Duration::from_millis(50), again));
        world.run_until_quiet(3_600_000);
        let report = world.report(listener);
        let heard = seqs(report);
        let first = heard.first().copied().unwrap_or_default();
        let last = first + heard.len() as u64;
        assert_eq!(heard, (first..last).collect::<Vec<_>>(), "no gap, none twice: {report:?}");
        *came_back.lock().unwrap() += u32::from(report.connections > 1 && heard.len() > 1);
        world.shut_down();
    });
    let came_back = came_back.into_inner().unwrap();
    assert!(came_back > 100, "only {came_back} came back, too few to tell");
}
