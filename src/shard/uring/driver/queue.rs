//! The two queues: requests in, completions out, and the call that sleeps between.

use super::UringDriver;
use crate::shard::Time;
use io_uring::{IoUring, squeue};
use std::io;

impl UringDriver {
    pub(super) fn push(&mut self, entry: &squeue::Entry) {
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
    pub(super) fn submit(&mut self) {
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
    pub(super) fn harvest(&mut self) {
        loop {
            let Self { ring, pending, sends, alarm, .. } = self;
            for cqe in ring.completion() {
                let data = cqe.user_data();
                match op_of(data) {
                    OP_SEND => sends[index_of(data) as usize].fell_short = Some(cqe.result()),
                    OP_ALARM => alarm.has_rung(),
                    _ => pending.push_back((data, cqe.result(), cqe.flags())),
                }
            }
            if !ring.submission().cq_overflow() {
                return;
            }
            self.get_events();
        }
    }

    pub(super) fn get_events(&mut self) {
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

    /// Submits, and sleeps until something completes: the alarm at `until`, if nothing else.
    pub(super) fn wait(&mut self, until: Time) {
        self.set_alarm(until);
        let queued = self.ring.submission().len() as u32;
        // SAFETY: as in `get_events`; this one waits for a completion as well.
        let entered =
            unsafe { self.ring.submitter().enter::<libc::sigset_t>(queued, 1, self.wait_flags, None) };
        match entered {
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => panic!("io_uring_enter refused to wait: {error}"),
            },
        }
    }
}

/// The ring, with what this kernel has of what we would like.
pub(super) fn setup(entries: u32) -> io::Result<IoUring> {
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

/// How to wait for completions: where the kernel knows the difference, not as one waits for a disk. Else it would count a shard
/// that has nothing to do as `iowait`, and as pressure on I/O.
pub(super) fn wait_flags(ring: &IoUring) -> u32 {
    let idle = ENTER_GETEVENTS | ENTER_NO_IOWAIT;
    // SAFETY: no argument is passed, and there is nothing to submit or to wait for.
    let known = unsafe { ring.submitter().enter::<libc::sigset_t>(0, 0, idle, None) };
    if known.is_ok() { idle } else { ENTER_GETEVENTS }
}

/// An index is used again only when nothing that carries it is with the kernel, so it needs no generation.
pub(super) fn user_data(op: u8, index: u32) -> u64 {
    u64::from(op) << 56 | u64::from(index)
}

pub(super) fn op_of(data: u64) -> u8 {
    (data >> 56) as u8
}

pub(super) fn index_of(data: u64) -> u32 {
    data as u32
}

pub(super) const OP_IGNORED: u8 = 0;
pub(super) const OP_RECEIVE: u8 = 1;
pub(super) const OP_SEND: u8 = 2;
pub(super) const OP_WRITABLE: u8 = 3;
pub(super) const OP_ACCEPT: u8 = 4;
pub(super) const OP_BELL: u8 = 5;
pub(super) const OP_RING: u8 = 6;
pub(super) const OP_CANCEL: u8 = 7;
pub(super) const OP_READABLE: u8 = 8;
pub(super) const OP_ALARM: u8 = 9;

/// `IORING_ENTER_GETEVENTS` of linux/io_uring.h.
const ENTER_GETEVENTS: u32 = 1;
/// `IORING_ENTER_NO_IOWAIT`, from Linux 6.15.
const ENTER_NO_IOWAIT: u32 = 1 << 7;
