//! Tables of text with aligned columns.

use mentor_data::{escape, shorten};
use unicode_width::UnicodeWidthStr as _;

/// Characters of a cell; a longer one is shown without its middle.
const MAX_CELL: usize = 120;

/// Which side a column's cells stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells under a header.
#[derive(Debug)]
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; its header is the first row.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let header = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { aligns: columns.iter().map(|(_, align)| *align).collect(), rows: vec![header] }
    }

    /// Adds a row; cells beyond the columns are left out, missing ones are empty. A cell is one line of what
    /// can be seen, whatever name it holds.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell = |text: String| shorten(escape(&text), MAX_CELL).into_owned();
        let mut row: Vec<String> = cells.into_iter().take(self.aligns.len()).map(cell).collect();
        row.resize(self.aligns.len(), String::new());
        self.rows.push(row);
    }

    /// The table as text: two spaces before each line and between columns, no spaces at line ends.
    pub(crate) fn render(&self) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.aligns).zip(&widths) {
                line.push_str("  ");
                let padding = " ".repeat(width - cell.width());
                match align {
                    Align::Left => line.extend([cell.as_str(), &padding]),
                    Align::Right => line.extend([padding.as_str(), cell]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A count with thin separators: `60,000`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share with four digits; a dash where it is undefined, such as the recall of a class without images.
pub(crate) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "—".to_owned(), |value| format!("{value:.4}"))
}

/// A small share in per cent, with two digits, rounded up: it is a bound.
pub(crate) fn share_of(share: f64) -> String {
    if share <= 0.0 {
        return "0 %".to_owned();
    }
    let percent = 100.0 * share;
    let unit = 10.0_f64.powi(percent.log10().floor() as i32 - 1);
    // What rounding has added is not to be rounded up.
    let up = (percent / unit - 1e-9).ceil() * unit;
    let decimals = (1 - percent.log10().floor() as i32).max(0) as usize;
    if decimals > 6 { format!("{up:.1e} %") } else { format!("{up:.decimals$} %") }
}

/// An interval at 95 %, behind the number that it is of; nothing if there is none.
pub(crate) fn interval(ends: Option<[f64; 2]>) -> String {
    ends.map_or_else(String::new, |[low, high]| format!("  ({low:.4} to {high:.4})"))
}

/// A p-value with two digits, which of a small one are none.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.01 { "p < 0.01".to_owned() } else { format!("p = {p:.2}") }
}

/// Seconds for a person: `31 ms`, `8.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(secs: f64) -> String {
    let whole = secs.round() as u64;
    match whole {
        _ if secs < 0.9995 => format!("{:.0} ms", 1000.0 * secs),
        0..10 => format!("{secs:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_spaces() {
        let mut table =
            Table::new(&[("class", Align::Left), ("samples", Align::Right), ("note", Align::Left)]);
        table.row(["cat".to_owned(), "12".to_owned()]);
        table.row(["grenouille".to_owned(), "1,234,567".to_owned(), "é".to_owned()]);
        let expected = "  class         samples  note\n  cat                12\n  grenouille  1,234,567  é\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn a_cell_is_one_line_of_what_can_be_seen_however_long_its_text() {
        let mut table = Table::new(&[("class", Align::Left), ("n", Align::Right)]);
        table.row(["L".repeat(70_000), "1".to_owned()]);
        table.row(["a\n\u{1b}[2J\u{202e}".to_owned(), "2".to_owned()]);
        table.row(["猫".to_owned(), "3".to_owned()]);
        let text = table.render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].ends_with("L  1") && lines[1].chars().count() == MAX_CELL + 5, "{text}");
        assert!(lines[2].starts_with(r"  a\n\u{1b}[2J\u{202e} "), "{text}");
        // A letter as wide as two is two wide.
        assert!(lines.iter().all(|line| line.width() == lines[1].width()), "{text}");
    }

    #[test]
    fn a_bound_is_rounded_up() {
        let texts = [0.0, 1e-4, 0.000_091_2, 0.123, 0.5, 4.3e-9, 3.2].map(share_of);
        assert_eq!(texts, ["0 %", "0.010 %", "0.0092 %", "13 %", "50 %", "4.3e-7 %", "320 %"]);
    }

    #[test]
    fn counts_are_grouped_by_three() {
        let texts = [0, 999, 1000, 60_000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "60,000", "1,234,567"]);
    }

    #[test]
    fn durations_read_as_a_person_says_them() {
        let texts = [0.0314, 0.9999, 8.44, 12.3, 59.7, 200.0, 7500.0].map(duration);
        assert_eq!(texts, ["31 ms", "1.0 s", "8.4 s", "12 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]);
    }
}
