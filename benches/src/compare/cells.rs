//! Each load, what is asked of it, and the bar.

use super::measure::Measure;

/// What a server must be able to do for a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Every message goes back to its sender.
    Echo,
    /// Every message goes to all members of its room, the sender too.
    Rooms,
}

/// What the load generator does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each connection keeps so many messages in flight.
    Closed {
        /// Connections.
        connections: usize,
        /// Bytes of a message.
        size: usize,
        /// Messages on each connection that are not answered yet.
        in_flight: usize,
    },
    /// Messages are sent when they are due.
    Open {
        /// Connections.
        connections: usize,
        /// Bytes of a message.
        size: usize,
        /// Messages a second, of all connections together.
        rate: f64,
    },
    /// As [`Load::Open`], at half of what the slower one of ours and the first rival manages in a closed loop.
    HalfOfCapacity {
        /// Connections.
        connections: usize,
        /// Bytes of a message.
        size: usize,
    },
    /// One room with one sender.
    Room {
        /// Connections, all of them in the room.
        members: usize,
        /// Bytes of a message.
        size: usize,
        /// Messages that have not reached all members yet.
        outstanding: usize,
    },
    /// One room with one sender, whose messages are sent when they are due.
    OpenRoom {
        /// Connections, all of them in the room.
        members: usize,
        /// Bytes of a message.
        size: usize,
        /// Messages a second.
        rate: f64,
    },
    /// Connections that do nothing, on a server that was started for them.
    Idle {
        /// Connections at the first measurement.
        from: usize,
        /// Connections at the second.
        to: usize,
    },
}

/// What must be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// Our figure over the first rival's, at most.
    Ratio(f64),
    /// Our figure, at most.
    AtMost(f64),
    /// Our figure, at least.
    AtLeast(f64),
    /// It is only stated.
    Stated,
}

/// One load, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What it is called in files and on the command line: `echo/200x20/16`.
    pub key: String,
    /// What it is called in tables.
    pub name: String,
    /// What is done.
    pub load: Load,
    /// What is read from the reports.
    pub questions: Vec<(Measure, Bar)>,
}

impl Cell {
    fn new(load: Load, questions: Vec<(Measure, Bar)>) -> Self {
        let (key, name) = match load {
            Load::Closed { connections, size, in_flight } => (
                format!("echo/{connections}x{size}/{in_flight}"),
                format!("{connections} × {}, {in_flight} in flight", bytes(size)),
            ),
            Load::Open { connections, size, rate } => (
                format!("open/{connections}x{size}/{rate}"),
                format!("{connections} × {}, {}/s", bytes(size), thousands(rate as u64)),
            ),
            Load::HalfOfCapacity { connections, size } => (
                format!("half/{connections}x{size}"),
                format!("{connections} × {}, half of capacity", bytes(size)),
            ),
            Load::Room { members, size, outstanding } => (
                format!("room/{members}x{size}/{outstanding}"),
                format!("room of {members} × {}, {outstanding} outstanding", bytes(size)),
            ),
            Load::OpenRoom { members, size, rate } => (
                format!("open-room/{members}x{size}/{rate}"),
                format!("room of {members} × {}, {}/s", bytes(size), thousands(rate as u64)),
            ),
            Load::Idle { from, to } => (
                format!("idle/{from}-{to}"),
                format!("{} to {} idle connections", thousands(from as u64), thousands(to as u64)),
            ),
        };
        Self { key, name, load, questions }
    }

    /// What a server must be able to do for it.
    pub fn mode(&self) -> Mode {
        match self.load {
            Load::Room { .. } | Load::OpenRoom { .. } => Mode::Rooms,
            _ => Mode::Echo,
        }
    }
}

/// All cells, in the order of the tables.
///
/// ```
/// use corewire_bench::compare::cells::{Bar, all};
/// let cells = all();
/// let bulk = cells.iter().find(|cell| cell.key == "echo/50x16384/16").expect("it is one of them");
/// assert_eq!(bulk.name, "50 × 16 KiB, 16 in flight");
/// assert_eq!(bulk.questions[0].1, Bar::Ratio(0.60));
/// ```
pub fn all() -> Vec<Cell> {
    let cpu = |bar| vec![(Measure::Cpu, bar)];
    let mut cells = Vec::new();
    for (connections, size, in_flight, bar) in CLOSED {
        cells.push(Cell::new(Load::Closed { connections, size, in_flight }, cpu(Bar::Ratio(bar))));
    }
    for (connections, rate) in OPEN {
        let mut questions = cpu(Bar::Ratio(1.0));
        questions.extend(LATENCIES.map(|measure| (measure, Bar::Stated)));
        cells.push(Cell::new(Load::Open { connections, size: 20, rate }, questions));
    }
    let latencies = LATENCIES.map(|measure| (measure, Bar::Ratio(1.0)));
    cells.push(Cell::new(Load::HalfOfCapacity { connections: 200, size: 20 }, latencies.into()));
    for (connections, in_flight, bar) in FLOODS {
        let load = Load::Closed { connections, size: FLOOD_BYTES, in_flight };
        cells.push(Cell::new(load, vec![(Measure::Cpu, Bar::Stated), (Measure::Rate, bar)]));
    }
    for (members, size, outstanding, bar) in ROOMS {
        cells.push(Cell::new(Load::Room { members, size, outstanding }, cpu(bar)));
    }
    let open_room = LATENCIES.map(|measure| (measure, Bar::Stated));
    cells.push(Cell::new(Load::OpenRoom { members: 2000, size: 64, rate: 100.0 }, open_room.into()));
    let idle = vec![
        (Measure::IdleMemory, Bar::AtMost(300.0)),
        (Measure::BaseMemory, Bar::AtMost(24.0 * f64::from(1 << 20))),
        (Measure::IdleCpu, Bar::AtMost(0.001)),
    ];
    cells.push(Cell::new(Load::Idle { from: 2_000, to: 10_000 }, idle));
    cells
}

/// Connections, bytes, in flight; and the bar, which a bare prototype has reached or come near to.
const CLOSED: [(usize, usize, usize, f64); 11] = [
    (50, 20, 1, 1.00),
    (200, 20, 1, 1.00),
    (1000, 20, 1, 1.00),
    (5000, 20, 1, 1.00),
    (200, 512, 1, 0.95),
    (50, 16 << 10, 1, 0.98),
    (50, 256 << 10, 1, 0.65),
    (200, 20, 16, 0.93),
    (200, 512, 16, 0.88),
    (50, 16 << 10, 16, 0.60),
    (50, 256 << 10, 8, 0.90),
];
/// Connections, messages a second: what it costs to park and wake.
const OPEN: [(usize, f64); 4] = [(5000, 3_000.0), (5000, 40_000.0), (200, 3_000.0), (200, 80_000.0)];
const LATENCIES: [Measure; 3] = [Measure::P50, Measure::P99, Measure::P999];
/// Connections, in flight (so many that the kernel's buffers are never empty), messages a second.
const FLOODS: [(usize, usize, Bar); 3] =
    [(1, 4096, Bar::AtLeast(1e6)), (10, 1024, Bar::Stated), (100, 256, Bar::Stated)];
const FLOOD_BYTES: usize = 29;
/// Members, bytes, outstanding.
const ROOMS: [(usize, usize, usize, Bar); 7] = [
    (500, 64, 1, Bar::Ratio(0.85)),
    (2000, 64, 1, Bar::Ratio(0.80)),
    (2000, 1024, 1, Bar::Ratio(0.95)),
    (500, 64, 16, Bar::Stated),
    (2000, 64, 16, Bar::Ratio(0.75)),
    (500, 1024, 16, Bar::Ratio(0.70)),
    (2000, 1024, 16, Bar::Stated),
];

fn bytes(size: usize) -> String {
    if size >= 1024 && size.is_multiple_of(1024) {
        format!("{} KiB", size >> 10)
    } else {
        format!("{size} B")
    }
}

fn thousands(count: u64) -> String {
    if count >= 1000 { format!("{},{:03}", count / 1000, count % 1000) } else { count.to_string() }
}
