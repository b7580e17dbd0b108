//! CPU quotas as the kernel's files tell them.

use corewire::topology::cpu_quota_millicpus;
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::Path;

const V2_MOUNT: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V1_MOUNT: &str = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n";

#[test]
fn a_version_2_quota_is_read_from_our_own_group() {
    check_quota(V2_MOUNT, "0::/a/b\n", &[("/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n")], Some(2_500));
}

#[test]
fn the_tightest_ancestor_binds() {
    let files = [
        ("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"),
        ("/sys/fs/cgroup/a/cpu.max", "75000 50000\n"),
        ("/sys/fs/cgroup/cpu.max", "max 100000\n"),
    ];
    check_quota(V2_MOUNT, "0::/a/b\n", &files, Some(1_500));
}

#[test]
fn a_container_that_sees_its_group_as_the_root_is_limited_by_it() {
    check_quota(V2_MOUNT, "0::/\n", &[("/sys/fs/cgroup/cpu.max", "50000 100000\n")], Some(500));
}

#[test]
fn max_is_no_limit() {
    check_quota(V2_MOUNT, "0::/a\n", &[("/sys/fs/cgroup/a/cpu.max", "max 100000\n")], None);
}

#[test]
fn a_version_1_quota_is_read_and_minus_one_is_no_limit() {
    let at = |quota| {
        [
            ("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", quota),
            ("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
        ]
    };
    check_quota(V1_MOUNT, "5:memory:/a\n3:cpu,cpuacct:/a\n0::/\n", &at("150000\n"), Some(1_500));
    check_quota(V1_MOUNT, "3:cpu,cpuacct:/a\n", &at("-1\n"), None);
}

#[test]
fn a_version_1_container_mount_whose_root_is_our_group_is_understood() {
    let mount = "40 39 0:29 /docker/c0ffee /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";
    let files = [
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n"),
        ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ];
    check_quota(mount, "3:cpu:/docker/c0ffee\n", &files, Some(3_000));
}

#[test]
fn a_group_outside_of_the_mount_leaves_the_mounts_top() {
    let top = ("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    let not_ours = ("/sys/fs/cgroup/../other/cpu.max", "10000 100000\n");
    check_quota(V2_MOUNT, "0::/../other\n", &[top, not_ours], Some(1_000));
    let not_ours = ("/sys/fs/cgroup/x/cpu.max", "10000 100000\n");
    check_quota(&V2_MOUNT.replace(" / ", " /pod "), "0::/x\n", &[top, not_ours], Some(1_000));
}

#[test]
fn where_both_versions_are_mounted_the_least_counts() {
    let files = [
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "900000"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000"),
        ("/sys/fs/cgroup/cpu.max", "200000 100000"),
    ];
    check_quota(&format!("{V1_MOUNT}{V2_MOUNT}"), "1:cpu,cpuacct:/\n0::/\n", &files, Some(2_000));
}

#[test]
fn a_system_without_cgroups_has_no_quota() {
    check_quota("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "", &[], None);
    assert_eq!(cpu_quota_millicpus(|_| None), None);
}

proptest! {
    #[test]
    fn no_text_in_these_files_makes_it_panic(text in r"[0-9a-z:/., \n-]{0,80}", line in ".{0,60}") {
        let mount = format!("{V2_MOUNT}{line} - cgroup2 x\n{V1_MOUNT}{text}");
        cpu_quota_millicpus(|path| match path.to_str()? {
            "/proc/self/cgroup" => Some(format!("{text}\n0::{line}\n3:cpu:{text}")),
            "/proc/self/mountinfo" => Some(mount.clone()),
            _ => Some(text.clone()),
        });
    }

    #[test]
    fn any_quota_and_period_are_divided_without_overflow(quota in 1..=u64::MAX, period in 1..=u64::MAX) {
        let text = format!("{quota} {period}");
        let exact = u128::from(quota) * 1_000 / u128::from(period);
        let read = quota_of(V2_MOUNT, "0::/\n", &[("/sys/fs/cgroup/cpu.max", &text)]).expect("a limit");
        prop_assert_eq!(u128::from(read), exact.min(u32::MAX.into()));
    }
}

fn check_quota(mounts: &str, groups: &str, files: &[(&str, &str)], expected: Option<u32>) {
    assert_eq!(quota_of(mounts, groups, files), expected);
}

fn quota_of(mounts: &str, groups: &str, files: &[(&str, &str)]) -> Option<u32> {
    let mut tree: HashMap<&Path, &str> = files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
    tree.insert(Path::new("/proc/self/mountinfo"), mounts);
    tree.insert(Path::new("/proc/self/cgroup"), groups);
    cpu_quota_millicpus(|path| tree.get(path).map(ToString::to_string))
}
