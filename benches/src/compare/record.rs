//! What was measured, as it is kept: enough to make the tables again, and to judge them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One run of `compare`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Where, when and how.
    pub run: Run,
    /// One for each cell, round and server.
    pub samples: Vec<Sample>,
}

/// Where, when and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// In UTC.
    pub date: String,
    /// Of this repository; with `+` if something was not committed.
    pub git_commit: String,
    /// Linux, with its version.
    pub kernel: String,
    /// The CPU's model, and how many there are.
    pub cpu: String,
    /// TCP's.
    pub congestion_control: String,
    /// The compiler of the Rust servers.
    pub rustc: String,
    /// Each server was measured so many times in each cell.
    pub rounds: usize,
    /// Each of these samples counted so long.
    pub seconds: f64,
    /// The core that the servers were bound to.
    pub server_core: usize,
    /// The core that the load generator was bound to.
    pub load_core: usize,
    /// Who took part.
    pub servers: Vec<Entrant>,
}

/// A server, and whether it took part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entrant {
    /// What it is called in tables.
    pub name: String,
    /// What it is, with its version.
    pub what: String,
    /// Why it did not take part.
    pub skipped: Option<String>,
}

/// One server under one load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// The cell's key.
    pub cell: String,
    /// From 0. Samples of a cell and a round were taken one after the other, and are paired.
    pub round: usize,
    /// The server's name.
    pub server: String,
    /// What the load generator told, as it told it.
    pub report: Option<Value>,
    /// Why there is no report.
    pub failure: Option<String>,
    /// The share of a core that the other servers used meanwhile, which should have been idle.
    pub others_cpu_share: f64,
    /// What the hypervisor took of both cores meanwhile, in cores; 0 where there is none.
    pub stolen_share: f64,
}

impl Record {
    /// As JSON, a line for each sample.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let lines = self.samples.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let run = serde_json::to_string_pretty(&self.run)?;
        Ok(format!("{{\"run\": {run},\n\"samples\": [\n{}\n]}}\n", lines.join(",\n")))
    }

    /// The samples of a server in a cell, by round.
    pub fn of<'a>(&'a self, cell: &'a str, server: &'a str) -> impl Iterator<Item = &'a Sample> + 'a {
        self.samples.iter().filter(move |sample| sample.cell == cell && sample.server == server)
    }

    /// The servers that took part and are not `name`, in the order of the run.
    pub fn servers_but<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let there = self.run.servers.iter().filter(|server| server.skipped.is_none());
        there.map(|server| server.name.as_str()).filter(move |server| *server != name)
    }
}
