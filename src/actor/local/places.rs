//! How full this shard is, told to the others; and which of them is the emptiest.

use super::Local;
use crate::actor::Place;
use crate::shard::ShardId;

impl Local {
    /// The shard that is meant, if there is one.
    pub(crate) fn shard_of(&self, place: Place) -> Option<ShardId> {
        let shard = match place {
            Place::Here => self.me,
            Place::Shard(shard) => shard,
            Place::Near(id) => id.shard,
            Place::LeastLoaded => self.least_loaded(),
        };
        (shard.0 < self.mesh.shards()).then_some(shard)
    }

    /// The shard with the fewest actors: this one if none has fewer, and else the next in number, so that shards which look
    /// at the same moment do not all choose the same.
    fn least_loaded(&self) -> ShardId {
        let shards = self.mesh.shards();
        let from_here = (0..shards).map(|further| ShardId((self.me.0 + further) % shards));
        from_here.min_by_key(|&shard| self.load_of(shard)).unwrap_or(self.me)
    }

    fn load_of(&self, shard: ShardId) -> u32 {
        let shown = self.outside.loads.get(shard);
        if shard != self.me {
            return shown;
        }
        // What has changed in this turn is not shown yet.
        shown.wrapping_add((self.actors() as u32).wrapping_sub(self.load_shown))
    }

    /// One more is on its way to `shard`.
    pub(crate) fn add_load(&self, shard: ShardId) {
        self.outside.loads.add(shard, 1);
    }

    /// It has come here, and is counted with those who are here from now on.
    pub(crate) fn load_has_come(&mut self) {
        self.load_shown = self.load_shown.wrapping_add(1);
    }

    /// Shows the others how many are here. For the end of a turn: nothing is written that has not changed.
    pub(crate) fn show_load(&mut self) {
        let actors = self.actors() as u32;
        let more = actors.wrapping_sub(std::mem::replace(&mut self.load_shown, actors));
        if more != 0 {
            self.outside.loads.add(self.me, more);
        }
    }
}
