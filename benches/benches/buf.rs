//! What a block costs to take and to give back, at home and from another thread.
//!
//! Guess: a list's head and an atomic store, about 15 ns; by way of another thread a line's transfer more.

use corewire::buf::{Buf, Pool, PoolConfig};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn pool(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool");
    let mut pool = Pool::new(&PoolConfig::default()).expect("64 MiB of addresses can be had");
    for bytes in [64, 1024, 64 << 10] {
        group.bench_function(BenchmarkId::new("take_and_recycle", bytes), |b| {
            b.iter(|| {
                let block = pool.take(black_box(bytes)).expect("one is out");
                pool.recycle(block);
            });
        });
        group.bench_function(BenchmarkId::new("take_drop_reclaim", bytes), |b| {
            b.iter(|| {
                let block = pool.take(black_box(bytes)).expect("one is out");
                drop(block); // as from anywhere: by the return stack
                pool.reclaim();
            });
        });
    }
    group.bench_function("copy_of_20_bytes", |b| {
        b.iter(|| {
            let block = pool.copy(black_box(b"twenty bytes of text")).expect("one is out");
            pool.recycle(block);
        });
    });
    let mut block = pool.take_receive().expect("it is the first");
    group.bench_function("carve_and_drop_20_bytes", |b| {
        b.iter(|| {
            if block.room() < 20 {
                block = pool.take_receive().expect("the one before is home soon");
                pool.reclaim();
            }
            let piece: Buf = block.fill(b"twenty bytes of text");
            black_box(&piece);
            pool.recycle(piece);
        });
    });
    group.finish();
}

criterion_group!(benches, pool);
criterion_main!(benches);
