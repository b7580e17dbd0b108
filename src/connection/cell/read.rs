//! What a client sends, on its way to the session: frame by frame, by receiving or in bulk, put together where it comes in
//! parts, held where it may not be read yet.
//!
//! Does not know: what the session makes of it, how a connection ends.

use super::Connection;
use super::end::{Ending, failed, short_of_memory};
use crate::actor::ActorId;
use crate::actor::local::Local;
use crate::buf::Buf;
use crate::connection::Message;
use crate::connection::guard::Around;
use crate::connection::session::Session;
use crate::shard::{Reader, Reading, outgoing::GATHER_BYTES_MAX};
use crate::wire::frame::CONTROL_BYTES_MAX;
use crate::wire::{Event, Kind};
use std::ops::Range;

impl<S: Session, G: Around> Connection<S, G> {
    /// Reads all of `bytes`, or as much as may be read now. `held`: they waited before, so the rest goes first.
    pub(super) fn read(
        &mut self,
        bytes: Buf,
        held: bool,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), Ending> {
        let result = self.read_frames(bytes, held, local, me);
        self.link.put_empty_outgoing(local);
        result
    }

    fn read_frames(
        &mut self,
        mut bytes: Buf,
        held: bool,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), Ending> {
        while !bytes.is_empty() {
            if self.link.must_hold() {
                if held {
                    self.link.hold_front(bytes);
                    return Ok(());
                }
                return self
                    .link
                    .hold(bytes, local, me)
                    .map_err(|exhausted| short_of_memory(exhausted, local));
            }
            let whole = self.link.machine.decode_whole(&mut bytes, &self.link.rules.wire);
            let (kind, payload, frame_bytes) = match whole.map_err(|error| failed(&error))? {
                Some(whole) => (whole.kind, whole.payload(), whole.frame_bytes()),
                None => match self.read_other(&mut bytes, local, me)? {
                    Some(message) => message,
                    None => continue,
                },
            };
            self.read_message(kind, &mut bytes, payload, frame_bytes, local, me);
        }
        local.pool.recycle(bytes);
        Ok(())
    }

    /// Reads what most frames are not: parts, control frames, and messages that are extraordinary. One that lies in `bytes` in
    /// one piece is left there, and told: its kind, where its payload is, and how long its frame. All others, and what hears
    /// them, are out of the way of those that come by the million.
    #[inline(never)]
    fn read_other(
        &mut self,
        bytes: &mut Buf,
        local: &mut Local,
        me: ActorId,
    ) -> Result<Option<(Kind, Range<usize>, usize)>, Ending> {
        let step = self.link.machine.decode(bytes, &self.link.rules.wire).map_err(|error| failed(&error))?;
        let consumed = step.consumed;
        match step.event {
            Some(Event::Message { kind, payload, .. }) => return Ok(Some((kind, payload, consumed))),
            Some(Event::Part { kind, payload, first, last, frame_bytes_missing, .. }) => {
                if first {
                    self.link.state.bulk.frame(payload.len() as u64 + frame_bytes_missing);
                }
                self.assemble(&bytes[payload], local)?;
                if last {
                    let message = self.link.assembly.take().expect("a part has just been added");
                    self.message_apart(kind, message, local, me);
                }
            }
            Some(Event::Ping(payload)) => {
                let mut pong = [0; CONTROL_BYTES_MAX];
                let ping = self.link.machine.control(&payload, bytes);
                let pong = &mut pong[..ping.len()];
                pong.copy_from_slice(ping);
                self.link.queue_pong(pong, local, me);
            }
            Some(Event::Pong(_)) | None => {}
            Some(Event::Close { code, reason }) => {
                let reason = String::from_utf8_lossy(self.link.machine.control(&reason, bytes)).into_owned();
                local.pool.recycle(std::mem::take(bytes));
                let said_first = self.link.state.closing;
                return Err(if said_first {
                    Ending::Done { reason }
                } else {
                    Ending::Client { code, reason }
                });
            }
        }
        bytes.advance(consumed);
        Ok(None)
    }

    /// Hands on a message that lies in `bytes` in one piece, or lets the session look at it there, and consumes its frame. Small
    /// ones are copied, so that a session that keeps one does not keep the block that many others share; so are larger ones
    /// when blocks are scarce.
    #[inline(always)] // a message that passes through memory is written in fields and read in wider words, which waits
    fn read_message(
        &mut self,
        kind: Kind,
        bytes: &mut Buf,
        payload: Range<usize>,
        frame_bytes: usize,
        local: &mut Local,
        me: ActorId,
    ) {
        self.link.state.bulk.frame(payload.len() as u64);
        if !self.is_heard() {
            bytes.advance(frame_bytes);
            return;
        }
        if S::VIEWS && G::NONE {
            if payload.len() <= GATHER_BYTES_MAX && bytes.headroom() > 0 {
                self.link.write_over(bytes, local); // what was read before this one
            }
            self.view(kind, &bytes[payload], local, me);
            bytes.advance(frame_bytes);
            return;
        }
        let is_small = payload.len() <= GATHER_BYTES_MAX;
        if (is_small || local.pool.is_scarce(bytes))
            && let Ok(message) = local.pool.copy(&bytes[payload.clone()])
        {
            bytes.advance(frame_bytes);
            if is_small {
                self.link.write_over(bytes, local);
            }
            self.message(Message::checked(kind, message), local, me);
            return;
        }
        let mut message = bytes.split_to(frame_bytes);
        message.advance(payload.start); // the header becomes headroom, where the answer's shorter one fits
        self.message_apart(kind, message, local, me);
    }

    /// Reads what has come on a socket in bulk, as much of it as may be answered at once.
    pub(super) fn read_bulk(
        &mut self,
        reader: &mut dyn Reader,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), Ending> {
        let mut left = BULK_READ_BYTES_MAX;
        let mut read = 0;
        // What is left is told again.
        while left > 0 && !self.link.must_hold() && !self.link.has_held() {
            let (before, reading) = self.read_once(left, reader, local);
            match reading {
                Reading::Bytes { front_bytes, behind } => {
                    let bytes = front_bytes + behind.len();
                    left = left.saturating_sub(bytes);
                    read += bytes;
                    local.counters.bytes_in += bytes as u64;
                    if front_bytes > 0 {
                        self.read_in_place(before, local, me)?;
                        if behind.is_empty()
                            && self.link.assembly.is_none()
                            && self.link.state.bulk.expects_large()
                        {
                            break;
                        }
                    }
                    self.read(behind, false, local, me)?;
                }
                Reading::Nothing => break,
                Reading::Ended => return self.hung_up(),
                Reading::Failed(error) => return Err(Ending::Broken(error.to_string())),
            }
        }
        if read > 0 {
            self.link.heard(local.now());
            self.link.choose_bulk(read, local);
        }
        Ok(())
    }

    /// Reads into the rest of a frame that has a block, and behind it into scratch. Says where in the block.
    fn read_once(
        &mut self,
        bytes_max: usize,
        reader: &mut dyn Reader,
        local: &mut Local,
    ) -> (usize, Reading) {
        let missing = usize::try_from(self.link.machine.frame_bytes_missing()).unwrap_or(usize::MAX);
        // If the next frame is as large as the last, it is to get a block as well: only its head is read elsewhere, and
        // not before its turn, since with the head the block would be taken, and be out of the cache until then.
        let behind_bytes_max = match self.link.state.bulk.expects_large() {
            true if missing > 0 => 0,
            true => HEAD_BYTES_MAX,
            false => bytes_max.saturating_sub(missing),
        };
        let socket = self.link.socket;
        let Some(block) = self.link.assembly.as_mut().filter(|block| missing > 0 && block.room() > 0) else {
            let behind_bytes_max = if missing > 0 { bytes_max } else { behind_bytes_max };
            return (0, reader.read(socket, &mut [], behind_bytes_max, &mut local.pool));
        };
        let before = block.len();
        let mut reading = Reading::Nothing;
        block.fill(|spare| {
            let room = missing.min(spare.len()).min(bytes_max);
            let behind_bytes_max = if room < missing { 0 } else { behind_bytes_max };
            reading = reader.read(socket, &mut spare[..room], behind_bytes_max, &mut local.pool);
            match reading {
                Reading::Bytes { front_bytes, .. } => front_bytes,
                _ => 0,
            }
        });
        (before, reading)
    }

    /// Reads the part of a frame that is in its block already, from `before` on.
    fn read_in_place(&mut self, before: usize, local: &mut Local, me: ActorId) -> Result<(), Ending> {
        let block = self.link.assembly.as_mut().expect("it was read into");
        let step = self
            .link
            .machine
            .decode(&mut block[before..], &self.link.rules.wire)
            .map_err(|error| failed(&error))?;
        if let Some(Event::Part { kind, last: true, .. }) = step.event {
            let message = self.link.assembly.take().expect("it was read into");
            self.message_apart(kind, message, local, me);
        }
        Ok(())
    }

    /// The client will say no more. What it said before is read first.
    pub(super) fn hung_up(&mut self) -> Result<(), Ending> {
        self.link.state.ended = true;
        if self.link.has_held() { Ok(()) } else { Err(Ending::HungUp) }
    }

    /// Adds a part to the message that is coming in. Its block has room for the rest of the frame, as long as memory is
    /// ample; else it grows with what has come: a header costs its sender nothing, and must not cost others a block.
    fn assemble(&mut self, part: &[u8], local: &mut Local) -> Result<(), Ending> {
        let (had, room) = self.link.assembly.as_ref().map_or((0, 0), |block| (block.len(), block.room()));
        let missing = usize::try_from(self.link.machine.frame_bytes_missing()).unwrap_or(usize::MAX);
        let needed = had + part.len();
        let end = needed.saturating_add(missing);
        let message_bytes_max =
            usize::try_from(self.link.rules.wire.message_bytes_max).unwrap_or(usize::MAX).max(end);
        // Twice what was there, so that many fragments are not copied as many times.
        let in_advance = end.max(had * 2).min(message_bytes_max);
        let is_ample = missing > 0 && local.pool.is_ample(in_advance + HEADROOM_BYTES);
        if self.link.assembly.is_none() || room < part.len() || (is_ample && room < part.len() + missing) {
            let bytes = match missing {
                _ if is_ample => in_advance,
                0 => needed.max(message_bytes_max.min(needed.saturating_mul(2))), // how much follows is not known
                _ => end.min(needed.saturating_mul(2)),
            };
            let mut larger = local
                .pool
                .take(bytes + HEADROOM_BYTES)
                .map_err(|exhausted| short_of_memory(exhausted, local))?;
            larger.leave_headroom(HEADROOM_BYTES);
            if let Some(smaller) = self.link.assembly.take() {
                larger.extend_from_slice(&smaller).expect("it was taken with room for all");
                local.pool.recycle(smaller);
            }
            self.link.assembly = Some(larger);
        }
        let block = self.link.assembly.as_mut().expect("it is there or was just made");
        block.extend_from_slice(part).expect("it was taken with room for all");
        Ok(())
    }

    /// Reads what waited, as far as it may be read now.
    pub(super) fn read_held(&mut self, local: &mut Local, me: ActorId) -> Result<(), Ending> {
        while let Some(bytes) = self.link.next_held() {
            self.read(bytes, true, local, me)?;
        }
        self.link.go_on_when_sent(local, me);
        self.link.resume_reading(local);
        if self.link.state.ended && !self.link.has_held() { Err(Ending::HungUp) } else { Ok(()) }
    }
}

/// How much of one connection is read in one turn: as much as it takes for the answers to be a quarter of the largest
/// queue by default, so that none has to wait for the next turn.
const BULK_READ_BYTES_MAX: usize = 264 << 10;
/// Enough for a header, and to be worth copying.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// For the longest header that a server sends.
const HEADROOM_BYTES: usize = 10;
