//! What hostile clients did to well-known servers, as far as `wire` sees it.

use corewire::wire::frame::Opcode;
use corewire::wire::handshake::{HandshakeError, Progress, parse};
use corewire::wire::http::HeadLimits;
use corewire::wire::{Limits, Role, WireError};

use super::support::{Ear, Heard, fragment, text, whole};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn parse_text(head: &str) -> Result<Progress<'_>, HandshakeError> {
    parse(head.as_bytes(), &HeadLimits::default())
}

/// A head without an end is cut off at the limit, not kept.
#[test]
fn an_endless_head_is_refused_at_the_limit() {
    let limits = HeadLimits { head_bytes_max: 1000, headers_max: 64 };
    let head = format!("{REQUEST}X-Endless: {}", "a".repeat(1000));
    assert!(matches!(parse(&head.as_bytes()[..999], &limits), Ok(Progress::Incomplete)));
    for bytes in [&head.as_bytes()[..1000], head.as_bytes()] {
        let refused = parse(bytes, &limits).expect_err("at the limit");
        assert_eq!(refused, HandshakeError::HeadTooLarge { limit_bytes: 1000 });
        assert_eq!(refused.refusal().status(), 431);
    }
}

/// A head that ends behind the limit is too large, even if it comes in one piece.
#[test]
fn a_head_just_over_the_limit_is_refused_and_just_at_it_is_not() {
    let head = format!("{REQUEST}\r\n");
    let limits = |head_bytes_max| HeadLimits { head_bytes_max, headers_max: 64 };
    assert!(matches!(parse(head.as_bytes(), &limits(head.len())), Ok(Progress::Upgrade { .. })));
    let refused = parse(head.as_bytes(), &limits(head.len() - 1)).expect_err("a byte over");
    assert_eq!(refused, HandshakeError::HeadTooLarge { limit_bytes: head.len() - 1 });
}

#[test]
fn too_many_header_lines_are_refused() {
    let head = |lines: usize| format!("{REQUEST}{}\r\n", "X-Many: 1\r\n".repeat(lines - 5));
    assert!(matches!(parse_text(&head(64)), Ok(Progress::Upgrade { .. })));
    let refused = parse_text(&head(65)).expect_err("over the limit");
    assert_eq!(refused, HandshakeError::TooManyHeaders { limit: 64 });
    assert_eq!(refused.refusal().status(), 431);
}

/// A body would be read as frames.
#[test]
fn an_upgrade_with_a_body_is_refused() {
    for header in
        ["Content-Length: 5", "Content-Length: x", "Transfer-Encoding: chunked", "Content-Length: +0"]
    {
        let head = format!("{REQUEST}{header}\r\n\r\nhello");
        let refused = parse_text(&head).expect_err(header);
        assert_eq!((refused.refusal().status(), refused), (400, HandshakeError::Body));
    }
    assert!(matches!(
        parse_text(&format!("{REQUEST}Content-Length: 0\r\n\r\n")),
        Ok(Progress::Upgrade { .. })
    ));
}

/// A client that does not wait for the answer loses nothing.
#[test]
fn a_first_frame_in_the_handshakes_segment_is_heard() {
    let segment = [REQUEST.as_bytes(), b"\r\n", &whole(Opcode::Text, b"early")].concat();
    let Ok(Progress::Upgrade { head_bytes, .. }) = parse(&segment, &HeadLimits::default()) else {
        panic!("refused");
    };
    let mut ear = Ear::new(Role::Server);
    ear.hear(&segment[head_bytes..]).unwrap();
    assert_eq!(ear.heard, [text("early")]);
}

/// Empty fragments add no bytes and never end; they are counted.
#[test]
fn endless_empty_fragments_are_refused() {
    let mut ear = Ear::new(Role::Server);
    ear.hear(&fragment(Opcode::Binary, b"")).unwrap();
    let more = fragment(Opcode::Continuation, b"");
    let limit = Limits::default().fragments_max;
    for _ in 1..limit {
        ear.hear(&more).expect("within the limit");
    }
    assert_eq!(ear.hear(&more), Err(WireError::TooManyFragments { limit }));
}

/// A length that nobody could send asks for no memory: it is refused at its header.
#[test]
fn a_declared_length_is_refused_before_any_payload_is_there() {
    let mut ear = Ear::new(Role::Server);
    let declared_bytes = Limits::default().message_bytes_max + 1;
    let header = [&[0x82, 0xff][..], &declared_bytes.to_be_bytes(), &[1, 2, 3, 4]].concat();
    assert_eq!(
        ear.hear(&header),
        Err(WireError::TooLarge { limit_bytes: declared_bytes - 1, declared_bytes })
    );
}

/// Pings that come between the fragments of a message, or byte by byte, leave nothing behind.
#[test]
fn a_flood_of_pings_keeps_nothing_in_the_machine() {
    let mut ear = Ear::new(Role::Server);
    ear.hear(&fragment(Opcode::Text, b"a")).unwrap();
    let ping = whole(Opcode::Ping, &[7; 125]);
    for read in ping.repeat(50).chunks(64) {
        ear.hear(read).unwrap();
    }
    ear.hear(&whole(Opcode::Continuation, b"z")).unwrap();
    assert_eq!(ear.heard.len(), 51);
    assert!(ear.heard[..50].iter().all(|heard| *heard == Heard::Ping(vec![7; 125])));
    assert_eq!(ear.heard[50], text("az"));
    assert!(!ear.machine.is_mid_message());
}
