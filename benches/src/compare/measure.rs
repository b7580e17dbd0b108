//! What can be asked of a report of `wsload --json`.

use serde_json::Value;

/// A figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// CPU time of the server for each message, or each delivery in rooms.
    Cpu,
    /// Half of the messages take longer.
    P50,
    /// One of a hundred messages takes longer.
    P99,
    /// One of a thousand messages takes longer.
    P999,
    /// Messages a second.
    Rate,
    /// RSS of the server for each idle connection that has echoed once.
    IdleMemory,
    /// RSS of the server before the first connection.
    BaseMemory,
    /// Share of a core that the server uses while its connections are idle.
    IdleCpu,
}

impl Measure {
    /// The figure, if the report has it.
    ///
    /// ```
    /// use corewire_bench::compare::measure::Measure;
    /// let report = serde_json::json!({"server": {"cpu_us_per_message": 3.9}});
    /// assert_eq!(Measure::Cpu.of(&report), Some(3.9));
    /// assert_eq!(Measure::P99.of(&report), None);
    /// ```
    pub fn of(self, report: &Value) -> Option<f64> {
        report.pointer(self.place())?.as_f64()
    }

    /// For the head of a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU a message",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Rate => "messages/s",
            Self::IdleMemory => "RSS a connection",
            Self::BaseMemory => "RSS without connections",
            Self::IdleCpu => "CPU",
        }
    }

    /// A figure with its unit.
    pub fn text(self, figure: f64) -> String {
        match self {
            Self::Cpu | Self::P50 | Self::P99 | Self::P999 => format!("{} µs", three_digits(figure)),
            Self::Rate if figure >= 1e6 => format!("{:.2} M", figure / 1e6),
            Self::Rate => format!("{:.0} k", figure / 1e3),
            Self::IdleMemory => format!("{figure:.0} B"),
            Self::BaseMemory => format!("{:.1} MiB", figure / f64::from(1 << 20)),
            Self::IdleCpu => format!("{:.2} %", figure * 100.0),
        }
    }

    fn place(self) -> &'static str {
        match self {
            Self::Cpu => "/server/cpu_us_per_message",
            Self::P50 => "/latency_us/p50",
            Self::P99 => "/latency_us/p99",
            Self::P999 => "/latency_us/p99_9",
            Self::Rate => "/messages_per_s",
            Self::IdleMemory => "/idle/rss_bytes_per_connection/after_echo",
            Self::BaseMemory => "/idle/base_rss_bytes",
            Self::IdleCpu => "/server/cpu_share",
        }
    }
}

/// More digits would only be noise.
fn three_digits(figure: f64) -> String {
    match figure {
        ..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
