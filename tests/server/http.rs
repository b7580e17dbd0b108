//! What is answered to requests that become no WebSocket.

use super::harness::{Client, Echo, Local, exchange};
use corewire::prelude::*;

/// The answer has this status, ends, and is as long as it says.
#[track_caller]
fn check_answer(server: &Local, request: &str, status: u16) -> String {
    let answer = exchange(server.address, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{status} expected: {answer:?}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).expect("the length is told");
    let expected = if request.starts_with("HEAD") { 0 } else { length };
    assert_eq!(body.len(), expected, "{answer:?}");
    assert!(answer.len() < 1024 || status == 200, "short: {answer:?}");
    answer
}

/// An upgrade request, with these lines in place of the usual ones.
fn upgrade(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n")
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const HOST: &str = "Host: localhost\r\n";
const V13: &str = "Sec-WebSocket-Version: 13\r\n";

#[test]
fn plain_requests_get_a_short_correct_answer() {
    let server = Local::echo(|_| ());
    let answer = check_answer(&server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426);
    assert!(answer.contains("\r\nUpgrade: websocket\r\n"), "{answer:?}");
    check_answer(&server, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426);
    check_answer(&server, "GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n", 404);
    check_answer(&server, "HEAD /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n", 404);
    check_answer(&server, "hello\r\n\r\n", 400);
    check_answer(&server, "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400); // TLS
}

#[test]
fn an_upgrade_at_an_unknown_path_is_answered_404() {
    let server = Local::echo(|_| ());
    check_answer(&server, &upgrade("/nowhere", &[HOST, KEY, V13].concat()), 404);
}

#[test]
fn a_request_that_is_not_one_is_answered_400() {
    let server = Local::echo(|_| ());
    for lines in [
        [KEY, V13].concat(),                                  // no Host
        [HOST, HOST, KEY, V13].concat(),                      // two
        [HOST, KEY, KEY, V13].concat(),                       // two keys
        [HOST, V13].concat(),                                 // none
        [HOST, "Sec-WebSocket-Key: short\r\n", V13].concat(), // not 16 bytes
        [HOST, KEY, V13, "Content-Length: 5\r\n"].concat(),   // a body
        [HOST, KEY, V13, "Transfer-Encoding: chunked\r\n"].concat(),
    ] {
        check_answer(&server, &upgrade("/", &lines), 400);
    }
    server.client().check_echo("others are served");
}

#[test]
fn another_version_is_told_ours() {
    let server = Local::echo(|_| ());
    let answer =
        check_answer(&server, &upgrade("/", &[HOST, KEY, "Sec-WebSocket-Version: 12\r\n"].concat()), 426);
    assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer:?}");
}

#[test]
fn a_route_refuses_with_a_status_of_its_own() {
    let admit = |upgrade: &Upgrade| match upgrade.origin() {
        Some("https://example.org") => Ok(Echo),
        _ => Err(Refusal::new(403).with_body("not from there\n")),
    };
    let server = Local::with(|_| (), |server| server.at("/", admit));
    let foreign = [HOST, KEY, V13, "Origin: https://evil.example\r\n"].concat();
    let answer = check_answer(&server, &upgrade("/", &foreign), 403);
    assert!(answer.ends_with("not from there\n"), "{answer:?}");
    let ours = [HOST, KEY, V13, "Origin: https://example.org\r\n"].concat();
    let mut client = Client::new(super::harness::connect(server.address));
    client.raw(upgrade("/", &ours).as_bytes());
    let key = corewire::wire::handshake::Key::parse("dGhlIHNhbXBsZSBub25jZQ==").expect("16 bytes");
    client.opened(&key, &[]);
    client.check_echo("welcome");
}

#[test]
fn a_route_that_panics_is_answered_500_and_others_are_served() {
    let routes = |server: Server| {
        server.at("/", |_: &Upgrade| Ok(Echo)).at("/broken", |upgrade: &Upgrade| {
            assert!(upgrade.origin().is_some(), "a route's own mistake");
            Ok(Echo)
        })
    };
    let server = Local::with(|_| (), routes);
    let mut bystander = server.client();
    check_answer(&server, &upgrade("/broken", &[HOST, KEY, V13].concat()), 500);
    bystander.check_echo("nothing happened");
    server.client().check_echo("come in");
    assert_eq!(server.handle.stats().panics, 1);
}

#[test]
fn a_page_is_shown_to_those_who_ask_for_no_websocket() {
    let script = "x".repeat(300 << 10).into_bytes(); // more than one send takes
    let routes = |server: Server| {
        server
            .page("/", "text/html; charset=utf-8", "<title>hello</title>".as_bytes())
            .page("/script.js", "text/javascript", script.clone())
            .page("/alone", "text/plain", "no WebSocket here".as_bytes())
            .at("/", |_: &Upgrade| Ok(Echo))
    };
    let server = Local::with(|_| (), routes);
    let answer = check_answer(&server, "GET /?query HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
    assert!(answer.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{answer:?}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer:?}");
    assert!(answer.ends_with("\r\n\r\n<title>hello</title>"), "{answer:?}");
    let answer = check_answer(&server, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
    assert!(answer.contains("\r\nContent-Length: 20\r\n"), "{answer:?}");
    let answer = check_answer(&server, "GET /script.js HTTP/1.0\r\n\r\n", 200);
    assert!(answer.as_bytes().ends_with(&script));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
        let answer = check_answer(&server, &request, 405);
        assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer:?}");
    }
    check_answer(&server, "GET /script HTTP/1.1\r\nHost: localhost\r\n\r\n", 404);
    check_answer(&server, &upgrade("/alone", &[HOST, KEY, V13].concat()), 404);
    server.client().check_echo("the WebSocket is at the page's path");
}
