//! The glommio executor that a shard runs in.
//!
//! glommio gives the shard its thread, pins it before anything is allocated (so first touch puts memory on the right
//! node), and is the reactor for futures that want its files and timers ([`on_reactor`](crate::shard::on_reactor)). The shard is
//! one task there, and the only one that there always is. Its own work does not go through glommio's reactor: parking there costs
//! more than parking in our own ring. So it lets glommio have its turn only while somebody needs it (`beside`); where nobody does,
//! its task never waits, and glommio does nothing at all.

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use std::io;
use std::time::Duration;

/// A thread that runs one shard.
#[derive(Debug)]
pub struct Host<R: Send + 'static>(ExecutorJoinHandle<R>);

impl<R: Send + 'static> Host<R> {
    /// Starts `run` in an executor of its own, on `cpu` or wherever the scheduler likes.
    ///
    /// # Errors
    /// The CPU does not exist or is not ours, or the thread cannot be started.
    ///
    /// ```no_run
    /// use corewire::shard::uring::host::Host;
    /// let host = Host::start("shard-0", None, async || 7)?;
    /// assert_eq!(host.join()?, 7);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn start(
        name: &str,
        cpu: Option<u32>,
        run: impl AsyncFnOnce() -> R + Send + 'static,
    ) -> io::Result<Self> {
        let placement = cpu.map_or(Placement::Unbound, |cpu| Placement::Fixed(cpu as usize));
        LocalExecutorBuilder::new(placement)
            .name(name)
            .io_memory(IO_MEMORY_BYTES)
            .preempt_timer(PREEMPT_AFTER)
            .spawn(move || async move { run().await })
            .map(Self)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// Waits for the shard to end.
    ///
    /// # Errors
    /// The executor could not start, or the shard panicked.
    pub fn join(self) -> io::Result<R> {
        self.0.join().map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Never. glommio 0.9 sets this timer, and then looks whether it has rung before it looks for a task; if it has, it takes itself
/// for idle and sleeps until something else happens. A thread that gets no CPU for as long just then would not begin with its
/// only task, and the server would not start; and a shard that sleeps in glommio would be woken and sleep on. The price is that
/// no task of glommio's is told to let others go on (`yield_if_needed`): one that never waits keeps its shard, as a handler would.
const PREEMPT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// glommio registers this much for file I/O; its default of 10 MiB would be most of a shard's memory.
const IO_MEMORY_BYTES: usize = 64 * 1024;
