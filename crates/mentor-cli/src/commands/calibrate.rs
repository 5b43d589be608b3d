//! `mentor calibrate`: fits the confidences of a trained classifier to its accuracy.

use std::path::PathBuf;

use anyhow::anyhow;
use mentor_data::{listed, shown, shown_path};
use mentor_metrics::calibration::{Calibration, CalibrationError, CalibrationFit, NotKept, Prior, calibrate};
use mentor_model::Head;
use mentor_run::RunDir;
use mentor_train::{ModelFile, TrainedModel};

use super::part::{Part, part_parser};
use crate::device::DeviceChoice;
use crate::files::limits::ImageLimits;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count, share};

const EXAMPLES: &str = "\
Examples:
  mentor calibrate runs/small
      fit one temperature on the validation split; predict and eval use it from then on
  mentor calibrate runs/small --match-prior
      fit class biases too, for a student whose training images lacked a class
  mentor calibrate runs/small --prior 0.2,0.3,0.5

Probabilities become softmax(scores / temperature + biases). A second call starts from the raw scores again. \
A fit is kept only if cross-validation confirms it, and if neither NLL (mean negative log-likelihood, in \
nats) nor calibration error of these images rises. No temperature can be fitted to images that are all \
recognised. If the fit is \
not kept, nothing is written. Do not fit on the test split: mentor eval measures on it afterwards.

JSON: calibration (in use: temperature, biases), fitted (the result of the fit), not_kept (null, no-errors, \
none-right, not-confirmed or worse), at_limit, num_samples, nll_before, nll_after, nll_cross_validated, \
ece_before, ece_after, accuracy_before, accuracy_after (after: with \
the fit), classes[] (prior, mean_before, mean_after, recall_before, recall_after).";

/// Fit a temperature, and class biases, to a trained classifier
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Calibrate the classifier of this complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Fit on this labelled data, with some or all of the model's classes [default: what the model was
    /// trained on]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,

    /// Fit on this split, or on all images of a folder that has no splits
    #[arg(long, value_name = "SPLIT", default_value = "val", value_parser = part_parser())]
    split: Part,

    /// Fit class biases too, until the mean probabilities are the shares of the classes in the split
    #[arg(long, conflicts_with = "prior")]
    match_prior: bool,

    /// Fit class biases too, until the mean probabilities are these shares, in class order, each above 0
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    prior: Option<Vec<f64>>,

    /// Pass this many images through the network at a time, at least 1; fewer need less memory
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = super::eval::batch_size)]
    batch_size: usize,

    #[command(flatten)]
    limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Falls of accuracy from this on give a warning.
const NOTABLE_FALL: f64 = 0.01;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let device = args.device.open()?;
    let mut trained = TrainedModel::load(&args.run, &device.device)?;
    args.limits.apply(&mut trained.file.data.options.limits);
    let Head::Classifier { num_classes } = trained.file.spec.head else {
        let error = anyhow!("{}: gives embeddings, which have no probabilities", shown_path(&args.run));
        return Err(Failure::usage(error).help("name the run of a classifier"));
    };
    let trained_on = trained.file.data.source.clone().unwrap_or_default();
    let data = args.data.clone().unwrap_or(trained_on);
    let dataset = super::eval::data::labelled(&trained, &data, args.split)?;
    let scores = trained.score(&dataset, args.batch_size)?;
    let prior = match (&args.prior, args.match_prior) {
        (Some(shares), _) => Prior::Given(shares.clone()),
        (None, true) => Prior::OfLabels,
        (None, false) => Prior::None,
    };
    let classes = &trained.file.classes;
    let fit = calibrate(&scores, num_classes, dataset.targets(), &prior).map_err(|error| {
        match (&prior, error) {
            (Prior::Given(_), error) => {
                let help = error.help();
                Failure::usage(error).ways(help)
            }
            (_, CalibrationError::Unseen { classes: unseen }) => {
                let names: Vec<&str> = unseen.iter().map(|&class| classes[class].as_str()).collect();
                let error =
                    anyhow!("{}: has no image of {}, whose share would be 0", shown(&data), listed(&names));
                Failure::data(error).help("name the shares with --prior, or give images of every class")
            }
            (_, error) => {
                let help = error.help();
                Failure::data(error).ways(help)
            }
        }
    })?;
    let written = fit.calibration != Calibration::NONE;
    if written {
        ModelFile::calibrate(&RunDir::open(&args.run)?, &fit.calibration)?;
    }
    if written && fit.accuracy_after < fit.accuracy_before - NOTABLE_FALL {
        output::note(&format!(
            "warning: accuracy falls from {:.4} to {:.4} on these images, whose classes have other shares \
             than the prior; calibrate on images that have it, or without one",
            fit.accuracy_before, fit.accuracy_after
        ));
    }
    if args.json {
        return output::json(&fit);
    }
    output::text(&text(args, &data, &fit, &trained.file))
}

fn text(args: &Args, data: &str, fit: &CalibrationFit, file: &ModelFile) -> String {
    let images = count(fit.num_samples as u64);
    let (run, on) = (shown_path(&args.run), shown(data));
    let mut text = format!("{run} on {on}, {}: {images} images\n", args.split.described());
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<18} {value}\n"));
    let fitted = fit.fitted.temperature;
    match fit.not_kept {
        None => line("temperature", format!("{fitted:.4}")),
        Some(NotKept::NoErrors) => line("temperature", "1, unchanged: there is nothing to fit".to_owned()),
        Some(_) => line("temperature", format!("1, unchanged: the fitted {fitted:.4} is not kept")),
    }
    // Of a fit that is not kept, what it would have made of these images.
    let both = |after: f64, before: f64| match fit.not_kept {
        None => format!("{after:.4}, before {before:.4}"),
        Some(_) if fit.fitted == Calibration::NONE => format!("{before:.4}"),
        Some(_) => format!("{before:.4} (fitted: {after:.4})"),
    };
    line("NLL", both(fit.nll_after, fit.nll_before));
    line("calibration error", both(fit.ece_after, fit.ece_before));
    line("accuracy", both(fit.accuracy_after, fit.accuracy_before));
    if let Some(reason) = reason(fit) {
        line("note", reason);
    }
    if fit.not_kept.is_some() && fit.calibration == Calibration::NONE {
        let stays = file.calibration.as_ref().map_or_else(
            || "nothing is written".to_owned(),
            |stored| format!("nothing is written: the run keeps its temperature {:.4}", stored.temperature),
        );
        line("note", stays);
    }
    if !fit.classes.is_empty() && fit.not_kept.is_some() {
        // What was not kept changes nothing.
        let mut table = Table::new(&[
            ("class", Align::Left),
            ("prior", Align::Right),
            ("mean p", Align::Right),
            ("recall", Align::Right),
        ]);
        for (class, change) in file.classes.iter().zip(&fit.classes) {
            let [prior, mean] = [change.prior, change.mean_before].map(|x| format!("{x:.4}"));
            table.row([class.clone(), prior, mean, share(change.recall_before)]);
        }
        text.push('\n');
        text.push_str(&table.render());
    } else if !fit.classes.is_empty() {
        let mut table = Table::new(&[
            ("class", Align::Left),
            ("prior", Align::Right),
            ("mean p before", Align::Right),
            ("after", Align::Right),
            ("bias", Align::Right),
            ("recall before", Align::Right),
            ("after", Align::Right),
        ]);
        for ((class, change), bias) in file.classes.iter().zip(&fit.classes).zip(&fit.fitted.biases) {
            let mut cells = vec![class.clone()];
            cells.extend([change.prior, change.mean_before, change.mean_after].map(|x| format!("{x:.4}")));
            cells.push(format!("{bias:+.3}"));
            cells.extend([change.recall_before, change.recall_after].map(share));
            table.row(cells);
        }
        text.push('\n');
        text.push_str(&table.render());
    }
    text
}

/// Why the fit is not kept, or how far to trust it.
fn reason(fit: &CalibrationFit) -> Option<String> {
    Some(match fit.not_kept {
        Some(NotKept::NoErrors) => "all of these images are right: every lower temperature fits better than \
                                    the last, so that none is best; calibrate on harder images, or on more"
            .to_owned(),
        Some(NotKept::NoneRight) => "none of these images is right: every higher temperature fits better \
                                     than the last, so that none is best; calibrate on images that the model \
                                     can classify"
            .to_owned(),
        Some(NotKept::NotConfirmed) => {
            let found = fit.nll_cross_validated.map_or(String::new(), |nll| {
                format!(
                    ", their NLL is \
                {nll:.4}"
                )
            });
            format!(
                "cross-validation does not confirm the fit{found}: there are too few images, or nothing \
                     to gain"
            )
        }
        Some(NotKept::Worse) => "it would raise NLL or calibration error of these images".to_owned(),
        None if fit.at_limit => {
            "the temperature is at the end of its range: the scores are far too large or \
                                 too small, or do not depend on the class"
                .to_owned()
        }
        None => return None,
    })
}
