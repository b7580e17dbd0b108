//! The relays of this shard, and the sessions that sit in them.
//!
//! Does not know: order or history, which are the homes'.

use super::*;

impl Rooms {
    pub(super) fn relay(&mut self, number: u32) -> Option<&mut Relay> {
        self.relays.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn relay_in(&mut self, room: &Room) -> Option<(u32, &mut Relay)> {
        let number = *self.relay_of.get(room)?;
        Some((number, self.relays[number as usize].as_mut()?))
    }

    pub(super) fn make_relay(&mut self, room: &Room, cx: &Context<'_, Self>) -> u32 {
        if let Some(&number) = self.relay_of.get(room) {
            return number;
        }
        self.relays_made = self.relays_made.wrapping_add(1);
        let rules = self.config.rules_of(room.name());
        let relay = Relay::new(room.clone(), room.home(cx.shards()), rules, self.relays_made);
        let number = self.free.pop().unwrap_or_else(|| {
            self.relays.push(None);
            self.relays.len() as u32 - 1
        });
        self.relays[number as usize] = Some(relay);
        self.relay_of.insert(room.clone(), number);
        number
    }

    /// Closes gaps, and forgets the relay if nobody is left.
    pub(super) fn tidy_relay(&mut self, number: u32) {
        let Some(relay) = self.relays[number as usize].as_mut() else { return };
        let seats = &mut self.seats;
        relay.close_gaps(|who, at| {
            let place = seats
                .get_mut(&who)
                .and_then(|seat| seat.places.iter_mut().find(|place| place.relay == number));
            if let Some(place) = place {
                place.at = at;
            }
        });
        if relay.len() == 0
            && let Some(relay) = self.relays[number as usize].take()
        {
            self.relay_of.remove(&relay.room);
            self.free.push(number);
        }
    }

    pub(super) fn list_relay(&mut self, number: u32) {
        if let Some(relay) = self.relay(number)
            && !std::mem::replace(&mut relay.is_listed, true)
        {
            self.working.push_back(number);
        }
    }

    /// Hands out, to as many members as one slice has.
    pub(super) fn work(&mut self, cx: &mut Context<'_, Self>) {
        let mut budget = self.config.slice.max(1);
        while budget > 0
            && let Some(number) = self.working.pop_front()
        {
            let Some(relay) = self.relays[number as usize].as_mut() else { continue };
            relay.is_listed = false;
            relay.work(&mut budget, &mut self.packets, cx);
            if relay.is_watching() {
                if !self.watching.contains(&number) {
                    self.watching.push(number);
                }
                self.wake_in(LOOK_EVERY, cx);
            }
            let has_work = self.relay(number).is_some_and(|relay| relay.has_work());
            if has_work {
                self.list_relay(number);
            }
            self.tidy_relay(number);
        }
    }

    pub(super) fn place_of(&self, who: ActorId, room: &Room) -> Option<&Place> {
        let number = self.relay_of.get(room)?;
        self.seats.get(&who)?.places.iter().find(|place| place.relay == *number)
    }

    /// The place that somebody has by this entry.
    pub(super) fn place_by(&self, who: ActorId, room: &Room, entry: u64) -> Option<(u32, u32)> {
        let place = self.place_of(who, room).filter(|place| place.entry == entry)?;
        Some((place.relay, place.at))
    }

    pub(super) fn enter(
        &mut self,
        Enter { room, who, join }: Enter,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        enter::check(&room, join.name.as_deref())?;
        if self.place_of(who, &room).is_some() {
            return Err(RoomError::AlreadyIn);
        }
        if self.is_way_full(room.home(cx.shards())) {
            return Err(RoomError::Busy);
        }
        let rooms = self.seats.get(&who).map_or(0, |seat| seat.places.len());
        if self.members >= self.config.members_max || rooms >= self.config.rooms_per_session_max as usize {
            return Err(RoomError::TooMany);
        }
        if rooms == 0 && cx.watch(who).is_err() {
            return Err(RoomError::TooMany);
        }
        let number = self.make_relay(&room, cx);
        let relay = self.relay(number).expect("it was just made");
        let at = relay.add(who, join.format);
        let home = relay.home;
        self.members += 1;
        self.entries += 1;
        let Join { format, name, since } = join;
        let entry = self.entries;
        let place = Place { relay: number, at, entry, name: name.clone() };
        self.seats.entry(who).or_default().places.push(place);
        self.packets.push(home, Item::Enter { room, who, entry: Entry { entry, name, format, since } });
        Ok(())
    }

    /// Takes a member out of a room of this shard. Returns what it heard there.
    pub(super) fn take_out(&mut self, who: ActorId, number: u32) -> Option<Format> {
        let seat = self.seats.get_mut(&who)?;
        let at = seat.places.iter().position(|place| place.relay == number)?;
        let place = seat.places.swap_remove(at);
        let relay = self.relays.get_mut(number as usize)?.as_mut()?;
        let format = relay.format(place.at);
        relay.remove(place.at);
        self.members -= 1;
        let item = Item::Exit { room: relay.room.clone(), who, entry: place.entry };
        self.packets.push(relay.home, item);
        self.tidy_relay(number);
        Some(format)
    }

    pub(super) fn leave(
        &mut self,
        Leave { room, who }: Leave,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        let number = self.place_of(who, &room).ok_or(RoomError::NotIn)?.relay;
        let format = self.take_out(who, number);
        self.forget_seat(who, cx);
        if format == Some(Format::Json) {
            self.tell(who, |out| envelope::left(out, room.name()), cx);
        }
        Ok(())
    }

    /// Of a session that is in no room and not held nothing is kept.
    pub(super) fn forget_seat(&mut self, who: ActorId, cx: &mut Context<'_, Self>) {
        if self.seats.get(&who).is_some_and(|seat| seat.places.is_empty() && seat.holders.is_empty()) {
            self.seats.remove(&who);
            cx.unwatch(who);
        }
    }

    /// Takes some of those out who have ended.
    pub(super) fn see_off(&mut self) {
        for who in self.leaving.next_few() {
            self.congested.remove(&who);
            while let Some(place) = self.seats.get(&who).and_then(|seat| seat.places.last()) {
                self.take_out(who, place.relay);
            }
            self.seats.remove(&who);
        }
    }

    /// Says something to one client of this shard, outside of any order.
    pub(super) fn tell(
        &mut self,
        who: ActorId,
        write: impl FnOnce(&mut Vec<u8>),
        cx: &mut Context<'_, Self>,
    ) {
        self.scratch.clear();
        write(&mut self.scratch);
        let Ok(mut frames) = cx.frame_writer(self.scratch.len() + FRAME_HEADER_BYTES_MAX) else { return };
        frames.push(Kind::Text, &[&self.scratch]).expect("it was made with this much room");
        if let Some(frames) = cx.freeze(frames, 1).next() {
            cx.deliver(who, &frames.open(), &corewire::connection::Terms::default());
        }
    }

    /// Tells a client why something cannot be, if it hears JSON.
    pub(super) fn refuse(
        &mut self,
        who: ActorId,
        of: &str,
        room: &Room,
        id: Option<&str>,
        why: RoomError,
        cx: &mut Context<'_, Self>,
    ) {
        let places = self.seats.get(&who).map_or(&[][..], |seat| &seat.places);
        let hears_json = places.iter().any(|place| {
            let relay = self.relays[place.relay as usize].as_ref();
            relay.is_some_and(|relay| relay.format(place.at) == Format::Json)
        });
        if hears_json {
            self.tell_error(who, of, room, id, why, cx);
        }
    }

    pub(super) fn tell_error(
        &mut self,
        who: ActorId,
        of: &str,
        room: &Room,
        id: Option<&str>,
        why: RoomError,
        cx: &mut Context<'_, Self>,
    ) {
        let message = why.to_string();
        self.tell(who, |out| envelope::error(out, of, room.name(), id, why.code(), &message), cx);
    }

    pub(super) fn hold(&mut self, who: ActorId, holder: ShardId, cx: &mut Context<'_, Self>) {
        // One who is in no room is watched for its end too, so that nothing is kept of it.
        let is_new = !self.seats.contains_key(&who);
        if !cx.hold_reads(who) || is_new && cx.watch(who).is_err() {
            cx.release_reads(who);
            return; // it has ended, and what was counted for it goes with its seat
        }
        self.seats.entry(who).or_default().holders.push(holder);
    }

    pub(super) fn release(&mut self, who: ActorId, holder: ShardId, cx: &mut Context<'_, Self>) {
        let Some(seat) = self.seats.get_mut(&who) else { return };
        if let Some(at) = seat.holders.iter().position(|other| *other == holder) {
            seat.holders.swap_remove(at);
        }
        if seat.holders.is_empty() {
            cx.release_reads(who);
            self.forget_seat(who, cx);
        }
    }

    /// A shard's homes hold nobody any more.
    pub(super) fn release_all_of(&mut self, holder: ShardId, cx: &mut Context<'_, Self>) {
        let seats = self.seats.iter().filter(|(_, seat)| seat.holders.contains(&holder));
        let held: Vec<ActorId> = seats.map(|(who, _)| *who).collect();
        for who in held {
            if let Some(seat) = self.seats.get_mut(&who) {
                seat.holders.retain(|other| *other != holder);
            }
            self.release(who, holder, cx);
        }
    }
}
