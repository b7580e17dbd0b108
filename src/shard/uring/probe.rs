//! What the kernel and the limits allow, checked before anything is started, and what to do about what is lacking.

use super::receive::{GROUP, IOU_PBUF_RING_INC};
use io_uring::IoUring;
use std::fmt;
use std::io;

/// What this machine has of what is not everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// The kernel's version.
    pub kernel: (u32, u32),
    /// The kernel fills a receive block piece by piece (Linux 6.12). Without it every receive takes a small block.
    pub incremental: bool,
    /// How many descriptors this process may open, after raising the soft limit as far as it goes.
    pub open_files: u64,
}

/// Something that the machine lacks, so that no shard can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is lacking, as found.
    pub what: String,
    /// What to do.
    pub fix: &'static str,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.fix)
    }
}

impl std::error::Error for Lack {}

/// Checks kernel, io_uring, locked memory and open files for `shards` shards.
///
/// # Errors
/// The first thing without which no shard can start.
///
/// ```no_run
/// match corewire::shard::uring::probe::probe(2) {
///     Ok(features) => println!("Linux {}.{}", features.kernel.0, features.kernel.1),
///     Err(lack) => eprintln!("{lack}"),
/// }
/// ```
pub fn probe(shards: u16) -> Result<Features, Lack> {
    let kernel = kernel_version()?;
    if kernel < KERNEL_MIN {
        return Err(Lack {
            what: format!(
                "Linux {}.{} is too old: io_uring with deferred task work is needed",
                kernel.0, kernel.1
            ),
            fix: "Use Linux 6.1 or later (Debian 12, Ubuntu 24.04, RHEL 10).",
        });
    }
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .map_err(|error| refused(&error))?;
    let memlock = limit(libc::RLIMIT_MEMLOCK)?;
    // The first glommio asks of everybody, the second the kernel of those who have no right to more.
    let memlock_min =
        if may_lock() { MEMLOCK_MIN } else { MEMLOCK_MIN.max(MEMLOCK_PER_SHARD * u64::from(shards)) };
    if memlock < memlock_min {
        return Err(Lack {
            what: format!(
                "only {} KiB may be locked in memory, and {shards} shards need {} KiB",
                memlock / 1024,
                memlock_min / 1024
            ),
            fix: "Raise it: `ulimit -l unlimited`, `LimitMEMLOCK=infinity` (systemd), `--ulimit memlock=-1` (docker).",
        });
    }
    Ok(Features { kernel, incremental: has_incremental(&ring), open_files: raise_open_files()? })
}

fn refused(error: &io::Error) -> Lack {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    let (why, fix) = match (error.raw_os_error(), disabled.trim()) {
        (Some(libc::EPERM), "1" | "2") => (
            "io_uring is switched off on this machine (kernel.io_uring_disabled)",
            "Switch it on: `sysctl kernel.io_uring_disabled=0`.",
        ),
        (Some(libc::EPERM), _) => (
            "io_uring is blocked for this process, probably by a container's seccomp profile",
            "Allow io_uring_setup, io_uring_enter and io_uring_register (docker: `--security-opt seccomp=profile.json`).",
        ),
        (Some(libc::ENOSYS), _) => {
            ("this kernel was built without io_uring", "Use a kernel with CONFIG_IO_URING=y.")
        }
        (Some(libc::ENOMEM), _) => (
            "the kernel has no memory for a ring",
            "Raise the limit on locked memory (`ulimit -l`), or free memory.",
        ),
        (Some(libc::EMFILE | libc::ENFILE), _) => {
            ("no descriptor is left for a ring", "Raise the limit on open files: `ulimit -n`.")
        }
        _ => ("io_uring does not start", "See the error above and `man io_uring_setup`."),
    };
    Lack { what: format!("{why}: {error}"), fix }
}

fn kernel_version() -> Result<(u32, u32), Lack> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(Lack {
            what: format!(
                "the kernel's version cannot be read from /proc/sys/kernel/osrelease ({release:?})"
            ),
            fix: "Mount /proc.",
        }),
    }
}

fn has_incremental(ring: &IoUring) -> bool {
    let Ok(layout) = std::alloc::Layout::from_size_align(4096, 4096) else { return false };
    // SAFETY: the layout's size is not zero.
    let page = unsafe { std::alloc::alloc_zeroed(layout) };
    if page.is_null() {
        return false;
    }
    // SAFETY: `page` is one aligned page, enough for 8 entries, and the group is unregistered before it is freed.
    let registered =
        unsafe { ring.submitter().register_buf_ring_with_flags(page as u64, 8, GROUP, IOU_PBUF_RING_INC) };
    let has = registered.is_ok();
    if has && ring.submitter().unregister_buf_ring(GROUP).is_err() {
        return true; // the kernel still has the page: keep it
    }
    // SAFETY: allocated above with this layout, and the kernel does not know it any more.
    unsafe { std::alloc::dealloc(page, layout) };
    has
}

fn limit(resource: libc::__rlimit_resource_t) -> Result<u64, Lack> {
    read_limit(resource).map(|limit| limit.rlim_cur)
}

fn read_limit(resource: libc::__rlimit_resource_t) -> Result<libc::rlimit, Lack> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit for the kernel to write.
    if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
        Ok(limit)
    } else {
        Err(Lack {
            what: format!("limits cannot be read: {}", io::Error::last_os_error()),
            fix: "See `man getrlimit`.",
        })
    }
}

/// Raises the soft limit on open files to the hard one: a connection is a descriptor.
fn raise_open_files() -> Result<u64, Lack> {
    let mut limit = read_limit(libc::RLIMIT_NOFILE)?;
    if limit.rlim_cur < limit.rlim_max {
        let soft = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a live rlimit for the kernel to read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            limit.rlim_cur = soft; // then with what there is
        }
    }
    Ok(limit.rlim_cur)
}

/// Whether the limit on locked memory does not count for us (CAP_IPC_LOCK, bit 14).
fn may_lock() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|bits| bits & (1 << 14) != 0)
}

/// `IORING_SETUP_DEFER_TASKRUN` came with 6.1.
pub const KERNEL_MIN: (u32, u32) = (6, 1);
/// What glommio asks of the limit, however many executors there are.
const MEMLOCK_MIN: u64 = 512 * 1024;
/// What it registers for an executor (see `host`), and as much again for rings on kernels that count them.
const MEMLOCK_PER_SHARD: u64 = 128 * 1024;
