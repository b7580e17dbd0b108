//! From a first session to what things cost.
//!
//! In reading order:
//!
//! 1. [A first session](chapter_1_first_session): a server, and what a connection is
//! 2. [A first actor](chapter_2_first_actor): what is not a connection
//! 3. [Talking](chapter_3_talking): sending, asking, priorities, full mailboxes
//! 4. [Failing](chapter_4_failing): what becomes of a message, of an actor, of a connection
//! 5. [Time](chapter_5_time): timers, futures, slow work
//! 6. [Other threads](chapter_6_other_threads): `main`, tokio, and the way back
//! 7. [Testing](chapter_7_testing): a thousand worlds in a few lines
//! 8. [What it costs](chapter_8_cost)
//! 9. [Rooms](chapter_9_rooms): many clients, one order, on all shards
//! 10. [Your own binary protocol](chapter_10_binary_protocol): messages that are read where the kernel has put them
//!
//! Every snippet is compiled with the documentation's tests.
//!
//! Does not know: how any of it works. ARCHITECTURE.md in the repository tells.

#[doc = include_str!("1_first_session.md")]
pub mod chapter_1_first_session {}

#[doc = include_str!("2_first_actor.md")]
pub mod chapter_2_first_actor {}

#[doc = include_str!("3_talking.md")]
pub mod chapter_3_talking {}

#[doc = include_str!("4_failing.md")]
pub mod chapter_4_failing {}

#[doc = include_str!("5_time.md")]
pub mod chapter_5_time {}

#[doc = include_str!("6_other_threads.md")]
pub mod chapter_6_other_threads {}

#[doc = include_str!("7_testing.md")]
pub mod chapter_7_testing {}

#[doc = include_str!("8_cost.md")]
pub mod chapter_8_cost {}

#[doc = include_str!("9_rooms.md")]
pub mod chapter_9_rooms {}

#[doc = include_str!("10_binary_protocol.md")]
pub mod chapter_10_binary_protocol {}
