//! `mentor calibrate`: makes the confidences of a trained classifier honest.

use std::path::PathBuf;

use anyhow::anyhow;
use mentor_metrics::calibration::{CalibrationFit, Prior, calibrate};
use mentor_model::Head;
use mentor_run::RunDir;
use mentor_train::{ModelFile, TrainedModel};

use super::part::Part;
use crate::device::DeviceChoice;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count};

const EXAMPLES: &str = "\
Examples:
  mentor calibrate runs/small
      fit one temperature on the validation split; predict and eval use it from then on
  mentor calibrate runs/small --match-prior
      also raise or lower class biases until mean probabilities are the shares of the labels: for a student whose \
training images lacked a class
  mentor calibrate runs/small --prior 0.2,0.3,0.5

Probabilities become softmax(scores / temperature + biases). A second call starts from the raw scores again. The test split is \
for measuring, not for fitting: mentor eval runs/small afterwards.";

/// Fit a temperature, and class biases, to a trained classifier
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of a complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Labelled data with the model's classes [default: what the model was trained on]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,

    /// Which part: train, val or test; or all, for a folder of nothing but images to calibrate on
    #[arg(long, value_name = "SPLIT", default_value = "val")]
    split: Part,

    /// Change class biases until mean probabilities are the shares of the labels of the split
    #[arg(long, conflicts_with = "prior")]
    match_prior: bool,

    /// Change class biases until mean probabilities are these shares, in class order
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    prior: Option<Vec<f64>>,

    /// Images of one forward pass
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = super::eval::batch_size)]
    batch_size: usize,

    /// cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A loss of accuracy that is worth a warning.
const NOTABLE_FALL: f64 = 0.01;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let device = args.device.open()?;
    let trained = TrainedModel::load(&args.run, &device.device)?;
    let Head::Classifier { num_classes } = trained.file.spec.head else {
        return Err(Failure::usage(anyhow!(
            "{}: gives embeddings, which have no probabilities; name the run of a classifier",
            args.run.display()
        )));
    };
    let trained_on = trained.file.data.source.clone().unwrap_or_default();
    let data = args.data.clone().unwrap_or(trained_on);
    let dataset = super::eval::labelled(&trained, &data, args.split)?;
    let scores = trained.score(&dataset, args.batch_size)?;
    let prior = match (&args.prior, args.match_prior) {
        (Some(shares), _) => Prior::Given(shares.clone()),
        (None, true) => Prior::OfLabels,
        (None, false) => Prior::None,
    };
    let fit = calibrate(&scores, num_classes, dataset.targets(), &prior).map_err(|error| match prior {
        Prior::Given(_) => Failure::usage(error),
        _ => Failure::data(error),
    })?;
    ModelFile::calibrate(&RunDir::open(&args.run)?, &fit.calibration)?;
    if fit.accuracy_after < fit.accuracy_before - NOTABLE_FALL {
        output::note(&format!(
            "warning: accuracy falls from {:.4} to {:.4} on these images, whose classes have other shares than the prior; calibrate on \
             images that have it, or without one",
            fit.accuracy_before, fit.accuracy_after
        ));
    }
    if args.json {
        return output::json(&fit);
    }
    output::text(&text(args, &data, &fit, &trained.file.classes))
}

fn text(args: &Args, data: &str, fit: &CalibrationFit, classes: &[String]) -> String {
    let images = count(fit.num_samples as u64);
    let mut text = format!(
        "{} on {data}, {}: {images} images\n  temperature        {:.4}\n  calibration error  {:.4}, before {:.4}\n  \
         accuracy           {:.4}, before {:.4}\n",
        args.run.display(),
        args.split.described(),
        fit.calibration.temperature,
        fit.ece_after,
        fit.ece_before,
        fit.accuracy_after,
        fit.accuracy_before,
    );
    if fit.at_limit {
        text.push_str(
            "  note               the temperature is the end of its range: a model that makes no error here, or has learned nothing, \
             says nothing of how sure to be; calibrate on images that it was not trained on\n",
        );
    }
    if !fit.classes.is_empty() {
        let mut table = Table::new(&[
            ("class", Align::Left),
            ("prior", Align::Right),
            ("mean p before", Align::Right),
            ("after", Align::Right),
            ("bias", Align::Right),
            ("recall before", Align::Right),
            ("after", Align::Right),
        ]);
        for ((class, change), bias) in classes.iter().zip(&fit.classes).zip(&fit.calibration.biases) {
            let mut cells = vec![class.clone()];
            cells.extend([change.prior, change.mean_before, change.mean_after].map(|x| format!("{x:.4}")));
            cells.push(format!("{bias:+.3}"));
            cells.extend([change.recall_before, change.recall_after].map(|x| format!("{x:.4}")));
            table.row(cells);
        }
        text.push('\n');
        text.push_str(&table.render());
    }
    text
}
