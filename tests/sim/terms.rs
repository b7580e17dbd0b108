//! What waits for a client that is behind, and what is dropped: what the terms say, and nothing else.

use super::board::{Board, Enter, Post, long, names};
use corewire::actor::{LOW_WAITS, Priority};
use corewire::connection::{Delivered, Slow};
use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use std::time::Duration;

struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (board, me) = (cx.service::<Board>().expect("one is on each shard"), cx.address().id());
        Ok(cx.send(board, Enter(me))?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn a_client_that_keeps_up_hears_every_frame_once_and_in_order_whatever_the_terms() {
    sim::check(super::seeds(100), |world| {
        let mut faults = Faults::swarm(world.seed());
        for fault in [Fault::Cut, Fault::ShortSend, Fault::RefusedSend, Fault::SmallBuffers] {
            faults = faults.with(fault, 0.0);
        }
        let (world, log) = Board::in_world(world.shards(2).faults(faults));
        let mut world = world.at("/", |_: &Upgrade| Ok(Member));
        let clients: Vec<usize> =
            (0..5).map(|_| world.client(Client::at("/").wait(Duration::from_secs(2)).close(1000))).collect();
        world.run_for(1000);
        let mut rng = fastrand::Rng::with_seed(world.seed());
        let mut said = Vec::new();
        for _ in 0..30 {
            let mut posts = Vec::new();
            for _ in 0..rng.usize(1..5) {
                let mut post = some_post(&mut rng, &mut said, 300);
                (post.queue_frames, post.queue_bytes) = (1, 1);
                posts.push(post);
            }
            Board::post(&mut world, posts);
            world.run_for(rng.u64(0..3));
        }
        world.run_until_quiet(60_000);
        for client in clients {
            assert_eq!(names(world.report(client)), said, "client {client}");
        }
        assert!(log.lock().unwrap().iter().all(|delivered| *delivered == Delivered::Sent));
        world.shut_down();
    });
}

/// One to three frames of some room on some terms. Their names are added to `said`.
fn some_post(rng: &mut fastrand::Rng, said: &mut Vec<String>, bytes_max: usize) -> Post {
    let room = rng.u32(0..3);
    let slow = [Slow::DropOldest, Slow::DropNewest, Slow::KeepLatest][room as usize];
    let mut frames = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let name = format!("{room}/{}", said.len());
        frames.push((long(&name, rng.usize(0..bytes_max)), Some(rng.u64(0..4)).filter(|&key| key > 0)));
        said.push(name);
    }
    let priorities = [Priority::Low, Priority::Normal, Priority::Normal, Priority::High, Priority::Critical];
    Post {
        room,
        priority: *rng.choice(&priorities).expect("there are some"),
        keeps_order: false,
        slow,
        queue_frames: [5, 40, 12][room as usize],
        queue_bytes: [1500, 9000, 2000][room as usize],
        frames,
    }
}

/// What waits, counted again each time.
#[derive(Default)]
struct Model {
    classes: [Vec<Waits>; 4],
    dropped: u64,
}

#[derive(Clone)]
struct Waits {
    room: u32,
    key: Option<u64>,
    bytes: usize,
    name: String,
}

impl Model {
    fn share(&self, room: u32) -> (u32, usize) {
        let of_room = self.classes.iter().flatten().filter(|waits| waits.room == room);
        of_room.fold((0, 0), |(frames, bytes), waits| (frames + 1, bytes + waits.bytes))
    }

    fn post(&mut self, post: &Post) -> Delivered {
        let before = self.dropped;
        for (says, key) in &post.frames {
            let header_bytes = if says.len() < 126 { 2 } else { 4 };
            let name = says.split(' ').next().unwrap_or_default().to_owned();
            self.add(post, Waits { room: post.room, key: *key, bytes: header_bytes + says.len(), name });
        }
        let (frames, bytes) = self.share(post.room);
        Delivered::Waits { frames, bytes, dropped: (self.dropped - before) as u32 }
    }

    fn add(&mut self, post: &Post, new: Waits) {
        let class = &mut self.classes[post.priority as usize];
        let same = |waits: &Waits| waits.room == new.room && waits.key == new.key;
        if post.slow == Slow::KeepLatest
            && new.key.is_some()
            && let Some(at) = class.iter().position(same)
        {
            class.remove(at);
            self.dropped += 1;
        }
        loop {
            let (frames, bytes) = self.share(post.room);
            if frames == 0 || frames < post.queue_frames && bytes + new.bytes <= post.queue_bytes as usize {
                return self.classes[post.priority as usize].push(new);
            }
            if post.slow == Slow::DropNewest || !self.drop_one(post) {
                self.dropped += 1;
                return;
            }
        }
    }

    fn drop_one(&mut self, post: &Post) -> bool {
        for class in &mut self.classes[..=post.priority as usize] {
            if let Some(at) = class.iter().position(|waits| waits.room == post.room) {
                class.remove(at);
                self.dropped += 1;
                return true;
            }
        }
        false
    }

    /// In the order in which it is heard.
    fn heard(self) -> Vec<String> {
        let [low, normal, high, critical] = self.classes;
        let mut others = critical.into_iter().chain(high).chain(normal).map(|waits| waits.name);
        let mut heard = Vec::new();
        for low in low {
            heard.extend(others.by_ref().take(LOW_WAITS as usize));
            heard.push(low.name);
        }
        heard.extend(others);
        heard
    }
}

/// A world whose one client does not read for a while, and so much is on its way already that nothing more is sent.
fn world_with_one_who_is_behind(world: World, then: impl FnOnce(Client) -> Client) -> (World, usize) {
    let mut world = world.at("/", |_: &Upgrade| Ok(Member));
    let script = Client::at("/").stop_reading().wait(Duration::from_millis(100)).read_again();
    let client = world.client(then(script));
    world.run_for(20);
    Board::post(&mut world, vec![Post::plain(99, long("filler", 8000))]);
    world.run_for(1);
    (world, client)
}

fn behind() -> Faults {
    Faults::none().with(Fault::SmallBuffers, 1.0)
}

#[test]
fn for_a_client_that_is_behind_exactly_what_the_terms_say_waits_and_comes_in_order_of_priority() {
    sim::check(super::seeds(300), |world| {
        let rate = 0.3 * (world.seed() % 2) as f64;
        let faults =
            behind().with(Fault::ShortSend, rate).with(Fault::RefusedSend, rate).with(Fault::Split, rate);
        let (world, log) = Board::in_world(world.faults(faults));
        let (mut world, client) =
            world_with_one_who_is_behind(world, |client| client.wait(Duration::from_secs(5)).close(1000));
        let mut rng = fastrand::Rng::with_seed(world.seed());
        let (mut model, mut said, mut expected) = (Model::default(), Vec::new(), vec![Delivered::Sent]);
        for _ in 0..rng.usize(1..60) {
            let post = some_post(&mut rng, &mut said, 600);
            expected.push(model.post(&post));
            Board::post(&mut world, vec![post]);
        }
        world.run_for(10);
        assert_eq!(*log.lock().unwrap(), expected);
        let dropped = model.dropped;
        world.run_until_quiet(60_000);
        let stats = world.stats();
        let heard = names(world.report(client));
        assert_eq!(heard[0], "filler");
        assert_eq!(heard[1..], model.heard());
        assert_eq!(stats.slow_dropped, dropped);
        assert_eq!(stats.messages_out as usize, heard.len(), "what was dropped was not sent");
        world.shut_down();
    });
}

#[test]
fn where_a_room_closes_the_slow_they_hear_1013_and_nothing_of_what_waited_and_are_counted_once() {
    sim::check(super::seeds(50), |world| {
        let (world, log) = Board::in_world(world.faults(behind()));
        let world = world.configure(|config| config.rules.close_timeout = Duration::from_secs(1));
        let (mut world, client) = world_with_one_who_is_behind(world, |client| client);
        let closing = Post { slow: Slow::Close, queue_frames: 3, ..Post::plain(1, "") };
        let three = Post { frames: (0..3).map(|n| (format!("c/{n}"), None)).collect(), ..closing.clone() };
        let two = Post { frames: (3..5).map(|n| (format!("c/{n}"), None)).collect(), ..closing };
        Board::post(&mut world, vec![Post::plain(2, "other"), three, two, Post::plain(2, "late")]);
        world.run_for(10);
        let delivered = log.lock().unwrap().split_off(1);
        assert_eq!(delivered[1], Delivered::Waits { frames: 3, bytes: 15, dropped: 0 });
        assert_eq!(delivered[2..], [Delivered::TooSlow { dropped: 6 }, Delivered::Gone]);
        world.run_until_quiet(60_000);
        let stats = world.stats();
        let report = world.report(client);
        assert_eq!(names(report), ["filler"]);
        assert_eq!((report.close_code(), report.heard.last()), (Some(Some(1013)), Some(&Heard::End)));
        assert_eq!((stats.slow_closed, stats.slow_dropped), (1, 6));
        world.shut_down();
    });
}

#[test]
fn all_rooms_of_a_client_together_have_half_a_queue_and_none_is_left_without_any() {
    let (world, log) = Board::in_world(World::new(3).faults(behind()));
    let world = world.configure(|config| config.rules.send_queue_bytes_max = 40_000);
    let (mut world, client) =
        world_with_one_who_is_behind(world, |client| client.until_heard(23).close(1000));
    for n in 0..30 {
        Board::post(&mut world, vec![Post::plain(n % 2, long(n, 996))]); // 1000 with its header
    }
    Board::post(&mut world, vec![Post::plain(2, long("too", 996)), Post::plain(3, "little")]);
    world.run_for(10);
    let delivered = log.lock().unwrap().split_off(1);
    assert_eq!(delivered[19], Delivered::Waits { frames: 10, bytes: 10_000, dropped: 0 });
    assert_eq!(delivered[29], Delivered::Waits { frames: 10, bytes: 10_000, dropped: 1 });
    assert_eq!(delivered[30], Delivered::Waits { frames: 0, bytes: 0, dropped: 1 });
    assert_eq!(
        delivered[31],
        Delivered::Waits { frames: 1, bytes: 8, dropped: 0 },
        "a 64th of it is its own"
    );
    world.run_for(100);
    let expected: Vec<String> =
        std::iter::once("filler".into()).chain((10..30).map(|n: u32| n.to_string())).collect();
    let expected: Vec<String> = expected.into_iter().chain(["little".to_owned()]).collect();
    assert_eq!(names(world.report(client)), expected);
    world.shut_down();
}

#[test]
fn one_frame_may_wait_whatever_its_size() {
    let (world, log) = Board::in_world(World::new(4).faults(behind()));
    let (mut world, client) = world_with_one_who_is_behind(world, |client| client.until_heard(2).close(1000));
    let large = Post { queue_bytes: 1, ..Post::plain(0, long("large", 700_000)) };
    Board::post(&mut world, vec![large]);
    world.run_until_quiet(60_000);
    assert_eq!(names(world.report(client)), ["filler", "large"]);
    assert_eq!(log.lock().unwrap()[1], Delivered::Waits { frames: 1, bytes: 700_010, dropped: 0 });
    world.shut_down();
}
