//! One shard's ring.

use super::receive::{GROUP, ReceiveRing};
use crate::buf::Pool;
use crate::shard::driver::{Completion, Driver, Sent, Slot, SocketEvent, SocketId};
use crate::shard::{Outgoing, ShardId, Time};
use crate::sync::Arc;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A connected TCP socket that no shard has yet. Dropping it closes it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// Wakes one shard from any thread.
///
/// ```
/// let waker = corewire::shard::uring::Waker::new()?;
/// waker.clone().wake(); // seen by the shard that was built with it
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new eventfd.
    ///
    /// # Errors
    /// The process is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just made this descriptor and nobody else has it.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Ends the shard's sleep, or its next one. Does not block and cannot fail: a full counter wakes as well.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: writes 8 bytes from a live array to a descriptor that `self` keeps open.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

/// What the shards of a process know of each other's rings.
#[derive(Debug)]
pub struct Peers {
    /// Set once by each shard, before any shard serves.
    rings: Box<[OnceLock<RawFd>]>,
    wakers: Box<[Waker]>,
}

impl Peers {
    /// For as many shards as there are wakers.
    pub fn new(wakers: Vec<Waker>) -> Arc<Self> {
        let rings = wakers.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { rings, wakers: wakers.into() })
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
    /// The beginning of the world: the same for all shards.
    pub epoch: Instant,
}

/// `Driver` on io_uring.
pub struct UringDriver {
    ring: IoUring,
    receive: ReceiveRing,
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
    /// Sends of this turn. The kernel reads from these until the submitting call returns.
    sends: Vec<InFlight>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::msghdr>,
    sent: VecDeque<Sent>,
    /// Completions that are not sends, in order.
    pending: VecDeque<(u64, i32, u32)>,
    /// What must come after this turn's sends.
    after: Vec<(u32, After)>,
}

/// A socket. Small, since there may be a million.
#[derive(Debug)]
struct Entry {
    fd: Option<OwnedFd>,
    slot: Slot,
    state: State,
}

/// What is going on at a socket.
#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// A multishot receive is with the kernel.
    receiving: bool,
    /// No receive is wanted.
    paused: bool,
    /// The peer has ended, or the connection has failed.
    ended: bool,
    /// A poll for writability is with the kernel.
    polling: bool,
    /// The owner has let go.
    closing: bool,
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
        let ring = setup(config.entries)?;
        peers.rings[usize::from(me.0)].set(ring.as_raw_fd()).expect("a shard makes its ring once");
        let receive = ReceiveRing::register(&ring, config.receive_blocks, config.incremental)?;
        let mut driver = Self {
            ring,
            receive,
            me,
            peers,
            epoch: config.epoch,
            now: Time::ZERO,
            listener,
            accepting: false,
            sockets: Vec::new(),
            free: Vec::new(),
            starved: VecDeque::new(),
            sends: Vec::new(),
            iovecs: Vec::with_capacity(IOVECS),
            headers: Vec::with_capacity(HEADERS),
            sent: VecDeque::new(),
            pending: VecDeque::new(),
            after: Vec::new(),
        };
        driver.arm_bell();
        driver.now = Time::ZERO + driver.epoch.elapsed();
        Ok(driver)
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: what the entry points to is either a send, whose bytes `self.sends` owns and whose headers lie in
            // arenas that are cleared only after a submit, or nothing.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            self.submit();
        }
    }

    /// Hands the queue to the kernel. When this returns, every send in it has been tried.
    fn submit(&mut self) {
        while !self.ring.submission().is_empty() {
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // The completion queue is full, or memory is short for a moment: make room and try again.
                    Some(libc::EBUSY | libc::EAGAIN) => self.harvest(),
                    _ => panic!("io_uring_enter refused a submission: {error}"),
                },
            }
        }
        // Everything before this line has been read by the kernel.
        self.iovecs.clear();
        self.headers.clear();
    }

    /// Moves completions out of the ring.
    fn harvest(&mut self) {
        loop {
            let Self { ring, pending, sends, .. } = self;
            for cqe in ring.completion() {
                let data = cqe.user_data();
                match op_of(data) {
                    OP_SEND => sends[index_of(data) as usize].fell_short = Some(cqe.result()),
                    _ => pending.push_back((data, cqe.result(), cqe.flags())),
                }
            }
            if !ring.submission().cq_overflow() {
                return;
            }
            self.get_events();
        }
    }

    fn get_events(&mut self) {
        let queued = self.ring.submission().len() as u32;
        // SAFETY: no argument is passed; the kernel submits what is queued and runs its deferred work.
        let entered =
            unsafe { self.ring.submitter().enter::<libc::sigset_t>(queued, 0, ENTER_GETEVENTS, None) };
        match entered {
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => panic!("io_uring_enter refused to give completions: {error}"),
            },
        }
    }

    fn wait(&mut self, until: Time) {
        let left = until.since(Time::ZERO + self.epoch.elapsed());
        let left = types::Timespec::from(left.max(Duration::from_micros(1)));
        let arguments = types::SubmitArgs::new().timespec(&left);
        match self.ring.submitter().submit_with_args(1, &arguments) {
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => panic!("io_uring_enter refused to wait: {error}"),
            },
        }
    }

    fn arm_receive(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        let Some(fd) = &entry.fd else { return };
        if entry.state.receiving || entry.state.paused || entry.state.ended || entry.state.closing {
            return;
        }
        entry.state.receiving = true;
        let receive = opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), GROUP)
            .build()
            .user_data(user_data(OP_RECEIVE, index));
        self.push(&receive);
    }

    fn arm_bell(&mut self) {
        let bell = self.peers.wakers[usize::from(self.me.0)].0.as_raw_fd();
        let poll = opcode::PollAdd::new(types::Fd(bell), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data(user_data(OP_BELL, 0));
        self.push(&poll);
    }

    /// Cancels everything at a descriptor. The kernel looks through all requests of the ring for it: 12 ms with 50,000
    /// connections.
    fn cancel_all(&mut self, fd: RawFd) {
        let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::fd(types::Fd(fd)).all())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(user_data(OP_IGNORED, 0));
        self.push(&cancel);
    }

    /// Cancels one request of a socket: a microsecond, however many there are.
    fn cancel(&mut self, op: u8, index: u32) {
        let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::user_data(user_data(op, index)))
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(user_data(OP_CANCEL, index));
        self.push(&cancel);
    }

    /// A cancel did not find its request, or could not end it.
    fn cancel_failed(&mut self, index: u32) {
        let entry = &self.sockets[index as usize];
        let wanted = entry.state.paused || entry.state.closing;
        let armed = entry.state.receiving || (entry.state.closing && entry.state.polling);
        // Mostly its last completion has just been seen or is on its way. But some kernels miss a multishot receive
        // by its user data (liburing #1375, Linux 6.11); by its descriptor they do not.
        if wanted
            && armed
            && let Some(fd) = &entry.fd
        {
            self.cancel_all(fd.as_raw_fd());
        }
    }

    /// Ends the life of a socket that its owner has let go and the kernel too.
    fn release(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        if entry.state.closing && !entry.state.receiving && !entry.state.polling {
            entry.fd = None; // closes it
            entry.state = State::default();
            self.free.push(index);
        }
    }

    /// One completion that is not a send.
    fn complete(&mut self, data: u64, result: i32, flags: u32) -> Option<Completion<Socket>> {
        match op_of(data) {
            OP_RECEIVE => self.received(index_of(data), result, flags),
            OP_WRITABLE => self.writable(index_of(data), result),
            OP_ACCEPT => self.accepted(result, cqueue::more(flags)),
            OP_BELL => {
                if !cqueue::more(flags) {
                    self.arm_bell();
                }
                None
            }
            OP_CANCEL if result < 0 => {
                self.cancel_failed(index_of(data));
                None
            }
            OP_RING if result < 0 => {
                // The kernel would not carry a message to that ring.
                self.peers.wakers[index_of(data) as usize].wake();
                None
            }
            _ => None,
        }
    }

    fn received(&mut self, index: u32, result: i32, flags: u32) -> Option<Completion<Socket>> {
        let bytes = usize::try_from(result).unwrap_or(0);
        // The block must be accounted for, whoever may still want the bytes.
        let buf = cqueue::buffer_select(flags)
            .and_then(|block| self.receive.filled(block, bytes, cqueue::buffer_more(flags)));
        let entry = &mut self.sockets[index as usize];
        let slot = entry.slot;
        let more = cqueue::more(flags);
        if !more {
            entry.state.receiving = false;
        }
        if entry.state.closing {
            self.release(index);
            return None;
        }
        let event = match (buf, result) {
            (Some(buf), _) => Some(SocketEvent::Received(buf)),
            (None, 0) => {
                entry.state.ended = true;
                Some(SocketEvent::Ended)
            }
            (None, result) if result == -libc::ENOBUFS => {
                self.starved.push_back(index);
                self.receive.ran_out();
                return None;
            }
            (None, result) if result == -libc::ECANCELED => None,
            (None, error) => {
                entry.state.ended = true;
                Some(SocketEvent::Failed(io::Error::from_raw_os_error(-error)))
            }
        };
        if !more {
            self.arm_receive(index);
        }
        event.map(|event| Completion::Socket(slot, event))
    }

    fn writable(&mut self, index: u32, result: i32) -> Option<Completion<Socket>> {
        let entry = &mut self.sockets[index as usize];
        entry.state.polling = false;
        if entry.state.closing {
            self.release(index);
            return None;
        }
        let slot = entry.slot;
        if result == -libc::ECANCELED {
            // The cancel was meant for the receive.
            self.wait_writable(SocketId(index));
            return None;
        }
        // An error or a hang-up shows at the next send or receive.
        Some(Completion::Socket(slot, SocketEvent::Writable))
    }

    fn accepted(&mut self, result: i32, more: bool) -> Option<Completion<Socket>> {
        if !more {
            self.accepting = false;
        }
        if result < 0 {
            return match -result {
                libc::ECANCELED => None,
                // That peer was gone before we looked; the others are not.
                libc::ECONNABORTED | libc::EPROTO | libc::EPERM | libc::EINTR => {
                    self.accept(true);
                    None
                }
                error => Some(Completion::AcceptFailed(io::Error::from_raw_os_error(error))),
            };
        }
        // SAFETY: the completion gives us this new descriptor, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(result) };
        if !more {
            self.accept(true);
        }
        let peer = socket2::SockRef::from(&fd).peer_addr().ok().and_then(|peer| peer.as_socket());
        // Without an address the peer has gone already, or the listener is not TCP.
        peer.map(|peer| Completion::Accepted(Socket(fd), peer))
    }

    /// Queues a send of the first pieces of `outgoing`, and returns how many bytes they are.
    fn push_send(&mut self, fd: RawFd, outgoing: &Outgoing, data: u64) -> usize {
        const FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL;
        if self.ring.submission().is_full() {
            self.submit(); // now, since it clears the arenas that this request is about to use
        }
        let mut slices = outgoing.slices();
        let first = slices.next().expect("nothing to send is not sent");
        let send = if outgoing.pieces() == 1 {
            opcode::Send::new(types::Fd(fd), first.as_ptr(), first.len() as u32).flags(FLAGS).build()
        } else {
            let pieces = outgoing.pieces().min(PIECES_MAX);
            if self.iovecs.len() + pieces > self.iovecs.capacity()
                || self.headers.len() == self.headers.capacity()
            {
                self.submit(); // clears both: they may not grow, since the kernel reads them where they are
            }
            let begin = self.iovecs.len();
            for slice in std::iter::once(first).chain(slices).take(pieces) {
                self.iovecs
                    .push(libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() });
            }
            // SAFETY: all fields of a msghdr may be zero: no name, no control data, no vector.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_iov = self.iovecs[begin..].as_mut_ptr();
            header.msg_iovlen = pieces;
            self.headers.push(header);
            let header = self.headers.last().expect("it was just pushed");
            opcode::SendMsg::new(types::Fd(fd), header).flags(FLAGS as u32).build()
        };
        // Success posts nothing. Without WAITALL a short send would count as one.
        self.push(&send.flags(squeue::Flags::SKIP_SUCCESS).user_data(data));
        outgoing.slices().take(PIECES_MAX).map(|slice| slice.len()).sum()
    }

    /// Turns what the kernel said of this turn's sends into answers.
    fn settle(&mut self, pool: &mut Pool) {
        for send in self.sends.drain(..) {
            let InFlight { slot, mut outgoing, bytes, fell_short } = send;
            let error = match fell_short {
                None => {
                    outgoing.consume(bytes, pool);
                    None
                }
                Some(sent) if sent >= 0 => {
                    outgoing.consume(sent as usize, pool);
                    None
                }
                Some(error) if error == -libc::EAGAIN => None,
                Some(error) => Some(io::Error::from_raw_os_error(-error)),
            };
            self.sent.push_back(Sent { slot, outgoing, error });
        }
        for (index, after) in std::mem::take(&mut self.after) {
            let Some(fd) = &self.sockets[index as usize].fd else { continue };
            match after {
                // Either fails only if the peer has gone, which shows elsewhere.
                After::Shutdown => drop(socket2::SockRef::from(fd).shutdown(std::net::Shutdown::Write)),
                After::Reset => drop(socket2::SockRef::from(fd).set_linger(Some(Duration::ZERO))),
                After::Close => self.release(index),
            }
        }
    }
}

impl Driver for UringDriver {
    type Socket = Socket;

    fn now(&self) -> Time {
        self.now
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

    fn attach(&mut self, socket: Socket, slot: Slot) -> SocketId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(Entry { fd: None, slot, state: State::default() });
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
        self.sockets[index as usize].state.paused = false;
        self.arm_receive(index); // if a cancel is still on its way, its completion does it
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
        if entry.state.polling || entry.state.closing {
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
        let state = self.sockets[index as usize].state;
        if state.receiving {
            self.cancel(OP_RECEIVE, index);
        }
        if state.polling {
            self.cancel(OP_WRITABLE, index);
        }
    }

    fn poll(&mut self, _: &mut Pool, events_max: usize, sink: &mut dyn FnMut(Completion<Socket>)) -> usize {
        let mut events = 0;
        while events < events_max {
            if self.pending.is_empty() {
                self.harvest();
            }
            let Some((data, result, flags)) = self.pending.pop_front() else { break };
            if let Some(completion) = self.complete(data, result, flags) {
                sink(completion);
                events += 1;
            }
        }
        events
    }

    fn has_completions(&mut self) -> bool {
        !self.pending.is_empty() || !self.ring.completion().is_empty()
    }

    fn enter(&mut self, pool: &mut Pool, until: Option<Time>) {
        pool.reclaim();
        self.receive.refill(pool);
        // As many as there may be room for: a receive that finds none fails at once, and would be back here.
        for _ in 0..self.receive.receives() {
            let Some(index) = self.starved.pop_front() else { break };
            self.arm_receive(index);
        }
        // What this call itself settles is work: sockets to close, and blocks that come home from sends to those who
        // starve. Neither posts a completion that would end a sleep.
        let settles = !self.after.is_empty() || !(self.starved.is_empty() || self.sends.is_empty());
        match until.filter(|_| !settles) {
            // Submits as well, and one call does both.
            Some(until) => self.wait(until),
            None if self.has_work() => self.get_events(),
            None => {}
        }
        self.submit(); // what an interrupted call left behind
        self.harvest();
        self.settle(pool);
        self.now = Time::ZERO + self.epoch.elapsed();
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

    /// Whether a call into the kernel would do anything.
    fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }
}

impl Drop for UringDriver {
    fn drop(&mut self) {
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

/// The ring, with what this kernel has of what we would like.
fn setup(entries: u32) -> io::Result<IoUring> {
    let build = |no_sqarray: bool| {
        let mut builder = IoUring::builder();
        builder
            .dontfork()
            .setup_cqsize(entries.saturating_mul(8))
            .setup_clamp()
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag();
        if no_sqarray {
            builder.setup_no_sqarray(); // Linux 6.6
        }
        builder.build(entries)
    };
    build(true).or_else(|_| build(false))
}

/// An index is used again only when nothing that carries it is with the kernel, so it needs no generation.
fn user_data(op: u8, index: u32) -> u64 {
    u64::from(op) << 56 | u64::from(index)
}

fn op_of(data: u64) -> u8 {
    (data >> 56) as u8
}

fn index_of(data: u64) -> u32 {
    data as u32
}

const OP_IGNORED: u8 = 0;
const OP_RECEIVE: u8 = 1;
const OP_SEND: u8 = 2;
const OP_WRITABLE: u8 = 3;
const OP_ACCEPT: u8 = 4;
const OP_BELL: u8 = 5;
const OP_RING: u8 = 6;
const OP_CANCEL: u8 = 7;

/// `IORING_ENTER_GETEVENTS` of linux/io_uring.h.
const ENTER_GETEVENTS: u32 = 1;
/// Pieces in one send; the kernel's own bound. What is beyond goes in another.
const PIECES_MAX: usize = 1024;
const IOVECS: usize = 4096;
const HEADERS: usize = 1024;
