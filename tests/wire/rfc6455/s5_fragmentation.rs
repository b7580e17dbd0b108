//! §5.4 fragmentation, and the limits of §10.4.

use corewire::wire::frame::{Opcode, Rsv};
use corewire::wire::{Limits, Role, Violation, WireError};

use crate::wire::support::{
    Ear, Heard, KEY, binary, check_fails, check_heard, check_refused, fragment, frame, text, whole,
};

/// §5.4: "A fragmented message consists of a single frame with the FIN bit clear and an opcode other than 0, followed
/// by zero or more frames with the FIN bit clear and the opcode set to 0, and terminated by a single frame with the
/// FIN bit set and an opcode of 0."
#[test]
fn s5_4_fragments_make_one_message() {
    for middle in [&[][..], &["b"], &["b", "c", ""]] {
        let mut stream = fragment(Opcode::Text, b"a");
        let mut expected = vec![b'a'];
        for payload in middle {
            stream.extend(fragment(Opcode::Continuation, payload.as_bytes()));
            expected.extend_from_slice(payload.as_bytes());
        }
        stream.extend(whole(Opcode::Continuation, b"z"));
        expected.push(b'z');
        check_heard(&stream, &[text(str::from_utf8(&expected).unwrap())]);
    }
}

/// §5.4: "A sender MAY create fragments of any size for non-control messages."
#[test]
fn s5_4_fragments_may_be_of_any_size() {
    let payloads = [0, 1, 125, 126, 70_000, 0].map(|n| vec![7; n]);
    let mut stream = fragment(Opcode::Binary, &payloads[0]);
    for payload in &payloads[1..] {
        stream.extend(fragment(Opcode::Continuation, payload));
    }
    stream.extend(whole(Opcode::Continuation, b""));
    check_heard(&stream, &[binary(&payloads.concat())]);
}

/// §5.4: "Control frames … MAY be injected in the middle of a fragmented message."; "An endpoint MUST be capable of
/// handling control frames in the middle of a fragmented message."
#[test]
fn s5_4_control_frames_may_stand_between_fragments() {
    let stream = [
        fragment(Opcode::Text, b"be"),
        whole(Opcode::Ping, b"1"),
        fragment(Opcode::Continuation, b"twe"),
        whole(Opcode::Pong, b"2"),
        whole(Opcode::Continuation, b"en"),
    ];
    check_heard(&stream.concat(), &[Heard::Ping(b"1".into()), Heard::Pong(b"2".into()), text("between")]);
}

/// §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another message".
#[test]
fn s5_4_new_message_inside_a_fragmented_one_is_refused() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let stream = [fragment(Opcode::Text, b"a"), whole(opcode, b"b")].concat();
        check_refused(&stream, Violation::MessageUnfinished);
    }
}

/// §5.4: "An unfragmented message consists of a single frame with the FIN bit set … and an opcode other than 0."
#[test]
fn s5_4_continuation_without_a_start_is_refused() {
    check_refused(&whole(Opcode::Continuation, b"a"), Violation::ContinuationWithoutStart);
    check_refused(&fragment(Opcode::Continuation, b"a"), Violation::ContinuationWithoutStart);
    let after_an_end = [whole(Opcode::Text, b"a"), whole(Opcode::Continuation, b"b")].concat();
    check_refused(&after_an_end, Violation::ContinuationWithoutStart);
}

/// §5.4: "all fragments of a message are of the same type, as set by the first fragment's opcode".
#[test]
fn s5_4_the_first_fragment_says_what_the_message_is() {
    let stream = [fragment(Opcode::Binary, &[0xff]), whole(Opcode::Continuation, &[0xfe])].concat();
    check_heard(&stream, &[binary(&[0xff, 0xfe])]);
}

/// §5.4: "Control frames themselves MUST NOT be fragmented."
#[test]
fn s5_4_control_frame_without_fin_is_refused() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        check_refused(&fragment(opcode, b""), Violation::ControlFragmented);
    }
}

const SMALL: Limits = Limits { frame_bytes_max: 10, message_bytes_max: 15, fragments_max: 3 };

fn check_limit(stream: &[u8], expected: WireError) {
    check_fails(|| Ear::new(Role::Server).with_limits(SMALL), stream, expected);
}

/// §10.4: "Implementations that have implementation- and/or platform-specific limitations regarding the frame size or
/// total message size after reassembly from multiple frames MUST protect themselves against exceeding those limits."
#[test]
fn s10_4_frame_over_the_limit_is_refused_at_its_header() {
    let header_only = [0x82, 0x80 | 11, KEY[0], KEY[1], KEY[2], KEY[3]];
    let too_large = WireError::TooLarge { limit_bytes: 10, declared_bytes: 11 };
    check_limit(&header_only, too_large);
    assert_eq!(too_large.close_code().get(), 1009);
    let enormous = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
    check_limit(&enormous, WireError::TooLarge { limit_bytes: 10, declared_bytes: i64::MAX as u64 });
}

/// §10.4, "total message size after reassembly from multiple frames".
#[test]
fn s10_4_message_over_the_limit_is_refused_at_the_header_that_passes_it() {
    let stream = [fragment(Opcode::Text, b"0123456789"), vec![0x80, 0x80 | 6, 1, 2, 3, 4]].concat();
    check_limit(&stream, WireError::TooLarge { limit_bytes: 15, declared_bytes: 16 });
}

/// §10.4; the frames of a message are counted as well as its bytes.
#[test]
fn s10_4_too_many_fragments_are_refused() {
    let empty = fragment(Opcode::Continuation, b"");
    let stream = [fragment(Opcode::Text, b""), empty.clone(), empty.clone(), empty].concat();
    let too_many = WireError::TooManyFragments { limit: 3 };
    check_limit(&stream, too_many);
    assert_eq!(too_many.close_code().get(), 1008);
}

/// §10.4; a limit is what may be reached.
#[test]
fn s10_4_what_reaches_the_limits_passes_again_and_again() {
    let message = [
        fragment(Opcode::Binary, &[1; 10]),
        fragment(Opcode::Continuation, &[2; 5]),
        whole(Opcode::Continuation, &[]),
        frame(Role::Server, true, Rsv::NONE, Opcode::Ping, &[3; 125]),
    ];
    let mut ear = Ear::new(Role::Server).with_limits(SMALL);
    for _ in 0..3 {
        ear.hear(&message.concat()).expect("within the limits; a control frame is bounded by the RFC");
    }
    assert_eq!(ear.heard.len(), 6);
}
