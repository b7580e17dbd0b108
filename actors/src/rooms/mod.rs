//! Rooms that span shards: what is said in one is heard by all its members, in one order, wherever they are.
//!
//! - [`Rooms`]: the service, one actor a shard, which hosts this shard's homes and relays
//! - [`InRooms`], [`Join`], [`Format`]: what sessions do; [`RoomsFromOutside`]: what other threads do
//! - [`Room`], [`Note`], [`Body`]: a name, and what is said
//! - [`RoomRules`], [`SlowRule`], [`RoomsConfig`]: limits, and what becomes of who is slow
//! - `home`: order and what is remembered (`log`), who is there (`people`); `relay`: members of one shard
//! - `item`: what shards say to each other; `envelope`: what is told in JSON
//! - `leaving`: ten thousand who go at once; [`RoomsStats`]: how it all stands
//!
//! A room lives at home on one shard, chosen by its name. There a message gets its number, is remembered, and is written as a
//! frame once; each shard with members gets one ticket for it and hands views of it to its members. So the home does as much
//! for a message as there are shards, and no more.
//!
//! **What is promised.** Everybody hears a room's messages of one priority in the order of their numbers, none twice. Who is
//! slow hears what the room's rule leaves; what is left out shows as a gap in the numbers. Who comes back with the last number
//! it heard hears what it missed, or is told that it cannot.
//!
//! ```
//! use corewire::prelude::*;
//! use corewire_actors::rooms::{InRooms, Join, Rooms, RoomsConfig};
//!
//! struct Talk;
//! impl Session for Talk {
//!     fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
//!         Ok(cx.join_room("lobby", Join::plain())?)
//!     }
//!     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
//!         Ok(cx.publish("lobby", message)?) // everybody hears it, who says it too
//!     }
//! }
//!
//! let server = Server::bind(":8080").service(Rooms::service(RoomsConfig::default())).at("/ws", |_: &Upgrade| Ok(Talk));
//! # drop(server);
//! ```

mod enter;
mod envelope;
mod home;
mod item;
mod leaving;
mod log;
mod note;
mod people;
mod relay;
mod room;
mod rules;
mod stats;

pub use enter::{Enter, Format, InRooms, Join, Leave, Publish, RoomError, RoomsFromOutside, Who};
pub use note::{Body, Note};
pub use relay::SlowMember;
pub use room::Room;
pub use rules::{MEMBER_NAME_BYTES_MAX, ROOM_NAME_BYTES_MAX, RoomRules, RoomsConfig, SlowRule};
pub use stats::{AskStats, RoomsStats};

use crate::packets::{Packet, Packets, Peer};
use corewire::actor::{Actor, ActorId, Context, Down, Handler, Returned, TimerId};
use corewire::connection::FRAME_HEADER_BYTES_MAX;
use corewire::shard::{ShardId, Time};
use corewire::wire::Kind;
use home::{Home, Taken};
use item::Item;
use leaving::Leaving;
use relay::Relay;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

/// The rooms of one shard: homes of some, relays of those that have members here.
#[derive(Debug)]
pub struct Rooms {
    config: RoomsConfig,
    packets: Packets<Item>,
    homes: HashMap<Room, Home>,
    relays: Vec<Option<Relay>>,
    free: Vec<u32>,
    relay_of: HashMap<Room, u32>,
    /// How many relays were made: the next one's tag.
    relays_made: u32,
    members: u32,
    seats: HashMap<ActorId, Seat>,
    leaving: Leaving,
    /// Who is not read from because too much is on its way to other shards.
    congested: Vec<ActorId>,
    /// Homes with something to say, or to tell of who comes and goes; and those that do it at the next [`Tick`].
    to_seal: Vec<Room>,
    later: Vec<Room>,
    seal_is_coming: bool,
    /// Relays with something to hand out.
    working: VecDeque<u32>,
    work_is_coming: bool,
    /// When the next [`Tick`] comes.
    tick: Option<(Time, TimerId)>,
    presence_at: Time,
    scratch: Vec<u8>,
    epochs: u64,
}

/// Where a session is.
#[derive(Debug, Default)]
struct Seat {
    /// Which relays, and its places there.
    places: Vec<(u32, u32)>,
    /// How many homes want it not to be read from.
    holds: u32,
}

/// All that was said so far is to be numbered.
struct Seal;

/// More is to be handed out.
struct Work;

/// Time has passed.
struct Tick;

impl Rooms {
    /// For [`Server::service`](corewire::Server::service).
    pub fn service(config: RoomsConfig) -> impl Fn(ShardId) -> Self + Send + Sync + 'static {
        move |shard| Self {
            config: config.clone(),
            packets: Packets::of(shard),
            homes: HashMap::new(),
            relays: Vec::new(),
            free: Vec::new(),
            relay_of: HashMap::new(),
            relays_made: 0,
            members: 0,
            seats: HashMap::new(),
            leaving: Leaving::default(),
            congested: Vec::new(),
            to_seal: Vec::new(),
            later: Vec::new(),
            seal_is_coming: false,
            working: VecDeque::new(),
            work_is_coming: false,
            tick: None,
            presence_at: Time::ZERO,
            scratch: Vec::new(),
            epochs: now_ms() << 16 | u64::from(shard.0),
        }
    }

    // ---- homes ----

    fn home(&mut self, room: &Room) -> Option<&mut Home> {
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
    fn list(&mut self, room: &Room) {
        if let Some(home) = self.homes.get_mut(room)
            && !std::mem::replace(&mut home.is_listed, true)
        {
            self.to_seal.push(room.clone());
        }
    }

    fn seal(&mut self, cx: &mut Context<'_, Self>) {
        let now_ms = now_ms();
        let tells = cx.now() >= self.presence_at;
        let mut rooms = std::mem::take(&mut self.to_seal);
        for room in rooms.drain(..) {
            let Some(home) = self.homes.get_mut(&room) else { continue };
            home.is_listed = false;
            let mut is_done = home.seal(now_ms, &mut self.scratch, &mut self.packets, cx);
            if home.people.has_changes() {
                if tells {
                    self.presence_at = cx.now() + PRESENCE_EVERY;
                    home.tell_presence(&mut self.packets, cx);
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

    /// Somebody of this shard says something: in a room whose home is here, or on its way there.
    fn say(
        &mut self,
        room: Room,
        note: Note,
        author: Option<ActorId>,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        let home = room.home(cx.shards());
        if home == cx.shard() {
            return self.say_here(room, note, author, cx);
        }
        let waiting = self.packets.waiting(home);
        if waiting >= SAY_MAX {
            self.not_said(&room, author, note.id, RoomError::Busy, cx);
            return Err(RoomError::Busy);
        }
        if waiting >= SAY_HOLD
            && let Some(author) = author
            && !self.congested.contains(&author)
        {
            self.congested.push(author);
            self.hold(author, true, cx);
        }
        self.packets.push(home, Item::Say { room, note, author });
        Ok(())
    }

    /// Something is said in a room whose home is here.
    fn say_here(
        &mut self,
        room: Room,
        note: Note,
        author: Option<ActorId>,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        let Some(home) = self.home(&room) else {
            self.not_said(&room, author, note.id, RoomError::TooMany, cx);
            return Err(RoomError::TooMany);
        };
        match home.take(note, author) {
            Taken::Yes => {}
            Taken::Hold => {
                let who = author.expect("who is held is known");
                self.packets.push(who.shard(), Item::Hold { who, on: true });
            }
            Taken::Full(note) => {
                self.not_said(&room, author, note.id, RoomError::Busy, cx);
                return Err(RoomError::Busy);
            }
        }
        self.list(&room);
        Ok(())
    }

    fn not_said(
        &mut self,
        room: &Room,
        author: Option<ActorId>,
        id: Option<Box<str>>,
        why: RoomError,
        cx: &mut Context<'_, Self>,
    ) {
        cx.count("rooms.refused", 1);
        if let Some(who) = author {
            self.packets.push(who.shard(), Item::NotSaid { room: room.clone(), who, id, why });
        }
    }

    /// Reads again from those who were held because too much was on its way, when it is little.
    fn go_on_after_congestion(&mut self, cx: &mut Context<'_, Self>) {
        let is_little = |shard| self.packets.waiting(ShardId(shard)) <= SAY_HOLD / 4;
        if !self.congested.is_empty() && (0..cx.shards()).all(is_little) {
            for who in std::mem::take(&mut self.congested) {
                self.hold(who, false, cx);
            }
        }
    }

    // ---- relays ----

    fn relay(&mut self, number: u32) -> Option<&mut Relay> {
        self.relays.get_mut(number as usize)?.as_mut()
    }

    fn relay_in(&mut self, room: &Room) -> Option<(u32, &mut Relay)> {
        let number = *self.relay_of.get(room)?;
        Some((number, self.relays[number as usize].as_mut()?))
    }

    fn make_relay(&mut self, room: &Room, cx: &Context<'_, Self>) -> u32 {
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
    fn tidy_relay(&mut self, number: u32) {
        let Some(relay) = self.relays[number as usize].as_mut() else { return };
        let seats = &mut self.seats;
        relay.close_gaps(|who, place| {
            let seat = seats.get_mut(&who).expect("a member has a seat");
            let (_, at) = seat.places.iter_mut().find(|(relay, _)| *relay == number).expect("and is in it");
            *at = place;
        });
        if relay.len() == 0
            && let Some(relay) = self.relays[number as usize].take()
        {
            self.relay_of.remove(&relay.room);
            self.free.push(number);
        }
    }

    fn list_relay(&mut self, number: u32) {
        if let Some(relay) = self.relay(number)
            && !std::mem::replace(&mut relay.is_listed, true)
        {
            self.working.push_back(number);
        }
    }

    /// Hands out, to as many members as one slice has.
    fn work(&mut self, cx: &mut Context<'_, Self>) {
        let mut budget = self.config.slice.max(1);
        while budget > 0
            && let Some(number) = self.working.pop_front()
        {
            let Some(relay) = self.relays[number as usize].as_mut() else { continue };
            relay.is_listed = false;
            relay.work(&mut budget, &mut self.packets, cx);
            if relay.is_watching() {
                self.wake_in(LOOK_EVERY, cx);
            }
            let has_work = self.relay(number).is_some_and(|relay| relay.has_work());
            if has_work {
                self.list_relay(number);
            }
            self.tidy_relay(number);
        }
    }

    // ---- members ----

    fn place_of(&self, who: ActorId, room: &Room) -> Option<(u32, u32)> {
        let number = self.relay_of.get(room)?;
        self.seats.get(&who)?.places.iter().find(|(relay, _)| relay == number).copied()
    }

    fn enter(
        &mut self,
        Enter { room, who, join }: Enter,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        enter::check(&room, join.name.as_deref())?;
        let is_known = self.seats.contains_key(&who);
        if self.place_of(who, &room).is_some() {
            return Err(RoomError::AlreadyIn);
        }
        let rooms = self.seats.get(&who).map_or(0, |seat| seat.places.len());
        if self.members >= self.config.members_max || rooms >= self.config.rooms_per_session_max as usize {
            return Err(RoomError::TooMany);
        }
        if (!is_known || rooms == 0) && cx.watch(who).is_err() {
            return Err(RoomError::TooMany);
        }
        let number = self.make_relay(&room, cx);
        let relay = self.relay(number).expect("it was just made");
        let place = relay.add(who, join.format);
        let home = relay.home;
        self.members += 1;
        self.seats.entry(who).or_default().places.push((number, place));
        let Join { format, name, since } = join;
        self.packets.push(home, Item::Enter { room, who, name, format, since });
        Ok(())
    }

    /// Takes a member out of a room of this shard. Returns what it heard there.
    fn take_out(&mut self, who: ActorId, number: u32, place: u32) -> Option<Format> {
        let relay = self.relays.get_mut(number as usize)?.as_mut()?;
        let format = relay.format(place);
        relay.remove(place);
        self.members -= 1;
        let item = Item::Exit { room: relay.room.clone(), who, format };
        self.packets.push(relay.home, item);
        if let Some(seat) = self.seats.get_mut(&who) {
            seat.places.retain(|&(relay, _)| relay != number);
        }
        self.tidy_relay(number);
        Some(format)
    }

    fn leave(&mut self, Leave { room, who }: Leave, cx: &mut Context<'_, Self>) -> Result<(), RoomError> {
        let (number, place) = self.place_of(who, &room).ok_or(RoomError::NotIn)?;
        let format = self.take_out(who, number, place);
        if self.seats.get(&who).is_some_and(|seat| seat.places.is_empty() && seat.holds == 0) {
            self.seats.remove(&who);
            cx.unwatch(who);
        }
        if format == Some(Format::Json) {
            self.tell(who, |out| envelope::left(out, room.name()), cx);
        }
        Ok(())
    }

    /// Takes some of those out who have ended.
    fn see_off(&mut self, cx: &mut Context<'_, Self>) {
        for who in self.leaving.next_few() {
            let Some(seat) = self.seats.get(&who) else { continue };
            let places = seat.places.clone();
            for (number, _) in places {
                // Its place may have changed as others left.
                let at =
                    self.seats[&who].places.iter().find(|(relay, _)| *relay == number).map(|(_, at)| *at);
                if let Some(place) = at {
                    self.take_out(who, number, place);
                }
            }
            self.seats.remove(&who);
        }
        if let Some(burst) = self.leaving.burst_ended(cx.now()) {
            tracing::warn!(shard = cx.shard().0, left = burst, "many members left at once");
            cx.count("rooms.mass_disconnects", 1);
        }
    }

    /// Says something to one client of this shard, outside of any order.
    fn tell(&mut self, who: ActorId, write: impl FnOnce(&mut Vec<u8>), cx: &mut Context<'_, Self>) {
        self.scratch.clear();
        write(&mut self.scratch);
        let Ok(mut frames) = cx.frame_writer(self.scratch.len() + FRAME_HEADER_BYTES_MAX) else { return };
        frames.push(Kind::Text, &[&self.scratch]).expect("it was made with this much room");
        if let Some(frames) = cx.freeze(frames, 1).next() {
            cx.deliver(who, &frames.open(), &corewire::connection::Terms::default());
        }
    }

    /// Tells a client why something cannot be, if it hears JSON.
    fn refuse(
        &mut self,
        who: ActorId,
        of: &str,
        room: &Room,
        id: Option<&str>,
        why: RoomError,
        cx: &mut Context<'_, Self>,
    ) {
        let places = self.seats.get(&who).map_or(&[][..], |seat| &seat.places);
        let hears_json = places.iter().any(|&(number, place)| {
            self.relays[number as usize].as_ref().is_some_and(|relay| relay.format(place) == Format::Json)
        });
        if hears_json {
            self.tell_error(who, of, room, id, why, cx);
        }
    }

    fn tell_error(
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

    fn hold(&mut self, who: ActorId, on: bool, cx: &mut Context<'_, Self>) {
        if on {
            let seat = self.seats.entry(who).or_default();
            seat.holds += 1;
            // One who is in no room is watched for its end too, so that nothing is kept of it.
            if seat.holds == 1 && (!cx.hold_reads(who) || seat.places.is_empty() && cx.watch(who).is_err()) {
                cx.release_reads(who);
                self.seats.remove(&who);
            }
        } else if let Some(seat) = self.seats.get_mut(&who) {
            seat.holds = seat.holds.saturating_sub(1);
            if seat.holds == 0 {
                cx.release_reads(who);
                if seat.places.is_empty() {
                    self.seats.remove(&who);
                    cx.unwatch(who);
                }
            }
        }
    }

    // ---- what comes after every message ----

    fn settle(&mut self, cx: &mut Context<'_, Self>) {
        self.see_off(cx);
        self.flush_packets(cx);
        if !self.work_is_coming {
            self.work(cx);
            self.flush_packets(cx);
        }
        self.go_on_after_congestion(cx);
        if !self.to_seal.is_empty() && !self.seal_is_coming {
            let me = cx.address();
            self.seal_is_coming = cx.send(me, Seal).is_ok();
            if !self.seal_is_coming {
                self.seal(cx);
                self.flush_packets(cx);
            }
        }
        if (!self.working.is_empty() || !self.leaving.is_empty()) && !self.work_is_coming {
            self.work_is_coming = true;
            cx.next_turn(Work);
        }
    }

    /// Has a [`Tick`] come in `delay` at the latest.
    fn wake_in(&mut self, delay: Duration, cx: &mut Context<'_, Self>) {
        let at = cx.now() + delay;
        match self.tick {
            Some((next, _)) if next <= at => return,
            Some((_, timer)) => drop(cx.cancel(timer)),
            None => {}
        }
        let me = cx.address();
        self.tick = cx.after(delay, me, Tick).ok().map(|timer| (at, timer)); // else with the next message
    }
}

impl Actor for Rooms {
    const MAILBOX_SLOTS: Option<u32> = Some(16_384);

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
            Item::Enter { room, who, name, format, since } => {
                if self.home(&room).is_none() {
                    return self.packets.push(from, Item::Refused { room, who, format });
                }
                // What was said before it came is history.
                if self.homes[&room].is_listed {
                    self.seal(cx);
                }
                if let Some(home) = self.homes.get_mut(&room) {
                    home.enter(from, who, name, format, since, &mut self.packets, cx);
                }
                self.list(&room);
            }
            Item::Exit { room, who, format } => {
                if let Some(home) = self.homes.get_mut(&room) {
                    home.exit(from, who, format, &mut self.packets);
                    self.list(&room);
                }
            }
            Item::Heard { room, seq } => {
                if let Some(home) = self.homes.get_mut(&room) {
                    home.heard(from, seq, &mut self.packets);
                }
            }
            Item::Behind { room, on } => {
                if let Some(home) = self.homes.get_mut(&room)
                    && home.behind(from, on, &mut self.packets)
                {
                    self.list(&room);
                }
            }
            Item::Who { room, who, format } => {
                if let Some(home) = self.homes.get(&room) {
                    home.tell_who(from, who, format, &mut self.packets, cx);
                }
            }
            Item::Entered { room, who, seq, frames } => {
                if let Some((_, place)) = self.place_of(who, &room)
                    && let Some((_, relay)) = self.relay_in(&room)
                {
                    relay.enter(place, seq, frames, cx);
                }
            }
            Item::Refused { room, who, format } => {
                if let Some((number, place)) = self.place_of(who, &room) {
                    self.take_out(who, number, place);
                    if format == Format::Json {
                        self.tell_error(who, "join", &room, None, RoomError::TooMany, cx);
                    }
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
                if let Some((_, place)) = self.place_of(who, &room)
                    && let Some((_, relay)) = self.relay_in(&room)
                {
                    relay.answer(place, frames, cx);
                }
            }
            Item::Hold { who, on } => self.hold(who, on, cx),
            Item::NotSaid { room, who, id, why } => {
                self.refuse(who, "publish", &room, id.as_deref(), why, cx);
            }
            Item::Say { room, note, author } => {
                let _ = self.say_here(room, note, author, cx); // its author is told
            }
        }
    }

    fn gone(&mut self, shard: ShardId, _: &mut Context<'_, Self>) {
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
    fn handle(&mut self, Publish { room, note, author }: Publish, cx: &mut Context<'_, Self>) -> Self::Reply {
        let said = self.say(room, note, author, cx);
        self.settle(cx);
        said
    }
}

impl Handler<Who> for Rooms {
    type Reply = Result<(), RoomError>;
    fn handle(&mut self, Who { room, who }: Who, cx: &mut Context<'_, Self>) -> Self::Reply {
        let Some((number, place)) = self.place_of(who, &room) else {
            self.refuse(who, "who", &room, None, RoomError::NotIn, cx);
            return Err(RoomError::NotIn);
        };
        let relay = self.relay(number).expect("somebody is in it");
        let (home, format) = (relay.home, relay.format(place));
        self.packets.push(home, Item::Who { room, who, format });
        self.settle(cx);
        Ok(())
    }
}

impl Handler<Down> for Rooms {
    type Reply = ();
    fn handle(&mut self, down: Down, cx: &mut Context<'_, Self>) {
        self.leaving.add(down.who, cx.now());
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
        self.leaving.next_turn();
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
        let now_ms = now_ms();
        self.homes.retain(|_, home| {
            home.trim(now_ms);
            !home.is_over()
        });
        let mut again = false;
        for relay in self.relays.iter_mut().flatten() {
            relay.look(&mut self.packets, cx);
            again |= relay.is_watching();
        }
        if again {
            self.wake_in(LOOK_EVERY, cx);
        }
        self.seal(cx);
        self.settle(cx);
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// As many notes may be on their way to another shard before their authors are not read from for a while.
const SAY_HOLD: usize = 1024;
/// And as many before more are refused.
const SAY_MAX: usize = 16_384;
/// Who comes and goes is told so often at most.
const PRESENCE_EVERY: Duration = Duration::from_millis(50);
/// What is too old is forgotten so often.
const TRIM_EVERY: Duration = Duration::from_secs(5);
/// Members that publishers wait for are looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Room for writing JSON that is kept.
const SCRATCH_BYTES_MAX: usize = 256 << 10;
