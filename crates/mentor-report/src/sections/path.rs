//! How the penalty was chosen: the validation loss over λ with its spread, and the weights that are not 0.

use mentor_run::records::path::{PenaltyPath, PenaltyPoint};

use crate::drawing::axis::Axis;
use crate::drawing::html::{Key, figure, legend};
use crate::drawing::numbers::{count, percent, setting, value};
use crate::drawing::svg::{End, Plot, Words};

/// The figures of a path. L2 alone makes no weight 0, so that their number is drawn only with L1.
pub(crate) fn panels(path: &PenaltyPath, id: &str) -> String {
    let Some(chosen) = path.chosen() else { return String::new() };
    let sizes =
        if path.points.iter().any(|point| point.l1 > 0.0) { sizes(path, chosen, id) } else { String::new() };
    validation(path, chosen, id) + &sizes
}

/// The λ that varies.
fn lambda(path: &PenaltyPath) -> fn(&PenaltyPoint) -> f64 {
    match path.points.windows(2).any(|pair| pair[0].l1 != pair[1].l1) {
        true => |point| point.l1,
        false => |point| point.l2,
    }
}

fn validation(path: &PenaltyPath, chosen: &PenaltyPoint, id: &str) -> String {
    let lambda = lambda(path);
    let ends = |point: &PenaltyPoint| {
        [point.val_loss - point.standard_deviation, point.val_loss + point.standard_deviation]
    };
    let losses = path.points.iter().flat_map(ends);
    let mut plot = Plot::new(
        Axis::log_if_wide("λ", path.points.iter().map(lambda), 1.0),
        Axis::log_if_wide("validation loss", losses, 6.0),
    );
    for point in &path.points {
        let [low, high] = ends(point);
        plot.line("faint", &[(lambda(point), low), (lambda(point), high)]);
    }
    let curve: Vec<(f64, f64)> = path.points.iter().map(|point| (lambda(point), point.val_loss)).collect();
    plot.line("val", &curve);
    for point in &path.points {
        plot.dot("val", (lambda(point), point.val_loss), 3.0, Some(&tooltip(lambda(point), point)));
    }
    plot.vertical("mark", lambda(chosen), "chosen", End::Upper);
    let title = "Validation loss over λ";
    let description = format!(
        "The least validation loss is at λ = {}; chosen is λ = {}.",
        path.points.get(path.best).map_or_else(String::new, |point| setting(lambda(point))),
        setting(lambda(chosen))
    );
    let svg = plot.finish(&Words { id: &format!("{id}-path"), title, description: &description });
    let keys = [
        Key { class: "val", label: "mean over the folds" },
        Key { class: "faint", label: "± one standard deviation between folds" },
    ];
    let caption = format!(
        "Each of {} folds was left out once and judged by a model of the others. To the left of the lowest \
         point the model overfits, to its right the penalty is too strong.",
        path.folds
    );
    figure(title, &(legend(&keys) + &svg), &caption)
}

fn sizes(path: &PenaltyPath, chosen: &PenaltyPoint, id: &str) -> String {
    let lambda = lambda(path);
    let mut plot = Plot::new(
        Axis::log_if_wide("λ", path.points.iter().map(lambda), 1.0),
        Axis::linear("weights", path.points.iter().map(|point| point.num_nonzero_weights)),
    );
    let curve: Vec<(f64, f64)> =
        path.points.iter().map(|point| (lambda(point), point.num_nonzero_weights)).collect();
    plot.line("train", &curve);
    for point in &path.points {
        let at = (lambda(point), point.num_nonzero_weights);
        plot.dot("train", at, 3.0, Some(&tooltip(lambda(point), point)));
    }
    plot.vertical("mark", lambda(chosen), "chosen", End::Lower);
    let title = "Weights that are not 0";
    let description =
        format!("The chosen λ has {} on average.", count(chosen.num_nonzero_weights.round() as u64));
    let svg = plot.finish(&Words { id: &format!("{id}-path-size"), title, description: &description });
    let caption = "L1 makes more weights exactly 0 as λ grows.";
    figure(title, &svg, caption)
}

fn tooltip(lambda: f64, point: &PenaltyPoint) -> String {
    let ends = point
        .fold_losses
        .iter()
        .copied()
        .reduce(f64::min)
        .zip(point.fold_losses.iter().copied().reduce(f64::max));
    let folds = ends
        .map_or_else(String::new, |(low, high)| format!(", folds from {} to {}", value(low), value(high)));
    format!(
        "λ = {}: validation loss {} ± {}{folds}, accuracy {}, {} weights",
        setting(lambda),
        value(point.val_loss),
        value(point.standard_deviation),
        percent(point.val_accuracy),
        count(point.num_nonzero_weights.round() as u64)
    )
}
