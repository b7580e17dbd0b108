//! One connection: what it has to send, what it waits for, and its socket, which never blocks.

use crate::error::Fault;
use crate::messages::Messages;
use crate::opening::Handshake;
use crate::replies::Replies;
use corewire::wire::frame::{self, Opcode};
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

/// A client of the server.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Until the upgrade is answered.
    pub(crate) handshake: Option<Box<Handshake>>,
    /// Where in the run of requests it goes on.
    send_at: usize,
    /// What is to be sent, in bytes of the run.
    unsent_bytes: usize,
    pub(crate) replies: Replies,
    /// When the messages in flight were sent, or due; oldest first, with how many there are of each.
    in_flight: VecDeque<(u64, u32)>,
    /// Control frames that go before the next message.
    control: Vec<u8>,
    pub(crate) closing: bool,
}

/// What one read has brought.
pub(crate) struct Received {
    pub(crate) messages: usize,
    /// There may be more.
    pub(crate) more: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, handshake: Handshake) -> Self {
        Self {
            stream,
            handshake: Some(Box::new(handshake)),
            send_at: 0,
            unsent_bytes: 0,
            replies: Replies::default(),
            in_flight: VecDeque::new(),
            control: Vec::new(),
            closing: false,
        }
    }

    /// Sends and expects the run from its message `first`.
    pub(crate) fn begin(&mut self, first: usize, messages: &Messages) {
        self.send_at = first % messages.count * messages.request_bytes;
        self.replies = Replies::from(first, messages);
    }

    /// Has `count` more messages to send, which count from `stamp`.
    #[inline]
    pub(crate) fn queue(&mut self, messages: &Messages, stamp: u64, count: usize) {
        self.in_flight.push_back((stamp, count as u32));
        self.publish(messages, count);
    }

    /// Has `count` more messages to send, whose answers others may get.
    #[inline]
    pub(crate) fn publish(&mut self, messages: &Messages, count: usize) {
        self.unsent_bytes += count * messages.request_bytes;
    }

    /// Sends a frame that is none of the run's, between its messages.
    pub(crate) fn send_aside(&mut self, messages: &Messages, frame: &[u8]) -> Result<(), Fault> {
        self.control.extend_from_slice(frame);
        self.flush(messages)
    }

    /// Owes a pong, which goes with the next [`Self::flush`].
    pub(crate) fn answer_ping(&mut self, payload: &[u8]) {
        if self.control.len() < CONTROL_BYTES_MAX {
            frame::append(Opcode::Pong, Some(KEY), payload, &mut self.control);
        }
    }

    /// Whether the socket takes no more for now.
    pub(crate) fn is_blocked(&self) -> bool {
        self.unsent_bytes > 0
    }

    /// Messages that are not answered.
    pub(crate) fn unanswered(&self) -> u64 {
        self.in_flight.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The stamps of messages that are not answered, with how many there are of each.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (u64, u32)> {
        self.in_flight.iter().copied()
    }

    /// Sends what there is to send, as far as the socket takes it.
    #[inline]
    pub(crate) fn flush(&mut self, messages: &Messages) -> Result<(), Fault> {
        if !self.control.is_empty() && !self.flush_control(messages)? {
            return Ok(());
        }
        while self.unsent_bytes > 0 {
            let run = &messages.requests;
            let sent = if self.send_at + self.unsent_bytes <= run.len() {
                self.stream.write(&run[self.send_at..self.send_at + self.unsent_bytes])
            } else {
                self.write_round(run)
            };
            match sent {
                Ok(sent) => {
                    self.unsent_bytes -= sent;
                    self.send_at = (self.send_at + sent) % run.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Fault::Broken(error)),
            }
        }
        Ok(())
    }

    /// One write of the run from where it goes on, and again from its beginning.
    fn write_round(&mut self, run: &[u8]) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut at, mut left, mut used) = (self.send_at, self.unsent_bytes, 0);
        for slice in &mut slices {
            let here = left.min(run.len() - at);
            *slice = IoSlice::new(&run[at..at + here]);
            (at, left, used) = (0, left - here, used + 1);
            if left == 0 {
                break;
            }
        }
        self.stream.write_vectored(&slices[..used])
    }

    /// Control frames go where a message ends. Returns whether they are gone.
    #[cold]
    fn flush_control(&mut self, messages: &Messages) -> Result<bool, Fault> {
        loop {
            let begun_bytes = self.send_at % messages.request_bytes;
            let bytes = if begun_bytes > 0 {
                &messages.requests[self.send_at..self.send_at + messages.request_bytes - begun_bytes]
            } else {
                &self.control[..]
            };
            match self.stream.write(bytes) {
                Ok(sent) if begun_bytes > 0 => {
                    self.unsent_bytes -= sent;
                    self.send_at = (self.send_at + sent) % messages.requests.len();
                }
                Ok(sent) => {
                    drop(self.control.drain(..sent));
                    if self.control.is_empty() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(Fault::Broken(error)),
            }
        }
    }

    /// Reads once, and checks it.
    #[inline]
    pub(crate) fn receive(&mut self, messages: &Messages, buffer: &mut [u8]) -> Result<Received, Fault> {
        let received = match self.stream.read(buffer) {
            Ok(0) => return Err(Fault::HungUp),
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(Received { messages: 0, more: false });
            }
            Err(error) => return Err(Fault::Broken(error)),
        };
        let messages_came = self.take(messages, &buffer[..received])?;
        // A read that leaves room has emptied the socket; what comes later is told anew.
        Ok(Received { messages: messages_came, more: received == buffer.len() })
    }

    /// Checks bytes that have been read.
    pub(crate) fn take(&mut self, messages: &Messages, bytes: &[u8]) -> Result<usize, Fault> {
        let came = self.replies.take(messages, bytes)?;
        if let Some(payload) = self.replies.ping.take() {
            self.answer_ping(&payload);
        }
        Ok(came)
    }

    /// Takes `count` messages as answered, and tells when each was sent or due.
    #[inline]
    pub(crate) fn answered(&mut self, mut count: usize, mut each: impl FnMut(u64, u32)) -> Result<(), Fault> {
        while count > 0 {
            let Some((stamp, waiting)) = self.in_flight.front_mut() else {
                return Err(Fault::Unasked { message: self.replies.count + 1 - count as u64 });
            };
            let here = count.min(*waiting as usize);
            each(*stamp, here as u32);
            count -= here;
            *waiting -= here as u32;
            if *waiting == 0 {
                self.in_flight.pop_front();
            }
        }
        Ok(())
    }

    /// Says goodbye; nothing is sent after that.
    pub(crate) fn close(&mut self, messages: &Messages) {
        self.closing = true;
        if self.handshake.is_none() && self.unsent_bytes == 0 {
            frame::append(Opcode::Close, Some(KEY), &1000u16.to_be_bytes(), &mut self.control);
            let _ = self.flush(messages); // who is gone already needs no goodbye
        }
    }
}

/// Slices of one `writev`.
const SLICES_MAX: usize = 64;
/// Pongs that wait; a peer that sends pings and does not read is owed no more.
const CONTROL_BYTES_MAX: usize = 1024;
/// Control frames have a mask too; nobody in between is to be protected from a load generator's.
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
