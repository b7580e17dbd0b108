//! Reading in bulk, by the made-up kernel: a watch that tells of arrivals, and reads that find what there is.

use super::driver::{Posted, SimDriver};
use super::fault::Fault;
use super::net::{End, Net, SimSocket};
use crate::buf::Pool;
use crate::shard::{Completion, Reader, Reading, SocketId};
use std::io;

impl SimDriver {
    pub(super) fn arm_watch(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        entry.watching = true;
        entry.watch_armed = true;
        let up = &self.wires.get().connections[entry.id()].up;
        // What is there already is told, once.
        entry.watch_told = if up.is_readable() { up.arrivals.wrapping_sub(1) } else { up.arrivals };
    }

    /// The kernel tells of what has arrived since it last did.
    pub(super) fn look(&mut self, index: u32, net: &mut Net) {
        let entry = &mut self.sockets[index as usize];
        if entry.watch_armed && net.connections[entry.id()].up.arrivals != entry.watch_told {
            entry.watch_told = net.connections[entry.id()].up.arrivals;
            entry.watch_armed = !net.deals(Fault::EndedMultishot);
            self.posted.push_back(Posted::Watched { index, arrived: true, more: entry.watch_armed });
        }
    }

    pub(super) fn watched(&mut self, index: u32, arrived: bool, more: bool) {
        let entry = &mut self.sockets[index as usize];
        entry.watching = more;
        if entry.closing || entry.detaching {
            return;
        }
        if arrived {
            entry.watch.tell(self.wires.get().connections[entry.id()].up.end.is_some());
            self.queue_readable(index);
        }
        if !more {
            self.arm_receive(index);
        }
    }

    pub(super) fn queue_readable(&mut self, index: u32) {
        let entry = &mut self.sockets[index as usize];
        if entry.may_be_read() {
            self.bulk.queue(index, &mut entry.watch);
        }
    }

    pub(super) fn next_readable(&mut self) -> Option<Completion<SimSocket>> {
        let index = self.bulk.next()?;
        let entry = &mut self.sockets[index as usize];
        let may = entry.may_be_read();
        self.bulk.tried(index, &mut entry.watch, may);
        may.then_some(Completion::Readable(entry.slot))
    }
}

impl super::driver::Entry {
    fn may_be_read(&self) -> bool {
        self.watch.is_readable() && self.watching && !self.paused && !self.ended && !self.closing
    }
}

impl Reader for SimDriver {
    fn read(
        &mut self,
        SocketId(index): SocketId,
        front: &mut [u8],
        behind_bytes_max: usize,
        pool: &mut Pool,
    ) -> Reading {
        let entry = &mut self.sockets[index as usize];
        if !entry.may_be_read() {
            return Reading::Nothing;
        }
        let mut net = self.wires.get();
        let (id, told) = (entry.id(), &mut entry.watch_told);
        let reading = self.bulk.read(&mut entry.watch, front, behind_bytes_max, pool, |front, behind| {
            let arrived = net.connections[id].up.arrived.len();
            if arrived == 0 {
                return match net.connections[id].up.end {
                    None => Err(io::ErrorKind::WouldBlock.into()),
                    Some(End::Fin) => Ok(0),
                    Some(End::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
                };
            }
            let mut bytes = arrived.min(front.len() + behind.len());
            if net.deals(Fault::Split) {
                bytes = net.rng.usize(1..=bytes);
                *told = told.wrapping_sub(1); // the rest came a moment later
            }
            let up = &mut net.connections[id].up;
            for (room, byte) in front.iter_mut().chain(behind).zip(up.arrived.drain(..bytes)) {
                *room = byte;
            }
            Ok(bytes)
        });
        entry.ended = matches!(reading, Reading::Ended | Reading::Failed(_));
        reading
    }
}
