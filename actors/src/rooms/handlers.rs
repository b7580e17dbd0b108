//! What the rooms of a shard are told: by sessions, by other shards, by themselves.

use super::*;

impl Actor for Rooms {
    const MAILBOX_SLOTS: Option<u32> = Some(16_384);

    fn started(&mut self, cx: &mut Context<'_, Self>) {
        if self.is_second {
            // Who was in which room is lost. Clients that come back enter again, and hear what they have missed.
            cx.close_sessions(&Close::new(1012, "the rooms had to begin anew; connect again"));
        }
        self.flush_packets(cx);
    }

    fn returned(&mut self, returned: Returned, cx: &mut Context<'_, Self>) {
        let _ = self.take_back(returned, cx); // it sends nothing else that could come back
        self.settle(cx);
    }
}

impl Peer for Rooms {
    type Item = Item;

    fn packets(&mut self) -> &mut Packets<Item> {
        &mut self.packets
    }

    fn item(&mut self, from: ShardId, item: Item, cx: &mut Context<'_, Self>) {
        match item {
            item @ (Item::Enter { .. } | Item::Exit { .. } | Item::Who { .. }) => {
                self.callers.push_back((from, item))
            }
            Item::Heard { room, seq } => {
                if let Some(home) = self.homes.get_mut(&room)
                    && home.heard(from, seq, &mut self.packets)
                {
                    self.list(&room);
                }
            }
            Item::Behind { room, on } => {
                if let Some(home) = self.homes.get_mut(&room)
                    && home.behind(from, on, &mut self.packets)
                {
                    self.list(&room);
                }
            }
            Item::Entered { room, who, entry, seq, joined, past } => {
                if let Some((_, at)) = self.place_by(who, &room, entry)
                    && let Some((_, relay)) = self.relay_in(&room)
                {
                    relay.enter(at, seq, [joined, past], cx);
                }
            }
            Item::Refused { room, who, entry } => {
                if let Some((number, _)) = self.place_by(who, &room, entry) {
                    if self.take_out(who, number) == Some(Format::Json) {
                        self.tell_error(who, "join", &room, None, RoomError::TooMany, cx);
                    }
                    self.forget_seat(who, cx);
                }
            }
            Item::Said(said) => {
                if let Some((number, relay)) = self.relay_in(&said.room) {
                    relay.said(*said);
                    self.list_relay(number);
                }
            }
            Item::Aside { room, frames } => {
                if let Some((number, relay)) = self.relay_in(&room) {
                    relay.aside(frames);
                    self.list_relay(number);
                }
            }
            Item::Answer { room, who, frames } => {
                if let Some(at) = self.place_of(who, &room).map(|place| place.at)
                    && let Some((number, relay)) = self.relay_in(&room)
                {
                    relay.answer(at, frames, cx);
                    self.list_relay(number);
                }
            }
            Item::Hold { who, on: true } => self.hold(who, from, cx),
            Item::Hold { who, on: false } => self.release(who, from, cx),
            Item::NotSaid { room, who, id, why } => {
                self.refuse(who, "publish", &room, id.as_deref(), why, cx);
            }
            Item::Say { room, note } => {
                let _ = self.say_here(room, note, cx); // its author is told
            }
        }
    }

    /// The rooms of that shard have failed and begin anew. Their members are gone from the homes here, until that shard's
    /// sessions come back; and members here of rooms whose home is there enter them again.
    fn anew(&mut self, shard: ShardId, cx: &mut Context<'_, Self>) {
        self.gone(shard, cx);
        let mut members = Vec::new();
        for (number, relay) in self.relays.iter_mut().enumerate() {
            let Some(relay) = relay.as_mut().filter(|relay| relay.home == shard) else { continue };
            members.extend(relay.begin_anew().map(|(who, at)| (number as u32, who, at)));
        }
        for (number, who, at) in members {
            self.entries += 1;
            let Some(relay) = self.relays[number as usize].as_ref() else { continue };
            let Some(seat) = self.seats.get_mut(&who) else { continue };
            let Some(place) = seat.places.iter_mut().find(|place| place.relay == number) else { continue };
            place.entry = self.entries;
            let (name, format) = (place.name.clone(), relay.format(at));
            let entry = Entry { entry: self.entries, name, format, since: Since::Last(0) };
            self.packets.push(shard, Item::Enter { room: relay.room.clone(), who, entry });
        }
    }

    fn gone(&mut self, shard: ShardId, cx: &mut Context<'_, Self>) {
        self.release_all_of(shard, cx);
        let rooms: Vec<Room> = self.homes.keys().cloned().collect();
        for room in rooms {
            if let Some(home) = self.homes.get_mut(&room) {
                home.lose(shard, &mut self.packets);
            }
            self.list(&room); // what has waited for its members need not wait any more
        }
    }
}

impl Handler<Packet<Item>> for Rooms {
    type Reply = ();
    fn handle(&mut self, packet: Packet<Item>, cx: &mut Context<'_, Self>) {
        self.take_packet(packet, cx);
        self.settle(cx);
    }
}

impl Handler<Enter> for Rooms {
    /// Whether it is on its way in.
    type Reply = Result<(), RoomError>;
    fn handle(&mut self, enter: Enter, cx: &mut Context<'_, Self>) -> Self::Reply {
        let (room, who, format) = (enter.room.clone(), enter.who, enter.join.format);
        let entered = self.enter(enter, cx);
        if let Err(error) = entered
            && format == Format::Json
        {
            self.tell_error(who, "join", &room, None, error, cx);
        }
        self.settle(cx);
        entered
    }
}

impl Handler<Leave> for Rooms {
    type Reply = Result<(), RoomError>;
    fn handle(&mut self, leave: Leave, cx: &mut Context<'_, Self>) -> Self::Reply {
        let (room, who) = (leave.room.clone(), leave.who);
        let left = self.leave(leave, cx);
        if let Err(error) = left {
            self.refuse(who, "leave", &room, None, error, cx);
        }
        self.settle(cx);
        left
    }
}

impl Handler<Publish> for Rooms {
    /// Whether there was room for it, so far.
    type Reply = Result<(), RoomError>;
    fn handle(&mut self, Publish { room, note }: Publish, cx: &mut Context<'_, Self>) -> Self::Reply {
        let said = self.say(room, note, cx);
        self.settle(cx);
        said
    }
}

impl Handler<Who> for Rooms {
    type Reply = Result<(), RoomError>;
    fn handle(&mut self, Who { room, who }: Who, cx: &mut Context<'_, Self>) -> Self::Reply {
        let asked = match self.place_of(who, &room).map(|place| (place.relay, place.at)) {
            None => Err(RoomError::NotIn),
            Some(_) if self.is_way_full(room.home(cx.shards())) => Err(RoomError::Busy),
            Some((number, at)) => {
                let relay = self.relay(number).expect("somebody is in it");
                let (home, format) = (relay.home, relay.format(at));
                self.packets.push(home, Item::Who { room: room.clone(), who, format });
                Ok(())
            }
        };
        if let Err(error) = asked {
            self.refuse(who, "who", &room, None, error, cx);
        }
        self.settle(cx);
        asked
    }
}

impl Handler<Down> for Rooms {
    type Reply = ();
    fn handle(&mut self, down: Down, cx: &mut Context<'_, Self>) {
        if self.leaving.add(down.who, cx.now()) {
            tracing::warn!(shard = cx.shard().0, "very many members leave at once");
            cx.count("rooms.mass_disconnects", 1);
        }
        self.settle(cx);
    }
}

impl Handler<Seal> for Rooms {
    type Reply = ();
    fn handle(&mut self, _: Seal, cx: &mut Context<'_, Self>) {
        self.seal_is_coming = false;
        self.seal(cx);
        self.settle(cx);
    }
}

impl Handler<Work> for Rooms {
    type Reply = ();
    fn handle(&mut self, _: Work, cx: &mut Context<'_, Self>) {
        self.work_is_coming = false;
        self.settle(cx);
    }
}

impl Handler<Tick> for Rooms {
    type Reply = ();
    fn handle(&mut self, _: Tick, cx: &mut Context<'_, Self>) {
        self.tick = None;
        for room in std::mem::take(&mut self.later) {
            if let Some(home) = self.homes.get_mut(&room) {
                home.is_later = false;
            }
            self.list(&room);
        }
        if cx.now() >= self.trim_at {
            self.trim(cx.now());
            self.past.forget();
        }
        for number in std::mem::take(&mut self.watching) {
            let Some(relay) = self.relays[number as usize].as_mut() else { continue };
            relay.look(&mut self.packets, cx);
            if relay.is_watching() {
                self.watching.push(number);
                self.wake_in(LOOK_EVERY, cx);
            }
        }
        self.seal(cx);
        self.settle(cx);
    }
}
