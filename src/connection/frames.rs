//! Server frames that go to many clients: written once, and read from where they are.
//!
//! A room writes what it has to say into a [`FrameWriter`], freezes it into one ticket a shard, and each shard hands views
//! of it to its clients ([`Context::deliver`]). So there is one copy of a payload in memory, whatever the number of
//! clients, and one send takes all frames of a turn.
//!
//! Does not know: who hears them, or what becomes of them where a client is slow.

use crate::actor::{Actor, Context};
use crate::buf::{Buf, Exhausted, Frozen, NoRoom, Pool, Shared, Tickets};
use crate::sync::Arc;
use crate::wire::Kind;
use crate::wire::frame::{HEADER_BYTES_MAX, Header, Rsv, encode_header};
use std::ops::Range;

use super::Message;
use super::link::opcode_of;

/// The longest header of a server's frame: 2 bytes and 8 of length. A server masks nothing (RFC 6455 §5.1).
pub const FRAME_HEADER_BYTES_MAX: usize = HEADER_BYTES_MAX - 4;

/// Writes whole messages as frames, back to back. From [`Context::frame_writer`].
///
/// ```
/// use corewire::prelude::*;
/// use corewire::connection::{Delivered, FRAME_HEADER_BYTES_MAX, Frames, Terms};
/// use corewire::actor::ActorId;
/// use corewire::wire::Kind;
///
/// /// Tells everybody of its shard what time it is.
/// struct Clock(Vec<ActorId>);
/// impl Actor for Clock {}
/// impl Clock {
///     fn tell(&mut self, time: &str, cx: &mut Context<Self>) -> Result<(), Close> {
///         let mut frames = cx.frame_writer(time.len() + FRAME_HEADER_BYTES_MAX)?;
///         frames.push(Kind::Text, &[time.as_bytes()]).expect("it was made with this much room");
///         let mine = cx.freeze(frames, 1).next().expect("one ticket was asked for").open();
///         self.0.retain(|&who| cx.deliver(who, &mine, &Terms::default()) != Delivered::Gone);
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct FrameWriter {
    block: Buf,
    ends: Vec<u32>,
}

impl FrameWriter {
    /// Adds a message: `parts`, one after the other. Nobody checks that a text is UTF-8; a client to whom one is sent that is
    /// not ends its connection.
    ///
    /// # Errors
    /// There is no room for it; nothing was added.
    pub fn push(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<(), NoRoom> {
        let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
        let mut header = [0; HEADER_BYTES_MAX];
        let header = write_header(kind, payload_bytes, &mut header);
        let bytes = header.len() + payload_bytes;
        if self.block.room() < bytes {
            return Err(NoRoom { bytes, room_bytes: self.block.room() });
        }
        self.block.extend_from_slice(header)?;
        for part in parts {
            self.block.extend_from_slice(part)?;
        }
        self.ends.push(self.block.len() as u32);
        Ok(())
    }

    /// How many bytes there is room for, headers and all.
    pub fn room(&self) -> usize {
        self.block.room()
    }

    /// How many frames it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes they are, headers and all.
    pub fn bytes(&self) -> usize {
        self.block.len()
    }

    /// See [`Context::frame_of`].
    pub(super) fn of(message: Message, pool: &mut Pool) -> Result<Self, Message> {
        let kind = message.kind();
        let mut block = pool.keep(message.into_bytes());
        let mut header = [0; HEADER_BYTES_MAX];
        let header = write_header(kind, block.len(), &mut header);
        if block.is_in_receive_block() || block.prepend(header).is_err() {
            let Ok(mut copy) = pool.take(header.len() + block.len()) else {
                return Err(Message::checked(kind, block));
            };
            for part in [header, &block] {
                copy.extend_from_slice(part).expect("it was taken with room for both");
            }
            pool.recycle(std::mem::replace(&mut block, copy));
        }
        let ends = vec![block.len() as u32];
        Ok(Self { block, ends })
    }

    /// See [`Context::freeze`].
    pub(super) fn freeze(self, shards: u16, pool: &mut Pool) -> FramesTickets {
        FramesTickets { tickets: pool.freeze(self.block, shards.into()), ends: self.ends.into() }
    }
}

/// Frames on their way to one shard. `Send`, and not `Clone`: see [`Frozen`].
#[derive(Debug)]
pub struct FramesTicket {
    bytes: Frozen,
    ends: Arc<[u32]>,
}

impl FramesTicket {
    /// On the shard that it was for: a first view.
    pub fn open(self) -> Frames {
        let range = 0..self.ends.len() as u32;
        Frames { bytes: self.bytes.open(), ends: self.ends, range }
    }

    /// How many frames it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes they are, headers and all.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A view of frames on one shard. A clone is a view of the same.
#[derive(Debug, Clone)]
pub struct Frames {
    bytes: Shared,
    /// Where each frame of the ticket ends.
    ends: Arc<[u32]>,
    /// Which of them are meant.
    range: Range<u32>,
}

/// The same on its way to another shard.
#[derive(Debug)]
pub(super) struct PackedFrames {
    ticket: FramesTicket,
    range: Range<u32>,
}

impl PackedFrames {
    pub(super) fn open(self) -> Frames {
        Frames { range: self.range, ..self.ticket.open() }
    }
}

impl Frames {
    /// For another shard.
    pub(super) fn pack(&self) -> PackedFrames {
        let ticket = FramesTicket { bytes: self.bytes.ticket(), ends: self.ends.clone() };
        PackedFrames { ticket, range: self.range.clone() }
    }

    /// How many frames it has.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// How many bytes they are, headers and all.
    pub fn bytes(&self) -> usize {
        self.span().len()
    }

    /// A view of these frames only.
    ///
    /// # Panics
    /// If it does not have them.
    pub fn slice(&self, frames: Range<usize>) -> Self {
        assert!(
            frames.start <= frames.end && frames.end <= self.len(),
            "{frames:?} of {} frames",
            self.len()
        );
        let start = self.range.start + frames.start as u32;
        Self { bytes: self.bytes.clone(), ends: self.ends.clone(), range: start..start + frames.len() as u32 }
    }

    /// The payload of a frame, and what kind of message it is.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn message(&self, frame: usize) -> (Kind, &[u8]) {
        let Range { start, end } = self.span_of(frame);
        let frame = &self.bytes[start as usize..end as usize];
        let kind = if frame[0] & 0x0f == 1 { Kind::Text } else { Kind::Binary };
        let header_bytes = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        (kind, &frame[header_bytes..])
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.bytes
    }

    /// Where its bytes are in the view.
    #[inline]
    pub(super) fn span(&self) -> Range<u32> {
        let start = self.begin_of(self.range.start);
        start..self.begin_of(self.range.end)
    }

    /// Where a frame's bytes are in the view.
    pub(super) fn span_of(&self, frame: usize) -> Range<u32> {
        assert!(frame < self.len(), "frame {frame} of {}", self.len());
        let frame = self.range.start + frame as u32;
        self.begin_of(frame)..self.begin_of(frame + 1)
    }

    #[inline]
    fn begin_of(&self, frame: u32) -> u32 {
        frame.checked_sub(1).map_or(0, |before| self.ends[before as usize])
    }
}

/// One ticket for each shard, from [`Context::freeze`].
#[derive(Debug)]
#[must_use = "tickets that are not taken are given back"]
pub struct FramesTickets {
    tickets: Tickets,
    ends: Arc<[u32]>,
}

impl Iterator for FramesTickets {
    type Item = FramesTicket;

    fn next(&mut self) -> Option<FramesTicket> {
        self.tickets.next().map(|bytes| FramesTicket { bytes, ends: self.ends.clone() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.tickets.size_hint()
    }
}

impl ExactSizeIterator for FramesTickets {}

impl<A: Actor> Context<'_, A> {
    /// Room for frames of so many bytes together, their headers ([`FRAME_HEADER_BYTES_MAX`] each at most) among them.
    ///
    /// # Errors
    /// The shard's quota for outgoing bytes is used up.
    pub fn frame_writer(&mut self, bytes: usize) -> Result<FrameWriter, Exhausted> {
        let block =
            self.local.pool.take(bytes).inspect_err(|exhausted| self.local.memory_is_short(*exhausted))?;
        Ok(FrameWriter { block, ends: Vec::new() })
    }

    /// A message as a frame, without a copy: its header goes where the client's longer one was, or into room that was left
    /// before it. Where neither is, or it would pin a much larger block, it is copied.
    ///
    /// # Errors
    /// It had to be copied, and the shard's quota for outgoing bytes is used up. The message comes back.
    pub fn frame_of(&mut self, message: Message) -> Result<FrameWriter, Message> {
        FrameWriter::of(message, &mut self.local.pool)
    }

    /// Ends the writing: one ticket for each of `shards` shards.
    pub fn freeze(&mut self, frames: FrameWriter, shards: u16) -> FramesTickets {
        frames.freeze(shards, &mut self.local.pool)
    }
}

fn write_header(kind: Kind, payload_bytes: usize, to: &mut [u8; HEADER_BYTES_MAX]) -> &[u8] {
    let header = Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: opcode_of(kind),
        key: None,
        payload_bytes: payload_bytes as u64,
    };
    let bytes = encode_header(&header, to);
    &to[..bytes]
}
