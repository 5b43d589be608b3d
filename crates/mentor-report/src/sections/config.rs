//! The configuration of a run: as a sentence, as settings, and as what differs between runs.

use std::collections::{BTreeMap, BTreeSet};

use mentor_run::Config;
use serde_json::Value;

use crate::drawing::numbers::setting;
use crate::run::RunReport;

/// Every setting by its path, such as `optimizer.learning_rate`.
pub(crate) fn settings(config: &Config) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    // A configuration is plain data, so this does not fail; if it did, there would be nothing to show.
    if let Ok(value) = serde_json::to_value(config) {
        walk("", &value, &mut found);
    }
    found
}

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&path, value, found);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            found.insert(path.to_owned(), text.clone());
        }
        Value::Number(number) => {
            let text = if number.is_f64() { number.as_f64().map(setting) } else { None };
            found.insert(path.to_owned(), text.unwrap_or_else(|| number.to_string()));
        }
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

/// Paths of the settings that differ between runs, with their values; `–` where a run has none.
///
/// A setting that some runs do not have, and the others share, is left out: it follows from another one that
/// differs, as the margin does from the loss.
pub(crate) fn differences(configs: &[&Config]) -> Vec<(String, Vec<String>)> {
    let runs: Vec<BTreeMap<String, String>> = configs.iter().map(|config| settings(config)).collect();
    let paths: BTreeSet<&String> = runs.iter().flat_map(BTreeMap::keys).collect();
    let differs = |path: &&String| {
        let stated: BTreeSet<&String> = runs.iter().filter_map(|run| run.get(*path)).collect();
        stated.len() > 1
    };
    let values = |path: &String| -> Vec<String> {
        runs.iter().map(|run| run.get(path).cloned().unwrap_or_else(|| "–".to_owned())).collect()
    };
    paths.into_iter().filter(differs).map(|path| (path.clone(), values(path))).collect()
}

/// Whether the runs minimise the same J = data loss + penalty, so that its values compare.
pub(crate) fn same_objective(runs: &[RunReport]) -> bool {
    same_data_loss(runs) && runs.windows(2).all(|pair| pair[0].config.penalty == pair[1].config.penalty)
}

/// Whether the runs have the same data loss. Teachers and pseudo-labels make other losses of the same name.
pub(crate) fn same_data_loss(runs: &[RunReport]) -> bool {
    runs.windows(2).all(|pair| {
        let (first, second) = (&pair[0].config, &pair[1].config);
        first.loss == second.loss && first.distill == second.distill && first.self_train == second.self_train
    })
}

/// What was trained, as text: `linear on digits`.
pub(crate) fn subject(config: &Config) -> String {
    let backbone = config.model.backbone.as_ref().and_then(|file| file.file_name());
    let what = if config.model.fine_tune.is_some() { "fine-tuned" } else { "a head on" };
    let backbone = backbone.map(|file| format!("{what} {}", file.to_string_lossy()));
    let model = backbone.as_deref().or(config.model.name.as_deref()).unwrap_or("a model");
    let source = config.data.source.as_deref().unwrap_or("unnamed data");
    let student = config.self_train.as_ref().and_then(|self_train| self_train.student.as_deref());
    match student.filter(|&student| student != model) {
        Some(student) => format!("{model}, students {student}, on {source}"),
        None => format!("{model} on {source}"),
    }
}

/// How it was trained, as text.
pub(crate) fn method(config: &Config) -> String {
    let loss = match config.loss.name.as_deref() {
        Some("softmax") => "softmax cross-entropy",
        Some("svm") => "multiclass SVM loss (Weston–Watkins)",
        Some("crammer-singer") => "multiclass SVM loss (Crammer–Singer)",
        Some(other) => other,
        None => "a loss",
    };
    let (l1, l2) = penalty(config);
    let penalty = match (l1 > 0.0, l2 > 0.0) {
        (true, true) => format!(", penalised by L1 (λ = {}) and L2 (λ = {})", setting(l1), setting(l2)),
        (true, false) => format!(", penalised by L1 (λ = {})", setting(l1)),
        (false, true) => format!(", penalised by L2 (λ = {})", setting(l2)),
        (false, false) if config.path.is_some() => ", with a penalty that cross-validation chose".to_owned(),
        (false, false) if config.model.fine_tune.is_some() => ", without a penalty".to_owned(),
        (false, false) if config.model.backbone.is_some() => {
            ", penalised by L2 (λ chosen by cross-validation)".to_owned()
        }
        (false, false) => ", without a penalty".to_owned(),
    };
    let optimizer = match config.optimizer.name.as_deref() {
        Some("gd") => "gradient descent on the whole training set".to_owned(),
        Some(name @ ("sgd" | "adamw")) => {
            let by = if name == "adamw" { "AdamW on minibatches" } else { "minibatches" };
            match config.optimizer.batch_size {
                Some(batch) => format!("{by} of {batch}"),
                None => by.to_owned(),
            }
        }
        Some("auto") => "a solver that stops at a proven gap".to_owned(),
        Some(other) => other.to_owned(),
        None if config.model.backbone.is_some() => "a solver, on features that stay as they are".to_owned(),
        None => "an optimiser".to_owned(),
    };
    let learned = match (&config.distill, &config.self_train) {
        (Some(distill), _) => match distill.teachers.len() {
            1 => ", distilled from a teacher".to_owned(),
            count => format!(", distilled from {count} teachers"),
        },
        (_, Some(_)) => ", self-trained".to_owned(),
        _ => String::new(),
    };
    format!("{loss}{penalty}{learned}, trained by {optimizer}")
}

/// λ of L1 and of L2; 0 if there is none.
pub(crate) fn penalty(config: &Config) -> (f64, f64) {
    (config.penalty.l1.unwrap_or(0.0), config.penalty.l2.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn only_what_differs_is_listed() {
        let mut other = fixture::config();
        other.optimizer.learning_rate = Some(1e-5);
        // Stated by one run only, so it follows from something else.
        other.loss.margin = Some(1.0);
        let mut third = other.clone();
        third.optimizer.learning_rate = None;
        let found = differences(&[&fixture::config(), &other, &third]);
        let values = ["0.1", "1e-5", "–"].map(str::to_owned).to_vec();
        assert_eq!(found, [("optimizer.learning_rate".to_owned(), values)]);
        assert!(differences(&[&other, &other]).is_empty());
    }

    #[test]
    fn objectives_differ_in_loss_penalty_and_teaching() {
        let same = |change: &dyn Fn(&mut Config)| {
            let mut runs = ["a", "b"].map(fixture::complete);
            change(&mut runs[1].config);
            (same_data_loss(&runs), same_objective(&runs))
        };
        assert_eq!(same(&|config| config.optimizer.learning_rate = Some(9.0)), (true, true));
        assert_eq!(same(&|config| config.penalty.l2 = Some(0.5)), (true, false));
        assert_eq!(same(&|config| config.loss.name = Some("svm".to_owned())), (false, false));
        assert_eq!(same(&|config| config.loss.label_smoothing = Some(0.1)), (false, false));
        assert_eq!(same(&|config| config.distill = Some(Default::default())), (false, false));
        assert_eq!(same(&|config| config.self_train = Some(Default::default())), (false, false));
    }

    #[test]
    fn a_run_is_told_in_a_sentence() {
        assert_eq!(subject(&fixture::config()), "linear on digits");
        assert_eq!(
            method(&fixture::config()),
            "softmax cross-entropy, penalised by L2 (λ = 0.001), trained by minibatches of 32"
        );
        assert!(method(&Config::default()).contains("without a penalty"));
    }
}
