//! What is of low priority, for clients that keep up: it is gathered while there is other work, and not kept otherwise.

use super::board::{Board, Enter, Log, Post};
use corewire::actor::{ActorId, LOW_WAITS, Priority};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Faults, Heard, World};
use std::time::Duration;

/// Sits at the board; what its client says it says itself, with low priority.
struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (board, me) = (cx.service::<Board>().expect("one is on each shard"), cx.address().id());
        cx.send(board, Enter(me))?;
        let busy = cx.service::<Busy>().expect("one is on each shard");
        Ok(cx.send(busy, Enter(me))?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        match message.as_text() {
            Some("normal") => Ok(cx.client().send(message)?),
            _ => Ok(cx.client().send_at(Priority::Low, message)?),
        }
    }
}

/// Has its shard do something for so many turns, and says one message to all in each.
#[derive(Default)]
struct Busy(Vec<ActorId>);
struct Turns {
    left: u32,
    priority: Priority,
}

impl Actor for Busy {}
impl Handler<Enter> for Busy {
    type Reply = ();
    fn handle(&mut self, Enter(member): Enter, _: &mut Context<Self>) {
        self.0.push(member);
    }
}
impl Handler<Turns> for Busy {
    type Reply = ();
    fn handle(&mut self, Turns { left, priority }: Turns, cx: &mut Context<Self>) {
        let post = Post { priority, ..Post::plain(1, left.to_string()) };
        post.deliver(&mut self.0, &Log::default(), cx);
        if left > 1 {
            cx.next_turn(Turns { left: left - 1, priority });
        }
    }
}

fn world_of_members(world: World) -> World {
    let (world, _) = Board::in_world(world.faults(Faults::none()));
    world.service(|_| Busy::default()).at("/", |_: &Upgrade| Ok(Member))
}

/// How many sends it takes to say something in each of so many turns.
fn sends_in(turns: u32, priority: Priority) -> u64 {
    let mut world = world_of_members(World::new(1));
    let client = world.client(Client::at("/").wait(Duration::from_secs(1)).close(1000));
    world.run_for(20);
    let before = world.stats().sends;
    let busy = world.outside().service_on::<Busy>(ShardId(0)).expect("it is there");
    world.send(busy, Turns { left: turns, priority }).expect("there is room");
    world.run_for(20);
    let sends = world.stats().sends - before;
    let heard: Vec<Heard> = world.report(client).messages().cloned().collect();
    let said: Vec<Heard> = (1..=turns).rev().map(|turn| Heard::Text(turn.to_string())).collect();
    assert_eq!(heard, said, "all, in order");
    world.run_until_quiet(10_000);
    world.shut_down();
    sends
}

#[test]
fn what_is_low_is_gathered_while_its_shard_has_other_work_for_so_many_turns_at_most() {
    assert_eq!(sends_in(10 * LOW_WAITS, Priority::Normal), u64::from(10 * LOW_WAITS));
    let sends = sends_in(10 * LOW_WAITS, Priority::Low);
    assert!((10..=11).contains(&sends), "{sends}");
}

#[test]
fn what_is_low_is_not_kept_by_a_shard_that_has_nothing_else_to_do() {
    sim::check(super::seeds(50), |world| {
        let mut world = world_of_members(world);
        let client = world.client(Client::at("/").text("low").until_heard(2).close(1000));
        let other = world.client(Client::at("/").text("low").text("normal").until_heard(2).close(1000));
        world.run_for(20);
        assert_eq!(world.report(client).messages().count(), 1, "its own");
        assert_eq!(world.report(other).messages().count(), 2);
        Board::post(&mut world, vec![Post { priority: Priority::Low, ..Post::plain(0, "post") }]);
        world.run_until_quiet(10_000);
        assert_eq!(world.report(client).messages().count(), 2);
        world.shut_down();
    });
}

#[test]
fn what_is_low_comes_whole_and_in_order_whatever_the_network_does() {
    sim::check(super::seeds(200), |world| {
        let faults = Faults::swarm(world.seed()).with(sim::Fault::Cut, 0.0);
        let (world, _) = Board::in_world(world.faults(faults));
        let world = world.service(|_| Busy::default()).configure(super::sessions::patient);
        let mut world = world.at("/", |_: &Upgrade| Ok(Member));
        let mut script = Client::at("/");
        let mut said = Vec::new();
        for n in 0..40_u8 {
            let bytes = vec![n; [3, 600, 40, 5000][usize::from(n) % 4]];
            script = script.binary(bytes.clone(), 1);
            said.push(Heard::Binary(bytes));
        }
        let script = script.until_heard(40).close(1000);
        let clients =
            [world.client(script.clone()), world.client(script.reads_slowly(700, Duration::from_millis(2)))];
        world.run_until_quiet(7_200_000);
        for client in clients {
            let report = world.report(client);
            assert!(report.messages().eq(said.iter().take(report.messages().count())), "{report:?}");
            assert!(report.cut || report.messages().count() == 40, "{report:?}");
        }
        world.shut_down();
    });
}
