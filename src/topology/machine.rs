//! The machine as a table: one row a CPU that this process may use.

use std::collections::BTreeSet;

/// What shards can be placed on. Plain data: [`Machine::discover`] fills it in, tests write it by hand.
///
/// Order and duplicates do not matter to [`plan`](super::plan); of two rows with the same `cpu` one counts.
///
/// ```
/// use corewire::topology::{Machine, Pu};
///
/// let lopsided = Machine {
///     pus: vec![
///         Pu { cpu: 0, core: 0, node: 0, package: 0 },
///         Pu { cpu: 5, core: 0, node: 0, package: 0 }, // the hyper-thread of the same core
///         Pu { cpu: 9, core: 1, node: 1, package: 0 },
///     ],
///     nodes: vec![0, 1, 2], // node 2 is memory only
///     ..Machine::default()
/// };
/// assert_eq!(lopsided.core_count(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The CPUs that may be used, after the cpuset and the affinity mask.
    pub pus: Vec<Pu>,
    /// OS indices of the NUMA nodes, those without a usable CPU included, so that errors can tell the two apart.
    pub nodes: Vec<u32>,
    /// The CPU time that the cgroup grants, in thousandths of a CPU (2,500 is two and a half); `None` is all of it.
    pub quota_millicpus: Option<u32>,
    /// True when this is not the machine that we run on (`HWLOC_SYNTHETIC`, `HWLOC_XMLFILE`, or made by hand to be
    /// planned for): its CPU numbers must not be bound to, and the real machine's limits were not applied.
    pub invented: bool,
}

/// A processing unit: what the kernel calls a CPU, and what a thread is bound to. A core has one, or one a hyper-thread.
///
/// ```
/// use corewire::topology::Pu;
/// let pu = Pu { cpu: 17, core: 1, node: 0, package: 0 };
/// assert_eq!(pu.cpu, 17); // as in `taskset -c 17`
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pu {
    /// OS index, as in `/proc/cpuinfo` and `sched_setaffinity(2)`. Unique on the machine; there may be gaps.
    pub cpu: u32,
    /// Physical core, counted over the whole machine. Not the OS's `core_id`, which starts anew in each package.
    pub core: u32,
    /// OS index of the NUMA node that is near.
    pub node: u32,
    /// Physical package (socket), counted over the whole machine.
    pub package: u32,
}

impl Machine {
    /// An invented machine with the same shape everywhere. CPUs count through all first threads of all cores, then all
    /// second ones, as Linux numbers them on most x86 machines.
    ///
    /// ```
    /// use corewire::topology::Machine;
    ///
    /// let machine = Machine::uniform(2, 1, 8, 2); // packages, nodes each, cores each, threads each
    /// assert_eq!((machine.pus.len(), machine.core_count(), machine.nodes.len()), (32, 16, 2));
    /// assert!(machine.invented);
    /// ```
    #[must_use]
    pub fn uniform(packages: u32, nodes_per_package: u32, cores_per_node: u32, pus_per_core: u32) -> Self {
        let node_count = packages.saturating_mul(nodes_per_package);
        let core_count = node_count.saturating_mul(cores_per_node);
        let pu_count = core_count.saturating_mul(pus_per_core);
        let pus = (0..pu_count).map(|cpu| {
            let core = cpu % core_count;
            let node = core / cores_per_node;
            Pu { cpu, core, node, package: node / nodes_per_package }
        });
        Machine {
            pus: pus.collect(),
            nodes: (0..node_count).collect(),
            quota_millicpus: None,
            invented: true,
        }
    }

    /// Keeps the CPUs in `allowed` (OS indices). Nodes stay known even when they lose their last CPU.
    ///
    /// ```
    /// use corewire::topology::Machine;
    ///
    /// let mut machine = Machine::uniform(1, 1, 4, 1);
    /// machine.restrict(&[1, 3, 64].into());
    /// assert_eq!(machine.pus.iter().map(|pu| pu.cpu).collect::<Vec<_>>(), [1, 3]);
    /// ```
    pub fn restrict(&mut self, allowed: &BTreeSet<u32>) {
        self.pus.retain(|pu| allowed.contains(&pu.cpu));
    }

    /// Physical cores with at least one usable CPU.
    ///
    /// ```
    /// use corewire::topology::Machine;
    /// assert_eq!(Machine::uniform(1, 1, 4, 2).core_count(), 4);
    /// ```
    #[must_use]
    pub fn core_count(&self) -> usize {
        self.pus.iter().map(|pu| pu.core).collect::<BTreeSet<_>>().len()
    }
}
