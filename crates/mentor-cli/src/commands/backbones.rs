//! `mentor backbones`: pretrained networks, and what a file of weights is.

use std::path::PathBuf;

use mentor_backbone::{ARCHITECTURES, Backbone, BackbonePreprocessing, KnownBy};
use mentor_data::shown_path;
use serde::Serialize;

use crate::commands::backbone_features;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count};

const EXAMPLES: &str = "\
Examples:
  mentor backbones
      networks whose weights can be read, and where they are found
  mentor backbones lite0.pth
      which network a file of weights is of, and what its images must be
  mentor backbones model.safetensors --architecture deit-small
      DeiT and ViT have equal tensors and other preprocessing

Files are safetensors, or of torch.save in both of its forms; no code in them is run. Names of tensors are \
those of timm, torchvision, transformers, efficientnet_pytorch or the authors. The config.json of timm \
beside a file is read too.

Exit status 3: the file is of no known network.";

/// List pretrained networks, or say what a file of weights is
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file of weights
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// The network that it is of, where several have such tensors [default: the likeliest]
    #[arg(long, value_name = "NAME", requires = "file")]
    architecture: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A network whose weights can be read.
#[derive(Serialize)]
struct Row {
    architecture: &'static str,
    num_params: usize,
    num_features: usize,
    input: usize,
    source: &'static str,
    licence: &'static str,
}

/// What a file is.
#[derive(Serialize)]
struct Description {
    architecture: &'static str,
    layout: &'static str,
    form: &'static str,
    weights_blake3: String,
    num_params: usize,
    num_features: usize,
    num_classes: Option<usize>,
    num_used: usize,
    skipped: Vec<String>,
    preprocessing: BackbonePreprocessing,
    known_by: KnownBy,
    source: &'static str,
    licence: &'static str,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.file {
        None => list(args.json),
        Some(file) => {
            let backbone = backbone_features::open(file, args.architecture.as_deref())?;
            let description = describe(&backbone);
            if args.json {
                return output::json(&description);
            }
            output::text(&format!("{}\n\n{}", shown_path(file), table(&description).render()))
        }
    }
}

fn list(json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = ARCHITECTURES
        .iter()
        .map(|known| Row {
            architecture: known.name,
            num_params: known.num_params,
            num_features: known.num_features,
            input: known.input,
            source: known.source,
            licence: known.licence,
        })
        .collect();
    if json {
        return output::json(&rows);
    }
    let mut table = Table::new(&[
        ("network", Align::Left),
        ("parameters", Align::Right),
        ("features", Align::Right),
        ("pixels", Align::Right),
        ("weights", Align::Left),
        ("licence of weights", Align::Left),
    ]);
    for row in &rows {
        table.row([
            row.architecture.to_owned(),
            count(row.num_params as u64),
            row.num_features.to_string(),
            row.input.to_string(),
            row.source.to_owned(),
            row.licence.to_owned(),
        ]);
    }
    output::text(&format!("Pretrained networks; parameters are without the head\n\n{}", table.render()))
}

fn describe(backbone: &Backbone) -> Description {
    let known = backbone.architecture;
    Description {
        architecture: known.name,
        layout: backbone.layout.name(),
        form: backbone.form.description(),
        weights_blake3: backbone.weights_blake3.to_hex().to_string(),
        num_params: known.num_params,
        num_features: known.num_features,
        num_classes: backbone.network.num_classes(),
        num_used: backbone.num_used,
        skipped: backbone.skipped.clone(),
        preprocessing: backbone.preprocessing.clone(),
        known_by: backbone.known_by,
        source: known.source,
        licence: known.licence,
    }
}

fn table(of: &Description) -> Table {
    let BackbonePreprocessing { size, crop, filter, mean, std } = &of.preprocessing;
    let numbers = |values: &[f32; 3]| values.map(|value| value.to_string()).join(", ");
    let known_by = match of.known_by {
        KnownBy::Layout => "usual for this network and these names",
        KnownBy::Caller => "usual for the network that you named",
        KnownBy::Config => "config.json beside the file",
        KnownBy::FileName => "usual for the network that the file's name speaks of",
    };
    let skipped = match of.skipped.as_slice() {
        [] => "none".to_owned(),
        [first] => first.clone(),
        [first, ..] => format!("{} such as {first}", of.skipped.len()),
    };
    let mut table = Table::new(&[("network", Align::Left), (of.architecture, Align::Left)]);
    let head =
        of.num_classes.map_or("none".to_owned(), |classes| format!("{} classes", count(classes as u64)));
    for (name, value) in [
        ("names of tensors", of.layout.to_owned()),
        ("form", of.form.to_owned()),
        ("BLAKE3", of.weights_blake3.clone()),
        ("parameters", count(of.num_params as u64)),
        ("features", of.num_features.to_string()),
        ("head", head),
        ("tensors used", of.num_used.to_string()),
        ("tensors skipped", skipped),
        (
            "image",
            format!(
                "{size}x{size}, {:.1} % of the shorter side, {}",
                100.0 * crop,
                format!("{filter:?}").to_lowercase()
            ),
        ),
        ("mean", numbers(mean)),
        ("standard deviation", numbers(std)),
        ("known by", known_by.to_owned()),
        ("such weights", format!("{} ({})", of.source, of.licence)),
    ] {
        table.row([name.to_owned(), value]);
    }
    table
}
