//! Rooms in a world that does what it likes: order, recovery, and who is slow.

use corewire::actor::Priority;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Fault, Faults, Heard, Report, World};
use corewire_actors::rooms::{Body, InRooms, Join, Note, RoomRules, Rooms, RoomsConfig, SlowRule};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Joins as its client says: "join ROOM NAME", "plain ROOM", "past ROOM COUNT", "all ROOM NAME", "since ROOM NAME EPOCH SEQ", "leave ROOM", "who ROOM"; what else it says is
/// said in the room of the first word, "at PRIORITY ROOM" with a priority. In every other world it moves
/// from shard to shard while it does.
pub(super) struct Talk {
    rng: fastrand::Rng,
    moves: bool,
}

impl Talk {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), moves: seed.is_multiple_of(2) }
    }

    fn wander(&mut self, cx: &mut Context<Self>) {
        if self.moves && self.rng.u8(0..3) == 0 {
            cx.migrate(cx.address(), ShardId(self.rng.u16(0..3)));
        }
    }
}

impl Session for Talk {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;

    fn moved(&mut self, _: ShardId, cx: &mut Context<Self>) {
        self.wander(cx);
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.wander(cx);
        let Some(text) = message.as_text().map(str::to_owned) else {
            return Ok(cx.publish("lobby", message)?);
        };
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["plain", room] => cx.join_room(room, Join::plain())?,
            ["past", room, count] => {
                cx.join_room(room, Join::plain().history(count.parse().expect("a number")))?;
            }
            ["all", room, name] => cx.join_room(room, Join::json().named(name).history(u32::MAX))?,
            ["many", room, count, bytes] => {
                let said = "x".repeat(bytes.parse().expect("a number"));
                for n in 0..count.parse().expect("a number") {
                    cx.publish(room, Note::new(Body::Text(format!("{n} {said}").into())))?;
                }
            }
            ["join", room, name] => cx.join_room(room, Join::json().named(name))?,
            ["since", room, name, epoch, seq] => {
                let join = Join::json().named(name).since(epoch, seq.parse().expect("a number"));
                cx.join_room(room, join.expect("an epoch"))?;
            }
            ["leave", room] => cx.leave_room(room)?,
            ["who", room] => cx.ask_who(room)?,
            ["key", room, key, value] => {
                let note = Note::new(Body::Json(value.into())).keyed(key.parse().expect("a number"));
                cx.publish(room, note)?;
            }
            ["at", priority, room, said] => {
                let priority = PRIORITIES[priority.parse::<usize>().expect("a number")];
                cx.publish(room, Note::new(Body::Text(said.into())).at(priority))?;
            }
            [room, said] => cx.publish(room, Note::new(Body::Text(said.into())))?,
            _ => return Err(Close::new(1008, "what?")),
        }
        Ok(())
    }
}

/// The lowest first.
const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

pub(super) fn world(world: World, rules: RoomRules) -> World {
    let mut config = RoomsConfig::default().rules(move |_| rules.clone());
    config.slice = 3;
    let seed = world.seed();
    world.shards(3).service(Rooms::service(config)).at("/", move |_: &Upgrade| Ok(Talk::new(seed))).configure(
        |config| {
            config.lane_slots = 1024; // who has moved publishes by a lane, and a burst is not to be refused there
            config.rules.idle_timeout = Duration::from_secs(1800);
            config.rules.close_timeout = Duration::from_secs(600);
        },
    )
}

/// The objects that a client has heard of one type, in order.
pub(super) fn told<'r>(report: &'r Report, kind: &'r str) -> impl Iterator<Item = Value> + 'r {
    report.messages().filter_map(move |heard| {
        let Heard::Text(text) = heard else { return None };
        let mut object: Value = serde_json::from_str(text).ok()?;
        (object["type"] == kind).then(|| object["data"].take())
    })
}

pub(super) fn seqs(report: &Report) -> Vec<u64> {
    told(report, "message").filter_map(|data| data["seq"].as_u64()).collect()
}

/// A client that joins, says so much at random times, and goes.
fn talker(name: usize, says: usize, room: &str) -> Client {
    let mut script = Client::at("/").text(&format!("join {room} n{name}"));
    for n in 0..says {
        script = script.wait(Duration::from_millis(7)).text(&format!("{room} n{name}-{n}"));
    }
    script.wait(Duration::from_secs(20)).close(1000)
}

#[test]
fn everybody_who_stays_hears_every_message_once_and_in_the_same_order() {
    sim::check(super::seeds(1_000), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.0).with(Fault::StalledClient, 0.0);
        let mut world = world(w, RoomRules { slow: SlowRule::Close, ..RoomRules::default() }).faults(faults);
        let clients: Vec<usize> = (0..7).map(|n| world.client(talker(n, 5, "lobby"))).collect();
        world.run_until_quiet(600_000);
        let mut all = BTreeMap::new();
        let mut last = 0;
        for &client in &clients {
            let report = world.report(client);
            for data in told(report, "message") {
                let (seq, text) = (data["seq"].as_u64().unwrap(), data["data"].as_str().unwrap().to_owned());
                let before = all.entry(seq).or_insert_with(|| text.clone());
                assert_eq!(*before, text, "everybody hears the same by the same number");
                last = last.max(seq);
            }
        }
        assert_eq!(last, 35, "each message has a number");
        for &client in &clients {
            let report = world.report(client);
            let joined = told(report, "joined").next().expect("it is in");
            let heard = seqs(report);
            let from = joined["seq"].as_u64().unwrap();
            assert_eq!(heard, (from + 1..=35).collect::<Vec<_>>(), "client {client} from {from} on");
        }
        world.shut_down();
    });
}

#[test]
fn who_is_cut_and_comes_back_hears_what_it_missed() {
    let came_back = Mutex::new(0);
    sim::check(super::seeds(1_000), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.1).with(Fault::StalledClient, 0.0);
        let rules = RoomRules { slow: SlowRule::Close, history_frames: 1000, ..RoomRules::default() };
        let mut world = world(w, rules).faults(faults);
        for n in 0..3 {
            world.client(talker(n, 20, "lobby"));
        }
        let listeners: Vec<usize> = (0..4)
            .map(|n| {
                let first = Client::at("/").text(&format!("join lobby l{n}"));
                let again = move |report: &Report| {
                    let script = match (told(report, "joined").last(), seqs(report).last()) {
                        (Some(joined), seq) => {
                            let (epoch, at) =
                                (joined["epoch"].as_str().unwrap(), joined["seq"].as_u64().unwrap());
                            let seq = seq.copied().unwrap_or(at);
                            Client::at("/").text(&format!("since lobby l{n} {epoch} {seq}"))
                        }
                        (None, _) => Client::at("/").text(&format!("join lobby l{n}")),
                    };
                    script.wait(Duration::from_secs(20)).close(1000)
                };
                let first = first.wait(Duration::from_secs(20)).close(1000);
                world.client(first.comes_back(1000, Duration::from_millis(50), again))
            })
            .collect();
        world.run_until_quiet(600_000);
        let last = listeners.iter().filter_map(|client| seqs(world.report(*client)).last().copied()).max();
        let last = last.unwrap_or_default();
        for client in listeners {
            let report = world.report(client);
            let Some(joined) = told(report, "joined").next() else { continue };
            let first = joined["seq"].as_u64().unwrap() + 1;
            assert_eq!(seqs(report), (first..=last).collect::<Vec<_>>(), "no gap, none twice: {report:?}");
            assert!(told(report, "joined").all(|joined| joined["recovered"] == true), "{report:?}");
            *came_back.lock().unwrap() += u32::from(report.connections > 1);
        }
        world.shut_down();
    });
    let came_back = came_back.into_inner().unwrap();
    assert!(came_back > 500, "only {came_back} came back, too few to tell");
}

#[test]
fn under_drops_the_numbers_only_grow() {
    let gaps = Mutex::new(0);
    for slow in [SlowRule::DropOldest, SlowRule::DropNewest] {
        sim::check(super::seeds(100), |w| {
            let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.0).with(Fault::SmallBuffers, 1.0);
            let rules = RoomRules { slow, queue_frames: 4, ..RoomRules::default() };
            let mut world = world(w, rules).faults(faults);
            for n in 0..3 {
                world.client(talker(n, 30, "lobby"));
            }
            let slow = Client::at("/").text("join lobby slow").reads_slowly(40, Duration::from_millis(20));
            let slow = world.client(slow.wait(Duration::from_secs(60)).close(1000));
            world.run_until_quiet(3_600_000);
            let heard = seqs(world.report(slow));
            assert!(heard.is_sorted_by(|a, b| a < b), "{heard:?}");
            *gaps.lock().unwrap() += heard.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
            world.shut_down();
        });
    }
    assert!(gaps.into_inner().unwrap() > 50, "nothing was dropped");
}

#[test]
fn everybody_learns_who_is_there() {
    sim::check(super::seeds(1_000), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::StalledClient, 0.0);
        let mut world = world(w, RoomRules::default()).faults(faults);
        for n in 0..6 {
            let script = Client::at("/").text(&format!("join lobby n{n}")).wait(Duration::from_millis(300));
            world.client(if n % 2 == 0 {
                script.text("leave lobby").wait(Duration::from_secs(30)).close(1000)
            } else {
                script.cut()
            });
        }
        let watcher =
            Client::at("/").text("join lobby watcher").wait(Duration::from_secs(40)).text("who lobby");
        let watcher =
            world.client(watcher.wait(Duration::from_secs(5)).close(1000).later(Duration::from_millis(1)));
        world.run_until_quiet(3_600_000);
        let report = world.report(watcher);
        if !report.cut && told(report, "joined").count() > 0 {
            let members = told(report, "members").last().expect("it asked");
            assert_eq!(
                (members["members"].as_u64(), members["names"].to_string().as_str()),
                (Some(1), "[\"watcher\"]"),
                "{report:?}"
            );
            let last = told(report, "presence").last().expect("it came itself");
            assert_eq!(last["members"], 1, "{report:?}");
        }
        world.shut_down();
    });
}

#[test]
fn publishers_wait_for_who_is_slow_where_that_is_the_rule() {
    let waited = Mutex::new(0);
    sim::check(super::seeds(100), |w| {
        let faults = Faults::swarm(w.seed())
            .with(Fault::Cut, 0.0)
            .with(Fault::StalledClient, 0.0)
            .with(Fault::SmallBuffers, 1.0);
        let rules = RoomRules {
            slow: SlowRule::Pause(Duration::from_secs(600)),
            queue_frames: 64,
            backlog_frames: 160, // less than is said, so the rest must wait in sockets, unread
            ..RoomRules::default()
        };
        let mut world = world(w, rules).faults(faults);
        let slow = Client::at("/").text("join lobby slow").until_heard(1).stop_reading();
        let slow = world.client(
            slow.wait(Duration::from_secs(40)).read_again().wait(Duration::from_secs(60)).close(1000),
        );
        let talkers: Vec<usize> =
            (0..4).map(|n| world.client(talker(n, 50, "lobby").later(Duration::from_secs(5)))).collect();
        world.run_until_quiet(3_600_000);
        for &talker in &talkers {
            assert!(told(world.report(talker), "error").next().is_none(), "nothing is refused");
        }
        let heard = seqs(world.report(slow));
        assert_eq!(
            heard,
            (heard[0]..heard[0] + heard.len() as u64).collect::<Vec<_>>(),
            "nothing is left out"
        );
        assert_eq!(world.stats().slow_dropped, 0);
        *waited.lock().unwrap() += u32::from(heard.len() == 200);
        world.shut_down();
    });
    assert!(waited.into_inner().unwrap() > 90, "too few worlds in which it heard all");
}

#[test]
fn nobody_waits_longer_for_who_is_slow_than_the_rule_says() {
    sim::check(super::seeds(100), |w| {
        let faults = Faults::none().with(Fault::SmallBuffers, 1.0);
        let rules = RoomRules {
            slow: SlowRule::Pause(Duration::from_secs(2)),
            queue_frames: 16,
            ..RoomRules::default()
        };
        let mut world = world(w, rules).faults(faults);
        let stuck = Client::at("/").text("join lobby stuck").until_heard(1).stop_reading();
        world.client(stuck.wait(Duration::from_secs(100)).vanish());
        let listener = Client::at("/").text("join lobby listener").wait(Duration::from_secs(90)).close(1000);
        let listener = world.client(listener);
        world.client(talker(0, 100, "lobby").later(Duration::from_secs(1)).wait(Duration::from_secs(60)));
        world.run_for(89_000);
        let heard = seqs(world.report(listener));
        assert_eq!(heard.last(), Some(&100), "all was said in spite of the stuck one: {heard:?}");
        assert!(world.stats().slow_dropped > 0, "for which frames were dropped in the end");
        world.shut_down();
    });
}

#[test]
fn of_each_key_who_is_slow_hears_the_latest() {
    sim::check(super::seeds(100), |w| {
        let faults = Faults::swarm(w.seed())
            .with(Fault::Cut, 0.0)
            .with(Fault::StalledClient, 0.0)
            .with(Fault::SmallBuffers, 1.0);
        let rules = RoomRules { slow: SlowRule::KeepLatest, queue_frames: 8, ..RoomRules::default() };
        let mut world = world(w, rules).faults(faults);
        let slow = Client::at("/").text("join prices slow").until_heard(1).stop_reading();
        let slow = slow.wait(Duration::from_secs(30)).read_again().wait(Duration::from_secs(60)).close(1000);
        let slow = world.client(slow);
        let mut ticker = Client::at("/").later(Duration::from_secs(5));
        for n in 0..200 {
            ticker = ticker.text(&format!("key prices {} {n}", n % 5)).wait(Duration::from_millis(2));
        }
        world.client(ticker.wait(Duration::from_secs(20)).close(1000));
        world.run_until_quiet(3_600_000);
        let prices: Vec<u64> =
            told(world.report(slow), "message").filter_map(|data| data["data"].as_u64()).collect();
        assert!(prices.is_sorted(), "in the order in which they were said: {prices:?}");
        assert_eq!(prices[prices.len() - 5..], [195, 196, 197, 198, 199]);
        world.shut_down();
    });
}

#[test]
fn when_very_many_leave_at_once_those_who_stay_hear_on() {
    sim::check(super::seeds(10), |w| {
        let mut world = world(w, RoomRules::default()).faults(Faults::none());
        for n in 0..1200 {
            let script = Client::at("/").text(&format!("join lobby n{n}")).wait(Duration::from_secs(5));
            world.client(script.cut().later(Duration::from_millis(1)));
        }
        let stays = Client::at("/").text("join lobby stays").wait(Duration::from_secs(20)).close(1000);
        let stays = world.client(stays);
        world.client(talker(9999, 100, "lobby").later(Duration::from_secs(5)));
        world.run_until_quiet(3_600_000);
        let report = world.report(stays);
        let heard = seqs(report);
        assert_eq!(heard, (1..=100).collect::<Vec<_>>());
        let presence: Vec<u64> =
            told(report, "presence").filter_map(|data| data["members"].as_u64()).collect();
        assert!(presence.len() < 200, "2,400 comings and goings are told in {} messages", presence.len());
        assert_eq!(presence.last(), Some(&2), "{presence:?}");
        world.shut_down();
    });
}

#[test]
fn who_leaves_and_joins_again_at_once_hears_nothing_twice() {
    sim::check(super::seeds(200), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.0).with(Fault::StalledClient, 0.0);
        let mut world = world(w, RoomRules { slow: SlowRule::Close, ..RoomRules::default() }).faults(faults);
        world.client(talker(0, 60, "lobby"));
        let mut script = Client::at("/");
        for _ in 0..5 {
            script = script.text("join lobby restless").text("leave lobby").text("join lobby restless");
            script = script.wait(Duration::from_millis(60)).text("leave lobby");
        }
        let restless =
            world.client(script.text("join lobby restless").wait(Duration::from_secs(20)).close(1000));
        world.run_until_quiet(600_000);
        let heard = seqs(world.report(restless));
        assert!(heard.is_sorted_by(|a, b| a < b), "{heard:?}");
        let report = world.report(restless);
        assert_eq!(told(report, "left").count(), 10, "{report:?}");
        assert!(told(report, "error").next().is_none(), "{report:?}");
        world.shut_down();
    });
}

#[test]
fn who_comes_back_too_late_is_told_so() {
    let mut world = world(World::new(5), RoomRules { history_frames: 3, ..RoomRules::default() });
    world.client(talker(0, 20, "lobby"));
    let late = |epoch: &str| {
        Client::at("/").text(&format!("since lobby late {epoch} 2")).later(Duration::from_secs(5))
    };
    let late = world.client(late("0").wait(Duration::from_secs(5)).close(1000));
    world.run_until_quiet(600_000);
    let report = world.report(late);
    let joined = told(report, "joined").next().expect("it is in");
    assert_eq!((joined["recovered"].as_bool(), joined["seq"].as_u64()), (Some(false), Some(17)));
    assert_eq!(seqs(report), [18, 19, 20], "and hears what is remembered");
    world.shut_down();
}

#[test]
fn what_is_too_old_is_forgotten_and_so_is_a_room_of_nobody() {
    let rules = RoomRules { history_age: Duration::from_secs(60), ..RoomRules::default() };
    let mut world = world(World::new(6), rules);
    world.client(talker(0, 5, "lobby"));
    let soon = Client::at("/").later(Duration::from_secs(40)).text("since lobby soon 1 0");
    let soon = world.client(soon.wait(Duration::from_secs(1)).close(1000));
    let late = Client::at("/").later(Duration::from_secs(120)).text("since lobby late 1 0");
    let late = world.client(late.wait(Duration::from_secs(1)).close(1000));
    world.run_until_quiet(600_000);
    assert_eq!(seqs(world.report(soon)), [1, 2, 3, 4, 5]);
    assert!(seqs(world.report(late)).is_empty());
    let epochs =
        [soon, late].map(|client| told(world.report(client), "joined").next().expect("in")["epoch"].clone());
    assert_ne!(epochs[0], epochs[1], "another life of the room");
    world.shut_down();
}

#[test]
fn many_rooms_do_not_disturb_each_other() {
    sim::check(super::seeds(50), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.0).with(Fault::StalledClient, 0.0);
        let mut world = world(w, RoomRules { slow: SlowRule::Close, ..RoomRules::default() }).faults(faults);
        let clients: Vec<usize> = (0..12)
            .map(|n| {
                let (mine, other) = (n % 4, (n + 1) % 4);
                let mut script = Client::at("/")
                    .text(&format!("join room{mine} n{n}"))
                    .text(&format!("join room{other} n{n}"));
                script = script.wait(Duration::from_secs(3));
                for k in 0..10 {
                    script = script.text(&format!("room{mine} n{n}-{k}"));
                }
                world.client(script.wait(Duration::from_secs(20)).close(1000))
            })
            .collect();
        world.run_until_quiet(600_000);
        for client in clients {
            let report = world.report(client);
            for room in 0..4 {
                let of_room = |data: &Value| data["room"] == format!("room{room}");
                let heard: Vec<u64> =
                    told(report, "message").filter(of_room).filter_map(|data| data["seq"].as_u64()).collect();
                let joined = told(report, "joined").find(|data| of_room(data));
                let from = joined.map_or(30, |data| data["seq"].as_u64().unwrap());
                assert_eq!(heard, (from + 1..=30).collect::<Vec<_>>(), "room {room} from {from} on");
            }
        }
        world.shut_down();
    });
}

#[test]
fn rooms_that_fail_begin_anew_and_members_elsewhere_stay_in_them() {
    let survived = Mutex::new(0);
    sim::check(super::seeds(100), |w| {
        let faults = Faults::swarm(w.seed()).with(Fault::Cut, 0.0).with(Fault::StalledClient, 0.0);
        let config = RoomsConfig::default().rules(|name| {
            assert_ne!(name, "boom", "somebody asked for it");
            RoomRules { slow: SlowRule::Close, ..RoomRules::default() }
        });
        let mut world = w
            .shards(3)
            .service(Rooms::service(config))
            .at("/", |_: &Upgrade| Ok(Talk::new(1)))
            .faults(faults);
        let members: Vec<usize> = (0..9)
            .map(|n| {
                let script = Client::at("/").text(&format!("join lobby n{n}")).wait(Duration::from_secs(30));
                let again = |report: &Report| {
                    let n = report.connections;
                    Client::at("/")
                        .text(&format!("join lobby again{n}"))
                        .wait(Duration::from_secs(30))
                        .close(1000)
                };
                world.client(
                    script
                        .text(&format!("lobby late{n}"))
                        .wait(Duration::from_secs(30))
                        .close(1000)
                        .comes_back(5, Duration::from_millis(50), again),
                )
            })
            .collect();
        // It joins a room whose rules nobody can tell; the rooms of its shard fail.
        world.client(
            Client::at("/")
                .later(Duration::from_secs(5))
                .text("join boom x")
                .wait(Duration::from_secs(5))
                .close(1000),
        );
        world.run_until_quiet(600_000);
        let speakers: Vec<usize> =
            members.iter().copied().filter(|client| world.report(*client).connections == 1).collect();
        for &client in &speakers {
            let report = world.report(client);
            let heard: Vec<String> =
                told(report, "message").filter_map(|data| Some(data["data"].as_str()?.to_owned())).collect();
            assert_eq!(
                heard.len(),
                speakers.len(),
                "who was not cut hears all who were not: {heard:?} {report:?}"
            );
        }
        *survived.lock().unwrap() += speakers.len();
        let panics = world.stats().panics;
        world.shut_down_after_panics(panics);
    });
    assert!(survived.into_inner().unwrap() > 200, "too few that were on other shards");
}
