//! How an actor ends.

/// What becomes of the messages that wait for an actor that is about to stop.
///
/// ```
/// use corewire::prelude::*;
///
/// struct Ledger(Vec<u64>);
/// impl Actor for Ledger {
///     fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
///         Stopping::AfterMail // what was accepted is written down
///     }
///     fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
///         println!("{} entries; {reason}", self.0.len());
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stopping {
    /// They go back to their senders, who are told that nobody is there.
    #[default]
    Now,
    /// They are handled first. What is sent from now on finds nobody.
    AfterMail,
}

/// Why an actor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It wanted to.
    Stopped,
    /// Its server ends.
    Shutdown,
    /// A handler of its own panicked, with this message.
    Panicked(String),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("it stopped by itself"),
            Self::Shutdown => f.write_str("its server ends"),
            Self::Panicked(what) => write!(f, "it panicked: {what}"),
        }
    }
}
