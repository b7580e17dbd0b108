//! What the tests of `wire` share: a peer that writes frames, and an ear that hears what a machine says of them.

use corewire::wire::frame::{self, Header, Opcode, Rsv};
use corewire::wire::{CloseCode, Event, Kind, Limits, Machine, Role, Step, Violation, WireError};

/// The key of every masked frame here; turning it wrongly shows at once.
pub(super) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What was heard, put together: pieces make one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// A machine, its limits, and what it has said so far.
pub(super) struct Ear {
    pub(super) machine: Machine,
    pub(super) limits: Limits,
    pub(super) heard: Vec<Heard>,
    /// The message that has begun and not ended.
    pub(super) unfinished: Option<(Kind, Vec<u8>)>,
}

impl Ear {
    pub(super) fn new(role: Role) -> Self {
        Self::of(Machine::new(role))
    }

    pub(super) fn of(machine: Machine) -> Self {
        Self { machine, limits: Limits::default(), heard: Vec::new(), unfinished: None }
    }

    pub(super) fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Feed one read, and check what holds for every read: all is consumed, every call goes forward, ranges lie in
    /// what was consumed, hints and flags agree with what comes.
    pub(super) fn hear(&mut self, read: &[u8]) -> Result<(), WireError> {
        let mut bytes = read.to_vec();
        let mut bytes = &mut bytes[..];
        while !bytes.is_empty() {
            let Step { consumed, event } = self.machine.decode(bytes, &self.limits)?;
            assert!((1..=bytes.len()).contains(&consumed), "{consumed} of {} consumed", bytes.len());
            match event {
                None => assert_eq!(consumed, bytes.len(), "nothing said while bytes remain"),
                Some(Event::Message { kind, payload, .. }) => {
                    assert_eq!(self.unfinished, None, "a message inside another");
                    assert_eq!(payload.end, consumed);
                    self.heard.push(Heard::Message(kind, bytes[payload].to_vec()));
                }
                Some(Event::Part {
                    kind,
                    payload,
                    first,
                    last,
                    frame_bytes_missing,
                    message_bytes_hint,
                    ..
                }) => {
                    assert_eq!(payload.end, consumed);
                    assert_eq!(first, self.unfinished.is_none());
                    assert_eq!(frame_bytes_missing, self.machine.frame_bytes_missing());
                    let (begun, so_far) = self.unfinished.get_or_insert((kind, Vec::new()));
                    assert_eq!(*begun, kind);
                    so_far.extend_from_slice(&bytes[payload]);
                    assert_eq!(so_far.len() as u64 + frame_bytes_missing, message_bytes_hint);
                    if last {
                        assert_eq!(frame_bytes_missing, 0);
                        self.heard
                            .extend(self.unfinished.take().map(|(kind, all)| Heard::Message(kind, all)));
                    }
                }
                Some(Event::Ping(payload)) => {
                    let payload = self.machine.control(&payload, bytes).to_vec();
                    self.heard.push(Heard::Ping(payload));
                }
                Some(Event::Pong(payload)) => {
                    let payload = self.machine.control(&payload, bytes).to_vec();
                    self.heard.push(Heard::Pong(payload));
                }
                Some(Event::Close { code, reason }) => {
                    let reason = self.machine.control(&reason, bytes).to_vec();
                    let reason = String::from_utf8(reason).expect("a checked reason");
                    self.heard.push(Heard::Close(code.map(CloseCode::get), reason));
                }
            }
            bytes = &mut bytes[consumed..];
        }
        Ok(())
    }
}

/// A frame as `to` wants it from its peer: masked for a server.
pub(super) fn frame(to: Role, fin: bool, rsv: Rsv, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = (to == Role::Server).then_some(KEY);
    let header = Header { fin, rsv, opcode, key, payload_bytes: payload.len() as u64 };
    let mut head = [0; 14];
    let head_bytes = frame::encode_header(&header, &mut head);
    let masked = payload.iter().enumerate().map(|(i, byte)| byte ^ key.map_or(0, |key| key[i % 4]));
    head[..head_bytes].iter().copied().chain(masked).collect()
}

/// A whole frame from a client.
pub(super) fn whole(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(Role::Server, true, Rsv::NONE, opcode, payload)
}

/// A frame from a client after which its message goes on.
pub(super) fn fragment(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(Role::Server, false, Rsv::NONE, opcode, payload)
}

pub(super) fn text(text: &str) -> Heard {
    Heard::Message(Kind::Text, text.into())
}

pub(super) fn binary(bytes: &[u8]) -> Heard {
    Heard::Message(Kind::Binary, bytes.into())
}

/// What `to` hears is the same, whether it comes at once, byte by byte, or in threes.
pub(super) fn check_heard_by(to: Role, stream: &[u8], expected: &[Heard]) {
    for read_bytes in [stream.len().max(1), 1, 3] {
        let mut ear = Ear::new(to);
        for read in stream.chunks(read_bytes) {
            ear.hear(read).unwrap_or_else(|error| panic!("in reads of {read_bytes}: {error}"));
        }
        assert_eq!(ear.heard, expected, "in reads of {read_bytes}");
        assert_eq!(ear.unfinished, None, "in reads of {read_bytes}");
    }
}

/// What a server hears of a client.
pub(super) fn check_heard(stream: &[u8], expected: &[Heard]) {
    check_heard_by(Role::Server, stream, expected);
}

/// `ear`'s machine fails at this stream, however it is cut; at the same error; and hears nothing after it.
pub(super) fn check_fails(ear: impl Fn() -> Ear, stream: &[u8], expected: WireError) {
    for read_bytes in [stream.len().max(1), 1, 3] {
        let mut ear = ear();
        let failed = stream.chunks(read_bytes).find_map(|read| ear.hear(read).err());
        assert_eq!(failed, Some(expected), "in reads of {read_bytes}");
        let heard = ear.heard.clone();
        ear.hear(&whole(Opcode::Text, b"more")).expect("what follows a failure is swallowed");
        assert_eq!(ear.heard, heard, "heard after a failure");
        assert!(ear.machine.owes_close());
    }
}

/// A server refuses this from a client.
pub(super) fn check_refused(stream: &[u8], violation: Violation) {
    check_fails(|| Ear::new(Role::Server), stream, WireError::Peer(violation));
}
