//! All mailboxes of a shard in one store, so that an actor with no mail holds no memory for it.

use super::Sendable;
use super::address::ActorId;
use super::envelope::{Delivery, Envelope, What};
use super::policy::{LOW_WAITS, Priority};
use super::reply::Asker;
use crate::ring::parcel::Parcel;
use crate::shard::ShardId;
use std::num::NonZeroU64;

/// One actor's place in the store: 16 bytes, all there is while nothing waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mailbox {
    normal: List,
    len: u32,
    /// Where mail of other priorities is, while there is any.
    side: u32,
}

impl Mailbox {
    /// Nothing waits.
    pub(crate) const EMPTY: Self = Self { normal: List::EMPTY, len: 0, side: NONE };

    /// How many messages wait.
    pub(crate) fn len(self) -> u32 {
        self.len
    }
}

/// Messages of one actor and priority, in the order in which they came.
#[derive(Debug, Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self { head: NONE, tail: NONE };

    fn is_empty(self) -> bool {
        self.head == NONE
    }

    /// Its first has been taken out.
    #[inline]
    fn go_on(&mut self, first: &Node) {
        self.head = first.next();
        if self.head == NONE {
            self.tail = NONE;
        }
    }
}

/// An actor's mail of other priorities than the normal one.
#[derive(Debug)]
struct Side {
    critical: List,
    high: List,
    low: List,
    /// How many were handled while the first of `low` waited.
    passed: u32,
    /// The next that is free, while this one is.
    next: u32,
}

impl Side {
    const EMPTY: Self =
        Self { critical: List::EMPTY, high: List::EMPTY, low: List::EMPTY, passed: 0, next: NONE };

    fn is_empty(&self) -> bool {
        self.critical.is_empty() && self.high.is_empty() && self.low.is_empty()
    }

    /// Which is to be handled next, with a word on what that means for `low`.
    fn next_of(&mut self, normal: List) -> Priority {
        let low_waits = !self.low.is_empty();
        let next = if low_waits && self.passed >= LOW_WAITS {
            Priority::Low
        } else if !self.critical.is_empty() {
            Priority::Critical
        } else if !self.high.is_empty() {
            Priority::High
        } else if !normal.is_empty() {
            Priority::Normal
        } else {
            Priority::Low
        };
        self.passed = if low_waits && next != Priority::Low { self.passed + 1 } else { 0 };
        next
    }
}

/// The messages that wait on a shard, each in the mailbox of its receiver.
#[derive(Debug)]
pub(crate) struct MailStore {
    nodes: Vec<Node>,
    /// The first that is free.
    free: u32,
    len: u32,
    slots_max: u32,
    sides: Vec<Side>,
    free_side: u32,
}

/// A place for a message. Its parcel's label is the next in the same list. A free one is `What::Shard`, and its parcel is
/// empty, so that the next message is written straight into it.
#[derive(Debug)]
#[repr(align(64))] // two cache lines, and not three
struct Node(Envelope);

impl Node {
    const FREE: Self = Self(Envelope {
        to: ActorId { generation: NonZeroU64::MIN, slot: NONE, shard: ShardId(0) },
        from: None,
        what: What::Shard,
        parcel: Parcel::empty(),
    });

    fn is_free(&self) -> bool {
        matches!(self.0.what, What::Shard)
    }

    #[inline]
    fn next(&self) -> u32 {
        self.0.parcel.label()
    }

    #[inline]
    fn set_next(&mut self, next: u32) {
        self.0.parcel.set_label(next);
    }

    /// Puts an envelope there, and leaves the place in its list.
    #[inline]
    fn put(&mut self, envelope: Envelope) {
        let next = self.next();
        debug_assert!(self.is_free() && self.0.parcel.is::<()>(), "what is there would be forgotten");
        std::mem::forget(std::mem::replace(&mut self.0, envelope)); // a drop between the two would have it moved twice
        self.set_next(next);
    }

    /// Takes out what was there, in the same way.
    fn replace(&mut self, other: Envelope) -> Envelope {
        let next = self.next();
        let envelope = std::mem::replace(&mut self.0, other);
        self.set_next(next);
        envelope
    }

    /// Nothing is in it any more, and it goes before those that are free.
    #[inline]
    fn release(&mut self, place: u32, free: &mut u32) {
        self.0.what = What::Shard;
        self.set_next(std::mem::replace(free, place));
    }
}

impl MailStore {
    /// Room for `slots_max` messages in all mailboxes together. Memory is taken as it is needed, and kept.
    pub(crate) fn new(slots_max: u32) -> Self {
        Self { nodes: Vec::new(), free: NONE, len: 0, slots_max, sides: Vec::new(), free_side: NONE }
    }

    /// Whether one more would be refused.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.slots_max
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Adds to a mailbox, behind what waits there with the same priority, and says where. The caller has asked
    /// [`Self::is_full`], unless it was accepted on another shard.
    pub(crate) fn push(&mut self, mailbox: &mut Mailbox, envelope: Envelope) -> MailId {
        let (place, node) = self.add(mailbox, envelope.priority());
        node.put(envelope);
        place
    }

    /// The same, of an envelope that is moved only once: from where `take` finds it.
    #[inline(always)]
    pub(crate) fn push_with(
        &mut self,
        mailbox: &mut Mailbox,
        priority: Priority,
        take: impl FnOnce() -> Envelope,
    ) {
        let (_, node) = self.add(mailbox, priority);
        node.put(take());
    }

    /// The same, of a message that is written where it is to lie.
    #[inline]
    pub(crate) fn write<M: Sendable>(
        &mut self,
        mailbox: &mut Mailbox,
        to: ActorId,
        from: Option<ActorId>,
        what: What,
        priority: Priority,
        message: M,
    ) {
        let (_, Node(envelope)) = self.add(mailbox, priority);
        (envelope.to, envelope.from, envelope.what) = (to, from, what);
        envelope.parcel.fill(message);
    }

    /// Lays an envelope into no mailbox, to be opened at once.
    #[inline]
    pub(crate) fn lay(&mut self, envelope: Envelope) -> MailId {
        let place = self.room_for_one();
        let node = &mut self.nodes[place as usize];
        self.free = node.next();
        node.put(envelope);
        MailId(place)
    }

    /// Adds a place to a mailbox, and what lies there is yet to be written.
    #[inline]
    fn add(&mut self, mailbox: &mut Mailbox, priority: Priority) -> (MailId, &mut Node) {
        let place = self.room_for_one();
        let Self { nodes, free, len, sides, free_side, .. } = self;
        let nodes = nodes.as_mut_slice(); // found once, whatever is written into it
        *free = nodes[place as usize].next();
        let list = match priority {
            Priority::Normal => &mut mailbox.normal,
            other => other.list_of(side_of(sides, free_side, &mut mailbox.side)),
        };
        match nodes.get_mut(list.tail as usize) {
            Some(last) => last.set_next(place),
            None => list.head = place, // NONE is beyond all nodes
        }
        list.tail = place;
        mailbox.len += 1;
        *len += 1;
        let node = &mut nodes[place as usize];
        node.set_next(NONE);
        (MailId(place), node)
    }

    /// The first place that is free.
    #[inline]
    fn room_for_one(&mut self) -> u32 {
        if self.free as usize >= self.nodes.len() {
            self.grow(); // NONE is beyond all nodes
        }
        self.free
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.free = self.nodes.len() as u32;
        self.nodes.push(Node::FREE);
        self.nodes[self.free as usize].set_next(NONE);
    }

    /// Takes what is to be handled next.
    pub(crate) fn pop(&mut self, mailbox: &mut Mailbox) -> Option<Envelope> {
        let next = self.next_of(mailbox);
        self.pop_of(mailbox, next)
    }

    /// Takes what is to be handled next out of its mailbox, and leaves it where it lies until [`Self::open`].
    #[inline]
    pub(crate) fn unlink(&mut self, mailbox: &mut Mailbox) -> Option<MailId> {
        if mailbox.side == NONE { self.unlink_normal(mailbox) } else { self.unlink_next(mailbox) }
    }

    /// The same where not all is of one priority.
    #[inline(never)]
    fn unlink_next(&mut self, mailbox: &mut Mailbox) -> Option<MailId> {
        let next = self.next_of(mailbox);
        self.unlink_of(mailbox, next)
    }

    /// What was unlinked and not opened yet.
    #[inline]
    pub(crate) fn unlinked(&self, place: MailId) -> &Envelope {
        &self.nodes[place.0 as usize].0
    }

    /// Takes the message of what was unlinked, and says who asks. The place is free then.
    #[inline]
    pub(crate) fn open<M: 'static>(&mut self, place: MailId) -> (M, Option<Asker>) {
        let node = &mut self.nodes[place.0 as usize];
        let asker = node.0.asker();
        let message = node.0.parcel.take().expect("an envelope's delivery and parcel are made together");
        node.release(place.0, &mut self.free);
        (message, asker)
    }

    /// Takes what is to be handled next, if it is an `M` that is delivered so and nobody waits for an answer.
    #[inline]
    pub(crate) fn take_alike<M: 'static>(
        &mut self,
        mailbox: &mut Mailbox,
        delivery: &'static Delivery,
    ) -> Option<M> {
        let place = mailbox.normal.head;
        let node = self.nodes.get_mut(place as usize)?; // NONE is beyond all nodes
        match node.0.what {
            What::Message(other, _) if std::ptr::eq(other, delivery) && mailbox.side == NONE => {}
            _ => return None,
        }
        let message = node.0.parcel.take()?;
        mailbox.normal.go_on(node);
        mailbox.len -= 1;
        self.len -= 1;
        node.release(place, &mut self.free);
        Some(message)
    }

    fn next_of(&mut self, mailbox: &Mailbox) -> Priority {
        match mailbox.side {
            NONE => Priority::Normal,
            side => self.sides[side as usize].next_of(mailbox.normal),
        }
    }

    /// Takes the oldest of the lowest priority, unless all that waits is above `priority`.
    pub(crate) fn pop_lowest(&mut self, mailbox: &mut Mailbox, priority: Priority) -> Option<Envelope> {
        let side = self.sides.get(mailbox.side as usize).unwrap_or(&Side::EMPTY);
        let waits = [
            (Priority::Low, side.low),
            (Priority::Normal, mailbox.normal),
            (Priority::High, side.high),
            (Priority::Critical, side.critical),
        ];
        let (lowest, _) = waits.into_iter().find(|(_, list)| !list.is_empty())?;
        if lowest > priority { None } else { self.pop_of(mailbox, lowest) }
    }

    fn pop_of(&mut self, mailbox: &mut Mailbox, priority: Priority) -> Option<Envelope> {
        let MailId(index) = self.unlink_of(mailbox, priority)?;
        let Node(free) = Node::FREE;
        let node = &mut self.nodes[index as usize];
        let envelope = node.replace(free);
        node.release(index, &mut self.free);
        Some(envelope)
    }

    fn unlink_of(&mut self, mailbox: &mut Mailbox, priority: Priority) -> Option<MailId> {
        if priority == Priority::Normal {
            return self.unlink_normal(mailbox);
        }
        let Self { nodes, sides, .. } = self;
        let side = &mut sides[mailbox.side as usize];
        let index = take_first(nodes, priority.list_of(side))?;
        mailbox.len -= 1;
        self.len -= 1;
        if side.is_empty() {
            side.next = std::mem::replace(&mut self.free_side, mailbox.side);
            mailbox.side = NONE;
        }
        Some(MailId(index))
    }

    #[inline]
    fn unlink_normal(&mut self, mailbox: &mut Mailbox) -> Option<MailId> {
        let index = take_first(&self.nodes, &mut mailbox.normal)?;
        mailbox.len -= 1;
        self.len -= 1;
        Some(MailId(index))
    }

    /// Whether a message to `to` waits there.
    pub(crate) fn holds(&self, place: MailId, to: ActorId) -> bool {
        self.nodes.get(place.0 as usize).is_some_and(|node| !node.is_free() && node.0.to == to)
    }

    /// Puts another message in the place of one that waits, and gives that one out.
    pub(crate) fn replace(&mut self, place: MailId, envelope: Envelope) -> Envelope {
        self.nodes[place.0 as usize].replace(envelope)
    }

    /// Takes any message out of the store. For the end: mailboxes that name it are of no use after.
    pub(crate) fn pop_any(&mut self) -> Option<Envelope> {
        self.len = 0;
        self.free = NONE;
        while let Some(node) = self.nodes.pop() {
            if !node.is_free() {
                return Some(node.0);
            }
        }
        None
    }
}

/// Takes the first place out of a list.
#[inline]
fn take_first(nodes: &[Node], list: &mut List) -> Option<u32> {
    let index = list.head;
    let node = nodes.get(index as usize)?; // NONE is beyond all nodes
    list.go_on(node);
    Some(index)
}

/// Where a message is, for as long as it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MailId(u32);

/// The side that a mailbox has, or a new one.
fn side_of<'a>(sides: &'a mut Vec<Side>, free: &mut u32, side: &mut u32) -> &'a mut Side {
    if *side == NONE {
        *side = match *free {
            NONE => {
                sides.push(Side::EMPTY);
                sides.len() as u32 - 1
            }
            index => {
                *free = std::mem::replace(&mut sides[index as usize], Side::EMPTY).next;
                index
            }
        };
    }
    &mut sides[*side as usize]
}

impl Priority {
    fn list_of(self, side: &mut Side) -> &mut List {
        match self {
            Self::Critical => &mut side.critical,
            Self::High => &mut side.high,
            Self::Low => &mut side.low,
            Self::Normal => unreachable!("normal mail is not on the side"),
        }
    }
}

const NONE: u32 = u32::MAX;
