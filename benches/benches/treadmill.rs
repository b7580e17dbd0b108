//! What a message costs without the kernel, and whether two shards do twice what one does.
//!
//! Guess: an echo of 20 bytes with 16 in flight is about 40 ns of ours; two shards share nothing while they echo, so they
//! do 1.95 times what one does.

use corewire::prelude::*;
use corewire::sim::Treadmill;
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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = echo
}
criterion_main!(benches);
