//! What a treadmill's clients say.

use crate::wire::frame::{self, Opcode};
use crate::wire::handshake::{self, Key};

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
    pub(super) fn new(path: &str, payload_bytes: usize, in_flight: u32, speakers: u32) -> Self {
        let mut request = Vec::new();
        handshake::request("treadmill", path, &Key::from_nonce([7; 16]), &[], &[], &mut request)
            .expect("a route's path is a path");
        let payload = vec![b'.'; payload_bytes];
        let (mut message, mut answer) = (Vec::new(), Vec::new());
        frame::append(Opcode::Text, Some(MASK), &payload, &mut message);
        frame::append(Opcode::Text, None, &payload, &mut answer);
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
