//! What every plan keeps, whatever the machine.

use corewire::topology::{Machine, Plan, PlanError, Policy, Pu, plan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use std::collections::{BTreeMap, BTreeSet};

proptest! {
    #[test]
    fn any_machine_and_policy_give_a_sound_plan_or_the_error_that_fits(machine in any_machine(), policy in any_policy()) {
        check_plan(&machine, &policy);
    }

    #[test]
    fn the_order_of_the_table_does_not_matter(
        (machine, shuffled) in any_machine().prop_flat_map(|machine| {
            let pus = Just(machine.pus.clone()).prop_shuffle();
            (Just(machine), pus)
        }),
        policy in any_policy(),
    ) {
        let other = Machine { pus: shuffled, ..machine.clone() };
        prop_assert_eq!(plan(&machine, &policy), plan(&other, &policy));
    }

    /// A CPU listed twice, a core on two nodes, indices at the end of their type: wrong tables must not break the server.
    #[test]
    fn a_table_of_nonsense_never_panics_nor_uses_a_cpu_twice(
        rows in vec((any_index(), any_index(), any_index(), any_index()), 0..24),
        nodes in vec(any_index(), 0..4),
        quota_millicpus in option::of(any::<u32>()),
        policy in any_policy(),
    ) {
        let pus = rows.into_iter().map(|(cpu, core, node, package)| Pu { cpu, core, node, package }).collect();
        let machine = Machine { pus, nodes, quota_millicpus, invented: false };
        match plan(&machine, &policy) {
            Ok(plan) => {
                let cpus: BTreeSet<_> = plan.shards.iter().map(|place| place.cpu).collect();
                prop_assert!(!cpus.is_empty());
                prop_assert_eq!(cpus.len(), plan.shards.len());
                prop_assert!(cpus.iter().all(|cpu| machine.pus.iter().any(|pu| pu.cpu == *cpu)));
                prop_assert!(plan.pool_cpus.iter().all(|node| !node.cpus.is_empty()));
                prop_assert!(!plan.to_string().is_empty());
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn physical_cores_come_before_hyper_threads_and_nodes_in_order() {
    let machine = Machine::uniform(2, 1, 2, 2); // cores 0-1 on node 0, 2-3 on node 1; CPU n+4 is CPU n's second thread
    check_cpus(&machine, 0, None, &[0, 1, 2, 3]);
    check_cpus(&machine, 3, None, &[0, 1, 2]);
    check_cpus(&machine, 6, None, &[0, 1, 2, 3, 4, 5]);
    check_cpus(&machine, 0, Some(1), &[2, 3]);
    check_cpus(&machine, 3, Some(1), &[2, 3, 6]);
}

#[test]
fn a_core_whose_first_thread_is_forbidden_serves_with_its_second() {
    let mut machine = Machine::uniform(1, 1, 2, 2);
    machine.restrict(&BTreeSet::from([1, 2, 3]));
    check_cpus(&machine, 0, None, &[2, 1]); // core 0 through its thread 2
}

#[test]
fn a_quota_of_two_and_a_half_cpus_means_two_shards_and_a_tenth_means_one() {
    let machine = |quota| Machine { quota_millicpus: Some(quota), ..Machine::uniform(1, 1, 8, 1) };
    check_cpus(&machine(2_500), 0, None, &[0, 1]);
    check_cpus(&machine(100), 0, None, &[0]);
    check_cpus(&machine(0), 0, None, &[0]);
    check_cpus(&machine(64_000), 0, None, &[0, 1, 2, 3, 4, 5, 6, 7]);
    check_cpus(&machine(2_500), 4, None, &[0, 1, 2, 3]); // asked for by name
}

#[test]
fn only_a_real_machine_is_pinned_and_only_if_asked() {
    for (invented, pin, pinned) in
        [(false, true, true), (false, false, false), (true, true, false), (true, false, false)]
    {
        let machine = Machine { invented, ..Machine::uniform(1, 1, 2, 1) };
        let plan = plan(&machine, &Policy { pin, ..Policy::default() }).expect("two cores");
        assert_eq!((plan.pinned, plan.invented), (pinned, invented));
    }
}

#[test]
fn pool_threads_get_the_cores_that_are_left_or_else_the_whole_node() {
    let pool = |workers| {
        let machine = Machine::uniform(1, 2, 2, 2); // threads of core n: CPUs n and n+4
        let plan = plan(&machine, &Policy { workers, ..Policy::default() }).expect("there are eight CPUs");
        plan.pool_cpus.into_iter().map(|node| (node.node, node.cpus)).collect::<Vec<_>>()
    };
    assert_eq!(pool(1), [(0, vec![1, 5]), (1, vec![2, 3, 6, 7])]);
    assert_eq!(pool(3), [(0, vec![0, 1, 4, 5]), (1, vec![3, 7])]);
    assert_eq!(pool(4), [(0, vec![0, 1, 4, 5]), (1, vec![2, 3, 6, 7])]);
}

#[test]
fn more_shards_than_their_number_can_count_are_never_planned() {
    let machine = Machine::uniform(1, 1, 70_000, 1);
    let planned = plan(&machine, &Policy::default()).expect("many cores");
    assert_eq!(planned.shards.last().map(|place| place.shard), Some(u16::MAX));
    let excess = plan(&machine, &Policy { workers: 65_537, ..Policy::default() });
    assert!(matches!(excess, Err(PlanError::TooManyWorkers { cpus: 65_536, .. })));
}

fn check_cpus(machine: &Machine, workers: u32, numa: Option<u32>, cpus: &[u32]) {
    let policy = Policy { workers, numa, pin: true };
    check_plan(machine, &policy);
    let plan = plan(machine, &policy).expect("a plan");
    assert_eq!(plan.shards.iter().map(|place| place.cpu).collect::<Vec<_>>(), cpus, "{policy:?}");
}

/// Every promise of [`plan`] on a well-formed machine, success or error.
pub(super) fn check_plan(machine: &Machine, policy: &Policy) {
    let chosen: Vec<_> =
        machine.pus.iter().filter(|pu| policy.numa.is_none_or(|node| node == pu.node)).collect();
    let mut cores: BTreeMap<(u32, u32), usize> = BTreeMap::new(); // (node, core) → its threads
    for pu in &chosen {
        *cores.entry((pu.node, pu.core)).or_default() += 1;
    }
    let plan = match plan(machine, policy) {
        Ok(plan) => plan,
        Err(error) => return check_error(machine, policy, chosen.len(), cores.len(), &error),
    };
    check_count(machine, policy, chosen.len(), cores.len(), &plan);

    let mut cpus = BTreeSet::new();
    let mut shards_on: BTreeMap<(u32, u32), usize> = cores.keys().map(|core| (*core, 0)).collect();
    for (number, place) in plan.shards.iter().enumerate() {
        assert_eq!(usize::from(place.shard), number);
        assert!(cpus.insert(place.cpu), "cpu {} twice", place.cpu);
        let pu = Pu { cpu: place.cpu, core: place.core, node: place.node, package: place.package };
        assert!(chosen.contains(&&pu), "{place:?} is not to be used");
        let level = shards_on[&(place.node, place.core)];
        for (core, threads) in &cores {
            let had = shards_on[core];
            assert!(had >= level.min(*threads), "{place:?} while {core:?} still had an earlier thread free");
            let before = core.0 < place.node;
            assert!(!before || had >= (level + 1).min(*threads), "{place:?} before node {} was full", core.0);
        }
        *shards_on.get_mut(&(place.node, place.core)).expect("seen above") += 1;
    }

    let nodes: BTreeSet<_> = cores.keys().map(|(node, _)| *node).collect();
    assert!(plan.pool_cpus.iter().map(|node| node.node).eq(nodes), "one pool entry a node, in order");
    for node in &plan.pool_cpus {
        let here = || chosen.iter().filter(|pu| pu.node == node.node);
        let free = here().filter(|pu| shards_on[&(pu.node, pu.core)] == 0);
        let mut expected: Vec<_> = free.map(|pu| pu.cpu).collect();
        if expected.is_empty() {
            expected = here().map(|pu| pu.cpu).collect();
        }
        expected.sort_unstable();
        assert_eq!(node.cpus, expected);
    }
    assert_eq!(plan.pinned, policy.pin && !machine.invented);
}

fn check_count(machine: &Machine, policy: &Policy, cpus: usize, cores: usize, plan: &Plan) {
    let by_quota = machine.quota_millicpus.map_or(usize::MAX, |quota| (quota as usize / 1_000).max(1));
    let expected = if policy.workers == 0 { cores.min(by_quota) } else { policy.workers as usize };
    assert_eq!(plan.shards.len(), expected);
    assert!((1..=cpus).contains(&expected));
}

fn check_error(machine: &Machine, policy: &Policy, cpus_here: usize, cores_here: usize, error: &PlanError) {
    let with_cpus: BTreeSet<_> = machine.pus.iter().map(|pu| pu.node).collect();
    let lists_nodes = |nodes: &[u32]| with_cpus.iter().eq(nodes);
    match error {
        PlanError::NoCpus => assert!(machine.pus.is_empty()),
        PlanError::UnknownNode { asked, nodes } => {
            assert!(policy.numa == Some(*asked) && !machine.nodes.contains(asked) && lists_nodes(nodes));
        }
        PlanError::NodeWithoutCpus { asked, nodes } => {
            assert!(policy.numa == Some(*asked) && machine.nodes.contains(asked) && lists_nodes(nodes));
            assert_eq!(cpus_here, 0);
        }
        PlanError::TooManyWorkers { asked, numa, cores, cpus } => {
            assert_eq!((*asked, *numa), (policy.workers, policy.numa));
            assert_eq!((*cores as usize, *cpus as usize), (cores_here, cpus_here));
            assert!(asked > cpus && *cpus > 0);
        }
        other => panic!("an error without a promise: {other:?}"),
    }
}

/// Up to five nodes of up to six cores of up to four threads, each its own; nodes without CPUs, gaps in the indices of nodes
/// and CPUs, CPUs scattered over cores.
fn any_machine() -> impl Strategy<Value = Machine> {
    let shapes = vec(vec(1..=4_usize, 0..=6), 1..=5);
    let numbered = shapes.prop_flat_map(|shape| {
        let cpu_count: usize = shape.iter().flatten().sum();
        let node_count = shape.len();
        let cpus = subsequence((0..2 * cpu_count as u32 + 1).collect::<Vec<_>>(), cpu_count).prop_shuffle();
        let nodes = subsequence((0..9).collect::<Vec<u32>>(), node_count);
        (Just(shape), cpus, nodes, option::of(0..20_000_u32), any::<bool>())
    });
    numbered.prop_map(|(shape, cpus, nodes, quota_millicpus, invented)| {
        let threads = shape
            .iter()
            .zip(&nodes)
            .flat_map(|(cores, node)| cores.iter().map(move |threads| (*node, *threads)));
        let cores =
            threads.zip(0..).flat_map(|((node, threads), core)| std::iter::repeat_n((node, core), threads));
        let pus =
            cores.zip(cpus).map(|((node, core), cpu)| Pu { cpu, core, node, package: node / 2 }).collect();
        Machine { pus, nodes, quota_millicpus, invented }
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let workers = prop_oneof![3 => Just(0), 6 => 1..40_u32, 1 => any::<u32>()];
    (workers, option::of(0..9_u32), any::<bool>()).prop_map(|(workers, numa, pin)| Policy {
        workers,
        numa,
        pin,
    })
}

/// Mostly small, so that rows collide; sometimes at the edges.
fn any_index() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0..8_u32, 1 => Just(u32::MAX), 1 => any::<Index>().prop_map(|index| u32::MAX - index.index(4) as u32)]
}
