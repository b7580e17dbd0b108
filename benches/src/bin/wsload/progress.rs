//! How far a run has come, on a terminal: a bar on the standard error stream, drawn twice a second.

use crate::clock::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A bar that shows one phase of a run after another.
pub(crate) struct Progress {
    bar: ProgressBar,
    goal: Goal,
    /// When it is drawn next.
    next: u64,
}

/// What a phase waits for.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// So many connections.
    Connections(usize),
    /// A time of the run's clock, from another.
    Time(u64, u64),
}

impl Progress {
    /// A bar, if there is somebody to look at it.
    pub(crate) fn new(wanted: bool) -> Option<Self> {
        let is_seen = wanted && std::io::stderr().is_terminal();
        is_seen.then(|| Self { bar: ProgressBar::no_length(), goal: Goal::Connections(0), next: 0 })
    }

    /// The run goes on with this.
    pub(crate) fn begin(&mut self, what: &'static str, goal: Goal) {
        let (length, template) = match goal {
            Goal::Connections(count) => (count as u64, "{msg:>10} {wide_bar} {pos}/{len} connections"),
            Goal::Time(begun, end) => (millis(begun, end), "{msg:>10} {wide_bar} {percent} %"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_position(0);
        self.bar.set_length(length);
        self.bar.set_message(what);
        (self.goal, self.next) = (goal, 0);
    }

    /// Draws, when it is time to.
    pub(crate) fn tick(&mut self, clock: Clock, connections: usize) {
        let now = clock.now();
        if now < self.next {
            return;
        }
        self.next = now + DRAW_NANOS;
        self.bar.set_position(match self.goal {
            Goal::Connections(_) => connections as u64,
            Goal::Time(begun, _) => millis(begun, now),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(begun: u64, end: u64) -> u64 {
    end.saturating_sub(begun) / 1_000_000
}

const DRAW_NANOS: u64 = 500_000_000;
