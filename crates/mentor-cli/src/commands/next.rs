//! `mentor next`: which images should get the next labels.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::ValueEnum;
use mentor_data::{BadImage, counted, shown_path};
use mentor_labels::{Chosen, Pool, Rows, choose, fit_head};
use mentor_model::Head;
use mentor_run::{json, write_atomically};

use crate::commands::embed::check_writable;
use crate::commands::featured::{FeatureArgs, Giver, Pictures};
use crate::terminal::error::Failure;
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  mentor next --data pool/ --backbone lite0.pth --budget 20 --out next.csv
      the first 20 images to label: those that most others are like
  mentor next --data pool/ --backbone lite0.pth --labels labels.csv --budget 20 --out next.csv
      the next ones, like most of what no label is like; labels.csv is a manifest, as annotate writes it
  mentor next --run runs/a --data pool/ --budget 20 --method margin --out next.csv
      the images that the model is least sure of

The CSV has the columns rank, path, score and cluster. A path is that of a file from the folder of the CSV. \
Score: the share of the images that it covers (typical), 1 minus the margin between the two largest \
probabilities (margin, mixed), entropy in nats (entropy), or a random number. Images that are nearly equal \
to a labelled or a chosen one are not offered. The same seed gives the same choice.";

/// Choose the images that should get the next labels
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Choose from these images: a folder, searched with all its subfolders, or other data, whose labels are
    /// ignored
    #[arg(long, value_name = "DATA")]
    data: String,

    /// Leave out these labelled images and what is nearly equal to them, and look for others: a folder of
    /// class folders, or a CSV manifest
    #[arg(long, value_name = "DATA")]
    labels: Option<String>,

    /// Choose this many images, at least 1
    #[arg(long, value_name = "COUNT", value_parser = super::eval::batch_size)]
    budget: usize,

    /// Choose by this: typical, margin, entropy, mixed (spread over what is uncertain) or random; margin,
    /// entropy and mixed need --run, or --labels of two classes [default: mixed with --run, else typical]
    #[arg(long, value_name = "HOW", value_enum, hide_possible_values = true)]
    method: Option<Method>,

    /// Decide by this seed where clusters begin, and what chance chooses
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    seed: u64,

    /// Write to this CSV file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    features: FeatureArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    Typical,
    Margin,
    Entropy,
    Mixed,
    Random,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Typical => "typical",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::Mixed => "mixed",
            Self::Random => "random",
        }
    }

    fn needs_probabilities(self) -> bool {
        matches!(self, Self::Margin | Self::Entropy | Self::Mixed)
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    check_writable(&args.out)?;
    let giver = args.features.open()?;
    let is_classifier =
        matches!(&giver, Giver::Model(model) if matches!(model.file.spec.head, Head::Classifier { .. }));
    let method = args.method.unwrap_or(if is_classifier { Method::Mixed } else { Method::Typical });
    if method.needs_probabilities() && !is_classifier && args.labels.is_none() {
        let error = anyhow!("--method {} needs a classifier", method.name());
        return Err(Failure::usage(error).help("add --run RUN, or --labels with images of two classes"));
    }
    let pool = args.features.unlabelled(&giver, &args.data)?;
    let labels = args
        .labels
        .as_ref()
        .map(|labels| args.features.labelled(&giver, labels, BadImage::Error, Some(&pool)))
        .transpose()?;
    let pictures: Vec<&Pictures> = std::iter::once(&pool).chain(&labels).collect();
    let (features, width) = giver.rows(&pictures)?;
    let scaled = Rows::new(&features, width).scaled();
    drop(features);
    let rows = Rows::new(&scaled, width);
    let labelled: Vec<bool> = (0..rows.len()).map(|row| row >= pool.dataset.len()).collect();
    let probabilities = match (&giver, method.needs_probabilities()) {
        (_, false) => Vec::new(),
        (Giver::Model(model), true) if is_classifier => probabilities_by_run(model, &pictures)?,
        _ => probabilities_by_labels(&rows, pool.dataset.len(), &pictures)?,
    };
    let chosen_by = match method {
        Method::Typical => mentor_labels::Method::Typical,
        Method::Margin => mentor_labels::Method::Margin(&probabilities),
        Method::Entropy => mentor_labels::Method::Entropy(&probabilities),
        Method::Mixed => mentor_labels::Method::Mixed(&probabilities),
        Method::Random => mentor_labels::Method::Random,
    };
    let chosen = choose(&Pool { rows, labelled: &labelled }, chosen_by, args.budget, args.seed);
    write_atomically(&args.out, &table(&args.out, &pool, &chosen)?)?;
    if chosen.len() < args.budget {
        output::note(&format!(
            "warning: {} of {}: the others are nearly equal to these or to labelled ones",
            counted(chosen.len(), "image", "images"),
            args.budget
        ));
    }
    let images = counted(chosen.len(), "image", "images");
    let of = counted(pool.dataset.len(), "image", "images");
    output::text(&format!("{}: {images} of {of}, by {}", shown_path(&args.out), method.name()))
}

/// What the run's classifier says of all images.
fn probabilities_by_run(
    model: &mentor_train::TrainedModel,
    pictures: &[&Pictures],
) -> Result<Vec<f32>, Failure> {
    let num_classes = model.classes().len();
    let mut probabilities = Vec::new();
    for pictures in pictures {
        let mut scores = model.score(&pictures.dataset, 256)?;
        for row in scores.chunks_exact_mut(num_classes) {
            if let Some(calibration) = &model.file.calibration {
                calibration.apply(row);
            }
            for (class, p) in mentor_metrics::classification::ranked(row) {
                row[class] = p as f32;
            }
        }
        probabilities.extend(scores);
    }
    Ok(probabilities)
}

/// What a head of the labelled images, which come after the first `num_pool`, says of all.
fn probabilities_by_labels(
    rows: &Rows<'_>,
    num_pool: usize,
    pictures: &[&Pictures],
) -> Result<Vec<f32>, Failure> {
    let Some(labels) = pictures.get(1) else { return Ok(Vec::new()) };
    let values: Vec<f32> = (num_pool..rows.len()).flat_map(|row| rows.row(row)).copied().collect();
    let (targets, num_classes) = (labels.dataset.targets(), labels.dataset.classes().len());
    let head = fit_head(&Rows::new(&values, rows.width()), targets, num_classes, 0, &|| false)
        .map_err(|error| Failure::data(error).context("no classifier can be trained on --labels"))?;
    Ok(head.probabilities(rows))
}

/// `rank,path,score,cluster`
fn table(out: &Path, pool: &Pictures, chosen: &[Chosen]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["rank", "path", "score", "cluster"]).map_err(Failure::failed)?;
    for (rank, Chosen { row, score, cluster }) in chosen.iter().enumerate() {
        let path = pool.named_in(out, *row as usize);
        let cluster = cluster.map_or(String::new(), |cluster| cluster.to_string());
        let cells = [(rank + 1).to_string(), path, json::cell(*score), cluster];
        writer.write_record(cells).map_err(Failure::failed)?;
    }
    writer.into_inner().map_err(|error| Failure::failed(anyhow!(error.to_string())))
}
