//! `Driver`: one shard's kernel, in completions.
//!
//! The real one is `shard::uring`, the made-up one `sim`. Nothing above knows which it talks to, so a server
//! that runs in the simulator is the server that runs.

use super::{Outgoing, ShardId, Time};
use crate::buf::{Buf, Pool};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A socket as its driver numbers it. Valid from [`Driver::attach`] to [`Driver::close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(pub u32);

/// The slot that a socket's completions go to. What stands behind the number is the owner's business.
pub type Slot = u32;

/// Something that the kernel did.
#[derive(Debug)]
pub enum Completion<S> {
    /// A peer connected. The socket is not attached to any shard yet.
    Accepted(S, SocketAddr),
    /// Accepting failed and has stopped. Call [`Driver::accept`] again when it makes sense to try.
    AcceptFailed(io::Error),
    /// Something happened on an attached socket.
    Socket(Slot, SocketEvent),
    /// The kernel has let go of a socket, as [`Driver::detach`] asked: all that it had received was told before. It belongs to
    /// no shard now, and its number is free.
    Detached(Slot, SocketId, S),
    /// A socket in bulk may be read, with [`Reader::read`]. Told again next turn, and every turn, until that finds
    /// [`Reading::Nothing`] or an end; a reader may leave it for then.
    Readable(Slot),
}

/// Something that happened on a socket.
#[derive(Debug)]
pub enum SocketEvent {
    /// Bytes came. Also after [`Driver::pause`], until the kernel has let go of what it had begun.
    Received(Buf),
    /// The peer will send no more.
    Ended,
    /// The connection broke. Nothing more comes but what close asks for.
    Failed(io::Error),
    /// A send that fell short may be tried again.
    Writable,
}

/// What a read found.
#[derive(Debug)]
pub enum Reading {
    /// So many bytes are in the room that was given, and these came behind them.
    Bytes {
        /// How many are in front.
        front_bytes: usize,
        /// What did not fit there; often nothing.
        behind: Buf,
    },
    /// Nothing, for now: nothing has come, or there is no scratch block to read into.
    Nothing,
    /// The peer will send no more.
    Ended,
    /// The connection broke.
    Failed(io::Error),
}

/// The part of a driver that reads sockets in bulk.
pub trait Reader {
    /// Reads what has come, without waiting: into `front` until that is full, and then at most `behind_bytes_max` into a
    /// part of a scratch block of `pool`. Answers to what is read from there should leave in this turn, since the block
    /// is needed in the next.
    fn read(
        &mut self,
        socket: SocketId,
        front: &mut [u8],
        behind_bytes_max: usize,
        pool: &mut Pool,
    ) -> Reading;
}

/// What became of a send.
#[derive(Debug)]
pub struct Sent {
    /// Whose it is.
    pub slot: Slot,
    /// What was not taken; empty if all was.
    pub outgoing: Box<Outgoing>,
    /// Why, if it is not just that the socket's buffer is full.
    pub error: Option<io::Error>,
}

/// One shard's kernel.
///
/// The order of calls in a turn: [`Self::poll`], then any number of [`Self::send`] and of the others, then
/// [`Self::enter`], then [`Self::next_sent`] until it is empty: every send has its answer by then.
pub trait Driver: Reader {
    /// A connected socket that belongs to no shard. Dropping it closes it.
    type Socket: Send + 'static;

    /// The time of this turn. Moves only in [`Self::enter`].
    fn now(&self) -> Time;

    /// How long this shard's thread has been on a CPU. Zero, if nobody knows.
    fn cpu_time(&self) -> Duration {
        Duration::ZERO
    }

    /// Starts accepting, or stops. Stopping closes the listening socket.
    fn accept(&mut self, on: bool);

    /// The first bytes that a peer has sent on a socket that is not attached yet, as far as they have come and `into` has room:
    /// they are only looked at. Returns how many.
    fn peek(&mut self, socket: &Self::Socket, into: &mut [u8]) -> usize {
        let _ = (socket, into);
        0
    }

    /// Makes `socket` this shard's and starts to receive. Its completions carry `slot`.
    fn attach(&mut self, socket: Self::Socket, slot: Slot) -> SocketId;

    /// Stops receiving. Bytes that are on their way may still come.
    fn pause(&mut self, socket: SocketId);

    /// Receives again.
    fn resume(&mut self, socket: SocketId);

    /// Much is to come on this socket, or no more. While it does, it is not received from: its owner is told that it is
    /// [`Completion::Readable`], and reads it into its own memory. What was received before is told before.
    fn bulk(&mut self, socket: SocketId, on: bool);

    /// Queues one send for the next [`Self::enter`]. At most one a socket and turn, and none while a rest waits
    /// for [`SocketEvent::Writable`].
    fn send(&mut self, socket: SocketId, outgoing: Box<Outgoing>);

    /// Asks for one [`SocketEvent::Writable`].
    fn wait_writable(&mut self, socket: SocketId);

    /// Tells the peer that we send no more, after this turn's send.
    fn shutdown_write(&mut self, socket: SocketId);

    /// Lets the socket go, after this turn's send. No completion with its slot comes any more, and the number may
    /// be used again. With `reset`, what is unsent is thrown away and the peer sees a reset.
    fn close(&mut self, socket: SocketId, reset: bool);

    /// Lets the socket go as it is, for another shard or this one to [`Self::attach`], after this turn's send: told by
    /// [`Completion::Detached`]. Until then what the kernel has begun still comes, and it may be sent on and closed, but nothing
    /// new is received or waited for. If it is closed meanwhile, it is closed and not detached.
    fn detach(&mut self, socket: SocketId);

    /// Takes at most `events_max` completions. Returns how many.
    fn poll(
        &mut self,
        pool: &mut Pool,
        events_max: usize,
        sink: &mut dyn FnMut(Completion<Self::Socket>),
    ) -> usize;

    /// Whether [`Self::poll`] would find something without [`Self::enter`], or after one that does not sleep.
    fn has_completions(&mut self) -> bool;

    /// Submits everything queued. With `until`, sleeps until something completes, the doorbell rings or the
    /// time has come. `pool` gets back what was sent.
    fn enter(&mut self, pool: &mut Pool, until: Option<Time>);

    /// Whether the last [`Self::enter`] has slept until its time was over, which was `until` or before.
    fn is_over(&self, until: Time) -> bool {
        self.now() >= until
    }

    /// The answer to the next send of the last [`Self::enter`].
    fn next_sent(&mut self) -> Option<Sent>;

    /// Rings the doorbell of a shard that sleeps, with the next [`Self::enter`].
    fn ring(&mut self, shard: ShardId);
}
