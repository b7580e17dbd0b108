//! Where a thread may run that is no shard.

use std::io;

/// Binds the calling thread to `cpus`, whatever the thread that started it was bound to.
///
/// # Errors
/// None of them exists, or none is ours.
///
/// ```
/// use corewire::shard::uring::affinity;
/// use corewire::topology::Machine;
///
/// let cpus: Vec<u32> = Machine::discover()?.pus.iter().map(|pu| pu.cpu).collect();
/// std::thread::spawn(move || affinity::bind(&cpus)).join().expect("it does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn bind(cpus: &[u32]) -> io::Result<()> {
    let words = cpus.iter().max().map_or(0, |last| last / u64::BITS + 1);
    let mut mask = vec![0_u64; words as usize];
    for cpu in cpus {
        mask[(cpu / u64::BITS) as usize] |= 1 << (cpu % u64::BITS);
    }
    // SAFETY: the kernel reads as many bytes as it is told, and the mask has those; 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&mask[..]), mask.as_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
