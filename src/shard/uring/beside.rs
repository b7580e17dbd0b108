//! Running a shard beside glommio: its futures have their turns, and the shard sleeps there, while somebody needs that
//! ([`on_reactor`](crate::shard::on_reactor)). Otherwise glommio is not asked for anything, and the shard sleeps in its own ring.
//!
//! glommio runs its tasks until none can go on, and only then looks at its rings and timers. So the shard, which is one of its
//! tasks, must stop being able to go on: it waits for a bell (an eventfd) that glommio polls for it.
//!
//! | what ends its sleep | how glommio hears of it |
//! | --- | --- |
//! | a completion of its own ring: a socket, a lane's doorbell | the ring rings a bell that it is given for that time |
//! | another thread | rings the shard's bell, which glommio polls too |
//! | a future of glommio's, for an actor here | runs the shard's task, see [`Waker`] |
//! | a timer of the shard's | a timer of glommio's |
//!
//! While it is busy it rings the bell itself, now and then, which takes glommio once around.

use super::{UringDriver, Waker};
use crate::shard::driver::Driver;
use crate::shard::reactor::Reactor;
use crate::shard::{Shard, Tenants, Time};
use futures_lite::AsyncRead;
use glommio::net::TcpStream;
use glommio::timer::{Timer, sleep};
use std::future::poll_fn;
use std::io;
use std::mem::replace;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

impl<T: Tenants<UringDriver>> Shard<UringDriver, T> {
    /// Turns until it is done and no socket is open. To be run by a task of glommio's.
    pub async fn run(&mut self, is_done: impl Fn(&T) -> bool) {
        let reactor = Reactor::begin();
        let mut beside = Beside::default();
        while !(is_done(&self.tenants) && self.driver.is_quiet()) {
            let (_, until) = self.work();
            if reactor.is_on() {
                beside.end(self, &reactor, until).await;
            } else {
                self.end(until);
            }
        }
        if reactor.is_on() {
            sleep(LINGER).await;
        }
    }
}

/// What a shard has of glommio.
#[derive(Default)]
struct Beside {
    bells: Option<Bells>,
    /// The ring has its bell.
    given: bool,
    /// When glommio last had a turn.
    breathed_at: Time,
    /// Nobody needs it any more; when it is left alone.
    ends_at: Option<Time>,
}

impl Beside {
    /// The rest of a turn, in which glommio has its own.
    async fn end<T: Tenants<UringDriver>>(
        &mut self,
        shard: &mut Shard<UringDriver, T>,
        reactor: &Reactor,
        until: Option<Time>,
    ) {
        let leaves_work = shard.driver.leaves_work();
        shard.driver.enter(shard.tenants.pool(), None);
        shard.tell_sent();
        let now = shard.driver.now();
        let mut wake_at = until.filter(|_| !leaves_work && !shard.tenants.is_busy());
        if reactor.is_needed() {
            self.ends_at = None;
            self.begin(&mut shard.driver);
        } else {
            let ends_at = *self.ends_at.get_or_insert(now + LINGER);
            if now >= ends_at {
                self.ends_at = None;
                self.leave(&mut shard.driver);
                reactor.turn_off();
                return shard.settle(until); // it may sleep in the next turn
            }
            wake_at = wake_at.map(|at| at.min(ends_at));
        }
        let slept = match wake_at {
            Some(at) => self.sleep(&mut shard.driver, at).await,
            None => false,
        };
        if !slept && now.since(self.breathed_at) >= BREATH {
            self.breathe(&mut shard.driver).await;
        }
        if until.is_some() {
            // Unlike in its own ring, it may be awake because of something that is no completion.
            let time_was_over = wake_at.is_some_and(|at| shard.driver.now() >= at);
            shard.tenants.disarm(time_was_over && !shard.driver.has_completions());
        }
        shard.tell_sent();
    }

    /// Gives the ring its bell. Where there is none to be had, glommio's timers are all that ends a sleep, and sleeps are short.
    fn begin(&mut self, driver: &mut UringDriver) {
        if self.given {
            return;
        }
        let bells = match self.bells.take() {
            Some(bells) => Ok(bells),
            None => Bells::new(driver),
        };
        self.given = true;
        match bells.and_then(|bells| driver.give_bell(&bells.ring.waker).map(|()| bells)) {
            Ok(bells) => self.bells = Some(bells),
            Err(error) => {
                tracing::warn!(%error, "no bell for a shard's sleep in glommio; it looks every {SHORT:?} instead")
            }
        }
    }

    /// Nobody needs glommio. The bells stay where they are: glommio polls them already when it is needed again.
    fn leave(&mut self, driver: &mut UringDriver) {
        if replace(&mut self.given, false) && self.bells.is_some() {
            driver.take_bell();
        }
    }

    /// Sleeps in glommio. False: something had come, or it was time already, and glommio had no turn.
    async fn sleep(&mut self, driver: &mut UringDriver, until: Time) -> bool {
        if let Some(bells) = &self.bells {
            bells.ring.waker.clear();
            if bells.own.waker.clear() {
                return false; // the ring's poll may have missed that: it asks again what is ready, and two rings are one to it
            }
        }
        let Some(left) = driver.doze(until) else { return false };
        let rested = self.rest(driver.waker(), left).await;
        driver.wake_up();
        if rested {
            self.breathed_at = driver.now();
        }
        rested
    }

    /// Has glommio look at its rings and timers, and run who can go on, once.
    async fn breathe(&mut self, driver: &mut UringDriver) {
        if let Some(bells) = &self.bells {
            bells.ring.waker.ring();
        }
        self.rest(driver.waker(), if self.bells.is_some() { SHORT } else { BREATH }).await;
        driver.wake_up();
        self.breathed_at = driver.now();
    }

    /// Does not go on until something has happened, or for so long. False: it has not waited at all.
    async fn rest(&mut self, waker: &Waker, mut most: Duration) -> bool {
        let mut begun = false;
        let mut timer: Option<Timer> = None;
        let rested = poll_fn(|cx| {
            if replace(&mut begun, true) {
                return Poll::Ready(true); // whatever it was
            }
            if self.bells.as_mut().is_none_or(|bells| bells.watch(cx).is_err()) {
                most = most.min(SHORT);
            }
            waker.rests(Some(cx.waker().clone()));
            Pin::new(timer.insert(Timer::new(most))).poll(cx).map(|_| false)
        })
        .await;
        waker.rests(None);
        rested
    }
}

/// What glommio polls for a shard.
struct Bells {
    /// Its ring's.
    ring: Bell,
    /// Its own, for other threads.
    own: Bell,
}

impl Bells {
    fn new(driver: &UringDriver) -> io::Result<Self> {
        let ring = Bell { waker: Waker::new()?, polled: None };
        Ok(Self { ring, own: Bell { waker: driver.waker().clone(), polled: None } })
    }

    /// Has glommio run this task when one of them rings.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.ring.watch(cx)?;
        self.own.watch(cx)
    }
}

struct Bell {
    waker: Waker,
    /// glommio's poll for it. It outlives sleeps, until it has rung.
    polled: Option<TcpStream>,
}

impl Bell {
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.is_watched(cx) {
            // It rang since it was watched for the last time.
            let fd = self.waker.0.try_clone()?.into_raw_fd();
            // SAFETY: a descriptor that was just made, and that nobody else has; the stream closes it.
            self.polled = Some(unsafe { TcpStream::from_raw_fd(fd) });
            self.is_watched(cx);
        }
        Ok(())
    }

    /// glommio has no other way to wait for a descriptor of somebody else's. An eventfd is no stream: its first read waits, as that
    /// of a stream does, until there is something; and then it fails, as every read after it.
    fn is_watched(&mut self, cx: &mut Context<'_>) -> bool {
        self.polled.as_mut().is_some_and(|polled| Pin::new(polled).poll_read(cx, &mut [0]).is_pending())
    }
}

/// While its shard is busy, glommio has a turn so often. It costs ten calls into the kernel.
const BREATH: Duration = Duration::from_micros(250);

/// How long glommio still has its turns when nobody needs it any more: for what it has been told to close and to cancel, which it
/// does in its own time; and because mostly somebody needs it again.
const LINGER: Duration = Duration::from_millis(100);

/// The longest sleep that no bell ends. One that rings ends it at once; but glommio 0.9 may sleep although a task of its can go
/// on, if another thread rings glommio's own bell just as it is about to run that (see `host`).
const SHORT: Duration = Duration::from_millis(1);
