//! `mentor annotate`: a local page on which pictures are labelled.

use std::path::PathBuf;

use anyhow::anyhow;
use mentor_annotate::{AnnotateError, Annotation, annotate};
use mentor_data::{Limits, counted, shown, shown_path};

use crate::commands::embed::check_writable;
use crate::commands::featured::FeatureArgs;
use crate::terminal::error::Failure;
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  mentor annotate photos/ --backbone lite0.pth --classes cat,dog,bird --out labels.csv
      print the address of a page on this machine; keys 1 to 9 answer, z undoes
  mentor train --data labels.csv --backbone lite0.pth
      train on the answers

Each answer is on the disk before the next picture shows. The same command continues. labels.csv has the \
columns path, label and when (UTC); pictures without a label (unsure, none) are in labels.aside.csv. Ctrl-C \
ends it.";

/// Label pictures on a local page, while a classifier learns from the answers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Label the pictures of this folder, searched with all its subfolders
    #[arg(value_name = "DIR")]
    dir: String,

    /// Name the classes, 2 to 100, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    classes: Vec<String>,

    /// Append the labels to this CSV file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Listen on this port of 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    #[command(flatten)]
    features: FeatureArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    check_writable(&args.out)?;
    let giver = args.features.open()?;
    let pictures = args.features.unlabelled(&giver, &args.dir)?;
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for index in 0..pictures.dataset.len() {
        let Some(file) = pictures.file(index) else {
            let error = anyhow!("{}: is no folder of image files", shown(&args.dir));
            return Err(Failure::usage(error).help("name a folder of pictures"));
        };
        files.push(file.to_owned());
        names.push(pictures.named_in(&args.out, index));
    }
    let (features, width) = giver.rows(&[&pictures])?;
    let mut limits = Limits::default();
    args.features.limits.apply(&mut limits);
    let (classes, port) = (args.classes.clone(), args.port);
    let count = counted(files.len(), "picture", "pictures");
    let annotation = Annotation { files, names, features, width, classes, limits, port };
    annotate(annotation, &args.out, |address| {
        output::note(&format!("{count}, labels in {}; Ctrl-C ends it", shown_path(&args.out)));
        // For a program that waits for the address, on a line of its own.
        let _ = output::text(address);
    })
    .map_err(|error: AnnotateError| {
        let help = error.help();
        let failure = if error.is_usage() { Failure::usage(error) } else { Failure::data(error) };
        failure.ways(help)
    })
}
