//! Checking what comes, byte for byte.
//!
//! Nearly always it is the next frame of the run, whole and unfragmented, so a read is compared with a slice of the run.
//! What else a server may send (pings, pongs, fragments, a close) differs from that in the first byte of a frame, and is
//! read frame by frame (`odd`) until the run goes on.

use crate::error::Fault;
use crate::messages::Messages;
use crate::odd::{Odd, Step};

/// How far one connection's replies have come.
#[derive(Default)]
pub(crate) struct Replies {
    /// Bytes into the run.
    at: usize,
    /// Whole messages so far.
    pub(crate) count: u64,
    odd: Option<Box<Odd>>,
    /// The payload of the last ping, which wants to be answered.
    pub(crate) ping: Option<Vec<u8>>,
}

impl Replies {
    /// Expects the run from its message `first`.
    pub(crate) fn from(first: usize, messages: &Messages) -> Self {
        Self { at: first % messages.count * messages.reply_bytes, ..Self::default() }
    }

    /// Checks what has come; returns how many messages that completes.
    #[inline]
    pub(crate) fn take(&mut self, messages: &Messages, bytes: &[u8]) -> Result<usize, Fault> {
        if self.odd.is_some() {
            return self.take_odd(messages, bytes);
        }
        let begun_bytes = self.at % messages.reply_bytes; // of a message that has come in part
        let mut rest = bytes;
        loop {
            let expected = &messages.replies[self.at..];
            let here = expected.len().min(rest.len());
            if rest[..here] != expected[..here] {
                return self.differs(messages, begun_bytes + bytes.len() - rest.len(), rest);
            }
            self.at = if here == expected.len() { 0 } else { self.at + here };
            rest = &rest[here..];
            if rest.is_empty() {
                return Ok(self.complete((begun_bytes + bytes.len()) / messages.reply_bytes));
            }
        }
    }

    fn complete(&mut self, messages: usize) -> usize {
        self.count += messages as u64;
        messages
    }

    /// `rest` is not what was expected: wrong, or a frame that is none of the run's. Right were `right_bytes`, counted
    /// from the beginning of a message.
    #[cold]
    fn differs(&mut self, messages: &Messages, right_bytes: usize, rest: &[u8]) -> Result<usize, Fault> {
        let same =
            rest.iter().zip(&messages.replies[self.at..]).take_while(|(came, sent)| came == sent).count();
        let completed = self.complete((right_bytes + same) / messages.reply_bytes);
        self.at += same;
        let in_message = self.at % messages.reply_bytes;
        if in_message == 0 {
            self.odd = Some(Box::default());
            return Ok(completed + self.take_odd(messages, &rest[same..])?);
        }
        let (message, sent, came) = (self.count + 1, messages.replies[self.at], rest[same]);
        Err(match in_message.checked_sub(messages.header_bytes) {
            Some(byte) => match messages.resembling(self.at - in_message, byte, &rest[same..]) {
                Some(ahead) if ahead <= messages.count / 2 => Fault::Skipped { message, ahead: ahead as u64 },
                Some(_) => Fault::Repeated { message },
                None => Fault::Differs { message, byte, sent, came },
            },
            None => Fault::frame(
                message,
                format!("its header says another length than {}, or says it at length", messages.size()),
            ),
        })
    }

    /// Frames that are not simply the next of the run.
    #[cold]
    fn take_odd(&mut self, messages: &Messages, mut bytes: &[u8]) -> Result<usize, Fault> {
        let mut completed = 0;
        while let Some(odd) = &mut self.odd {
            let step = odd.take(messages, self.at, self.count + 1, &mut bytes)?;
            let is_over = odd.is_between_messages();
            match step {
                Step::More => return Ok(completed),
                Step::Ping(payload) => self.ping = Some(payload),
                Step::Nothing => {}
                Step::Message => {
                    completed += self.complete(1);
                    self.at = (self.at + messages.reply_bytes) % messages.replies.len();
                }
            }
            if is_over {
                self.odd = None;
            }
        }
        Ok(completed + self.take(messages, bytes)?)
    }
}
