//! The first four bytes choose the role and whether the rest is the stream or what to make one of, a small or a large
//! limit, the bits that an extension claims, and how long a read is. Cut in reads of any size the stream must mean the
//! same, to the error.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/wire/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a target uses part of the room")]
mod wire;

use wire::frame::{self, Header, Opcode, Rsv};
use wire::{CloseCode, Event, Kind, Limits, Machine, Role, WireError, mask};

#[derive(Debug, PartialEq)]
enum Heard {
    Message(Kind, Rsv, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, Vec<u8>),
}

/// What is heard before the stream ends or fails. What has come of a message that then fails depends on the cuts, so
/// that is left out: only a message that has ended is compared.
fn hear(
    mut machine: Machine,
    limits: &Limits,
    stream: &[u8],
    read_bytes: usize,
) -> (Vec<Heard>, Option<WireError>) {
    let mut heard: Vec<Heard> = Vec::new();
    let mut message: Vec<u8> = Vec::new();
    for read in stream.chunks(read_bytes) {
        let mut read = read.to_vec();
        let mut bytes = &mut read[..];
        while !bytes.is_empty() {
            let step = match machine.decode(bytes, limits) {
                Ok(step) => step,
                Err(error) => return (heard, Some(error)),
            };
            assert!(step.consumed > 0 && step.consumed <= bytes.len());
            match step.event {
                Some(Event::Message { kind, rsv, payload }) => {
                    assert!(
                        kind == Kind::Binary
                            || rsv != Rsv::NONE
                            || str::from_utf8(&bytes[payload.clone()]).is_ok()
                    );
                    heard.push(Heard::Message(kind, rsv, bytes[payload].to_vec()));
                }
                Some(Event::Part {
                    kind,
                    rsv,
                    payload,
                    first,
                    last,
                    frame_bytes_missing,
                    message_bytes_hint,
                }) => {
                    if first {
                        message.clear();
                    }
                    message.extend_from_slice(&bytes[payload]);
                    assert_eq!(message.len() as u64 + frame_bytes_missing, message_bytes_hint);
                    assert!(message_bytes_hint <= limits.message_bytes_max);
                    if last {
                        assert!(kind == Kind::Binary || rsv != Rsv::NONE || str::from_utf8(&message).is_ok());
                        heard.push(Heard::Message(kind, rsv, std::mem::take(&mut message)));
                    }
                }
                Some(Event::Ping(payload)) => {
                    heard.push(Heard::Ping(machine.control(&payload, bytes).to_vec()))
                }
                Some(Event::Pong(payload)) => {
                    heard.push(Heard::Pong(machine.control(&payload, bytes).to_vec()))
                }
                Some(Event::Close { code, reason }) => {
                    let reason = machine.control(&reason, bytes).to_vec();
                    assert!(str::from_utf8(&reason).is_ok());
                    heard.push(Heard::Close(code, reason));
                }
                None => assert_eq!(step.consumed, bytes.len()),
            }
            bytes = &mut bytes[step.consumed..];
        }
    }
    (heard, None)
}

/// Frames whose lengths and masks are right, which chance seldom makes: of each, a first byte, a length, the payload.
fn frames(role: Role, mut bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [first, payload_bytes, rest @ ..] = bytes {
        let (payload, rest) = rest.split_at(usize::from(*payload_bytes).min(rest.len()));
        bytes = rest;
        let key = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
        let (rsv, payload_bytes) = (Rsv::NONE, payload.len() as u64);
        let mut head = [0; frame::HEADER_BYTES_MAX];
        let header = Header { fin: true, rsv, opcode: Opcode::Text, key, payload_bytes };
        let head_bytes = frame::encode_header(&header, &mut head);
        head[0] = *first;
        stream.extend_from_slice(&head[..head_bytes]);
        let at = stream.len();
        stream.extend_from_slice(payload);
        mask::apply(&mut stream[at..], key.unwrap_or_default());
    }
    stream
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, limit, rsv, read_bytes, stream @ ..] = bytes else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let made = if choice & 2 == 0 { frames(role, stream) } else { stream.to_vec() };
    let stream = &made[..];
    let limits = match limit & 1 {
        0 => Limits::default(),
        _ => Limits { frame_bytes_max: 200, message_bytes_max: 300, fragments_max: 4 },
    };
    let machine = || Machine::new(role).with_rsv_allowed(Rsv::from_bits(*rsv));
    let whole = hear(machine(), &limits, stream, stream.len().max(1));
    assert_eq!(hear(machine(), &limits, stream, usize::from(*read_bytes).max(1)), whole);
    assert_eq!(hear(machine(), &limits, stream, 1), whole);
});
