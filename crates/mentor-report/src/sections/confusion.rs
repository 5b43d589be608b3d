//! The confusion matrix; for many classes, the pairs that are confused most.

use std::fmt::Write;

use mentor_metrics::classification::{Cell, Confusion};
use unicode_width::UnicodeWidthStr as _;

use crate::drawing::html::{escape, figure, shorten};
use crate::drawing::numbers::{count, percent};
use crate::drawing::svg::{Coordinate, WIDTH, Words, open};
use crate::run::RunReport;

/// Above this many classes cells are too small, and the pairs are listed instead.
const MAX_CLASSES: usize = 40;
/// Up to this many classes the counts are written into the cells.
const MAX_COUNTED: usize = 20;
/// Share of a class that is confused with one other at which the colour is full, unless a pair has more: a
/// single confusion in a good model is not an alarm.
const FULL_COLOUR: f64 = 0.15;
/// Pairs of the list.
const MAX_PAIRS: usize = 25;

/// `target` taken for `predicted`, `count` times.
#[derive(Debug, PartialEq)]
struct Pair {
    target: usize,
    predicted: usize,
    count: u64,
    /// Of the target's samples.
    share: f64,
}

/// The figure.
pub(crate) fn panel(run: &RunReport, confusion: &Confusion, id: &str) -> String {
    let pairs = confused_pairs(confusion);
    let worst = match pairs.first() {
        None => "here nothing is confused".to_owned(),
        Some(Pair { count: 1, .. }) => "here no pair is confused more than once".to_owned(),
        Some(pair) => format!(
            "here <b>{}</b> is taken for <b>{}</b> most often ({} times)",
            escape(&shorten(&run.class(pair.target), 60)),
            escape(&shorten(&run.class(pair.predicted), 60)),
            count(pair.count)
        ),
    };
    if confusion.num_classes() <= MAX_CLASSES {
        let caption = format!(
            "Rows are the true classes, columns the predicted ones: blue cells are right, orange cells are \
             confused. Two orange cells that mirror each other across the diagonal are a pair of classes \
             that the model cannot distinguish; {worst}."
        );
        figure("Confusion matrix", &matrix(run, &confusion.dense(), id), &caption)
    } else {
        let caption = format!("The pairs of classes that are confused most often, worst first; {worst}.");
        figure("Most confused pairs", &table(run, &pairs), &caption)
    }
}

/// Pairs of different classes with at least one confusion, most frequent first.
fn confused_pairs(confusion: &Confusion) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for row in confusion.cells().chunk_by(|a, b| a.target == b.target) {
        let total: u64 = row.iter().map(|cell| cell.count).sum();
        for &Cell { target, predicted, count } in row.iter().filter(|cell| cell.target != cell.predicted) {
            let (target, predicted) = (target as usize, predicted as usize);
            pairs.push(Pair { target, predicted, count, share: count as f64 / total as f64 });
        }
    }
    // Stable, so that equal ones stay in class order.
    pairs.sort_by(|left, right| right.count.cmp(&left.count).then(right.share.total_cmp(&left.share)));
    pairs
}

fn table(run: &RunReport, pairs: &[Pair]) -> String {
    let rows: String = pairs
        .iter()
        .take(MAX_PAIRS)
        .map(|pair| {
            let (target, predicted) = (escape(&run.class(pair.target)), escape(&run.class(pair.predicted)));
            format!(
                "<tr><th scope=\"row\" title=\"{target}\">{target}</th>\
                 <td class=\"text\" title=\"{predicted}\">{predicted}</td><td data-sort=\"{}\">{}</td>\
                 <td data-sort=\"{}\">{}</td></tr>",
                pair.count,
                count(pair.count),
                pair.share,
                percent(pair.share)
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\"><thead><tr><th scope=\"col\">true \
         class</th>\
         <th scope=\"col\" class=\"text\">taken for</th><th scope=\"col\">times</th><th scope=\"col\">of the \
         class</th></tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

fn matrix(run: &RunReport, confusion: &[Vec<u64>], id: &str) -> String {
    let num_classes = confusion.len();
    let names: Vec<String> = (0..num_classes).map(|class| short_name(&run.class(class))).collect();
    let longest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let upright = longest <= 3;
    let left = if upright { 52.0 } else { 34.0 + 6.6 * longest as f64 };
    let top = if upright { 40.0 } else { 24.0 + 6.6 * longest as f64 };
    let cell = (WIDTH - left - 2.0) / num_classes.max(1) as f64;
    let wrong = |row: &[u64], target: usize| -> Vec<f64> {
        let total = row.iter().sum::<u64>().max(1) as f64;
        row.iter()
            .enumerate()
            .map(|(class, count)| if class == target { 0.0 } else { *count as f64 / total })
            .collect()
    };
    let most_wrong =
        confusion.iter().enumerate().flat_map(|(target, row)| wrong(row, target)).fold(FULL_COLOUR, f64::max);
    let right: u64 = confusion.iter().enumerate().filter_map(|(class, row)| row.get(class)).sum();
    let total: u64 = confusion.iter().flatten().sum();
    let description = format!(
        "{} of {} samples lie on the diagonal; the table of classes has the numbers.",
        count(right),
        count(total)
    );
    let words =
        Words { id: &format!("{id}-confusion"), title: "Confusion matrix", description: &description };
    let class = match upright {
        _ if num_classes > 12 => "matrix dense",
        true => "matrix",
        false => "matrix long",
    };
    let mut svg = open(&words, WIDTH, top + cell * num_classes as f64 + 2.0, class);
    let _ = write!(
        svg,
        "<text class=\"label\" x=\"{0}\" y=\"11\">predicted →</text>\
         <text class=\"label\" transform=\"translate(11 {1}) rotate(-90)\" text-anchor=\"end\">← true</text>",
        Coordinate(left),
        Coordinate(top)
    );
    // Also a third larger, as on a narrow page, the longest count stays in its cell.
    let digits = confusion.iter().flatten().max().map_or(1, |most| most.to_string().len());
    let digit = if class == "matrix" { 0.8 } else { 0.62 };
    let font = Coordinate((cell * 0.42).min(cell / (digit * digits as f64)).clamp(4.0, 13.0));
    let _ = write!(svg, "<g style=\"--name:{}px\">", Coordinate(cell.clamp(7.0, 11.5)));
    for (class, name) in names.iter().enumerate() {
        let middle = (class as f64 + 0.5) * cell;
        let name = escape(name);
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
            Coordinate(left - 6.0),
            Coordinate(top + middle + 4.0)
        );
        let (x, y) = (Coordinate(left + middle), Coordinate(top - 7.0));
        let _ = if upright {
            write!(svg, "<text class=\"name\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{name}</text>")
        } else {
            let x = Coordinate(left + middle + 4.0);
            write!(svg, "<text class=\"name\" transform=\"translate({x} {y}) rotate(-90)\">{name}</text>")
        };
    }
    svg.push_str("</g>");
    for (target, row) in confusion.iter().enumerate() {
        let of_row = row.iter().sum::<u64>().max(1) as f64;
        for (predicted, &samples) in row.iter().enumerate().take(num_classes) {
            let share = samples as f64 / of_row;
            let (kind, strength) = match (samples, target == predicted) {
                (0, _) => ("none", 1.0),
                (_, true) => ("right", 0.12 + 0.88 * share),
                // The root lifts single confusions above the background.
                (_, false) => ("wrong", 0.2 + 0.8 * (share / most_wrong).sqrt()),
            };
            let (x, y) = (left + predicted as f64 * cell, top + target as f64 * cell);
            let (true_name, predicted_name) = (run.class(target), run.class(predicted));
            let verdict = if target == predicted {
                "recognised".to_owned()
            } else {
                format!("taken for {}", escape(&predicted_name))
            };
            let _ = write!(
                svg,
                "<rect class=\"cell {kind}\" x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\" \
                 fill-opacity=\"{strength:.2}\">\
                 <title>{} {verdict}: {} ({})</title></rect>",
                Coordinate(x + 0.5),
                Coordinate(y + 0.5),
                escape(&true_name),
                count(samples),
                percent(share),
                side = Coordinate(cell - 1.0),
            );
            if samples > 0 && num_classes <= MAX_COUNTED {
                let on = if strength > 0.72 { "count on" } else { "count" };
                let _ = write!(
                    svg,
                    "<text class=\"{on}\" x=\"{}\" y=\"{}\" text-anchor=\"middle\" \
                     style=\"--size:{font}px\">{samples}</text>",
                    Coordinate(x + cell / 2.0),
                    Coordinate(y + cell / 2.0 + 4.0)
                );
            }
        }
    }
    format!("<div class=\"scroll\" tabindex=\"0\">{svg}</svg></div>")
}

/// The name in at most fourteen columns; a Chinese letter takes two.
fn short_name(name: &str) -> String {
    (1..=14).rev().map(|length| shorten(name, length)).find(|short| short.width() <= 14).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn confusion(rows: &[Vec<u64>]) -> Confusion {
        serde_json::from_value(serde_json::to_value(rows).unwrap()).unwrap()
    }

    #[test]
    fn pairs_are_sorted_by_count_and_leave_out_the_diagonal() {
        let pairs = confused_pairs(&confusion(&[vec![9, 1, 0], vec![3, 5, 2], vec![0, 0, 7]]));
        let found: Vec<_> = pairs.iter().map(|pair| (pair.target, pair.predicted, pair.count)).collect();
        assert_eq!(found, [(1, 0, 3), (1, 2, 2), (0, 1, 1)]);
        assert!((pairs[0].share - 0.3).abs() < 1e-12);
    }

    #[test]
    fn counts_are_in_the_cells_up_to_twenty_classes_and_a_table_replaces_more_than_forty() {
        let run = fixture::complete("run");
        let square = |n: usize| vec![vec![1; n]; n];
        let panel = |rows: &[Vec<u64>]| super::panel(&run, &confusion(rows), "r");
        assert_eq!(panel(&square(20)).matches("class=\"count").count(), 400);
        let dense = panel(&square(21));
        assert!(!dense.contains("class=\"count") && dense.contains("<title>class 20 recognised: 1"));
        assert!(panel(&square(40)).contains("<svg"));
        let listed = panel(&square(41));
        assert!(!listed.contains("<svg"));
        assert_eq!(listed.matches("<tr>").count(), 1 + MAX_PAIRS);
        // What is shown, `1,234`, would sort as 1.
        let mut many = square(41);
        many[3][4] = 1234;
        let listed = panel(&many);
        assert!(listed.contains("<td data-sort=\"1234\">1,234</td><td data-sort=\"0.9"), "{listed}");
    }

    #[test]
    fn a_perfect_and_an_empty_matrix_are_drawn() {
        let run = fixture::complete("run");
        let panel = |rows: &[Vec<u64>]| super::panel(&run, &confusion(rows), "r");
        assert!(panel(&[vec![4, 0], vec![0, 0]]).contains("here nothing is confused"));
        assert!(!panel(&[vec![0, 0], vec![0, 0]]).contains("NaN"));
    }
}
