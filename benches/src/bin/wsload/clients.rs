//! All connections and the one thread's epoll: opening them, going round, saying goodbye.

use crate::clock::{Clock, nanos, until};
use crate::connection::Connection;
use crate::error::{Error, Fault};
use crate::messages::Messages;
use crate::opening::{self, Target, Upgrade};
use crate::progress::{Goal, Progress};
use mio::{Events, Interest, Poll, Token};
use std::time::Duration;

/// The clients of one run. A connection's number is its place.
pub(crate) struct Clients {
    poll: Poll,
    events: Events,
    /// Connections whose last read left something.
    unread: Vec<usize>,
    /// The same of the turn before; kept for its memory.
    unread_before: Vec<usize>,
    pub(crate) connections: Vec<Connection>,
    /// What a read fills, one for all.
    buffer: Box<[u8]>,
    pub(crate) clock: Clock,
    progress: Option<Progress>,
}

impl Clients {
    pub(crate) fn new(messages: &Messages, progress: Option<Progress>) -> Result<Self, Error> {
        let buffer_bytes = (messages.reply_bytes * 2).clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            unread: Vec::new(),
            unread_before: Vec::new(),
            connections: Vec::new(),
            buffer: vec![0; buffer_bytes].into_boxed_slice(),
            clock: Clock::new(),
            progress,
        })
    }

    /// What comes now takes until `end`.
    pub(crate) fn show(&mut self, what: &'static str, end: u64) {
        let now = self.clock.now();
        if let Some(progress) = &mut self.progress {
            progress.begin(what, Goal::Time(now, end));
        }
    }

    /// Waits for sockets, at most `timeout`, and calls `each` for those that can be read or written; it says whether it
    /// wants to be called again without waiting. Returns how many there were.
    #[inline]
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(&mut Vec<Connection>, usize, &mut [u8]) -> Result<bool, Error>,
    ) -> Result<usize, Error> {
        let timeout = if self.unread.is_empty() { timeout } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        if let Some(progress) = &mut self.progress {
            progress.tick(self.clock, self.connections.len());
        }
        let mut count = 0;
        std::mem::swap(&mut self.unread, &mut self.unread_before);
        for index in self.unread_before.drain(..) {
            count += 1;
            if each(&mut self.connections, index, &mut self.buffer)? {
                self.unread.push(index);
            }
        }
        for event in &self.events {
            count += 1;
            let Token(index) = event.token();
            let more = each(&mut self.connections, index, &mut self.buffer)?;
            // An end that was there with the last bytes is not told again.
            if (more || event.is_read_closed()) && !self.unread.contains(&index) {
                self.unread.push(index);
            }
        }
        Ok(count)
    }

    /// Opens connections until there are `count`, at most `ramp` of them a second if that is not 0.
    pub(crate) fn open(
        &mut self,
        target: &Target,
        path: impl Fn(usize) -> String,
        count: usize,
        ramp: f64,
        messages: &Messages,
    ) -> Result<(), Error> {
        let (clock, first) = (self.clock, self.connections.len());
        let (begun, mut open) = (clock.now(), first);
        if let Some(progress) = &mut self.progress {
            progress.begin("opening", Goal::Connections(count));
        }
        while open < count {
            let now = clock.now();
            let next_due = |index: usize| {
                if ramp > 0.0 { begun + nanos((index - first) as f64 / ramp) } else { 0 }
            };
            while self.connections.len() < count
                && self.connections.len() - open < OPENING_MAX
                && next_due(self.connections.len()) <= now
            {
                let index = self.connections.len();
                let mut connection = opening::begin(target, &path(index), index, now)
                    .map_err(|error| Error::Opening { connection: index, open, why: error.to_string() })?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut connection.stream, Token(index), interest)?;
                self.connections.push(connection);
            }
            let timeout = until(now, next_due(self.connections.len()).max(now + 1_000_000), 50_000_000);
            self.turn(timeout, |connections, index, buffer| {
                let connection = &mut connections[index];
                if connection.handshake.is_none() {
                    return quiet(connection, index, messages, buffer);
                }
                let progress = opening::advance(connection, buffer).map_err(|why| Error::Opening {
                    connection: index,
                    open,
                    why,
                })?;
                if let Upgrade::Open(rest) = progress {
                    open += 1;
                    connection
                        .take(messages, &rest)
                        .map_err(|fault| Error::Server { connection: index, fault })?;
                }
                Ok(false)
            })?;
            let slow = |connection: &Connection| {
                let handshake = connection.handshake.as_ref();
                handshake.is_some_and(|handshake| now > handshake.begun + OPENING_NANOS_MAX)
            };
            if let Some(index) = self.connections.iter().position(slow) {
                let why =
                    format!("the upgrade was not answered within {} s", OPENING_NANOS_MAX / 1_000_000_000);
                return Err(Error::Opening { connection: index, open, why });
            }
        }
        Ok(())
    }

    /// Says goodbye, and gives the server a second to close. Its manners are not judged any more.
    pub(crate) fn close(mut self, messages: &Messages) {
        for connection in &mut self.connections {
            connection.close(messages);
        }
        let end = self.clock.now() + FAREWELL_NANOS_MAX;
        let mut open = self.connections.len();
        loop {
            let now = self.clock.now();
            if open == 0 || now > end {
                return;
            }
            let turned = self.turn(until(now, end, 50_000_000), |connections, index, buffer| {
                let connection = &mut connections[index];
                if !connection.closing {
                    return Ok(false);
                }
                match connection.receive(messages, buffer) {
                    Ok(received) => Ok(received.more),
                    Err(Fault::Closed { .. }) => Ok(true), // until it closes TCP too
                    Err(_) => {
                        connection.closing = false;
                        open -= 1;
                        Ok(false)
                    }
                }
            });
            if turned.is_err() {
                return;
            }
        }
    }
}

/// A connection on which no message is expected.
pub(crate) fn quiet(
    connection: &mut Connection,
    index: usize,
    messages: &Messages,
    buffer: &mut [u8],
) -> Result<bool, Error> {
    let received = connection.receive(messages, buffer).and_then(|received| {
        connection.answered(received.messages, |_, _| ())?;
        connection.flush(messages)?;
        Ok(received.more)
    });
    received.map_err(|fault| Error::Server { connection: index, fault })
}

/// A read of a few large messages, or of very many small ones.
const BUFFER_BYTES_MIN: usize = 256 << 10;
const BUFFER_BYTES_MAX: usize = 1 << 20;
/// Handshakes under way at once: fewer than any listening socket's queue.
const OPENING_MAX: usize = 64;
const OPENING_NANOS_MAX: u64 = 10_000_000_000;
const FAREWELL_NANOS_MAX: u64 = 1_000_000_000;
