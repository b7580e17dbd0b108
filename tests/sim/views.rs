//! A session that looks at messages where they lie hears what any other hears: everything, once and in order.

use super::echo::check;
use corewire::connection::middleware::inbound;
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults, World};
use corewire::wire::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many messages were looked at, and how many were owned.
type Heard = Arc<[AtomicU64; 2]>;

/// Says everything back, and now and then wants to hear nothing for a while.
struct Look(Heard);

struct GoOn;

impl Session for Look {
    const VIEWS: bool = true;

    fn view(&mut self, kind: Kind, bytes: &[u8], cx: &mut Context<Self>) -> Result<(), Close> {
        if self.0[0].fetch_add(1, Ordering::Relaxed) % 7 == 6 {
            cx.client().pause();
            let me = cx.address();
            cx.after(Duration::from_millis(5), me, GoOn).expect("a shard has timers left");
        }
        match kind {
            Kind::Text => cx.client().send_text(str::from_utf8(bytes).expect("it is checked"))?,
            Kind::Binary => cx.client().send_binary(bytes)?,
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.0[1].fetch_add(1, Ordering::Relaxed);
        Ok(cx.client().send(message)?)
    }
}

impl Handler<GoOn> for Look {
    type Reply = ();
    fn handle(&mut self, _: GoOn, cx: &mut Context<Self>) {
        cx.client().resume();
    }
}

fn looking(world: World, heard: &Heard) -> World {
    let heard = heard.clone();
    world.at("/", move |_: &Upgrade| Ok(Look(heard.clone())))
}

#[test]
fn what_is_looked_at_and_what_is_owned_comes_in_order() {
    let heard = Heard::default();
    sim::check(super::seeds(300), |world| {
        let faults = Faults::swarm(world.seed());
        check(looking(world, &heard), faults);
    });
    let [views, owned] = heard.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert!(views > 100 && owned > 100, "{views} were looked at and {owned} were owned: too few to tell");
}

#[test]
fn middleware_gets_what_would_have_been_looked_at() {
    let heard = Heard::default();
    let mut world = World::new(1)
        .with(|_: &Upgrade| {
            Ok(inbound(|message, _| {
                let mut bytes = message.into_bytes();
                bytes.advance(1);
                Ok(Some(Message::Binary(bytes)))
            }))
        })
        .at("/", {
            let heard = heard.clone();
            move |_: &Upgrade| Ok(Look(heard.clone()))
        });
    let client = world.client(Client::at("/").binary(*b"hello", 1).until_heard(1).close(1000));
    world.run_until_quiet(60_000);
    assert_eq!(world.report(client).heard[0], sim::Heard::Binary(b"ello".to_vec()));
    assert_eq!(heard.each_ref().map(|count| count.load(Ordering::Relaxed)), [0, 1]);
    world.shut_down();
}

#[test]
fn who_panics_over_a_view_is_closed_with_1011_and_nobody_else_is() {
    struct Fragile;
    impl Session for Fragile {
        const VIEWS: bool = true;
        fn view(&mut self, _: Kind, bytes: &[u8], cx: &mut Context<Self>) -> Result<(), Close> {
            assert_ne!(bytes, b"poison");
            Ok(cx.client().send_binary(bytes)?)
        }
        fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
            Ok(())
        }
    }
    let mut world = World::new(1).at("/", |_: &Upgrade| Ok(Fragile));
    let said = Client::at("/").binary(*b"before", 1).until_heard(1);
    let ann = world.client(said.clone().binary(*b"poison", 1).binary(*b"after", 1));
    let bob = world.client(said.wait(Duration::from_secs(1)).binary(*b"after", 1).until_heard(2).close(1000));
    world.run_until_quiet(60_000);
    assert_eq!(world.report(ann).close_code(), Some(Some(1011)));
    assert_eq!((world.report(bob).messages().count(), world.report(bob).close_code()), (2, Some(Some(1000))));
    world.shut_down_after_panics(1);
}
