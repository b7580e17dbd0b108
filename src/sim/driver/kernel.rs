//! The made-up kernel's own work: what it posts, and what it leaves for another time.
//!
//! Does not know: what the driver makes of it.

use super::{Posted, SimDriver};
use crate::sim::fault::Fault;
use crate::sim::net::{End, Net, SimSocket};
use std::net::SocketAddr;

impl SimDriver {
    /// The kernel's work: posts completions, not all that it could at once. `something`: at least one, if it can.
    pub(super) fn run_kernel(&mut self, something: bool) {
        let wires = self.wires.clone();
        let mut net = wires.get();
        net.bells[usize::from(self.me.0)] = false;
        self.fell_short = false;
        let before = self.posted.len();
        let mut ready: Vec<u32> = (0..self.sockets.len() as u32)
            .filter(|&index| self.sockets[index as usize].is_ready(&net))
            .collect();
        net.rng.shuffle(&mut ready);
        for index in ready {
            if net.rng.u8(0..4) > 0 || something && self.posted.len() == before {
                self.run_socket(index, &mut net);
            }
        }
        while self.accepting
            && let Some(at) = self.next_to_accept(&net)
        {
            let id = net.doors[usize::from(self.me.0)].queue.remove(at).expect("it was just seen there");
            if net.deals(Fault::AcceptFailure) {
                net.doors[usize::from(self.me.0)].queue.insert(at, id);
                self.accepting = false;
                self.posted.push_back(Posted::AcceptFailed);
                break;
            }
            let peer = SocketAddr::from(([10, 0, (id >> 8) as u8, id as u8], 50_000));
            self.posted.push_back(Posted::Accepted(SimSocket::new(id, wires.clone()), peer));
            if net.rng.bool() {
                break; // the others another time
            }
        }
    }

    /// Where in the queue the next is whom the kernel would hand over.
    pub(super) fn next_to_accept(&self, net: &Net) -> Option<usize> {
        let mut queue = net.doors[usize::from(self.me.0)].queue.iter();
        queue.position(|&id| !self.accept_deferred || net.connections[id].up.is_readable())
    }

    fn run_socket(&mut self, index: u32, net: &mut Net) {
        let entry = &self.sockets[index as usize];
        let id = entry.id();
        if entry.cancelled {
            if entry.receive_armed {
                if net.connections[id].up.is_readable() && net.deals(Fault::LateData) {
                    self.receive(index, id, net);
                }
                if std::mem::take(&mut self.sockets[index as usize].receive_armed) {
                    self.posted.push_back(Posted::ReceiveOver { index, error: libc::ECANCELED });
                }
            }
            let entry = &mut self.sockets[index as usize];
            entry.cancelled = false;
            if std::mem::take(&mut entry.watch_armed) {
                self.posted.push_back(Posted::Watched { index, arrived: false, more: false });
            }
            if std::mem::take(&mut entry.poll_armed) {
                self.posted.push_back(Posted::PollOver { index, cancelled: true });
            }
            return;
        }
        if entry.receive_armed && net.connections[id].up.is_readable() {
            self.receive(index, id, net);
        }
        self.look(index, net);
        let entry = &mut self.sockets[index as usize];
        if entry.poll_armed && entry.is_writable(net) {
            entry.poll_armed = false;
            self.posted.push_back(Posted::PollOver { index, cancelled: false });
        }
    }

    /// A multishot receive that is armed and has something: one completion or several.
    fn receive(&mut self, index: u32, id: usize, net: &mut Net) {
        loop {
            let arrived = net.connections[id].up.arrived.len();
            if arrived == 0 {
                let error = match net.connections[id].up.end {
                    None => return, // still armed
                    Some(End::Fin) => 0,
                    Some(End::Reset) => libc::ECONNRESET,
                };
                self.sockets[index as usize].receive_armed = false;
                self.posted.push_back(Posted::ReceiveOver { index, error });
                return;
            }
            if self.blocks.is_empty() || net.deals(Fault::NoBuffers) {
                self.sockets[index as usize].receive_armed = false;
                self.posted.push_back(Posted::ReceiveOver { index, error: libc::ENOBUFS });
                return;
            }
            let block = &mut self.blocks[0];
            let room = block.len() - block.filled();
            let most = arrived.min(room);
            let bytes = if net.deals(Fault::Split) { net.rng.usize(1..=most) } else { most };
            let bytes: Vec<u8> = net.connections[id].up.arrived.drain(..bytes).collect();
            let buf = block.fill(&bytes);
            if !self.incremental || bytes.len() == room {
                self.blocks.pop_front();
            }
            let more = !net.deals(Fault::EndedMultishot);
            self.posted.push_back(Posted::Received { index, buf, more });
            if !more {
                self.sockets[index as usize].receive_armed = false;
                return;
            }
            if net.rng.bool() {
                return; // the rest another time
            }
        }
    }
}
