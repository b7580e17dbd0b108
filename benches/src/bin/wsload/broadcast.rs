//! Broadcast: what each room's sender says must come to all members of the room, in order, byte for byte.
//!
//! Closed loop: so many messages of a room are outstanding, and the next is sent when the oldest has come to everybody. Open
//! loop: a message is sent when it is due, and latency counts from then.

use crate::clients::Clients;
use crate::clock::{Spans, nanos, until};
use crate::connection::Connection;
use crate::error::{Error, Fault};
use crate::greeting::greet;
use crate::messages::Messages;
use crate::meter::Meter;
use crate::report::rounded;
use crate::rooms::Rooms;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What only this mode tells.
#[derive(Serialize)]
pub(crate) struct Broadcast {
    pub(crate) rooms: usize,
    /// Members of all rooms together.
    pub(crate) members: usize,
    /// Whether a member of each room sends, or a further connection.
    pub(crate) sender_is_member: bool,
    /// What was sent in the time that counts, of all rooms; `messages` are its deliveries.
    pub(crate) published: u64,
    pub(crate) published_per_s: f64,
}

/// Warms up, counts, and waits for what is still outstanding. Returns how many messages were published in the time that
/// counts.
pub(crate) fn run(
    clients: &mut Clients,
    messages: &Messages,
    rooms: &mut Rooms,
    rate: Option<f64>,
    spans: Spans,
    meter: &mut Meter,
) -> Result<u64, Error> {
    let clock = clients.clock;
    greet(clients, rooms, messages, spans.patience_s)?;
    for (index, connection) in clients.connections.iter_mut().enumerate() {
        connection.begin(rooms.room_of(index), messages);
    }
    let begun = clock.now();
    let mut pace = rate.map(|rate| Pace::new(begun, rate, rooms.all.len()));
    publish_in_all(&mut clients.connections, messages, rooms, pace.as_mut(), begun)?;
    clients.show("warm-up", begun + nanos(spans.warmup_s));
    go(clients, messages, rooms, pace.as_mut(), meter, begun + nanos(spans.warmup_s), true)?;
    let begun = meter.begin(|| clock.now())?;
    let sent_before: u64 = rooms.all.iter().map(|room| room.sent).sum();
    clients.show("counting", begun + nanos(spans.duration_s));
    go(clients, messages, rooms, pace.as_mut(), meter, begun + nanos(spans.duration_s), true)?;
    meter.end(|| clock.now())?;
    let sent: u64 = rooms.all.iter().map(|room| room.sent).sum();
    let counted = meter.messages;
    let given_up = clock.now() + nanos(spans.patience_s);
    clients.show("waiting", given_up);
    go(clients, messages, rooms, None, meter, given_up, false)?;
    meter.messages = counted;
    complain(clients, rooms, spans.patience_s)?;
    Ok(sent - sent_before)
}

/// Goes round until `end`; unless `goes_on`, nothing more is published, and it is over when all has come.
fn go(
    clients: &mut Clients,
    messages: &Messages,
    rooms: &mut Rooms,
    mut pace: Option<&mut Pace>,
    meter: &mut Meter,
    end: u64,
    goes_on: bool,
) -> Result<(), Error> {
    let clock = clients.clock;
    loop {
        let now = clock.now();
        if now >= end || (!goes_on && rooms.all.iter().all(|room| room.heard == room.sent)) {
            return Ok(());
        }
        let mut timeout = until(now, end, WAIT_NANOS_MAX);
        if goes_on && let Some(pace) = pace.as_deref_mut() {
            publish_in_all(&mut clients.connections, messages, rooms, Some(pace), now)?;
            // epoll's timeouts are whole milliseconds, and waking takes its time: near to the next message we spin.
            let next = pace.next();
            let spins = next.saturating_sub(now) < SPIN_NANOS;
            timeout = if spins {
                Duration::ZERO
            } else {
                until(now + SPIN_NANOS / 2, next.min(end), WAIT_NANOS_MAX)
            };
        }
        clients.turn(timeout, |connections, index, buffer| {
            let connection = &mut connections[index];
            let before = connection.replies.count;
            let blame = |fault| Error::Server { connection: index, fault };
            let received = connection.receive(messages, buffer).map_err(blame)?;
            connection.flush(messages).map_err(blame)?;
            if received.messages == 0 {
                return Ok(received.more);
            }
            if !rooms.is_member(index) {
                return Err(Error::Contract(format!(
                    "connection {index} is no member, and yet it hears its room"
                )));
            }
            let (room, now) = (rooms.room_of(index), clock.now());
            let delivered = before..before + received.messages as u64;
            meter.messages += received.messages as u64;
            let record = |sent_at| {
                if goes_on {
                    meter.record(now.saturating_sub(sent_at).max(1), 1)
                }
            };
            rooms.all[room].deliver(delivered, record).map_err(blame)?;
            match pace.as_deref_mut() {
                Some(pace) if pace.next() <= now => {
                    publish_in_all(connections, messages, rooms, Some(pace), now)?;
                }
                None if goes_on => publish(connections, messages, rooms, room, now)?,
                _ => {}
            }
            Ok(received.more)
        })?;
    }
}

/// When messages are due.
struct Pace {
    begun: u64,
    interval_nanos: f64,
    /// How many were sent, in each room.
    sent: Vec<u64>,
}

impl Pace {
    fn new(begun: u64, rate: f64, rooms: usize) -> Self {
        Self { begun, interval_nanos: 1e9 / rate, sent: vec![0; rooms] }
    }

    fn due(&self, room: usize) -> u64 {
        self.begun + (self.sent[room] as f64 * self.interval_nanos) as u64
    }

    /// When the next message is due, of any room.
    fn next(&self) -> u64 {
        (0..self.sent.len()).map(|room| self.due(room)).min().unwrap_or(u64::MAX)
    }
}

/// Sends what may be sent, or what is due.
fn publish_in_all(
    connections: &mut [Connection],
    messages: &Messages,
    rooms: &mut Rooms,
    pace: Option<&mut Pace>,
    now: u64,
) -> Result<(), Error> {
    let Some(pace) = pace else {
        return (0..rooms.all.len()).try_for_each(|room| publish(connections, messages, rooms, room, now));
    };
    for index in 0..rooms.all.len() {
        let room = &mut rooms.all[index];
        while pace.due(index) <= now && room.may_send() > 0 {
            room.send(pace.due(index), 1);
            pace.sent[index] += 1;
            let sender = &mut connections[room.sender];
            sender.publish(messages, 1);
            sender.flush(messages).map_err(|fault| Error::Server { connection: room.sender, fault })?;
        }
    }
    Ok(())
}

/// Sends what may be sent in a room.
#[inline]
fn publish(
    connections: &mut [Connection],
    messages: &Messages,
    rooms: &mut Rooms,
    room: usize,
    now: u64,
) -> Result<(), Error> {
    let room = &mut rooms.all[room];
    let count = room.may_send();
    if count == 0 {
        return Ok(());
    }
    room.send(now, count);
    let sender = &mut connections[room.sender];
    sender.publish(messages, count);
    sender.flush(messages).map_err(|fault| Error::Server { connection: room.sender, fault })
}

/// Who has not heard everything, if anybody.
fn complain(clients: &Clients, rooms: &Rooms, patience_s: f64) -> Result<(), Error> {
    let members = clients.connections.iter().take(rooms.members).enumerate();
    for (index, connection) in members {
        let missing = rooms.all[rooms.room_of(index)].sent - connection.replies.count;
        if missing > 0 {
            let fault = Fault::Unanswered { messages: missing, seconds: patience_s };
            return Err(Error::Server { connection: index, fault });
        }
    }
    Ok(())
}

impl Broadcast {
    pub(crate) fn new(rooms: &Rooms, published: u64, seconds: f64) -> Self {
        Self {
            rooms: rooms.all.len(),
            members: rooms.members,
            sender_is_member: rooms.is_member(rooms.all[0].sender),
            published,
            published_per_s: rounded(published as f64 / seconds),
        }
    }
}

impl fmt::Display for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rooms, members) = (self.rooms, self.members);
        let sender = if self.sender_is_member { "one of them sends" } else { "a further connection sends" };
        writeln!(f, "  rooms        {rooms:>12} with {members} members in all; in each, {sender}")?;
        writeln!(f, "  published    {:>12.0} /s ({} in all)", self.published_per_s, self.published)
    }
}

const WAIT_NANOS_MAX: u64 = 50_000_000;
/// So near to the next message that is due it is not slept.
const SPIN_NANOS: u64 = 2_000_000;
