//! Rooms that span shards: what is said in one is heard by all its members, in one order, wherever they are.
//!
//! - [`Rooms`]: the service, one actor a shard, which hosts this shard's homes and relays
//! - [`InRooms`], [`Join`], [`Format`]: what sessions do; [`RoomsFromOutside`]: what other threads do
//! - [`Room`], [`Note`], [`Body`]: a name, and what is said
//! - [`RoomRules`], [`SlowRule`], [`RoomsConfig`]: limits, and what becomes of who is slow
//! - `home`: order and what is remembered (`log`), who is there (`people`), the way to shards (`line`); `relay`: members of one
//!   shard
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
mod line;
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
use corewire::connection::{Close, FRAME_HEADER_BYTES_MAX};
use corewire::shard::{ShardId, Time};
use corewire::wire::Kind;
use home::{Home, Taken};
use item::{Entry, Item, Since};
use leaving::Leaving;
use relay::Relay;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
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
    /// How many entries there were.
    entries: u64,
    /// Comings and goings, and questions, that homes of this shard have not come to yet.
    callers: VecDeque<(ShardId, Item)>,
    leaving: Leaving,
    /// Who is not read from because too much is on its way to that shard.
    congested: HashMap<ActorId, ShardId>,
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
    trim_at: Time,
    /// What the homes here remember, in bytes.
    remembered_bytes: usize,
    /// Relays with members for whom publishers wait.
    watching: Vec<u32>,
    /// Another has had this shard before, and failed.
    is_second: bool,
    scratch: Vec<u8>,
    epochs: u64,
}

/// Where a session is.
#[derive(Debug, Default)]
struct Seat {
    places: Vec<Place>,
    /// Shards whose homes want it not to be read from, once for each; this one, if too much of it is on its way.
    holders: Vec<ShardId>,
}

/// A session in a room.
#[derive(Debug, Clone)]
struct Place {
    relay: u32,
    /// Which of the relay's members.
    at: u32,
    /// Which of its entries this is.
    entry: u64,
    name: Option<Arc<str>>,
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
        let made = Mutex::new(HashSet::new());
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
            entries: 0,
            callers: VecDeque::new(),
            leaving: Leaving::default(),
            congested: HashMap::new(),
            to_seal: Vec::new(),
            later: Vec::new(),
            seal_is_coming: false,
            working: VecDeque::new(),
            work_is_coming: false,
            tick: None,
            presence_at: Time::ZERO,
            trim_at: Time::ZERO,
            remembered_bytes: 0,
            watching: Vec::new(),
            is_second: made.lock().is_ok_and(|mut made| !made.insert(shard)),
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
    fn trim(&mut self, now: Time) {
        self.trim_at = now + TRIM_EVERY;
        self.remembered_bytes = 0;
        self.homes.retain(|_, home| {
            home.trim(now);
            self.remembered_bytes += home.remembered_bytes();
            !home.is_over()
        });
    }

    /// Lets some of those in and out who have come to the homes of this shard.
    fn see_callers(&mut self, cx: &mut Context<'_, Self>) {
        let mut budget = CALLERS_PER_TURN;
        while budget > 0
            && let Some((from, item)) = self.callers.pop_front()
        {
            budget = budget.saturating_sub(1 + self.see_caller(from, item, cx));
        }
    }

    /// Returns how many frames it took.
    fn see_caller(&mut self, from: ShardId, item: Item, cx: &mut Context<'_, Self>) -> usize {
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
                let frames = home.enter(from, who, entry, &mut self.packets, cx);
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
                if let Some(home) = self.homes.get(&room) {
                    home.tell_who(from, who, format, &mut self.packets, cx);
                }
                32 // its names are many
            }
            _ => unreachable!("nobody else calls"),
        }
    }

    /// Somebody of this shard says something: in a room whose home is here, or on its way there.
    fn say(&mut self, room: Room, note: Note, cx: &mut Context<'_, Self>) -> Result<(), RoomError> {
        let home = room.home(cx.shards());
        if home == cx.shard() {
            return self.say_here(room, note, cx);
        }
        let waiting = self.packets.waiting(home);
        if waiting >= SAY_MAX {
            home::not_said(&room, note, RoomError::Busy, &mut self.packets, cx);
            return Err(RoomError::Busy);
        }
        if waiting >= SAY_HOLD
            && let Some(author) = note.author
            && self.congested.insert(author, home).is_none()
        {
            self.hold(author, cx.shard(), cx);
        }
        self.packets.push(home, Item::Say { room, note });
        Ok(())
    }

    /// Something is said in a room whose home is here.
    fn say_here(&mut self, room: Room, note: Note, cx: &mut Context<'_, Self>) -> Result<(), RoomError> {
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
    fn go_on_after_congestion(&mut self, cx: &mut Context<'_, Self>) {
        if self.congested.is_empty() {
            return;
        }
        let packets = &self.packets;
        let go_on: Vec<ActorId> = self
            .congested
            .extract_if(|_, shard| packets.waiting(*shard) <= SAY_HOLD / 4)
            .map(|(who, _)| who)
            .collect();
        for who in go_on {
            self.release(who, cx.shard(), cx);
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

    // ---- members ----

    fn place_of(&self, who: ActorId, room: &Room) -> Option<&Place> {
        let number = self.relay_of.get(room)?;
        self.seats.get(&who)?.places.iter().find(|place| place.relay == *number)
    }

    /// The place that somebody has by this entry.
    fn place_by(&self, who: ActorId, room: &Room, entry: u64) -> Option<(u32, u32)> {
        let place = self.place_of(who, room).filter(|place| place.entry == entry)?;
        Some((place.relay, place.at))
    }

    fn enter(
        &mut self,
        Enter { room, who, join }: Enter,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), RoomError> {
        enter::check(&room, join.name.as_deref())?;
        if self.place_of(who, &room).is_some() {
            return Err(RoomError::AlreadyIn);
        }
        if self.packets.waiting(room.home(cx.shards())) >= SAY_MAX {
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
    fn take_out(&mut self, who: ActorId, number: u32) -> Option<Format> {
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

    fn leave(&mut self, Leave { room, who }: Leave, cx: &mut Context<'_, Self>) -> Result<(), RoomError> {
        let number = self.place_of(who, &room).ok_or(RoomError::NotIn)?.relay;
        let format = self.take_out(who, number);
        self.forget_seat(who, cx);
        if format == Some(Format::Json) {
            self.tell(who, |out| envelope::left(out, room.name()), cx);
        }
        Ok(())
    }

    /// Of a session that is in no room and not held nothing is kept.
    fn forget_seat(&mut self, who: ActorId, cx: &mut Context<'_, Self>) {
        if self.seats.get(&who).is_some_and(|seat| seat.places.is_empty() && seat.holders.is_empty()) {
            self.seats.remove(&who);
            cx.unwatch(who);
        }
    }

    /// Takes some of those out who have ended.
    fn see_off(&mut self) {
        for who in self.leaving.next_few() {
            self.congested.remove(&who);
            while let Some(place) = self.seats.get(&who).and_then(|seat| seat.places.last()) {
                self.take_out(who, place.relay);
            }
            self.seats.remove(&who);
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
        let hears_json = places.iter().any(|place| {
            let relay = self.relays[place.relay as usize].as_ref();
            relay.is_some_and(|relay| relay.format(place.at) == Format::Json)
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

    fn hold(&mut self, who: ActorId, holder: ShardId, cx: &mut Context<'_, Self>) {
        // One who is in no room is watched for its end too, so that nothing is kept of it.
        let is_new = !self.seats.contains_key(&who);
        if !cx.hold_reads(who) || is_new && cx.watch(who).is_err() {
            cx.release_reads(who);
            return; // it has ended, and what was counted for it goes with its seat
        }
        self.seats.entry(who).or_default().holders.push(holder);
    }

    fn release(&mut self, who: ActorId, holder: ShardId, cx: &mut Context<'_, Self>) {
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
    fn release_all_of(&mut self, holder: ShardId, cx: &mut Context<'_, Self>) {
        let seats = self.seats.iter().filter(|(_, seat)| seat.holders.contains(&holder));
        let held: Vec<ActorId> = seats.map(|(who, _)| *who).collect();
        for who in held {
            if let Some(seat) = self.seats.get_mut(&who) {
                seat.holders.retain(|other| *other != holder);
            }
            self.release(who, holder, cx);
        }
    }

    // ---- what comes after every message ----

    fn settle(&mut self, cx: &mut Context<'_, Self>) {
        self.flush_packets(cx);
        if !self.work_is_coming {
            self.see_off();
            self.see_callers(cx);
            self.flush_packets(cx);
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
        let is_busy = !self.working.is_empty() || self.leaving.len() > 0 || !self.callers.is_empty();
        if is_busy && !self.work_is_coming {
            self.work_is_coming = true;
            cx.next_turn(Work);
        }
    }

    /// Has a [`Tick`] come in `delay` at the latest.
    fn wake_in(&mut self, delay: Duration, cx: &mut Context<'_, Self>) {
        let at = cx.now() + delay;
        match self.tick {
            // One whose time is over has found a full mailbox, and is lost.
            Some((next, _)) if next > cx.now() && next <= at => return,
            Some((_, timer)) => drop(cx.cancel(timer)),
            None => {}
        }
        let me = cx.address();
        match cx.after(delay, me, Tick) {
            Ok(timer) => self.tick = Some((at, timer)),
            Err(_) => {
                // The shard's timers are used up. It goes on without a pause: that costs turns.
                self.tick = None;
                cx.next_turn(Tick);
            }
        }
    }
}

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
            Item::Entered { room, who, entry, seq, frames } => {
                if let Some((_, at)) = self.place_by(who, &room, entry)
                    && let Some((_, relay)) = self.relay_in(&room)
                {
                    relay.enter(at, seq, frames, cx);
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
                    && let Some((_, relay)) = self.relay_in(&room)
                {
                    relay.answer(at, frames, cx);
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
            Some(_) if self.packets.waiting(room.home(cx.shards())) >= SAY_MAX => Err(RoomError::Busy),
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

fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// As many notes may be on their way to another shard before their authors are not read from for a while.
const SAY_HOLD: usize = 1024;
/// And as many before more are refused.
const SAY_MAX: usize = 16_384;
/// So many comings and goings, with the frames that they hear, are seen to in a turn.
const CALLERS_PER_TURN: usize = 1024;
/// Who comes and goes is told so often at most.
const PRESENCE_EVERY: Duration = Duration::from_millis(50);
/// What is too old is forgotten so often.
const TRIM_EVERY: Duration = Duration::from_secs(5);
/// Members that publishers wait for are looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Room for writing JSON that is kept.
const SCRATCH_BYTES_MAX: usize = 256 << 10;
