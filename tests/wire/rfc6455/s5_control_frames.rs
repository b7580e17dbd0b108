//! §5.5 ping and pong; close is in `s7_closing`.

use corewire::wire::frame::Opcode;
use corewire::wire::{Role, Violation};

use crate::wire::support::{Heard, check_heard, check_heard_by, check_refused, text, whole};

/// §5.5: "All control frames MUST have a payload length of 125 bytes or less".
#[test]
fn s5_5_control_frame_over_125_bytes_is_refused() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        check_refused(&whole(opcode, &[0; 126]), Violation::ControlTooLong);
        check_refused(&whole(opcode, &[0; 65_536]), Violation::ControlTooLong);
    }
}

/// §5.5, the other side of the sentence.
#[test]
fn s5_5_control_frame_of_125_bytes_is_heard() {
    let payload: Vec<u8> = (0..125).collect();
    check_heard(&whole(Opcode::Ping, &payload), &[Heard::Ping(payload.clone())]);
    check_heard(&whole(Opcode::Pong, &payload), &[Heard::Pong(payload.clone())]);
}

/// §5.5.2: "A Ping frame MAY include "Application data"."
#[test]
fn s5_5_2_ping_is_heard_with_its_data_and_without() {
    check_heard(&whole(Opcode::Ping, b""), &[Heard::Ping(vec![])]);
    check_heard(&whole(Opcode::Ping, &[0, 0xff]), &[Heard::Ping(vec![0, 0xff])]);
}

/// §5.5.3: "A Pong frame MAY be sent unsolicited."
#[test]
fn s5_5_3_pong_that_nobody_asked_for_is_heard() {
    let stream = [whole(Opcode::Pong, b"beat"), whole(Opcode::Text, b"go on")].concat();
    check_heard(&stream, &[Heard::Pong(b"beat".into()), text("go on")]);
}

/// §5.7: "Unmasked Ping request and masked Ping response".
#[test]
fn s5_7_example_ping_and_pong() {
    check_heard_by(Role::Client, b"\x89\x05\x48\x65\x6c\x6c\x6f", &[Heard::Ping(b"Hello".into())]);
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    check_heard_by(Role::Server, pong, &[Heard::Pong(b"Hello".into())]);
}
