//! Echo that goes wrong: it is told what, where, and whose fault it is.

use crate::echo::corewire_echo;
use crate::peer::{Peer, echo, serve};
use crate::run::check_complaint;
use corewire::wire::frame::Opcode;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Mutex;

/// One connection with four messages in flight, against a server that this is wrong with.
#[track_caller]
fn check_blamed(server: &str, what: &str) {
    check_complaint(
        "echo",
        server,
        &["-c", "1", "-i", "4", "-d", "1", "-w", "0", "--patience", "0.2"],
        1,
        what,
    );
}

#[test]
fn one_wrong_byte_is_seen_and_told() {
    let server = echo(|_, message, payload| {
        if message == 100 {
            payload[7] ^= 0x10;
        }
    });
    check_blamed(&server, "connection 0: message 100 differs at byte 7 of its payload");
}

#[test]
fn one_wrong_byte_in_the_middle_of_a_large_message_is_seen() {
    let server = echo(|_, message, payload| {
        if message == 3 {
            payload[777_777] ^= 1;
        }
    });
    let flags = ["-c", "1", "-s", "1000000", "-d", "5", "-w", "0"];
    check_complaint("echo", &server, &flags, 1, "message 3 differs at byte 777777 of its payload");
}

#[test]
fn a_message_that_is_lost_is_named() {
    let server = serve(|mut peer| {
        let mut message = 0;
        while let Some((opcode, payload)) = peer.read() {
            message += 1;
            if !(5..8).contains(&message) {
                peer.write(opcode, &payload);
            }
        }
    });
    check_blamed(&server, "messages 5 to 7 are missing");
}

#[test]
fn a_message_that_is_never_answered_is_missed_at_the_end() {
    let server = serve(|mut peer| {
        let first = peer.read().expect("a message");
        peer.write(first.0, &first.1);
        while peer.read().is_some() {}
    });
    let flags = ["-c", "1", "-d", "0.2", "-w", "0", "--patience", "0.2"];
    check_complaint("echo", &server, &flags, 1, "connection 0: 1 messages did not come back within 0.2 s");
}

#[test]
fn a_message_that_comes_twice_is_seen() {
    let server = serve(|mut peer| {
        let mut message = 0;
        while let Some((opcode, payload)) = peer.read() {
            message += 1;
            peer.write(opcode, &payload);
            if message == 6 {
                peer.write(opcode, &payload);
            }
        }
    });
    check_blamed(&server, "in place of message 7, one came that had come before");
}

#[test]
fn more_messages_than_were_sent_are_seen() {
    let server = serve(|mut peer| {
        while let Some((opcode, payload)) = peer.read() {
            (0..3).for_each(|_| peer.write(opcode, &payload));
        }
    });
    // Messages of no bytes are all alike.
    check_complaint("echo", &server, &["-c", "1", "-s", "0", "-d", "2"], 1, "came, though it was not sent");
}

#[test]
fn another_connections_message_is_seen() {
    let last = Mutex::new(Vec::new());
    let server = echo(move |_, message, payload| {
        let mut last = last.lock().expect("nobody panics with it");
        if message > 1 {
            std::mem::swap(&mut *last, payload); // whoever's it was
        } else {
            last.clone_from(payload);
        }
    });
    check_complaint("echo", &server, &["-c", "7", "-d", "2", "-w", "0"], 1, "or another connection's");
}

#[test]
fn a_message_of_another_kind_or_length_is_seen() {
    let kind = serve(|mut peer| {
        while let Some((_, payload)) = peer.read() {
            peer.write(Opcode::Text, &payload);
        }
    });
    check_blamed(&kind, "message 1: Text where Binary was expected");
    check_blamed(&echo(|_, _, payload| payload.push(0)), "message 1: its header says another length");
    check_blamed(&echo(|_, _, payload| payload.truncate(5)), "message 1: its header says another length");
}

#[test]
fn a_server_that_closes_is_told_with_its_reason() {
    let polite = serve(|mut peer| {
        peer.read();
        peer.write(Opcode::Close, b"\x03\xF5try again later");
        while peer.read().is_some() {}
    });
    check_blamed(&polite, "connection 0: the server closed it with code 1013: try again later");
    let rude = serve(|mut peer| drop(peer.read()));
    check_blamed(&rude, "connection 0: "); // it hangs up or resets, as TCP has it
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let what = "connection 0 could not be opened: Connection refused (os error 111) (0 were open then)";
    check_complaint("echo", &address, &["-c", "3"], 1, what);
}

#[test]
fn how_many_were_open_is_told_when_one_more_is_refused() {
    let (_running, address) = corewire_echo(|config| config.connections_max = 3);
    let what = "connection 3 could not be opened: status 503 where 101 was expected (3 were open then)";
    check_complaint("echo", &address, &["-c", "9", "--ramp", "20"], 1, what);
}

#[test]
fn a_server_that_does_not_speak_websocket_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.expect("it is accepted").write_all(b"220 mail.example.org ESMTP\r\n\r\n");
        }
    });
    check_complaint("echo", &address, &["-c", "1"], 1, "is it a WebSocket server?");
}

#[test]
fn what_follows_the_upgrade_unasked_is_seen() {
    let server = serve(|mut peer: Peer| {
        peer.write(Opcode::Binary, b"welcome");
        while peer.read().is_some() {}
    });
    check_blamed(&server, "connection 0: message 1");
}
