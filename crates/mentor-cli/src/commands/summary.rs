//! The result of a complete run, in lines for the terminal.

use std::collections::BTreeMap;
use std::path::Path;

use mentor_data::{counted, shown_path};
use mentor_metrics::{Interval, wilson_interval};
use mentor_run::records::path::PenaltyPath;
use mentor_run::{Certificate, Summary};

use crate::terminal::table::{Align, Table, count, duration, p_value, share_of};

/// The lines of the run in `out`.
pub(super) fn lines(out: &Path, summary: &Summary) -> String {
    let run = shown_path(out);
    let mut lines = vec![run.clone()];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<16} {value}"));
    // A solver has no epochs.
    let epoch = match summary.epochs {
        0 => String::new(),
        epochs => format!(", of epoch {} of {epochs}", summary.best_epoch),
    };
    if let Some(accuracy) = summary.val_accuracy {
        line("val accuracy", format!("{accuracy:.4}{}{epoch}", uncertainty(accuracy, summary.num_val)));
    }
    let measure = |name: &str| summary.measures.get(name).copied();
    of_backbone(summary).into_iter().for_each(|(name, value)| line(name, value));
    if let (Some(map_at_r), Some(first)) = (measure("val_map_at_r"), measure("val_precision_at_1")) {
        line("val MAP@R", format!("{map_at_r:.4}, P@1 {first:.4}{epoch}"));
    } else if chosen_by_nothing(summary) {
        let text = format!(
            "undefined: no validation image has another of its class; weights{}",
            epoch.trim_start_matches(',')
        );
        line("val MAP@R", text);
    }
    if let (Some(pixels), Some(own)) =
        (measure("pixels_precision_at_1"), measure("beside_pixels_precision_at_1"))
    {
        let verdict = if own > pixels { "" } else { ": the embeddings are no better" };
        line("pixels alone", format!("P@1 {pixels:.4}, the embeddings {own:.4} on the same images{verdict}"));
    }
    of_student(summary).into_iter().for_each(|(name, value)| line(name, value));
    of_self_training(summary).into_iter().for_each(|(name, value)| line(&name, value));
    if let Some(accuracy) = summary.train_accuracy {
        line("train accuracy", format!("{accuracy:.4}{epoch}"));
    }
    if let Some(certificate) = &summary.certificate {
        line("optimum", proven(certificate));
    }
    let weights = count(summary.num_weights as u64);
    let zero = count(summary.num_zero_weights as u64);
    line("weights", format!("{weights}, {zero} exactly zero, root mean square {:.2e}", summary.weight_rms));
    line(
        "time",
        format!(
            "{}, {} on {}",
            duration(summary.wall_secs),
            match (summary.features_secs, summary.epochs) {
                (Some(secs), _) => format!("{} of them for features", duration(secs)),
                (None, 0) => counted(summary.steps as usize, "iteration", "iterations"),
                (None, _) => counted(summary.steps as usize, "update", "updates"),
            },
            summary.device
        ),
    );
    if let Some(reason) = &summary.stopped {
        line("stopped early", reason.clone());
    }
    line("report", shown_path(&out.join("report.html")));
    // Without labels there is nothing to compare with.
    let has_labels = summary.val_accuracy.is_some()
        || summary.train_accuracy.is_some()
        || measure("val_map_at_r").is_some()
        || summary.teacher.is_none();
    match has_labels {
        true => line("next", format!("mentor eval {run}")),
        false => line("next", format!("mentor eval {run} --data DATA, of images with labels")),
    }
    lines.join("\n")
}

/// The penalties that were tried, with what they are worth.
pub(super) fn path_table(path: &PenaltyPath) -> String {
    let mut table = Table::new(&[
        ("l2", Align::Right),
        ("l1", Align::Right),
        ("val loss", Align::Right),
        ("± deviation", Align::Right),
        ("val accuracy", Align::Right),
        ("weights not 0", Align::Right),
        ("gap", Align::Right),
        ("", Align::Left),
    ]);
    for (place, point) in path.points.iter().enumerate() {
        let marks = [
            (path.best, "least loss"),
            (path.one_standard_error, "one standard error"),
            (path.chosen, "chosen"),
        ];
        let marks: Vec<&str> = marks.iter().filter(|(at, _)| *at == place).map(|(_, mark)| *mark).collect();
        table.row([
            format!("{:.2e}", point.l2),
            format!("{:.2e}", point.l1),
            format!("{:.4}", point.val_loss),
            format!("{:.4}", point.standard_deviation),
            format!("{:.4}", point.val_accuracy),
            count(point.num_nonzero_weights.round() as u64),
            share_of(point.relative_gap),
            marks.join(", "),
        ]);
    }
    table.render().trim_end().to_owned()
}

/// How far from the optimum the weights are at most.
fn proven(certificate: &Certificate) -> String {
    let Certificate { primal, dual, relative_gap, certified, reason, .. } = certificate;
    let bounds = format!("objective {primal:.6}, at least {dual:.6}");
    match relative_gap {
        share if *share >= 1.0 => format!("nothing proven ({bounds})"),
        share if *certified => format!("within {} of it ({bounds})", share_of(*share)),
        share => format!("within {} of it, not within --gap: {reason} ({bounds})", share_of(*share)),
    }
}

/// The 95 % interval of an accuracy over so many images; nothing if their number is not known.
fn uncertainty(accuracy: f64, num_images: usize) -> String {
    if num_images == 0 {
        return String::new();
    }
    let num_right = (accuracy * num_images as f64).round() as u64;
    let Interval { low, high } = wilson_interval(num_right.min(num_images as u64), num_images as u64, 0.95);
    format!(" ({low:.4} to {high:.4} at 95 %, {} images)", count(num_images as u64))
}

/// Whether labelled embeddings had validation images, and no figure of them was defined.
fn chosen_by_nothing(summary: &Summary) -> bool {
    let has_accuracy = summary.val_accuracy.is_some() || summary.train_accuracy.is_some();
    summary.num_val > 0 && !has_accuracy && summary.val_loss.is_none() && summary.measures.is_empty()
}

/// Lines of the result that only a head on a pretrained network has.
fn of_backbone(summary: &Summary) -> Vec<(&'static str, String)> {
    let Some(backbone) = &summary.backbone else { return Vec::new() };
    let mut lines = vec![("backbone", format!("{} ({})", backbone.architecture, backbone.licence))];
    let measure = |name: &str| summary.measures.get(name).copied();
    if let Some(accuracy) = measure("cross_validation_accuracy") {
        let by =
            if measure("head_l2").is_some() { ", by the head before the layers were trained" } else { "" };
        lines.push(("cross-validated", format!("{accuracy:.4}, of the training images{by}")));
    }
    if let (Some(mean), Some(neighbour), Some(pixels)) = (
        measure("nearest_mean_accuracy"),
        measure("nearest_neighbour_accuracy"),
        measure("pixels_nearest_neighbour_accuracy"),
    ) {
        let text = format!(
            "nearest class mean {mean:.4}, nearest neighbour {neighbour:.4}, by pixels {pixels:.4}; each \
             image by the others"
        );
        lines.push(("baselines", text));
    }
    if let (Some(l2), Some(gap)) = (measure("l2"), measure("relative_gap")) {
        lines.push(("head", format!("l2 {l2:.3e}, within {gap:.1e} of the least objective")));
    }
    lines
}

/// Lines of the result that only a student has.
fn of_student(summary: &Summary) -> Vec<(&'static str, String)> {
    let Some(teacher) = &summary.teacher else { return Vec::new() };
    let params = |num_params: usize| format!("{} parameters", count(num_params as u64));
    // Of embeddings MAP@R, by which the model was chosen.
    let figure = |accuracy: Option<f64>, measures: &BTreeMap<String, f64>| match accuracy {
        Some(accuracy) => format!("{accuracy:.4}, "),
        None => measures.get("val_map_at_r").map_or(String::new(), |value| format!("MAP@R {value:.4}, ")),
    };
    let line = |accuracy, measures, num_params| figure(accuracy, measures) + &params(num_params);
    let mut lines = vec![
        ("teacher", line(teacher.val_accuracy, &teacher.measures, teacher.num_params)),
        ("student", line(summary.val_accuracy, &summary.measures, summary.num_params)),
    ];
    if let Some(baseline) = &summary.baseline {
        let text = format!(
            "{}from scratch; only the student has {} right, only the baseline {} ({})",
            figure(baseline.val_accuracy, &baseline.measures),
            count(baseline.only_student),
            count(baseline.only_baseline),
            p_value(baseline.p_value)
        );
        lines.push(("baseline", text));
    }
    // Embeddings have none.
    let measure = |name: &str| summary.measures.get(name).copied();
    if let (Some(agreement), Some(mean_kl)) = (measure("agreement"), measure("mean_kl")) {
        lines.push(("agreement", format!("{agreement:.4} of the images, mean KL {mean_kl:.4} nats")));
    }
    lines
}

/// Lines of the result that only self-training has.
fn of_self_training(summary: &Summary) -> Vec<(String, String)> {
    let shown = |accuracy: Option<f64>| accuracy.map_or("none".to_owned(), |value| format!("{value:.4}"));
    let mut lines = Vec::new();
    for round in &summary.rounds {
        let verdict = if round.accepted { "accepted" } else { "rolled back" };
        let text = format!(
            "{} pseudo-labels, audit {}, {verdict}: {}",
            count(round.num_pseudo_labels),
            shown(round.audit_precision),
            round.reason
        );
        lines.push((format!("round {}", round.round), text));
    }
    if let Some(accuracy) = summary.test_accuracy {
        lines.push(("test accuracy".to_owned(), format!("{accuracy:.4}")));
    }
    // Models are compared on the test split, or on validation if there is none.
    let split = if summary.test_accuracy.is_some() { "test" } else { "validation" };
    // If no round was accepted, the model is the teacher.
    let rolled_back = !summary.rounds.is_empty() && summary.rounds.iter().all(|round| !round.accepted);
    if rolled_back {
        let text = "the teacher of the labels alone, because no round was accepted";
        lines.push(("model".to_owned(), text.to_owned()));
    }
    let model = if rolled_back { "teacher" } else { "student" };
    // A student of named teachers has its own lines.
    if let Some(baseline) = summary.baseline.as_ref().filter(|_| summary.teacher.is_none()) {
        let text = format!(
            "{} on labels alone; only the {model} has {} {split} images right, only the baseline {} ({}{})",
            shown(baseline.test_accuracy.or(baseline.val_accuracy)),
            count(baseline.only_student),
            count(baseline.only_baseline),
            p_value(baseline.p_value),
            if baseline.p_value < 0.05 { "" } else { ", which chance explains" }
        );
        lines.push(("baseline".to_owned(), text));
    }
    if let Some(distilled) = &summary.distilled {
        let text = format!(
            "{}: {} parameters, {split} accuracy {}",
            distilled.model,
            count(distilled.num_params as u64),
            shown(distilled.test_accuracy.or(distilled.val_accuracy))
        );
        lines.push(("distilled".to_owned(), text));
    }
    lines
}
