//! N×N lanes between shards, and a doorbell for each.
//!
//! From every shard to every other runs a lane, and beside it a way back. What cannot be delivered comes back by
//! it, so a shard drains a lane only as far as the way back has room. The way back itself is always drained:
//! nothing that comes by it is answered. So no circle of full lanes can stop a shard.

use super::ShardId;
use crate::ring::doorbell::Doorbell;
use crate::ring::spsc::{self, Consumer, Drain, Producer, PushError};
use crate::sync::Arc;

/// One shard's ends of all its lanes.
///
/// ```
/// use corewire::shard::{Mesh, ShardId};
///
/// let [mut a, mut b] = <[_; 2]>::try_from(Mesh::<&str>::new(2, 8)).unwrap();
/// a.send(ShardId(1), "hello").unwrap();
/// a.publish(|_asleep| unreachable!("b is awake"));
/// let mut heard = Vec::new();
/// b.drain(8, |from, item| heard.push((from, item)));
/// assert_eq!(heard, [(ShardId(0), "hello")]);
/// ```
pub struct Mesh<T> {
    me: ShardId,
    links: Vec<Option<Link<T>>>,
    bells: Arc<[Doorbell]>,
    /// Where [`Self::drain`] begins, so that no shard is always served first.
    turn: usize,
}

/// The four ends that a shard has of what lies between it and another.
struct Link<T> {
    out: Producer<T>,
    back_out: Producer<T>,
    lane: Consumer<T>,
    back: Consumer<T>,
}

impl<T> Mesh<T> {
    /// The ends for `shards` shards, in their order. Every lane has `slots` slots (rounded up to a power of two), so
    /// the whole has `2 * shards * (shards - 1) * slots`.
    pub fn new(shards: u16, slots: usize) -> Vec<Self> {
        let bells: Arc<[Doorbell]> = (0..shards).map(|_| Doorbell::new()).collect();
        let mut meshes: Vec<Self> = (0..shards)
            .map(|me| Self {
                me: ShardId(me),
                links: (0..shards).map(|_| None).collect(),
                bells: bells.clone(),
                turn: 0,
            })
            .collect();
        for a in 0..usize::from(shards) {
            for b in 0..a {
                let (ab, ab_end) = spsc::channel(slots);
                let (ab_back, ab_back_end) = spsc::channel(slots);
                let (ba, ba_end) = spsc::channel(slots);
                let (ba_back, ba_back_end) = spsc::channel(slots);
                meshes[a].links[b] =
                    Some(Link { out: ab, back_out: ab_back, lane: ba_end, back: ba_back_end });
                meshes[b].links[a] =
                    Some(Link { out: ba, back_out: ba_back, lane: ab_end, back: ab_back_end });
            }
        }
        meshes
    }

    /// Which shard this is.
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.links.len() as u16
    }

    /// Puts `item` into the lane to another shard. It is seen there after [`Self::publish`].
    ///
    /// # Errors
    /// The lane is full, or the shard has stopped; the item comes back.
    ///
    /// # Panics
    /// If `to` is this shard or none: a shard has no lane to itself.
    #[inline]
    pub fn send(&mut self, to: ShardId, item: T) -> Result<(), PushError<T>> {
        self.link(to).out.push(item)
    }

    /// How many more items [`Self::send`] would take.
    ///
    /// # Panics
    /// As [`Self::send`].
    pub fn room(&mut self, to: ShardId) -> usize {
        self.link(to).out.room()
    }

    /// Sends back what came from `to` and could not be delivered. There is room for what the last [`Self::drain`] gave;
    /// for what is refused later there need not be.
    ///
    /// # Errors
    /// The way back is full, or the shard has stopped; the item comes back.
    pub fn send_back(&mut self, to: ShardId, item: T) -> Result<(), PushError<T>> {
        self.link(to).back_out.push(item)
    }

    /// Hands out what came from other shards, at most `max` items from each, in order of sending.
    pub fn drain(&mut self, max: usize, mut sink: impl FnMut(ShardId, T)) {
        self.drain_each(max, |from, lane| lane.for_each(|item| sink(from, item)));
    }

    /// The same, lane by lane: what `sink` does not take out of one stays there.
    #[inline]
    pub(crate) fn drain_each(&mut self, max: usize, mut sink: impl FnMut(ShardId, &mut Drain<'_, T>)) {
        let shards = self.links.len();
        self.turn = (self.turn + 1) % shards;
        for n in 0..shards {
            let from = (self.turn + n) % shards;
            let Some(link) = &mut self.links[from] else { continue };
            let room = link.back_out.room();
            sink(ShardId(from as u16), &mut link.lane.drain(max.min(room)));
        }
    }

    /// Hands out what other shards could not deliver and sent back.
    pub fn drain_back(&mut self, mut sink: impl FnMut(ShardId, T)) {
        for (from, link) in self.links.iter_mut().enumerate() {
            let Some(link) = link else { continue };
            for item in link.back.drain(usize::MAX) {
                sink(ShardId(from as u16), item);
            }
        }
    }

    /// Makes everything sent visible, and calls `ring` for each shard that sleeps and must be woken.
    pub fn publish(&mut self, mut ring: impl FnMut(ShardId)) {
        for (to, link) in self.links.iter_mut().enumerate() {
            let Some(link) = link else { continue };
            let published = link.out.publish() | link.back_out.publish();
            if published && self.bells[to].must_ring() {
                ring(ShardId(to as u16));
            }
        }
    }

    /// Whether anything waits to be drained.
    pub fn has_mail(&mut self) -> bool {
        self.links.iter_mut().flatten().any(|link| !link.lane.is_empty() || !link.back.is_empty())
    }

    /// Says that this shard is about to sleep. Check [`Self::has_mail`] after it, and only then sleep.
    pub fn arm(&self) {
        if self.links.len() == 1 {
            return; // nobody would ring
        }
        self.bells[usize::from(self.me.0)].arm();
    }

    /// Says that this shard is awake. False: somebody has rung.
    pub fn disarm(&self) -> bool {
        self.links.len() > 1 && self.bells[usize::from(self.me.0)].disarm()
    }

    #[inline]
    fn link(&mut self, to: ShardId) -> &mut Link<T> {
        let me = self.me;
        self.links.get_mut(usize::from(to.0)).and_then(Option::as_mut).unwrap_or_else(|| no_lane(me, to))
    }
}

impl<T> std::fmt::Debug for Mesh<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("me", &self.me)
            .field("shards", &self.links.len())
            .finish_non_exhaustive()
    }
}

#[cold]
fn no_lane(from: ShardId, to: ShardId) -> ! {
    panic!("no lane from {from:?} to {to:?}")
}
