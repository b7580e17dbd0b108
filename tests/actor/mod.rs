//! What actors may rely on, where nothing goes wrong; `tests/sim` has the other worlds.

mod ask;
mod close;
mod every;
mod life;
mod log;
mod mailbox;
mod place;
mod run;
mod send;
mod service;
mod stats;
mod supervision;
pub(crate) mod trail;
mod wait;
mod watch;
mod work;

use corewire::prelude::*;
use corewire::sim::{Client, World};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happened, in order. One thread runs a world; the lock is for the compiler.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Vec<String>>>);

impl Book {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("nobody panics with it").push(what.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

type Begin = Box<dyn FnOnce(&mut Context<Host>) + Send>;

/// A session that does one thing when it opens, and stays.
pub(crate) struct Host(Option<Begin>);

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        self.0.take().expect("a session opens once")(cx);
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

/// A world in which a session has done `begin`, and 100 ms have passed since.
pub(crate) fn world_after(begin: impl FnOnce(&mut Context<Host>) + Send + 'static) -> World {
    world_with(|_| (), begin)
}

/// The same, in a world that is configured so.
pub(crate) fn world_with(
    change: impl FnOnce(&mut Config),
    begin: impl FnOnce(&mut Context<Host>) + Send + 'static,
) -> World {
    let begin: Mutex<Option<Begin>> = Mutex::new(Some(Box::new(begin)));
    let mut world = World::new(1).configure(change).at("/", move |_: &Upgrade| {
        Ok(Host(Some(begin.lock().expect("nobody panics with it").take().expect("there is one client"))))
    });
    world.client(Client::at("/"));
    world.run_for(100);
    world
}

/// What is ready so many milliseconds from now.
pub(crate) fn later<A: Actor>(ms: u64, cx: &mut Context<A>) -> impl Future<Output = ()> + use<A> {
    let (sender, receiver) = flume::bounded::<()>(1);
    let alarm = cx.spawn(Alarm(sender)).expect("there is a slot");
    cx.after(Duration::from_millis(ms), alarm, Ring).expect("a shard has timers left");
    async move {
        let _ = receiver.recv_async().await;
    }
}

/// It is heard by its end.
struct Alarm(#[expect(dead_code, reason = "it is dropped")] flume::Sender<()>);
struct Ring;
impl Actor for Alarm {}
impl Handler<Ring> for Alarm {
    type Reply = ();
    fn handle(&mut self, _: Ring, cx: &mut Context<Self>) {
        cx.stop();
    }
}
