//! The real server from outside, as its users and its enemies see it: over TCP, in this process or as the echo example.
//!
//! - `harness`: servers to test and a client that can misbehave
//! - `basics`, `http`: what it promises to everyone
//! - `attacks`, `slow`: what it does to those who abuse it, with memory measured
//! - `time`, `shutdown`: deadlines and ends
//! - `crowd`: thousands of connections: churn, and those who never read
//! - `examples`: each does what it says
//! - `supervision`: crashes, restarts, ends that another shard hears of
//! - `work`: jobs and the threads that do them
//! - `park`, `asks`: messages and questions for a shard that sleeps

mod asks;
mod attacks;
mod basics;
mod bulk;
mod crowd;
mod examples;
mod harness;
mod http;
mod later;
mod park;
mod shutdown;
mod slow;
mod stall;
mod start;
mod supervision;
mod time;
mod work;
