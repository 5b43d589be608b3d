//! Features of whole data sets, for what is done with them outside training: choices, checks, neighbours.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mentor_backbone::Backbone;
use mentor_data::{DataError, Dataset, ImageFormat, ReadObserver, Resize, Source};

use super::{Extractor, Features};
use crate::inference::TrainedModel;
use crate::inference::error::InferenceError;
use crate::inference::frozen::preprocessing_of;

/// Values of an image whose pixels are features, at most.
const MAX_PIXELS: usize = 32 * 32;
/// The side of what a larger image becomes.
const SMALL: usize = 16;
/// Images of one pass through a trained model.
const BATCH: usize = 256;

/// What gives an image its features.
#[derive(Clone, Copy)]
pub enum FeaturesOf<'a> {
    /// A pretrained network.
    Backbone(&'a Backbone),
    /// A trained model: its embeddings, of a classifier the input of its last layer.
    Model(&'a TrainedModel),
    /// The pixels themselves, from 0 to 1; of images of more than 1,024 values those of 16x16.
    Pixels,
}

/// Features of some data sets.
#[derive(Clone, Debug)]
pub struct FeatureRows {
    /// Of each data set `[N, width]`, in its order.
    pub rows: Vec<Vec<f32>>,
    /// Values of an image.
    pub width: usize,
    /// Why features of a network could not be kept for the next time.
    pub warnings: Vec<String>,
}

impl FeaturesOf<'_> {
    /// The format that images must be loaded in.
    pub fn format(&self, source: &Source) -> ImageFormat {
        match self {
            Self::Backbone(backbone) => preprocessing_of(backbone).format,
            Self::Model(model) => model.format().clone(),
            Self::Pixels if source.format().num_values() <= MAX_PIXELS => source.format().clone(),
            Self::Pixels => {
                let channels = source.format().channels;
                ImageFormat { channels, height: SMALL, width: SMALL, resize: Resize::default() }
            }
        }
    }

    /// The features of all images of `datasets`, each in [`FeaturesOf::format`]. Those of a pretrained
    /// network are found in `folder` and kept there, if one is given.
    ///
    /// # Errors
    ///
    /// If an image cannot be read, or the observer says stop.
    pub fn rows(
        &self,
        datasets: &[&Arc<Dataset>],
        folder: Option<&Path>,
        observer: &ReadObserver,
    ) -> Result<FeatureRows, DataError> {
        let mut warnings = Vec::new();
        let rows = match self {
            Self::Backbone(backbone) => {
                let (preprocessing, stop) = (&preprocessing_of(backbone), &AtomicBool::new(false));
                let extractor = Extractor { backbone, preprocessing, folder, observer, stop };
                let Features { rows, warnings: said, .. } =
                    extractor.features(datasets).map_err(InferenceError::of_data)?;
                warnings = said;
                rows
            }
            Self::Model(model) => {
                datasets.iter().map(|dataset| model.embed(dataset, BATCH)).collect::<Result<_, _>>()?
            }
            Self::Pixels => datasets.iter().map(|dataset| pixels(dataset)).collect::<Result<_, _>>()?,
        };
        let first = rows.iter().zip(datasets).find(|(_, dataset)| !dataset.is_empty());
        let width = first.map_or(1, |(rows, dataset): (&Vec<f32>, _)| rows.len() / dataset.len());
        Ok(FeatureRows { rows, width, warnings })
    }
}

fn pixels(dataset: &Dataset) -> Result<Vec<f32>, DataError> {
    let mut values = Vec::with_capacity(dataset.len() * dataset.format().num_values());
    let mut image = vec![0; dataset.format().num_values()];
    for index in 0..dataset.len() {
        dataset.read(index, &mut image)?;
        values.extend(image.iter().map(|&byte| f32::from(byte) / 255.0));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use mentor_data::OpenOptions;

    use super::*;

    #[test]
    fn pixels_are_features_between_0_and_1() {
        let source = Source::open_undivided("digits", &OpenOptions::default()).unwrap();
        let dataset = Arc::new(source.load_all_as(&FeaturesOf::Pixels.format(&source)).unwrap());
        let found = FeaturesOf::Pixels.rows(&[&dataset], None, &ReadObserver::default()).unwrap();
        assert_eq!((found.width, found.rows[0].len()), (64, 64 * 1797));
        assert!(found.rows[0].iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
