//! How an actor ends.

use super::{ActorId, Escalation};

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
    /// Its supervisor has ended it: because that ends itself, or makes it anew with its siblings.
    Supervisor,
    /// A handler of its own panicked, with this message.
    Panicked(String),
    /// A child of its own failed once too often ([`Actor::SUPERVISION`](super::Actor::SUPERVISION)).
    Escalated(Box<Escalation>),
    /// Who was linked to it has failed, or was gone already ([`Context::link`](super::Context::link)).
    Linked(ActorId),
    /// It had ended before anybody asked, and nobody knows why any more.
    Gone,
}

impl Reason {
    /// Whether something went wrong, so that who is linked to it fails too.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Stopped | Self::Shutdown | Self::Supervisor | Self::Gone => false,
            Self::Panicked(_) | Self::Escalated(_) | Self::Linked(_) => true,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("it stopped by itself"),
            Self::Shutdown => f.write_str("its server ends"),
            Self::Supervisor => f.write_str("its supervisor ended it"),
            Self::Panicked(what) => write!(f, "it panicked: {what}"),
            Self::Escalated(escalation) => {
                let Escalation { child, kind, failure } = &**escalation;
                write!(f, "its child {child:?} ({kind}) failed once too often; the last time, {failure}")
            }
            Self::Linked(who) => write!(f, "{who:?}, which it was linked to, failed"),
            Self::Gone => f.write_str("it had ended before anybody asked"),
        }
    }
}
