//! `mentor label`: writes the predictions of a trained classifier for unlabelled images to files.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use mentor_data::{counted, shown_path};
use mentor_model::Head;
use mentor_run::{RunDir, TrainEvent};
use mentor_train::pseudo_labels::{Shard, detect_shard};
use mentor_train::{LabelInput, Labelling, ModelFile, label};
use serde::Serialize;

use crate::commands::sharding::{Choice, choice, no_scheduler};
use crate::device::DeviceChoice;
use crate::files::limits::ImageLimits;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::progress::Progress;
use crate::terminal::reading::reading_bar_until;
use crate::terminal::signals::Interruption;

const EXAMPLES: &str = "\
Examples:
  mentor label runs/ns --data photos/ --out labels.parquet
      write a row for each image: id, hash of its bytes, scores, confidence and label
  mentor label runs/ns --data photos/ --out labels/ --shard 3/16
      write the part with index 3 of 16, as labels/labels-00003-of-00016.parquet
  sbatch --array=0-15 --wrap 'mentor label runs/ns --data photos/ --out labels/'
      in a SLURM array, a Kubernetes indexed job (with --num-shards) or an AWS Batch array, each process \
finds its own part
  mentor self-train --data labelled/ --unlabelled photos/ --labels labels/ --out runs/next
      train a student on the labels

The probabilities of a row are softmax(scores / temperature). The scores are those of the model, plus \
temperature · bias if mentor calibrate has stored class biases.

A file is written whole or not at all, and then its manifest FILE.json with the teacher's hash. The same \
command skips files that are complete and intact, and writes those that are missing or damaged. It refuses a \
complete file of another teacher or of other images.";

/// Label images with a trained classifier, one shard a process
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Label with the classifier of this complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Label these images: a folder, searched with all its subfolders, or other data, whose labels are
    /// ignored
    #[arg(long, value_name = "DATA")]
    data: String,

    /// Write to this file NAME.parquet, or to a file in this folder; a shard is written beside it as
    /// labels-INDEX-of-COUNT.parquet
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// Label only this part of the images, INDEX/COUNT with INDEX from 0; auto: the part that the scheduler
    /// names, which must be one [default: the part that the scheduler names, else all]
    #[arg(long, value_name = "INDEX/COUNT", value_parser = choice)]
    shard: Option<Choice>,

    /// Divide the images into this many parts, at least 1, for schedulers that tell a process only its index
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    num_shards: Option<u32>,

    #[command(flatten)]
    limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Show only warnings and the result
    #[arg(long, short)]
    quiet: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Labelled<'a> {
    path: &'a Path,
    shard: Shard,
    num_rows: u64,
    num_bytes: u64,
    teacher_blake3: &'a str,
    already_written: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let found = detect_shard(|name| std::env::var(name).ok(), args.num_shards).map_err(|error| {
        let help = error.help();
        Failure::usage(error).ways(help)
    });
    let shard = match args.shard {
        Some(Choice::Given(_)) if args.num_shards.is_some() => {
            let error = anyhow!("--num-shards: --shard INDEX/COUNT states the count already");
            return Err(Failure::usage(error).help("give one of both"));
        }
        Some(Choice::Given(shard)) => shard,
        auto => match (found?, args.num_shards) {
            (Some(shard), _) => shard,
            (None, None) if auto.is_none() => Shard::WHOLE,
            (None, None) => return Err(no_scheduler()),
            (None, Some(count)) => {
                let error = anyhow!("--num-shards {count}: the index of this process is not known");
                return Err(Failure::usage(error).help("add --shard I/N, or run it in an indexed job"));
            }
        },
    };
    if let Head::Embedding { .. } = ModelFile::read(&RunDir::open(&args.run)?)?.spec.head {
        let error = anyhow!("{}: gives embeddings, not classes", shown_path(&args.run));
        return Err(Failure::usage(error).help("name the run of a classifier"));
    }
    let path = place(&args.out, shard)?;
    let device = args.device.open()?;
    let interruption = Interruption::watch()
        .map_err(|error| Failure::failed(error).context("cannot watch for SIGINT and SIGTERM"))?;
    let mut progress = Progress::new(args.quiet);
    let reading = reading_bar_until(args.quiet, &interruption);
    let images = LabelInput { data: &args.data, max_pixels: args.limits.max_pixels, reading };
    let execution = device
        .execution()
        .with_stop(interruption.flag())
        .with_observer(|event: &TrainEvent| progress.observe(event));
    let labelling = label(&args.run, images, &path, shard, &execution)?;
    drop(execution);
    drop(progress);
    let (manifest, already_written) = match labelling {
        Labelling::Written(manifest) => (manifest, false),
        Labelling::AlreadyWritten(manifest) => (manifest, true),
        Labelling::Interrupted => {
            output::note(
                "interrupted; nothing of this shard is left\nhelp: the same command begins it again",
            );
            return Err(Failure::status_only(interruption.status()));
        }
    };
    if args.json {
        return output::json(&Labelled {
            path: &path,
            shard,
            num_rows: manifest.num_rows,
            num_bytes: manifest.num_bytes,
            teacher_blake3: &manifest.header.teacher_blake3,
            already_written,
        });
    }
    let how = if already_written { "was complete and intact" } else { "written" };
    output::text(&format!(
        "{}: {how}: shard {shard}, {}, teacher {}",
        shown_path(&path),
        counted(manifest.num_rows as usize, "image", "images"),
        manifest.header.teacher_blake3.get(..12).unwrap_or_default()
    ))
}

/// The file of the shard; its folder is made.
fn place(out: &Path, shard: Shard) -> Result<PathBuf, Failure> {
    let is_file = out.extension().is_some_and(|extension| extension == "parquet");
    let folder = if is_file { out.parent().unwrap_or(Path::new("")) } else { out };
    if out.is_file() && !is_file {
        let error = anyhow!("--out {}: is a file that is no .parquet", shown_path(out));
        return Err(Failure::usage(error).help("name a .parquet file, or a folder"));
    }
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::usage(anyhow!("--out {}: {error}", shown_path(folder)))
                .help("name a folder that can be written")
        })?;
    }
    Ok(if is_file && shard.count == 1 { out.to_owned() } else { folder.join(shard.file_name()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_its_own_file_beside_the_one_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let place = |out: &str, index, count| {
            let path = place(&dir.path().join(out), Shard { index, count }).unwrap();
            path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(place("a.parquet", 0, 1), "a.parquet");
        assert_eq!(place("a.parquet", 3, 16), "labels-00003-of-00016.parquet");
        assert_eq!(place("deep/er", 0, 1), "deep/er/labels.parquet");
        assert!(dir.path().join("deep/er").is_dir());
    }
}
