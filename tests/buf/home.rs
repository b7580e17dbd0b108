//! Blocks go home, whatever thread drops last, and whatever happened to the pool.

use super::{check_all_home, pool, receive};
use corewire::buf::{Buf, Frozen, Pool, PoolConfig, leaked_slabs};
use corewire::ring::parcel::Parcel;
use corewire::ring::spsc::{self, PushError};
use std::sync::{Barrier, Mutex};
use std::thread;

const ROUNDS: usize = if cfg!(miri) { 3 } else { 200 };

/// The figure is the process's: the tests that look at it take turns. No other test drops a pool too early.
static LEAKS: Mutex<()> = Mutex::new(());

#[test]
fn all_is_home_whichever_thread_drops_last() {
    let mut pool = pool(PoolConfig::default());
    for _ in 0..ROUNDS {
        let mut block = pool.take_receive().unwrap();
        let mut pieces: Vec<Buf> = (0..4).map(|piece| receive(&mut block, &[piece; 100])).collect();
        let mut mine = pieces.pop().unwrap();
        pieces.push(mine.split_to(50));
        let start = Barrier::new(pieces.len() + 1);
        thread::scope(|scope| {
            for (number, mut piece) in pieces.into_iter().enumerate() {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    write_all(&mut piece, number as u8);
                });
            }
            start.wait();
            write_all(&mut mine, 77);
            drop(block);
            drop(mine);
        });
        check_all_home(&mut pool);
    }
    assert_eq!(pool.stats().receive.blocks, 1, "the block that came home is the one that is taken");
}

/// Two owners of one byte would be a data race for the tools that look for those, and a wrong byte for us.
fn write_all(buf: &mut Buf, byte: u8) {
    buf.fill(|spare| spare.len()); // a piece has no room behind, so this takes nothing of its neighbour
    buf.iter_mut().for_each(|b| *b = byte);
    assert!(buf.iter().all(|&b| b == byte), "somebody else wrote here");
}

/// Two shards echo each other's buffers over lanes, in parcels, batch by batch.
#[test]
fn buffers_that_cross_lanes_all_come_home() {
    let messages: usize = if cfg!(miri) { 40 } else { 20_000 };
    let (mut out, mut far_in) = spsc::channel::<Parcel>(16);
    let (mut far_out, mut back) = spsc::channel::<Parcel>(16);
    let far = thread::spawn(move || {
        let mut kept = Vec::new();
        while !far_in.is_closed() {
            let room = far_out.room();
            for (number, parcel) in far_in.drain(room).enumerate() {
                let buf = parcel.downcast::<Buf>().unwrap();
                if number % 3 == 0 {
                    kept.push(buf); // dropped here, some turns later
                    kept.truncate(8);
                } else {
                    far_out.push(Parcel::new(buf)).unwrap_or_else(|error| match error {
                        PushError::Full(_) => panic!("there was room"),
                        PushError::Closed(parcel) => drop(parcel),
                    });
                }
            }
            far_out.publish();
            thread::yield_now();
        }
    });
    let mut pool = pool(PoolConfig { outbound_bytes_max: 64 << 10, ..PoolConfig::default() });
    let (mut sent, mut refused) = (0, 0);
    while sent < messages {
        let number = (sent as u64).to_le_bytes();
        match pool.copy(&number[..1 + sent % 8]) {
            Ok(buf) => match out.push(Parcel::new(buf)) {
                Ok(()) => sent += 1,
                Err(PushError::Full(_)) => thread::yield_now(),
                Err(PushError::Closed(_)) => panic!("the other shard is gone"),
            },
            Err(_) => refused += 1,
        }
        if sent % 5 == 0 {
            out.publish();
        }
        for parcel in back.drain(8) {
            pool.recycle(parcel.downcast::<Buf>().unwrap());
        }
    }
    drop(out);
    while !back.is_closed() {
        back.drain(8).for_each(drop);
        thread::yield_now();
    }
    far.join().unwrap();
    check_all_home(&mut pool);
    assert_eq!(refused, 0, "the lanes hold less than the quota");
}

#[test]
fn a_frozen_block_comes_home_when_the_last_shard_is_done() {
    let mut pool = pool(PoolConfig::default());
    for shards in 0..5u32 {
        let buf = pool.copy(b"to all").unwrap();
        let tickets: Vec<Frozen> = pool.freeze(buf, shards).collect();
        assert_eq!(tickets.len(), shards as usize);
        let readers: Vec<_> = tickets
            .into_iter()
            .map(|ticket| {
                thread::spawn(move || {
                    let views = vec![ticket.open(); 10];
                    assert!(views.iter().all(|view| &view[..] == b"to all"));
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        check_all_home(&mut pool);
    }
}

#[test]
fn tickets_that_nobody_took_are_given_back() {
    let mut pool = pool(PoolConfig::default());
    let buf = pool.copy(b"to all").unwrap();
    let mut tickets = pool.freeze(buf, 3);
    let first = tickets.next().unwrap();
    drop(tickets);
    pool.reclaim();
    assert_eq!(pool.stats().blocks_out(), 1, "still held by the one that was taken");
    drop(first);
    check_all_home(&mut pool);
}

#[test]
fn a_buffer_outlives_its_pool_and_is_dropped_without_harm() {
    let _alone = LEAKS.lock().unwrap();
    let before = leaked_slabs();
    let mut pool = pool(PoolConfig::default());
    let mut received = receive(&mut pool.take_receive().unwrap(), b"received");
    let large = pool.copy(&vec![7; 2 << 20]).unwrap();
    let small = pool.copy(b"small").unwrap();
    drop(pool.copy(&[0; 5000])); // home in time: its slab is not leaked
    drop(pool);
    assert_eq!(leaked_slabs(), before + 3);
    received[0] = b'R';
    assert_eq!((&received[..], &small[..], large[2_000_000]), (&b"Received"[..], &b"small"[..], 7));
    thread::spawn(move || drop((received, large))).join().unwrap();
    drop(small);
}

#[test]
fn a_pool_whose_blocks_are_home_leaks_nothing() {
    let _alone = LEAKS.lock().unwrap();
    let before = leaked_slabs();
    let mut pool = pool(PoolConfig::default());
    let held = (pool.take_receive(), pool.copy(b"small"), pool.take(5000), pool.take(2 << 20));
    drop(held); // on the return stack when the pool goes
    drop(pool);
    assert_eq!(leaked_slabs(), before);
}

#[test]
fn a_buffer_recycled_by_another_pool_goes_home() {
    let (mut home, mut other) = (pool(PoolConfig::default()), pool(PoolConfig::default()));
    let buf = home.copy(b"away").unwrap();
    other.recycle(buf);
    assert_eq!(other.stats().blocks_out(), 0);
    check_all_home(&mut home);
}

#[test]
fn a_recycled_block_is_the_next_to_be_taken() {
    let mut pool: Pool = pool(PoolConfig::default());
    let (first, second) = (pool.copy(b"one").unwrap(), pool.copy(b"two").unwrap());
    let address = first.as_ptr();
    pool.recycle(second);
    pool.recycle(first);
    assert_eq!(pool.stats().blocks_out(), 0, "without a reclaim");
    assert_eq!(pool.take(3).unwrap().as_ptr(), address, "the warmest first");
}
