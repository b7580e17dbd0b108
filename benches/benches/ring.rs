//! What two cores pay to talk: a lane's hop by batch, and the doorbell.
//!
//! Guess: an item of 128 B costs a line or two of transfer, about 25 ns alone and under 10 in batches; there and back while
//! both spin two transfers, 100 to 200 ns; a doorbell that nobody waits at a fence, about 6 ns.

use corewire::ring::doorbell::Doorbell;
use corewire::ring::spsc;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::{black_box, spin_loop};
use std::thread;
use std::time::{Duration, Instant};

/// As large as an envelope.
type Item = [u64; 16];

/// One way, from a thread to another, published by batch. The clock stops when the last item is there.
fn one_way(items: u64, batch: u64) -> Duration {
    let (mut producer, mut consumer) = spsc::channel::<Item>(1024);
    let consumer = thread::spawn(move || {
        let mut left = items;
        while left > 0 {
            let mut taken = 0;
            for item in consumer.drain(256) {
                black_box(item);
                taken += 1;
            }
            left -= taken;
            if taken == 0 {
                spin_loop();
            }
        }
        Instant::now()
    });
    let begun = Instant::now();
    for n in 0..items {
        while producer.push([n; 16]).is_err() {
            producer.publish();
            spin_loop();
        }
        if n % batch == batch - 1 {
            producer.publish();
        }
    }
    producer.publish();
    let ended = consumer.join().expect("the consumer does not panic");
    ended - begun
}

/// There and back, one at a time.
fn there_and_back(items: u64) -> Duration {
    let (mut there, mut end) = spsc::channel::<Item>(16);
    let (mut back, mut home) = spsc::channel::<Item>(16);
    let other = thread::spawn(move || {
        for _ in 0..items {
            let item = wait(&mut end);
            back.push(item).expect("one is under way");
            back.publish();
        }
    });
    let begun = Instant::now();
    for n in 0..items {
        there.push([n; 16]).expect("one is under way");
        there.publish();
        black_box(wait(&mut home));
    }
    let took = begun.elapsed();
    other.join().expect("the other does not panic");
    took
}

fn wait(lane: &mut spsc::Consumer<Item>) -> Item {
    loop {
        match lane.pop() {
            Some(item) => return item,
            None => spin_loop(),
        }
    }
}

fn lane(c: &mut Criterion) {
    let mut group = c.benchmark_group("lane");
    group.throughput(Throughput::Elements(1));
    for batch in [1, 16, 256] {
        group.bench_function(BenchmarkId::new("one_way_by_batch", batch), |b| {
            b.iter_custom(|items| one_way(items, batch));
        });
    }
    group.bench_function("there_and_back", |b| b.iter_custom(there_and_back));
    group.finish();
}

fn doorbell(c: &mut Criterion) {
    let bell = Doorbell::new();
    let mut group = c.benchmark_group("doorbell");
    group.bench_function("nobody_sleeps", |b| b.iter(|| black_box(bell.must_ring())));
    group.bench_function("arm_ring_disarm", |b| {
        b.iter(|| {
            bell.arm();
            black_box(bell.must_ring());
            black_box(bell.disarm())
        });
    });
    group.finish();
}

criterion_group!(benches, lane, doorbell);
criterion_main!(benches);
