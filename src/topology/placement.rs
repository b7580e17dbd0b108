//! Placement: which CPU each shard gets. Pure and total: any machine in, a plan or an error out.

use super::machine::{Machine, Pu};
use std::collections::{BTreeMap, BTreeSet};

/// The most shards of one process: a shard's number has 16 bits.
///
/// ```
/// assert_eq!(corewire::topology::SHARDS_MAX, u32::from(u16::MAX) + 1);
/// ```
pub const SHARDS_MAX: u32 = 1 << 16;

/// What the operator asked for.
///
/// ```
/// use corewire::topology::Policy;
///
/// let asked = Policy { numa: Some(1), ..Policy::default() }; // one shard a physical core of node 1, pinned
/// assert_eq!((asked.workers, asked.pin), (0, true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `--workers`: how many shards. 0 is one a physical core, at most as many as the CPU quota has whole CPUs.
    pub workers: u32,
    /// `--numa`: the only node to use (OS index); `None`, on the command line -1, is all of them.
    pub numa: Option<u32>,
    /// Bind each shard to its CPU. Has no effect on an invented machine, whose CPUs are not ours.
    pub pin: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { workers: 0, numa: None, pin: true }
    }
}

/// Where everything goes. Its `Display` is one line for the start-up log.
///
/// ```
/// use corewire::topology::{Machine, Policy, plan};
///
/// let plan = plan(&Machine::uniform(1, 2, 2, 1), &Policy { workers: 3, ..Policy::default() })?;
/// let last = plan.shards[2]; // a ShardPlace
/// assert_eq!((last.shard, last.cpu, last.node), (2, 2, 1));
/// let pool = &plan.pool_cpus[1]; // a NodeCpus
/// assert_eq!((pool.node, &pool.cpus[..]), (1, &[3][..])); // CPU 2 is the shard's
/// assert_eq!(
///     plan.to_string(),
///     "3 shards, not pinned (invented machine); node 0: shards 0-1 on cpus 0-1, pool on cpus 0-1; \
///      node 1: shard 2 on cpu 2, pool on cpu 3"
/// );
/// # Ok::<(), corewire::topology::PlanError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One place a shard, in the order of their numbers; never empty.
    pub shards: Vec<ShardPlace>,
    /// Where threads of the worker pool may run: one entry for each node in use, by node, none of them empty.
    /// A node's CPUs without the cores (hyper-threads included) that shards sit on; the whole node where nothing would remain.
    pub pool_cpus: Vec<NodeCpus>,
    /// Whether the threads are to be bound. If not, places only say whose memory to prefer.
    pub pinned: bool,
    /// [`Machine::invented`] of the machine that this was made for.
    pub invented: bool,
    /// [`Machine::quota_millicpus`] of that machine. An explicit `workers` may go beyond it; the plan's `Display` then warns.
    pub quota_millicpus: Option<u32>,
}

/// One shard's place. See [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardPlace {
    /// The shard's number, from 0.
    pub shard: u16,
    /// OS index of its CPU: what to bind to. No two shards share one.
    pub cpu: u32,
    /// Its physical core, as in [`Pu::core`]. Two shards share one only when no core was left.
    pub core: u32,
    /// OS index of its NUMA node: where its memory belongs.
    pub node: u32,
    /// Its package, as in [`Pu::package`].
    pub package: u32,
}

/// CPUs of one node, ascending. See [`Plan::pool_cpus`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCpus {
    /// OS index of the node.
    pub node: u32,
    /// OS indices of the CPUs.
    pub cpus: Vec<u32>,
}

/// Why there is no plan. All but [`PlanError::NoCpus`] are the operator's flags asking for what is not there.
///
/// ```
/// use corewire::topology::{Machine, Policy, plan};
///
/// let error = plan(&Machine::uniform(1, 2, 4, 1), &Policy { numa: Some(7), ..Policy::default() }).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "--numa 7: there is no such NUMA node; choose from 0-1, or -1 for all"
/// );
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// The machine has no CPU that may be used.
    NoCpus,
    /// `numa` names a node that does not exist.
    UnknownNode {
        /// The node asked for.
        asked: u32,
        /// The nodes with usable CPUs, ascending.
        nodes: Vec<u32>,
    },
    /// `numa` names a node that has memory only, or whose CPUs are all forbidden to this process.
    NodeWithoutCpus {
        /// The node asked for.
        asked: u32,
        /// The nodes with usable CPUs, ascending.
        nodes: Vec<u32>,
    },
    /// More `workers` than CPUs: shards that share a CPU would only wait for each other.
    TooManyWorkers {
        /// The count asked for.
        asked: u32,
        /// The only node to use, if one was named.
        numa: Option<u32>,
        /// Physical cores there: the count to use.
        cores: u32,
        /// CPUs there, hyper-threads included, up to [`SHARDS_MAX`]: the most that would be accepted.
        cpus: u32,
    },
}

/// Gives each shard a CPU: physical cores first, node by node; then, if `workers` asks for more than there are cores,
/// their second threads, again node by node. The same arguments always give the same plan.
///
/// ```
/// use corewire::topology::{Machine, Policy, plan};
///
/// let machine = Machine::uniform(1, 1, 2, 2); // CPUs 0 and 2 are the threads of core 0, CPUs 1 and 3 of core 1
/// let cpus = |workers| {
///     let plan = plan(&machine, &Policy { workers, ..Policy::default() })?;
///     Ok::<_, corewire::topology::PlanError>(plan.shards.iter().map(|place| place.cpu).collect::<Vec<_>>())
/// };
/// assert_eq!(cpus(0)?, [0, 1]);
/// assert_eq!(cpus(3)?, [0, 1, 2]);
/// # Ok::<(), corewire::topology::PlanError>(())
/// ```
///
/// # Errors
/// See [`PlanError`].
pub fn plan(machine: &Machine, policy: &Policy) -> Result<Plan, PlanError> {
    let pus = chosen(machine, policy.numa)?;
    let seats = seats(&pus);
    let cores = seats.iter().take_while(|seat| seat.thread == 0).count();
    let count = count(machine, policy, cores, seats.len())?;
    let place = |(shard, seat): (u16, &Seat)| {
        let Pu { cpu, core, node, package } = seat.pu;
        ShardPlace { shard, cpu, core, node, package }
    };
    let shards: Vec<_> = (0..=u16::MAX).zip(&seats).take(count).map(place).collect();
    Ok(Plan {
        pool_cpus: pool_cpus(&pus, &shards),
        shards,
        pinned: policy.pin && !machine.invented,
        invented: machine.invented,
        quota_millicpus: machine.quota_millicpus,
    })
}

/// A PU in the order of preference; derived `Ord` compares the fields from the top.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    /// 0 for the first usable thread of a core, 1 for its second …
    thread: u32,
    node: u32,
    core: u32,
    pu: Pu,
}

/// The PUs of the chosen nodes, each CPU once.
fn chosen(machine: &Machine, numa: Option<u32>) -> Result<Vec<Pu>, PlanError> {
    let by_cpu: BTreeMap<u32, Pu> = machine.pus.iter().rev().map(|pu| (pu.cpu, *pu)).collect();
    let pus: Vec<_> = by_cpu.values().filter(|pu| numa.is_none_or(|node| pu.node == node)).copied().collect();
    if !pus.is_empty() {
        return Ok(pus);
    }
    let nodes: BTreeSet<_> = by_cpu.values().map(|pu| pu.node).collect();
    let nodes: Vec<_> = nodes.into_iter().collect();
    Err(match numa {
        _ if nodes.is_empty() => PlanError::NoCpus,
        Some(asked) if machine.nodes.contains(&asked) => PlanError::NodeWithoutCpus { asked, nodes },
        Some(asked) => PlanError::UnknownNode { asked, nodes },
        None => PlanError::NoCpus,
    })
}

fn seats(pus: &[Pu]) -> Vec<Seat> {
    let mut threads_seen = BTreeMap::new();
    let seat = |pu: &Pu| {
        let seen: &mut u32 = threads_seen.entry(pu.core).or_default();
        let thread = *seen;
        *seen += 1;
        Seat { thread, node: pu.node, core: pu.core, pu: *pu }
    };
    let mut seats: Vec<_> = pus.iter().map(seat).collect(); // by CPU, so a core's first thread is its lowest
    seats.sort_unstable();
    seats
}

fn count(machine: &Machine, policy: &Policy, cores: usize, cpus: usize) -> Result<usize, PlanError> {
    let clamp = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).min(SHARDS_MAX);
    let (cores, cpus) = (clamp(cores), clamp(cpus));
    let count = match policy.workers {
        0 => cores.min(machine.quota_millicpus.map_or(SHARDS_MAX, |quota| (quota / 1_000).max(1))),
        asked if asked > cpus => {
            return Err(PlanError::TooManyWorkers { asked, numa: policy.numa, cores, cpus });
        }
        asked => asked,
    };
    Ok(count as usize)
}

fn pool_cpus(pus: &[Pu], shards: &[ShardPlace]) -> Vec<NodeCpus> {
    let taken: BTreeSet<_> = shards.iter().map(|place| place.core).collect();
    let mut nodes: BTreeMap<u32, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for pu in pus {
        let (whole, free) = nodes.entry(pu.node).or_default();
        whole.push(pu.cpu);
        if !taken.contains(&pu.core) {
            free.push(pu.cpu);
        }
    }
    let left = |(node, (whole, free)): (u32, (Vec<u32>, Vec<u32>))| NodeCpus {
        node,
        cpus: if free.is_empty() { whole } else { free },
    };
    nodes.into_iter().map(left).collect()
}
