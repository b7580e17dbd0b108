//! What the operator reads.

use corewire::topology::{DiscoverError, Machine, Policy, Pu, plan};
use std::collections::BTreeSet;

#[test]
fn the_log_line_says_who_sits_where() {
    let machine = Machine { invented: false, ..Machine::uniform(1, 1, 4, 2) };
    check_line(&machine, 2, "2 shards, pinned; node 0: shards 0-1 on cpus 0-1, pool on cpus 2-3,6-7");
    check_line(&machine, 1, "1 shard, pinned; node 0: shard 0 on cpu 0, pool on cpus 1-3,5-7");
}

#[test]
fn the_log_line_says_that_a_machine_is_invented_and_that_a_quota_binds() {
    let machine = Machine { quota_millicpus: Some(1_500), ..Machine::uniform(1, 1, 2, 1) };
    let line = "2 shards, not pinned (invented machine); node 0: shards 0-1 on cpus 0-1, pool on cpus 0-1; \
                the cgroup grants 1.5 cpus, less than the shards can use: expect throttling";
    check_line(&machine, 2, line);
}

#[test]
fn the_log_line_keeps_the_order_of_shards_when_cpus_are_numbered_across_nodes() {
    let pu = |cpu, node| Pu { cpu, core: cpu, node, package: 0 };
    let machine = Machine {
        pus: (0..6).map(|cpu| pu(cpu, cpu % 2)).collect(),
        nodes: vec![0, 1],
        ..Machine::default()
    };
    check_line(
        &machine,
        4,
        "4 shards, pinned; node 0: shards 0-2 on cpus 0,2,4, pool on cpus 0,2,4; node 1: shard 3 on cpu 1, pool on cpus 3,5",
    );
}

#[test]
fn too_many_workers_are_told_what_there_is_and_what_to_ask_for() {
    let machine = Machine::uniform(1, 2, 2, 2);
    check_error(
        &machine,
        Policy { workers: 9, ..Policy::default() },
        "--workers 9: this process may use 8 cpus on 4 physical cores; ask for at most 8, or 0 for one a physical core",
    );
    check_error(
        &machine,
        Policy { workers: 5, numa: Some(1), pin: true },
        "--workers 5: NUMA node 1 has 4 cpus on 2 physical cores; ask for at most 4, or 0 for one a physical core",
    );
}

#[test]
fn an_unusable_node_is_told_apart_from_one_that_does_not_exist() {
    let mut machine = Machine::uniform(1, 4, 1, 1);
    machine.restrict(&BTreeSet::from([0, 1, 3]));
    let node = |node| Policy { numa: Some(node), ..Policy::default() };
    check_error(&machine, node(4), "--numa 4: there is no such NUMA node; choose from 0-1,3, or -1 for all");
    check_error(
        &machine,
        node(2),
        "--numa 2: that NUMA node has no CPU that this process may use (it is memory only, or the cpuset or affinity mask \
         forbids them); choose from 0-1,3, or -1 for all",
    );
}

#[test]
fn no_cpu_at_all_points_at_the_cpuset_and_the_mask() {
    let line = "there is no CPU that this process may use; check its cpuset and affinity mask (taskset)";
    check_error(&Machine::default(), Policy::default(), line);
}

#[test]
fn discovery_errors_name_what_to_mend() {
    assert!(DiscoverError::Hwloc.to_string().contains("/sys"));
    assert!(DiscoverError::NoCpuAllowed.to_string().contains("taskset"));
}

fn check_line(machine: &Machine, workers: u32, line: &str) {
    let plan = plan(machine, &Policy { workers, ..Policy::default() }).expect("a plan");
    assert_eq!(plan.to_string(), line);
}

fn check_error(machine: &Machine, policy: Policy, line: &str) {
    assert_eq!(plan(machine, &policy).expect_err("refused").to_string(), line);
}
