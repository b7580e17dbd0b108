//! What is urgent for a client that has not taken what was sent before.

use super::harness::{Local, Said, wait_until};
use corewire::actor::{ActorId, Priority};
use corewire::connection::{Delivered, FRAME_HEADER_BYTES_MAX, Terms};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::wire::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Says something urgent to all.
#[derive(Default)]
struct Herald(Vec<ActorId>);
struct Enter(ActorId);
struct Alarm;

impl Actor for Herald {}

impl Handler<Enter> for Herald {
    type Reply = ();
    fn handle(&mut self, Enter(member): Enter, _: &mut Context<Self>) {
        self.0.push(member);
    }
}

impl Handler<Alarm> for Herald {
    type Reply = Vec<Delivered>;
    fn handle(&mut self, _: Alarm, cx: &mut Context<Self>) -> Vec<Delivered> {
        let mut frames = cx.frame_writer(5 + FRAME_HEADER_BYTES_MAX).expect("there is memory");
        frames.push(Kind::Text, &[b"alarm"]).expect("it was made with this much room");
        let frames = cx.freeze(frames, 1).next().expect("one was asked for").open();
        let terms = Terms { priority: Priority::Critical, ..Terms::default() };
        self.0.iter().map(|&member| cx.deliver(member, &frames, &terms)).collect()
    }
}

/// There may be room for more.
#[derive(Clone)]
struct More;

/// Says as much as there is room for, until it has nothing more to say.
struct Talkative {
    said: Arc<AtomicU64>,
}

impl Session for Talkative {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (herald, me) = (cx.service::<Herald>().expect("it is there"), cx.address().id());
        cx.send(herald, Enter(me))?;
        let me = cx.address();
        cx.every(Duration::from_millis(5), me, More)?;
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

impl Handler<More> for Talkative {
    type Reply = ();
    fn handle(&mut self, _: More, cx: &mut Context<Self>) {
        while self.said.load(Ordering::Relaxed) < SAID_MAX
            && cx.client().send_binary(&[7; SAID_BYTES]).is_ok()
        {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const SAID_BYTES: usize = 16_000;
const SAID_MAX: u64 = 4096; // more than the kernel takes

#[test]
fn what_is_urgent_is_heard_before_all_but_64_kib_of_what_the_kernel_had_not_taken() {
    let said = Arc::new(AtomicU64::new(0));
    let for_route = said.clone();
    let server = Local::with(
        |config| config.workers = 1,
        |server| {
            server
                .service(|_| Herald::default())
                .at("/", move |_: &Upgrade| Ok(Talkative { said: for_route.clone() }))
        },
    );
    let mut client = server.client();
    let mut before = u64::MAX;
    wait_until("the client is behind", || {
        std::thread::park_timeout(Duration::from_millis(100));
        let said = said.load(Ordering::Relaxed);
        std::mem::replace(&mut before, said) == said && said > 0
    });
    let said = said.swap(SAID_MAX, Ordering::Relaxed);
    assert!(said < SAID_MAX, "the kernel takes all of it, so this shows nothing");
    let herald = server.handle.outside().service_on::<Herald>(ShardId(0)).expect("it is there");
    let delivered = server.handle.outside().ask(herald, Alarm).wait().expect("it answers");
    assert!(matches!(delivered[..], [Delivered::Waits { frames: 1, dropped: 0, .. }]), "{delivered:?}");
    let mut heard_before = 0;
    while client.next() != Said::Text("alarm".into()) {
        heard_before += 1;
    }
    // Of the queue's 65, which is full, five messages at most are on their way: what has begun, and 64 KiB.
    assert!(heard_before <= said - 65 + 5 + 1, "{heard_before} of {said} messages came before");
    for n in heard_before..said {
        assert_eq!(client.next(), Said::Binary(vec![7; SAID_BYTES]), "message {n}");
    }
}

/// Keeps its shard busy, without end, and others waiting for nothing.
struct Restless {
    stop: Arc<AtomicU64>,
}
struct Again;

impl Actor for Restless {}
impl Handler<Again> for Restless {
    type Reply = ();
    fn handle(&mut self, _: Again, cx: &mut Context<Self>) {
        if self.stop.load(Ordering::Relaxed) == 0 {
            cx.next_turn(Again);
        }
    }
}

/// Says everything with low priority.
struct Leisurely;
impl Session for Leisurely {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send_at(Priority::Low, message)?)
    }
}

#[test]
fn what_is_low_is_heard_though_its_shard_never_rests() {
    let stop = Arc::new(AtomicU64::new(0));
    let for_service = stop.clone();
    let server = Local::with(
        |config| config.workers = 1,
        |server| {
            server
                .service(move |_| Restless { stop: for_service.clone() })
                .at("/", |_: &Upgrade| Ok(Leisurely))
        },
    );
    let restless = server.handle.outside().service_on::<Restless>(ShardId(0)).expect("it is there");
    server.handle.outside().send(restless, Again).expect("there is room");
    let mut client = server.client();
    for _ in 0..20 {
        client.check_echo("whenever you like");
    }
    stop.store(1, Ordering::Relaxed);
}
