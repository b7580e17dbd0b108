//! The end of an actor, for whoever is to be told: one flag in its slot says whether anybody is.
//!
//! Does not know: why they want to know. Each of them keeps its own list, and empties it here.

use super::Local;
use crate::actor::{ActorId, Reason};

impl Local {
    /// [`Self::ended`] will be told of the end of `id`. False: it has ended already, or never lived here.
    #[expect(dead_code, reason = "for watches and names, which come next")]
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
        let _ = (id, reason);
    }
}
