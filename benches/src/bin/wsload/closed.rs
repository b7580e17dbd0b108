//! Closed loop: each connection keeps so many messages in flight, and sends the next when one comes back.

use crate::clients::Clients;
use crate::clock::{Spans, nanos, until};
use crate::error::{Error, Fault};
use crate::messages::Messages;
use crate::meter::Meter;

/// Warms up, counts, and waits for what is still in flight.
pub(crate) fn run(
    clients: &mut Clients,
    messages: &Messages,
    in_flight: usize,
    spans: Spans,
    meter: &mut Meter,
) -> Result<(), Error> {
    let clock = clients.clock;
    let begun = clock.now();
    for (index, connection) in clients.connections.iter_mut().enumerate() {
        connection.begin(index, messages);
        connection.queue(messages, clock.now(), in_flight);
        connection.flush(messages).map_err(|fault| Error::Server { connection: index, fault })?;
    }
    clients.show("warm-up", begun + nanos(spans.warmup_s));
    go(clients, messages, meter, begun + nanos(spans.warmup_s))?;
    let begun = meter.begin(|| clock.now())?;
    clients.show("counting", begun + nanos(spans.duration_s));
    go(clients, messages, meter, begun + nanos(spans.duration_s))?;
    meter.end(|| clock.now())?;
    drain(clients, messages, in_flight, spans.patience_s)
}

/// Goes round until `end`.
fn go(clients: &mut Clients, messages: &Messages, meter: &mut Meter, end: u64) -> Result<(), Error> {
    let clock = clients.clock;
    loop {
        let now = clock.now();
        if now >= end {
            return Ok(());
        }
        clients.turn(until(now, end, WAIT_NANOS_MAX), |connections, index, buffer| {
            let connection = &mut connections[index];
            let mut advance = || {
                let received = connection.receive(messages, buffer)?;
                if received.messages > 0 {
                    let now = clock.now();
                    meter.messages += received.messages as u64;
                    connection.answered(received.messages, |sent, count| meter.record(now - sent, count))?;
                    connection.queue(messages, now, received.messages);
                }
                connection.flush(messages)?;
                Ok(received.more)
            };
            advance().map_err(|fault| Error::Server { connection: index, fault })
        })?;
    }
}

/// Waits until every connection has all its answers, and says which has not.
fn drain(clients: &mut Clients, messages: &Messages, in_flight: usize, patience_s: f64) -> Result<(), Error> {
    let clock = clients.clock;
    let end = clock.now() + nanos(patience_s);
    clients.show("waiting", end);
    let mut unanswered = (in_flight * clients.connections.len()) as u64;
    while unanswered > 0 && clock.now() < end {
        clients.turn(until(clock.now(), end, WAIT_NANOS_MAX), |connections, index, buffer| {
            let connection = &mut connections[index];
            let mut advance = || {
                let received = connection.receive(messages, buffer)?;
                connection.answered(received.messages, |_, count| unanswered -= u64::from(count))?;
                connection.flush(messages)?;
                Ok(received.more)
            };
            advance().map_err(|fault| Error::Server { connection: index, fault })
        })?;
    }
    let late = clients.connections.iter().enumerate().find(|(_, connection)| connection.unanswered() > 0);
    late.map_or(Ok(()), |(index, connection)| {
        let fault = Fault::Unanswered { messages: connection.unanswered(), seconds: patience_s };
        Err(Error::Server { connection: index, fault })
    })
}

const WAIT_NANOS_MAX: u64 = 50_000_000;
