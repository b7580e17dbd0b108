//! Requests that stay with the kernel: receives, polls, and their cancelling.

use super::queue::{OP_BELL, OP_CANCEL, OP_IGNORED, OP_READABLE, OP_RECEIVE, OP_WRITABLE, user_data};
use super::{Socket, State, UringDriver};
use crate::shard::driver::{Completion, SocketId};
use crate::shard::uring::receive::GROUP;
use io_uring::{opcode, squeue, types};
use std::os::fd::{AsRawFd, RawFd};

impl UringDriver {
    /// Receives from a socket, or watches it if it is in bulk; as soon as the kernel has let go of the other of these.
    #[inline(never)]
    pub(super) fn arm_receive(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        let Some(fd) = &entry.fd else { return };
        let State { receiving, watching, paused, ended, closing, .. } = entry.state;
        if receiving || watching || paused || ended || closing {
            return;
        }
        if entry.watch.on {
            entry.state.watching = true;
            let watch =
                opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), (libc::POLLIN | libc::POLLRDHUP) as u32)
                    .multi(true)
                    .build()
                    .user_data(user_data(OP_READABLE, index));
            self.push(&watch);
            return;
        }
        entry.state.receiving = true;
        let receive = opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), GROUP)
            .build()
            .user_data(user_data(OP_RECEIVE, index));
        self.push(&receive);
    }

    #[inline(never)]
    pub(super) fn arm_bell(&mut self) {
        let bell = self.peers.wakers[usize::from(self.me.0)].0.as_raw_fd();
        let poll = opcode::PollAdd::new(types::Fd(bell), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data(user_data(OP_BELL, 0));
        self.push(&poll);
    }

    /// Cancels everything at a descriptor. The kernel looks through all requests of the ring for it, so it
    /// takes the longer the more connections there are.
    pub(super) fn cancel_all(&mut self, fd: RawFd) {
        let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::fd(types::Fd(fd)).all())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(user_data(OP_IGNORED, 0));
        self.push(&cancel);
    }

    /// Cancels one request of a socket, which the kernel looks up, however many there are.
    pub(super) fn cancel(&mut self, op: u8, index: u32) {
        let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::user_data(user_data(op, index)))
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(user_data(OP_CANCEL, index));
        self.push(&cancel);
    }

    /// Cancels what is with the kernel of a socket: it would keep the socket else.
    pub(super) fn cancel_requests(&mut self, index: u32) {
        let State { receiving, watching, polling, .. } = self.sockets[index as usize].state;
        if receiving {
            self.cancel(OP_RECEIVE, index);
        }
        if watching {
            self.cancel(OP_READABLE, index);
        }
        if polling {
            self.cancel(OP_WRITABLE, index);
        }
    }

    /// A cancel did not find its request, or could not end it.
    #[cold]
    pub(super) fn cancel_failed(&mut self, index: u32) {
        let entry = &self.sockets[index as usize];
        let State { receiving, watching, paused, closing, polling, detaching, .. } = entry.state;
        let bulk = entry.watch.on;
        let unwanted = (receiving && (paused || bulk)) || (watching && !bulk);
        let closing = closing || detaching;
        // Mostly its last completion has just been seen or is on its way. But some kernels miss a multishot receive
        // by its user data (liburing #1375, Linux 6.11); by its descriptor they do not.
        if (unwanted || (closing && (receiving || watching || polling)))
            && let Some(fd) = &entry.fd
        {
            self.cancel_all(fd.as_raw_fd());
        }
    }

    /// Ends the life of a socket that its owner has let go and the kernel too.
    #[inline(never)]
    pub(super) fn release(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        let State { closing, detaching, receiving, watching, polling, .. } = entry.state;
        if receiving || watching || polling {
            return;
        }
        if detaching {
            self.detached.push_back(index); // until that is told, its number is nobody else's
        } else if closing {
            entry.fd = None; // closes it
            entry.state = State::default();
            entry.watch = entry.watch.forget();
            self.free.push(index);
        }
    }

    /// The next socket that the kernel has let go of, to be told.
    pub(super) fn next_detached(&mut self) -> Option<Completion<Socket>> {
        if self.detached.is_empty() { None } else { self.tell_detached() }
    }

    #[cold]
    fn tell_detached(&mut self) -> Option<Completion<Socket>> {
        let index = self.detached.pop_front()?;
        let entry = &mut self.sockets[index as usize];
        let (slot, fd) = (entry.slot, entry.fd.take());
        entry.state = State::default();
        entry.watch = entry.watch.forget();
        self.free.push(index);
        fd.map(|fd| Completion::Detached(slot, SocketId(index), Socket(fd)))
    }
}
