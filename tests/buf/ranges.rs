//! Whatever is done to buffers in whatever order, each keeps its own bytes, and all are home at the end.
//!
//! Beside every buffer stands a plain `Vec` with the bytes that it must have. Every write uses a new value and goes
//! as far as the buffer may go, headroom and room included, so two buffers that overlapped would give each other
//! away at the next look. After each step all are looked at.

use super::{check_all_home, pool, receive};
use corewire::buf::{Buf, Frozen, Pool, PoolConfig, ReceiveBlock, Shared};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::thread;

#[derive(Debug, Clone)]
enum Step {
    Take(usize, usize),
    Receive(usize),
    NextBlock,
    Extend(Index, usize),
    Prepend(Index, usize),
    Overwrite(Index),
    Split(Index, Index),
    Join(Index, Index),
    Advance(Index, Index),
    Truncate(Index, Index),
    Keep(Index),
    Freeze(Index, u32),
    Open(Index),
    View(Index),
    Drop(Index),
    DropElsewhere(Index),
    Recycle(Index),
    Reclaim,
}

fn any_step() -> impl Strategy<Value = Step> {
    use Step::*;
    let index = any::<Index>;
    prop_oneof![
        3 => (0..5000usize, 0..20usize).prop_map(|(bytes, headroom)| Take(bytes, headroom)),
        4 => (0..1500usize).prop_map(Receive),
        1 => Just(NextBlock),
        3 => (index(), 0..100usize).prop_map(|(buf, bytes)| Extend(buf, bytes)),
        3 => (index(), 0..20usize).prop_map(|(buf, bytes)| Prepend(buf, bytes)),
        2 => index().prop_map(Overwrite),
        6 => (index(), index()).prop_map(|(buf, at)| Split(buf, at)),
        3 => (index(), index()).prop_map(|(front, back)| Join(front, back)),
        3 => (index(), index()).prop_map(|(buf, by)| Advance(buf, by)),
        2 => (index(), index()).prop_map(|(buf, to)| Truncate(buf, to)),
        2 => index().prop_map(Keep),
        2 => (index(), 0..4u32).prop_map(|(buf, shards)| Freeze(buf, shards)),
        2 => index().prop_map(Open),
        2 => index().prop_map(View),
        2 => index().prop_map(Drop),
        1 => index().prop_map(DropElsewhere),
        2 => index().prop_map(Recycle),
        1 => Just(Reclaim),
    ]
}

struct World {
    pool: Pool,
    block: Option<ReceiveBlock>,
    bufs: Vec<(Buf, Vec<u8>)>,
    tickets: Vec<(Frozen, Vec<u8>)>,
    views: Vec<(Shared, Vec<u8>)>,
    writes: u8,
}

impl World {
    fn new() -> Self {
        let config = PoolConfig {
            receive_blocks: 3,
            receive_block_bytes: 4096,
            outbound_bytes_max: 40_000,
            huge_pages: false,
            ..PoolConfig::default()
        };
        let (bufs, tickets, views) = (Vec::new(), Vec::new(), Vec::new());
        Self { pool: pool(config), block: None, bufs, tickets, views, writes: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Take(bytes, headroom) => {
                let before = self.pool.stats().outbound_bytes_out;
                match self.pool.take(bytes + headroom) {
                    Ok(mut buf) => {
                        buf.leave_headroom(headroom);
                        let bytes = self.bytes(bytes);
                        buf.extend_from_slice(&bytes).unwrap();
                        self.bufs.push((buf, bytes));
                    }
                    Err(_) => assert!(before + 8192 > 40_000, "refused with {before} out"),
                }
            }
            Step::Receive(bytes) => {
                self.block = self.block.take().or_else(|| self.pool.take_receive());
                let room = self.block.as_ref().map_or(0, |block| block.len() - block.filled());
                let bytes = self.bytes(bytes.min(room));
                if let Some(block) = &mut self.block {
                    let buf = receive(block, &bytes);
                    self.bufs.push((buf, bytes));
                }
            }
            Step::NextBlock => {
                if let Some(block) = self.block.take() {
                    // SAFETY: nothing of it is new, and nobody writes any more.
                    self.bufs.push((unsafe { block.finish(0) }, Vec::new()));
                }
            }
            Step::Extend(index, bytes) => {
                let bytes = self.bytes(bytes);
                let Some((buf, expected)) = pick(&mut self.bufs, index) else { return };
                let fits = bytes.len() <= buf.room();
                assert_eq!(buf.extend_from_slice(&bytes).is_ok(), fits);
                if fits {
                    expected.extend(bytes);
                }
            }
            Step::Prepend(index, bytes) => {
                let bytes = self.bytes(bytes);
                let Some((buf, expected)) = pick(&mut self.bufs, index) else { return };
                let fits = bytes.len() <= buf.headroom();
                assert_eq!(buf.prepend(&bytes).is_ok(), fits);
                if fits {
                    expected.splice(..0, bytes);
                }
            }
            Step::Overwrite(index) => {
                let bytes = self.bytes(8192);
                let Some((buf, expected)) = pick(&mut self.bufs, index) else { return };
                let bytes = &bytes[..expected.len()];
                buf.copy_from_slice(bytes);
                *expected = bytes.to_vec();
            }
            Step::Split(index, at) => {
                let Some((buf, expected)) = pick(&mut self.bufs, index) else { return };
                let at = at.index(buf.len() + 1);
                let front = buf.split_to(at);
                let back = expected.split_off(at);
                let front = (front, std::mem::replace(expected, back));
                self.bufs.push(front);
            }
            Step::Join(front, back) => {
                if self.bufs.len() < 2 {
                    return;
                }
                let back = self.bufs.swap_remove(back.index(self.bufs.len()));
                let (buf, expected) = pick(&mut self.bufs, front).unwrap();
                match buf.join(back.0) {
                    Ok(()) => expected.extend(back.1),
                    Err(again) => self.bufs.push((again, back.1)),
                }
            }
            Step::Advance(index, by) => {
                let Some((buf, expected)) = pick(&mut self.bufs, index) else { return };
                let by = by.index(buf.len() + 1);
                buf.advance(by);
                expected.drain(..by);
            }
            Step::Truncate(index, to) => {
                let Some((buf, expected)) = pick(&mut self.bufs, index) else { return };
                let to = to.index(buf.len() + 10);
                buf.truncate(to);
                expected.truncate(to);
            }
            Step::Keep(index) => {
                let Some((buf, expected)) = self.remove(index) else { return };
                self.bufs.push((self.pool.keep(buf), expected));
            }
            Step::Freeze(index, shards) => {
                let Some((buf, expected)) = self.remove(index) else { return };
                let tickets = self.pool.freeze(buf, shards);
                assert_eq!(tickets.len(), shards as usize);
                self.tickets.extend(tickets.map(|ticket| (ticket, expected.clone())));
            }
            Step::Open(index) => {
                if !self.tickets.is_empty() {
                    let (ticket, expected) = self.tickets.swap_remove(index.index(self.tickets.len()));
                    assert_eq!(ticket.len(), expected.len());
                    self.views.push((ticket.open(), expected));
                }
            }
            Step::View(index) => {
                if let Some((view, expected)) = pick(&mut self.views, index) {
                    let another = (view.clone(), expected.clone());
                    self.views.push(another);
                }
            }
            Step::Drop(index) => match index.index(3) {
                0 if !self.tickets.is_empty() => {
                    drop(self.tickets.swap_remove(index.index(self.tickets.len())))
                }
                1 if !self.views.is_empty() => drop(self.views.swap_remove(index.index(self.views.len()))),
                _ => drop(self.remove(index)),
            },
            Step::DropElsewhere(index) => {
                let buf = self.remove(index);
                thread::spawn(move || drop(buf)).join().unwrap();
            }
            Step::Recycle(index) => {
                if let Some((buf, _)) = self.remove(index) {
                    self.pool.recycle(buf);
                }
            }
            Step::Reclaim => {
                self.pool.reclaim();
            }
        }
    }

    fn look(&self) {
        let bufs = self.bufs.iter().map(|(buf, expected)| (&buf[..], expected));
        let views = self.views.iter().map(|(view, expected)| (&view[..], expected));
        for (bytes, expected) in bufs.chain(views) {
            assert!(bytes == expected, "somebody else wrote here");
        }
        for (buf, _) in &self.bufs {
            assert_eq!(buf.capacity(), buf.len() + buf.room());
            assert!(buf.headroom() + buf.capacity() <= buf.block_bytes());
        }
    }

    fn remove(&mut self, index: Index) -> Option<(Buf, Vec<u8>)> {
        (!self.bufs.is_empty()).then(|| self.bufs.swap_remove(index.index(self.bufs.len())))
    }

    /// Bytes that were not written lately.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.writes = self.writes.wrapping_add(1);
        vec![self.writes; len]
    }
}

fn pick<T>(all: &mut [(T, Vec<u8>)], index: Index) -> Option<(&mut T, &mut Vec<u8>)> {
    (!all.is_empty()).then(|| index.get_mut(all)).map(|(one, expected)| (one, expected))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 256 }, ..ProptestConfig::default() })]

    #[test]
    fn every_buffer_keeps_its_own_bytes_and_all_come_home(steps in vec(any_step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.look();
        }
        let World { mut pool, block, bufs, tickets, views, .. } = world;
        drop((block, views));
        thread::spawn(move || drop((bufs, tickets))).join().unwrap();
        check_all_home(&mut pool);
    }
}

#[test]
fn pieces_that_adjoin_become_one_again() {
    let mut pool = pool(PoolConfig::default());
    let mut block = pool.take_receive().unwrap();
    let mut message = receive(&mut block, b"a message in");
    let rest = receive(&mut block, b" two pieces");
    let other = receive(&mut block, b"!");
    let other = message.join(other).unwrap_err(); // not its continuation
    message.join(rest).unwrap();
    message.join(other).unwrap();
    assert_eq!(&message[..], b"a message in two pieces!");
    drop((block, message));
    check_all_home(&mut pool);
}

#[test]
fn an_empty_buffer_can_do_what_others_can() {
    let mut empty = Buf::empty();
    assert_eq!((empty.len(), empty.room(), empty.headroom(), empty.block_bytes()), (0, 0, 0, 0));
    assert_eq!(&empty[..], b"");
    empty.fill(|spare| spare.len());
    empty.advance(0);
    empty.truncate(5);
    assert!(empty.split_to(0).is_empty());
    assert!(empty.extend_from_slice(b"").is_ok() && empty.prepend(b"").is_ok());
    assert!(empty.join(Buf::empty()).is_err());
}

#[test]
fn a_copy_of_any_length_has_the_same_bytes() {
    let mut pool = pool(PoolConfig::default());
    let bytes: Vec<u8> = (0..300).map(|n| n as u8 ^ 0x5a).collect();
    for length in 0..bytes.len() {
        let copy = pool.copy(&bytes[..length]).unwrap();
        assert_eq!(&copy[..], &bytes[..length]);
        pool.recycle(copy);
    }
}
