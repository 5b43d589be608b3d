//! `mentor predict`: classifies files with a trained model.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::ValueEnum;
use mentor_data::{DataError, Extents, Reading, escape, shown_path};
use mentor_metrics::classification::ranked;
use mentor_model::Head;
use mentor_run::{json, write_atomically};
use mentor_train::TrainedModel;
use mentor_train::pseudo_labels::Shard;
use serde::Serialize;

use crate::commands::confidence::{Certainty, Confidence};
use crate::commands::sharding::Sharding;
use crate::device::DeviceChoice;
use crate::files::exported::{ExportedClassifier, Scored};
use crate::files::images::{self, Decoded, Found};
use crate::files::limits::ImageLimits;
use crate::files::shard_manifest::{self, Key};
use crate::terminal::error::{BAD_DATA, Failure};
use crate::terminal::output;
use crate::terminal::reading::ReadingBar;

const EXAMPLES: &str = "\
Examples:
  mentor predict runs/b photo.png
  mentor predict runs/b photos/ --top 3 --format csv > predictions.csv
  mentor predict runs/b photos/ --shard 3/16 --out predictions/
      write the part with index 3 of 16, as predictions/predictions-00003-of-00016.jsonl, and its manifest
  mentor predict runs/b photos/ --coverage 0.95
      sets of classes that hold the right one in 95 % of cases, and how foreign each image is
  mentor predict model.onnx photo.png
      classify with a file of mentor export, run by a second engine

Each file has a line, in the order given. Folders are searched with their subfolders, in natural order (img2 \
before img10). A file that cannot be decoded is reported on standard error; the others are predicted, and \
the exit status is 3.

JSON: path, predicted, confidence, and with --top 2 or more top[] (class, confidence). Confidence is the \
softmax of the scores, calibrated if `mentor calibrate` was run. With --coverage: set[] (classes, the \
likeliest first; it can be empty), foreign (0 to 1: the share of the validation images that are nearer to \
the training images; of images like those of training, 5 % have more than 0.95). An SVM is not trained to \
give probabilities, so that its confidence is only an order.";

/// Classify image files with a trained model
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Predict with the classifier of this complete run, or in this file of mentor export
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Classify these image files, and those in these folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// Write a JSON object for each file (jsonl), or a header and a row for each (csv)
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Jsonl)]
    format: Format,

    /// Give this many classes for each file, the most confident first, at least 1
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = super::eval::batch_size)]
    top: usize,

    /// Add sets of classes that hold the right one with this probability, above 0 and below 1, calibrated on
    /// the run's validation images, and a score of how foreign an image is
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    coverage: Option<f64>,

    /// Hold the coverage for the images of each class, not for all together
    #[arg(long, requires = "coverage")]
    coverage_by_class: bool,

    /// Pass this many images through the network at a time, at least 1; fewer need less memory
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = super::eval::batch_size)]
    batch_size: usize,

    #[command(flatten)]
    sharding: Sharding,

    /// Write to this file, or to a file in this folder, and a manifest FILE.json [default: standard output]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,

    #[command(flatten)]
    limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]; an ONNX file is run on the CPU
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
}

/// How a prediction is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

/// What the model says about a file.
#[derive(Serialize)]
struct Prediction<'a> {
    path: &'a str,
    predicted: &'a str,
    confidence: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign: Option<f64>,
}

/// A class and its confidence.
#[derive(Serialize)]
struct Choice<'a> {
    class: &'a str,
    confidence: f64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut found = images::find(&args.paths);
    let shard = args.sharding.part()?.unwrap_or(Shard::WHOLE);
    let num_images = found.files.len();
    found.keep(shard);
    let place = args.out.as_ref().map(|out| Place::of(out, args, shard, num_images, &found)).transpose()?;
    if let Some(Place { path, manifest, key }) = &place
        && let Some(num_failed) = shard_manifest::already_written(manifest, key)?
    {
        output::note(&format!("{}: was complete and intact", shown_path(path)));
        return if num_failed > 0 { Err(Failure::status_only(BAD_DATA)) } else { Ok(()) };
    }
    let mut written = Vec::new();
    let mut write = |lines: &[u8]| match &place {
        None => output::bytes(lines),
        Some(_) => {
            written.extend_from_slice(lines);
            Ok(())
        }
    };
    let classifier = Classifier::open(args)?;
    let confidence = classifier.confidence(args)?;
    let classes = classifier.classes();
    let top = args.top.min(classes.len());
    if args.format == Format::Csv {
        write(&csv_line(&csv_header(top, args.coverage.is_some()))?)?;
    }
    found.say();
    let mut num_failed = found.problems.len();
    // On a terminal the predictions themselves show how far it is.
    let (bar, mut done, mut extents) = (ReadingBar::new(io::stdout().is_terminal()), 0, Extents::default());
    for chunk in found.files.chunks(args.batch_size) {
        let (Scored { paths, rows, failed }, said) =
            classifier.score(chunk, &mut extents, confidence.as_ref())?;
        let mut said = said.into_iter();
        done += chunk.len() as u64;
        bar.show(Reading { what: "predicting", done, total: found.files.len() as u64 });
        let tell = |error: &DataError| output::note(&format!("error: {}", escape(&error.to_string())));
        bar.suspend(|| failed.iter().for_each(tell));
        num_failed += failed.len();
        let mut lines = Vec::new();
        for (path, scores) in paths.iter().zip(&rows) {
            let choice = |(class, confidence): (usize, f64)| Choice { class: &classes[class], confidence };
            let choices = ranked(scores).into_iter().take(top).map(choice).collect();
            let certainty = said.next().map(|said| Named::of(said, classes));
            lines.extend(line(&path.to_string_lossy(), choices, certainty, args.format)?);
        }
        write(&lines)?;
    }
    images::say_extents(&extents);
    if let Some(Place { path, manifest, key }) = &place {
        write_atomically(path, &written)?;
        shard_manifest::write(manifest, key, &[path], num_failed)?;
    }
    if num_failed == 0 {
        return Ok(());
    }
    Err(Failure::status_only(BAD_DATA))
}

/// Where the predictions are written, and what they are made of.
struct Place {
    path: PathBuf,
    manifest: PathBuf,
    key: Key,
}

impl Place {
    fn of(out: &Path, args: &Args, shard: Shard, num_images: usize, found: &Found) -> Result<Self, Failure> {
        let extension = if args.format == Format::Csv { "csv" } else { "jsonl" };
        let path = shard_manifest::place(out, &format!("predictions.{extension}"), shard)?;
        let manifest = PathBuf::from(format!("{}.json", path.display()));
        let model = match args.run.is_file() {
            true => vec![args.run.clone()],
            false => shard_manifest::files_of_run(&args.run),
        };
        let what = format!("predictions, {} of each image, as {extension}", args.top);
        let key = Key::new(&what, shard, num_images, &found.files, &model)?;
        Ok(Self { path, manifest, key })
    }
}

/// What classifies: the model of a run, or an exported file.
enum Classifier {
    Run(Box<TrainedModel>),
    Onnx(Box<ExportedClassifier>),
}

impl Classifier {
    fn open(args: &Args) -> Result<Self, Failure> {
        if args.run.is_file() {
            let exported = ExportedClassifier::open(&args.run, args.limits)?;
            return Ok(Self::Onnx(Box::new(exported)));
        }
        let device = args.device.open()?;
        let mut trained = TrainedModel::load(&args.run, &device.device)?;
        args.limits.apply(&mut trained.file.data.options.limits);
        if let Head::Embedding { .. } = trained.file.spec.head {
            let error = anyhow!("{}: gives embeddings, not classes", shown_path(&args.run));
            return Err(
                Failure::usage(error).help("use mentor embed, or mentor search for the nearest images")
            );
        }
        Ok(Self::Run(Box::new(trained)))
    }

    /// What is asked of the validation images of the run.
    fn confidence(&self, args: &Args) -> Result<Option<Confidence>, Failure> {
        match (self, args.coverage) {
            (_, None) => Ok(None),
            (Self::Run(trained), Some(coverage)) => {
                Confidence::calibrate(trained, &args.run, coverage, args.coverage_by_class).map(Some)
            }
            (Self::Onnx(_), Some(_)) => {
                let error = anyhow!("{}: holds no validation images", shown_path(&args.run));
                Err(Failure::usage(error).help("name the run itself for --coverage"))
            }
        }
    }

    fn classes(&self) -> &[String] {
        match self {
            Self::Run(trained) => trained.classes(),
            Self::Onnx(exported) => exported.classes(),
        }
    }

    fn score<'a>(
        &self,
        files: &'a [PathBuf],
        extents: &mut Extents,
        confidence: Option<&Confidence>,
    ) -> Result<(Scored<'a>, Vec<Certainty>), Failure> {
        let trained = match self {
            Self::Run(trained) => trained,
            Self::Onnx(exported) => return Ok((exported.score(files, extents)?, Vec::new())),
        };
        let limits = &trained.file.data.options.limits;
        let Decoded { paths, images, failed } = images::decode(files, trained.format(), limits, extents);
        let rows = trained.calibrated_scores(&images).map_err(Failure::failed)?;
        let rows: Vec<Vec<f32>> = rows.iter().map(<[f32]>::to_vec).collect();
        let said = confidence.map(|confidence| confidence.of(trained, &images, &rows)).transpose()?;
        Ok((Scored { paths, rows, failed }, said.unwrap_or_default()))
    }
}

/// A set with the names of its classes.
struct Named<'a> {
    set: Vec<&'a str>,
    foreign: f64,
}

impl<'a> Named<'a> {
    fn of(Certainty { set, foreign }: Certainty, classes: &'a [String]) -> Self {
        Self { set: set.into_iter().map(|class| classes[class].as_str()).collect(), foreign }
    }
}

fn line(
    path: &str,
    choices: Vec<Choice<'_>>,
    certainty: Option<Named<'_>>,
    format: Format,
) -> Result<Vec<u8>, Failure> {
    let Some(first) = choices.first() else { return Ok(Vec::new()) };
    if format == Format::Csv {
        let mut cells = vec![path.to_owned()];
        cells.extend(
            choices.iter().flat_map(|choice| [choice.class.to_owned(), json::cell(choice.confidence)]),
        );
        if let Some(Named { set, foreign }) = certainty {
            cells.extend([set.join(";"), json::cell(foreign)]);
        }
        return csv_line(&cells);
    }
    let (predicted, confidence) = (first.class, first.confidence);
    let top = if choices.len() > 1 { choices } else { Vec::new() };
    let (set, foreign) = certainty.map(|named| (named.set, named.foreign)).unzip();
    output::json_line(&Prediction { path, predicted, confidence, top, set, foreign })
}

/// `path,predicted,confidence,predicted_2,confidence_2,...`, and `set,foreign`
fn csv_header(top: usize, with_certainty: bool) -> Vec<String> {
    let mut cells = vec!["path".to_owned(), "predicted".to_owned(), "confidence".to_owned()];
    cells.extend((2..=top).flat_map(|place| [format!("predicted_{place}"), format!("confidence_{place}")]));
    if with_certainty {
        cells.extend(["set".to_owned(), "foreign".to_owned()]);
    }
    cells
}

fn csv_line(cells: &[String]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).map_err(Failure::failed)?;
    writer.into_inner().map_err(|error| Failure::failed(anyhow::anyhow!(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_comma_stays_one_cell() {
        let choice = Choice { class: "cat", confidence: 0.5 };
        let line = line("a,b.png", vec![choice], None, Format::Csv).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "\"a,b.png\",cat,0.5\n");
    }
}
