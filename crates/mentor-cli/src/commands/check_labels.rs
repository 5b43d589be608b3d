//! `mentor check-labels`: which labels are likely wrong, and which images nearly equal or far from all.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::value_parser;
use mentor_data::{BadImage, counted, shown, shown_path};
use mentor_labels::{Kind, Labelled, Rows, Suspect, out_of_sample, suspects};
use mentor_report::{ShownSuspect, suspects_page};
use mentor_run::records::Picture;
use mentor_run::{json, write_atomically};

use crate::commands::embed::check_writable;
use crate::commands::featured::{FeatureArgs, Pictures};
use crate::terminal::error::Failure;
use crate::terminal::output;

/// Suspects that the page shows: each has a picture in it.
const MOST_SHOWN: usize = 300;
/// Longer side of a picture on the page, in pixels.
const PICTURE_SIDE: usize = 128;

const EXAMPLES: &str = "\
Examples:
  mentor check-labels --data photos/ --backbone lite0.pth --out suspects.csv
      suspects, the most suspect first, and a page suspects.html with their pictures
  mentor train --data photos/ --backbone lite0.pth --corrections corrections.csv
      train with the labels that were corrected on the page
  mentor check-labels --data photos/ --run runs/a --out suspects.csv
      by the features of a trained model, which may have learned the wrong labels

The CSV has the columns path, given, suggested, score (0 to 1) and kind. label: classifiers of the other \
images say confidently another class (confident learning). duplicate: an image that is nearly equal has \
another label. outlier: the image is far from all others. A path is that of a file from the folder of the \
CSV.";

/// Find labels that are likely wrong, near-duplicates with different labels, and outliers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Check this labelled data: an image folder, a folder of IDX files, a CSV manifest or an npz file
    #[arg(long, value_name = "DATA")]
    data: String,

    /// Write to this CSV file, and the page to the file of this name that ends in .html
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Judge each of this many parts of the images by a classifier of the others, from 2 to 50
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = value_parser!(u64).range(2..=50))]
    folds: u64,

    /// Decide by this seed which images are in which part
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    seed: u64,

    #[command(flatten)]
    features: FeatureArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    check_writable(&args.out)?;
    let page = args.out.with_extension("html");
    if page == args.out {
        let error = anyhow!("--out {}: is the name of the page", shown_path(&args.out));
        return Err(Failure::usage(error).help("name a file that ends in .csv"));
    }
    let giver = args.features.open()?;
    let pictures = args.features.labelled(&giver, &args.data, BadImage::Skip, None)?;
    let (dataset, classes) = (&pictures.dataset, pictures.dataset.classes());
    if classes.len() < 2 {
        let error = anyhow!("{}: holds one class, and no label can be another", shown(&args.data));
        return Err(Failure::data(error).help("name a folder with a folder for each class"));
    }
    let (features, width) = giver.rows(&[&pictures])?;
    let scaled = Rows::new(&features, width).scaled();
    drop(features);
    let rows = Rows::new(&scaled, width);
    let (targets, num_classes) = (dataset.targets(), classes.len());
    let folds = (args.folds as usize).min(targets.len()).max(2);
    let judged = out_of_sample(&rows, targets, num_classes, folds, args.seed, &|| false)
        .map_err(|error| Failure::data(error).context("the labels cannot be judged"))?;
    let probabilities = &judged.probabilities;
    let found = suspects(&Labelled { rows, targets, probabilities, num_classes }, args.seed);
    write_atomically(&args.out, &table(&args.out, &pictures, &found)?)?;
    write_atomically(
        &page,
        suspects_page(&args.data, classes, &shown_suspects(&pictures, &found)?).as_bytes(),
    )?;
    let count = |kind| found.iter().filter(|suspect| suspect.kind == kind).count();
    output::text(&format!(
        "{}: {} of {}: {}, {} with another label, {}\n{}: the first of them with pictures, to correct",
        shown_path(&args.out),
        counted(found.len(), "suspect", "suspects"),
        counted(targets.len(), "image", "images"),
        counted(count(Kind::Label), "label", "labels"),
        counted(count(Kind::Duplicate), "near-duplicate", "near-duplicates"),
        counted(count(Kind::Outlier), "outlier", "outliers"),
        shown_path(&page)
    ))
}

/// `path,given,suggested,score,kind`
fn table(out: &Path, pictures: &Pictures, found: &[Suspect]) -> Result<Vec<u8>, Failure> {
    let classes = pictures.dataset.classes();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["path", "given", "suggested", "score", "kind"]).map_err(Failure::failed)?;
    for Suspect { row, kind, given, suggested, score } in found {
        let path = pictures.named_in(out, *row as usize);
        let [given, suggested] = [given, suggested].map(|class| classes[*class as usize].as_str());
        let cells = [&path, given, suggested, &json::cell(*score), kind.name()];
        writer.write_record(cells).map_err(Failure::failed)?;
    }
    writer.into_inner().map_err(|error| Failure::failed(anyhow!(error.to_string())))
}

fn shown_suspects(pictures: &Pictures, found: &[Suspect]) -> Result<Vec<ShownSuspect>, Failure> {
    let shown = |suspect: &Suspect| {
        let Suspect { row, kind, given, suggested, score } = *suspect;
        let picture = Picture::shrunk(&pictures.dataset, row as usize, PICTURE_SIDE)?;
        let id = pictures.dataset.id(row as usize).to_owned();
        Ok(ShownSuspect { id, picture, given, suggested, score, kind: kind.name() })
    };
    found.iter().take(MOST_SHOWN).map(shown).collect()
}
