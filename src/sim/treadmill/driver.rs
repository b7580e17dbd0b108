//! `Driver` on a kernel that costs next to nothing: what is sent is heard at once, and said again.
//!
//! Every socket is a client that waits for the answer to its handshake, says so many messages in one piece, and says one
//! again for each that it hears. Its turn to speak comes with the next turn of the shard.

use super::clients::Script;
use crate::buf::{Buf, Pool, ReceiveBlock};
use crate::shard::{
    Completion, Driver, Outgoing, Reader, Reading, Sent, ShardId, Slot, SocketEvent, SocketId, Time,
};
use crate::sync::{Arc, AtomicU64, Ordering};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// One shard's kernel.
pub(super) struct TreadDriver {
    script: Arc<Script>,
    epoch: Instant,
    now: Time,
    to_accept: u32,
    clients: Vec<Client>,
    /// Who speaks next.
    speaks: VecDeque<u32>,
    sends: Vec<(u32, Slot, Box<Outgoing>)>,
    sent: VecDeque<Sent>,
    block: Option<ReceiveBlock>,
    threads: Arc<[Thread]>,
    rings: Vec<ShardId>,
    heard: u64,
    /// For whoever measures.
    figures: Arc<Figures>,
}

/// What one shard's clients show of themselves.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Figures {
    /// Messages that clients have heard.
    pub(super) heard: AtomicU64,
    /// Clients whose handshake was answered.
    pub(super) open: AtomicU64,
}

/// A socket that belongs to no shard yet.
#[derive(Debug)]
pub(super) struct Ticket;

#[derive(Debug, Clone, Copy)]
struct Client {
    slot: Slot,
    state: State,
    /// Messages to say, or not to hear any more of.
    owes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has asked for a WebSocket, or will.
    Handshake,
    Open,
    Gone,
}

impl TreadDriver {
    pub(super) fn new(
        script: Arc<Script>,
        to_accept: u32,
        threads: Arc<[Thread]>,
        figures: Arc<Figures>,
        epoch: Instant,
    ) -> Self {
        Self {
            script,
            epoch,
            now: Time::ZERO,
            to_accept,
            clients: Vec::new(),
            speaks: VecDeque::new(),
            sends: Vec::new(),
            sent: VecDeque::new(),
            block: None,
            threads,
            rings: Vec::new(),
            heard: 0,
            figures,
        }
    }

    /// Bytes that a client says, in a receive block.
    fn say(&mut self, index: u32, pool: &mut Pool) -> Option<Buf> {
        let client = self.clients[index as usize];
        let bytes = match client.state {
            State::Handshake => &self.script.request[..],
            State::Open => self.script.messages(client.owes),
            State::Gone => return None,
        };
        if self.block.as_ref().is_none_or(|block| block.room() < bytes.len()) {
            self.block = pool.take_receive();
        }
        let Some(block) = &mut self.block else {
            self.speaks.push_back(index); // when one is home
            return None;
        };
        self.clients[index as usize].owes = 0;
        Some(block.fill(bytes))
    }

    fn hear(&mut self, index: u32, bytes: usize) {
        let client = &mut self.clients[index as usize];
        match client.state {
            State::Handshake => {
                client.state = State::Open;
                client.owes = self.script.in_flight;
                self.figures.open.fetch_add(1, Ordering::Relaxed);
            }
            State::Open => {
                let messages = (bytes / self.script.answer_bytes) as u32;
                self.heard += u64::from(messages);
                client.owes += messages;
            }
            State::Gone => return,
        }
        if client.owes > 0 && self.script.speaks(index) {
            self.speaks.push_back(index);
        }
    }
}

impl Reader for TreadDriver {
    fn read(&mut self, _: SocketId, _: &mut [u8], _: usize, _: &mut Pool) -> Reading {
        unreachable!("a script's messages are too short to be read in bulk (`Treadmill::messages`)")
    }
}

impl Driver for TreadDriver {
    type Socket = Ticket;

    fn now(&self) -> Time {
        self.now
    }

    fn accept(&mut self, on: bool) {
        if !on {
            self.to_accept = 0;
        }
    }

    fn attach(&mut self, _: Ticket, slot: Slot) -> SocketId {
        let client = Client { slot, state: State::Handshake, owes: 0 };
        let index = self.clients.len() as u32;
        self.clients.push(client);
        self.speaks.push_back(index);
        SocketId(index)
    }

    fn pause(&mut self, _: SocketId) {}

    fn resume(&mut self, _: SocketId) {}

    fn bulk(&mut self, _: SocketId, on: bool) {
        assert!(!on, "a script's messages are too short to be read in bulk (`Treadmill::messages`)");
    }

    fn send(&mut self, socket: SocketId, outgoing: Box<Outgoing>) {
        self.sends.push((socket.0, self.clients[socket.0 as usize].slot, outgoing));
    }

    fn wait_writable(&mut self, _: SocketId) {}

    fn shutdown_write(&mut self, _: SocketId) {}

    fn close(&mut self, socket: SocketId, _: bool) {
        self.clients[socket.0 as usize].state = State::Gone; // its number is not used again: it may still be about to speak
    }

    fn detach(&mut self, _: SocketId) {
        unreachable!("a treadmill has one shard, so nobody moves")
    }

    fn poll(
        &mut self,
        pool: &mut Pool,
        events_max: usize,
        sink: &mut dyn FnMut(Completion<Ticket>),
    ) -> usize {
        let mut events = 0;
        while events < events_max && self.to_accept > 0 {
            self.to_accept -= 1;
            events += 1;
            sink(Completion::Accepted(Ticket, SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
        }
        for _ in 0..self.speaks.len() {
            if events == events_max {
                break;
            }
            let Some(index) = self.speaks.pop_front() else { break };
            if let Some(buf) = self.say(index, pool) {
                events += 1;
                sink(Completion::Socket(self.clients[index as usize].slot, SocketEvent::Received(buf)));
            }
        }
        events
    }

    fn has_completions(&mut self) -> bool {
        self.to_accept > 0 || !self.speaks.is_empty() || !self.sends.is_empty()
    }

    fn enter(&mut self, pool: &mut Pool, until: Option<Time>) {
        let mut sends = std::mem::take(&mut self.sends);
        for (index, slot, mut outgoing) in sends.drain(..) {
            self.hear(index, outgoing.bytes());
            outgoing.clear(pool);
            self.sent.push_back(Sent { slot, outgoing, error: None });
        }
        self.sends = sends;
        self.figures.heard.store(self.heard, Ordering::Relaxed);
        for shard in self.rings.drain(..) {
            self.threads[usize::from(shard.0)].unpark();
        }
        if let Some(until) = until {
            let rest = until.since(self.now);
            std::thread::park_timeout(rest.min(Duration::from_secs(1)));
        }
        self.now = Time::from_nanos(self.epoch.elapsed().as_nanos() as u64);
    }

    fn next_sent(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    fn ring(&mut self, shard: ShardId) {
        self.rings.push(shard);
    }
}
