//! Commands for programs that call them with keyword arguments, such as the Python package: nothing is parsed
//! from a terminal, and no signal is watched.
//!
//! A keyword is the name of a flag with `_` for `-`: `learning_rate` for `--learning-rate`.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use clap::{CommandFactory, FromArgMatches};
use mentor_data::{DataError, ReadObserver, shown};
use mentor_model::Head;
use mentor_run::TrainEvent;
use mentor_train::{Outcome, Plan, TrainError, TrainedModel};

use crate::args::{Cli, Command};
use crate::commands::{eval, part::Part, train};
use crate::files::user_folders::feature_cache;
use crate::terminal::error::{Failure, USAGE};

/// Why a command was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The exit status that the command line would have.
    pub status: u8,
    /// What is wrong, with its causes, one a line.
    pub message: String,
    /// Ways out.
    pub help: Option<String>,
}

/// Flags that are for a terminal.
const NOT_KEYWORDS: [&str; 5] = ["help", "version", "quiet", "json", "dry_run"];

/// The keywords of a command.
pub fn names(command: &str) -> Vec<String> {
    let cli = Cli::command();
    let Some(command) = cli.find_subcommand(command) else { return Vec::new() };
    let flags = command.get_arguments().filter(|flag| flag.get_long().is_some());
    let names = flags.map(|flag| flag.get_id().to_string());
    names.filter(|name| !NOT_KEYWORDS.contains(&name.as_str())).collect()
}

/// A text with keywords in place of flags.
#[must_use]
pub fn in_keywords(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find("--") {
        let (before, flag) = rest.split_at(place);
        let length = flag[2..].find(|letter: char| !(letter.is_ascii_lowercase() || letter == '-'));
        let (flag, after) = flag.split_at(length.map_or(flag.len(), |length| 2 + length));
        replaced.push_str(before);
        let is_flag = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '/');
        match is_flag && flag.len() > 2 {
            true => replaced.push_str(&flag[2..].replace('-', "_")),
            false => replaced.push_str(flag),
        }
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

/// How a run that was trained with keywords ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trained {
    /// The run directory.
    pub out: PathBuf,
    /// Whether it is complete; if not, it was stopped, and the same call continues it.
    pub complete: bool,
    /// Updates done, of a run that was stopped with a checkpoint.
    pub step: Option<u64>,
}

/// Runs `train`, `distill` or `self-train` with these keywords and their values; a flag without a value has
/// none. It stops at the next update once `stop` is set.
///
/// # Errors
///
/// What the command would end with.
pub fn train(
    command: &str,
    keywords: &[(String, Vec<String>)],
    stop: &Arc<AtomicBool>,
    observer: impl FnMut(&TrainEvent),
) -> Result<Trained, Refusal> {
    let parsed = parse(command, keywords)?;
    let trained = match &parsed {
        Command::Train(args) => {
            args.configuration().and_then(train::fill_in).map(|config| (args.as_ref(), config))
        }
        Command::Distill(args) => args.configuration().map(|config| (args.train(), config)),
        Command::SelfTrain(args) => args.configuration().map(|config| (args.train(), config)),
        _ => Err(Failure::usage(anyhow!("{}: is no command that trains", shown(command)))),
    };
    let ended = trained.and_then(|(args, config)| {
        let plan = Plan::try_from(config)?;
        let device = args.device.open()?;
        let out = train::place(args, &plan)?;
        let asked = Arc::clone(stop);
        let reading = ReadObserver::new(move |_| match asked.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        let plan = plan.with_reading(reading).with_feature_cache(feature_cache());
        let execution = device.execution().with_stop(stop).with_observer(observer);
        let (complete, step) = match mentor_train::train(&plan, &out, &execution) {
            Ok(Outcome::Complete(_)) => (true, None),
            Ok(Outcome::AlreadyComplete(_)) => (true, None),
            Ok(Outcome::Interrupted { step }) => (false, step),
            Err(TrainError::Data(DataError::Interrupted)) => (false, None),
            Err(error) => return Err(error.into()),
        };
        if complete {
            train::write_report(&out)?;
        }
        Ok(Trained { out, complete, step })
    });
    ended.map_err(|failure| refusal(&failure, command))
}

/// Evaluates a model as `eval` does: the object that `eval --json` prints. Without `data` on what it was
/// trained on; `split` is `train`, `val`, `test` or `all`; with `retrieval`, or of an embedding model,
/// the retrieval, among the images of the split `gallery` if it is named.
///
/// # Errors
///
/// What the command would end with.
pub fn evaluate(
    trained: &TrainedModel,
    data: Option<&str>,
    split: &str,
    gallery: Option<&str>,
    retrieval: bool,
) -> Result<serde_json::Value, Refusal> {
    const BATCH: usize = 256;
    let evaluated = || -> Result<serde_json::Value, Failure> {
        let part: Part = split.parse().map_err(|error: String| Failure::usage(anyhow!(error)))?;
        let gallery = match gallery.map(str::parse::<Part>) {
            None => None,
            Some(Ok(Part::Split(split))) => Some(split),
            Some(Ok(Part::All)) => {
                return Err(Failure::usage(anyhow!("`gallery` is one split: train, val or test")));
            }
            Some(Err(error)) => return Err(Failure::usage(anyhow!(error))),
        };
        let trained_on = trained.file.data.source.as_deref().unwrap_or_default();
        let data = data.unwrap_or(trained_on);
        let classifier = matches!(trained.file.spec.head, Head::Classifier { .. });
        if retrieval || !classifier {
            let found = eval::retrieve(trained, data, part, gallery, BATCH)?;
            return serde_json::to_value(&found).map_err(Failure::failed);
        }
        let found = eval::evaluate(trained, data, part, BATCH)?;
        serde_json::to_value(&found.evaluation).map_err(Failure::failed)
    };
    evaluated().map_err(|failure| refusal(&failure, "eval"))
}

fn parse(command: &str, keywords: &[(String, Vec<String>)]) -> Result<Command, Refusal> {
    let mut arguments = vec![OsString::from("mentor"), OsString::from(command)];
    for (name, values) in keywords {
        let flag = format!("--{}", name.replace('_', "-"));
        if values.is_empty() {
            arguments.push(flag.clone().into());
        }
        arguments.extend(values.iter().map(|value| OsString::from(format!("{flag}={value}"))));
    }
    let parsed = Cli::command().try_get_matches_from(arguments);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map(|cli| cli.command).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let message = in_keywords(line.strip_prefix("error: ").unwrap_or(line));
        Refusal { status: USAGE, message, help: None }
    })
}

fn refusal(failure: &Failure, command: &str) -> Refusal {
    let cli = Cli::command();
    let text = failure.render(cli.find_subcommand(command).unwrap_or(&cli)).unwrap_or_default();
    let text = in_keywords(text.strip_prefix("error: ").unwrap_or(&text));
    let (message, help) = match text.rsplit_once("\nhelp: ") {
        // The command line's own.
        Some((message, help)) if help.starts_with("with help, ") => (message, None),
        Some((message, help)) => (message, Some(help.to_owned())),
        None => (text.as_str(), None),
    };
    Refusal { status: failure.status(), message: message.to_owned(), help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        all.iter().map(|&(name, values)| (name.to_owned(), owned(values))).collect()
    }

    fn refused(command: &str, all: &[(&str, &[&str])]) -> Refusal {
        train(command, &keywords(all), &Arc::default(), |_| {}).unwrap_err()
    }

    #[test]
    fn flags_in_a_text_become_keywords_and_other_dashes_stay() {
        let text = "give --data, lower --learning-rate; a--b, 1 -- 2 and runs/--x stay";
        let told = "give data, lower learning_rate; a--b, 1 -- 2 and runs/--x stay";
        assert_eq!(in_keywords(text), told);
    }

    #[test]
    fn keywords_are_the_flags_of_a_command() {
        let names = names("train");
        for name in ["data", "backbone", "learning_rate", "out", "set", "certify"] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        assert!(!names.iter().any(|name| name == "json" || name == "help"));
        assert!(super::names("nothing").is_empty());
    }

    #[test]
    fn what_is_refused_is_said_in_keywords() {
        let wrong = refused("train", &[("data", &["digits"]), ("epochs", &["many"])]);
        assert_eq!(wrong.status, 2);
        assert!(wrong.message.starts_with("invalid value 'many' for 'epochs "), "{}", wrong.message);
        let wrong = refused("train", &[("data", &["digits"]), ("learning_rate", &["-1"])]);
        assert!(
            wrong.message.contains("learning_rate") && !wrong.message.contains("--"),
            "{}",
            wrong.message
        );
        let wrong = refused("train", &[("data", &["nowhere"])]);
        assert!(wrong.status == 3 && wrong.help.unwrap().starts_with("check the path"));
    }

    #[test]
    fn a_run_is_trained_and_one_that_is_stopped_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let all = [("data", vec!["digits".to_owned()]), ("epochs", vec!["1".to_owned()])];
        let mut all: Vec<(String, Vec<String>)> =
            all.into_iter().map(|(name, values)| (name.to_owned(), values)).collect();
        all.push(("out".to_owned(), vec![out.to_str().unwrap().to_owned()]));
        let stopped = Arc::new(AtomicBool::new(true));
        assert!(!train("train", &all, &stopped, |_| {}).unwrap().complete);
        let mut heard = 0;
        let trained = train("train", &all, &Arc::default(), |_| heard += 1).unwrap();
        assert!(trained.complete && trained.out == out && heard > 2 && out.join("report.html").exists());
        let model = TrainedModel::load(&out, &burn::tensor::Device::flex()).unwrap();
        let evaluated = evaluate(&model, None, "test", None, false).unwrap();
        assert!(evaluated["accuracy"].as_f64().unwrap() > 0.5, "{evaluated}");
        assert!(evaluate(&model, None, "none", None, false).unwrap_err().message.contains("write train"));
    }
}
