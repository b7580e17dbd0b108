//! §5.1–§5.3, §5.6–§5.8 and §6: frames, masks and data.

use corewire::wire::frame::{self, Header, Opcode, Rsv};
use corewire::wire::{Machine, Role, Violation, WireError, mask};

use crate::wire::support::{
    Ear, KEY, binary, check_fails, check_heard, check_heard_by, check_refused, frame, text, whole,
};

/// §5.1: "The server MUST close the connection upon receiving a frame that is not masked. In this case, a server MAY
/// send a Close frame with a status code of 1002".
#[test]
fn s5_1_server_refuses_an_unmasked_frame() {
    for opcode in [Opcode::Text, Opcode::Ping, Opcode::Close] {
        let unmasked = frame(Role::Client, true, Rsv::NONE, opcode, b"");
        check_refused(&unmasked, Violation::UnmaskedFrame);
    }
    assert_eq!(WireError::Peer(Violation::UnmaskedFrame).close_code().get(), 1002);
}

/// §5.1: "A client MUST close a connection if it detects a masked frame."
#[test]
fn s5_1_client_refuses_a_masked_frame() {
    let client = || Ear::new(Role::Client);
    check_fails(client, &whole(Opcode::Text, b"hi"), Violation::MaskedFrame.into());
    assert_eq!(WireError::Peer(Violation::MaskedFrame).close_code().get(), 1002);
}

/// §5.1: "a client MUST mask all frames that it sends to the server"; "A server MUST NOT mask any frames that it sends
/// to the client."
#[test]
fn s5_1_what_one_role_writes_the_other_accepts() {
    for (to, key) in [(Role::Server, Some(KEY)), (Role::Client, None)] {
        let mut stream = Vec::new();
        frame::append(Opcode::Text, key, b"hello", &mut stream);
        check_heard_by(to, &stream, &[text("hello")]);
    }
}

/// §5.2: RSV1, RSV2, RSV3 "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values. If a
/// nonzero value is received and none of the negotiated extensions defines the meaning of such a nonzero value, the
/// receiving endpoint MUST _Fail the WebSocket Connection_."
#[test]
fn s5_2_rsv_bits_that_nobody_claimed_are_refused() {
    for bits in [0x40, 0x20, 0x10, 0x70] {
        let rsv = Rsv::from_bits(bits);
        for opcode in [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Close] {
            check_refused(&frame(Role::Server, true, rsv, opcode, b""), Violation::ReservedBits(rsv));
        }
    }
}

/// §5.8: the protocol provides "the frame-rsv1, frame-rsv2, and frame-rsv3 bits of the frame header for use by
/// extensions".
#[test]
fn s5_8_a_claimed_rsv_bit_is_let_through_on_a_first_frame_only() {
    let deflating = || Ear::of(Machine::new(Role::Server).with_rsv_allowed(Rsv::RSV1));
    let mut ear = deflating();
    let not_utf8_yet = frame(Role::Server, true, Rsv::RSV1, Opcode::Text, &[0xff, 0xfe]);
    ear.hear(&not_utf8_yet).expect("what an extension has made is the extension's to check");

    let refused = |stream: &[u8], bits| {
        check_fails(deflating, stream, Violation::ReservedBits(Rsv::from_bits(bits)).into());
    };
    refused(&frame(Role::Server, true, Rsv::RSV1, Opcode::Ping, b""), 0x40);
    refused(&frame(Role::Server, true, Rsv::from_bits(0x60), Opcode::Text, b""), 0x60);
    let begun = frame(Role::Server, false, Rsv::RSV1, Opcode::Text, b"");
    let more = frame(Role::Server, true, Rsv::RSV1, Opcode::Continuation, b"");
    refused(&[begun, more].concat(), 0x40);
}

/// §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
#[test]
fn s5_2_reserved_opcodes_are_refused() {
    for opcode in (3..=7).chain(11..=15) {
        check_refused(&[0x80 | opcode, 0x80, 1, 2, 3, 4], Violation::ReservedOpcode(opcode));
    }
}

/// §5.2: "if 0-125, that is the payload length. If 126, the following 2 bytes interpreted as a 16-bit unsigned integer
/// are the payload length. If 127, the following 8 bytes interpreted as a 64-bit unsigned integer … are the payload
/// length. Multibyte length quantities are expressed in network byte order."
#[test]
fn s5_2_every_form_of_length_is_read_and_written() {
    for (payload_bytes, header_bytes) in
        [(0, 2), (1, 2), (125, 2), (126, 4), (127, 4), (65_535, 4), (65_536, 10), (65_537, 10)]
    {
        let payload: Vec<u8> = (0..payload_bytes).map(|i| i as u8).collect();
        for to in [Role::Server, Role::Client] {
            let masked = to == Role::Server;
            let header_bytes = header_bytes + if masked { 4 } else { 0 };
            assert_eq!(frame::header_bytes(payload_bytes as u64, masked), header_bytes);
            let stream = frame(to, true, Rsv::NONE, Opcode::Binary, &payload);
            assert_eq!(stream.len(), header_bytes + payload_bytes);
            check_heard_by(to, &stream, &[binary(&payload)]);
        }
    }
}

/// §5.2: "the most significant bit MUST be 0".
#[test]
fn s5_2_length_with_the_top_bit_is_refused() {
    check_refused(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], Violation::LengthTopBit);
}

/// §5.2: "in all cases, the minimal number of bytes MUST be used to encode the length, for example, the length of a
/// 124-byte-long string can't be encoded as the sequence 126, 0, 124."
#[test]
fn s5_2_length_in_more_bytes_than_needed_is_refused() {
    for length in [0u16, 1, 124, 125] {
        let [high, low] = length.to_be_bytes();
        check_refused(&[0x82, 0xfe, high, low, 1, 2, 3, 4], Violation::NonMinimalLength);
    }
    for length in [0u64, 125, 126, 65_535] {
        let stream = [&[0x82, 0xff][..], &length.to_be_bytes(), &KEY].concat();
        check_refused(&stream, Violation::NonMinimalLength);
    }
}

/// §5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-j", "j = i MOD 4".
#[test]
fn s5_3_octet_i_is_masked_with_octet_i_modulo_4_of_the_key() {
    let mut bytes: Vec<u8> = (0..=255).collect();
    mask::apply(&mut bytes, KEY);
    for (i, byte) in bytes.iter().enumerate() {
        assert_eq!(*byte, i as u8 ^ KEY[i % 4]);
    }
}

/// §5.3: "The payload length … does NOT include the length of the masking key."
#[test]
fn s5_3_payload_length_does_not_include_the_key() {
    let stream = whole(Opcode::Binary, &[7; 5]);
    assert_eq!((stream[1] & 0x7f, stream.len()), (5, 2 + 4 + 5));
}

/// §5.7: "A single-frame unmasked text message"; "A single-frame masked text message".
#[test]
fn s5_7_example_single_frame_text() {
    let unmasked = b"\x81\x05\x48\x65\x6c\x6c\x6f";
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    check_heard_by(Role::Client, unmasked, &[text("Hello")]);
    check_heard_by(Role::Server, masked, &[text("Hello")]);
    let mut out = Vec::new();
    frame::append(Opcode::Text, Some(KEY), b"Hello", &mut out);
    assert_eq!(out, masked);
    let mut out = [0; 16];
    let frame_bytes = frame::write(Opcode::Text, None, b"Hello", &mut out);
    assert_eq!(frame_bytes.map(|n| &out[..n]), Some(&unmasked[..]));
}

/// §5.7: "A fragmented unmasked text message".
#[test]
fn s5_7_example_fragmented_text() {
    check_heard_by(Role::Client, b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", &[text("Hello")]);
}

/// §5.7: "256 bytes binary message in a single unmasked frame"; "64KiB binary message in a single unmasked frame".
#[test]
fn s5_7_example_binary_headers() {
    for (payload_bytes, expected) in
        [(256, &b"\x82\x7e\x01\x00"[..]), (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00")]
    {
        let header = Header { fin: true, rsv: Rsv::NONE, opcode: Opcode::Binary, key: None, payload_bytes };
        let mut out = [0; 14];
        let header_bytes = frame::encode_header(&header, &mut out);
        assert_eq!(&out[..header_bytes], expected);
        assert_eq!(frame::parse_header(expected), Ok(Some((header, header_bytes))));
    }
}

/// §6.2: "the endpoint MUST note the /type/ of the data as defined by the opcode"; "Subsequent data frames MUST be
/// interpreted as belonging to a new WebSocket message."
#[test]
fn s6_2_messages_follow_each_other_each_with_its_kind() {
    let stream = [whole(Opcode::Text, b"a"), whole(Opcode::Binary, b"b"), whole(Opcode::Text, b"c")].concat();
    check_heard(&stream, &[text("a"), binary(b"b"), text("c")]);
}

/// §6.2: "A server MUST remove masking for data frames received from a client".
#[test]
fn s6_2_server_unmasks_with_each_frames_own_key() {
    let mut stream = Vec::new();
    frame::append(Opcode::Binary, Some([1, 2, 3, 4]), &[9; 7], &mut stream);
    frame::append(Opcode::Binary, Some([5, 6, 7, 8]), &[9; 7], &mut stream);
    check_heard(&stream, &[binary(&[9; 7]), binary(&[9; 7])]);
}
