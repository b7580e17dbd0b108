//! Sessions that are closed by another actor of their shard.

use super::Book;
use corewire::actor::ActorId;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Faults, Heard, World};

/// Closes whom it is told to close.
struct Porter;
impl Actor for Porter {}

struct Out(ActorId);
impl Handler<Out> for Porter {
    type Reply = bool;
    fn handle(&mut self, Out(who): Out, cx: &mut Context<Self>) -> bool {
        cx.close_session(who, Close::new(4001, "out"))
    }
}

struct Guest(Book, std::sync::mpsc::Sender<ActorId>);
impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let _ = self.1.send(cx.address().id());
        Ok(cx.client().send_text("welcome")?)
    }
    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
    fn closed(&mut self, reason: CloseReason, _: &mut Context<Self>) {
        self.0.note(format!("closed {} {:?}", reason.code, reason.by));
    }
}

/// Changes what a client is told when it is shown out.
struct Polite;
impl Middleware for Polite {
    fn closing(&mut self, _: Close, _: &mut Passage<'_>) -> Close {
        Close::new(4002, "please")
    }
}

fn guests(world: World, book: &Book) -> (World, std::sync::mpsc::Receiver<ActorId>) {
    let (opened, ids) = std::sync::mpsc::channel();
    let (book, politely) = (book.clone(), (book.clone(), opened.clone()));
    let world = world
        .at("/", move |_: &Upgrade| Ok(Guest(book.clone(), opened.clone())))
        .with(|_: &Upgrade| Ok(Polite))
        .at("/polite", move |_: &Upgrade| Ok(Guest(politely.0.clone(), politely.1.clone())));
    (world.service(|_| Porter), ids)
}

#[test]
fn a_session_is_closed_by_another_actor_of_its_shard_once_and_with_its_code() {
    sim::check(20, |world| {
        let book = Book::default();
        let (mut world, ids) = guests(world.shards(2), &book);
        let ann = world.client(Client::at("/"));
        world.run_for(100);
        let who = ids.try_recv().expect("it is open");
        let porter =
            |world: &mut World, shard| world.outside().service_on::<Porter>(shard).expect("it is there");
        let (here, elsewhere) = (who.shard(), ShardId(1 - who.shard().0));
        let (here, elsewhere) = (porter(&mut world, here), porter(&mut world, elsewhere));
        assert_eq!(world.ask(elsewhere, Out(who)), Ok(false), "it lives on another shard");
        assert_eq!(world.ask(here, Out(here.id())), Ok(false), "who asks is no session");
        assert_eq!(world.ask(elsewhere, Out(elsewhere.id())), Ok(false), "who asks is no session");
        assert_eq!(world.ask(here, Out(who)), Ok(true));
        assert_eq!(world.ask(here, Out(who)), Ok(false), "it is closing");
        world.run_until_quiet(10_000);
        assert_eq!(world.ask(here, Out(who)), Ok(false), "it has ended");
        let heard = &world.report(ann).heard;
        let close = Heard::Close(Some(4001), "out".into());
        assert_eq!(*heard, [Heard::Text("welcome".into()), close, Heard::End]);
        assert_eq!(book.take(), ["closed 4001 Server"]);
        world.shut_down();
    });
}

#[test]
fn middleware_sees_that_its_session_is_closed_by_another() {
    let book = Book::default();
    let (mut world, ids) = guests(World::new(1), &book);
    let ann = world.client(Client::at("/polite"));
    world.run_for(100);
    let who = ids.try_recv().expect("it is open");
    let porter = world.outside().service_on::<Porter>(who.shard()).expect("it is there");
    assert_eq!(world.ask(porter, Out(who)), Ok(true));
    world.run_until_quiet(10_000);
    assert_eq!(world.report(ann).close_code(), Some(Some(4002)));
    world.shut_down();
}

#[test]
fn whoever_is_closed_by_another_is_gone_whatever_the_network_does() {
    sim::check(100, |world| {
        let seed = world.seed();
        let book = Book::default();
        let (mut world, ids) = guests(world.shards(2).faults(Faults::swarm(seed)), &book);
        for n in 0..20 {
            let path = ["/", "/polite"][n % 2];
            world.client(Client::at(path).text("hello").comes_back(
                3,
                std::time::Duration::from_secs(1),
                move |_| Client::at(path),
            ));
        }
        for _ in 0..60 {
            for who in ids.try_iter() {
                let porter = world.outside().service_on::<Porter>(who.shard()).expect("it is there");
                let _ = world.ask(porter, Out(who)); // it may have ended
            }
            world.run_for(1000);
        }
        world.run_until_quiet(600_000); // and not by the idle time-out: they answer pings for ever
        assert!(book.take().len() >= 20, "each was closed, or cut");
        world.shut_down();
    });
}
