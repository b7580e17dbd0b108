//! What a message costs without the kernel, and whether two shards do twice what one does.
//!
//! Guess: an echo of 20 bytes with 16 in flight is about 40 ns of ours; two shards share nothing while they echo, so they
//! do 1.95 times what one does. A delivery in a room is a message between actors and a small frame, about 60 ns, and the
//! same on each shard, since a room's message crosses once a shard. With frames that are written once and delivered without
//! a message for each it is less by what that message costs, about 40 ns.

use corewire::actor::ActorId;
use corewire::connection::{FRAME_HEADER_BYTES_MAX, Terms};
use corewire::prelude::*;
use corewire::sim::Treadmill;
use corewire::wire::Kind;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

fn echo(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo_without_kernel");
    group.throughput(Throughput::Elements(1));
    for (payload_bytes, in_flight) in [(20, 1), (20, 16), (512, 1), (512, 14)] {
        for cpus in [&[0][..], &[0, 1]] {
            let id = BenchmarkId::new(
                format!("{payload_bytes} bytes, {in_flight} in flight"),
                format!("{} shards", cpus.len()),
            );
            group.bench_function(id, |b| {
                b.iter_custom(|messages| {
                    let treadmill = Treadmill::new("/", |_: &Upgrade| Ok(Echo)).pinned(cpus);
                    let pace = treadmill
                        .clients(200)
                        .messages(payload_bytes, in_flight)
                        .run(Duration::from_millis(200))
                        .expect("the shards start");
                    pace.elapsed.mul_f64(messages as f64 / pace.messages as f64)
                });
            });
        }
    }
    group.finish();
}

/// Who sits on a shard; one of them on each.
#[derive(Default)]
struct Relay(Vec<Address<Member>>);
struct Enter(Address<Member>);
#[derive(Clone, Copy)]
struct Say([u8; PAYLOAD_BYTES]);

impl Actor for Relay {
    const MAILBOX_SLOTS: Option<u32> = Some(4096);
}
impl Handler<Enter> for Relay {
    type Reply = ();
    fn handle(&mut self, Enter(member): Enter, _: &mut Context<Self>) {
        self.0.push(member);
    }
}
impl Handler<Say> for Relay {
    type Reply = ();
    fn handle(&mut self, say: Say, cx: &mut Context<Self>) {
        cx.send_to_many(self.0.iter().copied(), say); // refused by those who are gone, at the end
    }
}

struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let relay = cx.service::<Relay>().expect("there is one on each shard");
        let me = cx.address();
        assert!(cx.send(relay, Enter(me)).is_ok(), "a relay has room for all");
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let say = Say(message.as_bytes().try_into().expect("all messages are as long"));
        cx.send_to_many(cx.services::<Relay>(), say);
        Ok(())
    }
}
impl Handler<Say> for Member {
    type Reply = ();
    fn handle(&mut self, Say(payload): Say, cx: &mut Context<Self>) {
        cx.client().send_binary(&payload).expect("the client hears at once");
    }
}

/// One room whose members sit on all shards; one of each shard speaks, and all hear it.
fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan_out_without_kernel");
    group.throughput(Throughput::Elements(1));
    for cpus in [&[0][..], &[0, 1]] {
        group.bench_function(BenchmarkId::from_parameter(format!("{} shards", cpus.len())), |b| {
            b.iter_custom(|deliveries| {
                let treadmill = Treadmill::new("/", |_: &Upgrade| Ok(Member)).service(|_| Relay::default());
                let pace = treadmill
                    .pinned(cpus)
                    .clients(1000)
                    .speakers(1)
                    .messages(PAYLOAD_BYTES, 1)
                    .run(Duration::from_millis(200))
                    .expect("the shards start");
                pace.elapsed.mul_f64(deliveries as f64 / pace.messages as f64)
            });
        });
    }
    group.finish();
}

const PAYLOAD_BYTES: usize = 20;

/// Who sits on a shard, and is delivered to by one of them on each.
#[derive(Default)]
struct Room(Vec<ActorId>);
struct Sit(ActorId);

impl Actor for Room {
    const MAILBOX_SLOTS: Option<u32> = Some(4096);
}
impl Handler<Sit> for Room {
    type Reply = ();
    fn handle(&mut self, Sit(guest): Sit, _: &mut Context<Self>) {
        self.0.push(guest);
    }
}
impl Handler<Tell> for Room {
    type Reply = ();
    fn handle(&mut self, Tell(payload): Tell, cx: &mut Context<Self>) {
        let mut frames = cx.frame_writer(payload.len() + FRAME_HEADER_BYTES_MAX).expect("there is memory");
        frames.push(Kind::Binary, &[&payload]).expect("it was made with this much room");
        let frames = cx.freeze(frames, 1).next().expect("one was asked for").open();
        for &guest in &self.0 {
            cx.deliver(guest, &frames, &Terms::default());
        }
    }
}

struct Guest;
#[derive(Clone, Copy)]
struct Tell([u8; ROOM_BYTES]);

impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (room, me) = (cx.service::<Room>().expect("there is one on each shard"), cx.address().id());
        assert!(cx.send(room, Sit(me)).is_ok(), "a room has room for all");
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let tell = Tell(message.as_bytes().try_into().expect("all messages are as long"));
        cx.send_to_many(cx.services::<Room>(), tell);
        Ok(())
    }
}

/// The same with frames that are written once a shard, and no message for each member.
fn delivery(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery_without_kernel");
    group.throughput(Throughput::Elements(1));
    for cpus in [&[0][..], &[0, 1]] {
        group.bench_function(BenchmarkId::from_parameter(format!("{} shards", cpus.len())), |b| {
            b.iter_custom(|deliveries| {
                let treadmill = Treadmill::new("/", |_: &Upgrade| Ok(Guest)).service(|_| Room::default());
                let pace = treadmill
                    .pinned(cpus)
                    .clients(2000)
                    .speakers(1)
                    .messages(ROOM_BYTES, 1)
                    .run(Duration::from_millis(200))
                    .expect("the shards start");
                pace.elapsed.mul_f64(deliveries as f64 / pace.messages as f64)
            });
        });
    }
    group.finish();
}

const ROOM_BYTES: usize = 64;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = echo, fan_out, delivery
}
criterion_main!(benches);
