//! From a room's home to one shard with members: how much may be under way, and what waits.
//!
//! Does not know: members, or what is said.

use super::enter::Format;
use super::item::{Item, Said};
use super::rules::RoomRules;
use crate::packets::Packets;
use corewire::actor::{Actor, Context};
use corewire::shard::ShardId;
use std::collections::VecDeque;

/// The way to one shard with members.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) shard: ShardId,
    /// Members, by what they hear.
    pub(super) plain: u32,
    pub(super) json: u32,
    /// Said, and not yet sent there.
    waiting: VecDeque<Box<Said>>,
    waiting_frames: u32,
    waiting_bytes: usize,
    /// Sent, and not yet heard by all members: the last number and the bytes of each.
    under_way: VecDeque<(u64, usize)>,
    under_way_bytes: usize,
    /// Members there are far behind.
    pub(super) behind: bool,
}

impl Line {
    pub(super) fn new(shard: ShardId) -> Self {
        Self {
            shard,
            plain: 0,
            json: 0,
            waiting: VecDeque::new(),
            waiting_frames: 0,
            waiting_bytes: 0,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            behind: false,
        }
    }

    pub(super) fn count(&mut self, format: Format) -> &mut u32 {
        match format {
            Format::Plain => &mut self.plain,
            Format::Json => &mut self.json,
        }
    }

    pub(super) fn say<A: Actor>(
        &mut self,
        said: Box<Said>,
        rules: &RoomRules,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) {
        self.waiting_frames += said.count;
        self.waiting_bytes += said.bytes;
        self.waiting.push_back(said);
        self.pump(rules, packets);
        // What that shard cannot take in time is lost for its members, who see a gap.
        while self.waiting.len() > 1
            && (self.waiting_frames > rules.backlog_frames || self.waiting_bytes > rules.backlog_bytes)
        {
            let Some(lost) = self.waiting.pop_front() else { break };
            self.waiting_frames -= lost.count;
            self.waiting_bytes -= lost.bytes;
            cx.count("rooms.backlog_dropped", lost.count.into());
        }
    }

    /// Sends on what may be under way.
    pub(super) fn pump(&mut self, rules: &RoomRules, packets: &mut Packets<Item>) {
        let under_way_max = rules.under_way_max();
        while let Some(said) = self.waiting.front()
            && (self.under_way.is_empty()
                || self.under_way.len() < under_way_max
                    && self.under_way_bytes + said.bytes <= UNDER_WAY_BYTES_MAX)
            && let Some(said) = self.waiting.pop_front()
        {
            self.waiting_frames -= said.count;
            self.waiting_bytes -= said.bytes;
            self.under_way.push_back((said.first + u64::from(said.count) - 1, said.bytes));
            self.under_way_bytes += said.bytes;
            packets.push(self.shard, Item::Said(said));
        }
    }

    /// All members there have heard up to `seq`.
    pub(super) fn heard(&mut self, seq: u64) {
        while let Some(&(last, bytes)) = self.under_way.front()
            && last <= seq
        {
            self.under_way.pop_front();
            self.under_way_bytes -= bytes;
        }
    }
}

/// So many bytes may be on their way to one shard.
const UNDER_WAY_BYTES_MAX: usize = 1 << 20;
