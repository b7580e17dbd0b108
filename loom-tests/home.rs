//! Blocks: home once, whoever is last, with everything that was done to them.

use crate::ring::returns::{ReturnStack, Tag};
use crate::ring::spsc;
use crate::{Counted, model};
use loom::sync::Arc;
use loom::thread;
use std::ptr::NonNull;
use std::sync::Arc as Plain;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A block as a pool has it: the tag first, then what the holders share.
#[repr(C)]
struct Block {
    tag: Tag,
    contents: Counted,
}

/// One of a block's holders.
struct Holder {
    block: NonNull<Block>,
    stack: Arc<ReturnStack>,
    given_up: bool,
}

// SAFETY: what a pool's buffers claim, and what is checked here.
unsafe impl Send for Holder {}

impl Holder {
    fn of(block: NonNull<Block>, stack: &Arc<ReturnStack>) -> Self {
        Self { block, stack: stack.clone(), given_up: false }
    }

    fn read(&self) {
        // SAFETY: we hold a reference.
        unsafe { self.block.as_ref() }.contents.bytes.with(|_| ());
    }

    /// As a pool does it on its own shard: straight home, without the stack. True if we were the last.
    fn let_go(mut self) -> bool {
        self.read();
        // SAFETY: we hold a reference, and give it up here.
        let last = unsafe { self.block.as_ref() }.tag.let_go(1);
        if last {
            // SAFETY: made by `block`; nobody else holds it.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
        self.given_up = true;
        last
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.given_up || std::thread::panicking() {
            return;
        }
        self.read();
        // SAFETY: one reference each; the block is freed by `take_home`, after it came home; we hold the stack.
        unsafe { Tag::release(self.block.cast(), 1, &self.stack) };
    }
}

fn block(holders: u32, drops: &Plain<AtomicUsize>) -> NonNull<Block> {
    NonNull::from(Box::leak(Box::new(Block { tag: Tag::new(holders), contents: Counted::new(0, drops) })))
}

/// Frees what came home: dropping the contents is an exclusive use, which loom checks against all others.
fn take_home(stack: &ReturnStack) -> usize {
    // SAFETY: pushed by its last holder, made by `block`, and taken once.
    stack.take_all().map(|tag| drop(unsafe { Box::from_raw(tag.cast::<Block>().as_ptr()) })).count()
}

#[test]
fn a_block_comes_home_once_whoever_is_last() {
    model(|| {
        let drops = Plain::new(AtomicUsize::new(0));
        let stack = Arc::new(ReturnStack::new());
        let block = block(2, &drops);
        let holders = [(); 2].map(|()| {
            let holder = Holder::of(block, &stack);
            thread::spawn(move || drop(holder))
        });
        let mut home = take_home(&stack);
        for holder in holders {
            holder.join().unwrap();
            home += take_home(&stack);
        }
        assert_eq!((home, drops.load(Ordering::Relaxed)), (1, 1));
        assert!(stack.is_empty());
    });
}

#[test]
fn the_last_holder_has_the_block_alone() {
    model(|| {
        let drops = Plain::new(AtomicUsize::new(0));
        let stack = Arc::new(ReturnStack::new());
        let block = block(2, &drops);
        let (ours, theirs) = (Holder::of(block, &stack), Holder::of(block, &stack));
        let other = thread::spawn(move || theirs.let_go());
        let ours = ours.let_go();
        assert!(ours ^ other.join().unwrap());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_holder_may_make_more_while_others_let_go() {
    model(|| {
        let drops = Plain::new(AtomicUsize::new(0));
        let stack = Arc::new(ReturnStack::new());
        let block = block(2, &drops);
        let (ours, theirs) = (Holder::of(block, &stack), Holder::of(block, &stack));
        let other = thread::spawn(move || drop(theirs));
        // SAFETY: we hold a reference.
        unsafe { block.as_ref() }.tag.retain(1);
        let second = Holder::of(block, &stack);
        drop(ours);
        assert_eq!(take_home(&stack), 0, "home, and still held");
        drop(second);
        let home = take_home(&stack);
        other.join().unwrap();
        assert_eq!(home + take_home(&stack), 1);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn blocks_of_two_threads_all_come_home() {
    model(|| {
        let drops = Plain::new(AtomicUsize::new(0));
        let stack = Arc::new(ReturnStack::new());
        let holders = [(); 2].map(|()| {
            let holder = Holder::of(block(1, &drops), &stack);
            thread::spawn(move || drop(holder))
        });
        let mut home = take_home(&stack);
        for holder in holders {
            holder.join().unwrap();
        }
        home += take_home(&stack);
        assert_eq!((home, drops.load(Ordering::Relaxed)), (2, 2));
    });
}

#[test]
fn a_block_comes_home_from_a_lane_whose_sender_closes() {
    model(|| {
        let drops = Plain::new(AtomicUsize::new(0));
        let stack = Arc::new(ReturnStack::new());
        let block = block(2, &drops);
        let (mut tx, mut rx) = spsc::channel(2);
        let (ours, theirs) = (Holder::of(block, &stack), Holder::of(block, &stack));
        let sender = thread::spawn(move || {
            drop(tx.push(ours)); // back, if the consumer is gone
            drop(theirs); // before the publish: then the other one may be in the lane, or beyond
        });
        if let Some(holder) = rx.pop() {
            holder.read();
        }
        drop(rx); // what was not taken yet goes down with the lane
        let home = take_home(&stack);
        sender.join().unwrap();
        assert_eq!(home + take_home(&stack), 1);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}
