//! What shards do for each other, apart from their actors' mail: it always gets there.
//!
//! An errand goes by the lane, in order. One that finds the lane full waits on its own shard, so there must be a bound on
//! how many are under way: whoever adds a kind of errand says which (so many watches, so many names).

use super::Local;
use crate::actor::ActorId;
use crate::actor::cell::Next;
use crate::actor::envelope::{Envelope, What};
use crate::ring::parcel::Parcel;
use crate::ring::spsc::PushError;
use crate::shard::ShardId;
use std::num::NonZeroU64;

/// Something that only the shard which it goes to can do.
pub(super) struct Errand(Box<dyn FnOnce(&mut Local) + Send>);

impl Local {
    /// Has another shard, or this one, do something, in a turn after this. To one shard errands arrive in order, after
    /// the messages that were sent there before.
    pub(crate) fn tell(&mut self, to: ShardId, errand: impl FnOnce(&mut Local) + Send + 'static) {
        let errand = Errand(Box::new(errand));
        if to == self.me {
            return self.errands.push_back(errand);
        }
        let refused = if self.errands_out[usize::from(to.0)].is_empty() {
            self.set_out(to, errand).err()
        } else {
            Some(errand)
        };
        self.errands_out[usize::from(to.0)].extend(refused);
    }

    /// Puts an errand into a lane, or hands it back if there is no room.
    fn set_out(&mut self, to: ShardId, errand: Errand) -> Result<(), Errand> {
        let envelope = Envelope {
            to: ActorId { generation: NonZeroU64::MAX, slot: u32::MAX, shard: to },
            from: None,
            what: What::Shard,
            parcel: Parcel::new(errand),
        };
        match self.mesh.send(to, envelope) {
            Ok(()) => {}
            Err(PushError::Full(envelope)) => {
                return Err(envelope.parcel.downcast().expect("it was packed a moment ago"));
            }
            Err(PushError::Closed(envelope)) => self.discard(envelope), // its shard has ended
        }
        Ok(())
    }

    /// Does what this shard was told to, and sends on what found a lane full.
    pub(super) fn run_errands(&mut self) {
        if self.has_errands() {
            self.run_all_errands();
        }
    }

    #[inline(never)]
    fn run_all_errands(&mut self) {
        for to in 0..self.errands_out.len() {
            while let Some(errand) = self.errands_out[to].pop_front() {
                if let Err(errand) = self.set_out(ShardId(to as u16), errand) {
                    self.errands_out[to].push_front(errand);
                    break;
                }
            }
        }
        for _ in 0..self.errands.len() {
            let Some(Errand(run)) = self.errands.pop_front() else { break };
            self.run_nobody(|_, local, _| {
                run(local);
                Next::Stay
            });
        }
    }

    /// Whether something is still to be done, or to be sent on.
    pub(super) fn has_errands(&self) -> bool {
        !self.errands.is_empty() || self.errands_out.iter().any(|waiting| !waiting.is_empty())
    }

    /// For the end.
    pub(super) fn forget_errands(&mut self) {
        let mut left = std::mem::take(&mut self.errands);
        for waiting in &mut self.errands_out {
            left.append(waiting);
        }
        for errand in left {
            self.discard(errand);
        }
    }
}
