//! From a record to rows: one for each cell and question.

use super::cells::{Bar, Cell};
use super::measure::Measure;
use super::ratio::{Spread, Verdict, paired};
use super::record::Record;
use super::{FIRST_RIVAL, OTHERS_BAR, OURS};

/// One question in one cell.
#[derive(Debug, Clone)]
pub struct Row {
    /// The load.
    pub cell: Cell,
    /// What is asked.
    pub measure: Measure,
    /// What must be reached.
    pub bar: Bar,
    /// Our figure; none if we did not take part or all our samples failed.
    pub ours: Option<Spread>,
    /// Nothing where there is no bar, or no figure to judge.
    pub verdict: Option<Verdict>,
    /// In the order of the run; those that cannot do this load are left out.
    pub rivals: Vec<Rival>,
    /// What failed, one line for each server that did.
    pub failures: Vec<String>,
}

/// A rival's figure beside ours.
#[derive(Debug, Clone)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// Its figure.
    pub theirs: Option<Spread>,
    /// Ours over theirs in each round.
    pub ratio: Option<Spread>,
    /// What the ratio must not exceed, and whether it does.
    pub bar: Option<(f64, Option<Verdict>)>,
}

/// A row for each cell that was measured and each question that it has.
pub fn rows(record: &Record, cells: &[Cell]) -> Vec<Row> {
    let measured = cells.iter().filter(|cell| record.samples.iter().any(|sample| sample.cell == cell.key));
    let rows = measured
        .flat_map(|cell| cell.questions.iter().map(|&(measure, bar)| row(record, cell, measure, bar)));
    rows.collect()
}

fn row(record: &Record, cell: &Cell, measure: Measure, bar: Bar) -> Row {
    let ours = figures(record, cell, OURS, measure);
    let there = record.servers_but(OURS).filter(|server| record.of(&cell.key, server).next().is_some());
    let rivals: Vec<_> = there
        .map(|name| {
            let theirs = figures(record, cell, name, measure);
            let ratio = Spread::of(paired(&ours, &theirs));
            let bar = bar_against(name, measure, bar);
            let bar = bar.map(|bar| (bar, ratio.map(|ratio| Verdict::at_most(ratio.median, bar))));
            Rival { name: name.into(), theirs: spread(&theirs), ratio, bar }
        })
        .collect();
    let ours = spread(&ours);
    let verdict = match bar {
        Bar::Ratio(_) => rivals.iter().find(|rival| rival.name == FIRST_RIVAL).and_then(|rival| rival.bar?.1),
        Bar::AtMost(most) => ours.map(|ours| Verdict::exactly(ours.median <= most)),
        Bar::AtLeast(least) => ours.map(|ours| Verdict::exactly(ours.median >= least)),
        Bar::Stated => None,
    };
    Row { cell: cell.clone(), measure, bar, ours, verdict, rivals, failures: failures(record, cell) }
}

/// What the ratio to this rival must not exceed. Latency and the floods are compared with the first one only.
fn bar_against(rival: &str, measure: Measure, bar: Bar) -> Option<f64> {
    match bar {
        Bar::Ratio(most) if rival == FIRST_RIVAL => Some(most),
        Bar::Ratio(_) if measure == Measure::Cpu => Some(OTHERS_BAR),
        _ => None,
    }
}

/// By round.
fn figures(record: &Record, cell: &Cell, server: &str, measure: Measure) -> Vec<(usize, f64)> {
    let samples = record.of(&cell.key, server);
    samples.filter_map(|sample| Some((sample.round, measure.of(sample.report.as_ref()?)?))).collect()
}

fn spread(figures: &[(usize, f64)]) -> Option<Spread> {
    Spread::of(figures.iter().map(|(_, figure)| *figure))
}

fn failures(record: &Record, cell: &Cell) -> Vec<String> {
    let mut lines = Vec::new();
    for server in std::iter::once(OURS).chain(record.servers_but(OURS)) {
        let failed: Vec<_> =
            record.of(&cell.key, server).filter_map(|sample| sample.failure.as_ref()).collect();
        if let Some(last) = failed.last() {
            let samples = record.of(&cell.key, server).count();
            lines.push(format!("{}: {server} failed in {} of {samples}: {last}", cell.name, failed.len()));
        }
    }
    lines
}
