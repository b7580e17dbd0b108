//! The made-up network: connections as two pipes each, listening sockets, doorbells, and one source of chance.

use super::fault::{Fault, Faults};
use crate::shard::{ShardId, Time};
use crate::sync::Arc;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The network, from every driver and client. There is one thread; the lock is there because a socket must be `Send`.
#[derive(Debug, Clone)]
pub(super) struct Wires(Arc<Mutex<Net>>);

impl Wires {
    pub(super) fn new(net: Net) -> Self {
        Self(Arc::new(Mutex::new(net)))
    }

    pub(super) fn get(&self) -> MutexGuard<'_, Net> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connected socket on the server's side. Dropping it closes it.
#[derive(Debug)]
pub(super) struct SimSocket {
    pub(super) id: usize,
    wires: Wires,
}

impl SimSocket {
    pub(super) fn new(id: usize, wires: Wires) -> Self {
        Self { id, wires }
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.wires.get().server_closes(self.id, false);
    }
}

/// Everything between the shards' drivers and the clients.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) rng: fastrand::Rng,
    pub(super) now: Time,
    pub(super) faults: Faults,
    pub(super) connections: Vec<Connection>,
    pub(super) doors: Vec<Door>,
    /// Whose doorbell was rung and not heard yet.
    pub(super) bells: Vec<bool>,
    /// When what other threads said to a shard is there to be heard.
    pub(super) said: Vec<Option<Time>>,
    /// What was dealt so far, by [`Fault`].
    pub(super) dealt: [u64; Fault::ALL.len()],
}

/// A listening socket. It listens before its shard accepts.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) open: bool,
    pub(super) queue: VecDeque<usize>,
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// From the client to the server.
    pub(super) up: Pipe,
    /// From the server to the client.
    pub(super) down: Pipe,
    /// The network cut it: whatever its client misses is nobody's fault.
    pub(super) cut: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    flight: VecDeque<Segment>,
    flight_bytes: usize,
    /// Arrived, and not taken yet.
    pub(super) arrived: VecDeque<u8>,
    pub(super) end: Option<End>,
    /// How often something has arrived.
    pub(super) arrivals: u64,
    /// What both sockets' buffers hold.
    bytes_max: usize,
    /// The receiving socket is closed: what comes is answered by a reset.
    reader_gone: bool,
    /// The sending socket sends no more.
    writer_done: bool,
}

/// How a direction ends, for its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
}

#[derive(Debug)]
struct Segment {
    due: Time,
    what: What,
}

#[derive(Debug)]
enum What {
    Bytes(Vec<u8>),
    End(End),
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

impl Net {
    pub(super) fn new(rng: fastrand::Rng, shards: u16, faults: Faults) -> Self {
        Self {
            rng,
            now: Time::ZERO,
            faults,
            connections: Vec::new(),
            doors: (0..shards).map(|_| Door { open: true, queue: VecDeque::new() }).collect(),
            bells: vec![false; usize::from(shards)],
            said: vec![None; usize::from(shards)],
            dealt: [0; Fault::ALL.len()],
        }
    }

    /// Another thread says something to `shard`, which hears it sooner or later.
    pub(super) fn say(&mut self, shard: ShardId) {
        let due = self.now + self.delay();
        let said = &mut self.said[usize::from(shard.0)];
        *said = Some(said.map_or(due, |before| before.min(due)));
    }

    fn delay(&mut self) -> Duration {
        let late = self.deals(Fault::Delay);
        if late { Duration::from_micros(self.rng.u64(1..40_000)) } else { Duration::ZERO }
    }

    /// Whether `fault` happens now.
    pub(super) fn deals(&mut self, fault: Fault) -> bool {
        let rate = self.faults.rate(fault);
        let deals = rate > 0.0 && self.rng.f64() < rate;
        self.dealt[fault as usize] += u64::from(deals);
        deals
    }

    /// A client connects. `None`: nobody listens.
    pub(super) fn connect(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..self.doors.len()).filter(|&door| self.doors[door].open).collect();
        let door = *open.get(self.rng.usize(0..open.len().max(1)))?;
        let small = self.deals(Fault::SmallBuffers);
        let mut bytes_max =
            || if small { self.rng.usize(200..4000) } else { self.rng.usize(64 << 10..512 << 10) };
        let (up, down) = (Pipe::new(bytes_max()), Pipe::new(bytes_max()));
        self.connections.push(Connection { up, down, cut: false });
        let id = self.connections.len() - 1;
        self.doors[door].queue.push_back(id);
        Some(id)
    }

    /// Sends as much of `bytes` as there is room for, and says how much.
    pub(super) fn write(&mut self, id: usize, way: Way, bytes: &[u8]) -> usize {
        if !bytes.is_empty() && self.deals(Fault::Cut) {
            self.cut(id);
        }
        let pipe = self.pipe(id, way);
        let taken = bytes.len().min(pipe.room());
        let mut left = &bytes[..taken];
        while !left.is_empty() {
            let piece = if self.deals(Fault::Split) { self.rng.usize(1..=left.len()) } else { left.len() };
            let (now, next) = left.split_at(piece);
            self.put(id, way, What::Bytes(now.to_vec()));
            left = next;
        }
        taken
    }

    /// The writer of this direction sends no more.
    pub(super) fn finish(&mut self, id: usize, way: Way) {
        if !std::mem::replace(&mut self.pipe(id, way).writer_done, true) {
            self.put(id, way, What::End(End::Fin));
        }
    }

    /// The writer's socket is thrown away: what has not arrived may never.
    fn reset(&mut self, id: usize, way: Way) {
        let loses = self.rng.bool();
        let pipe = self.pipe(id, way);
        pipe.writer_done = true;
        if loses {
            pipe.flight.clear();
            pipe.flight_bytes = 0;
        }
        self.put(id, way, What::End(End::Reset));
    }

    /// The network resets both ends.
    pub(super) fn cut(&mut self, id: usize) {
        self.connections[id].cut = true;
        self.reset(id, Way::Up);
        self.reset(id, Way::Down);
    }

    /// The server closes its socket. Unread bytes make a reset of it, as with Linux.
    pub(super) fn server_closes(&mut self, id: usize, reset: bool) {
        self.closes(id, Way::Down, Way::Up, reset);
    }

    /// The client closes its socket.
    pub(super) fn client_closes(&mut self, id: usize, reset: bool) {
        self.closes(id, Way::Up, Way::Down, reset);
    }

    fn closes(&mut self, id: usize, out: Way, back: Way, reset: bool) {
        let pipe = self.pipe(id, back);
        if std::mem::replace(&mut pipe.reader_gone, true) {
            return;
        }
        let unread = !pipe.arrived.is_empty();
        pipe.arrived.clear();
        if reset || unread {
            self.reset(id, out);
        } else {
            self.finish(id, out);
        }
    }

    fn put(&mut self, id: usize, way: Way, what: What) {
        let due = self.now + self.delay();
        let pipe = self.pipe(id, way);
        if let What::Bytes(bytes) = &what {
            pipe.flight_bytes += bytes.len();
        }
        let due = pipe.flight.back().map_or(due, |before| due.max(before.due));
        pipe.flight.push_back(Segment { due, what });
    }

    /// When the next piece in this direction arrives.
    pub(super) fn due(&self, id: usize, way: Way) -> Option<Time> {
        let connection = &self.connections[id];
        let pipe = if way == Way::Up { &connection.up } else { &connection.down };
        pipe.flight.front().map(|segment| segment.due)
    }

    /// The next piece in this direction arrives.
    pub(super) fn deliver(&mut self, id: usize, way: Way) {
        let pipe = self.pipe(id, way);
        let Some(Segment { what, .. }) = pipe.flight.pop_front() else { return };
        pipe.arrivals += 1;
        match what {
            What::Bytes(bytes) => {
                pipe.flight_bytes -= bytes.len();
                if pipe.reader_gone {
                    let back = if way == Way::Up { Way::Down } else { Way::Up };
                    self.reset(id, back);
                } else if pipe.end.is_none() {
                    pipe.arrived.extend(bytes);
                }
            }
            What::End(end) => {
                if end == End::Reset || pipe.end.is_none() {
                    pipe.end = Some(end);
                }
            }
        }
    }

    /// Whether the writer of this direction would be told that the connection broke.
    pub(super) fn is_broken(&self, id: usize, way: Way) -> bool {
        let connection = &self.connections[id];
        let (out, back) = match way {
            Way::Up => (&connection.up, &connection.down),
            Way::Down => (&connection.down, &connection.up),
        };
        back.end == Some(End::Reset) || out.writer_done
    }

    pub(super) fn pipe(&mut self, id: usize, way: Way) -> &mut Pipe {
        let connection = &mut self.connections[id];
        if way == Way::Up { &mut connection.up } else { &mut connection.down }
    }
}

impl Pipe {
    fn new(bytes_max: usize) -> Self {
        Self {
            flight: VecDeque::new(),
            flight_bytes: 0,
            arrived: VecDeque::new(),
            end: None,
            arrivals: 0,
            bytes_max,
            reader_gone: false,
            writer_done: false,
        }
    }

    /// How much a writer may send.
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.flight_bytes + self.arrived.len())
    }

    /// Whether a poll for writing says so: a third is free, as with Linux.
    pub(super) fn is_writable(&self) -> bool {
        self.room() * 3 >= self.bytes_max
    }

    /// Whether its reader would find something.
    pub(super) fn is_readable(&self) -> bool {
        !self.arrived.is_empty() || self.end.is_some()
    }
}
