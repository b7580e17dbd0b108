//! Ending whole families, and making those anew who are to be.
//!
//! Who is made anew keeps its slot, generation and mailbox; the slot is empty meanwhile, and waits as one does whose
//! actor waits for a future. Families are seen to by notices, one step each, when nobody runs.

use super::Local;
use super::endings::Notice;
use super::families::{Child, Leaver, Plan, Renewal, Stage};
use super::slots::Panicked;
use crate::actor::cell::{Cell, Next};
use crate::actor::supervision::{Make, Supervision};
use crate::actor::{ActorId, Reason, Restart, SpawnError};
use std::time::Duration;

impl Local {
    pub(crate) fn spawn_child(
        &mut self,
        parent: ActorId,
        supervision: Supervision,
        restart: Restart,
        kind: &'static str,
        make: Make,
    ) -> Result<ActorId, SpawnError> {
        if self.leaving || self.concluding == Some(parent) || !self.families.takes_children(parent) {
            return Err(SpawnError::Ending);
        }
        let id = self.reserve().ok_or(SpawnError::Full)?;
        let stage = Stage::Up;
        let (make, made_at) = (Some(make), self.now);
        let child = Child { id, parent, restart, kind, make, stage, in_a_row: 0, made_at, failure: None };
        self.families.add(child, supervision);
        self.note_end_of(parent);
        self.note_end_of(id);
        self.make(id);
        Ok(id)
    }

    /// Puts a child into its slot.
    fn make(&mut self, id: ActorId) {
        let Some(child) = self.families.child_mut(id) else { return };
        let (kind, Some(mut make)) = (child.kind, child.make.take()) else { return };
        let made = self.guarded(id, kind, make.as_mut());
        let now = self.now;
        if let Some(child) = self.families.child_mut(id) {
            (child.make, child.stage, child.made_at) = (Some(make), Stage::Up, now);
        }
        match made {
            Ok(cell) => self.fill(id, cell),
            Err(Panicked(what)) => self.depart(id, None, Reason::Panicked(what), false),
        }
    }

    /// The pause of the child in this slot is over; and so it is for those who are to be made anew with it.
    pub(super) fn make_anew(&mut self, slot: u32) {
        let Some(first) = self.families.children.get(&slot) else { return };
        let (parent, mut next) = (first.parent, Some(first.id));
        while let Some(id) = next {
            let Some(family) = self.families.parents.get(&parent) else { return };
            let alone = family.is_one_for_one();
            let is_out = self.families.child(id).is_some_and(|child| child.stage == Stage::Out);
            let others_first = match family.plan {
                Plan::Up => false,
                Plan::Regroup { from, .. } => id.generation >= from, // it comes with them
                Plan::End(_) => true,
            };
            if !is_out || others_first || self.leaving {
                return;
            }
            self.counters.restarts += 1;
            self.make(id);
            if let Some(child) = self.families.child_mut(id)
                && child.stage == Stage::Up
            {
                if let Some(failure) = child.failure.take() {
                    self.notices.push_back(Notice::Fail(id, failure));
                }
                self.has_waited(id);
            }
            next = if alone { None } else { self.families.next_out(parent, id.generation) };
        }
    }

    /// Somebody is over whose end matters to others, or wants to be. Those that it supervises end first.
    pub(super) fn depart(&mut self, me: ActorId, cell: Option<Box<dyn Cell>>, reason: Reason, whole: bool) {
        let renewal = self.renewal_of(me, &reason);
        let leaver = Leaver { cell, reason, whole, renewal };
        if !self.families.has_children(me) {
            return self.conclude(me, leaver);
        }
        if renewal.is_some() {
            self.forget_incarnation(me);
        } else {
            self.close_mailbox(me);
        }
        self.suspend(me);
        if let Some(family) = self.families.parents.get_mut(&me) {
            family.plan = Plan::End(Some(leaver));
        }
        self.notices.push_back(Notice::Tend(me));
    }

    /// The last of an actor, or of one of its lives.
    pub(super) fn conclude(&mut self, me: ActorId, leaver: Leaver) {
        let Leaver { mut cell, reason, whole, renewal } = leaver;
        if whole && let Some(cell) = &mut cell {
            let before = self.concluding.replace(me);
            let told = |cell: &mut dyn Cell, local: &mut Self, me| {
                cell.end(&reason, local, me);
                Next::Stop
            };
            let _ = self.contained(cell, me, told);
            self.concluding = before;
        }
        self.families.parents.remove(&me);
        let Some(renewal) = renewal.filter(|_| self.may_return(me)) else {
            return self.vacate(me, cell, &reason);
        };
        self.discard(cell);
        self.forget_incarnation(me);
        self.suspend(me);
        let due = self.now + if let Renewal::Alone(pause) = renewal { pause } else { Duration::ZERO };
        let Some(child) = self.families.child_mut(me) else { return };
        child.stage = Stage::Out;
        match renewal {
            Renewal::Alone(_) => {
                self.tick_at(due, me);
            }
            Renewal::Together => {
                let parent = child.parent;
                let family = self.families.parents.get(&parent);
                if family.is_some_and(|family| matches!(family.plan, Plan::Up)) {
                    self.tick_at(due, me); // its siblings did not wait: it was started after they had begun to end
                }
                self.notices.push_back(Notice::Tend(parent));
            }
        }
    }

    /// The next step of what is being done to a family.
    pub(super) fn tend(&mut self, parent: ActorId) {
        let Some(family) = self.families.parents.get_mut(&parent) else { return };
        match &mut family.plan {
            Plan::Up => {}
            Plan::Regroup { from, until, pause } => {
                let due = self.now + *pause;
                while let Some((&generation, &slot)) = family.children.range(*from..*until).next_back() {
                    match self.families.children[&slot].stage {
                        Stage::Out => {
                            self.ticks.clear(slot); // what was to be made anew before is, with the others
                            *until = generation;
                        }
                        Stage::Ending => return,
                        Stage::Up => return self.run(slot, |_, _, _| Next::End(Reason::Supervisor)),
                    }
                }
                let mut all = family.children.range(*from..);
                let first = all.find(|(_, slot)| self.families.children[slot].stage == Stage::Out);
                let first = first.map(|(_, slot)| self.families.children[slot].id);
                family.plan = Plan::Up;
                if let Some(first) = first {
                    self.tick_at(due, first);
                }
            }
            Plan::End(leaver) => {
                let shutdown = leaver.as_ref().is_some_and(|leaver| leaver.reason == Reason::Shutdown);
                let reason = if shutdown || self.leaving { Reason::Shutdown } else { Reason::Supervisor };
                let Some((_, &slot)) = family.children.last_key_value() else {
                    return match leaver.take() {
                        Some(leaver) => self.conclude(parent, leaver),
                        None => drop(self.families.parents.remove(&parent)),
                    };
                };
                let child = self.families.children.get_mut(&slot).expect("a family knows its children");
                let id = child.id;
                match child.stage {
                    Stage::Out => self.vacate(id, None, &reason),
                    Stage::Ending => {}
                    Stage::Up => {
                        child.stage = Stage::Ending;
                        self.run(slot, |cell, local, me| cell.dismiss(reason, local, me));
                    }
                }
            }
        }
    }

    /// The supervisor has failed by its children.
    pub(super) fn escalate(&mut self, parent: ActorId) {
        let family = self.families.parents.get_mut(&parent);
        if let Some(escalation) = family.and_then(|family| family.escalation.take()) {
            self.fail(parent, Reason::Escalated(escalation));
        }
    }

    /// The server ends: the actor in this slot is told, or its supervisor will see to it.
    pub(crate) fn shut_down(&mut self, slot: u32, now: bool) {
        if let Some(child) = self.families.children.get(&slot)
            && (!now || self.lives(child.parent))
        {
            return;
        }
        if now
            && self.slots[slot as usize].state.known
            && let Some(me) = self.tenant(slot)
        {
            let mut family = vec![me]; // each before its children, these in order
            let mut next = 0;
            while let Some(id) = family.get(next).copied() {
                let children = self.families.parents.get(&id).map(|family| &family.children);
                let children: Vec<_> = children.into_iter().flatten().map(|(_, slot)| *slot).collect();
                family.splice(next + 1..next + 1, children.into_iter().filter_map(|slot| self.tenant(slot)));
                next += 1;
            }
            for &id in family.iter().skip(1).rev() {
                self.cut(id);
            }
            let is_out = self.families.child(me).is_some_and(|child| child.stage == Stage::Out);
            if is_out || !self.families.takes_children(me) {
                return self.cut(me);
            }
        }
        self.run(slot, |cell, local, me| cell.shut_down(local, me, now));
    }

    /// Ends somebody at once, wherever it stands. Its children have gone.
    fn cut(&mut self, id: ActorId) {
        let leaver = self.families.parents.get_mut(&id).and_then(|family| match &mut family.plan {
            Plan::End(leaver) => leaver.take(),
            _ => None,
        });
        if let Some(leaver) = leaver {
            self.conclude(id, Leaver { renewal: None, ..leaver });
        } else if self.families.child(id).is_some_and(|child| child.stage == Stage::Out) {
            self.vacate(id, None, &Reason::Shutdown);
        } else {
            self.run(id.slot, |_, _, _| Next::End(Reason::Shutdown));
        }
    }

    /// Nothing of what the one before has begun comes to the one after.
    fn forget_incarnation(&mut self, id: ActorId) {
        self.drop_tasks(id.slot);
        self.forget_asks_of(id);
        self.forget_timers_of(id);
        self.forget_watches(id);
    }
}
