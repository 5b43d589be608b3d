//! The embeddings on the plane of their two largest principal components, with pictures under the pointer.

use std::fmt::Write;

use mentor_run::records::embeddings::{EmbeddingMap, MapPoint};

use crate::drawing::html::{escape, figure, shorten};
use crate::drawing::numbers::{count, percent};
use crate::drawing::sheet::Sheet;
use crate::drawing::svg::{Coordinate, Place, WORD_HEIGHT, Words, open, word_width};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 640.0;
/// About the points, so that no mark is cut.
const MARGIN: f64 = 12.0;
/// Below the frame, for the words of the axis.
const FOOT: f64 = 20.0;
/// Up to this many classes have their names on the map.
const MAX_NAMES: usize = 12;
/// Classes of the legend, at most.
const MAX_KEYS: usize = 24;

/// The map; `class` names a class.
pub(crate) fn panel(map: &EmbeddingMap, class: &dyn Fn(u32) -> String, sheet: &Sheet, id: &str) -> String {
    let points: Vec<&MapPoint> =
        map.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite()).collect();
    let place = scale(&points);
    let mut labels: Vec<u32> = points.iter().map(|point| point.label).collect();
    labels.sort_unstable();
    labels.dedup();

    let title = "Map of the embeddings";
    let explained = map.explained.map(percent);
    let description = format!(
        "{} samples of {} classes; the two directions hold {} and {} of the variance.",
        count(points.len() as u64),
        labels.len(),
        explained[0],
        explained[1]
    );
    let words = Words { id: &format!("{id}-map"), title, description: &description };
    let svg = open(&words, WIDTH, HEIGHT, "plot points");
    // The script goes from mark to mark with the arrow keys.
    let mut svg = svg.replacen("<svg ", "<svg tabindex=\"0\" ", 1);
    let (right, bottom) = (Coordinate(WIDTH - 0.5), Coordinate(HEIGHT - FOOT));
    let _ = write!(svg, "<rect class=\"frame\" x=\"0.5\" y=\"0.5\" width=\"{right}\" height=\"{bottom}\"/>");
    for point in &points {
        let (x, y) = place(point);
        let name = class(point.label);
        let picture =
            sheet.view(point.picture).map(|view| format!(" data-view=\"{view}\"")).unwrap_or_default();
        let _ = write!(
            svg,
            "<path class=\"point s{}\" d=\"M{} {}{}\"{picture} data-label=\"{}\" \
             data-file=\"{}\"><title>{}</title></path>",
            point.label % 8,
            Coordinate(x),
            Coordinate(y),
            shape(point.label),
            escape(&name),
            escape(&point.id),
            escape(&format!("{name}: {}", point.id))
        );
    }
    if labels.len() <= MAX_NAMES {
        let mut taken: Vec<Place> = Vec::new();
        for &label in &labels {
            let at = middle(points.iter().filter(|point| point.label == label).map(|point| place(point)));
            let name = shorten(&class(label), 16);
            let at = free(at, word_width(&name), &taken);
            let _ = write!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                Coordinate((at.left + at.right) / 2.0),
                Coordinate(at.y),
                escape(&name)
            );
            taken.push(at);
        }
    }
    let _ = write!(
        svg,
        "<text class=\"label\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">across: {} of the variance, up: \
         {}</text></svg>",
        Coordinate(HEIGHT - 4.0),
        explained[0],
        explained[1]
    );
    let picture = if sheet.html.is_empty() {
        String::new()
    } else {
        format!(
            "<svg class=\"thumb\" viewBox=\"0 0 1 1\" aria-hidden=\"true\"><use href=\"#{}\"/></svg>",
            escape(sheet.id())
        )
    };
    let peek = format!("<div class=\"peek\" hidden>{picture}<p></p></div>");
    let all = if points.len() < map.num_samples {
        format!("{} of {} samples", count(points.len() as u64), count(map.num_samples as u64))
    } else {
        format!("All {} samples", count(points.len() as u64))
    };
    let pictured = points.iter().filter(|point| sheet.view(point.picture).is_some()).count();
    let peeks = match pictured {
        0 => String::new(),
        all if all == points.len() => {
            " Point at a mark to see its picture, or go from mark to mark with the arrow keys.".to_owned()
        }
        some => format!(
            " Point at a mark, or go from mark to mark with the arrow keys, to see its picture, which {} of \
             them have.",
            count(some as u64)
        ),
    };
    let fitted = match map.num_fitted {
        Some(fitted) if fitted < map.num_samples => {
            format!(" They are those of {} samples.", count(fitted as u64))
        }
        _ => String::new(),
    };
    let caption = format!(
        "{all} on the plane of their two largest principal components, which hold <b>{}</b> of the variance: \
         classes that lie apart here are apart; classes that overlap may still be apart in the other \
         directions.{fitted}{peeks}",
        percent(map.explained[0] + map.explained[1])
    );
    let content = format!(
        "{}<div class=\"map\">{svg}{peek}</div><p class=\"file\" aria-live=\"polite\"></p>",
        keys(&labels, class)
    );
    // As high as the two curves beside it.
    figure(title, &content, &caption).replacen("class=\"panel\"", "class=\"panel tall\"", 1)
}

/// From coordinates to places in the plot, at the same scale in both directions.
fn scale(points: &[&MapPoint]) -> impl Fn(&MapPoint) -> (f64, f64) + use<> {
    let range = |values: &mut dyn Iterator<Item = f32>| {
        let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low <= high { (f64::from(low), f64::from(high)) } else { (0.0, 0.0) }
    };
    let (left, right) = range(&mut points.iter().map(|point| point.x));
    let (low, high) = range(&mut points.iter().map(|point| point.y));
    let (width, height) = (WIDTH - 2.0 * MARGIN, HEIGHT - FOOT - 2.0 * MARGIN);
    let unit = (width / (right - left)).min(height / (high - low));
    // All points in one place, or none.
    let unit = if unit.is_finite() { unit } else { 1.0 };
    let (middle_x, middle_y) = ((left + right) / 2.0, (low + high) / 2.0);
    move |point| {
        (
            WIDTH / 2.0 + (f64::from(point.x) - middle_x) * unit,
            (HEIGHT - FOOT) / 2.0 - (f64::from(point.y) - middle_y) * unit,
        )
    }
}

/// The median in each direction.
fn middle(places: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = places.unzip();
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    (median(&mut xs), median(&mut ys))
}

/// The place for a name nearest to its middle, above or below, that no other name has.
fn free((x, y): (f64, f64), width: f64, taken: &[Place]) -> Place {
    let x = x.clamp((width / 2.0).min(WIDTH / 2.0), (WIDTH - width / 2.0).max(WIDTH / 2.0));
    let (highest, lowest) = (WORD_HEIGHT, HEIGHT - FOOT - 6.0);
    let at = |y: f64| Place { left: x - width / 2.0, right: x + width / 2.0, y };
    let start = (y + 4.0).clamp(highest, lowest);
    let rows = (0..).map(|row| f64::from(row) * WORD_HEIGHT).take_while(|distance| *distance < HEIGHT);
    // The map has more rows than it has names.
    rows.flat_map(|distance| [start + distance, start - distance])
        .filter(|y| (highest..=lowest).contains(y))
        .map(at)
        .find(|place| !taken.iter().any(|other| place.meets(other)))
        .unwrap_or_else(|| at(start))
}

/// The mark of a class about its place: eight colours, then the next shape.
fn shape(label: u32) -> &'static str {
    match label / 8 % 4 {
        0 => "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",
        1 => "m-2.7 -2.7h5.4v5.4h-5.4z",
        2 => "m0 -3.6l3.4 6h-6.8z",
        _ => "m0 -3.8l3.8 3.8l-3.8 3.8l-3.8 -3.8z",
    }
}

fn keys(labels: &[u32], class: &dyn Fn(u32) -> String) -> String {
    let mut items: String = labels
        .iter()
        .take(MAX_KEYS)
        .map(|&label| {
            format!(
                "<li><svg class=\"mark-key\" viewBox=\"-5 -5 10 10\" aria-hidden=\"true\"><path \
                 class=\"point s{}\" d=\"M0 0{}\"/></svg>{}</li>",
                label % 8,
                shape(label),
                escape(&shorten(&class(label), 20))
            )
        })
        .collect();
    if labels.len() > MAX_KEYS {
        items += &format!("<li>and {} more</li>", labels.len() - MAX_KEYS);
    }
    format!("<ul class=\"legend\">{items}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn map(points: &[(f32, f32, u32)]) -> EmbeddingMap {
        let points = points.iter().map(|&(x, y, label)| MapPoint {
            x,
            y,
            label,
            id: "<i>".to_owned(),
            picture: Some(0),
        });
        EmbeddingMap {
            explained: [0.5, 0.25],
            points: points.collect(),
            num_samples: 50,
            num_fitted: Some(50),
        }
    }

    fn draw(map: &EmbeddingMap) -> String {
        let sheet = Sheet::new(&fixture::embeddings().pictures, "r");
        panel(map, &|label| format!("class & {label}"), &sheet, "r")
    }

    #[test]
    fn marks_carry_picture_class_and_id_and_are_escaped() {
        let html = draw(&map(&[(0.0, 0.0, 0), (2.0, 1.0, 9)]));
        assert_eq!(html.matches(" data-view=\"0 0 2 2\"").count(), 2, "{html}");
        assert!(html.contains("<title>class &amp; 0: &lt;i&gt;</title>"));
        assert!(html.contains("class=\"point s1\"") && html.contains("2 of 50 samples"));
        assert!(html.contains("<b>75.0\u{202f}%</b>"));
    }

    #[test]
    fn names_of_classes_that_lie_on_each_other_do_not() {
        let mut taken: Vec<Place> = Vec::new();
        for _ in 0..MAX_NAMES {
            let place = free((WIDTH, HEIGHT), word_width("sixteen letters…"), &taken);
            assert!(place.left >= 0.0 && place.right <= WIDTH && place.y <= HEIGHT - FOOT, "{place:?}");
            assert!(!taken.iter().any(|other| place.meets(other)), "{place:?} in {taken:?}");
            taken.push(place);
        }
        assert_eq!(free((100.0, 50.0), 20.0, &[]), Place { left: 90.0, right: 110.0, y: 54.0 });
    }

    #[test]
    fn pictures_are_promised_only_where_there_are_some() {
        let mut map = map(&[(0.0, 0.0, 0), (2.0, 1.0, 9)]);
        assert!(draw(&map).contains("Point at a mark to see its picture, or"));
        map.points[0].picture = None;
        assert!(draw(&map).contains("its picture, which 1 of them have."));
        map.points[1].picture = Some(7);
        let html = draw(&map);
        assert!(!html.contains("Point at"), "a picture that the sheet does not have");
        // Class and file are shown all the same.
        assert!(html.contains("<svg tabindex=\"0\"") && html.contains(" data-file=\"&lt;i&gt;\""), "{html}");
    }

    #[test]
    fn both_directions_have_one_scale() {
        let map = map(&[(-1.0, 0.0, 0), (1.0, 0.0, 0), (0.0, 0.5, 0)]);
        let points: Vec<&MapPoint> = map.points.iter().collect();
        let place = scale(&points);
        let [left, right, up] = [0, 1, 2].map(|index| place(points[index]));
        assert!(((right.0 - left.0) - 4.0 * (left.1 - up.1)).abs() < 1e-9);
        assert!(left.0 >= MARGIN - 1e-9 && right.0 <= WIDTH - MARGIN + 1e-9);
    }

    #[test]
    fn points_that_cannot_be_drawn_or_coincide_leave_the_map_sound() {
        for points in [&[][..], &[(1.0, 1.0, 3); 4], &[(f32::NAN, 0.0, 1), (0.0, f32::INFINITY, 2)]] {
            let html = draw(&map(points));
            assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        }
        let many: Vec<(f32, f32, u32)> = (0..60).map(|label| (label as f32, 0.0, label)).collect();
        assert!(draw(&map(&many)).contains("and 36 more"));
    }
}
