//! What goes wrong in a world, and how often.

/// Something that a kernel, a network or a client does that one would rather not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The stream is cut into pieces at arbitrary places.
    Split,
    /// A piece takes its time, up to 40 ms.
    Delay,
    /// The kernel takes a part of a send.
    ShortSend,
    /// The kernel takes nothing of a send, though it said that it would.
    RefusedSend,
    /// The kernel has no buffer to receive into (`ENOBUFS`), and the receive ends.
    NoBuffers,
    /// A multishot receive or accept ends, for no reason.
    EndedMultishot,
    /// Bytes still come after receiving was paused.
    LateData,
    /// The network resets a connection.
    Cut,
    /// Accepting fails (`EMFILE`), and stops.
    AcceptFailure,
    /// The kernel's socket buffers are a few hundred bytes.
    SmallBuffers,
    /// A client reads little by little.
    SlowClient,
    /// A client stops reading for seconds, and some for good.
    StalledClient,
    /// A client breaks the protocol, vanishes in the middle of a frame, resets, half-closes, or does not speak HTTP.
    RudeClient,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Split,
        Self::Delay,
        Self::ShortSend,
        Self::RefusedSend,
        Self::NoBuffers,
        Self::EndedMultishot,
        Self::LateData,
        Self::Cut,
        Self::AcceptFailure,
        Self::SmallBuffers,
        Self::SlowClient,
        Self::StalledClient,
        Self::RudeClient,
    ];
}

/// How often each [`Fault`] happens where it can.
///
/// ```
/// use corewire::sim::{Fault, Faults};
///
/// let faults = Faults::none().with(Fault::ShortSend, 0.3);
/// assert_eq!(faults.rate(Fault::ShortSend), 0.3);
/// assert_eq!(faults.rate(Fault::Cut), 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults([f64; Fault::ALL.len()]);

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// With this one as often as `rate`, from 0 to 1.
    #[must_use]
    pub fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.0[fault as usize] = rate.clamp(0.0, 1.0);
        self
    }

    /// Some of them, each about as often as not, at rates of all orders: a mistake that one fault hides shows in a world
    /// without it (Groce et al., "Swarm Testing", ISSTA 2012).
    pub fn swarm(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0053_5741_524d);
        let mut faults = Self::none();
        for fault in Fault::ALL {
            if rng.bool() {
                // A cut ends its connection, so often is soon.
                let most = if fault == Fault::Cut { 0.02 } else { 0.6 };
                faults = faults.with(fault, most * 10f64.powf(-2.0 * rng.f64()));
            }
        }
        faults
    }

    /// How often.
    pub fn rate(&self, fault: Fault) -> f64 {
        self.0[fault as usize]
    }
}
