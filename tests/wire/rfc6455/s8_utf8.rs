//! §8.1: text is UTF-8, and what is not fails at the first byte that cannot be.

use corewire::wire::frame::Opcode;
use corewire::wire::{Role, Violation, WireError};

use crate::wire::support::{Ear, check_heard, check_refused, fragment, text, whole};

const NOT_UTF8: [&[u8]; 9] = [
    b"\xff",                             // no such byte
    b"ok\x80",                           // a continuation without a start
    b"\xc0\xaf",                         // overlong
    b"\xe0\x80\xaf",                     // overlong
    b"\xed\xa0\x80",                     // a surrogate
    b"\xf4\x90\x80\x80",                 // above U+10FFFF
    b"\xf8\x88\x80\x80\x80",             // five bytes
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce", // cut off at the end
    b"a long enough text for the wide words of a vector unit to see it, and then \xc3\x28 after all of that",
];

/// §5.6: "the whole message MUST contain valid UTF-8"; §8.1: "When an endpoint is to interpret a byte stream as UTF-8
/// but finds that the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket
/// Connection_."
#[test]
fn s8_1_text_that_is_not_utf8_is_refused() {
    for payload in NOT_UTF8 {
        check_refused(&whole(Opcode::Text, payload), Violation::TextNotUtf8);
        for at in 0..=payload.len() {
            let (a, b) = payload.split_at(at);
            let stream = [fragment(Opcode::Text, a), whole(Opcode::Continuation, b)].concat();
            check_refused(&stream, Violation::TextNotUtf8);
        }
    }
    assert_eq!(WireError::Peer(Violation::TextNotUtf8).close_code().get(), 1007);
}

/// §5.6: "a particular text frame might include a partial UTF-8 sequence; however, the whole message MUST contain
/// valid UTF-8."
#[test]
fn s5_6_characters_may_be_cut_by_fragments() {
    let all = "κόσμε 𝄞 \u{10ffff}\u{0}";
    for at in 0..=all.len() {
        let (a, b) = all.as_bytes().split_at(at);
        let stream = [fragment(Opcode::Text, a), whole(Opcode::Continuation, b)].concat();
        check_heard(&stream, &[text(all)]);
    }
    let mut stream = fragment(Opcode::Text, b"");
    for byte in all.bytes() {
        stream.extend(fragment(Opcode::Continuation, &[byte]));
    }
    stream.extend(whole(Opcode::Continuation, b""));
    check_heard(&stream, &[text(all)]);
}

/// §8.1, fail-fast: no frame needs to be whole for its text to be refused.
#[test]
fn s8_1_text_fails_at_the_first_impossible_byte() {
    for (possible, impossible) in [
        (&b"\xce\xba\xe1\xbd\xb9\xf4"[..], 0x90), // above U+10FFFF, known at its second byte
        (b"\xed", 0xa0),                          // a surrogate, at its second
        (b"\xe0", 0x9f),                          // overlong, at its second
        (b"\xf0\x90\x80", 0x41),                  // not a continuation
        (b"text", 0xc1),                          // never
    ] {
        let message = whole(Opcode::Text, &[possible, &[impossible], &[b'x'; 100]].concat());
        let bad = 6 + possible.len();
        let mut ear = Ear::new(Role::Server);
        for byte in &message[..bad] {
            ear.hear(&[*byte]).expect("could become UTF-8 still");
        }
        assert_eq!(ear.hear(&message[bad..=bad]), Err(Violation::TextNotUtf8.into()));
    }
}

/// §8.1 is of text alone.
#[test]
fn s8_1_binary_and_pings_need_not_be_utf8() {
    for payload in NOT_UTF8 {
        let mut ear = Ear::new(Role::Server);
        let stream = [fragment(Opcode::Binary, payload), whole(Opcode::Ping, payload)].concat();
        ear.hear(&stream).expect("any bytes");
        ear.hear(&whole(Opcode::Continuation, payload)).expect("any bytes");
    }
}
