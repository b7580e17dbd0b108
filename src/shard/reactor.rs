//! Futures that need glommio: its timers, files, sockets and tasks.
//!
//! A shard sleeps in a ring of its own, where nothing of glommio's goes on. Whoever needs glommio says so with [`on_reactor`];
//! as long as there is one of those on a shard, its runner (`shard::uring`) gives glommio its turns and sleeps there. What is
//! not marked costs nothing, and nothing looks for it.
//!
//! Does not know: glommio. Here are only the mark, and who counts.

use futures_lite::Stream;
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Marks a future, or a stream, as one of glommio's, or as one that awaits some: for
/// [`Context::pipe`](crate::actor::Context::pipe), [`wait`](crate::actor::Context::wait) and
/// [`stream`](crate::actor::Context::stream).
///
/// A shard is a thread of glommio's, but does not let it do anything unless somebody there needs it. So this is for what comes
/// from glommio's `timer`, `io` and `net`, for the handle of a task that was given to its `spawn_local`, and for everything that
/// awaits one of these. Such a future goes on only while one that is so marked is under way on its shard: without the mark it
/// mostly stands still. From the first time it is polled until it is done or dropped, the shard has more to do: it asks glommio's
/// rings each time before it sleeps, and some thousand times a second while it is busy. Servers that use none of this pay nothing.
///
/// Use glommio as [`corewire::glommio`](crate::glommio): shards do not know any other version.
///
/// - A file that is dropped is closed by glommio, later. `file.close().await` closes it now.
/// - A panic in the future costs its actor. A panic in a task that was given to glommio itself (`spawn_local`) costs the process:
///   nobody could go on with that shard.
/// - A task of glommio's that always has something to do keeps its shard, as a handler that does not return: glommio's
///   `yield_if_needed` knows of no need here.
///
/// # Panics
/// When it is polled where there is no glommio: in the simulator, or on another thread than a shard's. There it is an actor's
/// panic, as any other.
///
/// ```no_run
/// use corewire::glommio::GlommioError;
/// use corewire::glommio::io::BufferedFile;
/// use corewire::prelude::*;
/// use corewire::shard::on_reactor;
///
/// async fn first_bytes(path: String) -> Result<Vec<u8>, GlommioError<()>> {
///     let file = BufferedFile::open(path).await?;
///     let bytes = file.read_at(0, 512).await?.to_vec();
///     file.close().await?;
///     Ok(bytes)
/// }
///
/// struct Reader;
/// impl Session for Reader {
///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         let name = message.as_text().unwrap_or_default();
///         if name.contains(['/', '.']) {
///             return Err(Close::new(1008, "that is no name"));
///         }
///         let path = format!("/srv/pages/{name}");
///         cx.pipe(on_reactor(first_bytes(path)), |_, read, cx| {
///             let bytes = read.unwrap_or_default();
///             let _ = cx.client().send_binary(&bytes); // a client that is not there any more needs no answer
///         })?;
///         Ok(())
///     }
/// }
/// ```
pub fn on_reactor<F>(future: F) -> OnReactor<F> {
    OnReactor { future, need: None }
}

pin_project! {
    /// A future or stream that needs glommio: see [`on_reactor`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct OnReactor<F> {
        #[pin]
        future: F,
        need: Option<Need>,
    }
}

impl<F: Future> Future for OnReactor<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waker: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.need.get_or_insert_with(Need::begin);
        let output = ready!(this.future.poll(waker));
        *this.need = None;
        Poll::Ready(output)
    }
}

impl<S: Stream> Stream for OnReactor<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, waker: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        this.need.get_or_insert_with(Need::begin);
        let item = ready!(this.future.poll_next(waker));
        if item.is_none() {
            *this.need = None;
        }
        Poll::Ready(item)
    }
}

impl<F> std::fmt::Debug for OnReactor<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnReactor").field("begun", &self.need.is_some()).finish_non_exhaustive()
    }
}

/// One that is under way. It counts on the thread where it began, so it stays there.
struct Need(PhantomData<*const ()>);

impl Need {
    fn begin() -> Self {
        assert!(
            IS_HERE.get(),
            "this future needs glommio's reactor (`on_reactor`), which only a shard of a running server has: not the \
             simulator, and no other thread"
        );
        NEEDS.set(NEEDS.get() + 1);
        IS_ON.set(true);
        Self(PhantomData)
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        NEEDS.set(NEEDS.get() - 1);
    }
}

// Cells of the thread and not of the shard: a future that is polled knows of no shard, only of its waker.
thread_local! {
    /// This thread runs a shard, in glommio.
    static IS_HERE: Cell<bool> = const { Cell::new(false) };
    /// How many are under way.
    static NEEDS: Cell<usize> = const { Cell::new(0) };
    /// Some are, or were a moment ago.
    static IS_ON: Cell<bool> = const { Cell::new(false) };
}

/// Held by who runs a shard in glommio.
pub(super) struct Reactor(PhantomData<*const ()>);

impl Reactor {
    /// Its futures may be polled on this thread from now on.
    pub(super) fn begin() -> Self {
        IS_HERE.set(true);
        Self(PhantomData)
    }

    /// Whether glommio is to have its turns: asked once a turn.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        IS_ON.get()
    }

    /// Whether one is under way.
    pub(super) fn is_needed(&self) -> bool {
        NEEDS.get() > 0
    }

    /// Glommio needs no turns, until the next one begins.
    pub(super) fn turn_off(&self) {
        IS_ON.set(false);
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        IS_HERE.set(false);
        IS_ON.set(false);
    }
}
