//! Which shard a new connection, or a user, belongs to.
//!
//! Does not know: sockets, how a connection gets there, what is kept of users.

use super::Config;
use super::shared::Shared;
use crate::shard::ShardId;

/// How the shard of a new connection is chosen: [`Config::placement`]. A shard that is full
/// ([`Config::clients_per_shard_max`]) is passed over, and one that does not come round as long as another is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// The less loaded of two that chance chooses: nearly as even as if all were asked, and a burst does not follow one stale
    /// figure (Mitzenmacher, "The Power of Two Choices", 2001).
    #[default]
    LeastLoaded,
    /// One after the other, whatever they have to do.
    RoundRobin,
    /// Where the user's partition lives ([`shard_of_user`]), so that all connections of a user are on one shard, with whatever
    /// is kept of the user there: [`Server::user_by`](super::Server::user_by) says whose a request is.
    ///
    /// The kernel then hands over a connection when its first bytes have come, which are looked at before it is placed. Where
    /// they are not the whole head of a request of at most 4 KiB, where nobody can say whose it is, or where that shard is
    /// full, this is as [`Self::LeastLoaded`]: it is a way to be near, and nothing may rely on it. Who says nothing is
    /// accepted after a second or more, and the time for its handshake begins then.
    UserHash {
        /// How many partitions there are.
        partitions: u16,
    },
}

impl Placement {
    /// Whether it matters whose a connection is.
    pub(crate) fn wants_user(self) -> bool {
        matches!(self, Self::UserHash { .. })
    }
}

/// Chooses, on one shard.
#[derive(Debug)]
pub(super) struct Placer {
    placement: Placement,
    clients_max: u32,
    rng: fastrand::Rng,
}

impl Placer {
    pub(super) fn new(config: &Config, seed: u64) -> Self {
        let clients_max = match config.clients_per_shard_max {
            0 => u32::MAX,
            max => max,
        };
        Self { placement: config.placement, clients_max, rng: fastrand::Rng::with_seed(seed) }
    }

    /// A shard for one more connection, which counts there from now on; `None` if all are full.
    pub(super) fn claim(&mut self, shared: &Shared, user: Option<&[u8]>) -> Option<ShardId> {
        match self.placement {
            Placement::UserHash { partitions } => {
                let home = user.map(|user| shard_of_user(user, partitions, shared.shards.len() as u16));
                let home = home.filter(|&home| !shared.is_stuck(home) && self.claim_on(home, shared));
                home.or_else(|| self.claim_least_loaded(shared))
            }
            Placement::LeastLoaded => self.claim_least_loaded(shared),
            Placement::RoundRobin => self.claim_next(shared),
        }
    }

    /// Whether [`Self::claim`] would like to know whose it is.
    pub(super) fn wants_user(&self) -> bool {
        self.placement.wants_user()
    }

    /// The same for a shard that is not asked for: whether it has room.
    pub(super) fn claim_on(&self, shard: ShardId, shared: &Shared) -> bool {
        shared.claim_connection(shard, self.clients_max)
    }

    fn claim_least_loaded(&mut self, shared: &Shared) -> Option<ShardId> {
        let burden = |shard: &ShardId| (shared.is_stuck(*shard), shared.load(*shard));
        let shards = shared.shards.len() as u16;
        let mut pick = || ShardId(self.rng.u16(0..shards));
        let (a, b) = (pick(), pick());
        let first = if burden(&a) <= burden(&b) { a } else { b };
        if !shared.is_stuck(first) && self.claim_on(first, shared) {
            return Some(first);
        }
        // Others claim at the same time, so the emptiest may be full by the time that it is claimed.
        let mut all: Vec<ShardId> = (0..shards).map(ShardId).collect();
        all.sort_by_key(burden);
        all.into_iter().find(|&shard| self.claim_on(shard, shared))
    }

    fn claim_next(&self, shared: &Shared) -> Option<ShardId> {
        let shards = shared.shards.len() as u32;
        let next = shared.next_turn();
        let in_turn = || (0..shards).map(|further| ShardId((next.wrapping_add(further) % shards) as u16));
        let mut come_round = in_turn().filter(|&shard| !shared.is_stuck(shard));
        come_round
            .find(|&shard| self.claim_on(shard, shared))
            .or_else(|| in_turn().find(|&shard| self.claim_on(shard, shared)))
    }
}

/// The partition that a user belongs to: FNV-1a (64 bits) of the id, modulo how many there are.
///
/// ```
/// use corewire::server::{partition_of_user, shard_of_user};
/// use corewire::shard::ShardId;
///
/// assert_eq!(partition_of_user(b"ann", 16), 8);
/// assert_eq!(shard_of_user(b"ann", 16, 3), ShardId(2)); // 8 modulo 3
/// ```
pub fn partition_of_user(user: &[u8], partitions: u16) -> u16 {
    (fnv1a(user) % u64::from(partitions.max(1))) as u16
}

/// The shard on which that partition lives: its number modulo how many shards there are.
pub fn shard_of_user(user: &[u8], partitions: u16, shards: u16) -> ShardId {
    ShardId(partition_of_user(user, partitions) % shards.max(1))
}

/// Fowler, Noll and Vo's hash, variant 1a of 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>). Who chooses ids can choose
/// them to meet; it spreads and protects nothing.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    /// The authors' test vectors.
    #[test]
    fn fnv1a_is_what_its_authors_say() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
