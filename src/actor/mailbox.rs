//! All mailboxes of a shard in one store, so that an actor with no mail holds no memory for it.

use super::envelope::Envelope;

/// One actor's place in the store: 12 bytes, all there is while nothing waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mailbox {
    head: u32,
    tail: u32,
    len: u32,
}

impl Mailbox {
    /// Nothing waits.
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0 };

    /// How many messages wait.
    pub(crate) fn len(self) -> u32 {
        self.len
    }
}

/// The messages that wait on a shard, each in the mailbox of its receiver.
#[derive(Debug)]
pub(crate) struct MailStore {
    nodes: Vec<Node>,
    free: u32,
    len: u32,
    slots_max: u32,
}

#[derive(Debug)]
struct Node {
    envelope: Option<Envelope>,
    next: u32,
}

impl MailStore {
    /// Room for `slots_max` messages in all mailboxes together. Memory is taken as it is needed, and kept.
    pub(crate) fn new(slots_max: u32) -> Self {
        Self { nodes: Vec::new(), free: NONE, len: 0, slots_max }
    }

    /// Whether one more would be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.slots_max
    }

    /// Adds to the end of a mailbox. The caller has asked [`Self::is_full`].
    pub(crate) fn push(&mut self, mailbox: &mut Mailbox, envelope: Envelope) {
        debug_assert!(!self.is_full(), "the store's bound is checked before an envelope is made");
        let node = Node { envelope: Some(envelope), next: NONE };
        let index = match self.free {
            NONE => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
            index => {
                self.free = self.nodes[index as usize].next;
                self.nodes[index as usize] = node;
                index
            }
        };
        match mailbox.tail {
            NONE => mailbox.head = index,
            tail => self.nodes[tail as usize].next = index,
        }
        mailbox.tail = index;
        mailbox.len += 1;
        self.len += 1;
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

    /// Takes the first of a mailbox.
    pub(crate) fn pop(&mut self, mailbox: &mut Mailbox) -> Option<Envelope> {
        if mailbox.head == NONE {
            return None;
        }
        let index = mailbox.head;
        let node = &mut self.nodes[index as usize];
        let envelope = node.envelope.take();
        mailbox.head = std::mem::replace(&mut node.next, self.free);
        self.free = index;
        if mailbox.head == NONE {
            mailbox.tail = NONE;
        }
        mailbox.len -= 1;
        self.len -= 1;
        envelope
    }
}

const NONE: u32 = u32::MAX;
