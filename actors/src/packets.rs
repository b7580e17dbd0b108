//! What the services of one kind say to each other from shard to shard: in order, nothing lost, nothing twice, and one packet
//! under way from one to another, however much there is to say.
//!
//! A message that a lane or a mailbox refuses comes back to its sender; by then a later one may have arrived. So what is not to
//! be lost and stays in order needs this: while a packet is under way, what is pushed waits and goes together in the next. Each
//! packet says how many from the other side were taken, so two services that talk need no messages for that alone. What is
//! refused is tried again, with back-off. What waits is bounded by whoever pushes, who can ask how many items that are, and how
//! many bytes, of those that were pushed with what they hold.
//!
//! A service that fails is made anew and knows nothing any more. So packets say which of a service's lives they come from and
//! are for: what was meant for a former life is dropped, and the others hear that there is a new one ([`Peer::anew`]).
//!
//! Does not know: what items are, who pushes them.

use corewire::actor::{Actor, Context, Handler, Priority, Refused, Returned, SendError, TimerId};
use corewire::shard::{ShardId, Time};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A service whose actors on all shards talk to each other by [`Packets`].
///
/// ```
/// use corewire::prelude::*;
/// use corewire::shard::ShardId;
/// use corewire_actors::packets::{Packet, Packets, Peer};
///
/// /// Counts something on all shards, and knows everybody's count.
/// struct Tally {
///     sum: u64,
///     packets: Packets<u64>,
/// }
///
/// /// What a session says to the tally of its shard.
/// struct Add(u64);
///
/// impl Peer for Tally {
///     type Item = u64;
///     fn packets(&mut self) -> &mut Packets<u64> {
///         &mut self.packets
///     }
///     fn item(&mut self, _from: ShardId, item: u64, _: &mut Context<Self>) {
///         self.sum += item;
///     }
/// }
///
/// impl Actor for Tally {
///     fn started(&mut self, cx: &mut Context<Self>) {
///         self.flush_packets(cx);
///     }
///
///     fn returned(&mut self, returned: Returned, cx: &mut Context<Self>) {
///         let _ = self.take_back(returned, cx); // it sends nothing else that could come back
///     }
/// }
///
/// impl Handler<Packet<u64>> for Tally {
///     type Reply = ();
///     fn handle(&mut self, packet: Packet<u64>, cx: &mut Context<Self>) {
///         self.take_packet(packet, cx);
///     }
/// }
///
/// impl Handler<Add> for Tally {
///     type Reply = ();
///     fn handle(&mut self, Add(n): Add, cx: &mut Context<Self>) {
///         for shard in 0..cx.shards() {
///             self.packets.push(ShardId(shard), n); // to this one too
///         }
///         self.flush_packets(cx);
///     }
/// }
///
/// let server = Server::bind(":9001").service(|shard| Tally { sum: 0, packets: Packets::of(shard) });
/// # drop(server);
/// ```
pub trait Peer: Actor + Handler<Packet<Self::Item>, Reply = ()> {
    /// What they say.
    type Item: Send + 'static;

    /// Those of this one.
    fn packets(&mut self) -> &mut Packets<Self::Item>;

    /// An item has come: in the order in which that shard has pushed them, and once. What is pushed here goes when all of the
    /// packet's have been taken.
    fn item(&mut self, from: ShardId, item: Self::Item, cx: &mut Context<'_, Self>);

    /// The service of that shard has failed, was made anew, and knows nothing of what was said to its former life. What that
    /// had not taken is dropped; what is pushed here, and from now on, goes to the new one. If nothing is said, this is as
    /// [`Self::gone`].
    ///
    /// All hear of it, if each calls [`Self::flush_packets`] in its [`Actor::started`].
    fn anew(&mut self, shard: ShardId, cx: &mut Context<'_, Self>) {
        self.gone(shard, cx);
    }

    /// The service of that shard has ended, by itself or with its server, and is not coming back. What was for it and not
    /// taken is dropped, and so is what is pushed from now on. Heard only by who had something to say to it.
    fn gone(&mut self, shard: ShardId, cx: &mut Context<'_, Self>) {
        let _ = (shard, cx);
    }

    /// Sends what was pushed, and hands over what was pushed for this shard itself. To be called where a handler ends, of each
    /// message: when its mailbox is full, this service's own timer is lost, and whoever comes next does what it was for. With
    /// nothing to do it costs next to nothing. The first call greets the other shards.
    fn flush_packets(&mut self, cx: &mut Context<'_, Self>) {
        let mut sent_some = false;
        self.packets().greet(cx.shards());
        loop {
            let me = cx.shard();
            while let Some(item) = self.packets().here.pop_front() {
                self.item(me, item, cx);
            }
            let Some(shard) = self.packets().next(cx.now()) else { break };
            sent_some = true;
            let packet = self.packets().pack(shard, cx.now());
            let sent = match cx.service_on::<Self>(shard) {
                Some(service) => cx.send_at(Priority::High, service, packet),
                None => Err(SendError::Gone(packet)),
            };
            if let Err(error) = sent {
                let reason = error.reason();
                refused(self, shard, error.into_inner(), reason, cx);
            }
        }
        if sent_some || !self.packets().to_send.is_empty() || self.packets().timer.is_some() {
            set_timer(self, cx);
        }
    }

    /// A packet has come. For the handler of [`Packet`], which does nothing else.
    fn take_packet(&mut self, packet: Packet<Self::Item>, cx: &mut Context<'_, Self>) {
        let Packet { from, life, to, number, taken, mut items, .. } = packet;
        if from == cx.shard() {
            self.packets().time_has_come(cx.now()); // what our own timer says
        } else {
            if self.packets().meet(from, life) {
                self.anew(from, cx);
            }
            let new = self.packets().receive(from, life, to, number, taken);
            for item in items.drain(..) {
                if new {
                    self.item(from, item, cx);
                }
            }
            self.packets().keep_room(from, items);
        }
        self.flush_packets(cx);
    }

    /// A message came back. For [`Actor::returned`]; what is no packet is given back.
    fn take_back(&mut self, returned: Returned, cx: &mut Context<'_, Self>) -> Option<Returned> {
        let (shard, reason) = (returned.to.shard(), returned.reason);
        match returned.downcast::<Packet<Self::Item>>() {
            Ok(packet) => {
                refused(self, shard, packet, reason, cx);
                self.flush_packets(cx);
                None
            }
            Err(other) => Some(other),
        }
    }
}

/// What one service says to those of its kind on all shards: see [`Peer`].
#[derive(Debug)]
pub struct Packets<I> {
    me: ShardId,
    /// A number of its own for each life of each service.
    life: u64,
    has_greeted: bool,
    /// For this shard itself.
    here: VecDeque<I>,
    /// By shard.
    pairs: Vec<Pair<I>>,
    /// Those with something to send, each once.
    to_send: Vec<ShardId>,
    timer: Option<(Time, TimerId)>,
}

/// What one shard says to another at once.
#[derive(Debug)]
pub struct Packet<I> {
    from: ShardId,
    /// Of its sender.
    life: u64,
    /// That of its receiver, as far as the sender knows; 0 if it does not.
    to: u64,
    /// Of those with items, by one more each; 0 is none.
    number: u64,
    /// The number of the last that its sender has taken from its receiver.
    taken: u64,
    /// Without a number, room that goes home to be used again.
    items: Vec<I>,
    /// What they hold.
    bytes: usize,
}

/// What is known of one other shard.
#[derive(Debug)]
struct Pair<I> {
    /// Of the service there; 0 is not known yet, and no items are sent.
    life: u64,
    /// With what each holds.
    waiting: VecDeque<(I, u32)>,
    waiting_bytes: usize,
    /// Empty, for the next.
    room: Vec<I>,
    /// What the packet holds that is under way.
    sent_bytes: usize,
    /// The number of the last packet with items.
    sent: u64,
    /// That one has not been taken yet, or no greeting was answered, and was sent then.
    under_way: Option<Time>,
    /// The number of the last that was taken from there.
    taken: u64,
    /// There it is not known yet.
    owes: bool,
    is_listed: bool,
    gone: bool,
    /// The last was refused. When to try again, and how long it was waited for.
    again_at: Option<Time>,
    back_off: Duration,
}

impl<I> Packets<I> {
    /// For the service of this shard.
    pub fn of(shard: ShardId) -> Self {
        Self {
            me: shard,
            life: LIVES.fetch_add(1, Ordering::Relaxed),
            has_greeted: false,
            here: VecDeque::new(),
            pairs: Vec::new(),
            to_send: Vec::new(),
            timer: None,
        }
    }

    /// Says `item` to the service of `shard`, which may be this one. It goes with the next [`Peer::flush_packets`], or when
    /// what is under way has been taken.
    pub fn push(&mut self, shard: ShardId, item: I) {
        self.push_with(shard, item, 0);
    }

    /// As [`Self::push`], of an item that holds so many bytes of a shard's memory until it has been taken.
    pub fn push_with(&mut self, shard: ShardId, item: I, bytes: usize) {
        if shard == self.me {
            return self.here.push_back(item);
        }
        let pair = self.pair(shard);
        if !pair.gone {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            pair.waiting.push_back((item, bytes));
            pair.waiting_bytes += bytes as usize;
            self.list(shard);
        }
    }

    /// How many items wait for that shard to take what is under way: for whoever can do with less.
    pub fn waiting(&self, shard: ShardId) -> usize {
        self.pairs.get(usize::from(shard.0)).map_or(0, |pair| pair.waiting.len())
    }

    /// How many bytes those hold that wait for that shard or are under way there.
    pub fn waiting_bytes(&self, shard: ShardId) -> usize {
        self.pairs.get(usize::from(shard.0)).map_or(0, |pair| pair.waiting_bytes + pair.sent_bytes)
    }

    /// Whether the service of that shard is known to have ended.
    pub fn is_gone(&self, shard: ShardId) -> bool {
        self.pairs.get(usize::from(shard.0)).is_some_and(|pair| pair.gone)
    }

    fn pair(&mut self, shard: ShardId) -> &mut Pair<I> {
        let index = usize::from(shard.0);
        if self.pairs.len() <= index {
            self.pairs.resize_with(index + 1, Pair::new);
        }
        &mut self.pairs[index]
    }

    /// Says to all others that this life has begun.
    fn greet(&mut self, shards: u16) {
        if std::mem::replace(&mut self.has_greeted, true) {
            return;
        }
        let me = self.me;
        for shard in (0..shards).map(ShardId).filter(|&shard| shard != me) {
            self.pair(shard).owes = true;
            self.list(shard);
        }
    }

    /// Whether the service there is another than the one that was known.
    fn meet(&mut self, shard: ShardId, life: u64) -> bool {
        let pair = self.pair(shard);
        let known = pair.life;
        if known >= life {
            return false; // the same, or a word of a former one's
        }
        if known == 0 {
            (pair.life, pair.under_way, pair.sent_bytes) = (life, None, 0); // it was a greeting that was under way, if anything
        } else {
            *pair = Pair { life, is_listed: pair.is_listed, ..Pair::new() };
        }
        self.list(shard);
        known != 0
    }

    /// Something may have to be sent there.
    fn list(&mut self, shard: ShardId) {
        if !std::mem::replace(&mut self.pair(shard).is_listed, true) {
            self.to_send.push(shard);
        }
    }

    /// A shard to which something can be sent now.
    fn next(&mut self, now: Time) -> Option<ShardId> {
        let mut at = 0;
        while let Some(&shard) = self.to_send.get(at) {
            let pair = self.pair(shard);
            if pair.again_at.is_some_and(|again_at| again_at > now) {
                at += 1; // it stays listed
                continue;
            }
            pair.is_listed = false;
            let due = pair.has_something_to_send();
            self.to_send.swap_remove(at);
            if due {
                return Some(shard);
            }
        }
        None
    }

    fn pack(&mut self, shard: ShardId, now: Time) -> Packet<I> {
        let (from, life) = (self.me, self.life);
        let pair = self.pair(shard);
        (pair.owes, pair.again_at) = (false, None);
        let mut items = std::mem::take(&mut pair.room);
        let (mut number, mut bytes) = (0, 0);
        if pair.life == 0 {
            pair.under_way = Some(now); // a greeting
        } else if pair.under_way.is_none() && !pair.waiting.is_empty() {
            let count = pair.waiting.len().min(ITEMS_MAX);
            items.extend(pair.waiting.drain(..count).map(|(item, its_bytes)| {
                bytes += its_bytes as usize;
                item
            }));
            pair.waiting_bytes -= bytes;
            pair.sent_bytes = bytes;
            pair.sent += 1;
            pair.under_way = Some(now);
            number = pair.sent;
        }
        Packet { from, life, to: pair.life, number, taken: pair.taken, items, bytes }
    }

    /// Whether what is in it is new.
    fn receive(&mut self, from: ShardId, life: u64, to: u64, number: u64, taken: u64) -> bool {
        let me = self.life;
        let pair = self.pair(from);
        if life != pair.life {
            return false; // a former life's
        }
        pair.back_off = Duration::ZERO;
        if to != me {
            pair.owes = true; // it was for a former life of ours, or for nobody known
            self.list(from);
            return false;
        }
        if taken == pair.sent {
            (pair.under_way, pair.sent_bytes) = (None, 0);
        }
        let new = number == pair.taken + 1;
        debug_assert!(new || number == 0, "a packet comes once, after the one before it");
        if new {
            pair.taken = number;
            pair.owes = true;
        }
        self.list(from);
        new
    }

    /// An emptied list, to be filled again.
    fn keep_room(&mut self, from: ShardId, items: Vec<I>) {
        let pair = self.pair(from);
        if pair.room.capacity() < items.capacity() && items.capacity() <= 2 * ITEMS_MAX {
            pair.room = items;
        }
    }

    /// What has come back goes before what has been pushed since.
    fn put_back(&mut self, shard: ShardId, packet: Packet<I>, now: Time) {
        let Packet { life, to, number, mut items, bytes, .. } = packet;
        let me = self.life;
        let pair = self.pair(shard);
        if life != me || to != pair.life {
            return; // from or to a former life
        }
        if to == 0 {
            pair.under_way = None; // the greeting
        } else if number > 0 {
            // Which of them holds what is not known any more, and the first is not without the others.
            let mut first = u32::try_from(bytes).unwrap_or(u32::MAX);
            pair.waiting_bytes += first as usize;
            let mut again: VecDeque<(I, u32)> = VecDeque::with_capacity(items.len() + pair.waiting.len());
            again.extend(items.drain(..).map(|item| (item, std::mem::take(&mut first))));
            again.append(&mut pair.waiting);
            pair.waiting = again;
            pair.room = items;
            pair.sent -= 1;
            (pair.under_way, pair.sent_bytes) = (None, 0);
        } else {
            pair.room = items;
        }
        pair.owes = true;
        pair.back_off = (pair.back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX);
        pair.again_at = Some(now + pair.back_off);
        self.list(shard);
    }

    /// False if that is known.
    fn forget(&mut self, shard: ShardId) -> bool {
        let pair = self.pair(shard);
        let is_listed = pair.is_listed; // it still is, and will be found with nothing to send
        let gone = std::mem::replace(pair, Pair { is_listed, gone: true, ..Pair::new() }).gone;
        !gone
    }

    /// Whoever has had a packet for long, and has not said so, may be gone: a word to it comes back then.
    fn time_has_come(&mut self, now: Time) {
        self.timer = None;
        for shard in (0..self.pairs.len() as u16).map(ShardId) {
            let pair = self.pair(shard);
            if pair.under_way.is_some_and(|since| now.since(since) >= DOUBT) {
                pair.under_way = Some(now);
                pair.owes = true;
                self.list(shard);
            }
        }
    }

    /// False if nothing was refused.
    fn try_all_again(&mut self) -> bool {
        let refused = self.pairs.iter_mut().filter(|pair| pair.is_listed);
        refused.map(|pair| pair.again_at = None).count() > 0
    }

    /// When there is something to do, if nothing comes before.
    fn next_time(&self) -> Option<Time> {
        let of_pair = |pair: &Pair<I>| {
            let again_at = pair.again_at.filter(|_| pair.is_listed);
            [again_at, pair.under_way.map(|since| since + DOUBT)].into_iter().flatten().min()
        };
        self.pairs.iter().filter_map(of_pair).min()
    }
}

impl<I> Pair<I> {
    fn new() -> Self {
        Self {
            life: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            room: Vec::new(),
            sent_bytes: 0,
            sent: 0,
            under_way: None,
            taken: 0,
            owes: false,
            is_listed: false,
            gone: false,
            again_at: None,
            back_off: Duration::ZERO,
        }
    }

    fn has_something_to_send(&self) -> bool {
        !self.gone && (self.owes || self.under_way.is_none() && !self.waiting.is_empty())
    }
}

fn refused<A: Peer>(
    service: &mut A,
    shard: ShardId,
    packet: Packet<A::Item>,
    why: Refused,
    cx: &mut Context<'_, A>,
) {
    match why {
        Refused::Full if packet.from == shard => {} // our own timer's, and who has so much mail flushes soon
        Refused::Full => service.packets().put_back(shard, packet, cx.now()),
        Refused::Gone => {
            if service.packets().forget(shard) {
                service.gone(shard, cx);
            }
        }
    }
}

/// A timer for what is to be done when nobody pushes and nothing comes. One that finds a full mailbox is lost, but then there
/// is mail, and this is called again.
fn set_timer<A: Peer>(service: &mut A, cx: &mut Context<'_, A>) {
    let packets = service.packets();
    let now = cx.now();
    if packets.to_send.is_empty() && packets.timer.is_some_and(|(at, _)| at > now) {
        return; // nothing was refused, and what is under way was sent after what the timer is for
    }
    let Some(next) = packets.next_time() else { return };
    match packets.timer {
        Some((at, _)) if at > now && at <= next => return,
        Some((_, timer)) => drop(cx.cancel(timer)),
        None => {}
    }
    let (me, from, life) = (cx.address(), packets.me, packets.life);
    let word = Packet { from, life, to: life, number: 0, taken: 0, items: Vec::new(), bytes: 0 };
    match cx.after(next.since(now), me, word) {
        Ok(timer) => packets.timer = Some((next, timer)),
        Err(error) => {
            // The shard's timers are used up. What was refused is tried again without a pause: it costs turns, and goes on.
            packets.timer = None;
            if packets.try_all_again() {
                let _ = cx.send_at(Priority::Low, me, error.into_inner()); // full: there is mail, and this is called again
            }
        }
    }
}

static LIVES: AtomicU64 = AtomicU64::new(1);
/// As many go at once, so that who takes them comes to its other mail soon.
const ITEMS_MAX: usize = 1024;
const BACK_OFF_MIN: Duration = Duration::from_millis(1);
const BACK_OFF_MAX: Duration = Duration::from_millis(64);
/// A packet that was not taken after so long may be one that its receiver died of.
const DOUBT: Duration = Duration::from_secs(5);
