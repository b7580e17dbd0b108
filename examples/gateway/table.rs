//! What was traded, by symbol: how often, how many, and at what price last.

use corewire_actors::sbe::TradeView;
use std::fmt::Write;

/// By symbol.
pub(crate) struct Table([Line; 256]);

/// What was traded of one symbol.
#[derive(Clone, Copy)]
struct Line {
    trades: u64,
    volume: u64,
    last: f64,
}

/// A line and its symbol.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    symbol: u8,
    line: Line,
}

impl Table {
    pub(crate) const fn new() -> Self {
        Self([Line { trades: 0, volume: 0, last: 0.0 }; 256])
    }

    #[inline]
    pub(crate) fn add(&mut self, trade: TradeView<'_>) {
        let line = &mut self.0[usize::from(trade.symbol())];
        line.trades += 1;
        line.volume += u64::from(trade.quantity());
        line.last = trade.price();
    }

    pub(crate) fn merge(&mut self, rows: &[Row]) {
        for row in rows {
            let line = &mut self.0[usize::from(row.symbol)];
            line.trades += row.line.trades;
            line.volume += row.line.volume;
            line.last = row.line.last;
        }
    }

    /// What was traded at all.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let rows = (0..=u8::MAX).zip(self.0).map(|(symbol, line)| Row { symbol, line });
        rows.filter(|row| row.line.trades > 0).collect()
    }

    /// The same, and begins anew.
    pub(crate) fn take(&mut self) -> Vec<Row> {
        std::mem::replace(self, Self::new()).rows()
    }
}

/// Prints it, and writes it as JSON. May block.
pub(crate) fn print(rows: &[Row]) -> String {
    let (mut text, mut json) =
        (String::from("symbol       trades         volume          last\n"), String::new());
    for Row { symbol, line: Line { trades, volume, last } } in rows {
        let symbol = symbol.escape_ascii().to_string();
        // A String takes all.
        let _ = writeln!(text, "{symbol:6} {trades:12} {volume:14} {last:13.4}");
        let symbol = symbol.replace('\\', "\\\\").replace('"', "\\\"");
        let last = if last.is_finite() { last.to_string() } else { "null".into() };
        let comma = if json.is_empty() { "" } else { "," };
        let _ = write!(
            json,
            r#"{comma}{{"symbol":"{symbol}","trades":{trades},"volume":{volume},"last":{last}}}"#
        );
    }
    println!("{text}");
    format!("[{json}]")
}
