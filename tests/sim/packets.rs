//! Packets between services: whatever lanes and mailboxes refuse, every item comes once and in order; and when a service
//! fails, all hear that it was made anew, and nothing of its former life comes to anybody.

use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Faults};
use corewire_actors::packets::{Packet, Packets, Peer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const SHARDS: u16 = 4;
/// What each item is said to hold.
const BYTES: usize = 100;
/// Said once, it makes its receiver panic.
const POISON: u64 = u64::MAX;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    /// By from and to.
    pushed: HashMap<(u16, u16), u64>,
    came: HashMap<(u16, u16), u64>,
    /// Who has heard that whose service was made anew.
    anew: Vec<(u16, u16)>,
    /// How often each was made.
    made: [u32; SHARDS as usize],
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
        self.packets.push_with(ShardId(to), *number, BYTES);
        let (items, bytes) = (self.packets.waiting(ShardId(to)), self.packets.waiting_bytes(ShardId(to)));
        assert!(from == to || bytes >= items * BYTES, "{items} items of {bytes} bytes");
    }
}

impl Actor for Post {
    const MAILBOX_SLOTS: Option<u32> = Some(2);

    fn started(&mut self, cx: &mut Context<Self>) {
        let ShardId(me) = cx.shard();
        {
            let mut book = self.book.lock().unwrap();
            book.made[usize::from(me)] += 1;
            // It has heard nothing, and has said nothing.
            book.pushed.retain(|&(from, _), _| from != me);
            book.came.retain(|&(_, to), _| to != me);
        }
        self.flush_packets(cx);
    }

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

    fn anew(&mut self, ShardId(shard): ShardId, cx: &mut Context<Self>) {
        let ShardId(me) = cx.shard();
        {
            let mut book = self.book.lock().unwrap();
            book.anew.push((me, shard));
            book.pushed.remove(&(me, shard));
            book.came.remove(&(shard, me));
        }
        self.push(me, shard); // to the new one
    }

    fn gone(&mut self, shard: ShardId, _: &mut Context<Self>) {
        panic!("{shard} is not for good");
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
        self.packets.push_with(ShardId(whom), POISON, BYTES);
        self.flush_packets(cx);
    }
}

impl Handler<Look> for Post {
    type Reply = ();
    fn handle(&mut self, _: Look, _: &mut Context<Self>) {
        let of = |shard| self.packets.waiting(ShardId(shard)) + self.packets.waiting_bytes(ShardId(shard));
        self.book.lock().unwrap().waiting += (0..SHARDS).map(of).sum::<usize>();
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
        let mut say = |world: &mut sim::World, kills: bool| {
            for n in 0..60 {
                let (from, to) = (rng.usize(0..posts.len()), rng.u16(0..SHARDS));
                let items = [1, 2, 1500][rng.usize(0..3)];
                if outside.send(posts[from], Push(to, items)).is_err() {
                    continue;
                }
                for _ in 0..rng.u8(0..4) {
                    let _ = outside.send(posts[usize::from(to)], Noise(20));
                }
                if kills && n % 20 == 0 {
                    let _ = outside.send(posts[from], Kill(to)); // full: it lives on
                }
                world.run_for(rng.u64(0..2));
            }
            world.run_for(60_000);
        };
        let check_all_came = |book: &Book| {
            // What was said from outside into a full mailbox has not come; what was pushed has.
            assert_eq!(book.came, book.pushed, "nothing is lost");
        };
        say(&mut world, false);
        {
            let mut book = book.lock().unwrap();
            check_all_came(&book);
            assert!(book.anew.is_empty());
            let items: u64 = book.came.values().sum();
            let sums = [items, book.packets, book.came_back];
            seen.lock().unwrap().iter_mut().zip(sums).for_each(|(sum, n)| *sum += n);
            book.waiting = 0;
        }
        if seed % 2 == 0 && timers > 0 {
            say(&mut world, true);
            let book = book.lock().unwrap();
            check_all_came(&book);
            let mut anew = vec![];
            for shard in 0..SHARDS {
                let lives = book.made[usize::from(shard)];
                for other in (0..SHARDS).filter(|&other| other != shard) {
                    // Who was made anew later knows it by no other life.
                    let heard = book.anew.iter().filter(|&&heard| heard == (other, shard)).count() as u32;
                    assert!(heard < lives, "{other} heard {heard} times that {shard} was made anew");
                    let is_first = book.made[usize::from(other)] == 1;
                    assert!(
                        heard > 0 || lives == 1 || !is_first,
                        "{other} has not heard that {shard} was made anew"
                    );
                    anew.push(heard);
                }
            }
            seen.lock().unwrap()[3] += anew.iter().map(|&heard| u64::from(heard)).sum::<u64>();
        }
        let panics = book.lock().unwrap().made.iter().map(|&made| u64::from(made) - 1).sum();
        for &post in &posts {
            outside.send(post, Look).expect("there is room");
        }
        world.run_for(100);
        assert_eq!(book.lock().unwrap().waiting, 0, "nothing is kept, for nobody");
        world.shut_down_after_panics(panics);
    });
    let [items, packets, came_back, anew] = seen.into_inner().unwrap();
    println!("{items} items in {packets} packets, {came_back} came back, {anew} heard of a new life");
    assert!(packets * 20 < items && came_back > 1000 && anew > 300, "too little happened to tell");
}
