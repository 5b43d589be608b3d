//! `mentor search`: finds the images nearest to an image.

use std::path::PathBuf;

use mentor_data::shown;
use mentor_metrics::retrieval::{Embeddings, Neighbour, nearest};
use mentor_train::TrainedModel;
use serde::Serialize;

use crate::device::DeviceChoice;
use crate::files::images::{self, EmbeddedFiles};
use crate::files::limits::ImageLimits;
use crate::files::saved_index::{self, SavedIndex};
use crate::terminal::error::{BAD_DATA, Failure};
use crate::terminal::output;
use crate::terminal::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  mentor search runs/faces --index photos/ --query photo.png --top 10
      find the ten images below photos/ that are nearest to photo.png
  mentor embed runs/faces photos/ --out vectors.parquet
  mentor search runs/faces --index vectors.parquet --query photo.png
      embed once and search often
  mentor search runs/faces --index photos/ --query new/ --json
      print a line of JSON for each image below new/

A file of mentor embed holds embeddings, so that the pictures are not read again. It must be of the same \
model.

The search is exact. The distance is that of training, Euclidean or cosine; between embeddings of unit norm, \
the Euclidean distance is from 0 to 2. A query that is also in the index finds itself, or an earlier file of \
the same pixels, at a distance of 0 up to rounding.

JSON: query, neighbours[] (path, distance).";

/// Find the images nearest to an image, by their embeddings
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "mentor search <RUN> --index <PATH>... --query <PATH>... [OPTIONS]"
)]
pub(crate) struct Args {
    /// Use the model of this complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Search in these images: files, and folders with image files; or in one Parquet file of mentor embed
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    index: Vec<PathBuf>,

    /// Search for these images: files, and folders with image files
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    query: Vec<PathBuf>,

    /// Give this many nearest images for each query, at least 1
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = super::eval::batch_size)]
    top: usize,

    /// Pass this many images through the network at a time, at least 1; fewer need less memory
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = super::eval::batch_size)]
    batch_size: usize,

    #[command(flatten)]
    limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Print a JSON object for each query
    #[arg(long)]
    json: bool,
}

/// What was found for a query.
#[derive(Serialize)]
struct Found<'a> {
    query: &'a str,
    neighbours: Vec<Hit<'a>>,
}

/// An image of the index.
#[derive(Serialize)]
struct Hit<'a> {
    path: &'a str,
    distance: f64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let device = args.device.open()?;
    let mut trained = TrainedModel::load(&args.run, &device.device)?;
    args.limits.apply(&mut trained.file.data.options.limits);
    let embed = |paths: &[PathBuf]| -> Result<EmbeddedFiles, Failure> {
        let embedded = images::embed(&images::find(paths), &trained, args.batch_size);
        // What is wrong with each path was said.
        if embedded.rows.is_empty() { Err(Failure::status_only(BAD_DATA)) } else { Ok(embedded) }
    };
    let (index, num_left_out) = match saved_index::named(&args.index)? {
        Some(path) => (SavedIndex::read(path, &trained)?, 0),
        None => {
            let EmbeddedFiles { names, rows, num_failed } = embed(&args.index)?;
            (SavedIndex { names, width: rows[0].len(), values: rows.concat() }, num_failed)
        }
    };
    let queries = embed(&args.query)?;
    let num_failed = num_left_out + queries.num_failed;
    let searched = Embeddings::new(&index.values, index.width).map_err(Failure::failed)?;
    for (query, row) in queries.names.iter().zip(&queries.rows) {
        let neighbours = nearest(&searched, row, args.top, trained.metric()).map_err(Failure::failed)?;
        let hit = |found: Neighbour| Hit { path: &index.names[found.index], distance: found.distance };
        let found = Found { query, neighbours: neighbours.into_iter().map(hit).collect() };
        if args.json {
            output::bytes(&output::json_line(&found)?)?;
        } else {
            output::text(&table(&found))?;
        }
    }
    if num_failed > 0 { Err(Failure::status_only(BAD_DATA)) } else { Ok(()) }
}

fn table(found: &Found<'_>) -> String {
    let mut table = Table::new(&[("", Align::Right), ("distance", Align::Right), ("image", Align::Left)]);
    for (place, hit) in found.neighbours.iter().enumerate() {
        table.row([(place + 1).to_string(), format!("{:.4}", hit.distance), hit.path.to_owned()]);
    }
    format!("{}\n{}", shown(found.query), table.render())
}
