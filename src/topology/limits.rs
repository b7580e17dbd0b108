//! CPU time granted by cgroups, version 1 and 2.
//!
//! cgroup v2: `cpu.max` (Linux `Documentation/admin-guide/cgroup-v2.rst`). v1: `cpu.cfs_quota_us` over
//! `cpu.cfs_period_us` (`Documentation/scheduler/sched-bwc.rst`). A limit on any ancestor binds too, so we climb from our own
//! group to the mount and take the least.

use std::path::{Path, PathBuf};

/// How much CPU time this process may use, in thousandths of a CPU; `None` when nothing limits it.
///
/// `read` gives a file's text, or `None` where there is no such file; pass `|path| std::fs::read_to_string(path).ok()` for
/// the system at hand. What cannot be read or understood limits nothing: a wrong guess here would cost throughput in
/// silence, a missed limit shows as throttling in `cpu.stat`.
///
/// ```
/// use corewire::topology::cpu_quota_millicpus;
///
/// let quota = cpu_quota_millicpus(|path| match path.to_str()? {
///     "/proc/self/cgroup" => Some("0::/chat.service\n".into()),
///     "/proc/self/mountinfo" => Some("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n".into()),
///     "/sys/fs/cgroup/chat.service/cpu.max" => Some("250000 100000\n".into()),
///     _ => None,
/// });
/// assert_eq!(quota, Some(2_500)); // two and a half CPUs
/// ```
pub fn cpu_quota_millicpus(read: impl Fn(&Path) -> Option<String>) -> Option<u32> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let of_mount = |mount: &Mount| {
        let group = groups.lines().find_map(|line| group_of(line, mount.version))?;
        directories(mount, group).filter_map(|dir| quota_at(&dir, mount.version, &read)).min()
    };
    mounts.lines().filter_map(cpu_mount).filter_map(|mount| of_mount(&mount)).min()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

struct Mount<'a> {
    version: Version,
    /// The group that the mount shows at its top: `/` except in some containers.
    root: &'a str,
    point: &'a str,
}

/// proc(5), mountinfo: `36 35 98:0 ROOT POINT options [tags] - TYPE source SUPER_OPTIONS`.
fn cpu_mount(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let version = match right.next()? {
        "cgroup2" => Version::V2,
        "cgroup" if right.nth(1)?.split(',').any(|controller| controller == "cpu") => Version::V1,
        _ => return None,
    };
    Some(Mount { version, root, point })
}

/// cgroups(7): `hierarchy:controllers:path`; version 2 is the line `0::path`.
fn group_of(line: &str, version: Version) -> Option<&str> {
    let mut fields = line.splitn(3, ':');
    let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let ours = match version {
        Version::V1 => controllers.split(',').any(|controller| controller == "cpu"),
        Version::V2 => hierarchy == "0" && controllers.is_empty(),
    };
    ours.then_some(path)
}

/// Our group's directory and its parents, as far up as the mount shows them.
fn directories(mount: &Mount, group: &str) -> impl Iterator<Item = PathBuf> {
    let point = PathBuf::from(mount.point);
    // A group outside the mount's root (`/../x`, or a container that sees the host's path) leaves us the top only.
    let below = Path::new(group).strip_prefix(mount.root).ok();
    let below = below.filter(|path| path.is_relative() && !path.starts_with(".."));
    let own = below.map_or_else(|| point.clone(), |path| point.join(path));
    let depth = below.map_or(0, |path| path.components().count());
    own.ancestors().take(depth + 1).map(Path::to_path_buf).collect::<Vec<_>>().into_iter()
}

fn quota_at(dir: &Path, version: Version, read: &impl Fn(&Path) -> Option<String>) -> Option<u32> {
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|&n| n > 0); // "max" and -1: no limit
    let (quota_us, period_us) = match version {
        Version::V2 => {
            let text = read(&dir.join("cpu.max"))?;
            let (quota, period) = text.trim().split_once(' ')?;
            (number(quota)?, number(period)?)
        }
        Version::V1 => {
            (number(&read(&dir.join("cpu.cfs_quota_us"))?)?, number(&read(&dir.join("cpu.cfs_period_us"))?)?)
        }
    };
    Some(u32::try_from(u128::from(quota_us) * 1_000 / u128::from(period_us)).unwrap_or(u32::MAX))
}
