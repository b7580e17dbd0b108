//! Large messages, which are read in bulk, and the way there and back.

use super::harness::{Client, Local, Said, frame, part};
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Bytes that are unlike their neighbours.
fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 % 251) as u8).collect()
}

#[track_caller]
fn check_echo(client: &mut Client, bytes: usize) {
    let payload = payload(bytes);
    let request = frame(Opcode::Binary, &payload);
    let mut writer = client.stream.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || writer.write_all(&request));
    assert!(client.next() == Said::Binary(payload), "{bytes} bytes come back as they were");
    writing.join().expect("no panic").expect("all is taken");
}

#[test]
fn large_and_small_messages_come_back_as_they_were_in_any_order() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    let sizes = [8 << 10, 64 << 10, 256 << 10, 1 << 20];
    for bytes in sizes.iter().flat_map(|size| [size - 1, *size, size + 1]) {
        check_echo(&mut client, bytes);
        check_echo(&mut client, 20); // still in bulk
    }
    for _ in 0..4 {
        for _ in 0..20 {
            check_echo(&mut client, 100); // long enough to be received again
        }
        check_echo(&mut client, 300 << 10);
    }
}

#[test]
fn large_fragments_with_pings_between_them_become_one_message() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    let whole = payload(600_000);
    for sizes in [vec![200_000; 3], vec![65_536, 534_464], vec![10_000; 60], vec![1, 599_998, 1]] {
        let mut rest = &whole[..];
        let (mut request, mut opcode) = (Vec::new(), Opcode::Binary);
        for bytes in &sizes {
            let (piece, next) = rest.split_at(*bytes);
            request.extend(part(opcode, next.is_empty(), piece));
            request.extend(frame(Opcode::Ping, b"between"));
            (rest, opcode) = (next, Opcode::Continuation);
        }
        let mut writer = client.stream.try_clone().expect("a second handle");
        let writing = std::thread::spawn(move || writer.write_all(&request));
        let (mut pongs, mut messages) = (0, 0);
        while (pongs, messages) != (sizes.len(), 1) {
            match client.next() {
                Said::Pong(payload) if payload == b"between" => pongs += 1,
                said => {
                    assert!(said == Said::Binary(whole.clone()), "in {} fragments", sizes.len());
                    messages += 1;
                }
            }
        }
        writing.join().expect("no panic").expect("all is taken");
    }
}

#[test]
fn a_client_that_vanishes_in_the_midst_of_a_large_message_leaves_nothing_behind() {
    let server = Local::echo(|_| ());
    for cut in [100, 10_000, 70_000, 200_000] {
        let mut client = server.client();
        check_echo(&mut client, 256 << 10);
        client.raw(&frame(Opcode::Binary, &payload(256 << 10))[..cut]);
        drop(client);
    }
    let mut client = server.client();
    check_echo(&mut client, 256 << 10);
    client.raw(&frame(Opcode::Binary, &payload(256 << 10))[..100_000]);
    client.hang_up();
    assert_eq!(client.next(), Said::End);
} // the server's end checks that all memory is home

#[test]
fn a_server_that_ends_in_the_midst_of_large_messages_says_1001() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    check_echo(&mut client, 256 << 10);
    client.raw(&frame(Opcode::Binary, &payload(256 << 10))[..100_000]);
    server.handle.stop();
    match client.next() {
        Said::Close(Some(code), _) => assert_eq!(code, 1001),
        other => panic!("{other:?}"),
    }
    drop(client);
    server.join();
}

/// Keeps what it hears, and says it all at "all".
struct Keeping(Vec<Message>, Arc<Mutex<usize>>);
impl Session for Keeping {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if message.as_text() != Some("all") {
            *self.1.lock().expect("nobody panics") += 1;
            self.0.push(message);
            return Ok(());
        }
        for message in self.0.drain(..) {
            cx.client().send(message)?;
        }
        Ok(())
    }
}

#[test]
fn a_session_may_keep_more_messages_than_there_is_scratch_and_others_are_served() {
    let kept = Arc::new(Mutex::new(0));
    let routes = |server: Server| {
        let kept = kept.clone();
        server.at("/", move |_: &Upgrade| Ok(Keeping(Vec::new(), kept.clone())))
    };
    let change = |config: &mut Config| {
        config.workers = 1;
        config.rules.send_queue_bytes_max = 8 << 20;
    };
    let server = Local::with(change, routes);
    let (mut keeper, mut other) = (server.client(), server.client());
    let messages: Vec<Vec<u8>> = (0..200).map(|n| vec![n as u8; 20_000]).collect();
    for message in &messages {
        keeper.send(Opcode::Binary, message);
        other.send(Opcode::Binary, message);
        other.text("all");
        assert!(other.next() == Said::Binary(message.clone()), "the others are served");
    }
    super::harness::wait_until("all are kept", || *kept.lock().expect("nobody panics") == 400);
    keeper.text("all");
    for message in messages {
        assert!(keeper.next() == Said::Binary(message), "what was kept is as it was");
    }
}
