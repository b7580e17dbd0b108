//! How often something was how large, in few numbers: eight steps to each doubling, so that a figure is off by at most an
//! eighth.

use std::fmt;
use std::time::Duration;

/// A distribution of numbers, of nanoseconds most of the time.
///
/// ```
/// use corewire::actor::Histogram;
///
/// let mut latencies = Histogram::default();
/// for us in 1..=1000 {
///     latencies.add(us * 1000);
/// }
/// let median_us = latencies.quantile(0.5).unwrap() / 1000;
/// assert!((500..=563).contains(&median_us), "{median_us}");
/// assert_eq!((latencies.count(), latencies.max()), (1000, 1_000_000));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// As many as there are up to the largest that was seen.
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// Adds one.
    pub fn add(&mut self, value: u64) {
        let bucket = bucket_of(value);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        let buckets = self.buckets.len().max(other.buckets.len());
        self.buckets.resize(buckets, 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// What they add up to.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// What this part of them (0.5: half, 0.99: nearly all) is not above, or at most an eighth more. None if there are none.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let rank = (part.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.buckets.iter().position(|&count| {
            below += count;
            below >= rank
        })?;
        Some(limit_of(found).min(self.max))
    }

    /// Counts by their upper limits, from small to large, without empty ones.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, &count)| (limit_of(bucket), count))
    }
}

/// Up to 15 each number has its own; from there on the highest four bits and how many follow decide.
fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - STEP_BITS - 1).saturating_sub(value.leading_zeros());
    (shift as usize * STEPS) + (value >> shift) as usize
}

/// The largest number in a bucket.
fn limit_of(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let highest = (bucket - shift * STEPS) as u128;
    (((highest + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

const STEP_BITS: u32 = 3;
const STEPS: usize = 1 << STEP_BITS;

/// As durations: what is usual, what is rare, what was the worst.
impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |part| Duration::from_nanos(self.quantile(part).unwrap_or(0));
        write!(
            f,
            "{} (p50 {:?}, p99 {:?}, max {:?})",
            self.count,
            at(0.5),
            at(0.99),
            Duration::from_nanos(self.max)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_a_bucket_whose_limit_is_at_most_an_eighth_above() {
        let mut previous = 0;
        for value in (0..4096)
            .chain((12..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]))
            .chain([u64::MAX])
        {
            let bucket = bucket_of(value);
            assert!(bucket >= previous, "{value}: larger numbers are further on");
            let limit = limit_of(bucket);
            assert!(limit >= value && limit - value <= value / 8, "{value} is counted as {limit}");
            assert_eq!(bucket_of(limit), bucket, "{value}");
            previous = bucket;
        }
    }
}
