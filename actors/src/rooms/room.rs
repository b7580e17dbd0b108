//! A room's name, and where its home is.

use corewire::shard::ShardId;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A room's name, ready to be used often: a clone is free of allocation, and its home is known.
///
/// ```
/// use corewire_actors::rooms::Room;
///
/// let lobby = Room::from("lobby");
/// assert_eq!(lobby.name(), "lobby");
/// assert_eq!(lobby, "lobby".into());
/// ```
#[derive(Clone)]
pub struct Room {
    name: Arc<str>,
    hash: u64,
}

impl Room {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shard that gives its order, the same on all shards.
    pub(super) fn home(&self, shards: u16) -> ShardId {
        ShardId((self.hash % u64::from(shards.max(1))) as u16)
    }
}

impl From<&str> for Room {
    fn from(name: &str) -> Self {
        let mut hasher = DefaultHasher::new(); // without a seed: the same on all shards
        name.hash(&mut hasher);
        Self { name: name.into(), hash: hasher.finish() }
    }
}

impl From<&Room> for Room {
    fn from(room: &Room) -> Self {
        room.clone()
    }
}

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.name == other.name
    }
}

impl Eq for Room {}

impl Hash for Room {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({:?})", self.name)
    }
}
