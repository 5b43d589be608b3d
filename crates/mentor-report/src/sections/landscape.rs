//! Gradient descent as a picture: the cost along a line through the space of weights, and the
//! optimiser's steps on it.

use mentor_run::records::analysis::{Landscape, PathPoint};

use crate::drawing::axis::Axis;
use crate::drawing::html::figure;
use crate::drawing::numbers::{count, value};
use crate::drawing::svg::{Plot, Words};

/// Colours of the first, middle and last steps; both pages, light and dark, show all of them.
const EARLY_TO_LATE: [[f64; 3]; 3] = [[240.0, 170.0, 60.0], [214.0, 84.0, 110.0], [136.0, 76.0, 190.0]];

/// The cost along one weight.
pub(crate) fn along_weight(landscape: &Landscape, id: &str) -> String {
    let caption = format!(
        "The curve is J when only this weight moves and all others stay at their last values (mean of {} \
         training images): the dots fall towards it as the <em>other</em> weights learn, and come to rest \
         near its lowest point, where the slope is zero.",
        count(landscape.num_samples as u64)
    );
    draw(landscape, "Cost along one weight", 6.0, "weight", &format!("{id}-along-weight"), &caption)
}

/// The cost along the straight line from the first to the last weights.
pub(crate) fn along_line(landscape: &Landscape, id: &str) -> String {
    let caption = format!(
        "The curve is J on the straight way from the first weights (0) to the last (1), the dots are where \
         the optimiser went (mean of {} training images): steps shorten as the slope flattens, and dots \
         below the curve show that its own way was better than the straight one.",
        count(landscape.num_samples as u64)
    );
    draw(landscape, "Cost along the way", 50.0, "share of the way", &format!("{id}-along-line"), &caption)
}

/// `ratio` of the highest to the lowest J is where the axis becomes logarithmic.
fn draw(landscape: &Landscape, heading: &str, ratio: f64, x_label: &str, id: &str, caption: &str) -> String {
    let Landscape { label, at, cost, path, .. } = landscape;
    let curve: Vec<(f64, f64)> = at.iter().copied().zip(cost.iter().copied()).collect();
    let xs = at.iter().copied().chain(path.iter().map(|point| point.at));
    let ys = cost.iter().copied().chain(path.iter().map(|point| point.cost));
    let mut plot = Plot::new(tight(x_label, xs), Axis::log_if_wide("J", ys, ratio));
    plot.line("train", &curve);
    plot.line("way", &path.iter().map(|point| (point.at, point.cost)).collect::<Vec<_>>());
    for (index, point) in path.iter().enumerate() {
        let progress = index as f64 / (path.len().max(2) - 1) as f64;
        let tooltip = format!("after {} updates: J = {}", count(point.step), value(point.cost));
        plot.colored_dot(&color(progress), (point.at, point.cost), 6.5 - 3.5 * progress, &tooltip);
    }
    let description = format!("{label}: {}.", describe(path));
    let svg = plot.finish(&Words { id, title: heading, description: &description });
    let key = format!(
        "<ul class=\"legend\"><li><i class=\"key train\" aria-hidden=\"true\"></i>J, {}</li>{}</ul>",
        crate::drawing::html::escape(label),
        path_key(path)
    );
    figure(heading, &(key + &svg), caption)
}

/// An x axis that ends where the curve ends.
fn tight(label: &str, values: impl Iterator<Item = f64>) -> Axis {
    let drawable = values.filter(|value| crate::drawing::axis::is_drawable(*value));
    let (low, high) =
        drawable.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low < high { Axis::between(label, low, high) } else { Axis::linear(label, [low]) }
}

fn path_key(path: &[PathPoint]) -> String {
    let (Some(first), Some(last)) = (path.first(), path.last()) else { return String::new() };
    format!(
        "<li>update {} <i class=\"steps\" aria-hidden=\"true\"></i> {}</li>",
        count(first.step),
        count(last.step)
    )
}

fn describe(path: &[PathPoint]) -> String {
    match (path.first(), path.last()) {
        (Some(first), Some(last)) => format!(
            "J goes from {} at update {} to {} at update {}",
            value(first.cost),
            count(first.step),
            value(last.cost),
            count(last.step)
        ),
        _ => "no steps were recorded".to_owned(),
    }
}

/// A colour between the first (0) and the last (1) step.
fn color(progress: f64) -> String {
    let at = progress.clamp(0.0, 1.0) * 2.0;
    let (from, to, share) = if at < 1.0 {
        (EARLY_TO_LATE[0], EARLY_TO_LATE[1], at)
    } else {
        (EARLY_TO_LATE[1], EARLY_TO_LATE[2], at - 1.0)
    };
    let mix = |channel: usize| (from[channel] + (to[channel] - from[channel]) * share).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn every_step_is_a_dot_and_early_ones_are_larger() {
        let landscape = fixture::analysis().along_line.unwrap();
        let html = along_line(&landscape, "r");
        assert_eq!(html.matches("class=\"step\"").count(), landscape.path.len());
        assert!(
            html.contains("r=\"6.5\" fill=\"#f0aa3c\"") && html.contains("r=\"3\" fill=\"#884cbe\""),
            "{html}"
        );
        assert!(html.contains("after 4 updates: J = "));
    }

    #[test]
    fn costs_that_are_not_finite_and_a_path_of_one_point_are_drawn() {
        let mut landscape = fixture::analysis().along_weight.unwrap();
        landscape.cost[0] = f64::INFINITY;
        landscape.path.truncate(1);
        let html = along_weight(&landscape, "r");
        assert!(!html.contains("NaN") && !html.contains("inf\""), "{html}");
        let empty = Landscape { at: vec![], cost: vec![], path: vec![], ..landscape };
        assert!(along_line(&empty, "r").contains("no steps were recorded"));
    }
}
