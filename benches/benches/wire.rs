//! What `wire` costs: unmasking beside a loop over bytes, decoding many small frames of one read, and encoding one.
//!
//! Guess: unmasking moves as fast as the cache gives (16 B a cycle), so it costs nothing beside a system call; a
//! small frame decodes in about 10 ns.

use std::hint::black_box;

use corewire::wire::frame::{self, Opcode};
use corewire::wire::{Limits, Machine, Role, mask};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const KEY: mask::Key = [0x37, 0xfa, 0x21, 0x3d];

/// Room for a payload at any of 64 alignments.
fn room(payload_bytes: usize) -> (Vec<u8>, usize) {
    let room = vec![0x5a; payload_bytes + 128];
    let aligned = room.as_ptr().align_offset(64);
    (room, aligned)
}

/// The loop as the RFC writes it (§5.3), which the compiler may vectorise if it can.
fn by_byte(bytes: &mut [u8], key: mask::Key) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key[i % 4];
    }
}

fn unmask(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmask");
    for payload_bytes in [20, 512, 16 << 10, 256 << 10] {
        group.throughput(Throughput::Bytes(payload_bytes as u64));
        let (mut room, aligned) = room(payload_bytes);
        for (name, offset) in [("aligned", aligned), ("unaligned", aligned + 7)] {
            let bytes = &mut room[offset..offset + payload_bytes];
            group.bench_function(BenchmarkId::new(name, payload_bytes), |b| {
                b.iter(|| mask::apply(black_box(&mut *bytes), black_box(KEY)));
            });
        }
        let bytes = &mut room[aligned..aligned + payload_bytes];
        group.bench_function(BenchmarkId::new("by_byte", payload_bytes), |b| {
            b.iter(|| by_byte(black_box(&mut *bytes), black_box(KEY)));
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode_16_frames_of_20_bytes");
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut read = Vec::new();
        for _ in 0..16 {
            frame::append(opcode, Some(KEY), b"twenty bytes of text", &mut read);
        }
        let mut machine = Machine::new(Role::Server);
        let limits = Limits::default();
        let mut room = read.clone();
        group.throughput(Throughput::Elements(16));
        group.bench_function(BenchmarkId::from_parameter(format!("{opcode:?}")), |b| {
            b.iter(|| {
                room.copy_from_slice(&read); // decoding unmasks in place
                let mut bytes = &mut room[..];
                while !bytes.is_empty() {
                    let step = machine.decode(bytes, &limits).expect("sound frames");
                    black_box(&step.event);
                    bytes = &mut bytes[step.consumed..];
                }
            });
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for payload_bytes in [20, 512, 16 << 10] {
        let payload = vec![0x5a; payload_bytes];
        let mut out = vec![0; payload_bytes + 16];
        group.throughput(Throughput::Bytes(payload_bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(payload_bytes), |b| {
            b.iter(|| frame::write(Opcode::Binary, None, black_box(&payload), black_box(&mut out)));
        });
    }
    group.finish();
}

criterion_group!(benches, unmask, decode, encode);
criterion_main!(benches);
