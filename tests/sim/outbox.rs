//! What a session says, what others deliver to its client, and what the protocol owes, on one connection at a time when
//! its client is behind.

use super::board::{Board, Enter, Hold, Log, Post, long, names};
use corewire::actor::{ActorId, Priority};
use corewire::connection::Delivered;
use corewire::connection::middleware::outbound;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use corewire::wire::Kind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Does what its client says.
#[derive(Default)]
struct Talker {
    said: usize,
    queued_bytes_max: Arc<Mutex<usize>>,
}

/// Says something urgent.
struct Alarm;

impl Session for Talker {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (board, me) = (cx.service::<Board>().expect("one is on each shard"), cx.address().id());
        Ok(cx.send(board, Enter(me))?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let queued = cx.client().queued_bytes();
        let mut most = self.queued_bytes_max.lock().expect("nobody panics with it");
        *most = queued.max(*most);
        drop(most);
        match message.as_text() {
            Some("row") => Ok(cx.client().stream(Kind::Text).write(&[b'r'; ROW_BYTES])?),
            Some("end") => Ok(cx.client().stream(Kind::Text).finish()?),
            Some("say") => self.say(cx),
            Some("fill") => self.fill(cx),
            Some("bye") => Err(Close::new(4000, "as you like")),
            _ => Ok(cx.client().send(message)?),
        }
    }
}

impl Talker {
    /// Thirty messages of all sizes and priorities.
    fn say(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let priorities =
            [Priority::Normal, Priority::Normal, Priority::Low, Priority::High, Priority::Critical];
        for _ in 0..30 {
            let priority = priorities[self.said % 5];
            let text = long(format!("{priority:?}/{}", self.said), self.said * 379 % 2000);
            cx.client().send_text_at(priority, &text)?;
            self.said += 1;
        }
        Ok(())
    }

    /// Nearly a whole queue; and then it has something urgent to say.
    fn fill(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        for n in 0..60 {
            let text = long(format!("n{n}"), FILL_BYTES[n % FILL_BYTES.len()]);
            if n % 10 == 3 {
                let mut client = cx.client();
                let mut stream = client.stream(Kind::Text);
                for part in text.as_bytes().chunks(text.len() / 3 + 1) {
                    stream.write(part)?;
                }
                stream.finish()?;
            } else {
                cx.client().send_text(&text)?;
            }
        }
        let me = cx.address();
        cx.after(Duration::from_millis(20), me, Alarm).expect("a shard has timers left");
        Ok(())
    }
}

impl Handler<Alarm> for Talker {
    type Reply = ();
    fn handle(&mut self, _: Alarm, cx: &mut Context<Self>) {
        cx.client().send_text_at(Priority::Critical, "alarm").expect("there is room");
    }
}

const ROW_BYTES: usize = 130;
/// From gathered ones to such that are sent from where they are.
const FILL_BYTES: [usize; 7] = [16_000, 300, 30_000, 512, 20_000, 9_000, 40_000];

/// A world of such, and the log of its boards.
fn world_of_talkers(world: World) -> (World, Log) {
    let (world, log) = Board::in_world(world);
    let world = world.at("/", |_: &Upgrade| Ok(Talker::default())).configure(super::sessions::patient);
    (world, log)
}

fn without_cuts(world: &World) -> Faults {
    Faults::swarm(world.seed()).with(Fault::Cut, 0.0).with(Fault::AcceptFailure, 0.0)
}

#[test]
fn nothing_comes_between_the_fragments_of_a_message_and_what_waited_for_its_end_comes_then() {
    sim::check(super::seeds(200), |world| {
        let faults = without_cuts(&world);
        let (mut world, _) = world_of_talkers(world.shards(2).faults(faults));
        let mut script = Client::at("/").wait(Duration::from_millis(190));
        for _ in 0..3 {
            for _ in 0..8 {
                script = script.text("row").wait(Duration::from_millis(3));
            }
            script = script.text("end");
        }
        let script = script.until_heard(63).close(1000);
        let clients = [
            world.client(script.clone()),
            world.client(script.clone().reads_slowly(90, Duration::from_millis(2))),
            world.client(script.reads_slowly(1000, Duration::from_millis(5))),
        ];
        world.run_for(200);
        let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        for n in 0..60 {
            let priority = priorities[n * 7 % 4];
            let post = Post { priority, ..Post::plain(0, long(format!("{priority:?}/{n}"), n * 53 % 900)) };
            Board::post(&mut world, vec![post]);
            world.run_for(world.seed() % 3);
        }
        world.run_until_quiet(7_200_000);
        for client in clients {
            let heard = names(world.report(client));
            let rows = "r".repeat(8 * ROW_BYTES);
            assert_eq!(heard.iter().filter(|name| ***name == rows).count(), 3, "client {client}");
            for priority in priorities {
                check_in_order(&heard, &format!("{priority:?}/"), 15);
            }
        }
        world.shut_down();
    });
}

/// Those with this prefix are so many, in the order of their numbers.
fn check_in_order(names: &[&str], prefix: &str, count: usize) {
    let numbers = names.iter().filter_map(|name| name.strip_prefix(prefix)?.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{prefix}: {numbers:?}");
    assert_eq!(numbers.len(), count, "{prefix}: {numbers:?}");
}

#[test]
fn what_a_session_says_is_never_dropped_for_a_room_keeps_its_order_and_is_heard_before_its_close() {
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let faults = without_cuts(&world);
        let (mut world, _) = world_of_talkers(world.faults(faults));
        let script =
            Client::at("/").text("say").wait(Duration::from_millis(5)).text("say").text("say").text("bye");
        let clients = [
            world.client(script.clone()),
            world.client(script.clone().reads_slowly(200, Duration::from_millis(2))),
            world.client(script.reads_slowly(2000, Duration::from_millis(20))),
        ];
        for n in 0..60 {
            let post = Post { queue_frames: 5, ..Post::plain(n % 2, long(format!("post/{n}"), 900)) };
            Board::post(&mut world, vec![post]);
            world.run_for(seed % 4);
        }
        world.run_until_quiet(7_200_000);
        for client in clients {
            let report = world.report(client);
            let heard = names(report);
            for (priority, count) in [("Normal/", 36), ("Low/", 18), ("High/", 18), ("Critical/", 18)] {
                check_in_order(&heard, priority, count);
            }
            assert_eq!((report.close_code(), report.heard.last()), (Some(Some(4000)), Some(&Heard::End)));
        }
        world.shut_down();
    });
}

#[test]
fn who_is_behind_is_read_from_no_faster_than_it_hears() {
    sim::check(super::seeds(50), |world| {
        let most = Arc::new(Mutex::new(0));
        let queued_bytes_max = most.clone();
        let (world, _) = Board::in_world(world.faults(Faults::none().with(Fault::SmallBuffers, 1.0)));
        let world = world.configure(|config| config.rules.send_queue_bytes_max = 400_000);
        let mut world = world
            .at("/", move |_: &Upgrade| Ok(Talker { said: 0, queued_bytes_max: queued_bytes_max.clone() }))
            .configure(super::sessions::patient);
        let mut script = Client::at("/").wait(Duration::from_millis(21)).stop_reading();
        let echoes: Vec<Vec<u8>> = (0..100).map(|n| vec![n; 20_000]).collect();
        for echo in &echoes {
            script = script.binary(echo.clone(), 1);
        }
        let script = script.wait(Duration::from_secs(600)).read_again().until_heard(101).close(1000);
        let client = world.client(script.reads_slowly(7_000, Duration::from_millis(1)));
        world.run_for(20);
        // What waits is a room's, which is not the session's, and a client that does not take it is behind all the same.
        Board::post(&mut world, vec![Post::plain(0, long("room", 50_000))]);
        world.run_for(60_000);
        // It takes nothing. What it says is read until its answers are a quarter of a queue, and then waits on its side.
        let read = world.stats().messages_in;
        assert!(read <= 6, "{read} messages of 20,000 bytes were read, though no answer is taken");
        let mut before = 0;
        while world.report(client).messages().count() < 101 {
            world.run_for(200);
            let (read, heard) = (world.stats().messages_in, world.report(client).messages().count() as u64);
            assert!(read <= heard + 6, "{read} messages were read when {heard} had been heard");
            assert!(world.now().as_millis() < 7_200_000, "{before} {heard}");
            before = heard;
        }
        world.run_until_quiet(7_200_000);
        let heard = world.report(client).messages();
        let heard: Vec<_> = heard.filter(|heard| matches!(heard, Heard::Binary(_))).cloned().collect();
        assert!(heard == echoes.into_iter().map(Heard::Binary).collect::<Vec<_>>());
        let most = *most.lock().unwrap();
        assert!(most < 200_000, "{most} bytes waited");
        world.shut_down();
    });
}

#[test]
fn pings_are_answered_before_what_waits() {
    sim::check(super::seeds(50), |world| {
        let (world, _) = world_of_talkers(world.faults(Faults::none().with(Fault::SmallBuffers, 1.0)));
        let mut world = world.configure(|config| config.rules.send_queue_bytes_max = 8 << 20);
        let script =
            Client::at("/").wait(Duration::from_millis(30)).ping(b"there?").until_heard(1001).close(1000);
        let client = world.client(script.reads_slowly(1000, Duration::from_millis(2)));
        world.run_for(20);
        Board::post(&mut world, vec![Post::plain(0, long("filler", 8000))]);
        world.run_for(1);
        Board::post(&mut world, (0..1000).map(|n| Post::plain(0, long(n, 1000))).collect());
        world.run_until_quiet(60_000);
        let heard = &world.report(client).heard;
        let pong = heard.iter().position(|heard| *heard == Heard::Pong(b"there?".to_vec()));
        assert!(pong.is_some_and(|at| at < 950), "{pong:?}");
        world.shut_down();
    });
}

#[test]
fn a_client_whose_reads_are_held_is_not_heard_until_they_are_released_but_for_its_close() {
    sim::check(super::seeds(50), |world| {
        let (mut world, _) = world_of_talkers(world);
        let ann = world
            .client(Client::at("/").wait(Duration::from_millis(50)).text("hello").until_heard(1).close(1000));
        let bob = world.client(Client::at("/").wait(Duration::from_millis(50)).text("hello"));
        world.run_for(20);
        let board = world.outside().service_on::<Board>(ShardId(0)).expect("it is there");
        world.send(board, Hold(true)).expect("there is room");
        world.run_for(300_000); // silent, and not idle
        for client in [ann, bob] {
            assert_eq!(world.report(client).heard, []);
        }
        if world.seed() % 2 == 0 {
            world.send(board, Hold(false)).expect("there is room");
            world.run_for(100);
            assert_eq!(names(world.report(ann)), ["hello"]);
            assert_eq!(names(world.report(bob)), ["hello"]);
        }
        world.drain();
        world.run_until_quiet(100);
        assert_eq!(world.report(bob).heard.last(), Some(&Heard::End), "it has said close too, and was heard");
        world.shut_down();
    });
}

#[test]
fn middleware_sees_what_is_delivered_and_what_it_makes_of_that_waits_on_the_rooms_terms() {
    sim::check(super::seeds(20), |world| {
        let (world, log) = Board::in_world(world.faults(Faults::none().with(Fault::SmallBuffers, 1.0)));
        let shout = |_: &Upgrade<'_>| {
            Ok(outbound(|message: Message, passage| match message.as_text() {
                Some(text) if text.starts_with("secret") => Ok(None),
                Some(text) => Ok(Some(passage.text(&text.to_uppercase())?)),
                None => Ok(Some(message)),
            }))
        };
        let mut world = world.with(shout).at("/", |_: &Upgrade| Ok(Talker::default()));
        let script = Client::at("/").stop_reading().wait(Duration::from_millis(100)).read_again();
        let client = world.client(script.until_heard(4).close(1000));
        world.run_for(20);
        let two = Post { queue_frames: 2, ..Post::plain(1, "") };
        let says = |post: &Post, says: &[&str]| Post {
            frames: says.iter().map(|says| ((*says).to_owned(), None)).collect(),
            ..post.clone()
        };
        Board::post(&mut world, vec![Post::plain(0, long("filler", 8000))]);
        world.run_for(1);
        Board::post(&mut world, vec![says(&two, &["a", "b", "secret", "c"])]);
        let urgent = Post { priority: Priority::Critical, ..Post::plain(2, "now") };
        Board::post(&mut world, vec![urgent]);
        world.run_until_quiet(60_000);
        assert_eq!(names(world.report(client)), ["FILLER", "NOW", "B", "C"]);
        let one = Delivered::Waits { frames: 1, bytes: 5, dropped: 0 };
        assert_eq!(
            *log.lock().unwrap(),
            [Delivered::Sent, Delivered::Waits { frames: 2, bytes: 6, dropped: 1 }, one]
        );
        world.shut_down();
    });
}

#[test]
fn what_waits_for_a_streams_end_comes_though_middleware_has_put_it_together() {
    let (world, _) = Board::in_world(World::new(1));
    let all = |_: &Upgrade<'_>| Ok(outbound(|message: Message, _: &mut Passage<'_>| Ok(Some(message))));
    let mut world = world.with(all).at("/", |_: &Upgrade| Ok(Talker::default()));
    let script = Client::at("/").text("row").wait(Duration::from_millis(50)).text("end");
    let client = world.client(script.until_heard(2).close(1000));
    world.run_for(20);
    Board::post(&mut world, vec![Post::plain(0, "post")]);
    world.run_until_quiet(1000);
    assert_eq!(names(world.report(client)).len(), 2);
    world.shut_down();
}

#[test]
fn middleware_that_panics_ends_its_own_connection_and_not_who_delivers() {
    let (world, log) = Board::in_world(World::new(1));
    let fragile = |_: &Upgrade<'_>| {
        Ok(outbound(|message: Message, _: &mut Passage<'_>| {
            assert_ne!(message.as_text(), Some("two"), "on purpose");
            Ok(Some(message))
        }))
    };
    let world = world.at("/", |_: &Upgrade| Ok(Talker::default()));
    let mut world = world.with(fragile).at("/fragile", |_: &Upgrade| Ok(Talker::default()));
    let fragile = world.client(Client::at("/fragile"));
    let other = world.client(Client::at("/").until_heard(3).close(1000).later(Duration::from_millis(5)));
    world.run_for(20);
    Board::post(&mut world, ["one", "two", "three"].map(|says| Post::plain(0, says)).into());
    world.run_until_quiet(1000);
    assert_eq!(names(world.report(fragile)), ["one"]);
    assert_eq!(world.report(fragile).close_code(), Some(Some(1011)));
    assert_eq!(names(world.report(other)), ["one", "two", "three"]);
    assert_eq!(log.lock().unwrap()[2], Delivered::Gone);
    world.shut_down_after_panics(1);
}

#[test]
fn a_close_into_an_open_stream_is_heard_and_what_waited_for_its_end_is_not() {
    sim::check(super::seeds(50), |world| {
        let faults = without_cuts(&world);
        let (mut world, _) = world_of_talkers(world.faults(faults));
        let script = Client::at("/").text("row").wait(Duration::from_millis(300)).text("bye");
        let client = world.client(script.reads_slowly(100, Duration::from_millis(1)));
        world.run_for(250);
        Board::post(&mut world, vec![Post::plain(0, "post")]);
        world.run_until_quiet(7_200_000);
        assert_eq!(names(world.report(client)).len(), 0);
        assert_eq!(world.report(client).close_code(), Some(Some(4000)));
        assert_eq!(world.stats().slow_dropped, 1);
        world.shut_down();
    });
}

#[test]
fn who_goes_while_much_waits_leaves_nothing_behind() {
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let faults = Faults::swarm(seed);
        let (mut world, _) = world_of_talkers(world.shards(2).faults(faults));
        world = world.configure(|config| config.rules.close_timeout = Duration::from_secs(2));
        let script = Client::at("/").text("say").stop_reading().text("row").wait(Duration::from_millis(40));
        let scripts = [
            script.clone().close(1000),
            script.clone().reset(),
            script.clone().half_close(),
            script.clone().cut(),
            script.clone().vanish(),
            script.clone().text("bye").read_again(),
            script.read_again().half_close(),
        ];
        for script in scripts {
            world.client(script.clone());
            world.client(script.reads_slowly(500, Duration::from_millis(3)));
        }
        for n in 0..40 {
            let priority = [Priority::Low, Priority::Critical][n % 2];
            Board::post(&mut world, vec![Post { priority, ..Post::plain(0, long(n, 3000)) }]);
            world.run_for(seed % 4);
        }
        world.shut_down();
    });
}

/// When it has drained, it tells the others so.
struct Gossip {
    who: usize,
    told: usize,
    all: Arc<Mutex<Vec<Told>>>,
}

/// Who, and what it was told.
type Told = (ActorId, Vec<String>);

impl Session for Gossip {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut all = self.all.lock().expect("nobody panics with it");
        self.who = all.len();
        all.push((cx.address().id(), Vec::new()));
        Ok(cx.client().send_text(&self.who.to_string())?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }

    fn drained(&mut self, cx: &mut Context<Self>) {
        self.told += 1;
        if self.told > 20 {
            return;
        }
        for (id, heard) in self.all.lock().expect("nobody panics with it").iter_mut() {
            let name = format!("g{}/{}", self.who, self.told);
            let log = Log::default();
            Post::plain(self.who as u32, long(&name, 500)).deliver(&mut vec![*id], &log, cx);
            if log.lock().expect("nobody panics with it")[0] != Delivered::Gone {
                heard.push(name);
            }
        }
    }
}

#[test]
fn what_is_delivered_while_the_answer_to_a_send_is_on_its_way_is_neither_lost_nor_overtakes() {
    sim::check(super::seeds(200), |world| {
        let faults = Faults::none().with(Fault::ShortSend, 0.3).with(Fault::SmallBuffers, 0.5);
        let all = Arc::new(Mutex::new(Vec::new()));
        let for_route = all.clone();
        let mut world = world
            .faults(faults)
            .configure(super::sessions::patient)
            .at("/", move |_: &Upgrade| Ok(Gossip { who: 0, told: 0, all: for_route.clone() }));
        let mut script = Client::at("/");
        for _ in 0..20 {
            script = script.binary(vec![7; 2000], 1).wait(Duration::from_millis(1));
        }
        let script =
            script.reads_slowly(3000, Duration::from_millis(3)).wait(Duration::from_secs(5)).close(1000);
        let clients: Vec<usize> = (0..5).map(|_| world.client(script.clone())).collect();
        world.run_until_quiet(600_000);
        let all = all.lock().unwrap();
        assert!(all.iter().map(|(_, heard)| heard.len()).sum::<usize>() > 100, "they have gossiped");
        for client in clients {
            let heard = names(world.report(client));
            let who: usize = heard[0].parse().expect("it says first who it is");
            assert_eq!(heard[1..], all[who].1);
        }
        world.shut_down();
    });
}

#[test]
fn what_is_urgent_waits_for_64_kib_and_a_message_at_most_however_much_was_sent_before() {
    sim::check(super::seeds(100), |world| {
        let rate = 0.2 * (world.seed() % 3) as f64;
        let faults = Faults::none().with(Fault::SmallBuffers, 1.0).with(Fault::ShortSend, rate);
        let (mut world, log) = world_of_talkers(world.faults(faults));
        let script =
            Client::at("/").text("fill").stop_reading().wait(Duration::from_millis(100)).read_again();
        let client = world.client(script.until_heard(64).close(1000));
        world.run_for(50);
        let high = |says: String| Post { priority: Priority::High, ..Post::plain(1, says) };
        Board::post(&mut world, vec![high(long("h/0", 70_000)), high("h/1".into()), high("h/2".into())]);
        world.run_until_quiet(60_000);
        assert_eq!(log.lock().unwrap().len(), 3);
        let report = world.report(client);
        let heard = names(report);
        check_in_order(&heard, "n", 60);
        check_in_order(&heard, "h/", 3);
        let place = |name| heard.iter().position(|heard| *heard == name).expect("it was heard");
        assert!(place("alarm") < place("h/0"));
        let lengths =
            report.messages().map(|heard| if let Heard::Text(text) = heard { text.len() } else { 0 });
        let before: usize = lengths.take(place("alarm")).sum();
        let bound = (64 << 10) + 40_000 + 4_000; // and what the kernel has
        assert!(before <= bound, "{before} bytes before what is urgent: {heard:?}");
        world.shut_down();
    });
}
