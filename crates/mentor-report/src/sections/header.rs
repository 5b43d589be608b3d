//! The head of a run: what it was, its key numbers, what the reader must know, and its configuration.

use super::config;
use super::embeddings::QUALITY;
use crate::drawing::html::escape;
use crate::drawing::numbers::{count, counted, duration, percent, value};
use crate::run::RunReport;

/// Characters of a hash that are shown; the whole one is in the tooltip.
const SHORT_HASH: usize = 12;

/// What a head on a pretrained network is compared with, all on training images: what a reader calls it, its
/// name in summaries, and what judges an image.
const ON_FEATURES: [(&str, &str, &str); 4] = [
    ("cross-validation accuracy", "cross_validation_accuracy", "of the head, on training images"),
    ("nearest class mean", "nearest_mean_accuracy", "of features, each image by the others"),
    ("nearest neighbour", "nearest_neighbour_accuracy", "of features, each image by the others"),
    ("by pixels", "pixels_nearest_neighbour_accuracy", "nearest neighbour, each image by the others"),
];

/// Sentence, notices, key numbers and configuration.
pub(crate) fn panel(run: &RunReport) -> String {
    format!(
        "<p class=\"lead\"><b>{}</b>: {}.</p>{}<dl class=\"facts\">{}</dl>\
         <details class=\"config\"><summary>Configuration</summary><pre>{}</pre></details>",
        escape(&config::subject(&run.config)),
        escape(&config::method(&run.config)),
        notices(run),
        facts(run),
        escape(run.config.to_toml().trim_end())
    )
}

/// What the reader must know before believing a number.
fn notices(run: &RunReport) -> String {
    let mut notices = Vec::new();
    if let Some(summary) = &run.summary {
        if let Some(reason) = &summary.stopped {
            notices.push(format!(
                "Training ended before its last epoch: {}.",
                escape(reason.trim_end_matches('.'))
            ));
        }
    } else {
        let done = run.history.epochs.len() as u64;
        // On few images a run may have more epochs than the configuration says.
        let stretched = run.config.training.min_updates.is_some();
        let planned = run
            .config
            .training
            .epochs
            .filter(|_| !stretched)
            .map(|epochs| format!(" of {}", count(epochs as u64)));
        notices.push(format!(
            "<b>This run is not complete.</b> It shows {}{} so far; run the command that began it \
             again to continue it.",
            counted(done, "epoch", "epochs"),
            planned.unwrap_or_default()
        ));
    }
    notices.extend(run.gaps.iter().map(|gap| escape(gap)));
    let broken = run.history.steps.iter().find(|step| !step.data_loss.is_finite()).map(|step| step.step);
    let broken = broken.or_else(|| {
        run.history.epochs.iter().find(|epoch| !epoch.train_loss.is_finite()).map(|epoch| epoch.step)
    });
    if let Some(step) = broken {
        notices.push(format!(
            "The loss was not a finite number at update {}; crosses mark such places in the curves.",
            count(step)
        ));
    }
    notices.into_iter().map(|notice| format!("<p class=\"notice\" role=\"note\">{notice}</p>")).collect()
}

/// The key numbers as name and value.
fn facts(run: &RunReport) -> String {
    let mut facts: Vec<(&str, String, String)> = Vec::new();
    let mut add = |name, shown: String, more: String| facts.push((name, shown, more));
    let quality: Vec<(&str, f64)> =
        QUALITY.into_iter().filter_map(|(name, measure)| Some((name, run.measure(measure)?))).collect();
    match &run.summary {
        Some(summary) => {
            // Training and validation of one epoch, the kept one.
            let training = |shown: String| match summary.epochs {
                0 => format!("training {shown}"),
                _ => format!("training {shown}, both of epoch {}", summary.best_epoch),
            };
            match (summary.val_accuracy, summary.train_accuracy) {
                (Some(accuracy), of_training) => add(
                    "validation accuracy",
                    percent(accuracy),
                    of_training.map_or_else(String::new, |accuracy| training(percent(accuracy))),
                ),
                (None, Some(accuracy)) => {
                    add("training accuracy", percent(accuracy), "no validation split".to_owned());
                }
                (None, None) => {}
            }
            quality.iter().for_each(|&(name, share)| add(name, percent(share), String::new()));
            if let Some(backbone) = &summary.backbone {
                add("backbone", escape(&backbone.architecture), escape(&backbone.licence));
            }
            for (name, measure, more) in ON_FEATURES {
                if let Some(share) = run.measure(measure) {
                    add(name, percent(share), more.to_owned());
                }
            }
            match summary.val_loss {
                Some(loss) => {
                    add("validation loss", value(loss), training(value(summary.train_loss)));
                }
                None => add("training loss", value(summary.train_loss), String::new()),
            }
            if let Some(certificate) = &summary.certificate {
                let bounds =
                    format!("objective {}, at least {}", value(certificate.primal), value(certificate.dual));
                add("distance from the optimum", format!("≤ {}", bound(certificate.relative_gap)), bounds);
            }
            add("parameters", count(summary.num_params as u64), String::new());
            let zero_share = summary.num_zero_weights as f64 / summary.num_weights.max(1) as f64;
            add(
                "zero weights",
                count(summary.num_zero_weights as u64),
                format!("of {} ({})", count(summary.num_weights as u64), percent(zero_share)),
            );
            match (summary.features_secs, &summary.certificate, summary.epochs) {
                (Some(secs), ..) => add("features", duration(secs), "computed once".to_owned()),
                (None, Some(certificate), 0) => {
                    add("iterations", count(summary.steps), escape(&certificate.reason));
                }
                _ => add(
                    "updates",
                    count(summary.steps),
                    format!(
                        "epoch {} of {} kept",
                        count(summary.best_epoch as u64),
                        count(summary.epochs as u64)
                    ),
                ),
            }
            add("time", duration(summary.wall_secs), waiting(run));
            add("device", escape(&summary.device), format!("mentor {}", escape(&summary.mentor_version)));
            let hash = |hash: &str| {
                let short: String = hash.chars().take(SHORT_HASH).collect();
                format!("<code title=\"{}\">{}</code>", escape(hash), escape(&short))
            };
            add(
                "weights blake3",
                hash(&summary.weights_blake3),
                format!("data {}", hash(&summary.data_blake3)),
            );
        }
        None => {
            if let Some(epoch) = run.history.epochs.last() {
                if let Some(accuracy) = epoch.val_accuracy {
                    let best =
                        run.history.epochs.iter().filter_map(|epoch| epoch.val_accuracy).fold(0.0, f64::max);
                    add("validation accuracy", percent(accuracy), format!("best so far {}", percent(best)));
                }
                quality.iter().for_each(|&(name, share)| add(name, percent(share), String::new()));
                add(
                    "training loss",
                    value(epoch.train_loss),
                    epoch
                        .train_accuracy
                        .map_or_else(String::new, |accuracy| format!("accuracy {}", percent(accuracy))),
                );
                add("zero weights", count(epoch.num_zero_weights as u64), String::new());
            }
            let steps = run.history.steps.last().map_or(0, |step| step.step);
            let steps = run.history.epochs.last().map_or(steps, |epoch| steps.max(epoch.step));
            add("updates so far", count(steps), counted(run.history.epochs.len() as u64, "epoch", "epochs"));
            if !run.history.epochs.is_empty() {
                let secs = run.history.epochs.iter().map(|epoch| epoch.train_secs + epoch.val_secs).sum();
                add("time so far", duration(secs), waiting(run));
            }
        }
    }
    facts
        .into_iter()
        .map(|(name, shown, more)| {
            let more = if more.is_empty() { more } else { format!("<dd class=\"more\">{more}</dd>") };
            format!("<div><dt>{name}</dt><dd>{shown}</dd>{more}</div>")
        })
        .collect()
}

/// A relative gap in per cent, with two digits, rounded up: it is a bound.
fn bound(relative_gap: f64) -> String {
    let percent = 100.0 * relative_gap;
    if !(percent > 0.0 && percent.is_finite()) {
        return format!("{percent} %");
    }
    let unit = 10.0_f64.powi(percent.log10().floor() as i32 - 1);
    let up = (percent / unit - 1e-9).ceil() * unit;
    if up < 0.01 { format!("{up:.1e} %") } else { format!("{} %", value(up)) }
}

/// The share of training that was spent waiting for the loader.
fn waiting(run: &RunReport) -> String {
    let (train, wait) =
        run.history.epochs.iter().fold((0.0, 0.0), |(train, wait), epoch| {
            (train + epoch.train_secs, wait + epoch.loader_wait_secs)
        });
    if train > 0.0 { format!("{} waiting for data", percent(wait / train)) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn key_numbers_are_there_and_the_configuration_is_folded() {
        let html = panel(&fixture::complete("run"));
        for expected in [
            "97.5\u{202f}%",
            "0.1798",
            "650",
            "1,600",
            "cpu",
            "<code title=\"3f9a1c77e5b2",
            "<details class=\"config\">",
        ] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
        assert!(html.contains("learning_rate = 0.1") && !html.contains("class=\"notice\""));
    }

    #[test]
    fn an_incomplete_run_says_so() {
        let html = panel(&fixture::incomplete("run"));
        assert!(html.contains("This run is not complete") && html.contains("2\u{a0}epochs of 40"), "{html}");
    }

    #[test]
    fn an_embedding_run_has_its_quality_and_its_loss() {
        let measures =
            || [("val_map_at_r".to_owned(), 0.8125), ("val_precision_at_1".to_owned(), 0.9375)].into();
        let mut run = fixture::complete("run");
        let summary = run.summary.as_mut().unwrap();
        (summary.val_accuracy, summary.train_accuracy) = (None, None);
        summary.measures = measures();
        let html = panel(&run);
        for expected in [
            "<dt>validation MAP@R</dt><dd>81.2\u{202f}%",
            "<dt>validation P@1</dt><dd>93.8\u{202f}%",
            "<dt>validation loss</dt><dd>0.1798</dd><dd class=\"more\">training 0.1453",
        ] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
        assert!(!html.contains("accuracy</dt>"), "{html}");
        let mut run = fixture::incomplete("run");
        run.history.epochs[1].measures = measures();
        assert!(panel(&run).contains("<dt>validation MAP@R</dt><dd>81.2"));
    }

    #[test]
    fn a_loss_that_was_not_finite_and_an_early_end_are_said() {
        let mut run = fixture::complete("run");
        run.history.steps[2].data_loss = f64::NAN;
        run.summary.as_mut().unwrap().stopped = Some("the loss <stood> still.".to_owned());
        let html = panel(&run);
        assert!(html.contains("not a finite number at update 3"));
        assert!(html.contains("last epoch: the loss &lt;stood&gt; still.</p>"));
    }
}
