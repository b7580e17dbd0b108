//! What a connection hears: when it may be read, and what was received and may not be yet.
//!
//! Does not know: what the bytes mean.

use super::{Link, LinkState, Waiting};
use crate::actor::ActorId;
use crate::actor::local::{Local, Request};
use crate::buf::{Buf, Exhausted};
use crate::connection::Planted;

impl Link {
    /// Whether what comes must wait: the peer does not take our answers, or the session does not want to hear.
    pub(crate) fn must_hold(&self) -> bool {
        self.state.blocked || self.wants_nothing() || self.is_ahead()
    }

    /// The session wants to hear nothing, for now.
    pub(crate) fn wants_nothing(&self) -> bool {
        let LinkState { paused, choked, moving, waiting, .. } = self.state;
        paused || choked || moving || waiting != Waiting::No
    }

    /// So much waits to be sent to a peer that does read that reading on would overflow its queue.
    pub(super) fn is_ahead(&self) -> bool {
        let queued = self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes());
        // What waits for the end of a stream may wait for what is to be read.
        let later = match &self.behind {
            Some(behind) if !self.state.streaming => behind.later.bytes(),
            _ => 0,
        };
        queued + later >= self.rules.send_queue_bytes_max / 4
    }

    /// Keeps bytes that must wait, behind those that wait already, in a block that keeps nobody else's.
    ///
    /// # Errors
    /// Memory is short.
    pub(crate) fn hold(&mut self, bytes: Buf, local: &mut Local, me: ActorId) -> Result<(), Exhausted> {
        let own = local.pool.copy(&bytes)?;
        local.pool.recycle(bytes);
        let held = &mut self.behind.get_or_insert_default().held;
        match self.rules.planted {
            Some(Planted::Overtaken) => held.push_front(own),
            _ => held.push_back(own),
        }
        self.stop_reading(local);
        self.go_on_when_sent(local, me);
        Ok(())
    }

    /// If reading waits only because so much is to be sent in this turn, it goes on when that is done. Nobody else would
    /// say so: a send that succeeds is silent.
    pub(crate) fn go_on_when_sent(&mut self, local: &mut Local, me: ActorId) {
        let waits = self.has_held() || self.state.reading_stopped;
        if waits && !self.state.blocked && self.is_ahead() {
            local.want_sent(me.slot);
        }
    }

    /// Keeps what came in the same segment as the handshake, to be read once the session is open.
    pub(crate) fn hold_first(&mut self, bytes: Buf, local: &mut Local) {
        let bytes = local.pool.keep(bytes);
        self.behind.get_or_insert_default().held.push_back(bytes);
    }

    /// Puts bytes back that were taken from those that wait.
    pub(crate) fn hold_front(&mut self, bytes: Buf) {
        self.behind.get_or_insert_default().held.push_front(bytes);
    }

    /// Bytes that waited and need not any more.
    pub(crate) fn next_held(&mut self) -> Option<Buf> {
        if self.must_hold() {
            return None;
        }
        let behind = self.behind.as_mut()?;
        let next = behind.held.pop_front();
        self.put_empty_behind();
        next
    }

    pub(crate) fn has_held(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| !behind.held.is_empty())
    }

    /// Keeps no box in which nothing waits.
    pub(super) fn put_empty_behind(&mut self) {
        if self.behind.as_ref().is_some_and(|behind| behind.held.is_empty() && behind.later.is_empty()) {
            self.behind = None;
        }
    }

    /// So many bytes came at once: reads in bulk from now on, or no more, if that is better.
    pub(crate) fn choose_bulk(&mut self, bytes: usize, local: &mut Local) {
        if let Some(on) = self.state.bulk.heard(bytes, self.machine.frame_bytes_missing()) {
            local.requests.push(Request::Bulk { socket: self.socket, on });
        }
    }

    pub(super) fn stop_reading(&mut self, local: &mut Local) {
        if !self.state.reading_stopped {
            self.state.reading_stopped = true;
            local.requests.push(Request::Pause(self.socket));
        }
    }

    /// The session wants to hear nothing for now.
    pub(crate) fn pause(&mut self, local: &mut Local) {
        self.state.paused = true;
        self.stop_reading(local);
    }

    /// Somebody else wants that the session hears nothing for now, or does not any more.
    pub(crate) fn choke(&mut self, on: bool, local: &mut Local, me: ActorId) {
        if self.state.closing {
            return; // its client's answer must be heard
        }
        let was = std::mem::replace(&mut self.state.choked, on);
        if on {
            self.stop_reading(local);
        } else if was {
            self.heard(local.now());
            local.tick_at(local.now(), me);
        }
    }

    /// The session wants to hear again. What waits is read from a tick, since a handler of this session is running.
    pub(crate) fn resume(&mut self, local: &mut Local, me: ActorId) {
        if std::mem::take(&mut self.state.paused) {
            self.heard(local.now()); // its silence counts from now on
            local.tick_at(local.now(), me);
        }
    }

    /// Lets the kernel receive again, if nothing stands against it.
    pub(crate) fn resume_reading(&mut self, local: &mut Local) {
        if self.state.reading_stopped && !self.must_hold() && !self.has_held() {
            self.state.reading_stopped = false;
            if self.rules.planted == Some(Planted::NotResumed) {
                return;
            }
            local.requests.push(Request::Resume(self.socket));
        }
    }
}
