//! Discovery: hwloc's tree flattened into a [`Machine`].
//!
//! The binding knows fewer object types than the library may return, and panics on NUMA nodes. So we ask for packages,
//! cores and PUs only, and match them by their CPU sets and node sets instead of walking the tree.

use super::limits::cpu_quota_millicpus;
use super::machine::{Machine, Pu};
use hwloc2::{CpuBindFlags, ObjectType, Topology, TopologyObject};
use std::collections::{BTreeMap, BTreeSet};

/// Why the machine could not be read.
///
/// ```
/// use corewire::topology::DiscoverError;
///
/// let error = DiscoverError::InventionIgnored { variable: "HWLOC_SYNTHETIC", value: "16 cores".into() };
/// assert!(error.to_string().contains("HWLOC_SYNTHETIC"));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoverError {
    /// hwloc could not load a topology: `/sys` is missing or unreadable.
    Hwloc,
    /// The operator asked for an invented machine, but hwloc could not read the description and, as it does, went on with
    /// the real one in silence.
    InventionIgnored {
        /// `HWLOC_XMLFILE` or `HWLOC_SYNTHETIC`.
        variable: &'static str,
        /// What it was set to.
        value: String,
    },
    /// hwloc knows CPUs, and the affinity mask of this thread allows none of them.
    NoCpuAllowed,
}

impl Machine {
    /// The machine that we run on, or the one invented by `HWLOC_XMLFILE` or `HWLOC_SYNTHETIC`.
    ///
    /// A real machine is narrowed to what we may use: the cpuset (by hwloc), the affinity mask of the calling thread (so call
    /// it before binding that thread), the cgroup's CPU quota. For an invented one these limits mean nothing and are left out;
    /// [`Machine::invented`] says so. `HWLOC_THISSYSTEM=1` declares a description to be this machine after all.
    ///
    /// # Errors
    /// See [`DiscoverError`]; all are the operator's to mend, and the text says how.
    ///
    /// ```
    /// use corewire::topology::Machine;
    ///
    /// let machine = Machine::discover()?;
    /// assert!(machine.core_count() >= 1);
    /// # Ok::<(), corewire::topology::DiscoverError>(())
    /// ```
    pub fn discover() -> Result<Machine, DiscoverError> {
        let topology = Topology::new().ok_or(DiscoverError::Hwloc)?;
        // hwloc reports no binding for a topology that is not this system's: its own word on what is real.
        let invented = !topology.support().cpu().set_current_thread();
        if !invented && let Some((variable, value)) = requested_invention() {
            return Err(DiscoverError::InventionIgnored { variable, value });
        }
        let pus = pus(&topology);
        let mut machine = Machine { nodes: nodes(&topology, &pus), pus, quota_millicpus: None, invented };
        if !invented {
            if let Some(mask) = topology.get_cpubind(CpuBindFlags::CPUBIND_THREAD) {
                machine.restrict(&indices(mask).collect());
            }
            machine.quota_millicpus = cpu_quota_millicpus(|path| std::fs::read_to_string(path).ok());
        }
        if machine.pus.is_empty() {
            return Err(DiscoverError::NoCpuAllowed);
        }
        Ok(machine)
    }
}

/// What the operator asked hwloc to pretend, unless declared to be this very system. XML goes first, as in hwloc.
fn requested_invention() -> Option<(&'static str, String)> {
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    if set("HWLOC_THISSYSTEM").is_some_and(|value| value != "0") {
        return None;
    }
    let value = |variable| set(variable).map(|value| (variable, value.to_string_lossy().into_owned()));
    value("HWLOC_XMLFILE").or_else(|| value("HWLOC_SYNTHETIC"))
}

fn pus(topology: &Topology) -> Vec<Pu> {
    let core_of = owners(topology, &ObjectType::Core);
    let package_of = owners(topology, &ObjectType::Package);
    let objects = topology.objects_with_type(&ObjectType::PU).unwrap_or_default();
    let uncored = core_of.values().max().map_or(0, |last| last + 1);
    let pu = |object: &&TopologyObject| {
        let cpu = object.os_index();
        Pu {
            cpu,
            // Some virtual machines show no cores: then each PU is one.
            core: core_of.get(&cpu).copied().unwrap_or(uncored.saturating_add(object.logical_index())),
            node: nearest_node(object),
            package: package_of.get(&cpu).copied().unwrap_or(0),
        }
    };
    objects.iter().map(pu).collect()
}

/// CPU → the object of that type that holds it, by its index over the machine. Empty where hwloc shows no such level.
fn owners(topology: &Topology, of: &ObjectType) -> BTreeMap<u32, u32> {
    let objects = topology.objects_with_type(of).unwrap_or_default();
    let cpus = |object: &&TopologyObject| {
        let index = object.logical_index();
        object.cpuset().into_iter().flat_map(indices).map(move |cpu| (cpu, index)).collect::<Vec<_>>()
    };
    objects.iter().flat_map(cpus).collect()
}

/// The lowest of the nodes near a PU: where a package has both, ordinary memory is numbered before high-bandwidth
/// and CXL memory. A node that the cpuset forbids us to allocate on is taken last.
fn nearest_node(pu: &TopologyObject) -> u32 {
    let lowest = |set: Option<hwloc2::NodeSet>| set.and_then(|set| u32::try_from(set.first()).ok());
    lowest(pu.nodeset()).or_else(|| lowest(pu.complete_nodeset())).unwrap_or(0)
}

/// All nodes, those of memory only included: the root knows them, and the binding cannot list them itself.
fn nodes(topology: &Topology, pus: &[Pu]) -> Vec<u32> {
    let at_root = topology.object_at_root().nodeset().into_iter().flat_map(indices);
    at_root.chain(pus.iter().map(|pu| pu.node)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The members of a set; none of an infinite one, which is hwloc's way to say "unknown".
fn indices(set: hwloc2::Bitmap) -> impl Iterator<Item = u32> {
    let finite = set.weight() >= 0;
    set.into_iter().take_while(move |_| finite)
}
