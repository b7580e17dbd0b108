//! Discovery, on this machine and on invented ones.
//!
//! hwloc takes an invented machine from the environment, which belongs to the whole process. So the promises about one run the
//! test binary again, with that environment and only [`this_machine_is_found_as_the_kernel_tells_it`], which prints what it found.

use super::placement::check_plan;
use corewire::topology::{Machine, Policy, Pu, plan};
use hwloc2::{CpuBindFlags, CpuSet, Topology};
use std::collections::BTreeSet;
use std::process::Command;

/// Asks the child for its findings on standard output, a line each, behind [`MARK`].
const PRINT_VARIABLE: &str = "COREWIRE_TEST_PRINT_MACHINE";
const MARK: &str = "@machine ";
const INVENTION_VARIABLES: [&str; 3] = ["HWLOC_SYNTHETIC", "HWLOC_XMLFILE", "HWLOC_THISSYSTEM"];

#[test]
fn this_machine_is_found_as_the_kernel_tells_it() {
    let found = Machine::discover();
    if std::env::var_os(PRINT_VARIABLE).is_some() {
        return print_for_parent(found); // an invented machine is judged by the parent
    }
    let machine = found.expect("this machine can be read");
    assert!(!machine.invented);
    let cpus: BTreeSet<_> = machine.pus.iter().map(|pu| pu.cpu).collect();
    assert_eq!(cpus, allowed_by_the_kernel());
    assert_eq!(cpus.len(), machine.pus.len(), "a CPU twice");
    assert!(machine.pus.iter().all(|pu| machine.nodes.contains(&pu.node)));
    check_plan(&machine, &Policy::default());
}

#[test]
fn the_affinity_mask_of_the_calling_thread_is_kept() {
    let last = *allowed_by_the_kernel().last().expect("we run somewhere");
    let bound = std::thread::spawn(move || {
        let mut topology = Topology::new().expect("hwloc loads");
        topology
            .set_cpubind(CpuSet::from(last), CpuBindFlags::CPUBIND_THREAD)
            .expect("this thread may run there");
        Machine::discover()
    });
    let machine = bound.join().expect("no panic").expect("this machine can be read");
    assert_eq!(machine.pus.iter().map(|pu| pu.cpu).collect::<Vec<_>>(), [last]);
    let excess = plan(&machine, &Policy { workers: 2, ..Policy::default() });
    assert!(excess.is_err(), "a second shard on the only allowed CPU");
}

#[test]
fn one_node_is_found_whole() {
    check_synthetic("pack:1 numa:1 core:8 pu:1", 1, 8, 8);
}

#[test]
fn two_nodes_with_hyper_threads_are_found_whole() {
    let machine = check_synthetic("pack:2 numa:1 core:8 pu:2", 2, 16, 32);
    // hwloc numbers threads of a core next to each other here: CPUs 0 and 1 are core 0.
    check_cpus(&machine, Policy { workers: 9, ..Policy::default() }, &[0, 2, 4, 6, 8, 10, 12, 14, 16]);
    check_cpus(
        &machine,
        Policy { workers: 9, numa: Some(1), pin: true },
        &[16, 18, 20, 22, 24, 26, 28, 30, 17],
    );
}

#[test]
fn eight_nodes_in_two_packages_are_found_whole() {
    let machine = check_synthetic("pack:2 numa:4 core:4 pu:2", 8, 32, 64);
    let packages: Vec<_> =
        (0..8).map(|node| machine.pus.iter().find(|pu| pu.node == node).map(|pu| pu.package)).collect();
    assert_eq!(packages, [0, 0, 0, 0, 1, 1, 1, 1].map(Some));
}

#[test]
fn a_machine_of_one_core_gets_one_shard_and_its_pool_shares_the_core() {
    let machine = check_synthetic("pack:1 numa:1 core:1 pu:1", 1, 1, 1);
    let plan = plan(&machine, &Policy::default()).expect("one core is enough");
    assert_eq!((plan.shards.len(), &plan.pool_cpus[0].cpus[..]), (1, &[0][..]));
}

#[test]
fn without_a_core_level_each_cpu_is_a_core() {
    check_synthetic("pack:1 pu:4", 1, 4, 4);
}

#[test]
fn dies_and_caches_between_package_and_core_do_not_matter() {
    check_synthetic("pack:2 numa:1 die:2 l3:1 group:2 l2:1 core:2 pu:2", 2, 16, 32);
}

#[test]
fn the_first_of_two_memories_of_a_package_is_its_node() {
    let machine = check_synthetic("pack:2 [numa(memory=1GB)] [numa(memory=1MB)] core:2 pu:1", 4, 4, 4);
    let near: Vec<_> = machine.pus.iter().map(|pu| (pu.package, pu.node)).collect();
    assert_eq!(near, [(0, 0), (0, 0), (1, 2), (1, 2)]);
}

/// Node 0: cores of one, two and one thread, with gaps between the CPU numbers; node 1: one core of two; node 2: memory only.
/// The file is hwloc's synthetic "pack:3 [numa] core:4 pu:2" restricted to CPUs 0,2-3,5,8-9; no comment in it says so, since
/// hwloc without libxml2 reads none.
#[test]
fn an_asymmetric_machine_is_found_as_it_is() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/topology/asymmetric.xml");
    let machine = discover_in(&[("HWLOC_XMLFILE", file)]).expect("a good description");
    let pu = |cpu, core, node| Pu { cpu, core, node, package: node };
    assert_eq!(machine.pus, [pu(0, 0, 0), pu(2, 1, 0), pu(3, 1, 0), pu(5, 2, 0), pu(8, 3, 1), pu(9, 3, 1)]);
    assert_eq!((&machine.nodes[..], machine.invented, machine.quota_millicpus), (&[0, 1, 2][..], true, None));
    check_cpus(&machine, Policy::default(), &[0, 2, 5, 8]);
    check_cpus(&machine, Policy { workers: 6, ..Policy::default() }, &[0, 2, 5, 8, 3, 9]);
    let memory_only =
        plan(&machine, &Policy { numa: Some(2), ..Policy::default() }).expect_err("no CPU there");
    assert!(memory_only.to_string().contains("choose from 0-1"), "{memory_only}");
}

#[test]
fn a_description_that_hwloc_cannot_read_is_an_error_and_not_the_real_machine() {
    for (variable, value) in [("HWLOC_SYNTHETIC", "sixteen cores"), ("HWLOC_XMLFILE", "/nowhere/machine.xml")]
    {
        let error = discover_in(&[(variable, value)]).expect_err("nonsense");
        assert!(error.contains(variable) && error.contains(value) && error.contains("unset"), "{error}");
    }
}

#[test]
fn a_description_declared_to_be_this_system_is_not_invented() {
    let machine = discover_in(&[("HWLOC_SYNTHETIC", "pack:1 core:1024 pu:1"), ("HWLOC_THISSYSTEM", "1")]);
    let machine = machine.expect("a good description");
    assert!(!machine.invented);
    let cpus: BTreeSet<_> = machine.pus.iter().map(|pu| pu.cpu).collect();
    assert_eq!(cpus, allowed_by_the_kernel(), "the affinity mask counts");
}

fn check_synthetic(description: &str, nodes: usize, cores: usize, pus: usize) -> Machine {
    let machine = discover_in(&[("HWLOC_SYNTHETIC", description)]).expect("a good description");
    assert_eq!((machine.nodes.len(), machine.core_count(), machine.pus.len()), (nodes, cores, pus));
    assert!(machine.invented && machine.quota_millicpus.is_none(), "this machine's limits do not concern it");
    for workers in [0, 1, cores as u32, pus as u32, pus as u32 + 1] {
        for numa in machine.nodes.iter().copied().map(Some).chain([None, Some(99)]) {
            check_plan(&machine, &Policy { workers, numa, pin: true });
        }
    }
    machine
}

fn check_cpus(machine: &Machine, policy: Policy, cpus: &[u32]) {
    check_plan(machine, &policy);
    let plan = plan(machine, &policy).expect("a plan");
    assert_eq!(plan.shards.iter().map(|place| place.cpu).collect::<Vec<_>>(), cpus);
}

/// `Cpus_allowed_list` of the calling thread, proc(5), where online: an account of the mask and the cpuset beside hwloc's.
fn allowed_by_the_kernel() -> BTreeSet<u32> {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the line");
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").expect("Linux");
    &cpu_list(allowed) & &cpu_list(&online)
}

/// The kernel's notation, `0-3,8`.
fn cpu_list(text: &str) -> BTreeSet<u32> {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(part)..=number(part),
    };
    text.trim().split(',').flat_map(range).collect()
}

/// [`Machine::discover`] in a process with these variables; the error as its text.
fn discover_in(variables: &[(&str, &str)]) -> Result<Machine, String> {
    let (_, module) = module_path!().split_once("::").expect("the test binary's name stands in front");
    let mut child = Command::new(std::env::current_exe().expect("we are running"));
    child.args([
        "--exact",
        &format!("{module}::this_machine_is_found_as_the_kernel_tells_it"),
        "--nocapture",
    ]);
    for variable in INVENTION_VARIABLES {
        child.env_remove(variable);
    }
    let output =
        child.env(PRINT_VARIABLE, "1").envs(variables.iter().copied()).output().expect("the child runs");
    let stdout = String::from_utf8(output.stdout).expect("text");
    let mut machine = Machine::default();
    // libtest may print the test's name in front, on the same line.
    for line in stdout.lines().filter_map(|line| line.split_once(MARK)).map(|(_, found)| found) {
        let (key, value) = line.split_once(' ').expect("a key and a value");
        let numbers: Vec<u32> = value.split(' ').filter_map(|number| number.parse().ok()).collect();
        match (key, &numbers[..]) {
            ("error", _) => return Err(value.to_owned()),
            ("pu", &[cpu, core, node, package]) => machine.pus.push(Pu { cpu, core, node, package }),
            ("node", &[node]) => machine.nodes.push(node),
            ("quota", &[quota]) => machine.quota_millicpus = Some(quota),
            ("invented", &[flag]) => machine.invented = flag == 1,
            _ => panic!("not understood: {line}"),
        }
    }
    assert!(!machine.pus.is_empty(), "the child found nothing:\n{stdout}");
    Ok(machine)
}

fn print_for_parent(found: Result<Machine, corewire::topology::DiscoverError>) {
    match found {
        Err(error) => println!("\n{MARK}error {error}"),
        Ok(machine) => {
            println!("\n{MARK}invented {}", u8::from(machine.invented));
            machine.quota_millicpus.iter().for_each(|quota| println!("{MARK}quota {quota}"));
            machine.nodes.iter().for_each(|node| println!("{MARK}node {node}"));
            for Pu { cpu, core, node, package } in machine.pus {
                println!("{MARK}pu {cpu} {core} {node} {package}");
            }
        }
    }
}
