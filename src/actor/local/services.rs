//! This shard's services: made with it, started in its first turn, stopped when nobody else is left.

use super::Local;
use crate::actor::ActorId;
use crate::actor::cell::Cell;
use crate::actor::service::Services;

/// A service that is made and not started.
pub(super) struct ToStart(ActorId, Box<dyn Cell>);

impl Local {
    /// Makes the services, in the first slots. They are reached from now on, and start in the first turn.
    pub(crate) fn make_services(&mut self) {
        let services = self.outside.services.clone();
        for number in 0..services.len() {
            let id = self.reserve().expect("the server has checked that there is room for its services");
            assert_eq!(id, Services::id(number, self.me), "nobody is made before the services");
            let (kind, cell) = services.make(number, self.me);
            self.slots[id.slot as usize].kind = self.number_of(kind); // mail may come before it starts
            self.services.push(ToStart(id, cell));
        }
    }

    /// Starts them, in their order.
    pub(crate) fn start_services(&mut self) {
        for ToStart(id, cell) in std::mem::take(&mut self.services) {
            self.fill(id, cell);
        }
    }

    /// Whether a service is in this slot.
    pub(crate) fn is_service(&self, slot: u32) -> bool {
        (slot as usize) < self.outside.services.len() && self.lives(Services::id(slot as usize, self.me))
    }

    /// The slots that services have, or had.
    pub(crate) fn service_slots(&self) -> std::ops::Range<u32> {
        0..self.outside.services.len() as u32
    }

    /// Whether services are all that is left, and their children, which end with them.
    pub(crate) fn only_services(&self) -> bool {
        let services = self.service_slots().filter(|&slot| self.is_service(slot)).count();
        let left = self.actors() - services;
        left == 0 || left == self.children_of(|ancestor| self.is_service(ancestor.slot))
    }
}
