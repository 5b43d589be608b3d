//! A solver's way to the optimum: the objective from above, its lower bound from below, and the gap.

use mentor_run::IterationMetrics;

use crate::drawing::chart::{Chart, Series, draw, linear, log_if_wide};
use crate::run::RunReport;

/// The two figures of a run that stops at a gap; nothing for others.
pub(crate) fn panels(run: &RunReport, id: &str) -> String {
    let points = |value: fn(&IterationMetrics) -> f64| run.history.by_iteration(value);
    let end = run.history.iterations.last().map_or(0.0, |last| last.iteration as f64);
    let bounds = Chart {
        id: format!("{id}-bounds"),
        heading: "Objective and lower bound",
        y: linear,
        y_label: "J = data loss + penalty",
        series: vec![
            Series::line("train", "objective (primal)", points(|metrics| metrics.primal)),
            Series::line("val dashed", "lower bound (dual)", points(|metrics| metrics.dual)),
        ],
        keys: None,
        mark: None,
        caption: "The minimum lies between the curves, whatever weights have it. Where they meet, no \
                  further training can lower the objective."
            .to_owned(),
    };
    let gap = Chart {
        id: format!("{id}-gap"),
        heading: "Relative gap",
        y: log_if_wide,
        y_label: "(objective − bound) / objective",
        series: vec![Series::line("train", "proven so far", points(IterationMetrics::relative_gap))],
        keys: None,
        mark: None,
        caption: "The objective is at most this share above its minimum. The solver stops at the gap that \
                  was asked for."
            .to_owned(),
    };
    [bounds, gap].into_iter().map(|chart| draw(chart, "iteration", end)).collect()
}
