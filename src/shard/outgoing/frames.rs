//! Where frames begin in what is to be sent, and cutting off what something else is to go before.
//!
//! Nothing is noted while frames are queued: a send that falls short is rare, and then their headers say it. A server's
//! frames are not masked, and a header lies in one piece.
//!
//! Does not know: what is to go before them.

use super::{Outgoing, Piece};
use crate::wire::frame::{Header, Opcode, parse_header};
use std::collections::VecDeque;

/// A piece of what was cut off.
#[derive(Debug)]
pub struct Tail {
    pub(crate) piece: Piece,
    /// How many messages the run has; said of its first piece.
    pub(crate) messages: u32,
    /// The next piece is of the same run.
    pub(crate) more: bool,
}

/// Frames from some byte on.
struct Frames<'a> {
    pieces: &'a VecDeque<Piece>,
    piece: usize,
    /// How many bytes are before that piece.
    before: usize,
    at: usize,
}

/// One of them.
struct Frame {
    header: Header,
    end: usize,
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let bytes = loop {
            let bytes = self.pieces.get(self.piece)?.bytes();
            match bytes.get(self.at - self.before..) {
                Some(rest) if !rest.is_empty() => break rest,
                _ => {
                    self.before += bytes.len();
                    self.piece += 1;
                }
            }
        };
        let (header, header_bytes) = parse_header(bytes).ok().flatten()?;
        self.at = self.at.checked_add(header_bytes + usize::try_from(header.payload_bytes).ok()?)?;
        Some(Frame { header, end: self.at })
    }
}

/// Whole messages, cut into runs.
#[derive(Default)]
struct Runs {
    /// Where the first ends, which stays, and the others, with how many messages each has.
    ends: Vec<(usize, u32)>,
}

impl Runs {
    /// All before `end` is whole messages, one more than before.
    fn add(&mut self, end: usize, stays_bytes: usize) {
        match &mut self.ends[..] {
            [] => self.ends.push((end, 0)),
            [stays] if end <= stays_bytes => stays.0 = end,
            [.., (before, _), (last, messages)] if end - *before <= RUN_BYTES => {
                *last = end;
                *messages += 1;
            }
            _ => self.ends.push((end, 1)),
        }
    }
}

impl Outgoing {
    /// What is in it so far stays together and in front: nothing goes before any of it.
    pub fn pin(&mut self) {
        self.front = self.bytes;
    }

    /// How many bytes of the front are no frames, or the rest of one, when so many more are sent.
    pub(super) fn front_after(&self, sent: usize) -> usize {
        if sent <= self.front {
            return self.front - sent;
        }
        let end = self.frames().map(|frame| frame.end).find(|&end| end >= sent);
        end.unwrap_or(self.bytes).min(self.bytes) - sent
    }

    /// Cuts off all but the first `stays_bytes`, or what has begun and at least one message: runs of whole messages, of at
    /// most 16 KiB each or of one message. Nothing, if the last message is not whole.
    ///
    /// ```
    /// use corewire::buf::{Pool, PoolConfig};
    /// use corewire::shard::Outgoing;
    ///
    /// let mut pool = Pool::new(&PoolConfig::default())?;
    /// let mut outgoing = Outgoing::default();
    /// for payload in [b"one", b"two"] {
    ///     outgoing.gather([&[0x81, 3], payload], &mut pool).unwrap();
    /// }
    /// outgoing.consume(1, &mut pool);
    /// assert_eq!(outgoing.cut_off(0).len(), 1);
    /// assert_eq!(outgoing.bytes(), 4); // the rest of the first, which has begun
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn cut_off(&mut self, stays_bytes: usize) -> Vec<Tail> {
        let mut runs = Runs::default();
        if self.front > 0 {
            runs.add(self.front, stays_bytes);
        }
        let (mut is_inside, mut end) = (false, self.front);
        for frame in self.frames() {
            let Header { opcode, fin, .. } = frame.header;
            end = frame.end;
            if opcode == Opcode::Continuation && !is_inside {
                runs.ends.clear(); // of a message that has begun to be sent: all before must stay
            }
            is_inside = if opcode.is_control() { is_inside } else { !fin };
            if !is_inside {
                runs.add(end, stays_bytes);
            }
        }
        if is_inside || end != self.bytes {
            return Vec::new();
        }
        let mut runs = runs.ends.into_iter();
        let Some((mut at, _)) = runs.next() else { return Vec::new() };
        let mut rest = std::mem::take(&mut self.pieces);
        take_front(&mut rest, at, |piece, _| self.pieces.push_back(piece));
        self.bytes = at;
        let mut tails = Vec::new();
        for (end, mut messages) in runs {
            take_front(&mut rest, end - at, |piece, more| {
                tails.push(Tail { piece, messages: std::mem::take(&mut messages), more });
            });
            at = end;
        }
        tails
    }

    /// Its frames, behind the front.
    fn frames(&self) -> Frames<'_> {
        Frames { pieces: &self.pieces, piece: 0, before: 0, at: self.front }
    }
}

/// Takes so many bytes off the front of `pieces`. `to` hears whether more of them follow.
fn take_front(pieces: &mut VecDeque<Piece>, mut bytes: usize, mut to: impl FnMut(Piece, bool)) {
    while bytes > 0 {
        let mut piece = pieces.pop_front().expect("bytes are left, so a piece is");
        let here = piece.bytes().len();
        if here > bytes {
            let front = piece.split_to(bytes);
            pieces.push_front(piece);
            return to(front, false);
        }
        bytes -= here;
        if here > 0 {
            to(piece, bytes > 0);
        }
    }
}

/// What is cut off is cut into so much at a time, so that what is urgent has not to wait for more of it.
const RUN_BYTES: usize = 16 << 10;
