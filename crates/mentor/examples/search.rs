//! Search by example: embeds a gallery once, and finds the images that are nearest to a query.
//!
//! `cargo run --release --example search`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::sync::Arc;

use mentor::burn::tensor::Device;
use mentor::data::{OpenOptions, Source, Split};
use mentor::metrics::retrieval::{Embeddings, nearest};
use mentor::run::Config;
use mentor::train::{Execution, Plan, TrainedModel, train};

const CONFIG: &str = "
data.source = 'digits'
data.classes_per_batch = 10
data.samples_per_class = 8
model.name = 'mlp:64'
model.embedding_size = 16
loss.name = 'triplet'
training.epochs = 8
";

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (run, device) = (folder.path().join("run"), Device::flex());
    let plan = Plan::try_from(Config::from_toml(CONFIG, "example", &[])?)?;
    train(&plan, &run, &Execution::new(&device))?;

    let model = TrainedModel::load(&run, &device)?;

    // The gallery: one row an image. Written to a file, it serves every later query.
    let source = Source::open("digits", &OpenOptions::default())?;
    let gallery = Arc::new(source.load_as(Split::Train, model.format())?);
    let values = model.embed(&gallery, 256)?;
    let index = Embeddings::new(&values, values.len() / gallery.len())?;

    // Queries are images of any program, in the model's format.
    let test = source.load_as(Split::Test, model.format())?;
    let mut right = 0;
    for number in 0..20 {
        let mut image = vec![0; model.format().num_values()];
        test.read(number, &mut image)?;
        let query = model.embeddings(&[image])?;
        let found = nearest(&index, &query.values, 3, model.metric())?;
        let class = |sample: usize| gallery.classes()[gallery.targets()[sample] as usize].as_str();
        if number == 0 {
            for neighbour in &found {
                println!(
                    "{} (a {}), distance {:.3}",
                    gallery.id(neighbour.index),
                    class(neighbour.index),
                    neighbour.distance
                );
            }
        }
        right += usize::from(gallery.targets()[found[0].index] == test.targets()[number]);
    }
    println!("of {right} of 20 digits the nearest image shows the same digit");
    assert!(right >= 17);
    Ok(())
}
