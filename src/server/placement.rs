//! Where users and their connections belong.
//!
//! Does not know: who asks, and what is kept there.

use crate::shard::ShardId;

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
