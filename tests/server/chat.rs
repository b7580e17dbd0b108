//! The chat example, as its users see it: plain text and JSON, over TCP.

use super::harness::{Client, Process, Said, exchange, path_of};
use serde_json::{Value, json};
use std::process::Command;

fn hear(client: &mut Client) -> String {
    match client.next_but_pings() {
        Said::Text(text) => String::from_utf8(text).expect("it is text"),
        other => panic!("{other:?} instead of a text"),
    }
}

/// As wscat: no subprotocol, no name.
fn plain(server: &Process) -> Client {
    Client::open_at(server.address, "/ws", &[]).0
}

/// As the page, by this name.
fn ann(server: &Process, name: &str) -> Client {
    let (mut client, chosen) = Client::open_at(server.address, "/ws", &["corewire.json"]);
    assert_eq!(chosen.as_deref(), Some("corewire.json"));
    say(&mut client, "nick", json!({"name": name}));
    assert_eq!(next(&mut client, "nick"), json!({"name": name}));
    client
}

fn say(client: &mut Client, kind: &str, data: Value) {
    client.text(&json!({"type": kind, "data": data}).to_string());
}

/// The data of the next message of this type; others are passed over.
#[track_caller]
fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let mut heard: Value = serde_json::from_str(&hear(client)).expect("it is JSON");
        assert!(kind == "error" || heard["type"] != "error", "{heard} instead of {kind}");
        if heard["type"] == kind {
            return heard["data"].take();
        }
    }
}

/// Joins, and is in.
fn join(client: &mut Client, data: Value) -> Value {
    say(client, "join", data);
    next(client, "joined")
}

#[test]
fn plain_text_goes_to_everybody_in_the_lobby_as_it_is() {
    let server = Process::example("chat", &[]);
    let mut clients: Vec<Client> = (0..4).map(|_| plain(&server)).collect();
    // Who hears what it said itself is in, and so are those before it: doors are in order, but for two shards.
    for client in &mut clients {
        client.text("/who");
        assert!(hear(client).contains(" in lobby"));
    }
    for (number, text) in ["hello", "grüße 🌍", "{no json}", "two\nlines"].into_iter().enumerate() {
        clients[number].text(text);
        for client in &mut clients {
            assert_eq!(hear(client), text);
        }
    }
    clients[0].send(corewire::wire::frame::Opcode::Binary, &[0, 255]);
    for client in &mut clients {
        assert_eq!(client.next_but_pings(), Said::Binary(vec![0, 255]));
    }
}

#[test]
fn commands_are_answered_to_who_gives_them() {
    let server = Process::example("chat", &[]);
    let mut bob = plain(&server);
    for (command, answer) in [
        ("/help", "commands: /nick NAME, /join ROOM, /who"),
        ("/nick", "commands: /nick NAME, /join ROOM, /who"),
        ("/nick bob", "you are bob"),
        ("/who", "1 in lobby: bob"),
        ("/join kitchen", "you are in kitchen"),
        ("/who", "1 in kitchen: bob"),
    ] {
        bob.text(command);
        assert_eq!(hear(&mut bob), answer, "{command}");
    }
    let long = "x".repeat(65);
    bob.text(&format!("/nick {long}"));
    assert_eq!(hear(&mut bob), "bad_name: a name has 1 to 64 bytes, and no line breaks");
    let mut eve = plain(&server);
    eve.text("in the lobby");
    assert_eq!(hear(&mut eve), "in the lobby");
    let mut late = plain(&server);
    assert_eq!(hear(&mut late), "in the lobby", "who comes later hears it too");
    bob.text("in the kitchen");
    assert_eq!(hear(&mut bob), "in the kitchen");
    eve.text("/join kitchen");
    assert_eq!(
        (hear(&mut eve), hear(&mut eve)),
        ("you are in kitchen".into(), "in the kitchen".into()),
        "history"
    );
}

#[test]
fn who_says_json_hears_names_numbers_and_who_comes_and_goes() {
    let server = Process::example("chat", &[]);
    let mut ann = ann(&server, "ann");
    let joined = join(&mut ann, json!({"room": "lobby", "history": 50}));
    assert_eq!((&joined["seq"], &joined["members"]), (&json!(0), &json!(1)));
    let mut bob = self::ann(&server, "bob");
    join(&mut bob, json!({"room": "lobby"}));
    while next(&mut ann, "presence")["joined"] != json!(["bob"]) {}
    say(&mut bob, "publish", json!({"room": "lobby", "id": "b1", "data": "hi <b>ann</b>"}));
    for client in [&mut ann, &mut bob] {
        let mut message = next(client, "message");
        assert!(message["at"].take().as_u64() > Some(1_600_000_000_000));
        let expected =
            json!({"room":"lobby","seq":1,"from":"bob","id":"b1","at":null,"data":"hi <b>ann</b>"});
        assert_eq!(message, expected);
    }
    say(&mut ann, "who", json!({"room": "lobby"}));
    assert_eq!(next(&mut ann, "members"), json!({"room": "lobby", "names": ["ann", "bob"], "members": 2}));
    say(&mut bob, "nick", json!({"name": "rob"}));
    assert_eq!(next(&mut bob, "nick"), json!({"name": "rob"}));
    while next(&mut ann, "presence")["joined"] != json!(["rob"]) {}
    say(&mut bob, "publish", json!({"room": "lobby", "data": {"any": ["json", 1.50]}}));
    let message = next(&mut ann, "message");
    assert_eq!((&message["from"], &message["data"]), (&json!("rob"), &json!({"any": ["json", 1.5]})));
    bob.close(1000, "");
    while !next(&mut ann, "presence")["left"].as_array().unwrap().contains(&json!("rob")) {}
}

#[test]
fn plain_and_json_hear_each_other() {
    let server = Process::example("chat", &[]);
    let mut ann = ann(&server, "ann");
    join(&mut ann, json!({"room": "lobby"}));
    let mut cat = plain(&server);
    cat.text("/nick cat");
    assert_eq!(hear(&mut cat), "you are cat");
    cat.text("he said \"hi\"");
    assert_eq!(hear(&mut cat), "he said \"hi\"");
    let message = next(&mut ann, "message");
    assert_eq!((&message["from"], &message["data"]), (&json!("cat"), &json!("he said \"hi\"")));
    say(&mut ann, "publish", json!({"room": "lobby", "data": "and \"you\"?"}));
    assert_eq!(hear(&mut cat), "and \"you\"?");
}

#[test]
fn who_comes_back_hears_what_it_missed_or_that_it_cannot() {
    let server = Process::example("chat", &[]);
    let mut ann = ann(&server, "ann");
    let joined = join(&mut ann, json!({"room": "lobby"}));
    let mut bob = self::ann(&server, "bob");
    join(&mut bob, json!({"room": "lobby"}));
    say(&mut bob, "publish", json!({"room": "lobby", "data": 1}));
    assert_eq!(next(&mut ann, "message")["seq"], 1);
    drop(ann);
    for n in 2..=4 {
        say(&mut bob, "publish", json!({"room": "lobby", "data": n}));
        assert_eq!(next(&mut bob, "message")["seq"], if n == 2 { 1 } else { n - 1 });
    }
    assert_eq!(next(&mut bob, "message")["seq"], 4);
    let mut ann = self::ann(&server, "ann");
    let back = join(&mut ann, json!({"room": "lobby", "since": {"epoch": joined["epoch"], "seq": 1}}));
    assert_eq!(
        (&back["recovered"], &back["seq"], &back["epoch"]),
        (&json!(true), &json!(1), &joined["epoch"])
    );
    for n in 2..=4 {
        let missed = next(&mut ann, "message");
        assert_eq!((&missed["seq"], &missed["data"]), (&json!(n), &json!(n)));
    }
    let mut old = self::ann(&server, "old");
    let back = join(&mut old, json!({"room": "lobby", "since": {"epoch": "abc", "seq": 70}}));
    assert_eq!(back["recovered"], false);
}

#[test]
fn mistakes_are_told_to_who_makes_them_with_the_request_s_id() {
    let server = Process::example("chat", &[]);
    let mut ann = ann(&server, "ann");
    for (kind, data, code) in [
        ("shout", json!({"id": "1"}), "unknown_type"),
        ("publish", json!({"id": "1", "room": "attic", "data": 1}), "not_in"),
        ("publish", json!({"id": "1", "room": "attic"}), "bad_data"),
        ("join", json!({"id": "1", "room": ""}), "bad_name"),
        ("join", json!({"id": "1", "room": "x", "since": {"epoch": "?", "seq": 1}}), "bad_epoch"),
        ("leave", json!({"id": "1", "room": "attic"}), "not_in"),
        ("who", json!({"id": "1", "room": "attic"}), "not_in"),
        ("nick", json!({"id": "1", "name": " "}), "bad_name"),
    ] {
        say(&mut ann, kind, data);
        let error = next(&mut ann, "error");
        assert_eq!(
            (&error["of"], &error["id"], &error["code"]),
            (&json!(kind), &json!("1"), &json!(code)),
            "{error}"
        );
    }
    join(&mut ann, json!({"room": "attic"}));
    say(&mut ann, "join", json!({"id": "2", "room": "attic"}));
    assert_eq!(next(&mut ann, "error")["code"], "already_in");
}

#[test]
fn names_may_change_as_quickly_as_one_likes() {
    let server = Process::example("chat", &["--shards", "3"]);
    let mut ann = ann(&server, "ann");
    join(&mut ann, json!({"room": "lobby"}));
    for n in 0..50 {
        say(&mut ann, "nick", json!({"name": format!("ann{n}")}));
    }
    say(&mut ann, "publish", json!({"room": "lobby", "data": "still here"}));
    loop {
        let message = next(&mut ann, "message");
        if message["data"] == "still here" {
            break assert_eq!(message["from"], "ann49");
        }
    }
    say(&mut ann, "who", json!({"room": "lobby"}));
    assert_eq!(next(&mut ann, "members")["names"], json!(["ann49"]));
}

#[test]
fn who_says_json_in_the_lobby_leaves_plain_text_behind() {
    let server = Process::example("chat", &[]);
    let mut late = plain(&server);
    late.text("/who");
    hear(&mut late);
    say(&mut late, "nick", json!({"name": "late"}));
    assert_eq!(next(&mut late, "nick"), json!({"name": "late"}));
    let joined = join(&mut late, json!({"room": "lobby"}));
    assert_eq!(joined["members"], 1);
    late.text("no JSON");
    assert_eq!(next(&mut late, "error")["code"], "bad_json");
}

#[test]
fn the_page_and_its_script_are_served() {
    let server = Process::example("chat", &[]);
    let page = exchange(server.address, b"GET /?name=ann HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("text/html; charset=utf-8"), "{page}");
    assert!(page.ends_with("</html>\n") && page.contains("/corewire.js"), "{page}");
    let script = exchange(server.address, b"GET /corewire.js HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(script.contains("text/javascript") && script.contains("export class Corewire"), "{script}");
}

#[test]
fn it_says_every_five_seconds_how_many_are_there() {
    let mut server = Process::example("chat", &[]);
    let mut client = plain(&server);
    client.text("hello");
    assert_eq!(hear(&mut client), "hello");
    server.wait_until_printed("Active: 1, Msgs: 1");
    drop(client);
    server.wait_until_idle();
}

#[test]
fn more_workers_than_there_are_cores_are_as_many_as_there_are_and_dpdk_is_refused() {
    let chat = |flags: &[&str]| {
        let output = Command::new(path_of("chat")).args(["--addr", "127.0.0.1:0"]).args(flags).output();
        let output = output.expect("it can be run");
        (output.status.success(), String::from_utf8(output.stderr).expect("it speaks UTF-8"))
    };
    let (ok, said) = chat(&["--dpdk"]);
    assert!(!ok && said.contains("TCP in user space is out of scope"), "{said}");
    let (ok, said) = chat(&["--shards", "0"]);
    assert!(!ok && said.contains("--shards"), "{said}");
    let mut server = Process::pinned("chat", &["--workers", "1000"]);
    assert!(server.is_running());
    plain(&server).check_echo("it serves");
}
