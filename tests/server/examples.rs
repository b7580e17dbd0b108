//! The examples do what they say.

use super::harness::{Client, Process, Said, exchange};

fn hear(client: &mut Client) -> String {
    match client.next() {
        Said::Text(text) => String::from_utf8(text).expect("it is text"),
        other => panic!("{other:?} instead of a text"),
    }
}

/// Ends it as an operator does, and its client says goodbye.
fn end(mut server: Process, mut client: Client) {
    server.signal("TERM");
    loop {
        match client.next() {
            Said::Text(_) => {} // what was on its way
            said => break assert!(matches!(said, Said::Close(Some(1001), _)), "{said:?}"),
        }
    }
    client.close(1001, "");
    assert!(server.exit().success());
}

#[test]
fn workers_hashes_slowly_and_echoes_at_once() {
    let server = Process::example("workers", &["--rounds", "2", "--pool", "1"]);
    let mut client = server.client();
    client.check_echo("hello");
    client.text("hash secret");
    // printf secret | sha1sum, and the same of those 20 bytes
    assert_eq!(hear(&mut client), "14e65567abdb5135d0cfd9a70b3032c179a49ee7");
    end(server, client);
}

#[test]
fn with_tokio_looks_words_up_and_brings_news() {
    let server = Process::example("with_tokio", &[]);
    let mut client = server.client();
    client.text("corewire");
    let (mut looked_up, mut news) = (false, false);
    while !(looked_up && news) {
        match hear(&mut client) {
            text if text.starts_with("news ") => news = true,
            text => {
                assert_eq!(text, "corewire: a word of 8 letters");
                looked_up = true;
            }
        }
    }
    end(server, client);
}

#[test]
fn replay_finds_a_race_and_sees_it_again() {
    let output = Process::output_of("replay");
    assert!(output.contains("sells one, and has -1"), "{output}");
    assert!(output.contains("all 1000 worlds are well"), "{output}");
}

#[test]
fn supervised_recovers_twice_and_then_says_why_not() {
    let output = Process::output_of("supervised");
    for line in [
        "main: 4",
        "main: no number on \"4711x\": its handler panicked",
        "parser, life 2: 23 is the 1. line",
        "main: 42",
        "parser, life 3: 42 is the 1. line",
        "main: 2 restarts; now everything stops",
    ] {
        assert!(output.lines().any(|printed| printed == line), "{line:?} is not in {output}");
    }
    let why = "(supervised::Parser) failed once too often; the last time, it panicked: a line is a number";
    assert!(
        output.lines().any(|line| line.starts_with("supervisor: over") && line.contains(why)),
        "{output}"
    );
    assert!(output.lines().any(|line| line.starts_with("guard") && line.contains(why)), "{output}");
}

#[test]
fn guard_lets_in_who_has_a_token_slows_down_who_is_quick_and_hides_passwords() {
    let server = Process::example("guard", &[]);
    let plain = exchange(server.address, b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
    assert!(plain.starts_with("HTTP/1.1 401 "), "{plain}");

    let (mut client, _) = Client::open_at(server.address, "/?token=user-ann", &[]);
    client.text("my password");
    assert_eq!(hear(&mut client), "(removed)");
    // Five a second, so of thirty at once some are too quick, in whatever second they come.
    (0..30).for_each(|_| client.text("hello"));
    let heard: Vec<String> = (0..30).map(|_| hear(&mut client)).collect();
    assert!(heard.iter().all(|text| text == "ann: hello" || text == "slow down"), "{heard:?}");
    assert!(heard.iter().any(|text| text == "slow down"), "{heard:?}");

    let (mut other, _) = Client::open_at(server.address, "/?token=user-bob", &[]);
    other.text("crash");
    assert_eq!(other.next(), Said::Close(Some(1011), "sorry; we look into it".into()));
    end(server, client);
}
