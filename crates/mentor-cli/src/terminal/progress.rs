//! The progress of training on standard error: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mentor_data::escape;
use mentor_run::records::health::{Diagnosis, EpochHealth};
use mentor_run::{EpochMetrics, IterationMetrics, PathModel, PlannedStage, Started, StepMetrics, TrainEvent};

use crate::terminal::output;
use crate::terminal::reading::left;
use crate::terminal::table::{Align, Table, count, duration, share_of};

/// Lines about epochs at most, roughly: a run of `gd` has hundreds of them, each a single update.
const MAX_EPOCH_LINES: usize = 50;

/// Lines about the models of a path.
const MAX_PATH_LINES: u64 = 10;

/// Turns events into lines and a bar.
pub(crate) struct Progress {
    /// Lines about the run and its epochs.
    lines: bool,
    /// A bar, if there is a terminal.
    bars: bool,
    started: Option<Started>,
    bar: ProgressBar,
    since: Instant,
    num_samples: u64,
    /// Of a ranking loss, epoch by epoch.
    health: Vec<EpochHealth>,
}

impl Progress {
    /// Shows everything, or with `quiet` only warnings.
    pub(crate) fn new(quiet: bool) -> Self {
        let (lines, bars, since) = (!quiet, !quiet, Instant::now());
        let bar = ProgressBar::hidden();
        Self { lines, bars, started: None, bar, since, num_samples: 0, health: Vec::new() }
    }

    /// Shows a bar and warnings, or with `quiet` only warnings.
    pub(crate) fn bar_only(quiet: bool) -> Self {
        let mut progress = Self::new(quiet);
        progress.lines = false;
        progress
    }

    /// Whether there is to be no bar.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.bars
    }

    /// Shows an event.
    pub(crate) fn observe(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Stage(text) => self.say(text),
            TrainEvent::Planned(stages) if !stages.is_empty() => self.say(&planned(stages)),
            TrainEvent::Started(started) => self.start(started),
            TrainEvent::Step(metrics) => self.step(metrics),
            TrainEvent::Epoch(metrics) => self.epoch(metrics),
            TrainEvent::Iteration(metrics) => self.iteration(metrics),
            TrainEvent::PathModel(model) => self.path_model(model),
            // `--quiet` does not hide warnings.
            TrainEvent::Warning(text) => {
                self.bar.suspend(|| output::note(&format!("warning: {}", escape(text))))
            }
            TrainEvent::StoppedEarly { reason } => self.say(&format!("stopped early: {reason}")),
            TrainEvent::Finished(_) => self.bar.finish_and_clear(),
            _ => {}
        }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, line: &str) {
        if self.lines {
            self.bar.suspend(|| output::note(line));
        }
    }

    fn start(&mut self, started: &Started) {
        let Started { model, num_params, num_classes, num_train, num_val, .. } = started;
        self.say(&format!(
            "{model}: {} parameters, {num_classes} classes, {} training and {} validation images",
            count(*num_params as u64),
            count(*num_train as u64),
            count(*num_val as u64),
        ));
        if let Some(min_updates) = started.min_updates {
            self.say(&format!(
                "{} epochs of {} updates, to make at least {}; --epochs sets another length",
                count(started.epochs as u64),
                count(started.steps_per_epoch),
                count(min_updates.get())
            ));
        }
        if started.resumed_step > 0 {
            self.say(&format!("continues after update {}", count(started.resumed_step)));
        }
        if self.bars && output::is_interactive() && started.epochs == 0 {
            self.bar = spinner();
        } else if self.bars && output::is_interactive() {
            let total = started.steps_per_epoch.saturating_mul(started.epochs as u64);
            self.bar = bar(total, started.resumed_step);
        }
        // Stages follow one another: each has its own speed and health.
        (self.since, self.num_samples) = (Instant::now(), 0);
        self.health.clear();
        self.started = Some(started.clone());
    }

    fn step(&mut self, metrics: &StepMetrics) {
        self.num_samples += metrics.num_samples as u64;
        if self.bar.is_hidden() {
            return;
        }
        let rate = self.num_samples as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        let epochs = self.started.as_ref().map_or(0, |started| started.epochs);
        self.bar.set_prefix(format!("epoch {}/{epochs}", metrics.epoch + 1));
        self.bar.set_message(format!("{} images/s  loss {:.4}", count(rate as u64), metrics.data_loss));
        self.bar.set_position(metrics.step);
    }

    fn iteration(&mut self, metrics: &IterationMetrics) {
        let IterationMetrics { iteration, primal, dual, secs, .. } = *metrics;
        let gap = share_of(metrics.relative_gap());
        self.bar.set_message(format!("iteration {}  gap {gap}", count(iteration)));
        // Of a thousand iterations 1, 2, 5, 10, 20, 50, ... are enough.
        let leading = iteration / 10_u64.pow(iteration.checked_ilog10().unwrap_or(0));
        let is_round = iteration == leading * 10_u64.pow(iteration.checked_ilog10().unwrap_or(0));
        if is_round && [1, 2, 5].contains(&leading) {
            self.say(&format!(
                "iteration {:>5}  objective {primal:.6}  at least {dual:.6}  gap {gap}  {}",
                count(iteration),
                duration(secs)
            ));
        }
    }

    fn path_model(&mut self, model: &PathModel) {
        let PathModel { num_done, num_models, l2, l1, val_loss, .. } = *model;
        let done = format!("{} of {} models", count(num_done), count(num_models));
        // The spinner of the solver that follows takes this away.
        self.bar.set_message(format!("{done}  {}", duration(self.since.elapsed().as_secs_f64())));
        if num_done.is_multiple_of(num_models.div_ceil(MAX_PATH_LINES)) || num_done == num_models {
            let lambda = if l1 > 0.0 { format!("l2 {l2:.2e}, l1 {l1:.2e}") } else { format!("l2 {l2:.2e}") };
            self.say(&format!("{done}: the last with {lambda}, validation loss {val_loss:.4}"));
        }
    }

    fn epoch(&mut self, metrics: &EpochMetrics) {
        self.health.extend(EpochHealth::of(metrics));
        let epochs = self.started.as_ref().map_or(0, |started| started.epochs);
        let done = metrics.epoch + 1;
        let every = epochs.div_ceil(MAX_EPOCH_LINES).max(1);
        if done == 1 || done == epochs || done.is_multiple_of(every) {
            self.say(&epoch_line(metrics, epochs));
            if let Some(line) = health_line(metrics) {
                if self.health.len() == 1 {
                    self.say(LEGEND);
                }
                self.say(&line);
                let margin = self.started.as_ref().and_then(|started| started.margin).unwrap_or(0.0);
                let diagnosis = Diagnosis::of(&self.health, margin);
                if diagnosis != Diagnosis::Healthy {
                    self.say(&format!("  {}: {}", diagnosis.name(), diagnosis.advice()));
                }
            }
        }
    }
}

/// The stages of a run that are yet to come, with their updates and about how long they take.
pub(crate) fn planned(stages: &[PlannedStage]) -> String {
    let mut table = Table::new(&[
        ("stage", Align::Left),
        ("model", Align::Left),
        ("updates", Align::Right),
        ("about", Align::Right),
    ]);
    let at_most = |at_most: bool, text: String| if at_most { format!("up to {text}") } else { text };
    for stage in stages {
        table.row([
            stage.name.clone(),
            stage.model.clone(),
            at_most(stage.at_most, count(stage.updates)),
            duration(stage.secs),
        ]);
    }
    let any = stages.iter().any(|stage| stage.at_most);
    let updates = stages.iter().map(|stage| stage.updates).sum();
    let secs = stages.iter().map(|stage| stage.secs).sum();
    table.row(["in all".to_owned(), String::new(), at_most(any, count(updates)), duration(secs)]);
    table.render().trim_end().to_owned()
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn bar(total: u64, done: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_position(done);
    let template = "{prefix}  {wide_bar} {pos}/{len} updates  {msg}{left}";
    // The template is a constant; one that did not parse would leave indicatif's own style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("left", left).progress_chars("━╸ "));
    }
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn epoch_line(metrics: &EpochMetrics, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let mut line = format!("epoch {:>width$}/{epochs}", metrics.epoch + 1);
    for (split, loss, accuracy) in [
        ("train", Some(metrics.train_loss), metrics.train_accuracy),
        ("val", metrics.val_loss, metrics.val_accuracy),
    ] {
        let Some(loss) = loss else { continue };
        line.push_str(&format!("  {split} loss {loss:.4}"));
        if let Some(accuracy) = accuracy {
            line.push_str(&format!(" accuracy {accuracy:.4}"));
        }
    }
    for (name, measure) in
        [("P@1", "val_precision_at_1"), ("MAP@R", "val_map_at_r"), ("agreement", "agreement")]
    {
        if let Some(value) = metrics.measures.get(measure) {
            line.push_str(&format!(" {name} {value:.4}"));
        }
    }
    if metrics.num_zero_weights > 0 {
        line.push_str(&format!("  zero weights {}", count(metrics.num_zero_weights as u64)));
    }
    line.push_str(&format!("  {}", duration(metrics.train_secs + metrics.val_secs)));
    let waiting = metrics.loader_wait_secs / metrics.train_secs.max(1e-9);
    if waiting > 0.2 && metrics.train_secs > 1.0 {
        line.push_str(&format!("  ({:.0} % of it waiting for images)", 100.0 * waiting));
    }
    line
}

/// Said once, above the first line of health.
const LEGEND: &str = "  \
easy, semi-hard, hard: triplets whose negative is beyond the margin, within it, nearer than the positive; \
active: terms of the loss above 0\n  same, different: mean distance of pairs of one class, of two; norm: \
mean length of an embedding; spread: how far they lie about their mean (0: all are one point)";

/// How a ranking loss is doing; nothing for other losses.
fn health_line(metrics: &EpochMetrics) -> Option<String> {
    let measure = |name: &str| metrics.measures.get(name);
    let (norm, spread) = (measure("embedding_norm")?, measure("embedding_spread")?);
    let mut line = String::from(" ");
    for (name, key) in [
        ("easy", "share_easy"),
        ("semi-hard", "share_semi_hard"),
        ("hard", "share_hard"),
        ("active", "share_active"),
    ] {
        if let Some(share) = measure(key) {
            line.push_str(&format!(" {name} {:.1} %", 100.0 * share));
        }
    }
    for (name, key) in [("same", "mean_positive_distance"), ("different", "mean_negative_distance")] {
        if let Some(distance) = measure(key) {
            line.push_str(&format!("  {name} {distance:.3} apart"));
        }
    }
    line.push_str(&format!("  norm {norm:.3}  spread {spread:.3}"));
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn metrics() -> EpochMetrics {
        EpochMetrics {
            epoch: 8,
            step: 99,
            learning_rate: 0.1,
            train_loss: 0.5,
            train_data_loss: 0.4,
            train_accuracy: Some(0.875),
            penalty: 0.1,
            val_loss: Some(0.6),
            val_data_loss: Some(0.5),
            val_accuracy: Some(0.75),
            num_zero_weights: 0,
            weight_rms: 0.1,
            train_secs: 12.0,
            loader_wait_secs: 6.0,
            val_secs: 1.0,
            measures: BTreeMap::new(),
        }
    }

    #[test]
    fn planned_stages_are_a_table_with_their_sum() {
        let stage = |name: &str, updates, at_most, secs| PlannedStage {
            name: name.to_owned(),
            model: "cnn".to_owned(),
            updates,
            at_most,
            secs,
        };
        let stages = [stage("teacher", 1000, true, 20.0), stage("round 1", 10_104, false, 600.0)];
        let expected = [
            "  stage    model       updates         about",
            "  teacher  cnn     up to 1,000          20 s",
            "  round 1  cnn          10,104   10 min 0 s",
            "  in all          up to 11,104  10 min 20 s",
        ];
        let shown = planned(&stages);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(shown.lines().map(words).collect::<Vec<_>>(), expected.map(words));
    }

    #[test]
    fn an_epoch_is_one_line() {
        let metrics = metrics();
        let expected = "epoch  9/20  train loss 0.5000 accuracy 0.8750  val loss 0.6000 accuracy 0.7500  13 \
                        s  (50 % of it waiting for images)";
        assert_eq!(epoch_line(&metrics, 20), expected);
        assert_eq!(health_line(&metrics), None);
    }

    #[test]
    fn the_health_of_embeddings_is_one_line() {
        let mut metrics = metrics();
        for (name, value) in [
            ("share_active", 0.25),
            ("mean_positive_distance", 0.5),
            ("embedding_norm", 1.0),
            ("embedding_spread", 0.9),
        ] {
            metrics.measures.insert(name.to_owned(), value);
        }
        let expected = "  active 25.0 %  same 0.500 apart  norm 1.000  spread 0.900";
        assert_eq!(health_line(&metrics).as_deref(), Some(expected));
    }
}
