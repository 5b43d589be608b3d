//! Lines over the epochs of training: their axes, their tooltips and their words.

use super::axis::{Axis, is_drawable};
use super::html::{Key, figure, legend};
use super::numbers::value;
use super::svg::{End, Plot, Words};

/// Ratio of the highest to the lowest loss beyond which a linear axis hides the end of training.
const WIDE: f64 = 6.0;
/// Most places of a plot that answer to the pointer.
const MAX_TOOLTIPS: usize = 200;

/// The class of the line of single updates, which is noise about the others.
pub(crate) const NOISE: &str = "faint";

/// One line of a plot.
pub(crate) struct Series {
    /// CSS classes of the line and of its key.
    pub(crate) class: String,
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn line(class: &str, label: &str, points: Vec<(f64, f64)>) -> Self {
        Self { class: class.to_owned(), label: label.to_owned(), points }
    }
}

/// A plot over the epochs, ready to be drawn.
pub(crate) struct Chart<'a> {
    pub(crate) id: String,
    pub(crate) heading: &'a str,
    pub(crate) y: fn(&str, &[Series]) -> Axis,
    pub(crate) y_label: &'a str,
    pub(crate) series: Vec<Series>,
    /// The legend, where it is not simply the lines.
    pub(crate) keys: Option<Vec<(String, String)>>,
    /// A place on the x axis with its word.
    pub(crate) mark: Option<(f64, &'a str, End)>,
    pub(crate) caption: String,
}

/// Loss or learning rate on a linear axis.
pub(crate) fn linear(label: &str, series: &[Series]) -> Axis {
    Axis::linear(label, main_values(series, false))
}

/// Loss on a logarithmic axis where its range is wide.
pub(crate) fn log_if_wide(label: &str, series: &[Series]) -> Axis {
    Axis::log_if_wide(label, main_values(series, false), WIDE)
}

/// Accuracy starts low and ends in a few per cent, and these are what is compared.
pub(crate) fn shares(label: &str, series: &[Series]) -> Axis {
    Axis::shares(label, main_values(series, true))
}

/// The values that an axis must hold: not the noise of single updates, unless there is nothing else, and
/// where the axis is for `settled` values, not those of the first tenth of a line, or of the first half of a
/// short one beside longer ones. The rest is outside: there the line ends at the edge.
fn main_values(series: &[Series], settled: bool) -> Vec<f64> {
    let longest = series.iter().map(|line| line.points.len()).max().unwrap_or(0);
    let values = |line: &Series| -> Vec<f64> {
        let skipped = match line.points.len() {
            length if settled && length >= 10 => length / 10,
            length if settled && longest >= 10 => length / 2,
            _ => 0,
        };
        line.points[skipped..].iter().map(|point| point.1).collect()
    };
    let main: Vec<f64> = series.iter().filter(|line| line.class != NOISE).flat_map(values).collect();
    if main.is_empty() { series.iter().flat_map(values).collect() } else { main }
}

/// The figure; nothing where there is nothing to draw.
pub(crate) fn draw(chart: Chart<'_>, unit: &str, end: f64) -> String {
    let Chart { id, heading, y, y_label, mut series, keys, mark, caption } = chart;
    series.retain(|series| !series.points.is_empty());
    if series.is_empty() {
        // Before the end of the first epoch, or without a validation split.
        return String::new();
    }
    let y = y(y_label, &series);
    let parts: Vec<Vec<Vec<(f64, f64)>>> = series.iter().map(|line| within(&y, &line.points)).collect();
    let mut plot = Plot::new(Axis::whole(unit, 0.0, end), y);
    for (line, parts) in series.iter().zip(&parts) {
        parts.iter().for_each(|points| plot.line(&line.class, points));
    }
    if let Some((x, word, end)) = mark {
        plot.vertical("mark", x, word, end);
    }
    plot.tooltips(&tooltips(&series, unit));
    let described: Vec<String> = series.iter().filter_map(describe).collect();
    let words = Words { id: &id, title: heading, description: &format!("{}.", described.join("; ")) };
    let svg = plot.finish(&words);
    let keys =
        keys.unwrap_or_else(|| series.iter().map(|line| (line.class.clone(), line.label.clone())).collect());
    let keys: Vec<Key<'_>> = keys.iter().map(|(class, label)| Key { class, label }).collect();
    figure(heading, &(legend(&keys) + &svg), &caption)
}

/// The parts of a line that lie on the axis, each ending where the line leaves it. What cannot be drawn
/// anywhere stays, so that it is marked.
fn within(axis: &Axis, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let outside = |value: f64| is_drawable(value) && axis.clamp(value) != value;
    // From a point to one outside: where the line crosses the edge.
    let crossing = |from: (f64, f64), to: (f64, f64)| {
        let edge = axis.clamp(to.1);
        let [a, b, at] = [from.1, to.1, edge].map(|value| axis.position(value));
        let share = (at? - a?) / (b? - a?);
        (0.0..=1.0).contains(&share).then_some((from.0 + share * (to.0 - from.0), edge))
    };
    let mut parts = vec![Vec::new()];
    let mut last: Option<(f64, f64)> = None;
    for &point in points {
        let was_outside = last.is_some_and(|last| outside(last.1));
        let is_outside = outside(point.1);
        let part: &mut Vec<(f64, f64)> = parts.last_mut().expect("there is one from the start");
        if let Some(last) = last {
            // A line from above to below crosses both edges.
            let apart = axis.clamp(last.1) != axis.clamp(point.1);
            if was_outside && (!is_outside || apart) {
                part.extend(crossing(point, last));
            }
            if is_outside && (!was_outside || apart) {
                part.extend(crossing(last, point));
            }
        }
        if !is_outside {
            part.push(point);
        } else if !part.is_empty() {
            parts.push(Vec::new());
        }
        last = Some(point);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A line in words: where it starts and ends.
fn describe(series: &Series) -> Option<String> {
    let (first, last) = (series.points.first()?, series.points.last()?);
    Some(format!("{} from {} to {}", series.label, value(first.1), value(last.1)))
}

/// The values of all lines at each place where one of them has a point.
fn tooltips(series: &[Series], unit: &str) -> Vec<(f64, String)> {
    let main = || series.iter().filter(|line| line.class != NOISE);
    let mut places: Vec<f64> = main().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let every = places.len().div_ceil(MAX_TOOLTIPS).max(1);
    let text = |x: f64| {
        let at = |line: &Series| {
            let index = line.points.binary_search_by(|point| point.0.total_cmp(&x)).ok()?;
            Some(format!("\n{}: {}", line.label, value(line.points.get(index)?.1)))
        };
        let place = if x.fract() == 0.0 { x.to_string() } else { format!("{x:.2}") };
        format!("{unit} {place}{}", main().filter_map(at).collect::<String>())
    };
    places.into_iter().step_by(every).map(|x| (x, text(x))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(class: &str, points: &[(f64, f64)]) -> Series {
        Series::line(class, class, points.to_vec())
    }

    #[test]
    fn the_noise_of_updates_does_not_set_the_axis() {
        let lines = [series(NOISE, &[(0.1, 1e9), (0.2, 1e-9)]), series("train", &[(1.0, 0.5), (2.0, 0.4)])];
        assert_eq!(main_values(&lines, false), [0.5, 0.4]);
        assert_eq!(main_values(&lines[..1], false), [1e9, 1e-9]);
    }

    #[test]
    fn a_line_ends_where_it_leaves_the_axis() {
        let axis = Axis::between("", 1.0, 3.0);
        let points = [(0.0, 0.0), (1.0, 2.0), (2.0, 2.5), (3.0, 0.5), (4.0, 0.5), (5.0, 4.5)];
        let parts = within(&axis, &points);
        let expected: [&[(f64, f64)]; 2] =
            [&[(0.5, 1.0), (1.0, 2.0), (2.0, 2.5), (2.75, 1.0)], &[(4.625, 3.0), (4.125, 1.0)]];
        assert_eq!(parts.len(), 2);
        for (part, expected) in parts.iter().zip(expected) {
            let near =
                |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9;
            let mut sorted = expected.to_vec();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(part.len() == sorted.len() && part.iter().zip(&sorted).all(near), "{part:?}");
        }
        assert_eq!(within(&axis, &points[1..3]), [points[1..3].to_vec()]);
        assert!(within(&axis, &[(0.0, 0.0), (1.0, 0.5)]).is_empty());
        // What is no number stays, and is marked.
        assert_eq!(within(&axis, &[(0.0, 2.0), (1.0, f64::INFINITY)])[0].len(), 2);
    }

    #[test]
    fn accuracy_is_drawn_for_its_end() {
        let points: Vec<(f64, f64)> =
            (1..=20).map(|x| (f64::from(x), if x < 3 { 0.1 } else { 0.96 })).collect();
        assert_eq!(main_values(&[series("train", &points)], true), [0.96; 18]);
        assert_eq!(main_values(&[series("train", &points[..5])], true).len(), 5);
        // A short line keeps its end beside a long one.
        let both = [series("train", &points), series("val", &[(1.0, 0.2), (2.0, 0.8)])];
        assert_eq!(main_values(&both, true).last(), Some(&0.8));
        assert!(!main_values(&both, true).contains(&0.2));
    }

    #[test]
    fn a_tooltip_lists_the_lines_that_have_a_value_there() {
        let lines = [series("train", &[(1.0, 0.5), (2.0, f64::NAN)]), series("val", &[(2.0, 0.25)])];
        let shown = tooltips(&lines, "epoch");
        assert_eq!(shown[0], (1.0, "epoch 1\ntrain: 0.5000".to_owned()));
        assert_eq!(shown[1], (2.0, "epoch 2\ntrain: not a number\nval: 0.2500".to_owned()));
        let long: Vec<(f64, f64)> = (0..5000).map(|x| (f64::from(x), 1.0)).collect();
        assert!(tooltips(&[series("train", &long)], "epoch").len() <= MAX_TOOLTIPS);
    }
}
