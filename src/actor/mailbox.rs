//! All mailboxes of a shard in one store, so that an actor with no mail holds no memory for it.

use super::address::ActorId;
use super::envelope::Envelope;
use super::policy::{LOW_WAITS, Priority};
use super::reply::Asker;

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
    free: u32,
    len: u32,
    slots_max: u32,
    sides: Vec<Side>,
    free_side: u32,
}

#[derive(Debug)]
struct Node {
    envelope: Option<Envelope>,
    next: u32,
}

impl MailStore {
    /// Room for `slots_max` messages in all mailboxes together. Memory is taken as it is needed, and kept.
    pub(crate) fn new(slots_max: u32) -> Self {
        Self { nodes: Vec::new(), free: NONE, len: 0, slots_max, sides: Vec::new(), free_side: NONE }
    }

    /// Whether one more would be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.slots_max
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Adds to a mailbox, behind what waits there with the same priority, and says where: an envelope that is made in its
    /// place. The caller has asked [`Self::is_full`], unless it was accepted on another shard.
    #[inline]
    pub(crate) fn push_with(
        &mut self,
        mailbox: &mut Mailbox,
        priority: Priority,
        make: impl FnOnce() -> Envelope,
    ) -> MailId {
        let MailId(index) = self.lay(make);
        let Self { nodes, sides, free_side, .. } = self;
        let list = match priority {
            Priority::Normal => &mut mailbox.normal,
            other => other.list_of(side_of(sides, free_side, &mut mailbox.side)),
        };
        match list.tail {
            NONE => list.head = index,
            tail => nodes[tail as usize].next = index,
        }
        list.tail = index;
        mailbox.len += 1;
        self.len += 1;
        MailId(index)
    }

    /// Lays an envelope into no mailbox, to be opened at once.
    #[inline]
    pub(crate) fn lay(&mut self, make: impl FnOnce() -> Envelope) -> MailId {
        MailId(match self.free {
            NONE => {
                self.nodes.push(Node { envelope: Some(make()), next: NONE });
                self.nodes.len() as u32 - 1
            }
            index => {
                let node = &mut self.nodes[index as usize];
                self.free = std::mem::replace(&mut node.next, NONE);
                node.envelope = Some(make());
                index
            }
        })
    }

    /// Takes what is to be handled next.
    pub(crate) fn pop(&mut self, mailbox: &mut Mailbox) -> Option<Envelope> {
        let next = self.next_of(mailbox);
        self.pop_of(mailbox, next)
    }

    /// Takes what is to be handled next out of its mailbox, and leaves it where it lies until [`Self::open`].
    #[inline]
    pub(crate) fn unlink(&mut self, mailbox: &mut Mailbox) -> Option<MailId> {
        let next = self.next_of(mailbox);
        self.unlink_of(mailbox, next)
    }

    /// What was unlinked and not opened yet.
    #[inline]
    pub(crate) fn unlinked(&self, place: MailId) -> &Envelope {
        self.nodes[place.0 as usize].envelope.as_ref().expect("it is opened once")
    }

    /// Takes the message of what was unlinked, and says who asks. The place is free then.
    #[inline]
    pub(crate) fn open<M: 'static>(&mut self, place: MailId) -> (M, Option<Asker>) {
        let node = &mut self.nodes[place.0 as usize];
        let envelope = node.envelope.as_mut().expect("it is opened once");
        let message = envelope.parcel.take().expect("an envelope's delivery and parcel are made together");
        let asker = envelope.asker();
        node.envelope = None;
        node.next = std::mem::replace(&mut self.free, place.0);
        (message, asker)
    }

    #[inline]
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
        let place = self.unlink_of(mailbox, priority)?;
        let node = &mut self.nodes[place.0 as usize];
        node.next = std::mem::replace(&mut self.free, place.0);
        node.envelope.take()
    }

    #[inline]
    fn unlink_of(&mut self, mailbox: &mut Mailbox, priority: Priority) -> Option<MailId> {
        let Self { nodes, sides, .. } = self;
        let list = match priority {
            Priority::Normal => &mut mailbox.normal,
            other => other.list_of(&mut sides[mailbox.side as usize]),
        };
        let index = list.head;
        let node = nodes.get_mut(index as usize)?; // NONE is beyond all nodes
        list.head = node.next;
        if list.head == NONE {
            list.tail = NONE;
        }
        mailbox.len -= 1;
        self.len -= 1;
        if priority != Priority::Normal && sides[mailbox.side as usize].is_empty() {
            sides[mailbox.side as usize].next = std::mem::replace(&mut self.free_side, mailbox.side);
            mailbox.side = NONE;
        }
        Some(MailId(index))
    }

    /// Whether a message to `to` waits there.
    pub(crate) fn holds(&self, place: MailId, to: ActorId) -> bool {
        let node = self.nodes.get(place.0 as usize);
        node.and_then(|node| node.envelope.as_ref()).is_some_and(|envelope| envelope.to == to)
    }

    /// Puts another message in the place of one that waits, and gives that one out.
    pub(crate) fn replace(&mut self, place: MailId, envelope: Envelope) -> Option<Envelope> {
        self.nodes[place.0 as usize].envelope.replace(envelope)
    }

    /// Takes any message out of the store. For the end: mailboxes that name it are of no use after.
    pub(crate) fn pop_any(&mut self) -> Option<Envelope> {
        self.len = 0;
        self.free = NONE;
        while let Some(node) = self.nodes.pop() {
            if node.envelope.is_some() {
                return node.envelope;
            }
        }
        None
    }
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
