//! Medians of pairs, and when a bar is reached.
//!
//! A machine that others use too is slower in one minute than in the next. Two servers that are measured one after the
//! other are slowed down alike, so their ratio in each round is compared, and the median over the rounds is told.
//!
//! ```
//! use corewire_bench::compare::ratio::{Spread, Verdict, paired};
//! let ours = [(0, 3.8), (1, 7.5), (2, 3.9)]; // the second round was slow for both
//! let theirs = [(0, 4.0), (1, 8.0), (2, 3.9)];
//! let ratio = Spread::of(paired(&ours, &theirs)).expect("there are three pairs");
//! assert_eq!(ratio, Spread { median: 0.95, min: 0.9375, max: 1.0 });
//! assert_eq!(Verdict::at_most(ratio.median, 0.93), Verdict::Tie);
//! ```

use std::fmt;

/// A median, and how far it may be from the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The one in the middle, or the mean of the two.
    pub median: f64,
    /// The smallest one.
    pub min: f64,
    /// The largest one.
    pub max: f64,
}

impl Spread {
    /// Nothing if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }
}

/// Two digits: `0.93 (0.91–0.97)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.min, self.max)
    }
}

/// Ours over theirs, for each round that has both.
pub fn paired(ours: &[(usize, f64)], theirs: &[(usize, f64)]) -> Vec<f64> {
    let of_round = |round| theirs.iter().find(|(other, figure)| *other == round && *figure > 0.0);
    ours.iter().filter_map(|&(round, figure)| Some(figure / of_round(round)?.1)).collect()
}

/// Whether a bar is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Reached,
    /// It is missed by less than two equal servers may differ; counts as reached.
    Tie,
    /// It is not.
    Missed,
}

impl Verdict {
    /// A ratio and what it must not exceed.
    pub fn at_most(ratio: f64, bar: f64) -> Self {
        match ratio / bar {
            ..=1.0 => Self::Reached,
            ..TIE => Self::Tie,
            _ => Self::Missed,
        }
    }

    /// Without a tie: there is no second server whose luck could be to blame.
    pub fn exactly(reached: bool) -> Self {
        if reached { Self::Reached } else { Self::Missed }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reached => "reached",
            Self::Tie => "tie",
            Self::Missed => "missed",
        })
    }
}

/// Under 5 % beyond the bar: two identical servers differ by 2 to 5 % in such a run.
const TIE: f64 = 1.05;
