//! Rooms that span shards: what is said in one is heard by all its members, in one order, wherever they are.
//!
//! - [`Rooms`]: the service, one actor a shard, which hosts this shard's homes and relays
//! - [`InRooms`], [`Join`], [`Format`]: what sessions do; [`RoomsFromOutside`]: what other threads do
//! - [`Room`], [`Note`], [`Body`]: a name, and what is said
//! - [`RoomRules`], [`SlowRule`], [`RoomsConfig`]: limits, and what becomes of who is slow
//! - `home`: order and what is remembered (`log`), who is there (`people`), the way to shards (`line`); `relay`: members of one
//!   shard
//! - `handlers`: what it is told, and what is done then; `homes`: those of this shard; `seats`: who sits in its relays
//! - `item`: what shards say to each other; `envelope`: what is told in JSON
//! - `leaving`: ten thousand who go at once; [`RoomsStats`]: how it all stands
//!
//! A room lives at home on one shard, chosen by its name. There a message gets its number, is remembered, and is written as a
//! frame once; each shard with members gets one ticket for it and hands views of it to its members. So the home does as much
//! for a message as there are shards, and no more.
//!
//! **What is promised.** Everybody hears a room's messages in the order of their numbers, whatever their priorities, none twice. Who is
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
mod handlers;
mod home;
mod homes;
mod item;
mod leaving;
mod line;
mod log;
mod note;
mod people;
mod relay;
mod room;
mod rules;
mod seats;
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
use home::{Home, Past, Taken};
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
    /// What was written of late for who came.
    past: Past,
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
            past: Past::default(),
        }
    }

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

fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// As many notes may be on their way to another shard, and so many bytes, before their authors are not read from for a while.
const SAY_HOLD: usize = 1024;
const SAY_HOLD_BYTES: usize = 1 << 20;
/// And as many before more are refused.
const SAY_MAX: usize = 16_384;
const SAY_MAX_BYTES: usize = 16 << 20;
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
