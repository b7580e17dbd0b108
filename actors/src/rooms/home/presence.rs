//! Telling who comes and goes, and who is there.
//!
//! Does not know: names, or what is coalesced; that is [`People`](crate::rooms::people)'s.

use super::Home;
use crate::packets::Packets;
use crate::rooms::enter::Format;
use crate::rooms::item::Item;
use crate::rooms::line::Line;
use corewire::actor::{Actor, ActorId, Context};
use corewire::connection::{FRAME_HEADER_BYTES_MAX, FramesTicket};
use corewire::shard::ShardId;
use corewire::wire::Kind;

impl Home {
    /// Tells members who has come and gone, if somebody wants to know. False: not yet, since memory or the way is short.
    pub(in crate::rooms) fn tell_presence<A: Actor>(
        &mut self,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> bool {
        let is_wanted = |line: &&Line| line.json > 0 && self.rules.presence;
        let listeners = self.lines.iter().filter(is_wanted).count();
        if listeners > 0 {
            let is_far = |shard| {
                packets.waiting(shard) >= ASIDE_MAX || packets.waiting_bytes(shard) >= ASIDE_MAX_BYTES
            };
            if self.lines.iter().filter(is_wanted).any(|line| is_far(line.shard)) {
                return false;
            }
            let mut payload = Vec::new();
            self.people.write_changes(&mut payload, self.room.name(), self.members());
            let Some(tickets) = one_frame(&payload, listeners, cx) else { return false };
            for (line, frames) in self.lines.iter().filter(is_wanted).zip(tickets) {
                let bytes = frames.bytes();
                packets.push_with(line.shard, Item::Aside { room: self.room.clone(), frames }, bytes);
            }
        }
        self.people.told();
        true
    }

    /// Tells one member who is there.
    pub(in crate::rooms) fn tell_who<A: Actor>(
        &self,
        from: ShardId,
        who: ActorId,
        format: Format,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) {
        let mut payload = Vec::new();
        self.people.write_all(&mut payload, self.room.name(), self.members(), format);
        if let Some(frames) = one_frame(&payload, 1, cx).and_then(|mut tickets| tickets.next()) {
            let bytes = frames.bytes();
            packets.push_with(from, Item::Answer { room: self.room.clone(), who, frames }, bytes);
        }
    }
}

fn one_frame<A: Actor>(
    payload: &[u8],
    tickets: usize,
    cx: &mut Context<'_, A>,
) -> Option<impl Iterator<Item = FramesTicket> + use<A>> {
    let mut frames = cx.frame_writer(payload.len() + FRAME_HEADER_BYTES_MAX).ok()?;
    frames.push(Kind::Text, &[payload]).expect("it was made with this much room");
    Some(cx.freeze(frames, tickets as u16))
}

/// Who comes and goes waits while so many items wait for a shard, or so many bytes.
const ASIDE_MAX: usize = 1024;
const ASIDE_MAX_BYTES: usize = 4 << 20;
