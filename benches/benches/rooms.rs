//! What a delivery in a room costs without the kernel, and whether two shards do twice what one does.
//!
//! Guess: a delivery is a look at a member, a view of the frame and a place in what its connection has to send, about 50 ns
//! in all; two shards share a ticket a message, so a room over both does 1.9 times what one does.

use corewire::prelude::*;
use corewire::sim::Treadmill;
use corewire_actors::rooms::{InRooms, Join, Rooms, RoomsConfig};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.join_room("lobby", Join::plain())?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.publish("lobby", message)?)
    }
}

/// One room whose members sit on all shards; two of them speak, and all hear it.
fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("room_without_kernel");
    group.throughput(Throughput::Elements(1));
    for (payload_bytes, in_flight) in [(64, 1), (64, 16), (1024, 1)] {
        for cpus in [&[0][..], &[0, 1]] {
            let id = BenchmarkId::new(
                format!("{payload_bytes} bytes, {in_flight} in flight"),
                format!("{} shards", cpus.len()),
            );
            group.bench_function(id, |b| {
                b.iter_custom(|deliveries| {
                    let treadmill = Treadmill::new("/", |_: &Upgrade| Ok(Member))
                        .service(Rooms::service(RoomsConfig::default()));
                    let pace = treadmill
                        .pinned(cpus)
                        .clients(2000)
                        .speakers(2 / cpus.len() as u32)
                        .messages(payload_bytes, in_flight)
                        .run(Duration::from_millis(200))
                        .expect("the shards start");
                    pace.elapsed.mul_f64(deliveries as f64 / pace.messages as f64)
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = fan_out
}
criterion_main!(benches);
