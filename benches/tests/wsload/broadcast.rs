//! Broadcast: every delivery is counted, and every one that is missing, wrong or too many is seen.

use crate::echo::{KEYS, check_keys};
use crate::peer::{Peer, serve};
use crate::run::{check_complaint, number, report};
use corewire::wire::frame::{self, Opcode};
use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

/// What a room server does to one delivery.
enum Fate {
    Arrives,
    IsLost,
    Becomes(Vec<u8>),
    IsTheLast,
}

/// A server of rooms: `/room/K` is a member, `/send/K` only sends. `fate` is asked for each delivery: member, from 0 as
/// they came, number of the room's message from 1, payload. Members join after `joins_after`.
fn rooms(joins_after: Duration, fate: impl Fn(usize, u64, &[u8]) -> Fate + Send + Sync + 'static) -> String {
    #[derive(Default)]
    struct Room {
        members: Vec<(usize, TcpStream)>,
        messages: u64,
    }
    let rooms: Mutex<HashMap<String, Room>> = Mutex::default();
    serve(move |mut peer: Peer| {
        let name = peer.path.rsplit('/').next().expect("a path has a slash").to_owned();
        if peer.path.starts_with("/room/") {
            std::thread::sleep(joins_after);
            let member = (peer.index, peer.stream.try_clone().expect("a socket"));
            rooms
                .lock()
                .expect("nobody panics with it")
                .entry(name.clone())
                .or_default()
                .members
                .push(member);
        }
        while let Some((opcode, payload)) = peer.read() {
            let mut rooms = rooms.lock().expect("nobody panics with it");
            let room = rooms.entry(name.clone()).or_default();
            room.messages += 1;
            for (index, stream) in &mut room.members {
                let mut bytes = Vec::new();
                let fate = fate(*index, room.messages, &payload);
                match &fate {
                    Fate::Arrives | Fate::IsTheLast => frame::append(opcode, None, &payload, &mut bytes),
                    Fate::Becomes(other) => frame::append(opcode, None, other, &mut bytes),
                    Fate::IsLost => {}
                }
                let _ = stream.write_all(&bytes);
                if matches!(fate, Fate::IsTheLast) {
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
        }
    })
}

fn polite() -> String {
    rooms(Duration::ZERO, |_, _, _| Fate::Arrives)
}

#[track_caller]
fn check_blamed(server: &str, what: &str) {
    let flags = ["-c", "6", "-r", "2", "-o", "4", "-d", "1", "-w", "0", "--patience", "0.5"];
    check_complaint("broadcast", server, &flags, 1, what);
}

#[test]
fn what_one_member_sends_is_counted_at_every_member_of_its_room() {
    let report =
        report("broadcast", &polite(), &["-c", "10", "-r", "3", "-o", "4", "-d", "0.5", "-w", "0.1"]);
    check_keys(&report, &KEYS);
    check_keys(
        &report["broadcast"],
        &["rooms", "members", "sender_is_member", "published", "published_per_s"],
    );
    assert_eq!((number(&report, "broadcast.rooms"), number(&report, "broadcast.members")), (3.0, 10.0));
    assert_eq!((number(&report, "connections"), number(&report, "in_flight")), (10.0, 4.0));
    assert_eq!(report["broadcast"]["sender_is_member"], true);
    // Rooms of 4, 3 and 3 members.
    let deliveries = number(&report, "messages") / number(&report, "broadcast.published");
    assert!((3.0..=4.0).contains(&deliveries), "{report}");
    assert!(number(&report, "latency_us.p50") > 0.0);
}

#[test]
fn a_further_connection_may_send() {
    let flags = ["-c", "5", "--sender-path", "/send/{room}", "-d", "0.3", "-w", "0", "-s", "5000", "--text"];
    let report = report("broadcast", &polite(), &flags);
    assert_eq!((number(&report, "connections"), number(&report, "broadcast.members")), (6.0, 5.0));
    assert_eq!(report["broadcast"]["sender_is_member"], false);
    let deliveries = number(&report, "messages") / number(&report, "broadcast.published");
    assert!((deliveries - 5.0).abs() < 0.5, "{report}");
}

#[test]
fn members_may_join_a_little_after_they_are_answered() {
    let late = rooms(Duration::from_millis(150), |_, _, _| Fate::Arrives);
    let report = report("broadcast", &late, &["-c", "8", "-r", "2", "-d", "0.2", "-w", "0"]);
    assert!(number(&report, "messages") > 0.0, "{report}");
}

#[test]
fn a_delivery_that_is_missing_is_named() {
    let leaky =
        rooms(
            Duration::ZERO,
            |member, message, _| {
                if member == 3 && message == 50 { Fate::IsLost } else { Fate::Arrives }
            },
        );
    check_blamed(&leaky, "connection 3: message 4… is missing: the one after it"); // 50, less the greetings
}

#[test]
fn a_delivery_with_a_wrong_byte_is_told() {
    let wrong = rooms(Duration::ZERO, |member, message, payload| {
        let mut payload = payload.to_vec();
        payload[19] ^= u8::from(member == 4 && message == 30);
        Fate::Becomes(payload)
    });
    check_blamed(&wrong, "differs at byte 19 of its payload");
}

#[test]
fn a_member_that_hears_nothing_is_told() {
    let deaf = rooms(Duration::ZERO, |member, _, _| if member == 3 { Fate::IsLost } else { Fate::Arrives });
    check_blamed(&deaf, "1 of 6 members did not hear their room within 0.5 s: connection 3 in room 1");
}

#[test]
fn a_member_that_hears_no_more_is_told() {
    let deaf = rooms(
        Duration::ZERO,
        |member, message, _| {
            if member == 3 && message > 20 { Fate::IsLost } else { Fate::Arrives }
        },
    );
    check_blamed(&deaf, "connection 3: … did not come back within 0.5 s");
}

#[test]
fn a_member_that_is_hung_up_on_with_its_last_message_is_told() {
    let rude =
        rooms(
            Duration::ZERO,
            |member, message, _| {
                if member == 3 && message == 20 { Fate::IsTheLast } else { Fate::Arrives }
            },
        );
    check_blamed(&rude, "connection 3: the server closed TCP without a close frame");
}

#[test]
fn a_member_that_is_closed_is_told() {
    let server = serve(|mut peer| {
        while let Some((opcode, payload)) = peer.read() {
            peer.write(opcode, &payload);
            peer.write(Opcode::Close, &1001u16.to_be_bytes());
        }
    });
    check_complaint(
        "broadcast",
        &server,
        &["-c", "1"],
        1,
        "connection 0: the server closed it with code 1001",
    );
}

#[test]
fn a_sender_that_is_no_member_must_hear_nothing() {
    let server = serve(|mut peer| {
        while let Some((opcode, payload)) = peer.read() {
            peer.write(opcode, &payload); // to its sender, who is not in the room
        }
    });
    let flags = ["-c", "1", "--sender-path", "/send/{room}", "--patience", "0.5"];
    check_complaint("broadcast", &server, &flags, 1, "connection 1 is a sender and no member");
}
