//! The end of an actor, for whoever is to be told: one flag in its slot says whether anybody is.
//!
//! Who is told is not run at once, since it may be running: it gets a notice, which comes before all mail. There are no
//! more notices than watches, and one for each child of a supervisor.

use super::Local;
use crate::actor::{ActorId, Reason};

/// What is to be done when nobody runs.
pub(super) enum Notice {
    /// The watch of this number is over, because of an end.
    Down(u64, Reason),
    /// It fails, for this reason.
    Fail(ActorId, Reason),
    /// It fails because of its children.
    Escalate(ActorId),
    /// Something is being done to its children, and the next step is due.
    Tend(ActorId),
}

impl Local {
    /// [`Self::ended`] will be told of the end of `id`. False: it has ended already, or never lived here.
    pub(super) fn note_end_of(&mut self, id: ActorId) -> bool {
        let lives = self.lives(id);
        if lives {
            self.slots[id.slot as usize].state.known = true;
        }
        lives
    }

    /// Somebody has ended whose end was to be noted. The slot may be another's soon. Nobody is run here: who is concerned
    /// may be running.
    pub(super) fn ended(&mut self, id: ActorId, reason: &Reason) {
        self.end_watches(id, reason);
        self.leave_family(id);
        self.end_names(id);
        self.end_groups(id);
    }

    /// Does what is due to one notice.
    pub(super) fn take_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Down(watch, reason) => self.tell_down(watch, reason),
            Notice::Fail(who, reason) => self.fail(who, reason),
            Notice::Escalate(supervisor) => self.escalate(supervisor),
            Notice::Tend(supervisor) => self.tend(supervisor),
        }
    }

    /// Ends an actor as if it had failed by itself, or its next life if it is to have one. Nobody is running.
    pub(super) fn fail(&mut self, who: ActorId, reason: Reason) {
        if !self.lives(who) {
            return;
        }
        if self.is_abroad(who) {
            self.ended(who, &reason); // its own end will not know this reason
            // As many as it has links.
            return self.carry(who, |cell, local, me| cell.fail(reason, local, me));
        }
        tracing::warn!(actor = ?who, %reason, "an actor fails");
        if self.slots[who.slot as usize].cell.is_none()
            && let Some(child) = self.families.child_mut(who)
        {
            child.failure.get_or_insert(reason); // the next life's, or, if there is none, this one's after all
            return;
        }
        let is_connection =
            self.slots[who.slot as usize].cell.as_ref().is_some_and(|cell| cell.is_connection());
        if is_connection {
            self.ended(who, &reason); // its own end will not know this reason
        }
        self.run(who.slot, |cell, local, me| cell.fail(reason, local, me));
    }
}
