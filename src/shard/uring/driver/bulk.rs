//! Bulk: a socket on which much is to come is watched by one multishot poll, and read by calls of our own into the place
//! where the bytes are to be. Whose turn it is: `shard::bulk`.

use super::UringDriver;
use crate::buf::Pool;
use crate::shard::driver::{Completion, Reader, Reading, SocketId};
use crate::shard::uring::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

impl UringDriver {
    /// A completion of a watch.
    #[inline(never)]
    pub(super) fn watched(&mut self, index: u32, result: i32, more: bool) {
        let entry = &mut self.sockets[index as usize];
        entry.state.watching = more;
        if entry.state.closing || entry.state.detaching {
            self.release(index);
            return;
        }
        if let Ok(events) = u32::try_from(result) {
            entry.watch.tell(events & HANG_UPS != 0);
            self.queue_readable(index);
        }
        if !more {
            self.arm_receive(index);
        }
    }

    /// Puts a socket in the queue of those that may be read, if it is one.
    pub(super) fn queue_readable(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        if entry.may_be_read() {
            self.bulk.queue(index, &mut entry.watch);
        }
    }

    /// The next socket that may be read.
    #[inline(never)]
    pub(super) fn next_readable(&mut self) -> Option<Completion<Socket>> {
        let index = self.bulk.next()?;
        let entry = &mut self.sockets[index as usize];
        let may = entry.may_be_read();
        self.bulk.tried(index, &mut entry.watch, may);
        may.then_some(Completion::Readable(entry.slot))
    }
}

impl super::Entry {
    /// Not while a receive is with the kernel: what that has received comes first.
    fn may_be_read(&self) -> bool {
        let state = &self.state;
        self.watch.is_readable() && state.watching && !state.paused && !state.ended && !state.closing
    }
}

impl Reader for UringDriver {
    fn read(
        &mut self,
        SocketId(index): SocketId,
        front: &mut [u8],
        behind_bytes_max: usize,
        pool: &mut Pool,
    ) -> Reading {
        let entry = &mut self.sockets[index as usize];
        let Some(fd) = entry.fd.as_ref().filter(|_| entry.may_be_read()) else { return Reading::Nothing };
        let fd = fd.as_raw_fd();
        let reading = self.bulk.read(&mut entry.watch, front, behind_bytes_max, pool, |front, behind| {
            receive(fd, front, behind)
        });
        entry.state.ended = matches!(reading, Reading::Ended | Reading::Failed(_));
        reading
    }
}

/// Lets the kernel take in so much of what a peer sends before it is read.
///
/// By itself the kernel begins with 64 KiB and grows with what is read at a time. What does not fit waits with the sender's
/// kernel, and is sent on by our acknowledgements: on loopback in our time, and on a network a round trip later. Asking for a
/// low-water mark makes room for it (tcp(7), `SO_RCVLOWAT`); taking it back leaves the room. `SO_RCVBUF` would end the
/// kernel's own tuning for good.
pub(super) fn widen(fd: RawFd, window_bytes: u32) {
    if window_bytes == 0 {
        return;
    }
    for bytes in [window_bytes.min(i32::MAX as u32), 1] {
        let size = size_of_val(&bytes) as libc::socklen_t;
        // SAFETY: reads `size` bytes of a live integer, and keeps no pointer. A refusal changes nothing, which is no harm.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw const bytes).cast(), size) };
    }
}

/// What is there of a socket, as far as both have room.
fn receive(fd: RawFd, front: &mut [u8], behind: &mut [u8]) -> io::Result<usize> {
    loop {
        let bytes = if front.is_empty() || behind.is_empty() {
            let room = if front.is_empty() { &mut *behind } else { &mut *front };
            // SAFETY: writes at most `room.len()` bytes to `room`, which is ours to write, and keeps no pointer.
            unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) }
        } else {
            let mut parts = [&mut *front, &mut *behind]
                .map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
            // SAFETY: all fields of a msghdr may be zero: no name, no control data, no vector.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_iov = parts.as_mut_ptr();
            header.msg_iovlen = parts.len();
            // SAFETY: header and parts are alive, the parts are ours to write, and no pointer is kept.
            unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_DONTWAIT) }
        };
        let Err(error) = usize::try_from(bytes).map_err(|_| io::Error::last_os_error()) else {
            return Ok(bytes.unsigned_abs());
        };
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

const HANG_UPS: u32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as u32;
