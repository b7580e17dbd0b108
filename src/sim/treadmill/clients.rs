//! What a treadmill's clients say.

use crate::wire::frame::{self, Opcode};
use crate::wire::handshake::{self, Key};

/// What each message is.
#[derive(Debug)]
pub(super) struct Says(pub(super) Opcode, pub(super) Vec<u8>);

impl Says {
    /// So many bytes of text.
    pub(super) fn text(bytes: usize) -> Self {
        Self(Opcode::Text, vec![b'.'; bytes])
    }
}

/// The same for all.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) request: Vec<u8>,
    /// `in_flight` messages, one after the other.
    stream: Vec<u8>,
    message_bytes: usize,
    /// A message as the server says it.
    pub(super) answer_bytes: usize,
    pub(super) in_flight: u32,
    /// How many of a shard's clients speak; the others listen.
    speakers: u32,
}

impl Script {
    pub(super) fn new(path: &str, says: &Says, in_flight: u32, speakers: u32) -> Self {
        let mut request = Vec::new();
        handshake::request("treadmill", path, &Key::from_nonce([7; 16]), &[], &[], &mut request)
            .expect("a route's path is a path");
        let (mut message, mut answer) = (Vec::new(), Vec::new());
        let Says(opcode, payload) = says;
        frame::append(*opcode, Some(MASK), payload, &mut message);
        frame::append(*opcode, None, payload, &mut answer);
        Self {
            request,
            stream: message.repeat(in_flight as usize),
            message_bytes: message.len(),
            answer_bytes: answer.len(),
            in_flight,
            speakers,
        }
    }

    /// So many messages, at most as many as there may be in flight.
    pub(super) fn messages(&self, count: u32) -> &[u8] {
        &self.stream[..count.min(self.in_flight) as usize * self.message_bytes]
    }

    pub(super) fn speaks(&self, client: u32) -> bool {
        client < self.speakers
    }

    pub(super) fn stream_bytes(&self) -> usize {
        self.stream.len()
    }
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
