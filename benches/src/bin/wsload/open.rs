//! Open loop: messages are sent when they are due, whatever has come back, and latency counts from then.
//!
//! So waiting is never hidden ("coordinated omission"): not that of messages which would have been sent while the server
//! stalled, and not that of messages which this process sends late. How late it is, is told beside.

use crate::clients::Clients;
use crate::clock::{Clock, Spans, nanos, until};
use crate::connection::Connection;
use crate::error::{Error, Fault};
use crate::messages::Messages;
use crate::meter::{Meter, histogram};
use hdrhistogram::Histogram;
use std::time::Duration;

/// What only this loop can tell.
pub(crate) struct Outcome {
    /// From when a message was due to when it was handed to its socket.
    pub(crate) late: Histogram<u64>,
    /// Messages that had not come back when waiting was given up.
    pub(crate) unanswered: u64,
}

/// Warms up and counts at `rate` messages a second, and waits for what is still in flight.
pub(crate) fn run(
    clients: &mut Clients,
    messages: &Messages,
    rate: f64,
    spans: Spans,
    meter: &mut Meter,
) -> Result<Outcome, Error> {
    let clock = clients.clock;
    for (index, connection) in clients.connections.iter_mut().enumerate() {
        connection.begin(index, messages);
    }
    let mut loop_ = OpenLoop {
        clock,
        messages,
        begun: clock.now() + nanos(HEAD_START_S),
        interval_nanos: 1e9 / rate,
        sent: 0,
        answered: 0,
        counts: (u64::MAX, u64::MAX),
        late: histogram()?,
    };
    let begun = loop_.begun + nanos(spans.warmup_s);
    clients.show("warm-up", begun);
    loop_.go(clients, meter, begun, begun)?;
    meter.begin(|| clock.now())?;
    loop_.late.reset();
    let end = begun + nanos(spans.duration_s); // by the schedule, so that it is always the same messages that count
    loop_.counts = (begun, end);
    clients.show("counting", end);
    loop_.go(clients, meter, end, end)?;
    meter.end(|| clock.now())?;
    let counted = meter.messages;
    let given_up = clock.now() + nanos(spans.patience_s);
    clients.show("waiting", given_up);
    loop_.go(clients, meter, end, given_up)?;
    meter.messages = counted;
    let given_up = clock.now();
    let mut unanswered = 0;
    for (due, count) in clients.connections.iter().flat_map(Connection::stamps) {
        unanswered += u64::from(count);
        loop_.record(meter, given_up, due, count);
    }
    Ok(Outcome { late: loop_.late, unanswered })
}

struct OpenLoop<'a> {
    clock: Clock,
    messages: &'a Messages,
    begun: u64,
    interval_nanos: f64,
    sent: u64,
    answered: u64,
    /// Messages that are due from the one until before the other count.
    counts: (u64, u64),
    late: Histogram<u64>,
}

impl OpenLoop<'_> {
    /// Sends what is due before `send_end`, and goes round until `end`, or until all is sent and answered.
    fn go(&mut self, clients: &mut Clients, meter: &mut Meter, send_end: u64, end: u64) -> Result<(), Error> {
        loop {
            self.send_due(&mut clients.connections, send_end)?;
            let now = self.clock.now();
            let due = self.due();
            if now >= end || (due >= send_end && now >= send_end && self.answered == self.sent) {
                return Ok(());
            }
            // epoll's timeouts are whole milliseconds, and waking takes its time: near to the next message we spin.
            let next = if due < send_end { due } else { end };
            let spins = due < send_end && next.saturating_sub(now) < SPIN_NANOS;
            let timeout = if spins { Duration::ZERO } else { until(now + WAKE_NANOS, next, WAIT_NANOS_MAX) };
            let turned = clients.turn(timeout, |connections, index, buffer| {
                let more = self.receive(&mut connections[index], buffer, meter);
                let more = more.map_err(|fault| Error::Server { connection: index, fault })?;
                self.send_due(connections, send_end)?;
                Ok(more)
            })?;
            if turned == 0 && spins {
                meter.idle_nanos += self.clock.now() - now;
            }
        }
    }

    /// When the next message is due.
    fn due(&self) -> u64 {
        self.begun + (self.sent as f64 * self.interval_nanos) as u64
    }

    /// Sends what is due, round robin over the connections; a few at a time, so that reading goes on.
    #[inline]
    fn send_due(&mut self, connections: &mut [Connection], send_end: u64) -> Result<(), Error> {
        for _ in 0..SENDS_MAX {
            let (due, now) = (self.due(), self.clock.now());
            if due > now || due >= send_end {
                return Ok(());
            }
            let index = (self.sent % connections.len() as u64) as usize;
            let connection = &mut connections[index];
            let blocked = connection.is_blocked();
            connection.queue(self.messages, due, 1);
            self.sent += 1;
            self.late.saturating_record((now - due).max(1));
            if !blocked {
                connection
                    .flush(self.messages)
                    .map_err(|fault| Error::Server { connection: index, fault })?;
            }
        }
        Ok(())
    }

    #[inline]
    fn receive(
        &mut self,
        connection: &mut Connection,
        buffer: &mut [u8],
        meter: &mut Meter,
    ) -> Result<bool, Fault> {
        let received = connection.receive(self.messages, buffer)?;
        if received.messages > 0 {
            let now = self.clock.now();
            self.answered += received.messages as u64;
            meter.messages += received.messages as u64;
            connection.answered(received.messages, |due, count| self.record(meter, now, due, count))?;
        }
        connection.flush(self.messages)?;
        Ok(received.more)
    }

    #[inline]
    fn record(&self, meter: &mut Meter, now: u64, due: u64, count: u32) {
        if self.counts.0 <= due && due < self.counts.1 {
            meter.record(now - due, count);
        }
    }
}

/// From the call to the first message.
const HEAD_START_S: f64 = 0.001;
/// Nearer to a message than this, sleeping is not precise enough.
const SPIN_NANOS: u64 = 2_000_000;
/// Sleeps end this much early.
const WAKE_NANOS: u64 = 1_000_000;
const WAIT_NANOS_MAX: u64 = 50_000_000;
const SENDS_MAX: usize = 16;
