//! What comes out of the [`Machine`](super::Machine): events, whose payloads are ranges of the bytes that went in.

use std::ops::Range;

use super::close::CloseCode;
use super::frame::Rsv;
use super::message::Kind;

/// What one call of [`Machine::decode`](super::Machine::decode) did.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes taken from the front. Never 0, unless there were none.
    pub consumed: usize,
    /// What they meant; `None` for the beginning of something.
    pub event: Option<Event>,
}

/// A whole message that lay there in one frame; see [`Machine::decode_whole`](super::Machine::decode_whole). Four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Text, which is UTF-8, or binary.
    pub kind: Kind,
    pub(super) header_bytes: u8,
    pub(super) payload_bytes: u16,
}

impl Whole {
    /// Where the message is, unmasked.
    #[inline]
    pub fn payload(self) -> Range<usize> {
        usize::from(self.header_bytes)..self.frame_bytes()
    }

    /// How many bytes its frame has, header included.
    #[inline]
    pub fn frame_bytes(self) -> usize {
        usize::from(self.header_bytes) + usize::from(self.payload_bytes)
    }
}

/// What the peer said. Ranges count from the start of the bytes given to the same call.
///
/// ```
/// use corewire::wire::{CloseCode, Event, Limits, Machine, Role};
/// let (mut machine, limits) = (Machine::new(Role::Client), Limits::default());
///
/// // Two fragments of a text, the second cut off; then the rest, and a close.
/// let mut bytes = *b"\x01\x03Hel\x80\x02l";
/// let step = machine.decode(&mut bytes, &limits)?;
/// let Some(Event::Part { payload, first: true, last: false, .. }) = step.event else { panic!() };
/// assert_eq!(&bytes[payload], b"Hel");
/// let step = machine.decode(&mut bytes[step.consumed..], &limits)?;
/// let Some(Event::Part { frame_bytes_missing: 1, message_bytes_hint: 5, .. }) = step.event else { panic!() };
///
/// let mut bytes = *b"o\x88\x05\x03\xe8bye";
/// let step = machine.decode(&mut bytes, &limits)?;
/// assert!(matches!(step.event, Some(Event::Part { last: true, .. })));
/// let rest = &mut bytes[step.consumed..];
/// let Some(Event::Close { code, reason }) = machine.decode(rest, &limits)?.event else { panic!() };
/// assert_eq!((code, reason.len()), (Some(CloseCode::NORMAL), 3));
/// assert_eq!(machine.control(&reason, rest), b"bye");
/// assert!(machine.owes_close());
/// # Ok::<(), corewire::wire::WireError>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message in one frame that lay there in one piece: nothing was copied. Text is UTF-8.
    Message {
        /// Text or binary.
        kind: Kind,
        /// The bits that an extension has claimed, of the message's frame.
        rsv: Rsv,
        /// Where the message is, unmasked.
        payload: Range<usize>,
    },
    /// A piece of a message that comes in several frames or reads. Text is UTF-8 so far; a character may be cut at
    /// the end of a piece.
    Part {
        /// Text or binary.
        kind: Kind,
        /// The bits that an extension has claimed, of the message's first frame.
        rsv: Rsv,
        /// Where the piece is, unmasked; may be empty.
        payload: Range<usize>,
        /// A message begins.
        first: bool,
        /// The message ends.
        last: bool,
        /// Bytes of this frame that are still to come.
        frame_bytes_missing: u64,
        /// Bytes of the message so far, with those that are still missing of this frame: what a block must hold that
        /// is to take it without growing, unless more frames follow.
        message_bytes_hint: u64,
    },
    /// Answer with a pong of the same payload; of several, the latest will do (RFC 6455 §5.5.3).
    Ping(Payload),
    /// An answer to our ping, or a heartbeat that nobody asked for.
    Pong(Payload),
    /// The peer closes. No event follows.
    Close {
        /// Why, if the peer says so.
        code: Option<CloseCode>,
        /// In words; UTF-8.
        reason: Payload,
    },
}

/// Where the payload of a control frame is; see [`Machine::control`](super::Machine::control).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// In the machine, because the frame came in pieces; else in the bytes given to `decode`.
    pub(super) held: bool,
    pub(super) range: Range<usize>,
}

impl Payload {
    /// How long it is: 0 to 125 bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}
