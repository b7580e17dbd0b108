//! From rows to pictures: medians as marks, the least and the most of all rounds as whiskers.

use super::cells::{Bar, Load};
use super::judge::{Rival, Row};
use super::measure::Measure;
use super::ratio::Spread;
use super::svg::{Anchor, Ink, Svg};
use super::{FIRST_RIVAL, OURS};

/// Our CPU a message over each rival's, a row for each cell. Nothing if no cell was measured.
pub fn cpu_ratios(rows: &[Row]) -> Option<String> {
    let rows: Vec<_> =
        rows.iter().filter(|row| row.measure == Measure::Cpu && !row.rivals.is_empty()).collect();
    let mut names: Vec<&str> = Vec::new();
    for rival in rows.iter().flat_map(|row| &row.rivals) {
        if !names.contains(&rival.name.as_str()) {
            names.push(&rival.name);
        }
    }
    let ratios: Vec<_> = rows.iter().flat_map(|row| &row.rivals).filter_map(|rival| rival.ratio).collect();
    let axis = Axis::around(&ratios, 0.5, 1.5)?;
    let heights: Vec<_> = rows.iter().map(|row| 8.0 + LANE * row.rivals.len() as f64).collect();
    let mut svg = frame(
        &format!("CPU of the server a message: {OURS} over each rival, less is better"),
        &heights,
        &names.iter().enumerate().map(|(at, name)| (at + 1, *name)).collect::<Vec<_>>(),
    );
    let bottom = TOP + heights.iter().sum::<f64>();
    for tick in [0.125, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0] {
        if let Some(x) = axis.place(tick) {
            svg.line((x, TOP), (x, bottom), if tick == 1.0 { Ink::Strong } else { Ink::Grid });
            svg.text((x, bottom + 16.0), Anchor::Middle, Ink::Faint, &format!("{tick}"));
        }
    }
    if let Some(x) = axis.place(1.0) {
        svg.text((x - 8.0, TOP - 6.0), Anchor::End, Ink::Faint, &format!("← {OURS} costs less"));
        svg.text((x + 8.0, TOP - 6.0), Anchor::Start, Ink::Faint, "more →");
    }
    let mut y = TOP;
    for (row, height) in rows.iter().zip(&heights) {
        let open = if matches!(row.cell.load, Load::Open { .. }) { ", open loop" } else { "" };
        let label = format!("{}{open}", row.cell.name);
        svg.text((LEFT - 10.0, y + height / 2.0 + 4.0), Anchor::End, Ink::Strong, &label);
        for (lane, rival) in row.rivals.iter().enumerate() {
            let middle = y + 4.0 + LANE * (lane as f64 + 0.5);
            let series = 1 + names.iter().position(|name| *name == rival.name).unwrap_or(0);
            draw_bar(&mut svg, &axis, middle, rival, row.bar);
            draw_spread(&mut svg, &axis, middle, series, rival.ratio);
        }
        y += height;
        svg.line((20.0, y), (RIGHT, y), Ink::Grid);
    }
    let note =
        "mark: median of the ratio in each round; whisker: least and most; |: the bar against uWebSockets";
    svg.text((20.0, bottom + 36.0), Anchor::Start, Ink::Faint, note);
    Some(svg.finish())
}

/// Percentiles of ours and the first rival's latency in the open loop. Nothing if none was measured.
pub fn latencies(rows: &[Row]) -> Option<String> {
    let is_latency = |row: &&Row| matches!(row.measure, Measure::P50 | Measure::P99 | Measure::P999);
    let rows: Vec<_> = rows.iter().filter(is_latency).collect();
    let theirs =
        |row: &Row| row.rivals.iter().find(|rival| rival.name == FIRST_RIVAL).and_then(|rival| rival.theirs);
    let all: Vec<_> = rows.iter().flat_map(|row| [row.ours, theirs(row)]).flatten().collect();
    let axis = Axis::around(&all, 100.0, 100.0)?;
    let is_first = |at: usize| at == 0 || rows[at].cell.key != rows[at - 1].cell.key;
    let heights: Vec<_> =
        (0..rows.len()).map(|at| 4.0 + 2.0 * LANE + if is_first(at) { 22.0 } else { 0.0 }).collect();
    let mut svg =
        frame("Latency in the open loop, µs, less is better", &heights, &[(0, OURS), (1, FIRST_RIVAL)]);
    let bottom = TOP + heights.iter().sum::<f64>();
    for tick in [1u32, 2, 5].iter().flat_map(|digit| (0..7).map(move |zeros| digit * 10u32.pow(zeros))) {
        if let Some(x) = axis.place(f64::from(tick)) {
            svg.line((x, TOP), (x, bottom), Ink::Grid);
            svg.text((x, bottom + 16.0), Anchor::Middle, Ink::Faint, &tick.to_string());
        }
    }
    let mut y = TOP;
    for (at, (row, height)) in rows.iter().zip(&heights).enumerate() {
        if is_first(at) {
            svg.line((20.0, y), (RIGHT, y), Ink::Grid);
            svg.text((20.0, y + 17.0), Anchor::Start, Ink::Strong, &row.cell.name);
        }
        let begun = y + height - 2.0 * LANE - 4.0;
        svg.text((LEFT - 10.0, begun + LANE + 4.0), Anchor::End, Ink::Faint, row.measure.name());
        for (lane, figure) in [row.ours, theirs(row)].into_iter().enumerate() {
            draw_spread(&mut svg, &axis, begun + LANE * (lane as f64 + 0.5), lane, figure);
        }
        y += height;
    }
    let note = "mark: median of the rounds; whisker: least and most; counted from when a message was due";
    svg.text((20.0, bottom + 36.0), Anchor::Start, Ink::Faint, note);
    Some(svg.finish())
}

/// A logarithmic axis from [`LEFT`] to [`RIGHT`].
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    /// Wide enough for all, and at least from `least` to `most`.
    fn around(spreads: &[Spread], least: f64, most: f64) -> Option<Self> {
        let figures = spreads.iter().filter(|spread| spread.min > 0.0);
        let (mut axis, mut any) = (Self { least, most }, false);
        for spread in figures {
            any = true;
            axis.least = axis.least.min(spread.min);
            axis.most = axis.most.max(spread.max);
        }
        axis.least /= 1.08;
        axis.most *= 1.08;
        any.then_some(axis)
    }

    fn place(&self, figure: f64) -> Option<f64> {
        let share = (figure / self.least).ln() / (self.most / self.least).ln();
        (0.0..=1.0).contains(&share).then_some(LEFT + share * (RIGHT - LEFT))
    }
}

/// Title and legend.
fn frame(title: &str, heights: &[f64], series: &[(usize, &str)]) -> Svg {
    let mut svg = Svg::new(WIDTH, TOP + heights.iter().sum::<f64>() + 50.0, title);
    svg.text((20.0, 26.0), Anchor::Start, Ink::Strong, title);
    let mut x = 20.0;
    for (series, name) in series {
        svg.mark((x + 5.0, 44.0), *series);
        svg.text((x + 15.0, 48.0), Anchor::Start, Ink::Faint, name);
        x += 40.0 + 7.0 * name.chars().count() as f64;
    }
    svg
}

fn draw_bar(svg: &mut Svg, axis: &Axis, y: f64, rival: &Rival, bar: Bar) {
    if let (Bar::Ratio(bar), FIRST_RIVAL) = (bar, rival.name.as_str())
        && let Some(x) = axis.place(bar)
    {
        svg.line((x, y - LANE * 0.6), (x, y + LANE * 0.6), Ink::Strong);
    }
}

fn draw_spread(svg: &mut Svg, axis: &Axis, y: f64, series: usize, spread: Option<Spread>) {
    let Some(spread) = spread else { return };
    if let (Some(least), Some(most)) = (axis.place(spread.min), axis.place(spread.max)) {
        svg.line((least, y), (most, y), Ink::Series(series));
    }
    if let Some(x) = axis.place(spread.median) {
        svg.mark((x, y), series);
    }
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 840.0;
const TOP: f64 = 64.0;
/// Between a row's marks.
const LANE: f64 = 13.0;
