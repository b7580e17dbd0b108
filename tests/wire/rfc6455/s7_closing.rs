//! §5.5.1 and §7: the closing handshake and its codes.

use corewire::wire::close::{self, CloseCode};
use corewire::wire::frame::Opcode;
use corewire::wire::{Role, Violation, WireError};

use crate::wire::support::{Ear, Heard, KEY, check_heard, check_heard_by, check_refused, frame, whole};

fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    whole(Opcode::Close, &[&code.to_be_bytes(), reason].concat())
}

/// §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer (in network byte
/// order) representing a status code".
#[test]
fn s5_5_1_close_tells_its_code_and_reason() {
    check_heard(&whole(Opcode::Close, b""), &[Heard::Close(None, String::new())]);
    check_heard(&close_frame(1000, b""), &[Heard::Close(Some(1000), String::new())]);
    check_heard(&close_frame(1001, "adiós".as_bytes()), &[Heard::Close(Some(1001), "adiós".into())]);
    check_heard(&close_frame(4999, &[b'x'; 123]), &[Heard::Close(Some(4999), "x".repeat(123))]);
}

/// §5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer".
#[test]
fn s5_5_1_close_body_of_one_byte_is_refused() {
    check_refused(&whole(Opcode::Close, &[3]), Violation::CloseTooShort);
}

/// §5.5.1: "Following the 2-byte integer, the body MAY contain UTF-8-encoded data".
#[test]
fn s5_5_1_close_reason_that_is_not_utf8_is_refused() {
    check_refused(&close_frame(1000, &[0xce, 0xba, 0xe1]), Violation::CloseReasonNotUtf8);
    assert_eq!(WireError::Peer(Violation::CloseReasonNotUtf8).close_code().get(), 1007);
}

/// §5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a
/// Close frame in response."
#[test]
fn s5_5_1_a_received_close_owes_one_unless_one_was_sent() {
    let mut ear = Ear::new(Role::Server);
    assert!(!ear.machine.owes_close());
    ear.hear(&close_frame(1000, b"")).unwrap();
    assert!(ear.machine.close_received() && ear.machine.owes_close());
    ear.machine.set_close_sent();
    assert!(ear.machine.close_sent() && !ear.machine.owes_close());

    let mut ear = Ear::new(Role::Server);
    ear.machine.set_close_sent();
    ear.hear(&close_frame(1000, b"")).unwrap();
    assert!(!ear.machine.owes_close());
}

/// §5.5.1: "The server MUST close the underlying TCP connection immediately; the client SHOULD wait for the server to
/// close the connection".
#[test]
fn s5_5_1_after_both_closes_the_server_closes_tcp() {
    for (role, closes_tcp) in [(Role::Server, true), (Role::Client, false)] {
        let close = frame(role, true, Default::default(), Opcode::Close, b"");
        let mut ear = Ear::new(role);
        ear.hear(&close).unwrap();
        assert!(!ear.machine.should_close_tcp(), "our close is not sent yet");
        ear.machine.set_close_sent();
        assert_eq!(ear.machine.should_close_tcp(), closes_tcp);

        let mut ear = Ear::new(role);
        ear.machine.set_close_sent();
        assert!(!ear.machine.should_close_tcp(), "theirs is not here yet");
        ear.hear(&close).unwrap();
        assert_eq!(ear.machine.should_close_tcp(), closes_tcp);
    }
}

/// §5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."; §7.1.1: "discarding any
/// trailing bytes that may have been received".
#[test]
fn s7_1_1_what_follows_a_close_is_swallowed() {
    let stream = [close_frame(1000, b"bye"), whole(Opcode::Text, b"more"), vec![0xff; 40]].concat();
    check_heard(&stream, &[Heard::Close(Some(1000), "bye".into())]);
}

/// §5.5.1: "An endpoint MAY delay sending a Close frame until its current message is sent".
#[test]
fn s5_5_1_what_comes_between_our_close_and_theirs_is_heard() {
    let mut ear = Ear::new(Role::Server);
    ear.machine.set_close_sent();
    ear.hear(&[whole(Opcode::Text, b"last"), close_frame(1000, b"")].concat()).unwrap();
    assert_eq!(ear.heard.len(), 2);
}

/// §5.5.1: "Close frames sent from client to server must be masked".
#[test]
fn s5_5_1_written_closes_are_what_each_role_expects() {
    for (to, key) in [(Role::Server, Some(KEY)), (Role::Client, None)] {
        let mut out = Vec::new();
        close::encode(Some(CloseCode::GOING_AWAY), "bye", key, &mut out);
        check_heard_by(to, &out, &[Heard::Close(Some(1001), "bye".into())]);
        let mut out = Vec::new();
        close::encode(None, "unsaid, for there is no code", key, &mut out);
        check_heard_by(to, &out, &[Heard::Close(None, String::new())]);
    }
}

/// §5.5 with §5.5.1: 125 bytes less the code leave 123 for a reason, which must stay UTF-8.
#[test]
fn s5_5_1_a_long_reason_is_cut_at_a_character() {
    for (reason, kept) in [
        ("x".repeat(123), "x".repeat(123)),
        ("x".repeat(124), "x".repeat(123)),
        ("é".repeat(70), "é".repeat(61)),
        ("x".to_owned() + &"𝄞".repeat(40), "x".to_owned() + &"𝄞".repeat(30)),
    ] {
        let mut out = Vec::new();
        close::encode(Some(CloseCode::NORMAL), &reason, None, &mut out);
        check_heard_by(Role::Client, &out, &[Heard::Close(Some(1000), kept)]);
    }
}

/// §7.1.7: "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame) from the
/// remote endpoint after being instructed to _Fail the WebSocket Connection_."
#[test]
fn s7_1_7_after_a_failure_nothing_is_heard_and_either_role_closes_tcp() {
    for role in [Role::Server, Role::Client] {
        let mut ear = Ear::new(role);
        ear.hear(&[0x83, 0x80, 0, 0, 0, 0]).expect_err("a reserved opcode");
        let close = frame(role, true, Default::default(), Opcode::Close, b"");
        ear.hear(&close).expect("swallowed");
        assert_eq!(ear.heard, []);
        assert!(!ear.machine.close_received() && ear.machine.owes_close() && !ear.machine.should_close_tcp());
        ear.machine.set_close_sent();
        assert!(!ear.machine.owes_close() && ear.machine.should_close_tcp());
    }
}

/// §7.4.1 and the IANA registry for 1000–1014; §7.4.2: "Status codes in the range 3000-3999 are reserved for use by
/// libraries, frameworks, and applications."; "Status codes in the range 4000-4999 are reserved for private use".
#[test]
fn s7_4_codes_that_may_travel_are_heard() {
    for code in (1000..=1003).chain(1007..=1014).chain(3000..=4999) {
        assert_eq!(CloseCode::new(code).map(CloseCode::get), Some(code));
        check_heard(&close_frame(code, b""), &[Heard::Close(Some(code), String::new())]);
    }
}

/// §7.4.1: 1005, 1006 and 1015 are reserved values that "MUST NOT be set as a status code in a Close control frame by
/// an endpoint"; §7.4.2: "Status codes in the range 0-999 are not used."
#[test]
fn s7_4_codes_that_must_not_travel_are_refused() {
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(CloseCode::new(code), None);
        check_refused(&close_frame(code, b""), Violation::CloseCodeInvalid(code));
    }
}
