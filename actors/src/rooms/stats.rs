//! How the rooms of a shard stand, for who asks.

use super::home::Home;
use super::{Rooms, SlowMember};
use corewire::actor::{Context, Handler};

/// Asks the [`Rooms`] of a shard how they stand.
#[derive(Debug, Clone, Copy)]
pub struct AskStats {
    /// How many of the slowest members to name.
    pub slowest: usize,
}

/// The rooms of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomsStats {
    /// Rooms that have their home here.
    pub homes: usize,
    /// Members of those, on all shards.
    pub guests: usize,
    /// Rooms with members here.
    pub relays: usize,
    /// Members here, each counted in each of its rooms.
    pub members: usize,
    /// Sessions that have ended and are still in rooms.
    pub leaving: usize,
    /// Members for whom frames were dropped, those with the most first.
    pub slowest: Vec<SlowMember>,
}

impl Handler<AskStats> for Rooms {
    type Reply = RoomsStats;
    fn handle(&mut self, ask: AskStats, cx: &mut Context<'_, Self>) -> RoomsStats {
        let mut slowest: Vec<SlowMember> =
            self.relays.iter().flatten().flat_map(|relay| relay.slow_members(cx)).collect();
        slowest.sort_unstable_by(|a, b| b.dropped.cmp(&a.dropped).then(b.who.cmp(&a.who)));
        slowest.truncate(ask.slowest);
        RoomsStats {
            homes: self.homes.len(),
            guests: self.homes.values().map(Home::members).sum(),
            relays: self.relay_of.len(),
            members: self.members as usize,
            leaving: self.leaving.len(),
            slowest,
        }
    }
}
