//! What a trade costs in SBE, and the same trade in JSON.
//!
//! Guess: decoding is a test of eight bytes and four loads, 2 ns; encoding five stores, 2 ns; a packed batch is two passes over
//! 29 bytes a trade that are in the cache, 400 M/s on one core; JSON 100 times as much.

use corewire_actors::sbe::{Trade, TradeView};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::io::Write;

const TRADE: Trade = Trade { trade_id: 12345, symbol: b'B', price: 100.53, quantity: 1000, venue: None };

/// All of a trade's fields, so that none is not read.
#[inline(always)]
fn read(trade: TradeView<'_>) -> (u64, u8, f64, u32) {
    (trade.trade_id(), trade.symbol(), trade.price(), trade.quantity())
}

fn encoded(trade: &Trade) -> Vec<u8> {
    let mut room = [0; Trade::BYTES_MAX];
    let bytes = trade.encode(&mut room).expect("there is room for the longest");
    room[..bytes].to_vec()
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode_a_trade");
    for (name, trade) in [("version 0", TRADE), ("version 1", Trade { venue: Some(7), ..TRADE })] {
        // At any address, so at an odd one.
        let bytes = [&[0][..], &encoded(&trade)].concat();
        let bytes = &bytes[1..];
        group.bench_function(name, |b| {
            b.iter(|| {
                let view = Trade::decode(black_box(bytes)).expect("it is one");
                black_box(read(view));
            });
        });
    }
    let mut wrong = encoded(&TRADE);
    wrong[4] = 9;
    group.bench_function("a wrong one", |b| b.iter(|| Trade::decode(black_box(&wrong)).is_ok()));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode_a_trade");
    for (name, trade) in [("version 0", TRADE), ("version 1", Trade { venue: Some(7), ..TRADE })] {
        let mut room = [0; 64];
        group.bench_function(name, |b| b.iter(|| black_box(&trade).encode(black_box(&mut room[..]))));
    }
    group.finish();
}

fn packed(c: &mut Criterion) {
    for trades in [64, 4096] {
        let mut group = c.benchmark_group(format!("{trades}_packed_trades"));
        group.throughput(Throughput::Elements(trades as u64));
        let mut bytes = vec![0; trades * Trade::BYTES];
        group.bench_function("encode", |b| {
            b.iter(|| {
                for (n, room) in black_box(&mut bytes[..]).chunks_exact_mut(Trade::BYTES).enumerate() {
                    let trade = Trade { trade_id: n as u64, ..TRADE };
                    trade.encode(room).expect("it is as long as this");
                }
            });
        });
        group.bench_function("add up volume and value", |b| {
            b.iter(|| {
                let batch = Trade::batch(black_box(&bytes)).expect("they are trades");
                batch.iter().fold((0, 0.0), |(volume, value), trade| {
                    (volume + u64::from(trade.quantity()), value + trade.price())
                })
            });
        });
        group.bench_function("read all fields", |b| {
            b.iter(|| {
                let batch = Trade::batch(black_box(&bytes)).expect("they are trades");
                batch.iter().for_each(|trade| {
                    black_box(read(trade));
                });
            });
        });
        group.finish();
    }
}

/// The same in JSON, with as little to do as can be: numbers, and no text to be copied.
#[derive(Serialize, Deserialize)]
struct Json<'a> {
    trade_id: u64,
    symbol: &'a str,
    price: f64,
    quantity: u32,
}

fn json(c: &mut Criterion) {
    let trade = Json { trade_id: 12345, symbol: "B", price: 100.53, quantity: 1000 };
    let text = serde_json::to_string(&trade).expect("it has a form in JSON");
    let mut group = c.benchmark_group("a_trade_in_json");
    group.bench_function("decode", |b| {
        b.iter(|| {
            let Json { trade_id, symbol, price, quantity } =
                serde_json::from_str(black_box(&text)).expect("it was just written");
            black_box((trade_id, symbol, price, quantity));
        });
    });
    let mut room = [0; 128];
    group.bench_function("encode", |b| {
        b.iter(|| {
            let mut to = black_box(&mut room[..]);
            serde_json::to_writer(&mut to, black_box(&trade)).expect("there is room");
            to.flush().expect("it is memory");
        });
    });
    group.finish();
}

criterion_group!(benches, decode, encode, packed, json);
criterion_main!(benches);
