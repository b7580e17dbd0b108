//! From rows to Markdown, columns aligned, so that a terminal can show it too.

use super::cells::{Bar, Load};
use super::judge::{Rival, Row};
use super::measure::Measure;
use super::ratio::{Spread, Verdict};
use super::record::{Record, Run, Sample};
use super::{FIRST_RIVAL, OURS};
use std::fmt::Write;

/// All tables, with where and how they were measured, and the reasons of what is missing.
pub fn markdown(record: &Record, rows: &[Row]) -> String {
    let mut text = String::new();
    let (cpu, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.measure == Measure::Cpu);
    let (latency, absolute): (Vec<&Row>, Vec<&Row>) =
        others.into_iter().partition(|row| is_latency(row.measure));
    for (title, table) in [
        ("CPU of the server a message, in µs; in rooms a delivery", ratios(&cpu, true)),
        ("Latency in µs, open loop", ratios(&latency, false)),
        ("By themselves", figures(&absolute)),
    ] {
        if let Some(table) = table {
            let _ = write!(text, "{title}:\n\n{table}\n");
        }
    }
    text.push_str(&summary(rows));
    text.push_str(&conditions(&record.run));
    text.push_str(&disturbances(record));
    let mut failures: Vec<_> = rows.iter().flat_map(|row| &row.failures).collect();
    failures.dedup();
    for failure in failures {
        let _ = writeln!(text, "- Failed: {failure}");
    }
    text
}

/// How far the machine was ours.
fn disturbances(record: &Record) -> String {
    let most = |of: fn(&Sample) -> f64| Spread::of(record.samples.iter().map(of));
    let (Some(stolen), Some(others)) =
        (most(|sample| sample.stolen_share), most(|sample| sample.others_cpu_share))
    else {
        return String::new();
    };
    let percent =
        |spread: Spread| format!("{:.1} % (at most {:.1} %)", spread.median * 100.0, spread.max * 100.0);
    format!(
        "- During a measurement, of one core: the hypervisor took {} of both, servers that were not measured used {}\n",
        percent(stolen),
        percent(others)
    )
}

/// Ours, the first rival's, and the ratio to each.
fn ratios(rows: &[&Row], all_rivals: bool) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for rival in rows.iter().flat_map(|row| &row.rivals) {
        if !names.contains(&rival.name.as_str()) && (all_rivals || rival.name == FIRST_RIVAL) {
            names.push(&rival.name);
        }
    }
    let mut head = vec!["".to_owned(), "bar".into(), OURS.into()];
    for name in &names {
        head.extend([(*name).to_owned(), "ratio".into()]);
    }
    let mut lines = Vec::new();
    for row in rows {
        let mut line = vec![label(row), bar(row.bar), plain(row.measure, row.ours)];
        for name in &names {
            match row.rivals.iter().find(|rival| rival.name == *name) {
                Some(rival) => line.extend([plain(row.measure, rival.theirs), judged(rival)]),
                None => line.extend(["–".into(), "–".into()]),
            }
        }
        lines.push(line);
    }
    aligned(head, lines)
}

/// Figures that have a bar of their own.
fn figures(rows: &[&Row]) -> Option<String> {
    let head = ["", "bar", OURS, "", "others"].map(str::to_owned).to_vec();
    let mut lines = Vec::new();
    for row in rows {
        let figure =
            |rival: &Rival| Some(format!("{} {}", rival.name, row.measure.text(rival.theirs?.median)));
        let others: Vec<_> = row.rivals.iter().filter_map(figure).collect();
        let bar = match row.bar {
            Bar::AtMost(most) => format!("≤ {}", row.measure.text(most)),
            Bar::AtLeast(least) => format!("≥ {}", row.measure.text(least)),
            Bar::Ratio(_) | Bar::Stated => "–".into(),
        };
        let ours = row.ours.map_or("–".into(), |ours| {
            let text = |figure| row.measure.text(figure);
            format!("{} ({}–{})", text(ours.median), text(ours.min), text(ours.max))
        });
        let verdict = row.verdict.map_or(String::new(), emphasised);
        lines.push(vec![label(row), bar, ours, verdict, others.join(", ")]);
    }
    aligned(head, lines)
}

/// How many bars are reached.
fn summary(rows: &[Row]) -> String {
    let first: Vec<_> = rows.iter().filter_map(|row| row.verdict).collect();
    let others = rows.iter().flat_map(|row| &row.rivals).filter(|rival| rival.name != FIRST_RIVAL);
    let others: Vec<_> = others.filter_map(|rival| rival.bar?.1).collect();
    let count = |verdicts: &[Verdict]| {
        let of = |verdict| verdicts.iter().filter(|one| **one == verdict).count();
        let (reached, ties) = (of(Verdict::Reached), of(Verdict::Tie));
        format!("{} of {} ({ties} by less than the 5 % of a tie)", reached + ties, verdicts.len())
    };
    let mut text = format!("Bars reached: {}", count(&first));
    if !others.is_empty() {
        let _ = write!(text, "; against the other rivals {}", count(&others));
    }
    text + ".\n\n"
}

fn conditions(run: &Run) -> String {
    let Run {
        date,
        git_commit,
        kernel,
        cpu,
        congestion_control,
        rustc,
        rounds,
        seconds,
        server_core,
        load_core,
        ..
    } = run;
    let mut text = format!(
        "Measured on {date}, commit {git_commit}, {kernel}, {cpu}, {congestion_control}, {rustc}. One server thread on core \
         {server_core}, the load on core {load_core}; servers alternate in each cell, {rounds} rounds of {seconds} s. A ratio is \
         {OURS}'s figure over the rival's in the same round: median (min–max). A tie is less than 5 % beyond the bar.\n\n"
    );
    for server in &run.servers {
        let skipped = server.skipped.as_ref().map_or(String::new(), |why| format!(": not measured, {why}"));
        let _ = writeln!(text, "- {}: {}{skipped}", server.name, server.what);
    }
    text
}

fn label(row: &Row) -> String {
    match (row.measure, row.cell.load) {
        (Measure::Cpu, Load::Open { .. }) => format!("{}, open loop", row.cell.name),
        (Measure::Cpu, _) => row.cell.name.clone(),
        (measure, _) => format!("{}: {}", row.cell.name, measure.name()),
    }
}

fn bar(bar: Bar) -> String {
    if let Bar::Ratio(most) = bar { format!("{most:.2}") } else { "–".into() }
}

fn judged(rival: &Rival) -> String {
    let Some(ratio) = rival.ratio else { return "–".into() };
    match rival.bar {
        Some((_, Some(verdict))) => format!("{ratio} {}", emphasised(verdict)),
        _ => ratio.to_string(),
    }
}

fn emphasised(verdict: Verdict) -> String {
    if verdict == Verdict::Missed { format!("**{verdict}**") } else { verdict.to_string() }
}

/// The unit stands above the table.
fn plain(measure: Measure, figure: Option<Spread>) -> String {
    figure.map_or("–".into(), |figure| measure.text(figure.median).trim_end_matches(" µs").into())
}

fn is_latency(measure: Measure) -> bool {
    matches!(measure, Measure::P50 | Measure::P99 | Measure::P999)
}

/// Nothing if there are no lines.
fn aligned(head: Vec<String>, lines: Vec<Vec<String>>) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let width = |column: usize| {
        lines.iter().chain([&head]).map(|line| line[column].chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = String::new();
    for line in [&head, &rule].into_iter().chain(&lines) {
        for (field, width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {field}{} ", " ".repeat(width - field.chars().count()));
        }
        text.push_str("|\n");
    }
    Some(text)
}
