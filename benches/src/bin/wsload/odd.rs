//! Frames that are not simply the next of the run: control frames, and messages in fragments.

use crate::error::Fault;
use crate::messages::Messages;
use corewire::wire::frame::{self, Header, Opcode, Rsv};

/// What a frame's end means.
pub(crate) enum Step {
    /// The bytes ran out first.
    More,
    Nothing,
    /// A ping with this payload.
    Ping(Vec<u8>),
    /// The last fragment of the message that was expected.
    Message,
}

/// A frame that is being read.
#[derive(Default)]
pub(crate) struct Odd {
    head: Vec<u8>,
    header: Option<Header>,
    /// Of this frame's payload, still to come.
    left_bytes: u64,
    control: Vec<u8>,
    /// How much of the message its fragments have brought, once there is one.
    fragmented: Option<usize>,
}

impl Odd {
    /// Whether the run may go on.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.header.is_none() && self.head.is_empty() && self.fragmented.is_none()
    }

    /// Reads up to a frame's end from the front of `bytes`. The message that is expected is the `message`th, and lies at
    /// `at` in the run.
    pub(crate) fn take(
        &mut self,
        messages: &Messages,
        at: usize,
        message: u64,
        bytes: &mut &[u8],
    ) -> Result<Step, Fault> {
        let header = loop {
            if let Some(header) = self.header {
                break header;
            }
            let Some((byte, rest)) = bytes.split_first() else { return Ok(Step::More) };
            *bytes = rest;
            self.head.push(*byte);
            let parsed = frame::parse_header(&self.head)
                .map_err(|violation| Fault::frame(message, violation.to_string()))?;
            if let Some((header, _)) = parsed {
                self.begin(&header, messages, message)?;
            }
        };
        let here = self.left_bytes.min(bytes.len() as u64) as usize;
        let (payload, rest) = bytes.split_at(here);
        *bytes = rest;
        self.left_bytes -= here as u64;
        if header.opcode.is_control() {
            self.control.extend_from_slice(payload);
        } else {
            self.compare(payload, messages.payload_at(at), message)?;
        }
        if self.left_bytes > 0 {
            return Ok(Step::More);
        }
        self.header = None;
        self.head.clear();
        self.end(&header, messages, message)
    }

    fn begin(&mut self, header: &Header, messages: &Messages, message: u64) -> Result<(), Fault> {
        if header.key.is_some() {
            return Err(Fault::frame(message, "the server masks its frames"));
        }
        if header.rsv != Rsv::NONE {
            return Err(Fault::frame(message, "a bit of an extension is set that was not agreed on"));
        }
        if !header.opcode.is_control() {
            let expected = if self.fragmented.is_some() { Opcode::Continuation } else { messages.opcode };
            if header.opcode != expected {
                return Err(Fault::frame(
                    message,
                    format!("{:?} where {expected:?} was expected", header.opcode),
                ));
            }
            let bytes = *self.fragmented.get_or_insert(0) as u64 + header.payload_bytes;
            let size = messages.size();
            if bytes > size as u64 || (header.fin && bytes != size as u64) {
                return Err(Fault::frame(message, format!("it is {bytes} bytes long, not {size}")));
            }
        }
        (self.header, self.left_bytes) = (Some(*header), header.payload_bytes);
        Ok(())
    }

    fn compare(&mut self, came: &[u8], expected: &[u8], message: u64) -> Result<(), Fault> {
        let begun = self.fragmented.unwrap_or(0);
        let sent = &expected[begun..begun + came.len()];
        if let Some(differs) = came.iter().zip(sent).position(|(came, sent)| came != sent) {
            let (byte, sent, came) = (begun + differs, sent[differs], came[differs]);
            return Err(Fault::Differs { message, byte, sent, came });
        }
        self.fragmented = Some(begun + came.len());
        Ok(())
    }

    fn end(&mut self, header: &Header, messages: &Messages, message: u64) -> Result<Step, Fault> {
        let control = std::mem::take(&mut self.control);
        Ok(match header.opcode {
            Opcode::Ping => Step::Ping(control),
            Opcode::Pong => Step::Nothing,
            Opcode::Close => return Err(Fault::closed(&control)),
            _ if header.fin => {
                debug_assert!(
                    self.fragmented == Some(messages.size()),
                    "checked when message {message}'s last frame began"
                );
                self.fragmented = None;
                Step::Message
            }
            _ => Step::Nothing,
        })
    }
}
