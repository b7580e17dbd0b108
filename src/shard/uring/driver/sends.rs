//! Sends: one a connection and turn, tried within the call that submits them.

use super::{After, InFlight, UringDriver};
use crate::buf::Pool;
use crate::shard::Outgoing;
use crate::shard::driver::Sent;
use io_uring::{opcode, squeue, types};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

impl UringDriver {
    /// Queues a send of the first pieces of `outgoing`, and returns how many bytes they are.
    pub(super) fn push_send(&mut self, fd: RawFd, outgoing: &Outgoing, data: u64) -> usize {
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
    pub(super) fn settle(&mut self, pool: &mut Pool) {
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
                After::Detach if self.sockets[index as usize].state.detaching => self.release(index),
                After::Detach => {} // it is to be closed after all
            }
        }
    }
}

/// Pieces in one send; the kernel's own bound. What is beyond goes in another.
const PIECES_MAX: usize = 1024;
pub(super) const IOVECS: usize = 4096;
pub(super) const HEADERS: usize = 1024;
