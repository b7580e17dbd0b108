//! The homes of this shard: what is said in them, and who comes to them.
//!
//! Does not know: members of this shard; those of homes elsewhere are its [`seats`](super::seats)'.

use super::*;

impl Rooms {
    pub(super) fn home(&mut self, room: &Room) -> Option<&mut Home> {
        if !self.homes.contains_key(room) {
            if self.homes.len() >= self.config.rooms_max as usize {
                return None;
            }
            self.epochs += 1 << 8;
            let rules = self.config.rules_of(room.name());
            self.homes.insert(room.clone(), Home::new(room.clone(), rules, self.epochs));
        }
        self.homes.get_mut(room)
    }

    /// A home has something to say, when all that waits for it now has been taken.
    pub(super) fn list(&mut self, room: &Room) {
        if let Some(home) = self.homes.get_mut(room)
            && !std::mem::replace(&mut home.is_listed, true)
        {
            self.to_seal.push(room.clone());
        }
    }

    pub(super) fn seal(&mut self, cx: &mut Context<'_, Self>) {
        let now_ms = now_ms();
        let tells = cx.now() >= self.presence_at;
        let mut rooms = std::mem::take(&mut self.to_seal);
        for room in rooms.drain(..) {
            let Some(home) = self.homes.get_mut(&room) else { continue };
            home.is_listed = false;
            let before = home.remembered_bytes();
            let mut is_done = home.seal(now_ms, &mut self.scratch, &mut self.packets, cx);
            self.remembered_bytes += home.remembered_bytes();
            self.remembered_bytes -= before;
            if self.remembered_bytes > self.config.history_bytes_max {
                cx.count("rooms.history_full", 1);
                self.remembered_bytes -= home.remembered_bytes();
                home.forget();
            }
            if home.people.has_changes() {
                if tells && home.tell_presence(&mut self.packets, cx) {
                    self.presence_at = cx.now() + PRESENCE_EVERY;
                } else {
                    is_done = false;
                }
            }
            if !is_done && !std::mem::replace(&mut home.is_later, true) {
                self.later.push(room);
            }
        }
        self.to_seal = rooms;
        self.scratch.shrink_to(SCRATCH_BYTES_MAX);
        if !self.later.is_empty() {
            self.wake_in(PRESENCE_EVERY, cx);
        } else if !self.homes.is_empty() {
            self.wake_in(TRIM_EVERY, cx);
        }
    }

    /// Forgets what is too old, and rooms that nobody is in.
    pub(super) fn trim(&mut self, now: Time) {
        self.trim_at = now + TRIM_EVERY;
        self.remembered_bytes = 0;
        self.homes.retain(|_, home| {
            home.trim(now);
            self.remembered_bytes += home.remembered_bytes();
            !home.is_over()
        });
    }

    /// Lets some of those in and out who have come to the homes of this shard.
    pub(super) fn see_callers(&mut self, cx: &mut Context<'_, Self>) {
        let mut budget = CALLERS_PER_TURN;
        while budget > 0
            && let Some((from, item)) = self.callers.pop_front()
        {
            budget = budget.saturating_sub(1 + self.see_caller(from, item, cx));
        }
    }

    /// Returns how many frames it took.
    pub(super) fn see_caller(&mut self, from: ShardId, item: Item, cx: &mut Context<'_, Self>) -> usize {
        match item {
            Item::Enter { room, who, entry } => {
                if self.home(&room).is_none() {
                    self.packets.push(from, Item::Refused { room, who, entry: entry.entry });
                    return 0;
                }
                // What was said before it came is history.
                if self.homes[&room].is_listed {
                    self.seal(cx);
                }
                let home = self.homes.get_mut(&room).expect("sealing ends no room");
                let frames = home.enter(from, who, entry, &mut self.past, &mut self.packets, cx);
                self.list(&room);
                frames
            }
            Item::Exit { room, who, entry } => {
                if let Some(home) = self.homes.get_mut(&room)
                    && home.exit(who, entry, &mut self.packets)
                {
                    self.list(&room);
                }
                0
            }
            Item::Who { room, who, format } => {
                if let Some(home) = self.homes.get_mut(&room) {
                    // First what others hear as well, or it would come after what it is older than.
                    if home.people.has_changes() {
                        home.tell_presence(&mut self.packets, cx);
                    }
                    home.tell_who(from, who, format, &mut self.packets, cx);
                }
                32 // its names are many
            }
            _ => unreachable!("nobody else calls"),
        }
    }

    /// Somebody of this shard says something: in a room whose home is here, or on its way there.
    pub(super) fn say(
        &mut self,
        room: Room,
        note: Note,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        let home = room.home(cx.shards());
        if home == cx.shard() {
            return self.say_here(room, note, cx);
        }
        if self.is_way_full(home) {
            home::not_said(&room, note, RoomError::Busy, &mut self.packets, cx);
            return Err(RoomError::Busy);
        }
        let (waiting, bytes) = (self.packets.waiting(home), self.packets.waiting_bytes(home));
        if (waiting >= SAY_HOLD || bytes >= SAY_HOLD_BYTES)
            && let Some(author) = note.author
            && self.congested.insert(author, home).is_none()
        {
            self.hold(author, cx.shard(), cx);
        }
        let bytes = note.len();
        self.packets.push_with(home, Item::Say { room, note }, bytes);
        Ok(())
    }

    /// Whether so much is on its way to a shard that no more is taken for it.
    pub(super) fn is_way_full(&self, shard: ShardId) -> bool {
        self.packets.waiting(shard) >= SAY_MAX || self.packets.waiting_bytes(shard) >= SAY_MAX_BYTES
    }

    /// Something is said in a room whose home is here.
    pub(super) fn say_here(
        &mut self,
        room: Room,
        note: Note,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        let author = note.author;
        let taken = match self.home(&room) {
            Some(home) => home.take(note),
            None => Taken::No(note, RoomError::TooMany),
        };
        match (taken, author) {
            (Taken::No(note, why), _) => {
                home::not_said(&room, note, why, &mut self.packets, cx);
                return Err(why);
            }
            (Taken::Hold, Some(who)) => self.packets.push(who.shard(), Item::Hold { who, on: true }),
            _ => {}
        }
        self.list(&room);
        Ok(())
    }

    /// Reads again from those who were held because too much was on its way, where it is little.
    pub(super) fn go_on_after_congestion(&mut self, cx: &mut Context<'_, Self>) {
        if self.congested.is_empty() {
            return;
        }
        let packets = &self.packets;
        let go_on: Vec<ActorId> = self
            .congested
            .extract_if(|_, shard| {
                packets.waiting(*shard) <= SAY_HOLD / 4 && packets.waiting_bytes(*shard) <= SAY_HOLD_BYTES / 4
            })
            .map(|(who, _)| who)
            .collect();
        for who in go_on {
            self.release(who, cx.shard(), cx);
        }
    }
}
