//! `mentor eval`: evaluates a trained model on a split of a data set.

pub(super) mod data;
mod retrieval;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use mentor_data::{Dataset, Split, counted, shown, shown_path};
use mentor_metrics::classification::{Evaluation, SampleResult};
use mentor_metrics::retrieval::Retrieval;
use mentor_model::Head;
use mentor_run::{json, write_atomically};
use mentor_train::TrainedModel;

use self::data::labelled;
pub(crate) use self::retrieval::retrieve;
use super::part::{Part, part_parser, split_parser};
use crate::device::DeviceChoice;
use crate::files::limits::ImageLimits;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count, interval, share};

/// Classes shown; of more, those with the lowest F1.
const NUM_SHOWN: usize = 30;

const EXAMPLES: &str = "\
Examples:
  mentor eval runs/b
      evaluate on the test split of the data that the model was trained on
  mentor eval runs/b --data more/ --split all --json --per-sample losses.csv
      evaluate on every image of another folder
  mentor eval runs/faces --split test --gallery train
      search the nearest training images of each test image

Numbers in brackets are 95 % intervals: of the accuracy Wilson's, of retrieval those of a bootstrap over the \
queries. Macro averages are means over the classes that have images. What is undefined, such as the recall \
of a class without images, is a dash, and null in JSON.

JSON of a classifier: split, num_samples, loss (data_loss + penalty), data_loss, penalty, accuracy, \
accuracy_interval, macro_recall, macro_f1, top5_accuracy, ece (expected calibration error), per_class[] \
(class, num_samples, num_predicted, precision, recall, f1), \
confusion[target][predicted] (of more than 100 classes num_classes and the lists target, predicted and count \
of what is above 0), calibration[].

JSON of embeddings: split, gallery, precision_at_1, r_precision, map_at_r, recall_at_1, recall_at_5, \
recall_at_10, \
knn_accuracy, k, num_queries, num_lone_queries (images without another of their class, left out), intervals.";

/// Evaluate a trained model: loss, accuracy, calibration and each class, or the retrieval of embeddings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Evaluate the model of this complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Evaluate on this data; a classifier finds its classes by name, and some may be absent [default: what
    /// the model was trained on]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,

    /// Evaluate on this split, or on all images of a folder that has no splits
    #[arg(long, value_name = "SPLIT", default_value = "test", value_parser = part_parser())]
    split: Part,

    /// Write id, target, predicted, confidence and loss of every image to this CSV file
    #[arg(long, value_name = "FILE")]
    per_sample: Option<PathBuf>,

    /// Evaluate a classifier like an embedding model: its embeddings are the input of its last layer
    #[arg(long)]
    retrieval: bool,

    /// Search for the nearest images in this split instead of among the evaluated images
    #[arg(long, value_name = "SPLIT", value_parser = split_parser())]
    gallery: Option<Split>,

    /// Pass this many images through the network at a time, at least 1; fewer need less memory
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = batch_size)]
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

/// Reads a number of at least 1.
pub(super) fn batch_size(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&size| size > 0).ok_or_else(|| "write a number of at least 1".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(folder) = args.per_sample.as_deref().and_then(Path::parent)
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        return Err(Failure::usage(anyhow!("--per-sample: there is no folder {}", shown_path(folder))));
    }
    let device = args.device.open()?;
    let mut trained = TrainedModel::load(&args.run, &device.device)?;
    args.limits.apply(&mut trained.file.data.options.limits);
    let trained_on = trained.file.data.source.clone().unwrap_or_default();
    let data = args.data.clone().unwrap_or(trained_on);
    let classifier = matches!(trained.file.spec.head, Head::Classifier { .. });
    if args.retrieval || !classifier {
        if args.per_sample.is_some() {
            return Err(Failure::usage(anyhow!(
                "--per-sample writes losses of scores, and an embedding model has none"
            )));
        }
        return run_retrieval(args, &trained, &data);
    }
    if args.gallery.is_some() {
        let error = anyhow!("--gallery is for embeddings, and {} is a classifier", shown_path(&args.run));
        return Err(Failure::usage(error).help("add --retrieval to evaluate its embeddings"));
    }
    let evaluated = evaluate(&trained, &data, args.split, args.batch_size)?;
    if let Some(path) = &args.per_sample {
        write_per_sample(path, &evaluated)?;
    }
    if args.json {
        return output::json(&evaluated.evaluation);
    }
    let heading = format!(
        "{} on {}, {}: {} images\n",
        shown_path(&args.run),
        shown(&data),
        args.split.described(),
        count(evaluated.evaluation.num_samples as u64)
    );
    output::text(&(heading + &table(&evaluated.evaluation)))
}

fn run_retrieval(args: &Args, trained: &TrainedModel, data: &str) -> Result<(), Failure> {
    if args.split == Part::All && args.gallery.is_some() {
        let error = anyhow!("--split all holds the images of --gallery too, and each would find itself");
        return Err(Failure::usage(error).help("evaluate one split against another, or leave --gallery out"));
    }
    let result = retrieve(trained, data, args.split, args.gallery, args.batch_size)?;
    if args.json {
        return output::json(&result);
    }
    let Retrieval { num_queries, num_lone_queries, .. } = &result.retrieval;
    let lone = match num_lone_queries {
        0 => String::new(),
        lone => format!(", {} more without another image of their class", count(*lone as u64)),
    };
    let heading = format!(
        "{} on {}: {} as queries{lone}, searched among {}\n",
        shown_path(&args.run),
        shown(data),
        match args.split {
            Part::All => counted(*num_queries, "image of all splits", "images of all splits"),
            Part::Split(split) =>
                counted(*num_queries, &format!("{split} image"), &format!("{split} images")),
        },
        args.gallery.map_or_else(|| "the others".to_owned(), |gallery| format!("those of {gallery}")),
    );
    output::text(&(heading + &retrieval::table(&result.retrieval)))
}

/// What the model made of a split.
pub(crate) struct Evaluated {
    pub(crate) evaluation: Evaluation,
    samples: Vec<SampleResult>,
    dataset: Arc<Dataset>,
}

/// Opens the data as the model's own, and evaluates.
pub(crate) fn evaluate(
    trained: &TrainedModel,
    data: &str,
    split: Part,
    batch_size: usize,
) -> Result<Evaluated, Failure> {
    let dataset = labelled(trained, data, split)?;
    let (evaluation, samples) = trained.evaluate(&dataset, split, batch_size)?;
    Ok(Evaluated { evaluation, samples, dataset })
}

fn write_per_sample(path: &Path, evaluated: &Evaluated) -> Result<(), Failure> {
    let classes = evaluated.dataset.classes();
    let name = |class: u32| classes.get(class as usize).map_or("", String::as_str);
    let table = || -> Result<Vec<u8>, anyhow::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "target", "predicted", "confidence", "loss"])?;
        for (index, sample) in evaluated.samples.iter().enumerate() {
            let numbers = [sample.confidence, sample.loss].map(json::cell);
            let [confidence, loss] = &numbers;
            let id = evaluated.dataset.id(index);
            writer.write_record([id, name(sample.target), name(sample.predicted), confidence, loss])?;
        }
        Ok(writer.into_inner()?)
    };
    Ok(write_atomically(path, &table().map_err(Failure::failed)?)?)
}

fn table(evaluation: &Evaluation) -> String {
    let Evaluation { accuracy, top5_accuracy, loss, data_loss, penalty, ece, per_class, .. } = evaluation;
    let mut text = format!(
        "  accuracy           {accuracy:.4}{}\n  macro recall       {}\n  macro F1           {}\n",
        interval(evaluation.accuracy_interval),
        share(evaluation.macro_recall),
        share(evaluation.macro_f1)
    );
    // Of ten classes chance alone finds half among five.
    if per_class.len() > 10 {
        text.push_str(&format!("  top-5 accuracy     {top5_accuracy:.4}\n"));
    }
    text.push_str(&format!(
        "  loss               {loss:.4} = {data_loss:.4} data loss + {penalty:.4} penalty\n"
    ));
    text.push_str(&format!("  calibration error  {ece:.4}\n\n"));
    let mut order: Vec<usize> = (0..per_class.len()).collect();
    if order.len() > NUM_SHOWN {
        let key = |class: usize| per_class[class].f1.unwrap_or(f64::INFINITY);
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        text.push_str(&format!("  the {NUM_SHOWN} classes of {} with the lowest F1:\n", per_class.len()));
        order.truncate(NUM_SHOWN);
    }
    let mut table = Table::new(&[
        ("class", Align::Left),
        ("images", Align::Right),
        ("precision", Align::Right),
        ("recall", Align::Right),
        ("F1", Align::Right),
        ("most often taken for", Align::Left),
    ]);
    for class in order {
        let metrics = &per_class[class];
        table.row([
            metrics.class.clone(),
            count(metrics.num_samples),
            share(metrics.precision),
            share(metrics.recall),
            share(metrics.f1),
            taken_for(evaluation, class),
        ]);
    }
    text + &table.render()
}

/// The wrong class that most images of `class` went to.
fn taken_for(evaluation: &Evaluation, class: usize) -> String {
    let wrong = evaluation.confusion.row(class).iter().filter(|cell| cell.predicted as usize != class);
    // The first of several that are equal, as in the order of the classes.
    wrong.rev().max_by_key(|cell| cell.count).map_or_else(String::new, |cell| {
        format!("{} ({})", evaluation.per_class[cell.predicted as usize].class, cell.count)
    })
}
