//! A board on each shard that hands frames to the clients of sessions there, for tests of what becomes of them.

use corewire::actor::{ActorId, Priority};
use corewire::connection::{Delivered, FRAME_HEADER_BYTES_MAX, Slow, Terms};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{Heard, Report, World};
use corewire::wire::Kind;
use std::sync::{Arc, Mutex};

/// What became of each post, in order, client by client.
pub(super) type Log = Arc<Mutex<Vec<Delivered>>>;

/// Who sits on a shard.
pub(super) struct Board {
    members: Vec<ActorId>,
    log: Log,
}

/// A session is there.
pub(super) struct Enter(pub(super) ActorId);

/// Frames for all.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) room: u32,
    pub(super) priority: Priority,
    pub(super) keeps_order: bool,
    pub(super) slow: Slow,
    pub(super) queue_frames: u32,
    pub(super) queue_bytes: u32,
    /// What they say, and their keys.
    pub(super) frames: Vec<(String, Option<u64>)>,
}

/// Posts, one right after the other.
pub(super) struct Posts(pub(super) Vec<Post>);

/// Nobody is to be read from, or all again.
pub(super) struct Hold(pub(super) bool);

impl Board {
    pub(super) fn new(log: &Log) -> Self {
        Self { members: Vec::new(), log: log.clone() }
    }

    /// A world with one on each shard, and the log.
    pub(super) fn in_world(world: World) -> (World, Log) {
        let log = Log::default();
        let for_boards = log.clone();
        (world.service(move |_| Self::new(&for_boards)), log)
    }

    /// Posts to all clients of all shards, and lets them be handled.
    pub(super) fn post(world: &mut World, posts: Vec<Post>) {
        for shard in 0..world.outside().shards() {
            let board = world.outside().service_on::<Self>(ShardId(shard)).expect("one is on each shard");
            world.send(board, Posts(posts.clone())).expect("there is room");
        }
    }
}

impl Actor for Board {}

impl Handler<Enter> for Board {
    type Reply = ();
    fn handle(&mut self, Enter(member): Enter, _: &mut Context<Self>) {
        self.members.push(member);
    }
}

impl Handler<Posts> for Board {
    type Reply = ();
    fn handle(&mut self, Posts(posts): Posts, cx: &mut Context<Self>) {
        for post in posts {
            post.deliver(&mut self.members, &self.log, cx);
        }
    }
}

impl Handler<Hold> for Board {
    type Reply = ();
    fn handle(&mut self, Hold(hold): Hold, cx: &mut Context<Self>) {
        for &member in &self.members {
            assert!(if hold { cx.hold_reads(member) } else { cx.release_reads(member) });
        }
    }
}

impl Post {
    /// One frame of normal priority for which there is always room.
    pub(super) fn plain(room: u32, says: impl Into<String>) -> Self {
        Self {
            room,
            priority: Priority::Normal,
            keeps_order: false,
            slow: Slow::DropOldest,
            queue_frames: 10_000,
            queue_bytes: u32::MAX,
            frames: vec![(says.into(), None)],
        }
    }

    /// Hands it to each of `members`, and forgets those who are gone.
    pub(super) fn deliver<A: Actor>(&self, members: &mut Vec<ActorId>, log: &Log, cx: &mut Context<A>) {
        let bytes = self.frames.iter().map(|(says, _)| says.len() + FRAME_HEADER_BYTES_MAX).sum();
        let mut frames = cx.frame_writer(bytes).expect("there is memory");
        for (says, _) in &self.frames {
            let (front, back) = says.as_bytes().split_at(says.len() / 2);
            frames.push(Kind::Text, &[front, back]).expect("it was made with this much room");
        }
        let frames = cx.freeze(frames, 1).next().expect("one was asked for").open();
        let keys: Vec<Option<u64>> = self.frames.iter().map(|(_, key)| *key).collect();
        let terms = Terms {
            room: self.room,
            priority: self.priority,
            keeps_order: self.keeps_order,
            counts: true,
            slow: self.slow,
            queue_frames: self.queue_frames,
            queue_bytes: self.queue_bytes,
            keys: &keys,
        };
        members.retain(|&member| {
            let delivered = cx.deliver(member, &frames, &terms);
            if let Delivered::Waits { frames, bytes, .. } = delivered {
                assert_eq!(cx.waiting_for(member, self.room), Some((frames, bytes)));
            }
            log.lock().expect("nobody panics with it").push(delivered);
            delivered != Delivered::Gone
        });
    }
}

/// A text that begins with `name` and is so long.
pub(super) fn long(name: impl std::fmt::Display, bytes: usize) -> String {
    let mut text = format!("{name} ");
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len())));
    text
}

/// The first words of the texts that a client has heard, and that nothing else went wrong.
pub(super) fn names(report: &Report) -> Vec<&str> {
    assert!(!report.heard.iter().any(|heard| matches!(heard, Heard::Nonsense(_))), "{:?}", report.heard);
    let texts = report.messages().filter_map(|heard| match heard {
        Heard::Text(text) => Some(text.split(' ').next().unwrap_or(text)),
        _ => None,
    });
    texts.collect()
}
