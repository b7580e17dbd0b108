//! What every client may count on.

use super::harness::{Client, Echo, Local, Said, connect, frame, part, request};
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use corewire::wire::handshake::Key;

#[test]
fn messages_of_every_size_come_back_as_they_were() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    for bytes in [0, 1, 125, 126, 127, 511, 512, 513, 4096, 65_535, 65_536, 1 << 20, 16 << 20] {
        let text: Vec<u8> = (0..bytes).map(|n| b'a' + (n % 23) as u8).collect();
        let binary: Vec<u8> = (0..bytes).map(|n| (n * 7 % 251) as u8).collect();
        client.send(Opcode::Text, &text);
        assert!(client.next() == Said::Text(text), "text of {bytes} bytes");
        client.send(Opcode::Binary, &binary);
        assert!(client.next() == Said::Binary(binary), "binary of {bytes} bytes");
    }
}

#[test]
fn small_messages_of_every_length_come_back_in_order_when_many_come_at_once() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    let message = |bytes: usize| -> Vec<u8> { (0..bytes).map(|n| (n * 7 + bytes) as u8).collect() };
    for lengths in [0..140, 100..600] {
        let all: Vec<u8> = lengths.clone().flat_map(|bytes| frame(Opcode::Binary, &message(bytes))).collect();
        client.raw(&all);
        for bytes in lengths {
            assert!(client.next() == Said::Binary(message(bytes)), "{bytes} bytes");
        }
    }
}

#[test]
fn fragments_become_one_message() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    client.raw(&part(Opcode::Text, false, "Grüß".as_bytes()));
    client.send(Opcode::Ping, b"between");
    client.raw(&part(Opcode::Continuation, false, b""));
    client.raw(&part(Opcode::Continuation, true, b" Gott"));
    assert_eq!(client.next(), Said::Pong(b"between".to_vec()));
    assert_eq!(client.next(), Said::Text("Grüß Gott".into()));
}

#[test]
fn ten_thousand_messages_at_once_come_back_in_order() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    let mut writer = client.stream.try_clone().expect("a second handle");
    let all: Vec<u8> =
        (0..10_000).flat_map(|n| frame(Opcode::Text, format!("message {n}").as_bytes())).collect();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &all));
    for n in 0..10_000 {
        assert_eq!(client.next(), Said::Text(format!("message {n}").into()));
    }
    writing.join().expect("it does not panic").expect("all is taken");
    let stats = server.handle.stats();
    assert_eq!((stats.messages_in, stats.messages_out), (10_000, 10_000));
}

#[test]
fn a_frame_in_the_same_segment_as_the_request_is_heard() {
    let server = Local::echo(|_| ());
    let key = Key::from_nonce([1; 16]);
    let mut client = Client::new(connect(server.address));
    let mut bytes = request("/", &[], &key);
    bytes.extend(frame(Opcode::Text, b"early"));
    bytes.extend(&frame(Opcode::Text, b"cut off")[..5]);
    client.raw(&bytes);
    client.opened(&key, &[]);
    assert_eq!(client.next(), Said::Text(b"early".to_vec()));
    client.raw(&frame(Opcode::Text, b"cut off")[5..]);
    assert_eq!(client.next(), Said::Text(b"cut off".to_vec()));
}

#[test]
fn bytes_that_come_one_by_one_are_understood() {
    let server = Local::echo(|_| ());
    let key = Key::from_nonce([2; 16]);
    let mut client = Client::new(connect(server.address));
    for byte in request("/", &[], &key) {
        client.raw(&[byte]);
    }
    client.opened(&key, &[]);
    for byte in
        [part(Opcode::Text, false, b"sl"), frame(Opcode::Ping, b"?"), part(Opcode::Continuation, true, b"ow")]
            .concat()
    {
        client.raw(&[byte]);
    }
    assert_eq!(client.next(), Said::Pong(b"?".to_vec()));
    assert_eq!(client.next(), Said::Text(b"slow".to_vec()));
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    for payload in [&b""[..], b"there?", &[7; 125]] {
        client.send(Opcode::Ping, payload);
        assert_eq!(client.next(), Said::Pong(payload.to_vec()));
    }
    client.send(Opcode::Pong, b"nobody asked");
    client.check_echo("still here");
}

#[test]
fn a_close_is_answered_with_its_code_and_the_connection_ends() {
    let server = Local::echo(|_| ());
    for code in [1000, 1001, 3000, 4999] {
        let mut client = server.client();
        client.close(code, "bye");
        assert_eq!(client.next(), Said::Close(Some(code), String::new()));
        assert_eq!(client.next(), Said::End);
    }
    let mut client = server.client();
    client.send(Opcode::Close, b"");
    assert_eq!(client.next(), Said::Close(None, String::new()));
    assert_eq!(client.next(), Said::End);
}

#[test]
fn what_was_said_before_a_close_is_answered_before_it() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    client.raw(&[frame(Opcode::Text, b"last words"), frame(Opcode::Close, b"\x03\xe8")].concat());
    assert_eq!(client.next(), Said::Text(b"last words".to_vec()));
    assert_eq!(client.next(), Said::Close(Some(1000), String::new()));
    assert_eq!(client.next(), Said::End);
}

/// A close code that the server must answer, whatever came before.
#[track_caller]
fn check_refused(server: &Local, bytes: &[u8], code: u16) {
    let mut client = server.client();
    client.raw(bytes);
    client.check_closed(code);
}

#[test]
fn what_breaks_the_protocol_is_closed_with_the_right_code() {
    let server = Local::echo(|config| config.rules.wire.message_bytes_max = 1000);
    check_refused(&server, &frame(Opcode::Text, b"\xff\xff"), 1007);
    check_refused(&server, &part(Opcode::Text, false, b"\xc3\x28"), 1007);
    check_refused(&server, b"\x81\x02hi", 1002); // not masked
    check_refused(&server, &part(Opcode::Continuation, true, b"of what?"), 1002);
    check_refused(&server, &frame(Opcode::Ping, &[0; 126]), 1002);
    check_refused(&server, b"\xf1\x80\0\0\0\0", 1002); // RSV bits that nobody has agreed on
    check_refused(&server, &frame(Opcode::Close, b"\x03\xee"), 1002); // 1006 may not travel
    check_refused(&server, &frame(Opcode::Binary, &[0; 1001]), 1009);
    let two =
        [part(Opcode::Text, false, &[b'a'; 600]), part(Opcode::Continuation, true, &[b'a'; 600])].concat();
    check_refused(&server, &two, 1009);
    check_refused(&server, b"\x82\xff\0\0\0\x7f\xff\xff\xff\xff\0\0\0\0", 1009); // said so, and not sent
    server.client().check_echo("the others go on");
}

/// Panics when told to.
struct Fragile;
impl Session for Fragile {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        cx.client().send_text("hello").map_err(Close::from)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        match message.as_text() {
            Some("panic") => panic!("told to"),
            Some("away") => Err(Close::new(4000, "as you like")),
            Some("stop") => {
                cx.stop();
                Ok(())
            }
            _ => Ok(cx.client().send(message)?),
        }
    }
}

#[test]
fn a_session_that_panics_costs_its_own_connection_and_no_other() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Fragile)));
    let mut bystanders: Vec<_> = (0..8).map(|_| server.client()).collect();
    for client in &mut bystanders {
        assert_eq!(client.next(), Said::Text(b"hello".to_vec()));
    }
    for _ in 0..20 {
        let mut client = server.client();
        assert_eq!(client.next(), Said::Text(b"hello".to_vec()));
        client.text("panic");
        client.check_closed(1011);
    }
    for client in &mut bystanders {
        client.check_echo("never mind");
    }
    assert_eq!(server.handle.stats().panics, 20);
}

#[test]
fn a_session_can_close_its_connection() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Fragile)));
    for (word, code) in [("away", 4000), ("stop", 1000)] {
        let mut client = server.client();
        assert_eq!(client.next(), Said::Text(b"hello".to_vec()));
        client.text(word);
        match client.next() {
            Said::Close(Some(said), _) => assert_eq!(said, code),
            other => panic!("{other:?}"),
        }
        client.close(code, "");
        assert_eq!(client.next(), Said::End);
    }
}

#[test]
fn each_path_has_its_own_kind_of_session() {
    let routes = |server: Server| {
        server.at("/echo", |_: &Upgrade| Ok(Echo)).at("/fragile", |upgrade: &Upgrade| {
            assert_eq!(upgrade.query(), Some("a=b"));
            Ok(Fragile)
        })
    };
    let server = Local::with(|_| (), routes);
    Client::open_at(server.address, "/echo", &[]).0.check_echo("one");
    let (mut fragile, _) = Client::open_at(server.address, "/fragile?a=b", &[]);
    assert_eq!(fragile.next(), Said::Text(b"hello".to_vec()));
}

#[test]
fn the_first_subprotocol_that_both_speak_is_chosen() {
    let routes = |server: Server| server.at_with("/", &["v1", "v2"], |_: &Upgrade| Ok(Echo));
    let server = Local::with(|_| (), routes);
    let chosen = |offered: &[&str]| {
        let (mut client, chosen) = Client::open_at(server.address, "/", offered);
        client.check_echo("with any of them");
        chosen
    };
    assert_eq!(chosen(&["v3", "v2", "v1"]).as_deref(), Some("v2"));
    assert_eq!(chosen(&["v1"]).as_deref(), Some("v1"));
    assert_eq!(chosen(&["v3"]), None);
    assert_eq!(chosen(&[]), None);
}

#[test]
fn a_port_alone_is_every_address_of_both_kinds() {
    let server = Server::bind(":0").config(super::harness::config()).at("/", |_: &Upgrade| Ok(Echo));
    let server = Local::start(server);
    for ip in ["127.0.0.1", "127.0.0.77", "::1"] {
        let ip: std::net::IpAddr = ip.parse().expect("it is one");
        if ip.is_ipv6() && !server.address.is_ipv6() {
            continue; // this machine has no IPv6
        }
        Client::open((ip, server.address.port()).into()).check_echo("from anywhere");
    }
}
