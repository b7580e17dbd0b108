//! What rooms keep in memory, for whom, and what does not count.

use super::rooms::{seqs, told, world};
use corewire::actor::Snapshot;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use corewire_actors::rooms::{RoomRules, SlowRule};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// What the shards tell.
fn look(world: &mut World) -> Snapshot {
    let mut asked = world.outside().stats();
    for _ in 0..1000 {
        if let Some(answer) = asked.ready() {
            return answer.expect("all shards turn");
        }
        world.run_for(1);
    }
    panic!("no answer within a second");
}

/// What is in use of the memory of all shards.
fn memory_bytes(world: &mut World) -> u64 {
    look(world).sum(|shard| shard.memory_bytes)
}

fn quiet_rules() -> RoomRules {
    RoomRules { presence: false, ..RoomRules::default() }
}

fn behind() -> Faults {
    Faults::none().with(Fault::SmallBuffers, 1.0)
}

/// Comes, and then takes nothing.
fn stalled(joins: &str) -> Client {
    Client::at("/")
        .text(joins)
        .wait(Duration::from_millis(100))
        .stop_reading()
        .wait(Duration::from_secs(1000))
}

#[test]
fn what_is_said_is_in_memory_once_however_many_members_have_it_to_hear() {
    const PAYLOAD: u64 = 100_000;
    // Members that hear plain text, and members that hear JSON; and how often what is said is in memory.
    for (plain, json, copies) in [(1200, 0, 1), (0, 1200, 1), (600, 600, 2)] {
        let mut world = world(World::new(1), quiet_rules()).shards(2).faults(behind());
        let members: Vec<usize> = (0..plain + json)
            .map(|n| {
                world.client(stalled(&if n < plain {
                    "plain lobby".into()
                } else {
                    format!("join lobby n{n}")
                }))
            })
            .collect();
        let author = Client::at("/").wait(Duration::from_secs(1));
        world.client(author.text(&format!("many lobby 1 {PAYLOAD}")).wait(Duration::from_secs(1000)));
        world.run_for(900);
        let stats = look(&mut world);
        assert!(stats.shards.iter().all(|shard| shard.connections > 500), "members are on both");
        let before = memory_bytes(&mut world);
        world.run_for(10_000);
        let more = memory_bytes(&mut world) - before;
        // Blocks are powers of two.
        assert!(
            more >= copies * PAYLOAD && more <= copies * 2 * PAYLOAD,
            "{more} bytes more, {plain} {json}"
        );
        let waits = world.stats().messages_out;
        assert!(waits >= members.len() as u64, "all have it to hear");
        world.shut_down();
    }
}

#[test]
fn what_only_json_was_heard_of_is_heard_as_it_was_said_by_who_comes_later_and_hears_plain() {
    let said = Client::at("/").wait(Duration::from_secs(1)).text("lobby \"quoted\"").binary([0, 255, 7], 1);
    let said =
        said.text("key lobby 1 {\"a\":[1,\"b\"]}").text("key lobby 1 \"text\\n\"").text("key lobby 1 12.50");
    let mut heard = Vec::new();
    // Somebody hears plain from the beginning, or nobody does.
    for first in ["plain lobby", "join lobby ann"] {
        let mut world = world(World::new(2), quiet_rules()).faults(Faults::none());
        let first = world.client(Client::at("/").text(first).wait(Duration::from_secs(60)).close(1000));
        world.client(said.clone().wait(Duration::from_secs(60)).close(1000));
        let late = |joins: &str| {
            let late = Client::at("/").later(Duration::from_secs(10)).text(joins);
            late.wait(Duration::from_secs(10)).close(1000)
        };
        let (plain, json) = (world.client(late("past lobby 9")), world.client(late("all lobby bob")));
        world.run_until_quiet(600_000);
        if heard.is_empty() {
            heard = world.report(first).messages().cloned().collect();
            assert_eq!((heard.len(), &heard[0]), (5, &Heard::Text("\"quoted\"".into())));
        }
        assert!(world.report(plain).messages().eq(&heard), "{:?}", world.report(plain));
        let json: Vec<Value> =
            told(world.report(json), "message").map(|mut data| data["data"].take()).collect();
        assert_eq!(json[0], "\"quoted\"");
        assert_eq!(json[2..], [serde_json::json!({"a": [1, "b"]}), "text\n".into(), 12.5.into()]);
        world.shut_down();
    }
}

#[test]
fn what_is_remembered_keeps_no_more_in_memory_than_the_rules_say() {
    let rules = RoomRules { history_frames: 3, ..quiet_rules() };
    let mut world = world(World::new(3), rules).faults(Faults::none());
    world.client(Client::at("/").text("join lobby ann").wait(Duration::from_secs(100)));
    world.run_for(500);
    let before = memory_bytes(&mut world);
    world.client(Client::at("/").text("many lobby 150 300").wait(Duration::from_secs(50)));
    world.run_for(5_000);
    let more = memory_bytes(&mut world) - before;
    assert!(more < 8192, "{more} bytes for three messages of 300 bytes");
    let late = world.client(Client::at("/").text("all lobby bob").wait(Duration::from_secs(10)).close(1000));
    world.run_for(20_000);
    assert_eq!(seqs(world.report(late)), [148, 149, 150]);
    world.shut_down();
}

#[test]
fn for_thousands_who_come_back_at_once_the_past_is_written_a_few_times() {
    let mut world = world(World::new(4), quiet_rules()).faults(Faults::none());
    world.client(
        Client::at("/").text("join lobby ann").wait(Duration::from_millis(100)).text("many lobby 100 20"),
    );
    world.run_for(1000);
    let members: Vec<usize> = (0..1500)
        .map(|n| {
            world.client(
                Client::at("/").text(&format!("all lobby n{n}")).wait(Duration::from_secs(20)).close(1000),
            )
        })
        .collect();
    world.run_for(15_000);
    let written = look(&mut world).probe("rooms.pasts_written");
    assert!((1..=20).contains(&written), "{written} times");
    for member in members {
        assert_eq!(seqs(world.report(member)), (1..=100).collect::<Vec<_>>());
    }
    world.shut_down();
}

#[test]
fn who_comes_and_goes_takes_no_room_from_what_is_said() {
    sim::check(super::seeds(50), |w| {
        let rules = RoomRules {
            slow: SlowRule::Pause(Duration::from_secs(600)),
            queue_frames: 8,
            ..RoomRules::default()
        };
        let mut world = world(w, rules).faults(behind());
        let slow = Client::at("/").text("join lobby slow").until_heard(1).stop_reading();
        let slow = world.client(
            slow.wait(Duration::from_secs(40)).read_again().wait(Duration::from_secs(60)).close(1000),
        );
        for n in 0..60 {
            let guest = Client::at("/").later(Duration::from_millis(1000 + 200 * n));
            let guest =
                guest.text(&format!("join lobby guest{n}-with-a-rather-long-name-so-that-it-takes-room"));
            world.client(guest.wait(Duration::from_millis(100)).close(1000));
        }
        let author = Client::at("/").later(Duration::from_secs(1)).text("join lobby author");
        let author = author.wait(Duration::from_secs(5)).text("lobby one").text("lobby two");
        world.client(
            author
                .wait(Duration::from_secs(20))
                .text("lobby three")
                .wait(Duration::from_secs(60))
                .close(1000),
        );
        world.run_until_quiet(3_600_000);
        assert_eq!(seqs(world.report(slow)), [1, 2, 3]);
        assert!(told(world.report(slow), "presence").count() > 60, "it has heard of them all");
        assert_eq!(world.stats().slow_dropped, 0);
        world.shut_down();
    });
}

#[test]
fn where_publishers_wait_small_messages_are_not_more_than_a_queue_takes_once_they_are_written() {
    sim::check(super::seeds(50), |w| {
        let rules = RoomRules {
            slow: SlowRule::Pause(Duration::from_secs(600)),
            queue_frames: 4096,
            queue_bytes: 16 << 10,
            presence: false,
            ..RoomRules::default()
        };
        let mut world = world(w, rules).faults(behind());
        let slow = Client::at("/").text("join lobby slow").until_heard(1).stop_reading();
        let slow = world.client(
            slow.wait(Duration::from_secs(40)).read_again().wait(Duration::from_secs(60)).close(1000),
        );
        let author = Client::at("/").later(Duration::from_secs(1)).text("many lobby 600 1");
        world.client(author.wait(Duration::from_secs(100)).close(1000));
        world.run_until_quiet(3_600_000);
        assert_eq!(seqs(world.report(slow)), (1..=600).collect::<Vec<_>>());
        assert_eq!(world.stats().slow_dropped, 0);
        world.shut_down();
    });
}

#[test]
fn who_asks_who_is_there_hears_of_every_change_after_that_once_and_of_none_before() {
    sim::check(super::seeds(200), |w| {
        let mut world = world(w, RoomRules::default()).faults(Faults::none());
        let mut curious = Client::at("/").text("join lobby curious");
        for _ in 0..60 {
            curious = curious.wait(Duration::from_millis(13)).text("who lobby");
        }
        let curious = world.client(curious.wait(Duration::from_secs(20)).close(1000));
        for n in 0..12 {
            let mut guest = Client::at("/").later(Duration::from_millis(60 * n));
            for _ in 0..4 {
                guest = guest.text(&format!("join lobby guest{n}")).wait(Duration::from_millis(31 + n));
                guest = guest.text("leave lobby").wait(Duration::from_millis(3));
            }
            world.client(guest.wait(Duration::from_secs(1)).close(1000));
        }
        world.run_until_quiet(600_000);
        let mut there: Option<BTreeSet<String>> = None;
        let mut answers = 0;
        for heard in world.report(curious).messages() {
            let Heard::Text(text) = heard else { continue };
            let object: Value = serde_json::from_str(text).expect("it is JSON");
            let names = |what: &str| {
                let names = object["data"][what].as_array().into_iter().flatten();
                names.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            if object["type"] == "members" {
                let now: BTreeSet<String> = names("names").into_iter().collect();
                if let Some(there) = there {
                    assert_eq!(there, now, "what was told adds up to what is answered");
                }
                there = Some(now);
                answers += 1;
            }
            if object["type"] == "presence"
                && let Some(there) = &mut there
            {
                for name in names("joined") {
                    assert!(there.insert(name.clone()), "{name} was there: {text}");
                }
                for name in names("left") {
                    assert!(there.remove(&name), "{name} was not there: {text}");
                }
            }
        }
        assert_eq!(answers, 60);
        world.shut_down();
    });
}
