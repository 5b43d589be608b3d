//! `mentor train`: trains a model into a run directory.

mod default_backbone;
mod flags;
mod inherited;
mod lambda;

use std::path::{Component, Path, PathBuf};

use anyhow::anyhow;
use mentor_data::{DataError, Source, shown_path};
use mentor_report::{RunReport, render};
use mentor_run::{Config, RunDir, Summary, TrainEvent};
use mentor_train::{Outcome, Plan, Recipe, TrainError, train};

use super::summary;
use crate::device::OpenDevice;
use crate::files::user_folders::feature_cache;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::progress::Progress;
use crate::terminal::reading::reading_bar_until;
use crate::terminal::signals::Interruption;
use crate::terminal::table::count;
use crate::tracking::{End, Tracker};

pub(crate) use default_backbone::fill_in;
pub(crate) use flags::{Args, take};
pub(super) use inherited::Inherited;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    run_with(args, fill_in(args.configuration()?)?)
}

/// As [`run`], with what another command made of the configuration.
pub(super) fn run_with(args: &Args, config: Config) -> Result<(), Failure> {
    let plan = Plan::try_from(config)?;
    let device = args.device.open()?;
    let out = place(args, &plan)?;
    let mut tracker = Tracker::open(&args.log, args.mlflow_uri.as_deref(), &out, &plan.to_config())?;
    let mut progress = Progress::new(args.quiet);
    let again = match plan.recipe() {
        Recipe::Optimum(_) => "the same command begins anew, and ends in the same weights",
        _ => "the same command continues the run",
    };
    let observe = |event: &TrainEvent, progress: &mut Progress| {
        progress.observe(event);
        tracker.observe(event).iter().for_each(|warning| progress.observe(warning));
    };
    let plan = plan.with_pixel_cache(args.cache.clone());
    let trained = train_observed(&plan, &out, &device, &mut progress, again, observe);
    let end = match &trained {
        Ok(_) => End::Complete,
        Err(failure) if failure.is_interruption() => End::Interrupted,
        Err(_) => End::Failed,
    };
    tracker.end(end).iter().for_each(|warning| progress.observe(warning));
    drop(progress);
    let Trained { summary, already } = trained?;
    let report = out.join("report.html");
    if !already || !report.exists() {
        write_report(&out)?;
    }
    if already && !args.quiet {
        output::note(&format!("{}: the run is already complete; nothing was trained", shown_path(&out)));
    }
    if args.json {
        return output::json(&summary);
    }
    let mut text = summary::lines(&out, &summary);
    if let Some(path) = RunDir::open(&out)?.penalty_path()? {
        text = format!("{}\n{text}", summary::path_table(&path));
    }
    output::text(&text)
}

/// The run directory, which lies outside of the data.
pub(crate) fn place(args: &Args, plan: &Plan) -> Result<PathBuf, Failure> {
    let out = args.out.clone().unwrap_or_else(|| default_out(plan));
    check_outside_of_data(plan, &out)?;
    Ok(out)
}

/// A run inside an image folder would be taken for a class of it.
fn check_outside_of_data(plan: &Plan, out: &Path) -> Result<(), Failure> {
    let Ok(data) = Path::new(plan.source()).canonicalize() else { return Ok(()) };
    let place = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let there = place.ancestors().find_map(|place| place.canonicalize().ok());
    let inside = data.is_dir() && there.is_some_and(|there| there.starts_with(&data));
    if !inside
        || !Source::open(plan.source(), plan.options()).is_ok_and(|source| source.kind() == "image folder")
    {
        return Ok(());
    }
    let error = anyhow!(
        "{}: lies in the image folder {}, and would be taken for a class",
        shown_path(out),
        plan.source()
    );
    Err(Failure::usage(error).help("choose an --out outside of the data"))
}

/// A complete run.
pub(super) struct Trained {
    pub(super) summary: Summary,
    /// Whether it was complete before.
    already: bool,
}

/// Trains, or continues, until done or interrupted; an interruption is a failure with its own exit status,
/// and `again` says what the same command does then.
pub(super) fn train_into(
    plan: &Plan,
    out: &Path,
    device: &OpenDevice,
    progress: &mut Progress,
    again: &str,
) -> Result<Trained, Failure> {
    train_observed(plan, out, device, progress, again, |event, progress| progress.observe(event))
}

/// As [`train_into`]; `observe` hears of every event in the place of the progress bar.
fn train_observed(
    plan: &Plan,
    out: &Path,
    device: &OpenDevice,
    progress: &mut Progress,
    again: &str,
    mut observe: impl FnMut(&TrainEvent, &mut Progress),
) -> Result<Trained, Failure> {
    let interruption = Interruption::watch()
        .map_err(|error| Failure::failed(error).context("cannot watch for SIGINT and SIGTERM"))?;
    let plan = plan
        .clone()
        .with_reading(reading_bar_until(progress.is_quiet(), &interruption))
        .with_feature_cache(feature_cache());
    let execution = device
        .execution()
        .with_stop(interruption.flag())
        .with_observer(|event: &TrainEvent| observe(event, progress));
    let outcome = train(&plan, out, &execution);
    drop(execution);
    let outcome = match outcome {
        Err(TrainError::Data(DataError::Interrupted)) => {
            output::note(&format!("interrupted while images were read\nhelp: {again}"));
            return Err(Failure::status_only(interruption.status()));
        }
        outcome => outcome?,
    };
    let what = match outcome {
        // What follows is the report, which the same command writes where it is missing.
        Outcome::Complete(summary) if !interruption.end_at_once() => {
            return Ok(Trained { summary, already: false });
        }
        Outcome::Complete(_) => "interrupted; the run is complete, except for its report".to_owned(),
        Outcome::AlreadyComplete(summary) => return Ok(Trained { summary, already: true }),
        Outcome::Interrupted { step: None } if matches!(plan.recipe(), Recipe::Optimum(_)) => {
            "interrupted; a solver keeps no state".to_owned()
        }
        Outcome::Interrupted { step: None } => "interrupted; what was finished is kept".to_owned(),
        Outcome::Interrupted { step: Some(step) } => format!(
            "interrupted after update {}, with a checkpoint written in {}",
            count(step),
            shown_path(out)
        ),
    };
    progress.clear();
    output::note(&format!("{what}\nhelp: {again}"));
    Err(Failure::status_only(interruption.status()))
}

/// Writes `report.html` of the run in `out`.
pub(crate) fn write_report(out: &Path) -> Result<(), Failure> {
    let report = RunReport::read(out)?;
    RunDir::open(out)?.write("report.html", render(&[report]).as_bytes())?;
    Ok(())
}

/// `runs/DATA-MODEL-LOSS-HASH`: the same configuration continues, another one gets its own directory.
fn default_out(plan: &Plan) -> PathBuf {
    let stem = Path::new(plan.source()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut config = plan.to_config();
    config.data.source = config.data.source.map(|source| plainly(&source));
    let hash = blake3::hash(config.to_toml().as_bytes()).to_hex();
    let loss = match plan.recipe() {
        Recipe::Distill(_) => "distilled",
        Recipe::SelfTrain(_) => "self-trained",
        Recipe::FineTune(_) => "tuned",
        _ => plan.loss().name(),
    };
    let model = match plan.recipe() {
        Recipe::Frozen(frozen) | Recipe::FineTune(frozen) => {
            frozen.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
        _ => plan.architecture().to_string(),
    };
    let name = format!("{stem}-{model}-{loss}-{}", &hash[..6]);
    let safe = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    Path::new("runs").join(name.trim_start_matches('-').chars().map(safe).collect::<String>())
}

/// The same path without what may be left out of it: `data` for `./data`, and for that folder's path from the
/// root.
fn plainly(source: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = Path::new(source);
    let path = path.strip_prefix(here).unwrap_or(path);
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    match plain.to_str() {
        // The embedded digits are no folder of that name.
        None | Some("" | "digits") => source.to_owned(),
        Some(plain) => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        Plan::try_from(Config::from_toml(text, "test", &[]).unwrap()).unwrap()
    }

    #[test]
    fn a_configuration_names_its_own_directory() {
        let first = default_out(&plan("data.source = '/tmp/my data/'\nmodel.name = 'mlp:20,20'"));
        assert_eq!(first, default_out(&plan("data.source = '/tmp/my data/'\nmodel.name = 'mlp:20,20'")));
        let other =
            default_out(&plan("data.source = '/tmp/my data/'\nmodel.name = 'mlp:20,20'\ntraining.seed = 1"));
        assert_ne!(first, other);
        let here = std::env::current_dir().unwrap().join("data");
        let names = ["data", "./data", "data/", "./././data", here.to_str().unwrap()];
        let named =
            |source: &str| default_out(&plan(&format!("data.source = '{source}'"))).display().to_string();
        assert!(names.iter().all(|name| named(name) == named("data")), "{:?}", names.map(named));
        assert!(named("digits") != named("./digits") && named("../data") != named("data"));
        assert!(
            first.to_str().unwrap().starts_with("runs/my-data-mlp-20-20-softmax-"),
            "{}",
            first.display()
        );
    }
}
