//! What the machine promises a connection beyond the RFC: nothing copied, nothing kept, sizes told in advance.

use corewire::wire::frame::{self, Opcode, Rsv};
use corewire::wire::{Event, Kind, Limits, Machine, Role, Step};

use super::support::{Ear, KEY, fragment, whole};

#[test]
fn a_message_in_one_piece_lies_where_it_was_received() {
    let mut bytes = whole(Opcode::Binary, &[7; 1000]);
    let step = Machine::new(Role::Server).decode(&mut bytes, &Limits::default());
    let event = Event::Message { kind: Kind::Binary, rsv: Rsv::NONE, payload: 8..1008 };
    assert_eq!(step, Ok(Step { consumed: 1008, event: Some(event) }));
    assert_eq!(bytes[8..], [7; 1000]);
}

/// The header may be cut off; what counts is the payload.
#[test]
fn a_payload_in_one_piece_is_a_message_even_if_its_header_came_in_two() {
    let mut bytes = whole(Opcode::Binary, &[7; 1000]);
    let mut machine = Machine::new(Role::Server);
    let (early, late) = bytes.split_at_mut(3);
    let step = machine.decode(early, &Limits::default());
    assert_eq!(step, Ok(Step { consumed: 3, event: None }));
    assert!(machine.is_mid_message());
    let step = machine.decode(late, &Limits::default()).unwrap();
    assert_eq!(step.event, Some(Event::Message { kind: Kind::Binary, rsv: Rsv::NONE, payload: 5..1005 }));
    assert!(!machine.is_mid_message());
}

/// A read that ends behind a header tells how much room the frame needs.
#[test]
fn a_header_alone_tells_what_is_missing() {
    let mut bytes = whole(Opcode::Binary, &[7; 100_000]);
    let mut machine = Machine::new(Role::Server);
    let (header, payload) = bytes.split_at_mut(frame::header_bytes(100_000, true));
    let part = |payload, first, last, frame_bytes_missing| {
        Some(Event::Part {
            kind: Kind::Binary,
            rsv: Rsv::NONE,
            payload,
            first,
            last,
            frame_bytes_missing,
            message_bytes_hint: 100_000,
        })
    };
    let step = machine.decode(header, &Limits::default()).unwrap();
    assert_eq!(step.event, part(14..14, true, false, 100_000));
    assert_eq!(machine.frame_bytes_missing(), 100_000);
    let step = machine.decode(&mut payload[..99_999], &Limits::default()).unwrap();
    assert_eq!(step.event, part(0..99_999, false, false, 1));
    let step = machine.decode(&mut payload[99_999..], &Limits::default()).unwrap();
    assert_eq!(step.event, part(0..1, false, true, 0));
    assert_eq!(machine.frame_bytes_missing(), 0);
    assert_eq!(payload, [7; 100_000]);
}

#[test]
fn no_bytes_mean_nothing() {
    let nothing = Ok(Step { consumed: 0, event: None });
    for before in [
        vec![],
        vec![0x82],
        whole(Opcode::Text, b"hello")[..8].to_vec(),
        whole(Opcode::Ping, b"hello")[..8].to_vec(),
    ] {
        let mut ear = Ear::new(Role::Server);
        ear.hear(&before).unwrap();
        assert_eq!(ear.machine.decode(&mut [], &Limits::default()), nothing);
    }
}

/// What decides whether a connection may be closed as idle.
#[test]
fn the_machine_knows_whether_it_is_in_the_middle() {
    let ping = whole(Opcode::Ping, b"hello");
    let begun = fragment(Opcode::Text, b"a");
    for (bytes, is_mid) in [
        (&[][..], false),
        (&ping, false),
        (&ping[..1], true),
        (&ping[..8], true),
        (&begun, true),
        (&[&begun[..], &whole(Opcode::Continuation, b"")].concat(), false),
    ] {
        let mut ear = Ear::new(Role::Server);
        ear.hear(bytes).unwrap();
        assert_eq!(ear.machine.is_mid_message(), is_mid, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_frame_that_does_not_fit_is_not_begun() {
    let mut out = [0xee; 20];
    assert_eq!(frame::write(Opcode::Binary, Some(KEY), &[7; 15], &mut out), None);
    assert_eq!(out, [0xee; 20]);
    assert_eq!(frame::write(Opcode::Binary, Some(KEY), &[7; 14], &mut out), Some(20));
}
