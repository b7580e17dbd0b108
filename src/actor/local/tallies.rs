//! Counters with names: what users count on a shard, in plain cells.

use super::Local;

/// All of a shard's, in the order in which they were first counted. There are few, so they are looked for one by one.
#[derive(Debug, Default)]
pub(super) struct Tallies(Vec<(&'static str, u64)>);

impl Tallies {
    #[inline]
    fn add(&mut self, name: &'static str, by: u64) {
        // The same place in memory is the same name; the same name may be in two places.
        let found = self.0.iter_mut().find(|(known, _)| std::ptr::eq(*known, name));
        match found {
            Some((_, count)) => *count += by,
            None => self.add_unknown(name, by),
        }
    }

    #[cold]
    fn add_unknown(&mut self, name: &'static str, by: u64) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            *count += by;
        } else if self.0.len() < NAMES_MAX {
            self.0.push((name, by));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }
}

impl Local {
    /// Adds to the counter of this name.
    #[inline]
    pub(crate) fn count(&mut self, name: &'static str, by: u64) {
        self.probes.tallies.add(name, by);
    }
}

/// Names stand in programs, so there are not so many; but somebody may leak some.
const NAMES_MAX: usize = 1024;
