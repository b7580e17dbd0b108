//! Words for the operator: the plan as one log line, errors with what to do about them.

use super::hwloc::DiscoverError;
use super::placement::{Plan, PlanError};
use std::fmt::{Display, Formatter, Result, Write};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} shard{}, ", self.shards.len(), plural(self.shards.len()))?;
        f.write_str(match (self.pinned, self.invented) {
            (true, _) => "pinned",
            (false, true) => "not pinned (invented machine)",
            (false, false) => "not pinned",
        })?;
        for node in &self.pool_cpus {
            write!(f, "; node {}: ", node.node)?;
            let here = || self.shards.iter().filter(|place| place.node == node.node);
            let shards: Vec<u32> = here().map(|place| place.shard.into()).collect();
            let cpus: Vec<u32> = here().map(|place| place.cpu).collect();
            if !shards.is_empty() {
                write!(f, "{} on {}, ", named("shard", &shards), named("cpu", &cpus))?;
            }
            write!(f, "pool on {}", named("cpu", &node.cpus))?;
        }
        if let Some(quota) = self.quota_millicpus {
            write!(f, "; the cgroup grants {} cpus", f64::from(quota) / 1_000.0)?;
            if self.shards.len() as u64 * 1_000 > quota.into() {
                f.write_str(", less than the shards can use: expect throttling")?;
            }
        }
        Ok(())
    }
}

impl Display for PlanError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            PlanError::NoCpus => f.write_str(
                "there is no CPU that this process may use; check its cpuset and affinity mask (taskset)",
            ),
            PlanError::UnknownNode { asked, nodes } => {
                write!(
                    f,
                    "--numa {asked}: there is no such NUMA node; choose from {}, or -1 for all",
                    Runs(nodes)
                )
            }
            PlanError::NodeWithoutCpus { asked, nodes } => write!(
                f,
                "--numa {asked}: that NUMA node has no CPU that this process may use (it is memory only, or the cpuset \
                 or affinity mask forbids them); choose from {}, or -1 for all",
                Runs(nodes)
            ),
            PlanError::TooManyWorkers { asked, numa, cores, cpus } => {
                write!(f, "--workers {asked}: ")?;
                match numa {
                    Some(node) => write!(f, "NUMA node {node} has")?,
                    None => f.write_str("this process may use")?,
                }
                write!(
                    f,
                    " {cpus} cpu{} on {cores} physical core{}",
                    plural(*cpus as usize),
                    plural(*cores as usize)
                )?;
                write!(f, "; ask for at most {cpus}, or 0 for one a physical core")
            }
        }
    }
}

impl Display for DiscoverError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            DiscoverError::Hwloc => {
                f.write_str("hwloc could not read this machine's topology; check that /sys is mounted and readable")
            }
            DiscoverError::InventionIgnored { variable, value } => write!(
                f,
                "{variable} is set to {value:?}, which hwloc cannot read as a machine; mend it (for example \
                 HWLOC_SYNTHETIC=\"pack:2 numa:1 core:8 pu:2\"), or unset it to use the real machine"
            ),
            DiscoverError::NoCpuAllowed => f.write_str(
                "the affinity mask of this thread allows no CPU that hwloc knows; check taskset and the cpuset",
            ),
        }
    }
}

impl std::error::Error for PlanError {}
impl std::error::Error for DiscoverError {}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `cpu 3` or `cpus 0-1,4`.
fn named(noun: &str, numbers: &[u32]) -> String {
    format!("{noun}{} {}", plural(numbers.len()), Runs(numbers))
}

/// Numbers in their order, those that follow each other as a range: the notation of `taskset -c`.
struct Runs<'a>(&'a [u32]);

impl Display for Runs<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, run) in self.0.chunk_by(|a, b| a.checked_add(1) == Some(*b)).enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            match run {
                [first, .., last] => write!(f, "{first}-{last}")?,
                one => one.iter().try_for_each(|number| write!(f, "{number}"))?,
            }
        }
        Ok(())
    }
}
