//! One shard's ring.
//!
//! - here: `Driver`, and what the driver knows of each socket
//! - `queue`: submitting, sleeping, taking completions out
//! - `alarm`: when a sleep ends at the latest; `beside`: what it takes to sleep elsewhere
//! - `requests`: what stays with the kernel, and how it is taken back
//! - `bulk`: reading what is too much for receive blocks
//! - `completions`: what they mean
//! - `sends`: what is tried at once

mod alarm;
mod beside;
mod bulk;
mod completions;
mod queue;
mod requests;
mod sends;

use self::alarm::Alarm;
use self::queue::{
    OP_ACCEPT, OP_IGNORED, OP_READABLE, OP_RECEIVE, OP_RING, OP_SEND, OP_WRITABLE, op_of, setup, user_data,
    wait_flags,
};
use self::sends::{HEADERS, IOVECS};
use super::receive::{GROUP, ReceiveRing};
use super::waker::Peers;
use crate::buf::Pool;
use crate::shard::bulk::{Bulk, Watch};
use crate::shard::driver::{Completion, Driver, Sent, Slot, SocketId};
use crate::shard::{Outgoing, ShardId, Time};
use crate::sync::Arc;
use io_uring::{IoUring, opcode, squeue, types};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A connected TCP socket that no shard has yet. Dropping it closes it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// What a ring is made of.
#[derive(Debug, Clone)]
pub struct UringConfig {
    /// Submission entries (`--ring`); completions are eight times as many.
    pub entries: u32,
    /// How many receive blocks the pool has.
    pub receive_blocks: u16,
    /// Whether the kernel fills a block piece by piece (Linux 6.12).
    pub incremental: bool,
    /// What the kernel may hold of what one peer sends, once much is to come; 0 leaves it to the kernel.
    pub receive_window_bytes: u32,
    /// Whether a peer is accepted only when it has said something, or nothing for a second, so that [`Driver::peek`] finds it.
    pub accept_deferred: bool,
    /// The beginning of the world: the same for all shards.
    pub epoch: Instant,
}

/// `Driver` on io_uring.
pub struct UringDriver {
    ring: IoUring,
    receive: ReceiveRing,
    /// What a sleep tells the kernel.
    wait_flags: u32,
    alarm: Alarm,
    me: ShardId,
    peers: Arc<Peers>,
    epoch: Instant,
    now: Time,
    listener: Option<OwnedFd>,
    accepting: bool,
    sockets: Vec<Entry>,
    free: Vec<u32>,
    /// Sockets whose receive ended for want of blocks, first come first served.
    starved: VecDeque<u32>,
    /// Sockets that may be read.
    bulk: Bulk,
    /// Whether the next event is one of theirs, if there are others too.
    bulk_next: bool,
    receive_window_bytes: u32,
    /// Sends of this turn. The kernel reads from these until the submitting call returns.
    sends: Vec<InFlight>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::msghdr>,
    sent: VecDeque<Sent>,
    /// Completions that are not sends, in order.
    pending: VecDeque<(u64, i32, u32)>,
    /// What must come after this turn's sends.
    after: Vec<(u32, After)>,
    /// Let go of, and not told.
    detached: VecDeque<u32>,
}

/// A socket. Small, since there may be a million.
#[derive(Debug)]
struct Entry {
    fd: Option<OwnedFd>,
    slot: Slot,
    state: State,
    watch: Watch,
}

/// What a socket takes here.
pub(crate) const SOCKET_BYTES: usize = size_of::<Entry>();

/// What is going on at a socket.
#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// A multishot receive is with the kernel.
    receiving: bool,
    /// A multishot poll for readability is with the kernel.
    watching: bool,
    /// No receive is wanted.
    paused: bool,
    /// The peer has ended, or the connection has failed.
    ended: bool,
    /// A poll for writability is with the kernel.
    polling: bool,
    /// The owner has let go.
    closing: bool,
    /// It is to be somebody else's.
    detaching: bool,
}

#[derive(Debug)]
struct InFlight {
    slot: Slot,
    outgoing: Box<Outgoing>,
    /// How much of it is in the request: all, or the first [`PIECES_MAX`] pieces.
    bytes: usize,
    /// What the completion said; none is posted for a success.
    fell_short: Option<i32>,
}

#[derive(Debug, Clone, Copy)]
enum After {
    Shutdown,
    Close,
    Reset,
    Detach,
}

impl UringDriver {
    /// A ring of this thread's, which must be the one that uses it. `listener` is accepted from once asked to.
    ///
    /// # Errors
    /// What `io_uring_setup` and the registering of the buffers say; see [`super::probe`] for what to do.
    pub fn new(
        me: ShardId,
        peers: Arc<Peers>,
        listener: Option<OwnedFd>,
        config: &UringConfig,
    ) -> io::Result<Self> {
        if let Some(listener) = listener.as_ref().filter(|_| config.accept_deferred) {
            defer_accept(listener)?;
        }
        let ring = setup(config.entries)?;
        peers.rings[usize::from(me.0)].set(ring.as_raw_fd()).expect("a shard makes its ring once");
        let wait_flags = wait_flags(&ring);
        let receive = ReceiveRing::register(&ring, config.receive_blocks, config.incremental)?;
        let mut driver = Self {
            ring,
            receive,
            wait_flags,
            alarm: Alarm::default(),
            me,
            peers,
            epoch: config.epoch,
            now: Time::ZERO,
            listener,
            accepting: false,
            sockets: Vec::new(),
            free: Vec::new(),
            starved: VecDeque::new(),
            bulk: Bulk::default(),
            bulk_next: false,
            receive_window_bytes: config.receive_window_bytes,
            sends: Vec::new(),
            iovecs: Vec::with_capacity(IOVECS),
            headers: Vec::with_capacity(HEADERS),
            sent: VecDeque::new(),
            pending: VecDeque::new(),
            after: Vec::new(),
            detached: VecDeque::new(),
        };
        driver.arm_bell();
        driver.now = Time::ZERO + driver.epoch.elapsed();
        Ok(driver)
    }
}

impl Driver for UringDriver {
    type Socket = Socket;

    fn now(&self) -> Time {
        self.now
    }

    fn cpu_time(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes one timespec, which is ours, and keeps no pointer. It fails for clocks that there are not, and then
        // leaves the zero.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }

    fn accept(&mut self, on: bool) {
        let Some(listener) = &self.listener else { return };
        let fd = listener.as_raw_fd();
        match on {
            true if self.accepting => {}
            true => {
                self.accepting = true;
                let accept = opcode::AcceptMulti::new(types::Fd(fd))
                    .flags(libc::SOCK_CLOEXEC)
                    .build()
                    .user_data(user_data(OP_ACCEPT, 0));
                self.push(&accept);
            }
            false => {
                // Cancelled first: a listener closed under an armed accept may hold its port for a while.
                self.cancel_all(fd);
                self.submit();
                self.listener = None;
            }
        }
    }

    fn peek(&mut self, socket: &Socket, into: &mut [u8]) -> usize {
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: the kernel writes no more than `into` has room for, before the call returns.
        let peeked = unsafe { libc::recv(socket.0.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), flags) };
        usize::try_from(peeked).unwrap_or(0) // nothing yet, or broken: whoever receives is told
    }

    fn attach(&mut self, socket: Socket, slot: Slot) -> SocketId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(Entry { fd: None, slot, state: State::default(), watch: Watch::default() });
            self.sockets.len() as u32 - 1
        });
        let entry = &mut self.sockets[index as usize];
        entry.fd = Some(socket.0);
        entry.slot = slot;
        self.arm_receive(index);
        SocketId(index)
    }

    fn pause(&mut self, SocketId(index): SocketId) {
        let state = &mut self.sockets[index as usize].state;
        if state.paused || state.closing {
            return;
        }
        state.paused = true;
        if state.receiving {
            self.cancel(OP_RECEIVE, index);
        }
    }

    fn resume(&mut self, SocketId(index): SocketId) {
        if self.sockets[index as usize].state.detaching {
            return;
        }
        self.sockets[index as usize].state.paused = false;
        self.queue_readable(index);
        self.arm_receive(index); // if a cancel is still on its way, its completion does it
    }

    fn bulk(&mut self, SocketId(index): SocketId, on: bool) {
        let entry = &mut self.sockets[index as usize];
        entry.watch.on = on;
        if let Some(fd) = entry.fd.as_ref().filter(|_| on) {
            bulk::widen(fd.as_raw_fd(), self.receive_window_bytes);
        }
        match entry.state {
            State { closing: true, .. } | State { detaching: true, .. } => {}
            State { receiving: true, .. } if on => self.cancel(OP_RECEIVE, index),
            State { watching: true, .. } if !on => self.cancel(OP_READABLE, index),
            _ => self.arm_receive(index),
        }
    }

    fn send(&mut self, SocketId(index): SocketId, outgoing: Box<Outgoing>) {
        let entry = &self.sockets[index as usize];
        let Some(fd) = entry.fd.as_ref().filter(|_| !outgoing.is_empty()) else {
            self.sent.push_back(Sent { slot: entry.slot, outgoing, error: None });
            return;
        };
        let (slot, data) = (entry.slot, user_data(OP_SEND, self.sends.len() as u32));
        let fd = fd.as_raw_fd();
        // The entry is pushed before the owner moves into `sends`; the box keeps the bytes where they are, and nothing
        // is submitted between.
        let bytes = self.push_send(fd, &outgoing, data);
        self.sends.push(InFlight { slot, outgoing, bytes, fell_short: None });
    }

    fn wait_writable(&mut self, SocketId(index): SocketId) {
        let entry = &mut self.sockets[index as usize];
        let Some(fd) = &entry.fd else { return };
        if entry.state.polling || entry.state.closing || entry.state.detaching {
            return;
        }
        entry.state.polling = true;
        let poll = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), libc::POLLOUT as u32)
            .build()
            .user_data(user_data(OP_WRITABLE, index));
        self.push(&poll);
    }

    fn shutdown_write(&mut self, SocketId(index): SocketId) {
        self.after.push((index, After::Shutdown));
    }

    fn close(&mut self, SocketId(index): SocketId, reset: bool) {
        let state = &mut self.sockets[index as usize].state;
        if state.closing {
            return;
        }
        state.closing = true;
        if reset {
            self.after.push((index, After::Reset));
        }
        self.after.push((index, After::Close));
        if std::mem::take(&mut state.detaching) {
            self.detached.retain(|&other| other != index); // what is with the kernel is cancelled already
        } else {
            self.cancel_requests(index);
        }
    }

    fn detach(&mut self, SocketId(index): SocketId) {
        let state = &mut self.sockets[index as usize].state;
        if state.closing || state.detaching {
            return;
        }
        state.detaching = true;
        state.paused = true;
        self.after.push((index, After::Detach));
        self.cancel_requests(index);
    }

    fn poll(&mut self, _: &mut Pool, events_max: usize, sink: &mut dyn FnMut(Completion<Socket>)) -> usize {
        let mut events = 0;
        while events < events_max {
            if self.pending.is_empty() {
                self.harvest();
            }
            if let Some(detached) = self.next_detached() {
                sink(detached);
                events += 1;
                continue;
            }
            let bulk_next = self.bulk.is_due() && (self.bulk_next || self.pending.is_empty());
            self.bulk_next = !bulk_next;
            let completion = match bulk_next {
                true => self.next_readable(),
                false => match self.pending.pop_front() {
                    Some((data, result, flags)) => self.complete(data, result, flags),
                    None => break,
                },
            };
            if let Some(completion) = completion {
                sink(completion);
                events += 1;
            }
        }
        events
    }

    fn has_completions(&mut self) -> bool {
        // The blocks that this turn's sends give back are what the starved wait for; no completion tells of them.
        let blocks_due = !self.starved.is_empty() && !self.sends.is_empty();
        let waits = !self.pending.is_empty() || !self.bulk.is_empty() || !self.detached.is_empty();
        blocks_due || waits || !self.ring.completion().is_empty()
    }

    fn enter(&mut self, pool: &mut Pool, until: Option<Time>) {
        self.alarm.begin_enter();
        self.bulk.end_turn();
        pool.reclaim();
        self.receive.refill(pool);
        // As many as there may be room for: a receive that finds none fails at once, and would be back here.
        for _ in 0..self.receive.receives() {
            let Some(index) = self.starved.pop_front() else { break };
            self.arm_receive(index);
        }
        match until.filter(|_| !self.settles()) {
            // Submits as well, and one call does both.
            Some(until) => self.wait(self.at_latest(until)),
            None if self.has_work() => self.get_events(),
            None => {}
        }
        self.submit(); // what an interrupted call left behind
        self.harvest();
        self.settle(pool);
        self.now = Time::ZERO + self.epoch.elapsed();
    }

    fn is_over(&self, _: Time) -> bool {
        self.alarm.ended_sleep()
    }

    fn next_sent(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    fn ring(&mut self, shard: ShardId) {
        let Some(&ring) = self.peers.rings[usize::from(shard.0)].get() else {
            self.peers.wakers[usize::from(shard.0)].wake();
            return;
        };
        let message = opcode::MsgRingData::new(types::Fd(ring), 0, user_data(OP_IGNORED, 0), None)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(user_data(OP_RING, u32::from(shard.0)));
        self.push(&message);
    }
}

impl UringDriver {
    /// Whether no socket is open: all that the kernel could still write into is at home.
    pub fn is_quiet(&self) -> bool {
        self.sockets.len() == self.free.len()
    }

    /// Whether this turn's call settles something by itself, which is work: sockets to close, and blocks that come home from
    /// sends to those who starve. Neither posts a completion that would end a sleep.
    fn settles(&self) -> bool {
        !self.after.is_empty() || !(self.starved.is_empty() || self.sends.is_empty())
    }

    /// How long it may sleep: a block that another thread drops comes home without a word, so those who starve look again soon.
    fn at_latest(&self, until: Time) -> Time {
        if self.starved.is_empty() { until } else { until.min(self.now + STARVED_SLEEP_MAX) }
    }

    /// Whether a call into the kernel would do anything.
    fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }
}

impl Drop for UringDriver {
    fn drop(&mut self) {
        for (data, result, _) in self.pending.drain(..) {
            if op_of(data) == OP_ACCEPT && result >= 0 {
                // SAFETY: the completion gave us this new descriptor, and nobody has taken it.
                drop(unsafe { OwnedFd::from_raw_fd(result) });
            }
        }
        // The kernel may write into the lent blocks as long as a receive is with it.
        let receiving = self.sockets.iter().any(|entry| entry.state.receiving);
        if receiving || self.ring.submitter().unregister_buf_ring(GROUP).is_err() {
            self.receive.leak();
        }
    }
}

impl std::fmt::Debug for UringDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open = self.sockets.len() - self.free.len();
        f.debug_struct("UringDriver").field("me", &self.me).field("sockets", &open).finish_non_exhaustive()
    }
}

const STARVED_SLEEP_MAX: Duration = Duration::from_millis(1);

/// Has the kernel keep who has connected until something comes from there, for a second or so.
fn defer_accept(listener: &OwnedFd) -> io::Result<()> {
    let seconds: libc::c_int = 1;
    // SAFETY: the kernel reads an `int` of the size that it is told of, before the call returns.
    let set = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
