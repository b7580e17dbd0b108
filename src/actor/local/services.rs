//! This shard's services: made with it, started in its first turn, stopped when nobody else is left.
//!
//! Each is a child of a supervisor that is not there, so that it is made anew in its slot when it fails.

use super::Local;
use super::families::{Child, Stage};
use crate::actor::cell::Cell;
use crate::actor::crash;
use crate::actor::service::Services;
use crate::actor::{ActorId, Reason, Supervision};
use crate::shard::ShardId;
use std::num::NonZeroU64;
use std::time::Duration;

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
            let (restart, services, me) = (services.restart(number), services.clone(), self.me);
            let child = Child {
                id,
                parent: nobody(number, self.me),
                restart,
                kind: kind.name,
                make: Some(Box::new(move || services.make(number, me).1)),
                stage: Stage::Up,
                in_a_row: 0,
                made_at: self.now,
                failure: None,
            };
            self.families.add(child, SUPERVISION);
            self.note_end_of(id);
        }
    }

    /// Starts them, in their order: the first that happens on the shard's own thread.
    pub(crate) fn start_services(&mut self) {
        crash::look_here();
        for ToStart(id, cell) in std::mem::take(&mut self.services) {
            self.fill(id, cell);
        }
    }

    /// Ends the service in this slot, when nobody else is left.
    pub(crate) fn dismiss_service(&mut self, slot: u32) {
        match self.families.children.get(&slot) {
            Some(child) if child.stage == Stage::Out => self.vacate(child.id, None, &Reason::Shutdown),
            _ => self.run(slot, |cell, local, me| cell.shut_down(local, me, false)),
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

/// The supervisor of the service of this number. Each has its own, so that the failures of one are not another's.
fn nobody(number: usize, shard: ShardId) -> ActorId {
    ActorId { generation: NonZeroU64::MIN.saturating_add(number as u64), slot: u32::MAX - 1, shard }
}

/// Its failure would end a server that most of all should go on, so there is no budget: only pauses.
const SUPERVISION: Supervision = Supervision::ONE_FOR_ONE.restarts(u32::MAX, Duration::from_secs(5));
