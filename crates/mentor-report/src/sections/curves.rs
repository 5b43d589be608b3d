//! Curves over training: loss, its two parts, accuracy, learning rate; of one run or of several.
//!
//! Everywhere validation is solid, training dashed and the penalty dotted.

use mentor_run::EpochMetrics;

use super::config;
use crate::drawing::chart::{Chart, NOISE, Series, draw, linear, log_if_wide, shares};
use crate::drawing::svg::End;
use crate::run::RunReport;

/// Colours of the style sheet for runs.
const NUM_COLOURS: usize = 8;
/// The class of runs beyond these, which have the colours again: longer dashes, and dots, tell them apart.
const SECOND: &str = "second";

/// The four figures of one run.
pub(crate) fn section(run: &RunReport, id: &str) -> String {
    let history = &run.history;
    if history.is_empty() {
        // A solver has nothing to draw here.
        if run.summary.as_ref().is_some_and(|summary| summary.epochs == 0) {
            return String::new();
        }
        return "<p class=\"empty\">No update has been recorded yet, so there is no curve to draw.</p>"
            .to_owned();
    }
    let epoch = |value: fn(&EpochMetrics) -> Option<f64>| history.by_epoch(value);
    let (unit, end) = unit_and_end(std::slice::from_ref(run));
    let kept = |end| run.summary.as_ref().map(|summary| (summary.best_epoch as f64, "weights kept", end));

    let loss = Chart {
        id: format!("{id}-loss"),
        heading: "Loss",
        y: log_if_wide,
        y_label: "J = data loss + penalty",
        series: vec![
            Series::line("train dashed", "training", epoch(|epoch| Some(epoch.train_loss))),
            Series::line("val", "validation", epoch(|epoch| epoch.val_loss)),
        ],
        keys: None,
        mark: kept(End::Upper),
        caption:
            "If validation stops falling while training still falls, the model overfits its training images \
             from there on."
                .to_owned(),
    };
    let penalized = config::penalty(&run.config) != (0.0, 0.0);
    let mut parts = vec![
        Series::line(NOISE, "each update", history.by_step(|step| step.data_loss)),
        Series::line("train dashed", "data loss, training", epoch(|epoch| Some(epoch.train_data_loss))),
        Series::line("val", "data loss, validation", epoch(|epoch| epoch.val_data_loss)),
    ];
    if penalized {
        parts.push(Series::line("penalty dotted", "penalty λR(W)", epoch(|epoch| Some(epoch.penalty))));
    }
    let parts = Chart {
        id: format!("{id}-parts"),
        heading: "Data loss and penalty, apart",
        y: log_if_wide,
        y_label: "loss",
        series: parts,
        keys: None,
        mark: None,
        caption: if penalized {
            "The weights grow to fit the data, and the penalty λR(W) grows with them. Training ends where a \
             further step would raise the penalty as much as it lowers the data loss."
        } else {
            "Nothing is penalised (λ = 0): the objective is the data loss alone, and only the schedule \
             limits the weights."
        }
        .to_owned(),
    };
    let accuracy = Chart {
        id: format!("{id}-accuracy"),
        heading: "Accuracy",
        y: shares,
        y_label: "share right",
        series: vec![
            Series::line("train dashed", "training", epoch(|epoch| epoch.train_accuracy)),
            Series::line("val", "validation", epoch(|epoch| epoch.val_accuracy)),
        ],
        keys: None,
        mark: kept(End::Lower),
        caption: "The gap between the curves is overfitting. The loss of training images is taken before \
                  their update, so that their curve lags."
            .to_owned(),
    };
    let rate = Chart {
        id: format!("{id}-rate"),
        heading: "Learning rate",
        y: linear,
        y_label: "step size",
        series: vec![Series::line("train", "at each update", history.by_step(|step| step.learning_rate))],
        keys: None,
        mark: None,
        caption: "The learning rate is the size of a step along the gradient. If the loss jumps while the \
                  rate is high, the rate is too high. If the loss no longer falls while the rate is low, the \
                  rate fell too soon."
            .to_owned(),
    };
    [loss, parts, accuracy, rate].into_iter().map(|chart| draw(chart, unit, end)).collect()
}

/// The same figures with one colour a run.
pub(crate) fn overlay(runs: &[RunReport], names: &[String]) -> String {
    let (unit, end) = unit_and_end(runs);
    let lines = |dashes: &str, what: &str, value: fn(&EpochMetrics) -> Option<f64>| -> Vec<Series> {
        let of_run = |(index, (run, name)): (usize, (&RunReport, &String))| {
            let label = if what.is_empty() { name.clone() } else { format!("{name}, {what}") };
            Series {
                class: format!("{} {dashes}", run_class(index)),
                label,
                points: run.history.by_epoch(value),
            }
        };
        runs.iter().zip(names).enumerate().map(of_run).collect()
    };
    let both = |what: [(&str, &str); 2], values: [fn(&EpochMetrics) -> Option<f64>; 2]| -> Vec<Series> {
        let mut series = lines(what[0].1, what[0].0, values[0]);
        series.extend(lines(what[1].1, what[1].0, values[1]));
        series
    };
    let keys = |solid: &str, dashes: &str, other: &str| {
        let mut keys: Vec<(String, String)> =
            names.iter().enumerate().map(|(index, name)| (run_class(index), name.clone())).collect();
        let mut marks = |class: &str, whose: &str| {
            keys.push((format!("mark {class}"), format!("{solid}{whose}")));
            keys.push((format!("mark {class} {dashes}"), format!("{other}{whose}")));
        };
        marks("", "");
        if names.len() > NUM_COLOURS {
            marks(SECOND, ", from the ninth run on");
        }
        Some(keys)
    };
    let loss = Chart {
        id: "all-loss".to_owned(),
        heading: "Loss",
        y: log_if_wide,
        y_label: "J = data loss + penalty",
        series: both(
            [("validation", ""), ("training", "dashed")],
            [|epoch| epoch.val_loss, |epoch| Some(epoch.train_loss)],
        ),
        keys: keys("validation", "dashed", "training"),
        mark: None,
        caption: if config::same_objective(runs) {
            "The lower solid line generalises better; the distance to its dashed line is overfitting."
        } else {
            "These runs minimise different losses or penalties, whose sums do not compare: read each curve's \
             shape here, and compare the runs by their accuracy or retrieval."
        }
        .to_owned(),
    };
    let parts = Chart {
        id: "all-parts".to_owned(),
        heading: "Data loss and penalty, apart",
        y: log_if_wide,
        y_label: "loss",
        series: both(
            [("data loss, validation", ""), ("penalty", "dotted")],
            [|epoch| epoch.val_data_loss, |epoch| Some(epoch.penalty)],
        ),
        keys: keys("data loss, validation", "dotted", "penalty"),
        mark: None,
        caption: if config::same_data_loss(runs) {
            "A stronger penalty lowers the dotted line and raises the solid one: the best run has the lowest \
             solid line at its end."
        } else {
            "A stronger penalty lowers the dotted line and raises the solid one; the data losses of these \
             runs differ in kind, so their values do not compare."
        }
        .to_owned(),
    };
    let accuracy = Chart {
        id: "all-accuracy".to_owned(),
        heading: "Accuracy",
        y: shares,
        y_label: "share right",
        series: both(
            [("validation", ""), ("training", "dashed")],
            [|epoch| epoch.val_accuracy, |epoch| epoch.train_accuracy],
        ),
        keys: keys("validation", "dashed", "training"),
        mark: None,
        caption:
            "Compare where the solid lines end, and how early they arrive; differences smaller than the \
                  noise of a curve mean little."
                .to_owned(),
    };
    let rate = Chart {
        id: "all-rate".to_owned(),
        heading: "Learning rate",
        y: linear,
        y_label: "step size",
        series: lines("", "", |epoch| Some(epoch.learning_rate)),
        keys: None,
        mark: None,
        caption:
            "Runs with different schedules are comparable only at their ends: a high rate adds noise to \
                  the loss."
                .to_owned(),
    };
    [loss, parts, accuracy, rate].into_iter().map(|chart| draw(chart, unit, end)).collect()
}

/// The colour of a run as a CSS class, and a second class where an earlier run has that colour.
pub(crate) fn run_class(index: usize) -> String {
    let colour = format!("s{}", index % NUM_COLOURS);
    if index < NUM_COLOURS { colour } else { format!("{colour} {SECOND}") }
}

/// What the x axis counts, and where it ends.
fn unit_and_end(runs: &[RunReport]) -> (&'static str, f64) {
    let by_epoch = runs.iter().any(|run| run.history.steps_per_epoch().is_some());
    let shown = runs.iter().filter(|run| !by_epoch || run.history.steps_per_epoch().is_some());
    let end = shown.map(|run| run.history.end()).fold(0.0, f64::max);
    (if by_epoch { "epoch" } else { "update" }, end)
}
