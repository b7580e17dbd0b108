//! What is sent and what must come back, written once: frames of one size, each with a payload of its own.
//!
//! They lie behind each other and are used round and round, so sending is a `write` of a slice, checking is comparing
//! with a slice, and a reply that is lost, doubled or another connection's is seen.

use corewire::wire::frame::{self, Opcode};

/// A run of different messages.
pub(crate) struct Messages {
    /// Masked frames, as a client sends them.
    pub(crate) requests: Vec<u8>,
    pub(crate) request_bytes: usize,
    /// The same without masks, as a server sends them.
    pub(crate) replies: Vec<u8>,
    pub(crate) reply_bytes: usize,
    /// How many of a reply's bytes are header.
    pub(crate) header_bytes: usize,
    /// How many messages there are before they repeat.
    pub(crate) count: usize,
    pub(crate) opcode: Opcode,
}

impl Messages {
    /// Messages of `size` bytes, of UTF-8 or of any bytes.
    pub(crate) fn new(size: usize, text: bool) -> Self {
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        let header_bytes = frame::header_bytes(size as u64, false);
        let count = (RUN_BYTES / (header_bytes + size)).clamp(COUNT_MIN, COUNT_MAX);
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        let mut random = fastrand::Rng::with_seed(6455);
        for _ in 0..count {
            let payload = if text { text_of(size, &mut random) } else { bytes_of(size, &mut random) };
            let key = random.u32(1..).to_ne_bytes();
            frame::append(opcode, Some(key), &payload, &mut requests);
            frame::append(opcode, None, &payload, &mut replies);
        }
        let (request_bytes, reply_bytes) = (requests.len() / count, replies.len() / count);
        Self { requests, request_bytes, replies, reply_bytes, header_bytes, count, opcode }
    }

    /// Bytes of each payload.
    pub(crate) fn size(&self) -> usize {
        self.reply_bytes - self.header_bytes
    }

    /// How far ahead in the run the message is that begins like the one at `at` for `same` bytes and goes on with
    /// `came`; the run is round. None if there is none, or too little has come to tell.
    pub(crate) fn resembling(&self, at: usize, same: usize, came: &[u8]) -> Option<usize> {
        let came = &came[..came.len().min(self.size() - same)];
        let begun = &self.payload_at(at)[..same];
        (1..self.count).filter(|_| same + came.len() >= TELLING_BYTES).find(|ahead| {
            let payload = self.payload_at((at + ahead * self.reply_bytes) % self.replies.len());
            payload.starts_with(begun) && payload[same..].starts_with(came)
        })
    }

    /// The payload of the message that lies `at` bytes into `replies`.
    pub(crate) fn payload_at(&self, at: usize) -> &[u8] {
        &self.replies[at + self.header_bytes..at + self.reply_bytes]
    }
}

/// Few enough to stay in a core's first cache.
const RUN_BYTES: usize = 8 << 10;
/// So much of a message is no other's by chance.
const TELLING_BYTES: usize = 4;
/// Large messages: two, so that one is not the next.
const COUNT_MIN: usize = 2;
const COUNT_MAX: usize = 1024;

fn bytes_of(size: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes
}

/// Letters and digits, and in every 32 bytes one letter of two bytes: text that a server cannot wave through as ASCII.
fn text_of(size: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut text: Vec<u8> = (0..size).map(|_| random.alphanumeric() as u8).collect();
    for chunk in text.chunks_exact_mut(16).step_by(2) {
        chunk[7..9].copy_from_slice("ü".as_bytes());
    }
    text
}
