//! The real server from outside, as its users and its enemies see it: over TCP, in this process or as the echo example.
//!
//! - `harness`: servers to test and a client that can misbehave
//! - `basics`, `http`: what it promises to everyone
//! - `attacks`, `slow`: what it does to those who abuse it, with memory measured
//! - `time`, `shutdown`: deadlines and ends
//! - `crowd`: thousands of connections: churn, and those who never read
//! - `middleware`: what stands before a route; `stats`: what the shards tell
//! - `examples`, `chat`, `gateway`: each does what it says
//! - `supervision`: crashes, restarts, ends that another shard hears of
//! - `work`: jobs and the threads that do them; `reactor`: futures of glommio's
//! - `mail`: priorities, full mailboxes, futures; `park`, `asks`: messages and questions for a shard that sleeps
//! - `services`, `place`, `names`: who is on every shard, who is started on another, and who is found from there

mod asks;
mod attacks;
mod basics;
mod bulk;
mod chat;
mod crowd;
mod examples;
mod gateway;
mod harness;
mod http;
mod later;
mod mail;
mod middleware;
mod names;
mod park;
mod place;
mod reactor;
mod room_crowd;
mod rooms;
mod services;
mod sessions;
mod shutdown;
mod slow;
mod stall;
mod start;
mod stats;
mod supervision;
mod time;
mod urgent;
mod work;
