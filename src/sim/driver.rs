//! `Driver` on a made-up kernel: it shows everything that the real one may, as often as the seed says.
//!
//! - here: what the driver knows of each socket, and what completions mean to it, as the real one
//! - `kernel`: what is posted, and when

mod kernel;

use super::fault::Fault;
use super::net::{Net, SimSocket, Way, Wires};
use crate::buf::{Buf, Pool, ReceiveBlock};
use crate::shard::bulk::{Bulk, Watch};
use crate::shard::{Completion, Driver, Outgoing, Sent, ShardId, Slot, SocketEvent, SocketId, Time};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// One shard's made-up kernel.
pub(super) struct SimDriver {
    pub(super) wires: Wires,
    me: ShardId,
    now: Time,
    pub(super) sockets: Vec<Entry>,
    free: Vec<u32>,
    /// Sockets whose receive ended for want of blocks.
    starved: VecDeque<u32>,
    /// Sockets that may be read.
    pub(super) bulk: Bulk,
    /// Blocks lent to the kernel.
    blocks: VecDeque<ReceiveBlock>,
    blocks_max: usize,
    /// Whether a block is filled piece by piece, or one receive takes a whole one.
    incremental: bool,
    sends: Vec<(u32, Slot, Box<Outgoing>)>,
    sent: VecDeque<Sent>,
    after: Vec<(u32, After)>,
    rings: Vec<ShardId>,
    /// Posted by the kernel, not polled yet.
    pub(super) posted: VecDeque<Posted>,
    accepting: bool,
    /// Who has said nothing is not accepted.
    accept_deferred: bool,
    /// A send of the last enter fell short: that is a completion too.
    fell_short: bool,
    /// Let go of, and not told.
    detached: VecDeque<u32>,
    /// Until when it sleeps.
    pub(super) asleep: Option<Time>,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) socket: Option<SimSocket>,
    pub(super) slot: Slot,
    /// What the driver knows: as the real one's.
    receiving: bool,
    pub(super) watching: bool,
    pub(super) watch: Watch,
    pub(super) paused: bool,
    pub(super) ended: bool,
    polling: bool,
    pub(super) closing: bool,
    pub(super) detaching: bool,
    /// What the kernel has: requests that are armed, and a cancel of them.
    receive_armed: bool,
    pub(super) watch_armed: bool,
    /// The arrivals that the watch has told of.
    pub(super) watch_told: u64,
    poll_armed: bool,
    cancelled: bool,
}

#[derive(Debug, Clone, Copy)]
enum After {
    Shutdown,
    Close { reset: bool },
    Detach,
}

/// What the kernel posted.
#[derive(Debug)]
pub(super) enum Posted {
    Accepted(SimSocket, SocketAddr),
    AcceptFailed,
    Received {
        index: u32,
        buf: Buf,
        more: bool,
    },
    /// The receive has ended: 0, or an error.
    ReceiveOver {
        index: u32,
        error: i32,
    },
    PollOver {
        index: u32,
        cancelled: bool,
    },
    /// Something has arrived, or nothing, if the watch was cancelled.
    Watched {
        index: u32,
        arrived: bool,
        more: bool,
    },
}

impl SimDriver {
    pub(super) fn new(wires: Wires, me: ShardId, incremental: bool, accept_deferred: bool) -> Self {
        Self {
            wires,
            me,
            now: Time::ZERO,
            sockets: Vec::new(),
            free: Vec::new(),
            starved: VecDeque::new(),
            bulk: Bulk::default(),
            blocks: VecDeque::new(),
            blocks_max: 32,
            incremental,
            sends: Vec::new(),
            sent: VecDeque::new(),
            after: Vec::new(),
            rings: Vec::new(),
            posted: VecDeque::new(),
            accepting: false,
            accept_deferred,
            fell_short: false,
            detached: VecDeque::new(),
            asleep: None,
        }
    }

    /// Whether a sleep would end, or an enter would find something.
    pub(super) fn has_news(&self) -> bool {
        let net = self.wires.get();
        self.fell_short
            || !self.posted.is_empty()
            || !self.bulk.is_empty()
            || !self.detached.is_empty()
            || net.bells[usize::from(self.me.0)]
            || self.accepting && self.next_to_accept(&net).is_some()
            || self.sockets.iter().any(|entry| entry.is_ready(&net))
    }

    /// Ends the sleep.
    pub(super) fn wake(&mut self) {
        self.asleep = None;
        self.run_kernel(true);
        self.now = self.wires.get().now;
    }

    /// Hands over what is queued. Sends are tried here.
    fn submit(&mut self, pool: &mut Pool) {
        let wires = self.wires.clone();
        for (index, slot, mut outgoing) in std::mem::take(&mut self.sends) {
            let mut net = wires.get();
            let id = self.sockets[index as usize].id();
            let error = if net.is_broken(id, Way::Down) {
                Some(io::Error::from_raw_os_error(libc::EPIPE))
            } else {
                let taken = send(&mut net, id, &outgoing);
                outgoing.consume(taken, pool);
                None
            };
            self.fell_short |= error.is_some() || !outgoing.is_empty();
            self.sent.push_back(Sent { slot, outgoing, error });
        }
        for (index, after) in std::mem::take(&mut self.after) {
            match after {
                After::Shutdown => {
                    let id = self.sockets[index as usize].id();
                    wires.get().finish(id, Way::Down);
                }
                After::Close { reset } => {
                    if reset {
                        let id = self.sockets[index as usize].id();
                        wires.get().server_closes(id, true);
                    }
                    self.release(index);
                }
                After::Detach if self.sockets[index as usize].detaching => self.release(index),
                After::Detach => {} // it is to be closed after all
            }
        }
        for shard in self.rings.drain(..) {
            wires.get().bells[usize::from(shard.0)] = true;
        }
    }

    pub(super) fn arm_receive(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        let armed = entry.receiving || entry.watching;
        if entry.socket.is_none() || armed || entry.paused || entry.ended || entry.closing {
            return;
        }
        if entry.watch.on {
            self.arm_watch(index);
            return;
        }
        entry.receiving = true;
        entry.receive_armed = true;
    }

    fn release(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        if entry.receiving || entry.watching || entry.polling {
            return;
        }
        if entry.detaching {
            self.detached.push_back(index);
        } else if entry.closing {
            // Drops the socket, which closes it.
            *entry = Entry { watch: entry.watch.forget(), ..Entry::default() };
            self.free.push(index);
        }
    }

    /// As the real driver takes a completion.
    fn complete(&mut self, posted: Posted) -> Option<Completion<SimSocket>> {
        let (index, event) = match posted {
            Posted::Accepted(socket, peer) => return Some(Completion::Accepted(socket, peer)),
            Posted::AcceptFailed => {
                return Some(Completion::AcceptFailed(io::Error::from_raw_os_error(libc::EMFILE)));
            }
            Posted::Received { index, buf, more } => {
                self.sockets[index as usize].receiving &= more;
                let Entry { closing, detaching, .. } = self.sockets[index as usize];
                if !closing && !detaching {
                    self.arm_receive(index);
                }
                (index, Some(SocketEvent::Received(buf)))
            }
            Posted::ReceiveOver { index, error } => {
                let entry = &mut self.sockets[index as usize];
                entry.receiving = false;
                let closing = entry.closing;
                let event = match error {
                    libc::ECANCELED => {
                        self.arm_receive(index); // resumed meanwhile
                        None
                    }
                    libc::ENOBUFS => {
                        if entry.watch.on {
                            self.arm_receive(index);
                        } else if !closing && !entry.detaching {
                            self.starved.push_back(index);
                        }
                        None
                    }
                    0 => {
                        entry.ended = true;
                        Some(SocketEvent::Ended)
                    }
                    error => {
                        entry.ended = true;
                        Some(SocketEvent::Failed(io::Error::from_raw_os_error(error)))
                    }
                };
                (index, event)
            }
            Posted::PollOver { index, cancelled } => {
                let entry = &mut self.sockets[index as usize];
                entry.polling = false;
                if cancelled && !entry.closing && !entry.detaching {
                    self.wait_writable(SocketId(index)); // the cancel was meant for the receive
                    return None;
                }
                (index, Some(SocketEvent::Writable))
            }
            Posted::Watched { index, arrived, more } => {
                self.watched(index, arrived, more);
                (index, None)
            }
        };
        let entry = &self.sockets[index as usize];
        if entry.closing {
            self.release(index);
            return None;
        }
        let slot = entry.slot;
        let event = match event {
            Some(SocketEvent::Writable) if entry.detaching => None,
            event => event,
        };
        if entry.detaching {
            self.release(index);
        }
        event.map(|event| Completion::Socket(slot, event))
    }
}

/// Tries to send, and says how many bytes were taken.
fn send(net: &mut Net, id: usize, outgoing: &Outgoing) -> usize {
    if net.deals(Fault::RefusedSend) {
        return 0;
    }
    let room = net.connections[id].down.room().min(outgoing.bytes());
    let most = if room > 0 && net.deals(Fault::ShortSend) { net.rng.usize(0..room) } else { room };
    let mut taken = 0;
    for slice in outgoing.slices() {
        let piece = &slice[..slice.len().min(most - taken)];
        taken += net.write(id, Way::Down, piece);
    }
    taken
}

impl Entry {
    pub(super) fn id(&self) -> usize {
        self.socket.as_ref().expect("a socket is there until it is released").id
    }

    fn is_writable(&self, net: &Net) -> bool {
        net.connections[self.id()].down.is_writable() || net.is_broken(self.id(), Way::Down)
    }

    /// Whether the kernel has something to post for it.
    fn is_ready(&self, net: &Net) -> bool {
        self.socket.is_some()
            && (self.cancelled
                || self.receive_armed && net.connections[self.id()].up.is_readable()
                || self.watch_armed && net.connections[self.id()].up.arrivals != self.watch_told
                || self.poll_armed && self.is_writable(net))
    }
}

impl Driver for SimDriver {
    type Socket = SimSocket;

    fn now(&self) -> Time {
        self.now
    }

    fn accept(&mut self, on: bool) {
        let wires = self.wires.clone();
        let mut net = wires.get();
        let door = &mut net.doors[usize::from(self.me.0)];
        if on {
            self.accepting = true;
            return;
        }
        door.open = false;
        self.accepting = false;
        for id in std::mem::take(&mut door.queue) {
            net.server_closes(id, true); // nobody will
        }
    }

    fn peek(&mut self, socket: &SimSocket, into: &mut [u8]) -> usize {
        let net = self.wires.get();
        let arrived = &net.connections[socket.id].up.arrived;
        let peeked = arrived.len().min(into.len());
        into.iter_mut().zip(arrived).for_each(|(to, byte)| *to = *byte);
        peeked
    }

    fn attach(&mut self, socket: SimSocket, slot: Slot) -> SocketId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(Entry::default());
            self.sockets.len() as u32 - 1
        });
        let watch = self.sockets[index as usize].watch;
        self.sockets[index as usize] = Entry { socket: Some(socket), slot, watch, ..Entry::default() };
        self.arm_receive(index);
        SocketId(index)
    }

    fn pause(&mut self, SocketId(index): SocketId) {
        let entry = &mut self.sockets[index as usize];
        if !entry.paused && !entry.closing {
            entry.paused = true;
            entry.cancelled |= entry.receive_armed;
        }
    }

    fn resume(&mut self, SocketId(index): SocketId) {
        if self.sockets[index as usize].detaching {
            return;
        }
        self.sockets[index as usize].paused = false;
        self.queue_readable(index);
        self.arm_receive(index);
    }

    fn bulk(&mut self, SocketId(index): SocketId, on: bool) {
        let entry = &mut self.sockets[index as usize];
        entry.watch.on = on;
        if entry.detaching {
            return;
        }
        if if on { entry.receiving } else { entry.watching } {
            entry.cancelled |= entry.receive_armed || entry.watch_armed;
        } else {
            self.arm_receive(index);
        }
    }

    fn send(&mut self, SocketId(index): SocketId, outgoing: Box<Outgoing>) {
        assert!(!outgoing.is_empty(), "nothing to send is not sent");
        assert!(self.sends.iter().all(|send| send.0 != index), "one send a socket and turn");
        let entry = &self.sockets[index as usize];
        assert!(!entry.closing, "a socket that was let go is not sent to");
        assert!(!entry.polling, "while a rest waits to be writable, nothing is sent");
        self.sends.push((index, entry.slot, outgoing));
    }

    fn wait_writable(&mut self, SocketId(index): SocketId) {
        let entry = &mut self.sockets[index as usize];
        if !entry.polling && !entry.closing && !entry.detaching {
            entry.polling = true;
            entry.poll_armed = true;
        }
    }

    fn shutdown_write(&mut self, SocketId(index): SocketId) {
        self.after.push((index, After::Shutdown));
    }

    fn close(&mut self, SocketId(index): SocketId, reset: bool) {
        let entry = &mut self.sockets[index as usize];
        assert!(entry.socket.is_some() && !entry.closing, "a socket is closed once");
        entry.closing = true;
        if std::mem::take(&mut entry.detaching) {
            self.detached.retain(|&other| other != index);
        }
        let entry = &mut self.sockets[index as usize];
        entry.cancelled |= entry.receive_armed || entry.watch_armed || entry.poll_armed;
        self.after.push((index, After::Close { reset }));
    }

    fn detach(&mut self, SocketId(index): SocketId) {
        let entry = &mut self.sockets[index as usize];
        assert!(entry.socket.is_some(), "what is detached is there");
        if entry.closing || entry.detaching {
            return;
        }
        entry.detaching = true;
        entry.paused = true;
        entry.cancelled |= entry.receive_armed || entry.watch_armed || entry.poll_armed;
        self.after.push((index, After::Detach));
    }

    fn poll(
        &mut self,
        _: &mut Pool,
        events_max: usize,
        sink: &mut dyn FnMut(Completion<SimSocket>),
    ) -> usize {
        let mut events = 0;
        while events < events_max {
            if let Some(index) = self.detached.pop_front() {
                let entry = &mut self.sockets[index as usize];
                let before =
                    std::mem::replace(entry, Entry { watch: entry.watch.forget(), ..Entry::default() });
                self.free.push(index);
                let socket = before.socket.expect("it is there until it is told");
                sink(Completion::Detached(before.slot, SocketId(index), socket));
                events += 1;
                continue;
            }
            let completion = match self.posted.pop_front() {
                Some(posted) => self.complete(posted),
                None if self.bulk.is_due() => self.next_readable(),
                None => break,
            };
            if let Some(completion) = completion {
                sink(completion);
                events += 1;
            }
        }
        events
    }

    fn has_completions(&mut self) -> bool {
        // As the real one: the starved wait for the blocks that sends give back.
        !self.posted.is_empty()
            || !self.bulk.is_empty()
            || !self.detached.is_empty()
            || !self.starved.is_empty() && !self.sends.is_empty()
    }

    fn enter(&mut self, pool: &mut Pool, until: Option<Time>) {
        self.bulk.end_turn();
        pool.reclaim();
        while self.blocks.len() < self.blocks_max
            && let Some(block) = pool.take_receive()
        {
            self.blocks.push_back(block);
        }
        while !self.starved.is_empty() && !self.blocks.is_empty() {
            let index = self.starved.pop_front().expect("it is not empty");
            self.arm_receive(index);
        }
        self.submit(pool);
        self.asleep = until;
        if until.is_none() {
            self.run_kernel(false);
        }
        let mut net = self.wires.get();
        net.now = net.now + ENTER; // so that a shard that looks for work sees the time pass
        self.now = net.now;
    }

    fn next_sent(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    fn ring(&mut self, shard: ShardId) {
        self.rings.push(shard);
    }
}

/// What a call into the kernel costs.
const ENTER: Duration = Duration::from_micros(1);
