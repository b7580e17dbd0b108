//! Who has started whom, and what follows for a family when one of it has ended. Decides; `restarts` does.

use super::Local;
use super::endings::Notice;
use crate::actor::cell::Cell;
use crate::actor::supervision::{Escalation, Make, Strategy, Supervision};
use crate::actor::{ActorId, Reason, Restart};
use crate::shard::Time;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU64;
use std::time::Duration;

/// All of one shard's. As many children as actors, at most.
#[derive(Default)]
pub(super) struct Families {
    /// By slot.
    pub(super) children: HashMap<u32, Child>,
    /// By supervisor. A session's stays until its children have gone.
    pub(super) parents: HashMap<ActorId, Family>,
}

/// An actor that is made anew when it fails.
pub(super) struct Child {
    pub(super) id: ActorId,
    pub(super) parent: ActorId,
    pub(super) restart: Restart,
    /// The name of its type.
    pub(super) kind: &'static str,
    /// Out while it is called.
    pub(super) make: Option<Make>,
    pub(super) stage: Stage,
    /// Restarts since it last held.
    pub(super) in_a_row: u32,
    pub(super) made_at: Time,
    /// Somebody whom it is linked to has failed while nobody was in its slot.
    pub(super) failure: Option<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Up,
    /// It ends, when those that it supervises have.
    Ending,
    /// Its slot is empty until it is made anew.
    Out,
}

/// A supervisor's children.
pub(super) struct Family {
    supervision: Supervision,
    /// Slots, by generation: in the order in which they were started.
    pub(super) children: BTreeMap<NonZeroU64, u32>,
    /// When, within the window.
    restarts: VecDeque<Time>,
    pub(super) plan: Plan,
    /// The supervisor has failed, and will hear of it.
    pub(super) escalation: Option<Box<Escalation>>,
}

/// What is being done to a family.
pub(super) enum Plan {
    /// Nothing.
    Up,
    /// Those from this generation on end, the last first, and are made anew together after the pause. Those from `until` on
    /// have ended.
    Regroup { from: NonZeroU64, until: NonZeroU64, pause: Duration },
    /// All end, the last first, and then the supervisor, unless it was a session.
    End(Option<Leaver>),
}

/// Somebody on its way out.
pub(super) struct Leaver {
    /// There is none if it could not be made.
    pub(super) cell: Option<Box<dyn Cell>>,
    pub(super) reason: Reason,
    /// Its state is: it is told.
    pub(super) whole: bool,
    /// It is made anew after.
    pub(super) renewal: Option<Renewal>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Renewal {
    /// By itself, after a pause.
    Alone(Duration),
    /// With its siblings.
    Together,
}

impl Families {
    pub(super) fn child(&self, id: ActorId) -> Option<&Child> {
        self.children.get(&id.slot).filter(|child| child.id == id)
    }

    pub(super) fn child_mut(&mut self, id: ActorId) -> Option<&mut Child> {
        self.children.get_mut(&id.slot).filter(|child| child.id == id)
    }

    /// Whether `id` is of one, as child or as supervisor.
    pub(super) fn has(&self, id: ActorId) -> bool {
        self.parents.contains_key(&id) || self.child(id).is_some()
    }

    /// Whether `id` still takes children.
    pub(super) fn takes_children(&self, id: ActorId) -> bool {
        !self.parents.get(&id).is_some_and(|family| matches!(family.plan, Plan::End(_)))
    }

    pub(super) fn has_children(&self, id: ActorId) -> bool {
        self.parents.get(&id).is_some_and(|family| !family.children.is_empty())
    }

    pub(super) fn add(&mut self, child: Child, supervision: Supervision) {
        let family = self.parents.entry(child.parent).or_insert_with(|| Family {
            supervision,
            children: BTreeMap::new(),
            restarts: VecDeque::new(),
            plan: Plan::Up,
            escalation: None,
        });
        family.children.insert(child.id.generation, child.id.slot);
        self.children.insert(child.id.slot, child);
    }

    /// The children of `id` that were started after `after`, and wait to be made anew.
    pub(super) fn next_out(&self, parent: ActorId, after: NonZeroU64) -> Option<ActorId> {
        let family = self.parents.get(&parent)?;
        let later = family.children.range(after..).filter(|(generation, _)| **generation > after);
        let mut out = later.map(|(_, slot)| &self.children[slot]).filter(|child| child.stage == Stage::Out);
        out.next().map(|child| child.id)
    }
}

impl Family {
    pub(super) fn is_one_for_one(&self) -> bool {
        self.supervision.strategy == Strategy::OneForOne
    }

    /// Whether one more restart is within the budget, which it is then taken from.
    fn charge(&mut self, now: Time) -> bool {
        let Supervision { restarts_max, window, .. } = self.supervision;
        while self.restarts.front().is_some_and(|&at| now.since(at) >= window) {
            self.restarts.pop_front();
        }
        let may = self.restarts.len() < restarts_max as usize;
        if may {
            self.restarts.push_back(now);
        }
        may
    }
}

impl Local {
    /// How many have an ancestor that is one of those.
    pub(super) fn children_of(&self, is_one: impl Fn(ActorId) -> bool) -> usize {
        let is_below = |slot: &u32| {
            let mut next = self.families.children.get(slot).map(|child| child.parent);
            while let Some(ancestor) = next {
                if is_one(ancestor) {
                    return true;
                }
                next = self.families.child(ancestor).map(|child| child.parent);
            }
            false
        };
        self.families.children.keys().filter(|slot| is_below(slot)).count()
    }

    /// Whether `id` will be made anew if it ends like this, as far as can be said before.
    pub(crate) fn would_return(&self, id: ActorId, reason: &Reason) -> bool {
        let Some(child) = self.families.child(id) else { return false };
        let wanted = match child.restart {
            Restart::Always => matches!(reason, Reason::Stopped) || reason.is_failure(),
            Restart::OnFailure => reason.is_failure(),
            Restart::Never => false,
        };
        wanted && self.may_return(id)
    }

    /// Whether there is a family for it to return to.
    pub(super) fn may_return(&self, id: ActorId) -> bool {
        let Some(child) = self.families.child(id) else { return false };
        !self.leaving
            && !self.is_closed(id)
            && self.families.parents.contains_key(&child.parent)
            && self.families.takes_children(child.parent)
    }

    /// Somebody ends: whether it is made anew, how, and what that means for its family.
    pub(super) fn renewal_of(&mut self, id: ActorId, reason: &Reason) -> Option<Renewal> {
        let (returns, may_return) = (self.would_return(id, reason), self.may_return(id));
        let now = self.now;
        let Self { families: Families { children, parents }, notices, .. } = self;
        let child = children.get_mut(&id.slot).filter(|child| child.id == id)?;
        child.stage = Stage::Ending;
        let kind = child.kind;
        let family = parents.get_mut(&child.parent).filter(|_| may_return)?;
        if let Plan::Regroup { from, .. } = family.plan
            && id.generation >= from
            && child.restart != Restart::Never
            && (returns || *reason == Reason::Supervisor)
        {
            return Some(Renewal::Together);
        }
        if !returns {
            return None;
        }
        let Supervision { strategy, window, restarts_max, .. } = family.supervision;
        if !family.charge(now) {
            tracing::error!(
                supervisor = ?child.parent, child = ?id, kind, %reason, restarts_max, ?window,
                "a child failed once too often; its supervisor fails"
            );
            if family.escalation.is_none() {
                family.escalation = Some(Box::new(Escalation { child: id, kind, failure: reason.clone() }));
                notices.push_back(Notice::Escalate(child.parent));
            }
            return None;
        }
        if now.since(child.made_at) >= window {
            child.in_a_row = 0;
        }
        let pause = family.supervision.pause(child.in_a_row);
        child.in_a_row += 1;
        tracing::warn!(child = ?id, kind, %reason, pause_ms = pause.as_millis() as u64, "a child is made anew");
        let first = family.children.keys().next().copied().unwrap_or(id.generation);
        let from = match strategy {
            Strategy::OneForOne => return Some(Renewal::Alone(pause)),
            Strategy::OneForAll => first,
            Strategy::RestForOne => id.generation,
        };
        family.plan = Plan::Regroup { from, until: NonZeroU64::MAX, pause };
        Some(Renewal::Together)
    }

    /// `id` has ended: its supervisor has a child less, and its own children are to end.
    pub(super) fn leave_family(&mut self, id: ActorId) {
        if self.families.child(id).is_some()
            && let Some(child) = self.families.children.remove(&id.slot)
        {
            if let Some(family) = self.families.parents.get_mut(&child.parent) {
                family.children.remove(&id.generation);
                if !matches!(family.plan, Plan::Up) {
                    self.notices.push_back(Notice::Tend(child.parent));
                }
            }
            self.discard(child.make);
        }
        // A session does not wait for them; nobody else has any left.
        if let Some(family) = self.families.parents.get_mut(&id) {
            family.plan = Plan::End(None);
            self.notices.push_back(Notice::Tend(id));
        }
    }

    /// How many actors here have a supervisor.
    pub(crate) fn children(&self) -> usize {
        self.families.children.len()
    }
}
