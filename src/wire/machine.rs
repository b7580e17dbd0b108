//! Bytes in, events out: one end of a connection that is open (RFC 6455 §5–§8). What it holds and tells is here; how
//! it decodes is in `receive`.

mod receive;

use super::close::Closing;
use super::error::{Violation, WireError};
use super::event::{Payload, Step, Whole};
use super::frame::{CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Opcode, Rsv};
use super::mask::{self, Key};
use super::message::{Assembly, Kind, Limits};
use super::utf8;

/// Which end we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The peer's frames must be masked; ours are not.
    Server,
    /// The peer's frames must not be masked; ours are.
    Client,
}

/// What one connection's bytes mean so far. An idle connection holds one of these and nothing else of `wire`.
///
/// Feed it all that arrives, in order, in pieces of any size; it keeps what a later piece needs to be understood (a
/// header or a control frame that is cut off) and never a message's payload. After an error, and after a
/// [`Close`](super::Event::Close), it swallows what comes (RFC 6455 §5.5.1, §7.1.7).
///
/// ```
/// use corewire::wire::{Event, Kind, Limits, Machine, Role, frame};
///
/// let mut received = Vec::new(); // from a client: a message and a ping in one read
/// frame::append(frame::Opcode::Text, Some([1, 2, 3, 4]), b"hello", &mut received);
/// frame::append(frame::Opcode::Ping, Some([5, 6, 7, 8]), b"there?", &mut received);
///
/// let mut machine = Machine::new(Role::Server);
/// let mut bytes = &mut received[..];
/// let mut said = Vec::new();
/// while !bytes.is_empty() {
///     let step = machine.decode(bytes, &Limits::default())?;
///     match step.event {
///         Some(Event::Message { kind: Kind::Text, payload, .. }) => said.push(bytes[payload].to_vec()),
///         Some(Event::Ping(payload)) => said.push(machine.control(&payload, bytes).to_vec()),
///         other => unreachable!("{other:?}"),
///     }
///     bytes = &mut bytes[step.consumed..];
/// }
/// assert_eq!(said, [&b"hello"[..], b"there?"]);
/// # Ok::<(), corewire::wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct Machine {
    message: Assembly,
    frame_bytes_missing: u64,
    /// A control payload that came in pieces; there only from its first piece to the call after its last.
    held: Option<Box<[u8; CONTROL_BYTES_MAX]>>,
    held_bytes: u8,
    /// A header that is cut off, so at least a byte is missing.
    header: [u8; HEADER_BYTES_MAX - 1],
    header_bytes: u8,
    /// Of the current frame, turned to the next byte.
    key: Key,
    expecting: Expecting,
    fin: bool,
    role: Role,
    rsv_allowed: Rsv,
    closing: Closing,
}

const _: () = assert!(size_of::<Machine>() <= 64); // each idle connection holds one

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expecting {
    Header,
    Data,
    Control(Opcode),
    /// Nothing: the peer has closed, or failed.
    Nothing,
}

impl Machine {
    /// An open connection on which no byte has come yet.
    pub const fn new(role: Role) -> Self {
        Self {
            message: Assembly::new(),
            frame_bytes_missing: 0,
            held: None,
            held_bytes: 0,
            header: [0; HEADER_BYTES_MAX - 1],
            header_bytes: 0,
            key: [0; 4],
            expecting: Expecting::Header,
            fin: false,
            role,
            rsv_allowed: Rsv::NONE,
            closing: Closing::NONE,
        }
    }

    /// Let an extension have `rsv`: the first frame of a message may carry these bits, which then stand in its
    /// events. Control frames and continuations may not (RFC 7692 §6.1 asks for no more).
    #[must_use]
    pub const fn with_rsv_allowed(mut self, rsv: Rsv) -> Self {
        self.rsv_allowed = rsv;
        self
    }

    /// Decode what stands at the front of `bytes`, unmasking it in place. Call again with the rest until there is
    /// none: all bytes are consumed, none must be kept for the next read.
    ///
    /// An error is final: answer with its [`close_code`](WireError::close_code).
    #[inline]
    pub fn decode(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Step, WireError> {
        let step = match self.expecting {
            Expecting::Header => self.next_frame(bytes, limits),
            Expecting::Data => self.more_data(bytes),
            Expecting::Control(opcode) => self.more_control(opcode, bytes).map_err(WireError::from),
            Expecting::Nothing => return Ok(Step { consumed: bytes.len(), event: None }),
        };
        if step.is_err() {
            self.fail();
        }
        step
    }

    /// What most messages are, quickly: a whole one in one frame without extensions, from a client, that lies at the front
    /// of `bytes` in one piece and is no longer than 65,535 bytes. `None` says that this is something else, for
    /// [`decode`](Self::decode), and nothing has changed.
    ///
    /// It is `decode` without its [`Step`], which passes through memory, written in bytes and read in words: that
    /// waiting was a third of the time of a small message.
    ///
    /// ```
    /// use corewire::wire::{Kind, Limits, Machine, Role};
    /// let (mut machine, limits) = (Machine::new(Role::Server), Limits::default());
    /// let mut bytes = *b"\x82\x82\0\0\0\0hi\x82";
    /// let whole = machine.decode_whole(&mut bytes, &limits)?.unwrap();
    /// assert_eq!((whole.kind, whole.payload(), whole.frame_bytes()), (Kind::Binary, 6..8, 8));
    /// assert_eq!(machine.decode_whole(&mut bytes[8..], &limits), Ok(None)); // cut off
    /// # Ok::<(), corewire::wire::WireError>(())
    /// ```
    ///
    /// # Errors
    /// Its text is not UTF-8. As with `decode`, this is final.
    #[inline(always)]
    pub fn decode_whole(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Option<Whole>, WireError> {
        let &mut [first, second, ..] = bytes else { return Ok(None) };
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return Ok(None),
        };
        let (header_bytes, payload_bytes) = match second {
            0x80..=0xfd => (6, u16::from(second & 0x7f)),
            0xfe if bytes.len() >= 8 => (8, u16::from_be_bytes([bytes[2], bytes[3]])),
            _ => return Ok(None),
        };
        let whole = Whole { kind, header_bytes, payload_bytes };
        let limit_bytes = limits.frame_bytes_max.min(limits.message_bytes_max);
        if bytes.len() < whole.frame_bytes()
            || header_bytes == 8 && payload_bytes < 126 // longer than it need be
            || u64::from(payload_bytes) > limit_bytes
            || limits.fragments_max == 0
            || !self.is_between_messages()
        {
            return Ok(None);
        }
        let (header, payload) = bytes[..whole.frame_bytes()].split_at_mut(header_bytes.into());
        let key = header.last_chunk().expect("a header is six bytes or eight, and the last four are the key");
        mask::apply(payload, *key);
        if kind == Kind::Text && utf8::check(payload).is_err() {
            self.fail();
            return Err(Violation::TextNotUtf8.into());
        }
        Ok(Some(whole))
    }

    /// Whether the next byte is the first of a client's message.
    #[inline]
    fn is_between_messages(&self) -> bool {
        self.expecting == Expecting::Header
            && self.header_bytes == 0
            && self.role == Role::Server
            && self.message.open().is_none()
            && self.held.is_none()
    }

    /// Bytes that must still come to finish the data frame whose payload has begun, 0 when there is none: room for
    /// exactly these is room for exactly this frame.
    #[inline]
    pub fn frame_bytes_missing(&self) -> u64 {
        if self.expecting == Expecting::Data { self.frame_bytes_missing } else { 0 }
    }

    /// Whether the peer is in the middle of a header, a frame or a fragmented message.
    pub fn is_mid_message(&self) -> bool {
        self.header_bytes > 0 || self.frame_bytes_missing > 0 || self.message.open().is_some()
    }

    /// The payload of a control frame. `bytes` are those that were given to the call of [`decode`](Self::decode) that
    /// told of it, and no other call may lie between.
    ///
    /// # Panics
    /// If `bytes` are shorter than those were.
    pub fn control<'a>(&'a self, payload: &Payload, bytes: &'a [u8]) -> &'a [u8] {
        match &self.held {
            Some(held) if payload.held => &held[payload.range.clone()],
            _ => &bytes[payload.range.clone()],
        }
    }

    /// Tell that we have sent a close frame. Send no data after it.
    pub fn set_close_sent(&mut self) {
        self.closing.set_sent();
    }

    /// We have sent a close frame.
    pub fn close_sent(&self) -> bool {
        self.closing.sent()
    }

    /// The peer has sent a close frame.
    pub fn close_received(&self) -> bool {
        self.closing.received()
    }

    /// A close frame is due: the peer has sent one, or has failed, and we have sent none.
    pub fn owes_close(&self) -> bool {
        (self.closing.received() || self.closing.failed()) && !self.closing.sent()
    }

    /// It is on us to close TCP: as a server, once both have sent a close frame; as either, once we have told a peer
    /// that it failed (RFC 6455 §7.1.1, §7.1.7). A client waits for the server otherwise.
    pub fn should_close_tcp(&self) -> bool {
        let closed = self.closing.received() && self.role == Role::Server;
        self.closing.sent() && (closed || self.closing.failed())
    }
}
