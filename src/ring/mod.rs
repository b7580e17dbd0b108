//! What two cores touch at once, and nothing else.
//!
//! - [`spsc`]: a bounded lane from one shard to another, written and read by batch.
//! - [`doorbell`]: how a sleeping shard is woken once, and a waking one not at all.
//! - [`flag`]: whether a box that other threads fill is worth a look.
//! - [`returns`]: how a block goes home to the shard that owns its memory, and the count that says when.
//! - [`parcel`]: a message of any type in an envelope of one size.
//! - [`typed`]: a loan of a value of any type, on one core; here because it is unsafe in the same way.
//!
//! Does not know: what travels, shards, pools, the kernel. The wake-up itself is the caller's: this room only
//! says who has to make it. Atomics come from [`crate::sync`], so that `loom-tests` can mount these very files
//! over loom's; its header lists which weakening of which ordering fails which model. Model-checked within
//! bounds, which is less than a proof.
//!
//! A message comes from `shard::mesh`, in a [`parcel::Parcel`], and leaves for `shard::mesh` on another core.

pub mod doorbell;
pub mod flag;
pub mod parcel;
pub mod returns;
pub mod spsc;
pub mod typed;
