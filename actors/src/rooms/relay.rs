//! A room away from home: its members on one shard, and the handing out of what is said.
//!
//! Members are served in slices, so that a large room does not keep the shard; what comes meanwhile waits, and goes out
//! with the next round. Who leaves in the middle of a round leaves a gap that is closed after it, so that nobody is served
//! twice or passed over.

use super::Room;
use super::enter::Format;
use super::item::{Item, Said};
use super::rules::{RoomRules, SlowRule};
use crate::packets::Packets;
use corewire::actor::{Actor, ActorId, Context, Priority};
use corewire::connection::{Delivered, Frames, FramesTicket, Terms};
use corewire::shard::{ShardId, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// One room's members of this shard.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) room: Room,
    pub(super) home: ShardId,
    pub(super) rules: RoomRules,
    /// By which connections know whose frames wait.
    tag: u32,
    members: Vec<Member>,
    /// Places in `members` that nobody has any more.
    gaps: Vec<u32>,
    round: VecDeque<Round>,
    /// Who is next in the round that has begun.
    at: usize,
    /// Those who are far behind, where publishers wait for them, and whether that is over.
    slow: Vec<(ActorId, bool)>,
    /// Since when publishers wait for them, as the home was told.
    waits_since: Option<Time>,
    /// Until when they need not wait again.
    rests_until: Time,
    /// It is among those that have something to hand out.
    pub(super) is_listed: bool,
}

/// A member, as its relay sees it.
#[derive(Debug, Clone, Copy)]
struct Member {
    id: ActorId,
    /// It has heard up to this number; all of them if it is not in yet, or has gone.
    heard: u64,
    format: Format,
    /// It is among the slow.
    is_slow: bool,
    dropped: u32,
}

/// Something to hand out.
#[derive(Debug)]
enum Round {
    /// In the room's order.
    Said {
        first: u64,
        last: u64,
        priority: Priority,
        keys: Arc<[Option<u64>]>,
        plain: Option<Frames>,
        json: Option<Frames>,
    },
    /// Outside of it, to members who want JSON.
    Aside(Frames),
    /// To one.
    Answer(ActorId, Frames),
}

/// A member for whom frames were dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowMember {
    /// Which session.
    pub who: ActorId,
    /// In which room.
    pub room: Box<str>,
    /// How many frames were dropped for it so far.
    pub dropped: u64,
    /// How many wait for it now.
    pub waiting: u32,
}

impl Relay {
    pub(super) fn new(room: Room, home: ShardId, rules: RoomRules, tag: u32) -> Self {
        Self {
            room,
            home,
            rules,
            tag,
            members: Vec::new(),
            gaps: Vec::new(),
            round: VecDeque::new(),
            at: 0,
            slow: Vec::new(),
            waits_since: None,
            rests_until: Time::ZERO,
            is_listed: false,
        }
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.members.len() - self.gaps.len()
    }

    /// Takes a place for a member that is not in yet.
    pub(super) fn add(&mut self, id: ActorId, format: Format) -> u32 {
        self.members.push(Member { id, heard: NOT_IN, format, is_slow: false, dropped: 0 });
        self.members.len() as u32 - 1
    }

    /// The format of the member at this place.
    pub(super) fn format(&self, place: u32) -> Format {
        self.members[place as usize].format
    }

    /// Gives a place up.
    pub(super) fn remove(&mut self, place: u32) {
        let member = &mut self.members[place as usize];
        member.heard = NOT_IN;
        if std::mem::take(&mut member.is_slow) {
            let id = member.id;
            self.slow.retain(|(who, _)| *who != id);
        }
        self.gaps.push(place);
    }

    /// Closes the gaps, if no round is under way. Tells who has moved to which place.
    pub(super) fn close_gaps(&mut self, mut moved: impl FnMut(ActorId, u32)) {
        if self.at > 0 || self.gaps.is_empty() {
            return;
        }
        self.gaps.sort_unstable();
        while let Some(place) = self.gaps.pop() {
            self.members.swap_remove(place as usize);
            // Whoever came into its place was behind all gaps, so it is not one itself.
            if let Some(member) = self.members.get(place as usize) {
                moved(member.id, place);
            }
        }
    }

    /// A member is in: it hears what it has missed, and from then on what is said.
    pub(super) fn enter<A: Actor>(
        &mut self,
        place: u32,
        seq: u64,
        missed: [Option<FramesTicket>; 2],
        cx: &mut Context<'_, A>,
    ) {
        self.members[place as usize].heard = seq;
        for frames in missed.into_iter().flatten() {
            self.hand_beside(place as usize, &frames.open(), cx);
        }
    }

    /// Something for one member, after what was said before.
    pub(super) fn answer<A: Actor>(&mut self, place: u32, frames: FramesTicket, cx: &mut Context<'_, A>) {
        if self.round.is_empty() {
            return self.hand_beside(place as usize, &frames.open(), cx);
        }
        self.round.push_back(Round::Answer(self.members[place as usize].id, frames.open()));
    }

    /// Something was said, and is handed out from now on.
    pub(super) fn said(&mut self, said: Said) {
        let Said { first, count, priority, keys, plain, json, .. } = said;
        self.round.push_back(Round::Said {
            first,
            last: first + u64::from(count) - 1,
            priority,
            keys,
            plain: plain.map(FramesTicket::open),
            json: json.map(FramesTicket::open),
        });
    }

    /// Something that is not in the order.
    pub(super) fn aside(&mut self, frames: FramesTicket) {
        self.round.push_back(Round::Aside(frames.open()));
    }

    pub(super) fn has_work(&self) -> bool {
        !self.round.is_empty()
    }

    /// Hands out, to at most `budget` members.
    pub(super) fn work<A: Actor>(
        &mut self,
        budget: &mut u32,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) {
        let mut heard = None;
        while let Some(round) = self.round.pop_front() {
            let until = self.members.len().min(self.at + *budget as usize);
            *budget -= (until - self.at) as u32;
            match &round {
                Round::Said { first, last, priority, keys, plain, json } => {
                    let terms = Terms { room: self.tag, priority: *priority, keys, ..self.rules.terms() };
                    for place in self.at..until {
                        let member = &self.members[place];
                        let frames = match member.format {
                            Format::Plain => plain,
                            Format::Json => json,
                        };
                        // One that came since this was written has heard it as history.
                        let (Some(frames), false) = (frames, member.heard >= *last) else { continue };
                        if member.heard < *first {
                            self.hand_on(place, frames, &terms, cx);
                        } else {
                            let from = (member.heard + 1 - first) as usize;
                            let rest = frames.slice(from..frames.len());
                            let keys = terms.keys.get(from..).unwrap_or_default();
                            self.hand_on(place, &rest, &Terms { keys, ..terms }, cx);
                        }
                        self.members[place].heard = *last;
                    }
                    if until == self.members.len() {
                        heard = Some(*last);
                    }
                }
                Round::Aside(frames) => {
                    for place in self.at..until {
                        let member = &self.members[place];
                        if member.format == Format::Json && member.heard != NOT_IN {
                            self.hand_beside(place, frames, cx);
                        }
                    }
                }
                Round::Answer(who, frames) => {
                    let is_it = |member: &Member| member.id == *who && member.heard != NOT_IN;
                    if let Some(at) = self.members[self.at..until].iter().position(is_it) {
                        self.hand_beside(self.at + at, frames, cx);
                    }
                }
            }
            if until < self.members.len() {
                self.at = until;
                self.round.push_front(round);
                break;
            }
            self.at = 0;
            // Between two rounds gaps can be closed, and must be before they are many.
            if *budget == 0 || self.gaps.len() * 4 > self.members.len() {
                break;
            }
        }
        // Who is far behind is told of before it is told that all have heard this, which lets the next be sent.
        self.look(packets, cx);
        if let Some(seq) = heard {
            packets.push(self.home, Item::Heard { room: self.room.clone(), seq });
        }
    }

    /// Hands what is not said in the room, and takes no room from that: that somebody is in, what it missed, who is there.
    fn hand_beside<A: Actor>(&mut self, place: usize, frames: &Frames, cx: &mut Context<'_, A>) {
        let terms = Terms { room: self.tag, counts: false, ..self.rules.terms() };
        self.hand_on(place, frames, &terms, cx);
    }

    #[inline]
    fn hand_on<A: Actor>(
        &mut self,
        place: usize,
        frames: &Frames,
        terms: &Terms<'_>,
        cx: &mut Context<'_, A>,
    ) {
        let member = &mut self.members[place];
        match cx.deliver(member.id, frames, terms) {
            Delivered::Sent => {}
            Delivered::Waits { frames, bytes, dropped } => {
                member.dropped = member.dropped.saturating_add(dropped);
                let is_far = frames >= terms.queue_frames / 2 || bytes >= terms.queue_bytes as usize / 2;
                let id = member.id;
                if is_far && !member.is_slow && matches!(self.rules.slow, SlowRule::Pause(_)) {
                    member.is_slow = true;
                    self.slow.push((id, false));
                }
            }
            Delivered::TooSlow { dropped } => member.dropped = member.dropped.saturating_add(dropped),
            Delivered::Gone => {} // we are told of its end, or it is about to be
        }
    }

    /// Whether some are far behind, and are to be looked at soon.
    pub(super) fn is_watching(&self) -> bool {
        !self.slow.is_empty()
    }

    /// Looks who is still far behind, and tells the home if that changes anything. Publishers wait for the deadline at most,
    /// and then not again for as long as they have waited.
    pub(super) fn look<A: Actor>(&mut self, packets: &mut Packets<Item>, cx: &mut Context<'_, A>) {
        let SlowRule::Pause(deadline) = self.rules.slow else { return };
        let (now, tag) = (cx.now(), self.tag);
        let (frames_max, bytes_max) = (self.rules.queue_frames / 4, self.rules.queue_bytes as usize / 4);
        let is_over = self.waits_since.is_some_and(|since| now.since(since) >= deadline);
        let mut is_waited_for = false;
        let members = &mut self.members;
        self.slow.retain_mut(|(who, is_given_up)| {
            let waits = cx
                .waiting_for(*who, tag)
                .is_some_and(|(frames, bytes)| frames > frames_max || bytes > bytes_max);
            *is_given_up |= is_over; // until it has caught up
            is_waited_for |= waits && !*is_given_up;
            if !waits {
                let caught_up = members.iter_mut().filter(|member| member.id == *who);
                caught_up.for_each(|member| member.is_slow = false);
            }
            waits
        });
        let waits_now = is_waited_for && now >= self.rests_until;
        if waits_now == self.waits_since.is_some() {
            return;
        }
        if let Some(since) = self.waits_since.take()
            && is_over
        {
            self.rests_until = now + now.since(since);
        }
        self.waits_since = waits_now.then_some(now);
        packets.push(self.home, Item::Behind { room: self.room.clone(), on: waits_now });
    }

    /// The room's home has lost what it knew: nobody is in any more, until it says so again.
    pub(super) fn begin_anew(&mut self) -> impl Iterator<Item = (ActorId, u32)> + '_ {
        self.round.clear();
        self.at = 0;
        self.waits_since = None;
        for member in &mut self.members {
            member.heard = NOT_IN;
        }
        let gaps = &self.gaps;
        let places = (0..).zip(&self.members).filter(move |(place, _)| !gaps.contains(place));
        places.map(|(place, member)| (member.id, place))
    }

    /// Those for whom something was dropped, with what waits for them.
    pub(super) fn slow_members<A: Actor>(&self, cx: &mut Context<'_, A>) -> Vec<SlowMember> {
        let slow = self.members.iter().filter(|member| member.dropped > 0 && !self.is_gap(member));
        slow.map(|member| SlowMember {
            who: member.id,
            room: self.room.name().into(),
            dropped: member.dropped.into(),
            waiting: cx.waiting_for(member.id, self.tag).map_or(0, |(frames, _)| frames),
        })
        .collect()
    }

    fn is_gap(&self, member: &Member) -> bool {
        member.heard == NOT_IN
    }
}

/// More than any number that is said.
const NOT_IN: u64 = u64::MAX;
