//! `mentor embed`: writes the embeddings of images to a file that other tools read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use mentor_data::{Note, OpenOptions, Source, Split, escape, shown_path};
use mentor_run::write_atomically;
use mentor_train::TrainedModel;
use mentor_train::pseudo_labels::Shard;

use crate::commands::backbone_features;
use crate::commands::sharding::Sharding;
use crate::device::DeviceChoice;
use crate::files::embeddings::{self, Embedded};
use crate::files::images::{self, EmbeddedFiles, Found};
use crate::files::limits::ImageLimits;
use crate::files::npy;
use crate::files::saved_index::model_hash;
use crate::files::shard_manifest::{self, Key};
use crate::files::user_folders::backbone_named;
use crate::terminal::error::{BAD_DATA, Failure};
use crate::terminal::output;
use crate::terminal::reading::reading_bar;
use crate::terminal::table::count;

const EXAMPLES: &str = "\
Examples:
  mentor embed runs/faces photos/ --out vectors.npy --ids ids.csv
      embed every image file below photos/, in natural order; ids.csv has a row for each
  mentor embed runs/faces digits --split test --out vectors.npy --labels labels.npy
      embed a split of a data set, as mentor train reads it
  mentor embed runs/faces photos/ --out vectors.parquet
      write one file with the columns id and embedding, and with --split the class;
      search --index and serve --index read it
  mentor embed runs/faces photos/ --out features/ --shard 3/16
      write the part with index 3 of 16, as features/embeddings-00003-of-00016.parquet, and its manifest
  mentor embed --backbone lite0.pth photos/ --out f.npy --ids ids.csv --labels y.npy
      write features of a pretrained network, without a run; the folders in photos/ are the classes

A shard of images has a manifest FILE.json, which is written last. The same command passes over a shard that \
is complete and intact, and refuses one of another model or of other images.

vectors.npy holds a matrix of 32-bit floats with a row for each image. The embedding of a classifier is the \
input of \
its last layer. mentor loss triplet --embeddings vectors.npy --labels labels.npy measures the embeddings.";

/// Write the embeddings of images to an npy or Parquet file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Use the model of this complete run; with --backbone, this is the first path
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Embed these image files and those in these folders; with --split, one data set as mentor train reads
    /// it
    #[arg(value_name = "PATH", required_unless_present = "backbone")]
    paths: Vec<PathBuf>,

    /// Take the features of the pretrained network in this file of weights; see mentor backbones
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    backbone: Option<PathBuf>,

    /// Take the file of weights for this network, if its tensors fit several [default: the likeliest]
    #[arg(long, value_name = "NAME", requires = "backbone")]
    architecture: Option<String>,

    /// Write to this file: Parquet if its name ends in .parquet, else npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Write the id of each row to this CSV file, and with --split or --labels its class
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,

    /// Write the class index of each row to this npy file; needs --split, or --backbone and a folder of class
    /// folders
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Embed this split of a data set
    #[arg(long, value_name = "SPLIT", value_parser = super::part::split_parser())]
    split: Option<Split>,

    /// Pass this many images through the network at a time, at least 1; fewer need less memory
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = super::eval::batch_size)]
    batch_size: usize,

    #[command(flatten)]
    sharding: Sharding,

    #[command(flatten)]
    limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let shard = args.sharding.part()?;
    if shard.is_some() && args.split.is_some() {
        return Err(Failure::usage(anyhow!("--shard takes image files, and --split a data set")));
    }
    let place_of = |path: &PathBuf, default: &str| match shard {
        None => Ok(path.clone()),
        Some(shard) => shard_manifest::place(path, default, shard),
    };
    let out = &place_of(&args.out, "embeddings.parquet")?;
    let ids = args.ids.as_ref().map(|path| place_of(path, "ids.csv")).transpose()?;
    let labels = args.labels.as_ref().map(|path| place_of(path, "labels.npy")).transpose()?;
    let files: Vec<_> = [Some(out), ids.as_ref(), labels.as_ref()].into_iter().flatten().collect();
    for (index, path) in files.iter().enumerate() {
        check_writable(path)?;
        if files[..index].contains(path) {
            let error = anyhow!("{}: is named for two of --out, --ids and --labels", shown_path(path));
            return Err(Failure::usage(error).help("give each its own file"));
        }
    }
    if args.labels.is_some() && args.split.is_none() && args.backbone.is_none() {
        return Err(Failure::usage(anyhow!("--labels needs --split or --backbone")));
    }
    let first = args.backbone.is_some().then_some(&args.run);
    let paths: Vec<PathBuf> = first.into_iter().chain(&args.paths).cloned().collect();
    let found = if args.split.is_some() { Found::default() } else { images::find(&paths) };
    let manifest = PathBuf::from(format!("{}.json", out.display()));
    let key = shard.map(|shard| key(args, shard, &found)).transpose()?;
    if let Some(key) = &key {
        if key.shard.range(key.num_images).is_empty() {
            output::note(&format!("--shard {}: no image is in this part; nothing is written", key.shard));
            return Ok(());
        }
        if let Some(num_failed) = shard_manifest::already_written(&manifest, key)? {
            output::note(&format!("{}: was complete and intact", shown_path(out)));
            return if num_failed > 0 { Err(Failure::status_only(BAD_DATA)) } else { Ok(()) };
        }
    }
    let embedded = match &args.backbone {
        Some(weights) => {
            let images = backbone_features::Images {
                paths: &paths,
                found,
                shard: shard.unwrap_or(Shard::WHOLE),
                labelled: args.labels.is_some(),
                batch_size: args.batch_size,
                limits: args.limits,
            };
            backbone_features::embed(weights, args.architecture.as_deref(), images)?
        }
        None => embed_by_run(args, found, shard.unwrap_or(Shard::WHOLE))?,
    };
    if embedded.ids.is_empty() {
        // What is wrong with each path was said.
        return Err(Failure::status_only(BAD_DATA));
    }
    let columns = embedded.values.len() / embedded.ids.len();
    let is_parquet = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
    if is_parquet {
        let classes = embedded.classes();
        let (ids, model) = (&embedded.ids, embedded.model.as_deref());
        let file = embeddings::parquet(ids, classes.as_deref(), &embedded.values, columns, model);
        write(out, &file.map_err(Failure::failed)?)?;
    } else {
        write(out, &npy::matrix(&embedded.values, columns))?;
    }
    if let (Some(path), Some((labels, _))) = (&labels, &embedded.labels) {
        write(path, &npy::labels(labels))?;
    }
    if let Some(path) = &ids {
        write(path, &ids_csv(&embedded)?)?;
    }
    if let Some(key) = &key {
        let files: Vec<&Path> = files.iter().map(|path| path.as_path()).collect();
        shard_manifest::write(&manifest, key, &files, embedded.num_failed)?;
    }
    let rows = count(embedded.ids.len() as u64);
    output::note(&format!("{}: {rows} embeddings of {columns} values", shown_path(out)));
    if embedded.num_failed > 0 { Err(Failure::status_only(BAD_DATA)) } else { Ok(()) }
}

/// What the files of a shard are made of.
fn key(args: &Args, shard: Shard, found: &Found) -> Result<Key, Failure> {
    let model = match &args.backbone {
        Some(weights) => vec![backbone_named(weights)],
        None => shard_manifest::files_of_run(&args.run),
    };
    let range = shard.range(found.files.len() as u64);
    let images = &found.files[range.start as usize..range.end as usize];
    Key::new("embeddings", shard, found.files.len(), images, &model)
}

fn embed_by_run(args: &Args, mut found: Found, shard: Shard) -> Result<Embedded, Failure> {
    let device = args.device.open()?;
    let mut trained = TrainedModel::load(&args.run, &device.device)?;
    args.limits.apply(&mut trained.file.data.options.limits);
    if let Some(split) = args.split {
        return embed_split(args, &trained, split);
    }
    found.keep(shard);
    let EmbeddedFiles { names, rows, num_failed } = images::embed(&found, &trained, args.batch_size);
    Ok(Embedded {
        values: rows.concat(),
        ids: names,
        labels: None,
        num_failed,
        model: Some(model_hash(&trained)),
    })
}

fn embed_split(args: &Args, trained: &TrainedModel, split: Split) -> Result<Embedded, Failure> {
    let [path] = args.paths.as_slice() else {
        return Err(Failure::usage(anyhow!(
            "--split takes one data set, and {} paths are named",
            args.paths.len()
        )));
    };
    let options = OpenOptions { observer: reading_bar(false), ..trained.file.data.options.clone() };
    let source = Source::open_for_evaluation(&path.to_string_lossy(), &options)?;
    let dataset = Arc::new(source.load_as(split, &trained.file.preprocessing.format)?);
    source
        .notes()
        .iter()
        .chain(dataset.notes())
        // The size is the model's.
        .filter(|note| !matches!(note, Note::Resized { .. }))
        .for_each(|note| output::note(&format!("warning: {}", escape(&note.to_string()))));
    Ok(Embedded {
        values: trained.embed(&dataset, args.batch_size)?,
        ids: (0..dataset.len()).map(|index| dataset.id(index).to_owned()).collect(),
        labels: Some((dataset.targets().to_vec(), dataset.classes().to_vec())),
        num_failed: 0,
        model: Some(model_hash(trained)),
    })
}

fn ids_csv(embedded: &Embedded) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut record = |id: &str, class: Option<&str>| {
        writer.write_record([Some(id), class].into_iter().flatten()).map_err(Failure::failed)
    };
    let classes = embedded.classes();
    record("id", classes.as_ref().map(|_| "class"))?;
    for (index, id) in embedded.ids.iter().enumerate() {
        record(id, classes.as_ref().map(|classes| classes[index]))?;
    }
    writer.into_inner().map_err(|error| Failure::failed(anyhow!(error.to_string())))
}

/// Fails before the work rather than after it.
pub(super) fn check_writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(Failure::usage(anyhow!("{}: there is no folder {}", shown_path(path), shown_path(folder))))
        }
        _ if path.is_dir() => Err(Failure::usage(anyhow!("{}: is a folder", shown_path(path)))),
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Ok(write_atomically(path, bytes)?)
}
