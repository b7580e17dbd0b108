//! Limits: exhaustion is an answer, and what receives does not eat what sends.

use super::{check_all_home, pool, receive};
use corewire::buf::{Buf, Exhausted, NoRoom, Pool, PoolConfig};
use std::io::ErrorKind;

#[test]
fn the_outbound_quota_counts_block_bytes_and_says_when_it_is_used_up() {
    let mut pool = pool(PoolConfig { outbound_bytes_max: 10_000, ..PoolConfig::default() });
    let held: Vec<Buf> = std::iter::from_fn(|| pool.take(1000).ok()).collect();
    assert_eq!(held.len(), 10_000 / 1024);
    assert_eq!(
        pool.take(1000).unwrap_err(),
        Exhausted::Quota { asked_bytes: 1000, out_bytes: 9 * 1024, limit_bytes: 10_000 }
    );
    assert!(pool.take(700).is_err() && pool.take(500).is_ok(), "what still fits is given");
    drop(held); // on the return stack
    assert!(pool.take(1000).is_ok(), "a full quota looks whether something came home");
}

#[test]
fn receiving_and_sending_have_limits_of_their_own() {
    let config = PoolConfig { receive_blocks: 3, outbound_bytes_max: 4096, ..PoolConfig::default() };
    let mut pool = pool(config);
    let blocks: Vec<_> = std::iter::from_fn(|| pool.take_receive()).collect();
    assert_eq!(blocks.len(), 3);
    let buf = pool.take(4096).expect("receiving took nothing of it");
    assert!(pool.take(1).is_err());
    drop(blocks);
    assert!(pool.take(1).is_err(), "and gives nothing to it");
    let block = pool.take_receive().expect("the other way round, too");
    drop((buf, block));
    check_all_home(&mut pool);
}

#[test]
fn a_receive_block_has_the_same_number_each_time() {
    let mut pool = pool(PoolConfig { receive_blocks: 4, receive_block_bytes: 2048, ..PoolConfig::default() });
    let mut seen: Vec<(u16, usize)> = Vec::new();
    for _ in 0..3 {
        let mut blocks: Vec<_> = std::iter::from_fn(|| pool.take_receive()).collect();
        let mut now: Vec<_> = blocks.iter_mut().map(|b| (b.index(), b.as_mut_ptr() as usize)).collect();
        now.sort_unstable();
        assert_eq!(now.iter().map(|&(index, _)| index).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(seen.is_empty() || seen == now);
        seen = now;
    }
}

#[test]
fn a_receive_block_is_out_until_its_last_piece_is_dropped() {
    let mut pool = pool(PoolConfig { receive_blocks: 1, ..PoolConfig::default() });
    let mut block = pool.take_receive().unwrap();
    let (first, second) = (receive(&mut block, b"one"), receive(&mut block, b"two"));
    drop(block);
    drop(first);
    assert!(pool.take_receive().is_none());
    drop(second);
    assert!(pool.take_receive().is_some());
}

#[test]
#[should_panic(expected = "given away")]
fn a_range_is_not_carved_twice() {
    let mut pool = pool(PoolConfig::default());
    let mut block = pool.take_receive().unwrap();
    let _piece = receive(&mut block, b"mine");
    // SAFETY: it is not, and that is what is refused.
    let _twin = unsafe { block.carve(3, 4) };
}

#[test]
#[should_panic(expected = "of a block of")]
fn nothing_is_carved_beyond_the_block() {
    let mut pool = pool(PoolConfig::default());
    let mut block = pool.take_receive().unwrap();
    let len = block.len();
    // SAFETY: it is not, and that is what is refused.
    let _beyond = unsafe { block.carve(1, len) };
}

#[test]
fn sizes_are_the_next_power_of_two_and_beyond_1_mib_whole_pages() {
    let mut pool = pool(PoolConfig { outbound_bytes_max: 256 << 20, ..PoolConfig::default() });
    for (asked, block) in [
        (0, 64),
        (1, 64),
        (64, 64),
        (65, 128),
        (4097, 8192),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, (1 << 20) + 4096),
        (16 << 20, 16 << 20),
        (64 << 20, 64 << 20),
    ] {
        let buf = pool.take(asked).unwrap();
        assert_eq!((buf.len(), buf.capacity(), buf.block_bytes()), (0, block, block), "asked for {asked}");
        assert_eq!(pool.stats().outbound_bytes_out, block);
        pool.recycle(buf);
    }
    let asked_bytes = (64 << 20) + 1;
    assert_eq!(
        pool.take(asked_bytes).unwrap_err(),
        Exhausted::TooLarge { asked_bytes, limit_bytes: 64 << 20 }
    );
    check_all_home(&mut pool);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut pool = pool(PoolConfig::default());
    let mut buf = pool.take(64).unwrap();
    buf.leave_headroom(4);
    buf.extend_from_slice(&[1; 60]).unwrap();
    assert_eq!(buf.extend_from_slice(&[2]), Err(NoRoom { bytes: 1, room_bytes: 0 }));
    assert_eq!(buf.prepend(&[3; 5]), Err(NoRoom { bytes: 5, room_bytes: 4 }));
    assert_eq!(&buf[..], &[1; 60]);
    buf.prepend(&[3; 4]).unwrap();
    assert_eq!((buf.len(), buf.headroom(), buf.room()), (64, 0, 0));
}

#[test]
fn a_kept_payload_does_not_pin_a_large_block() {
    let mut pool = pool(PoolConfig::default());
    let mut block = pool.take_receive().unwrap();
    let small = receive(&mut block, b"a few bytes");
    let large = receive(&mut block, &[5; 20_000]);
    drop(block);
    let small = pool.keep(small);
    assert_eq!((&small[..], small.block_bytes()), (&b"a few bytes"[..], 64));
    assert!(small.headroom() >= 14, "room for any frame header");
    let address = large.as_ptr();
    let large = pool.keep(large);
    assert_eq!(large.as_ptr(), address, "large enough for its block");
    assert_eq!(pool.stats().copied_payloads, 1);
    drop((small, large));
    check_all_home(&mut pool);
}

#[test]
fn a_config_beyond_the_limits_is_refused() {
    let config = PoolConfig::default();
    for wrong in [
        PoolConfig { receive_block_bytes: 1024, ..config.clone() },
        PoolConfig { receive_block_bytes: 3000, ..config.clone() },
        PoolConfig { receive_block_bytes: 2 << 20, ..config.clone() },
        PoolConfig { receive_blocks: 32_769, ..config.clone() },
        PoolConfig { outbound_bytes_max: (128 << 30) + 1, ..config },
    ] {
        assert_eq!(
            Pool::new(&wrong).err().map(|error| error.kind()),
            Some(ErrorKind::InvalidInput),
            "{wrong:?}"
        );
    }
}
