//! What rooms may do: how much they remember, and what becomes of who is slow.

use corewire::connection::{Slow, Terms};
use std::sync::Arc;
use std::time::Duration;

/// Of one room. All members have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRules {
    /// What is done for a member for whom as many frames wait as may.
    pub slow: SlowRule,
    /// How many frames may wait for one member.
    pub queue_frames: u32,
    /// How many bytes they may be.
    pub queue_bytes: u32,
    /// How many messages are remembered for those who come later, or come back; 0: none.
    pub history_frames: u32,
    /// How many bytes they may be.
    pub history_bytes: usize,
    /// How long they are remembered.
    pub history_age: Duration,
    /// Whether those who have a name are told who comes and goes.
    pub presence: bool,
    /// How many frames may wait at the room's home for a shard that is behind. More are lost for all its members.
    pub backlog_frames: u32,
    /// How many bytes they may be.
    pub backlog_bytes: usize,
}

impl Default for RoomRules {
    fn default() -> Self {
        Self {
            slow: SlowRule::DropOldest,
            queue_frames: 256,
            queue_bytes: 256 << 10,
            history_frames: 100,
            history_bytes: 256 << 10,
            history_age: Duration::from_secs(300),
            presence: true,
            backlog_frames: 4096,
            backlog_bytes: 8 << 20,
        }
    }
}

/// What is done for a member for whom as many frames wait as may. Whatever is dropped shows as a gap in the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowRule {
    /// The oldest frame is dropped.
    #[default]
    DropOldest,
    /// The new one is dropped.
    DropNewest,
    /// The one with the same key is dropped for the new one ([`Note::keyed`](super::Note::keyed)).
    KeepLatest,
    /// The member is closed with 1013.
    Close,
    /// Nothing is read from those who publish until the member has caught up, or this time has passed; then its oldest
    /// frames are dropped.
    Pause(Duration),
}

impl RoomRules {
    pub(super) fn terms(&self) -> Terms<'static> {
        let slow = match self.slow {
            SlowRule::DropOldest | SlowRule::Pause(_) => Slow::DropOldest,
            SlowRule::DropNewest => Slow::DropNewest,
            SlowRule::KeepLatest => Slow::KeepLatest,
            SlowRule::Close => Slow::Close,
        };
        Terms {
            keeps_order: true,
            slow,
            queue_frames: self.queue_frames,
            queue_bytes: self.queue_bytes,
            ..Terms::default()
        }
    }
}

/// How what is said goes to shards.
impl RoomRules {
    /// How many messages are written together at most, and how many bytes. Where publishers wait for members, so few that one
    /// batch more does not fill a queue that was half full.
    pub(super) fn batch_max(&self) -> (u32, usize) {
        match self.slow {
            SlowRule::Pause(_) => {
                ((self.queue_frames / 4).max(1), (self.queue_bytes as usize / 4).min(BATCH_BYTES_MAX))
            }
            // More could not all wait for one who is behind.
            _ => (self.queue_frames.max(16), BATCH_BYTES_MAX),
        }
    }

    /// How many batches may be on their way to one shard.
    pub(super) fn under_way_max(&self) -> usize {
        match self.slow {
            SlowRule::Pause(_) => 1, // the next goes when it is known that nobody is far behind
            _ => UNDER_WAY_MAX,
        }
    }
}

/// All rooms of a server.
///
/// ```
/// use corewire_actors::rooms::{RoomRules, RoomsConfig, SlowRule};
///
/// let config = RoomsConfig::default().rules(|name| match name {
///     "prices" => RoomRules { slow: SlowRule::KeepLatest, history_frames: 0, ..RoomRules::default() },
///     _ => RoomRules::default(),
/// });
/// assert_eq!(config.rules_of("prices").slow, SlowRule::KeepLatest);
/// ```
#[derive(Clone)]
pub struct RoomsConfig {
    rules: Arc<dyn Fn(&str) -> RoomRules + Send + Sync>,
    /// Rooms whose home is one shard.
    pub rooms_max: u32,
    /// Members of all rooms on one shard, each counted in each of its rooms. Each session is watched, so
    /// [`watches_max`](corewire::server::Config::watches_max) bounds them too.
    pub members_max: u32,
    /// Bytes that all rooms whose home is one shard remember.
    pub history_bytes_max: usize,
    /// Rooms that one session may be in.
    pub rooms_per_session_max: u32,
    /// Members that are served in one go, before sockets and other actors have their turn.
    pub slice: u32,
}

impl RoomsConfig {
    /// With the rules that `rules` gives a room by its name. It is asked whenever a room begins on a shard, and must always say
    /// the same.
    #[must_use]
    pub fn rules(mut self, rules: impl Fn(&str) -> RoomRules + Send + Sync + 'static) -> Self {
        self.rules = Arc::new(rules);
        self
    }

    /// The rules of the room of this name.
    pub fn rules_of(&self, name: &str) -> RoomRules {
        (self.rules)(name)
    }
}

impl Default for RoomsConfig {
    fn default() -> Self {
        Self {
            rules: Arc::new(|_| RoomRules::default()),
            rooms_max: 65_536,
            members_max: 1 << 20,
            history_bytes_max: 64 << 20,
            rooms_per_session_max: 64,
            slice: 2048,
        }
    }
}

impl std::fmt::Debug for RoomsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomsConfig")
            .field("rooms_max", &self.rooms_max)
            .field("members_max", &self.members_max)
            .field("rooms_per_session_max", &self.rooms_per_session_max)
            .field("slice", &self.slice)
            .finish_non_exhaustive()
    }
}

/// Messages of one turn are written together, up to so many bytes.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// So many batches may be on their way to one shard.
const UNDER_WAY_MAX: usize = 64;
/// The longest name of a room, in bytes.
pub const ROOM_NAME_BYTES_MAX: usize = 255;
/// The longest name of a member, in bytes.
pub const MEMBER_NAME_BYTES_MAX: usize = 64;
