//! What completions that are not sends mean.

use super::queue::{
    OP_ACCEPT, OP_BELL, OP_CANCEL, OP_READABLE, OP_RECEIVE, OP_RING, OP_WRITABLE, index_of, op_of,
};
use super::{Socket, UringDriver};
use crate::shard::driver::{Completion, Driver, SocketEvent, SocketId};
use io_uring::cqueue;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

impl UringDriver {
    /// One completion that is not a send.
    pub(super) fn complete(&mut self, data: u64, result: i32, flags: u32) -> Option<Completion<Socket>> {
        match op_of(data) {
            OP_RECEIVE => self.received(index_of(data), result, flags),
            OP_READABLE => {
                self.watched(index_of(data), result, cqueue::more(flags));
                None
            }
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

    pub(super) fn received(&mut self, index: u32, result: i32, flags: u32) -> Option<Completion<Socket>> {
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
                self.receive.ran_out();
                if entry.state.detaching {
                    self.release(index);
                } else if entry.watch.on {
                    self.arm_receive(index);
                } else {
                    self.starved.push_back(index);
                }
                return None;
            }
            (None, result) if result == -libc::ECANCELED => None,
            (None, error) => {
                entry.state.ended = true;
                Some(SocketEvent::Failed(io::Error::from_raw_os_error(-error)))
            }
        };
        if !more {
            self.go_on(index);
        }
        event.map(|event| Completion::Socket(slot, event))
    }

    /// The kernel has ended a receive: it is given another, or the socket is let go.
    fn go_on(&mut self, index: u32) {
        if self.sockets[index as usize].state.detaching {
            self.release(index)
        } else {
            self.arm_receive(index)
        }
    }

    #[inline(never)]
    pub(super) fn writable(&mut self, index: u32, result: i32) -> Option<Completion<Socket>> {
        let entry = &mut self.sockets[index as usize];
        entry.state.polling = false;
        if entry.state.closing {
            self.release(index);
            return None;
        }
        let slot = entry.slot;
        if entry.state.detaching {
            self.release(index); // who waits for it asks again wherever it is attached
            return None;
        }
        if result == -libc::ECANCELED {
            // The cancel was meant for the receive.
            self.wait_writable(SocketId(index));
            return None;
        }
        // An error or a hang-up shows at the next send or receive.
        Some(Completion::Socket(slot, SocketEvent::Writable))
    }

    #[inline(never)]
    pub(super) fn accepted(&mut self, result: i32, more: bool) -> Option<Completion<Socket>> {
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
}
