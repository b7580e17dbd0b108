//! One shard's actors, and all that they can reach.
//!
//! - here: what there is of everything, and how much
//! - `slots`: who is in them, and how they are run
//! - `mail`: mailboxes, and what is done when one is full
//! - `messages`: between actors, here and on other shards; `asks`: those that are answered
//! - `errands`: what shards do for each other
//! - `moves`: who has moved from shard to shard; `abroad`: what is done for those who live elsewhere
//! - `endings`: who is to be told that an actor has ended
//! - `watches`: who watches whom
//! - `families`: who has started whom, and what follows when one fails; `restarts`: ending families, and making anew
//! - `facts`: what all shards know; `names` and `groups`: who has which, and who is in which
//! - `places`: who is full
//! - `services`: who is there before everybody else
//! - `tasks`: futures of actors; `work`: their jobs
//! - `timers`: what is due; `every`: again and again
//! - `probes`: what is told to those who look; `tallies`: what users count
//! - `sockets`: what actors have to send to their sockets

mod abroad;
mod asks;
mod endings;
mod errands;
mod every;
mod facts;
mod families;
mod groups;
mod mail;
mod messages;
mod moves;
mod names;
mod places;
mod probes;
mod restarts;
mod services;
mod slots;
mod sockets;
mod tallies;
mod tasks;
mod timers;
mod watches;
mod work;

use super::ActorId;
use super::crash;
use super::envelope::Envelope;
use super::handle::Outside;
use super::jobs::Jobs;
use super::mailbox::{MailId, MailStore};
use super::outside::{Calls, Heard};
use super::pending::Asks;
use super::stall::Heartbeat;
use super::trail;
use crate::buf::Pool;
use crate::ring::parcel::Parcel;
use crate::shard::wheel::{ALARM_BYTES, Wheel};
use crate::shard::{Mesh, Outgoing, ShardId, SocketId, Time};
use crate::sync::Arc;
pub(crate) use abroad::WaitsThere;
pub(crate) use asks::outsider;
use endings::Notice;
use errands::Errand;
pub(crate) use every::Every;
use facts::Facts;
use families::Families;
use groups::Groups;
pub(crate) use mail::ActorKind;
use mail::{Known, Latest};
use moves::Moves;
use names::Names;
use probes::Probes;
use services::ToStart;
use slots::Slot;
use std::collections::{HashMap, VecDeque};
use tasks::Tasks;
pub(crate) use watches::How;
use watches::Watches;

/// How many of everything a shard holds.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Actors, connections among them.
    pub(crate) actors_max: u32,
    /// Messages in one mailbox.
    pub(crate) mailbox_slots: u32,
    /// Messages in all mailboxes.
    pub(crate) mail_slots: u32,
    /// Timers that carry a message.
    pub(crate) timers_max: u32,
    /// Futures of actors.
    pub(crate) tasks_max: u32,
    /// Questions that wait for an answer.
    pub(crate) asks_max: u32,
    /// Probes that actors have registered.
    pub(crate) probes_max: u32,
    /// Watches and links that actors have made.
    pub(crate) watches_max: u32,
    /// Names that it decides about.
    pub(crate) names_max: u32,
    /// Groups that its actors are in, each counted.
    pub(crate) memberships_max: u32,
}

/// What happened on a shard, in plain cells. Read by message or at the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) handled: u64,
    pub(crate) refused: u64,
    pub(crate) returned: u64,
    pub(crate) panics: u64,
    pub(crate) shed: u64,
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) slow_closed: u64,
    pub(crate) slow_dropped: u64,
    pub(crate) sends: u64,
    pub(crate) wakes_lost: u64,
    pub(crate) asks: u64,
    pub(crate) asks_failed: u64,
    pub(crate) answers_late: u64,
    pub(crate) dropped: u64,
    pub(crate) restarts: u64,
    pub(crate) moved_in: u64,
    pub(crate) moved_out: u64,
    pub(crate) moves_refused: u64,
}

/// One shard's actors and what they share: everything but the driver.
pub(crate) struct Local {
    me: ShardId,
    now: Time,
    /// The shard's memory.
    pub(crate) pool: Pool,
    pub(crate) mesh: Mesh<Envelope>,
    pub(crate) counters: Counters,
    /// What is to be done to sockets at the end of the turn, after the sends.
    pub(crate) requests: Vec<Request>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    bounds: Bounds,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Left by connections whose sockets the driver still has: their completions carry these numbers.
    vacated: Vec<u32>,
    actors_made: u64,
    connections: u32,
    mail: MailStore,
    /// An actor that runs takes what is alike from its mailbox until so many are handled.
    run_until: u64,
    /// To be started in the first turn.
    services: Vec<ToStart>,
    /// Slots with mail, in the order in which they got it.
    ready: VecDeque<u32>,
    /// Slots that may have something to send.
    dirty: Vec<u32>,
    /// Those whose send may wait, and for how many turns the first has.
    put_off: Vec<u32>,
    put_off_turns: u32,
    /// Came back to actors of this shard, and answers to them: before all other mail.
    home: VecDeque<Envelope>,
    /// Goes back to other shards, and found the way full.
    returns: VecDeque<Envelope>,
    asks: Asks,
    watches: Watches,
    families: Families,
    /// Who is being told that it is over: it starts nobody any more.
    concluding: Option<ActorId>,
    /// When a backtrace was last printed.
    backtrace_at: Option<Time>,
    facts: Facts,
    names: Names,
    groups: Groups,
    moves: Moves,
    /// Before all mail.
    notices: VecDeque<Notice>,
    /// Of all shards.
    pub(crate) jobs: Jobs,
    /// To be done here.
    errands: VecDeque<Errand>,
    /// For other shards, by their numbers, and found the way full. Empty where there are no others.
    errands_out: Vec<VecDeque<Errand>>,
    /// For the shard itself, from other shards.
    pub(crate) shard_mail: VecDeque<Parcel>,
    /// Of cells, by slot.
    ticks: Wheel,
    /// Of `timers`, by index.
    timer_wheel: Wheel,
    timers: Vec<Timer>,
    free_timers: Vec<u32>,
    /// When those for nobody were last taken back.
    timers_swept_at: Option<Time>,
    #[expect(
        clippy::vec_box,
        reason = "the box goes to the connection and the driver and comes back as it is"
    )]
    spare_outgoing: Vec<Box<Outgoing>>,
    memory_short: bool,
    /// A send of this turn has an owner who goes on when it is done.
    awaits_sent: bool,
    calls: Calls,
    outside: Outside,
    heard: Heard,
    /// How many actors the others see here.
    load_shown: u32,
    tasks: Tasks,
    /// Actor types by their numbers, which the heartbeat knows too.
    kinds: Vec<Known>,
    /// Mail of actors that keep the latest of each key.
    latest: HashMap<Latest, MailId>,
    probes: Probes,
    /// Messages have spans. Asked once a turn.
    traces: bool,
    /// Just taken from lanes; empty between turns.
    arrived: Vec<Envelope>,
    /// The shard is ending: no new actors.
    pub(crate) leaving: bool,
}

/// Something to be done to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Pause(SocketId),
    Resume(SocketId),
    Bulk { socket: SocketId, on: bool },
    WaitWritable(SocketId),
    ShutdownWrite(SocketId),
    Close { socket: SocketId, reset: bool },
    Detach(SocketId),
}

impl Request {
    /// Which socket.
    pub(crate) fn socket(self) -> SocketId {
        match self {
            Self::Pause(socket) | Self::Resume(socket) | Self::WaitWritable(socket) => socket,
            Self::ShutdownWrite(socket) | Self::Detach(socket) => socket,
            Self::Bulk { socket, .. } | Self::Close { socket, .. } => socket,
        }
    }
}

/// What an actor takes besides its cell: its slot, and its place in the wheel.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>() + ALARM_BYTES;

struct Timer {
    generation: u32,
    envelope: Option<Envelope>,
    /// It fires again and again; then there is no envelope.
    every: Option<Box<Every>>,
}

impl Local {
    pub(crate) fn new(
        pool: Pool,
        mesh: Mesh<Envelope>,
        heartbeat: Arc<Heartbeat>,
        outside: Outside,
        jobs: Jobs,
        bounds: Bounds,
    ) -> Self {
        crash::install_hook();
        let calls = outside.calls(mesh.me()).clone();
        let others = Some(mesh.shards()).filter(|&shards| shards > 1).unwrap_or(0);
        let errands_out = (0..others).map(|_| VecDeque::new()).collect();
        Self {
            me: mesh.me(),
            now: Time::ZERO,
            pool,
            mesh,
            counters: Counters::default(),
            requests: Vec::new(),
            heartbeat,
            slots: Vec::new(),
            free: Vec::new(),
            vacated: Vec::new(),
            actors_made: 0,
            connections: 0,
            mail: MailStore::new(bounds.mail_slots),
            run_until: 0,
            services: Vec::new(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            put_off: Vec::new(),
            put_off_turns: 0,
            home: VecDeque::new(),
            returns: VecDeque::new(),
            asks: Asks::new(bounds.asks_max),
            watches: Watches::default(),
            families: Families::default(),
            concluding: None,
            backtrace_at: None,
            facts: Facts::default(),
            names: Names::default(),
            groups: Groups::default(),
            moves: Moves::default(),
            notices: VecDeque::new(),
            jobs,
            errands: VecDeque::new(),
            errands_out,
            shard_mail: VecDeque::new(),
            ticks: Wheel::new(),
            timer_wheel: Wheel::new(),
            timers: Vec::new(),
            free_timers: Vec::new(),
            timers_swept_at: None,
            spare_outgoing: Vec::new(),
            memory_short: false,
            awaits_sent: false,
            calls,
            outside,
            heard: Heard::default(),
            load_shown: 0,
            tasks: Tasks::default(),
            bounds,
            kinds: Vec::new(),
            latest: HashMap::new(),
            probes: Probes::default(),
            traces: false,
            arrived: Vec::new(),
            leaving: false,
        }
    }

    pub(crate) fn begin(&mut self, now: Time) {
        self.now = now;
        self.awaits_sent = false;
        self.traces = trail::is_on();
        self.heartbeat.beat();
        self.go_on_sending();
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// How many actors were ever made here.
    pub(crate) fn actors_made(&self) -> u64 {
        self.actors_made
    }

    /// How many connections live here, closing ones included.
    pub(crate) fn connections(&self) -> u32 {
        self.connections
    }

    /// How many actors live here, connections among them.
    pub(crate) fn actors(&self) -> usize {
        self.slots.len() - self.free.len() - self.vacated.len()
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("me", &self.me).field("actors", &self.actors()).finish_non_exhaustive()
    }
}
