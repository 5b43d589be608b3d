//! Plots as inline SVG: a frame with axes, and marks on it. Colours come from the style sheet by class.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr as _;

use super::axis::{Axis, is_drawable};
use super::html::escape;

/// Size of a plot in its own units; the page scales it.
pub(crate) const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 292.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 42.0;

/// What a reader who cannot see the plot is told.
pub(crate) struct Words<'a> {
    /// Unique on the page.
    pub(crate) id: &'a str,
    /// Name of the plot.
    pub(crate) title: &'a str,
    /// What it shows, in a sentence with numbers.
    pub(crate) description: &'a str,
}

/// Opens an `<svg>` of the given size with its title and description.
pub(crate) fn open(words: &Words<'_>, width: f64, height: f64, class: &str) -> String {
    let id = escape(words.id);
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        Coordinate(width),
        Coordinate(height),
        escape(words.title),
        escape(words.description),
    )
}

/// A coordinate with at most one decimal. Never `NaN`: what has no place is not drawn.
pub(crate) struct Coordinate(pub(crate) f64);

impl std::fmt::Display for Coordinate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        debug_assert!(self.0.is_finite(), "a mark without a place");
        let rounded = if self.0.is_finite() { (self.0 * 10.0).round() / 10.0 } else { 0.0 };
        // Adding 0 turns -0 into 0.
        write!(f, "{}", rounded + 0.0)
    }
}

/// Height of a line of words on a narrow page, where they are largest.
pub(crate) const WORD_HEIGHT: f64 = 19.0;

/// Width of words on a narrow page, a little more than most letters need.
pub(crate) fn word_width(words: &str) -> f64 {
    9.5 * words.width() as f64
}

/// Where words stand: the left and the right end, and the base line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) y: f64,
}

impl Place {
    /// Whether words here and there would lie on each other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let apart = self.right <= other.left || other.right <= self.left;
        !apart && (self.y - other.y).abs() < WORD_HEIGHT
    }
}

/// The place of the word of a vertical line, away from the curves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Upper,
    Lower,
}

/// A plot with two axes.
pub(crate) struct Plot {
    x: Axis,
    y: Axis,
    marks: String,
    /// Where the words of vertical lines stand.
    words: Vec<Place>,
}

impl Plot {
    /// An empty plot.
    pub(crate) fn new(x: Axis, y: Axis) -> Self {
        Self { x, y, marks: String::new(), words: Vec::new() }
    }

    fn x_of(&self, value: f64) -> Option<f64> {
        self.x.position(value).map(|position| LEFT + position * (WIDTH - LEFT - RIGHT))
    }

    fn y_of(&self, value: f64) -> Option<f64> {
        self.y.position(value).map(|position| HEIGHT - BOTTOM - position * (HEIGHT - TOP - BOTTOM))
    }

    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        self.x_of(x).zip(self.y_of(y))
    }

    /// A line through the points. It is broken where a value is not finite, and a cross at the upper
    /// edge marks the place.
    pub(crate) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let places: Vec<Option<(f64, f64)>> = points.iter().map(|point| self.place(*point)).collect();
        for run in places.split(Option::is_none) {
            let run: Vec<(f64, f64)> = run.iter().copied().flatten().collect();
            match run.as_slice() {
                [] => {}
                [(x, y)] => self.circle(&format!("dot {class}"), (*x, *y), 2.5, None),
                _ => {
                    let _ = write!(self.marks, "<polyline class=\"line {class}\" points=\"");
                    for (index, (x, y)) in run.iter().enumerate() {
                        let gap = if index == 0 { "" } else { " " };
                        let _ = write!(self.marks, "{gap}{},{}", Coordinate(*x), Coordinate(*y));
                    }
                    self.marks.push_str("\"/>");
                }
            }
        }
        for point in points.iter().filter(|point| !is_drawable(point.1)) {
            if let Some(x) = self.x_of(point.0) {
                let (x, y) = (Coordinate(x), Coordinate(TOP + 5.0));
                let _ = write!(
                    self.marks,
                    "<path class=\"cross {class}\" d=\"M{x} {y}m-4 -4l8 8m0 -8l-8 8\"><title>not a finite \
                     number</title></path>"
                );
            }
        }
    }

    /// A dot at a value, with a tooltip.
    pub(crate) fn dot(&mut self, class: &str, at: (f64, f64), radius: f64, tooltip: Option<&str>) {
        if let Some(place) = self.place(at) {
            self.circle(&format!("dot {class}"), place, radius, tooltip);
        }
    }

    /// A dot of a colour that no class names, such as one of a sequence.
    pub(crate) fn colored_dot(&mut self, fill: &str, at: (f64, f64), radius: f64, tooltip: &str) {
        if let Some((x, y)) = self.place(at) {
            let _ = write!(
                self.marks,
                "<circle class=\"step\" cx=\"{}\" cy=\"{}\" r=\"{}\" \
                 fill=\"{fill}\"><title>{}</title></circle>",
                Coordinate(x),
                Coordinate(y),
                Coordinate(radius),
                escape(tooltip)
            );
        }
    }

    fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64, tooltip: Option<&str>) {
        let title = tooltip.map(|text| format!("<title>{}</title>", escape(text))).unwrap_or_default();
        let (x, y, radius) = (Coordinate(x), Coordinate(y), Coordinate(radius));
        let _ = write!(
            self.marks,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\">{title}</circle>"
        );
    }

    /// A straight line between two places.
    pub(crate) fn segment(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        if let (Some((x1, y1)), Some((x2, y2))) = (self.place(from), self.place(to)) {
            let _ = write!(
                self.marks,
                "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
                Coordinate(x1),
                Coordinate(y1),
                Coordinate(x2),
                Coordinate(y2)
            );
        }
    }

    /// A vertical line over the whole height, with a word beside one of its ends, or in the next row without
    /// another word.
    pub(crate) fn vertical(&mut self, class: &str, x: f64, label: &str, end: End) {
        let Some(x) = self.x_of(x) else { return };
        let (top, bottom) = (Coordinate(TOP), Coordinate(HEIGHT - BOTTOM));
        let _ = write!(
            self.marks,
            "<line class=\"{class}\" x1=\"{0}\" y1=\"{top}\" x2=\"{0}\" y2=\"{bottom}\"/>",
            Coordinate(x),
        );
        if label.is_empty() {
            return;
        }
        // The word goes to the side that has room.
        let (anchor, shift) = if x > WIDTH * 0.6 { ("end", -5.0) } else { ("start", 5.0) };
        let left = if anchor == "end" { x + shift - word_width(label) } else { x + shift };
        let (first, row) =
            if end == End::Upper { (TOP + 10.0, WORD_HEIGHT) } else { (HEIGHT - BOTTOM - 8.0, -WORD_HEIGHT) };
        let mut place = Place { left, right: left + word_width(label), y: first };
        while self.words.iter().any(|other| place.meets(other)) {
            place.y += row;
        }
        self.words.push(place);
        let _ = write!(
            self.marks,
            "<text class=\"note\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            Coordinate(x + shift),
            Coordinate(place.y),
            escape(label)
        );
    }

    /// A bar from the lower edge to `y`, between two values of x, with a tooltip.
    pub(crate) fn bar(&mut self, class: &str, (from, to): (f64, f64), y: f64, tooltip: &str) {
        if let (Some(left), Some(right), Some(top)) = (self.x_of(from), self.x_of(to), self.y_of(y)) {
            let _ = write!(
                self.marks,
                "<rect class=\"bar {class}\" x=\"{}\" y=\"{}\" width=\"{}\" \
                 height=\"{}\"><title>{}</title></rect>",
                Coordinate(left + 0.5),
                Coordinate(top),
                Coordinate((right - left - 1.0).max(0.5)),
                Coordinate((HEIGHT - BOTTOM - top).max(0.0)),
                escape(tooltip)
            );
        }
    }

    /// Invisible bands, one about each x, that show their text under the pointer.
    pub(crate) fn tooltips(&mut self, at: &[(f64, String)]) {
        let places: Vec<(f64, &str)> =
            at.iter().filter_map(|(x, text)| self.x_of(*x).map(|x| (x, text.as_str()))).collect();
        for (index, (x, text)) in places.iter().enumerate() {
            let left = if index == 0 { LEFT } else { (places[index - 1].0 + x) / 2.0 };
            let right = places.get(index + 1).map_or(WIDTH - RIGHT, |next| (next.0 + x) / 2.0);
            let _ = write!(
                self.marks,
                "<rect class=\"hit\" x=\"{}\" y=\"{TOP}\" width=\"{}\" \
                 height=\"{}\"><title>{}</title></rect>",
                Coordinate(left),
                Coordinate((right - left).max(0.0)),
                Coordinate(HEIGHT - TOP - BOTTOM),
                escape(text)
            );
        }
    }

    /// The whole `<svg>`.
    pub(crate) fn finish(self, words: &Words<'_>) -> String {
        let mut svg = open(words, WIDTH, HEIGHT, "plot");
        let (right, bottom) = (Coordinate(WIDTH - RIGHT), Coordinate(HEIGHT - BOTTOM));
        for (position, label) in self.y.ticks() {
            let y = HEIGHT - BOTTOM - position * (HEIGHT - TOP - BOTTOM);
            let _ = write!(
                svg,
                "<line class=\"rule\" x1=\"{LEFT}\" y1=\"{0}\" x2=\"{right}\" y2=\"{0}\"/>\
                 <text x=\"{1}\" y=\"{2}\" text-anchor=\"end\">{label}</text>",
                Coordinate(y),
                Coordinate(LEFT - 8.0),
                Coordinate(y + 4.0)
            );
        }
        for (position, label) in apart(self.x.ticks(), WIDTH - LEFT - RIGHT) {
            let x = LEFT + position * (WIDTH - LEFT - RIGHT);
            let _ = write!(
                svg,
                "<line class=\"axis\" x1=\"{0}\" y1=\"{bottom}\" x2=\"{0}\" y2=\"{1}\"/>\
                 <text x=\"{0}\" y=\"{2}\" text-anchor=\"middle\">{label}</text>",
                Coordinate(x),
                Coordinate(HEIGHT - BOTTOM + 4.0),
                Coordinate(HEIGHT - BOTTOM + 18.0)
            );
        }
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>\
             <text class=\"label\" x=\"0\" y=\"11\">{}</text>\
             <text class=\"label\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>{}</svg>",
            escape(self.y.label()),
            Coordinate(HEIGHT - 4.0),
            escape(self.x.label()),
            self.marks
        );
        svg
    }
}

/// Every tick, or every second or third, so that the labels along `length` do not touch.
fn apart(ticks: Vec<(f64, String)>, length: f64) -> Vec<(f64, String)> {
    let widest = ticks.iter().map(|(_, label)| word_width(label)).fold(0.0, f64::max);
    let nearest = ticks.windows(2).map(|pair| (pair[1].0 - pair[0].0) * length).fold(f64::INFINITY, f64::min);
    let every = ((widest + 6.0) / nearest).ceil();
    // Two ticks in one place have no distance.
    let every = if every.is_finite() { every.max(1.0) as usize } else { ticks.len().max(1) };
    ticks.into_iter().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot::new(Axis::between("x", 0.0, 4.0), Axis::between("y", 0.0, 1.0))
    }

    fn finish(plot: Plot) -> String {
        plot.finish(&Words { id: "p", title: "A <plot>", description: "of \"y\"" })
    }

    #[test]
    fn a_line_is_broken_where_a_value_is_not_finite() {
        let mut broken = plot();
        let points = [(0.0, 0.1), (1.0, 0.2), (2.0, f64::NAN), (3.0, 0.4), (4.0, 0.5)];
        broken.line("train", &points);
        let svg = finish(broken);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("class=\"cross train\"").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_single_point_is_a_dot_and_marks_without_a_place_are_left_out() {
        let mut single = plot();
        single.line("train", &[(1.0, 0.5)]);
        single.dot("val", (f64::INFINITY, 0.0), 2.0, None);
        single.bar("val", (0.0, f64::NAN), 1.0, "");
        single.segment("axis", (0.0, 0.0), (1.0, f64::NAN));
        single.vertical("mark", f64::NAN, "", End::Upper);
        let svg = finish(single);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("<rect") && !svg.contains("mark"), "{svg}");
    }

    #[test]
    fn words_of_lines_that_are_near_stand_in_rows() {
        let rows = |first: f64, second: f64, end| {
            let mut marked = plot();
            marked.vertical("mark", first, "same, mean", end);
            marked.vertical("mark", second, "different, mean", end);
            (marked.words[0].y, marked.words[1].y)
        };
        assert_eq!(rows(1.0, 1.1, End::Upper), (34.0, 34.0 + WORD_HEIGHT));
        // One word leads to the right, the other to the left.
        assert_eq!(rows(1.8, 3.0, End::Lower), (242.0, 242.0 - WORD_HEIGHT));
        assert_eq!(rows(0.1, 3.9, End::Upper), (34.0, 34.0));
    }

    #[test]
    fn labels_of_ticks_do_not_touch() {
        let ticks = |label: &str| (0..9).map(|x| (f64::from(x) / 8.0, label.to_owned())).collect::<Vec<_>>();
        assert_eq!(apart(ticks("0"), 448.0).len(), 9);
        assert_eq!(apart(ticks("0.0004"), 448.0).len(), 5);
        assert_eq!(apart(ticks("1.000001e6"), 448.0).len(), 5);
        assert_eq!(apart(vec![(0.5, "1".to_owned()); 2], 448.0).len(), 1);
        assert!(apart(Vec::new(), 448.0).is_empty());
    }

    #[test]
    fn titles_are_escaped_and_named_by_the_svg() {
        let svg = finish(plot());
        assert!(svg.contains("aria-labelledby=\"p-t p-d\""));
        assert!(
            svg.contains("<title id=\"p-t\">A &lt;plot&gt;</title><desc id=\"p-d\">of &quot;y&quot;</desc>")
        );
    }

    #[test]
    fn coordinates_are_short() {
        let shown: Vec<String> = [12.34, -0.01, 5.0].iter().map(|x| Coordinate(*x).to_string()).collect();
        assert_eq!(shown, ["12.3", "0", "5"]);
    }
}
