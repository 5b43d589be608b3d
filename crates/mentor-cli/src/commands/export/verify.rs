//! Compares an exported file, run by the second engine, with the model that it was made of.

use std::sync::Arc;

use anyhow::anyhow;
use mentor_data::{Dataset, ImageFormat, Reading, Split};
use mentor_export::{Answers, Comparison, ExportError, Input, OnnxModel, Pictures, Rows};
use mentor_metrics::classification::ranked;
use mentor_metrics::evenly_spread;
use mentor_model::Head;
use mentor_train::TrainedModel;
use serde::Serialize;

use crate::commands::eval::data::images;
use crate::commands::part::Part;
use crate::terminal::error::Failure;
use crate::terminal::reading::ReadingBar;
use crate::terminal::table::count;

/// Pictures that are compared at most, evenly spread over the split.
const MAX_PICTURES: usize = 1000;
/// Of these, pictures that are compared at other sizes too.
const MAX_RESIZED: usize = 64;
/// Pictures of one pass.
const BATCH: usize = 64;
/// The share of pictures at other sizes that must have the same class.
const RESIZED_AGREEMENT: f64 = 0.995;
/// The largest distance of two embeddings at other sizes, as a share of their length.
const RESIZED_DISTANCE: f64 = 0.05;

/// What a verification found.
#[derive(Serialize)]
pub(super) struct Verification {
    engine: &'static str,
    data: String,
    split: Part,
    /// Pictures of the model's own size.
    pictures: Comparison,
    /// Pictures of other sizes, which the file resizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    resized: Option<Comparison>,
}

impl Verification {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("verified by", format!("{}, on {}, {}", self.engine, self.data, self.split))];
        let both = [("pictures", Some(&self.pictures)), ("at other sizes", self.resized.as_ref())];
        lines.extend(both.into_iter().filter_map(|(name, found)| Some((name, described(found?)))));
        lines
    }
}

fn described(found: &Comparison) -> String {
    format!(
        "{} of {} with the same class; probabilities differ by at most {:.1e}, embeddings by {:.1e}",
        count(found.num_same_class as u64),
        count(found.num_pictures as u64),
        found.max_probability_difference,
        found.max_embedding_difference,
    )
}

/// Runs the file on validation pictures.
///
/// # Errors
///
/// When the pictures cannot be read, the engine does not run the file, or the answers differ.
pub(super) fn verify(
    trained: &TrainedModel,
    data: Option<&str>,
    exported: &OnnxModel,
) -> Result<Verification, Failure> {
    let data = data_of(trained, data)?;
    let split = Part::Split(Split::Val);
    let dataset = images(trained, data, split)?;
    let chosen: Vec<usize> = evenly_spread(dataset.len(), MAX_PICTURES).collect();
    let mut pictures = Comparison::default();
    let bar = ReadingBar::new(false);
    for (batch, indices) in chosen.chunks(BATCH).enumerate() {
        bar.show(Reading { what: "verifying", done: (batch * BATCH) as u64, total: chosen.len() as u64 });
        let images = read(&dataset, indices)?;
        let expected = answers(trained, &images)?;
        let found = answered(trained, exported, &images)?;
        pictures.add(&expected, &found);
    }
    if !pictures.is_equal() {
        return Err(ExportError::Disagreement { difference: described(&pictures) }.into());
    }
    let resized = match exported.input() {
        Input::Image => {
            let few: Vec<usize> = chosen.into_iter().take(MAX_RESIZED).collect();
            Some(resized(trained, exported, &read(&dataset, &few)?)?)
        }
        Input::Tensor => None,
    };
    Ok(Verification { engine: "rten", data: data.to_owned(), split, pictures, resized })
}

/// The data that `--data` names, or those of the training.
pub(super) fn data_of<'a>(trained: &'a TrainedModel, named: Option<&'a str>) -> Result<&'a str, Failure> {
    named.or(trained.file.data.source.as_deref()).ok_or_else(|| {
        let error = anyhow!("the run was trained on images of a program, which are not here");
        Failure::usage(error).help("name pictures with --data")
    })
}

/// What the file answers for images in the model's format.
pub(super) fn answered(
    trained: &TrainedModel,
    exported: &OnnxModel,
    images: &[Vec<u8>],
) -> Result<Answers, ExportError> {
    let format = trained.format();
    match exported.input() {
        Input::Image => {
            let bytes: Vec<u8> = images.iter().flat_map(|image| in_colour(format, image)).collect();
            let (height, width) = (format.height, format.width);
            exported.answer(Pictures::Images { bytes: &bytes, height, width })
        }
        Input::Tensor => exported.answer(Pictures::Tensors(&trained.file.preprocessing.normalised(images))),
    }
}

/// The answers for the pictures at other sizes, each at its own.
fn resized(trained: &TrainedModel, exported: &OnnxModel, images: &[Vec<u8>]) -> Result<Comparison, Failure> {
    let own = trained.format();
    let mut comparison = Comparison::default();
    for (index, image) in images.iter().enumerate() {
        let (height, width) = match index % 4 {
            0 => (2 * own.height + 1, 2 * own.width + 1),
            1 => (3 * own.height, 2 * own.width + 3),
            2 => (own.height + 5, 4 * own.width),
            _ => (own.height.div_ceil(2), own.width),
        };
        let other = ImageFormat::new(own.channels, height, width);
        let picture = other.convert(own, image);
        let expected = answers(trained, &[own.convert(&other, &picture)])?;
        let bytes = in_colour(&other, &picture);
        let found = exported.answer(Pictures::Images { bytes: &bytes, height, width });
        comparison.add(&expected, &found?);
    }
    let num_others = comparison.num_pictures - comparison.num_same_class;
    let is_classifier = matches!(trained.file.spec.head, Head::Classifier { .. });
    let agrees = match is_classifier {
        // One picture of few is more than the share that may differ.
        true => num_others <= 1 || comparison.agreement() >= RESIZED_AGREEMENT,
        false => comparison.max_embedding_difference <= RESIZED_DISTANCE,
    };
    if agrees {
        return Ok(comparison);
    }
    let difference = format!("at other sizes, {}", described(&comparison));
    Err(ExportError::Disagreement { difference }.into())
}

/// Images of the data set, in its format.
pub(super) fn read(dataset: &Arc<Dataset>, indices: &[usize]) -> Result<Vec<Vec<u8>>, Failure> {
    let len = dataset.format().num_values();
    let image = |&index: &usize| {
        let mut image = vec![0; len];
        dataset.read(index, &mut image)?;
        Ok(image)
    };
    indices.iter().map(image).collect()
}

/// What mentor answers for images in the model's format.
fn answers(trained: &TrainedModel, images: &[Vec<u8>]) -> Result<Answers, Failure> {
    let embedding = trained.embeddings(images).map_err(Failure::failed)?;
    let embedding = Rows { values: embedding.values, width: embedding.width };
    let probabilities = match trained.file.spec.head {
        Head::Embedding { .. } => None,
        Head::Classifier { .. } => {
            let scores = trained.calibrated_scores(images).map_err(Failure::failed)?;
            let width = scores.width;
            let mut values = vec![0.0; scores.values.len()];
            for (row, values) in scores.iter().zip(values.chunks_exact_mut(width)) {
                ranked(row).into_iter().for_each(|(class, p)| values[class] = p as f32);
            }
            Some(Rows { values, width })
        }
    };
    Ok(Answers { probabilities, embedding })
}

/// `[height, width, 3]` of an image `[channels, height, width]`.
fn in_colour(format: &ImageFormat, image: &[u8]) -> Vec<u8> {
    let plane = format.height * format.width;
    let last = format.channels - 1;
    (0..plane)
        .flat_map(|pixel| [0, 1, 2].map(|channel: usize| image[channel.min(last) * plane + pixel]))
        .collect()
}
