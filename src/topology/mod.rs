//! Which core does what: a pure plan from plain data about the machine.
//!
//! | file | idea |
//! | --- | --- |
//! | `machine.rs` | [`Machine`]: the CPUs this process may use, as a table of [`Pu`]s |
//! | `hwloc.rs` | [`Machine::discover`]: fills that table from hwloc, the affinity mask and the cgroup |
//! | `limits.rs` | [`cpu_quota_millicpus`]: how much CPU time the cgroup grants |
//! | `placement.rs` | [`plan`]: [`Machine`] and [`Policy`] in, [`Plan`] or [`PlanError`] out; no I/O |
//! | `report.rs` | a [`Plan`] as the start-up log prints it, errors as the operator reads them |
//!
//! Does not know: threads, shards, buffers. It binds nothing; it says what to bind where.
//!
//! ```
//! use corewire::topology::{Machine, Policy, plan};
//!
//! let machine = Machine::uniform(1, 2, 4, 2); // one package of two nodes, each four cores of two threads
//! let plan = plan(&machine, &Policy { workers: 2, ..Policy::default() })?;
//! assert_eq!(plan.shards.len(), 2);
//! # Ok::<(), corewire::topology::PlanError>(())
//! ```
//!
//! A message comes from nobody here and leaves for nobody: this room is done before the first one arrives. What leaves is
//! the [`Plan`], for the server that starts the shards.

mod hwloc;
mod limits;
mod machine;
mod placement;
mod report;

pub use hwloc::DiscoverError;
pub use limits::cpu_quota_millicpus;
pub use machine::{Machine, Pu};
pub use placement::{NodeCpus, Plan, PlanError, Policy, SHARDS_MAX, ShardPlace, plan};
