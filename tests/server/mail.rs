//! What mailboxes and futures promise, on real shards: what is sent in one turn of one shard arrives in one turn of another.

use super::harness::{Echo, Local, PATIENCE, wait_until};
use corewire::actor::{Overflow, Priority, Returned};
use corewire::prelude::*;
use corewire::shard::ShardId;
use std::sync::{Arc, Mutex};

type Heard = Arc<Mutex<Vec<String>>>;

/// Notes what it hears. Its mailbox has room for four, and does as `POLICY` says.
struct Listener<const POLICY: u8>(Heard);

const REFUSE: u8 = 0;
const OLDEST: u8 = 1;
const NEWEST: u8 = 2;
const LATEST: u8 = 3;

struct Say(&'static str);

impl<const POLICY: u8> Actor for Listener<POLICY> {
    const MAILBOX_SLOTS: Option<u32> = Some(4);
    const OVERFLOW: Overflow = match POLICY {
        OLDEST => Overflow::DropOldest,
        NEWEST => Overflow::DropNewest,
        LATEST => Overflow::KeepLatest,
        _ => Overflow::Refuse,
    };
}

impl<const POLICY: u8> Handler<Say> for Listener<POLICY> {
    type Reply = ();
    fn handle(&mut self, Say(what): Say, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// Its first letter says what it is about.
    fn key(Say(what): &Say) -> Option<u64> {
        Some(u64::from(what.as_bytes()[0]))
    }
}

/// Says all that it has to say in one turn, and what comes back.
struct Speaker<const POLICY: u8> {
    to: Address<Listener<POLICY>>,
    says: Vec<(Priority, &'static str)>,
    heard: Heard,
}

impl<const POLICY: u8> Actor for Speaker<POLICY> {
    fn started(&mut self, cx: &mut Context<Self>) {
        for (priority, what) in self.says.drain(..) {
            cx.send_at(priority, self.to, Say(what)).expect("there is room in the lane");
        }
    }

    fn returned(&mut self, returned: Returned, _: &mut Context<Self>) {
        let Say(what) = returned.downcast().expect("it says nothing else");
        self.heard.lock().unwrap().push(format!("{what} is back"));
    }
}

/// What is heard on shard 0 of what is said at once on shard 1, when so much has been heard.
fn heard<const POLICY: u8>(says: &[(Priority, &'static str)], until: usize) -> Vec<String> {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Echo)));
    let (outside, heard) = (server.handle.outside().clone(), Heard::default());
    let listener = Listener::<POLICY>(heard.clone());
    let to = outside.spawn_on(ShardId(0), listener).wait(PATIENCE).expect("there is a slot");
    let speaker = Speaker { to, says: says.to_vec(), heard: heard.clone() };
    outside.spawn_on(ShardId(1), speaker).wait(PATIENCE).expect("there is a slot");
    wait_until("all has been heard", || heard.lock().unwrap().len() >= until);
    heard.lock().unwrap().clone()
}

fn normal<const N: usize>(says: [&'static str; N]) -> [(Priority, &'static str); N] {
    says.map(|what| (Priority::Normal, what))
}

#[test]
fn what_arrives_together_is_handled_by_its_priority() {
    let says = [
        (Priority::Low, "low"),
        (Priority::Normal, "normal"),
        (Priority::High, "high"),
        (Priority::Critical, "critical"),
    ];
    assert_eq!(heard::<REFUSE>(&says, 4), ["critical", "high", "normal", "low"]);
}

#[test]
fn a_full_mailbox_does_what_its_actor_chose() {
    let says = normal(["a1", "b1", "c1", "d1", "a2", "b2"]);
    let mut refused = heard::<REFUSE>(&says, 6);
    refused.sort(); // what comes back may be heard first
    assert_eq!(refused, ["a1", "a2 is back", "b1", "b2 is back", "c1", "d1"]);
    assert_eq!(heard::<OLDEST>(&says, 4), ["c1", "d1", "a2", "b2"]);
    assert_eq!(heard::<NEWEST>(&says, 4), ["a1", "b1", "c1", "d1"]);
    assert_eq!(heard::<LATEST>(&says, 4), ["a2", "b2", "c1", "d1"]);
}

/// Waits for another thread, or goes on meanwhile.
struct Patient {
    heard: Heard,
    waits: bool,
    until: Option<flume::Receiver<()>>,
}
struct Begin;

impl Actor for Patient {}

impl Handler<Begin> for Patient {
    type Reply = ();
    fn handle(&mut self, _: Begin, cx: &mut Context<Self>) {
        let until = self.until.take().expect("it begins once").into_recv_async();
        let done = |patient: &mut Self, _, _: &mut Context<Self>| patient.note("done");
        let begun = if self.waits { cx.wait(until, done) } else { cx.pipe(until, done) };
        assert!(begun.is_ok(), "there is room");
    }
}

impl Handler<Say> for Patient {
    type Reply = ();
    fn handle(&mut self, Say(what): Say, _: &mut Context<Self>) {
        self.note(what);
    }
}

impl Patient {
    fn note(&mut self, what: &str) {
        self.heard.lock().unwrap().push(what.into());
    }
}

#[test]
fn who_waits_for_another_thread_handles_nothing_before_and_who_pipes_does() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Echo)));
    let outside = server.handle.outside().clone();
    for waits in [true, false] {
        let (heard, (done, until)) = (Heard::default(), flume::bounded(1));
        let patient = Patient { heard: heard.clone(), waits, until: Some(until) };
        let patient = outside.spawn_on(ShardId(1), patient).wait(PATIENCE).expect("there is a slot");
        outside.send(patient, Begin).expect("there is room");
        outside.send(patient, Say("meanwhile")).expect("there is room");
        // The shard has come round since: what is asked of another actor there is answered.
        let witness = Listener::<REFUSE>(Heard::default());
        let witness = outside.spawn_on(ShardId(1), witness).wait(PATIENCE).expect("there is a slot");
        for _ in 0..10 {
            outside.ask(witness, Say("")).within(PATIENCE).wait().expect("it answers");
        }
        let expected: &[&str] = if waits { &[] } else { &["meanwhile"] };
        assert_eq!(*heard.lock().unwrap(), expected);
        done.send(()).expect("somebody waits");
        wait_until("it has heard both", || heard.lock().unwrap().len() == 2);
        let expected = if waits { ["done", "meanwhile"] } else { ["meanwhile", "done"] };
        assert_eq!(*heard.lock().unwrap(), expected);
    }
}
