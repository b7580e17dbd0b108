//! Packets between services: whatever lanes and mailboxes refuse, every item comes once and in order; and a service that has
//! ended keeps nothing of the others.

use corewire::actor::Restart;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Faults};
use corewire_actors::packets::{Packet, Packets, Peer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const SHARDS: u16 = 4;
/// Said once, it makes its receiver panic.
const POISON: u64 = u64::MAX;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    /// By from and to.
    pushed: HashMap<(u16, u16), u64>,
    came: HashMap<(u16, u16), u64>,
    gone: Vec<(u16, u16)>,
    waiting: usize,
    came_back: u64,
    /// Messages that were handled, against items that came.
    packets: u64,
}

type Shared = Arc<Mutex<Book>>;

struct Post {
    book: Shared,
    packets: Packets<u64>,
}

/// Push so many items to a shard; each that comes may cause one back.
struct Push(u16, u64);
/// Takes room in the mailbox, so often.
struct Noise(u32);
/// Makes a service push this.
struct Kill(u16);
struct Look;

impl Post {
    fn push(&mut self, from: u16, to: u16) {
        let mut book = self.book.lock().unwrap();
        let number = book.pushed.entry((from, to)).or_default();
        *number += 1;
        self.packets.push(ShardId(to), *number);
    }
}

impl Actor for Post {
    const AS_SERVICE: Restart = Restart::Never;
    const MAILBOX_SLOTS: Option<u32> = Some(2);

    fn returned(&mut self, returned: Returned, cx: &mut Context<Self>) {
        self.book.lock().unwrap().came_back += 1;
        assert!(self.take_back(returned, cx).is_none(), "nothing else is sent");
    }
}

impl Peer for Post {
    type Item = u64;

    fn packets(&mut self) -> &mut Packets<u64> {
        &mut self.packets
    }

    fn item(&mut self, ShardId(from): ShardId, item: u64, cx: &mut Context<Self>) {
        let ShardId(me) = cx.shard();
        if item == POISON {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        let last = std::mem::replace(self.book.lock().unwrap().came.entry((from, me)).or_default(), item);
        assert_eq!(item, last + 1, "from {from} to {me}: items come once and in order");
        if item.is_multiple_of(3) {
            self.push(me, from);
        }
    }

    fn gone(&mut self, ShardId(shard): ShardId, cx: &mut Context<Self>) {
        self.book.lock().unwrap().gone.push((cx.shard().0, shard));
    }
}

impl Handler<Packet<u64>> for Post {
    type Reply = ();
    fn handle(&mut self, packet: Packet<u64>, cx: &mut Context<Self>) {
        self.book.lock().unwrap().packets += 1;
        self.take_packet(packet, cx);
    }
}

impl Handler<Push> for Post {
    type Reply = ();
    fn handle(&mut self, Push(to, items): Push, cx: &mut Context<Self>) {
        let me = cx.shard().0;
        (0..items).for_each(|_| self.push(me, to));
        self.flush_packets(cx);
    }
}

impl Handler<Noise> for Post {
    type Reply = ();
    fn handle(&mut self, Noise(left): Noise, cx: &mut Context<Self>) {
        let me = cx.address();
        if left > 0 {
            let _ = cx.send(me, Noise(left - 1)); // full: there is enough of it
        }
        self.flush_packets(cx);
    }
}

impl Handler<Kill> for Post {
    type Reply = ();
    fn handle(&mut self, Kill(whom): Kill, cx: &mut Context<Self>) {
        self.packets.push(ShardId(whom), POISON);
        self.flush_packets(cx);
    }
}

impl Handler<Look> for Post {
    type Reply = ();
    fn handle(&mut self, _: Look, _: &mut Context<Self>) {
        let waiting: usize = (0..SHARDS).map(|shard| self.packets.waiting(ShardId(shard))).sum();
        self.book.lock().unwrap().waiting += waiting;
    }
}

#[test]
fn items_of_packets_come_once_and_in_order_whatever_is_refused() {
    let seen = Mutex::new([0; 4]);
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let timers = [0, 1, 100][seed as usize / 9 % 3];
        let mut rng = fastrand::Rng::with_seed(seed);
        let book = Shared::default();
        let theirs = book.clone();
        let make = move |shard| Post { book: theirs.clone(), packets: Packets::of(shard) };
        let mut world = world.shards(SHARDS).service(make).faults(Faults::swarm(seed));
        world = world.configure(|config| {
            config.lane_slots = 2 << (seed % 3);
            config.batch = [1, 2, 32][seed as usize / 3 % 3];
            config.timers_max = timers;
        });
        let outside = world.outside();
        let posts: Vec<_> = outside.services::<Post>().collect();
        let mut say = |world: &mut sim::World, victim: Option<u16>| {
            for _ in 0..60 {
                let (from, to) = (rng.usize(0..posts.len()), rng.u16(0..SHARDS));
                let items = [1, 2, 1500][rng.usize(0..3)];
                let known = victim.is_none_or(|victim| usize::from(victim) != from);
                if known && outside.send(posts[from], Push(to, items)).is_err() {
                    continue;
                }
                for _ in 0..rng.u8(0..4) {
                    let _ = outside.send(posts[usize::from(to)], Noise(20));
                }
                world.run_for(rng.u64(0..2));
            }
            world.run_for(20_000);
        };
        say(&mut world, None);
        {
            let mut book = book.lock().unwrap();
            // What was said from outside into a full mailbox has not come; what was pushed has.
            assert_eq!(book.came, book.pushed, "nothing is lost");
            assert!(book.gone.is_empty());
            let items: u64 = book.came.values().sum();
            seen.lock()
                .unwrap()
                .iter_mut()
                .zip([items, book.packets, book.came_back])
                .for_each(|(sum, n)| *sum += n);
            book.waiting = 0;
        }
        let mut panics = 0;
        if seed % 2 == 0 && timers > 0 {
            let victim = seed as u16 / 2 % SHARDS;
            outside.send(posts[usize::from((victim + 1) % SHARDS)], Kill(victim)).expect("there is room");
            panics = 1;
            say(&mut world, Some(victim));
            let mut book = book.lock().unwrap();
            book.gone.sort_unstable();
            let by = |shard| (shard, victim);
            assert!(book.gone.contains(&by((victim + 1) % SHARDS)), "who killed it hears of it");
            assert!(book.gone.is_sorted_by(|a, b| a < b), "and everybody once: {:?}", book.gone);
            seen.lock().unwrap()[3] += book.gone.len() as u64;
            for (pair, came) in &book.came {
                assert!(pair.0 == victim || pair.1 == victim || book.pushed[pair] == *came, "{pair:?}");
            }
        }
        for &post in &posts {
            let _ = outside.send(post, Look); // one may be gone
        }
        world.run_for(100);
        assert_eq!(book.lock().unwrap().waiting, 0, "nothing is kept, for nobody");
        world.shut_down_after_panics(panics);
    });
    let [items, packets, came_back, gone] = seen.into_inner().unwrap();
    println!("{items} items in {packets} packets, {came_back} came back, {gone} heard of an end");
    assert!(packets * 20 < items && came_back > 1000 && gone > 200, "too little happened to tell");
}
