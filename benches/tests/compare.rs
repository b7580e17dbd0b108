//! What `compare` makes of its samples: ratios of pairs, ties, rows, tables and pictures.

use corewire_bench::compare::cells::{self, Bar};
use corewire_bench::compare::judge::{self, Row};
use corewire_bench::compare::measure::Measure;
use corewire_bench::compare::ratio::{Spread, Verdict, paired};
use corewire_bench::compare::record::{Entrant, Record, Run, Sample};
use corewire_bench::compare::{FIRST_RIVAL, OURS, plot, table};
use serde_json::{Value, json};

#[test]
fn the_median_of_an_even_count_is_between_the_two_in_the_middle() {
    assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
    assert_eq!(Spread::of([]), None);
}

#[test]
fn rounds_that_one_of_both_lacks_are_no_pairs() {
    let ours = [(0, 1.0), (1, 1.0), (3, 3.0)];
    let theirs = [(1, 2.0), (2, 2.0), (3, 2.0)];
    assert_eq!(paired(&ours, &theirs), [0.5, 1.5]);
    assert_eq!(paired(&ours, &[(0, 0.0)]), [0.0; 0], "a rival that cost nothing was not measured");
}

#[test]
fn less_than_5_percent_beyond_the_bar_is_a_tie() {
    check_verdict(0.60, 0.60, Verdict::Reached);
    check_verdict(0.601, 0.60, Verdict::Tie);
    check_verdict(0.629, 0.60, Verdict::Tie);
    check_verdict(0.631, 0.60, Verdict::Missed);
    check_verdict(1.05, 1.00, Verdict::Missed);
}

#[test]
fn each_cell_has_a_key_of_its_own_and_a_question() {
    let cells = cells::all();
    for (at, cell) in cells.iter().enumerate() {
        assert!(cells[..at].iter().all(|other| other.key != cell.key), "{} comes twice", cell.key);
        assert!(!cell.questions.is_empty(), "{} asks nothing", cell.key);
    }
}

#[test]
fn a_ratio_is_that_of_each_round_and_not_of_the_medians() {
    let record = record(&[
        (BULK, OURS, [5.0, 10.0, 5.5]),
        (BULK, FIRST_RIVAL, [10.0, 16.0, 10.0]), // medians: 5.5 / 10.0
        (BULK, "tokio-tungstenite", [5.0, 10.0, 5.5]),
    ]);
    let rows = rows(&record);
    assert_eq!(rows.len(), 1);
    let rival = &rows[0].rivals[0];
    assert_eq!(rival.ratio, Some(Spread { median: 0.55, min: 0.5, max: 0.625 }));
    assert_eq!(rival.bar, Some((0.60, Some(Verdict::Reached))));
    assert_eq!(
        rows[0].verdict,
        Some(Verdict::Reached),
        "the bar of the cell is that against the first rival"
    );
    assert_eq!(
        rows[0].rivals[1].bar,
        Some((0.95, Some(Verdict::Missed))),
        "the others have one of their own"
    );
}

#[test]
fn a_figure_by_itself_is_held_against_its_bar_without_a_tie() {
    let report = |bytes: f64| json!({"idle": {"rss_bytes_per_connection": {"after_echo": bytes}, "base_rss_bytes": 8 << 20}, "server": {"cpu_share": 0.0}});
    let record = record_of(
        [
            sample("idle/2000-10000", 0, OURS, report(301.0)),
            sample("idle/2000-10000", 0, FIRST_RIVAL, report(271.0)),
        ]
        .into(),
    );
    let rows = rows(&record);
    let verdicts: Vec<_> = rows.iter().map(|row| (row.measure, row.verdict)).collect();
    assert_eq!(
        verdicts,
        [
            (Measure::IdleMemory, Some(Verdict::Missed)),
            (Measure::BaseMemory, Some(Verdict::Reached)),
            (Measure::IdleCpu, Some(Verdict::Reached))
        ]
    );
    assert_eq!(rows[0].bar, Bar::AtMost(300.0));
}

#[test]
fn the_table_has_every_cell_with_its_bar_and_whether_it_is_reached() {
    let record = record(&[
        ("echo/50x20/1", OURS, [4.0, 4.0, 4.2]),
        ("echo/50x20/1", FIRST_RIVAL, [4.0, 4.1, 4.0]),
        (BULK, OURS, [9.0, 9.0, 9.0]),
        (BULK, FIRST_RIVAL, [10.0, 10.0, 10.0]),
    ]);
    let text = table::markdown(&record, &rows(&record));
    for line in [
        "| 50 × 20 B, 1 in flight    | 1.00 | 4.00     | 4.00        | 1.00 (0.98–1.05) reached    |",
        "| 50 × 16 KiB, 16 in flight | 0.60 | 9.00     | 10.0        | 0.90 (0.90–0.90) **missed** |",
        "Bars reached: 1 of 2 (0 by less than the 5 % of a tie).",
    ] {
        assert!(text.contains(line), "there is no line\n{line}\nin\n{text}");
    }
}

#[test]
fn who_failed_and_who_was_left_out_is_told() {
    let mut record = record(&[(BULK, OURS, [9.0, 9.0, 9.0]), (BULK, FIRST_RIVAL, [10.0, 10.0, 10.0])]);
    record.samples[1].report = None;
    record.samples[1].failure = Some("no report within 40 s".into());
    record.run.servers[2].skipped = Some("it is not built".into());
    let text = table::markdown(&record, &rows(&record));
    let failed =
        format!("- Failed: 50 × 16 KiB, 16 in flight: {OURS} failed in 1 of 3: no report within 40 s\n");
    assert!(text.contains(&failed), "{text}");
    assert!(text.contains(": not measured, it is not built\n"), "{text}");
    assert!(text.contains("0.90 (0.90–0.90)"), "the rounds that did not fail count: {text}");
}

#[test]
fn a_record_comes_back_from_its_json() {
    let record = record(&[(BULK, OURS, [9.0, 9.5, 9.0]), (BULK, FIRST_RIVAL, [10.0, 10.0, 10.0])]);
    let json = record.to_json().expect("it is a tree of plain values");
    let again: Record = serde_json::from_str(&json).expect("it is what we wrote");
    assert_eq!(table::markdown(&again, &rows(&again)), table::markdown(&record, &rows(&record)));
    assert_eq!(again.samples.len(), 6);
}

#[test]
fn a_picture_has_a_mark_for_each_rival_of_each_cell() {
    let record = record(&[
        (BULK, OURS, [9.0, 9.5, 9.0]),
        (BULK, FIRST_RIVAL, [10.0, 10.0, 10.0]),
        (BULK, "tokio-tungstenite", [15.0, 15.0, 15.0]),
    ]);
    let picture = plot::cpu_ratios(&rows(&record)).expect("there is a cell");
    let in_legend = 2;
    assert_eq!(picture.matches("<path").count(), in_legend + 2, "{picture}");
    assert!(plot::latencies(&rows(&record)).is_none(), "no latency was measured");
    assert!(plot::cpu_ratios(&[]).is_none());
}

const BULK: &str = "echo/50x16384/16";

fn check_verdict(ratio: f64, bar: f64, expected: Verdict) {
    assert_eq!(Verdict::at_most(ratio, bar), expected, "{ratio} against {bar}");
}

fn rows(record: &Record) -> Vec<Row> {
    judge::rows(record, &cells::all())
}

/// Three rounds of CPU a message for each cell and server.
fn record(figures: &[(&str, &str, [f64; 3])]) -> Record {
    let samples = figures.iter().flat_map(|&(cell, server, rounds)| {
        let report = |cpu: f64| json!({"server": {"cpu_us_per_message": cpu}});
        rounds.into_iter().enumerate().map(move |(round, cpu)| sample(cell, round, server, report(cpu)))
    });
    record_of(samples.collect())
}

fn record_of(samples: Vec<Sample>) -> Record {
    let entrant = |name: &str| Entrant { name: name.into(), what: "a server".into(), skipped: None };
    let servers = [OURS, FIRST_RIVAL, "tokio-tungstenite"].map(entrant).into();
    Record { run: Run { rounds: 3, seconds: 1.0, servers, ..Run::default() }, samples }
}

fn sample(cell: &str, round: usize, server: &str, report: Value) -> Sample {
    Sample {
        cell: cell.into(),
        round,
        server: server.into(),
        report: Some(report),
        failure: None,
        others_cpu_share: 0.0,
        stolen_share: 0.0,
    }
}
