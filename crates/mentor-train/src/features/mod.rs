//! Features of the images of a data set by a pretrained network: each image is computed once, and kept in a
//! folder for later runs.

mod cache;
mod of_images;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mentor_backbone::Backbone;
use mentor_data::{Dataset, Preprocessing, ReadObserver, Reading};

pub use of_images::{FeatureRows, FeaturesOf};

use self::cache::FeatureCache;
use self::segment::{ImageHash, Row};
use crate::inference::error::{InferenceError, go_on};
use crate::inference::evaluate::in_order;

/// Images whose pixels are held at once, while the next are decoded.
const BATCH: usize = 32;

/// What computes features, and where they are kept.
pub(crate) struct Extractor<'a> {
    pub(crate) backbone: &'a Backbone,
    pub(crate) preprocessing: &'a Preprocessing,
    /// The folder of all networks' features; `None` keeps none.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) observer: &'a ReadObserver,
    pub(crate) stop: &'a AtomicBool,
}

/// The features of the images of data sets.
pub(crate) struct Features {
    /// Of each data set `[N, D]`, in its order.
    pub(crate) rows: Vec<Vec<f32>>,
    /// Images that were computed.
    pub(crate) num_computed: usize,
    /// Images that were found in the folder.
    pub(crate) num_found: usize,
    /// Why features could not be kept.
    pub(crate) warnings: Vec<String>,
}

impl Extractor<'_> {
    /// The features of all images of `datasets`, in the format of the preprocessing.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, or work is to stop. What was computed until then is kept.
    pub(crate) fn features(&self, datasets: &[&Arc<Dataset>]) -> Result<Features, InferenceError> {
        let num_features = self.backbone.network.num_features();
        let cache = FeatureCache::new(self.folder, &self.key(), num_features);
        let images =
            |dataset: &Dataset| (0..dataset.len()).map(|index| *dataset.image_blake3(index)).collect();
        let images: Vec<Vec<ImageHash>> = datasets.iter().map(|dataset| images(dataset)).collect();
        let mut known = cache.read(images.iter().flatten());
        let num_found = known.len();
        let missing: Vec<Vec<u32>> = images.iter().map(|images| missing(images, &known)).collect();
        let total = missing.iter().map(Vec::len).sum::<usize>() as u64;
        let mut work =
            Work { extractor: self, cache, fresh: Vec::new(), done: 0, total, warnings: Vec::new() };
        for ((dataset, images), missing) in datasets.iter().zip(&images).zip(&missing) {
            let outcome = work.compute(dataset, images, missing, &mut known);
            work.keep(0);
            outcome?;
        }
        let row = |image: &ImageHash| known.get(image).map_or(&[][..], |row| row);
        let rows = images.iter().map(|images| images.iter().flat_map(row).copied().collect()).collect();
        Ok(Features { rows, num_computed: work.done, num_found, warnings: work.warnings })
    }

    /// All that decides what the features of an image are, beside the image.
    fn key(&self) -> blake3::Hash {
        let Backbone { architecture, weights_blake3, .. } = self.backbone;
        let preprocessing = serde_json::to_string(self.preprocessing).expect("plain data");
        let parts =
            [env!("CARGO_PKG_VERSION"), architecture.name, weights_blake3.to_hex().as_str(), &preprocessing]
                .join("\n");
        blake3::hash(parts.as_bytes())
    }
}

/// The first sample of each image that is not known.
fn missing(images: &[ImageHash], known: &HashMap<ImageHash, Row>) -> Vec<u32> {
    let mut seen = std::collections::HashSet::new();
    let first = |(_, image): &(usize, &ImageHash)| !known.contains_key(*image) && seen.insert(**image);
    images.iter().enumerate().filter(first).map(|(index, _)| index as u32).collect()
}

/// The images that are not known are computed.
struct Work<'a> {
    extractor: &'a Extractor<'a>,
    cache: FeatureCache<'a>,
    /// Not kept yet.
    fresh: Vec<(ImageHash, Row)>,
    done: usize,
    total: u64,
    warnings: Vec<String>,
}

impl Work<'_> {
    fn compute(
        &mut self,
        dataset: &Dataset,
        images: &[ImageHash],
        missing: &[u32],
        known: &mut HashMap<ImageHash, Row>,
    ) -> Result<(), InferenceError> {
        let Extractor { backbone, preprocessing, observer, stop, .. } = *self.extractor;
        if missing.is_empty() {
            return Ok(());
        }
        let subset = Arc::new(dataset.subset(missing));
        for batch in in_order(&subset, preprocessing, BATCH).epoch(0, 0) {
            go_on(stop)?;
            let batch = batch?;
            let [_, channels, height, width] = batch.shape;
            let pixels = channels_last(&batch.pixels, channels, height * width);
            let features = backbone.network.features(&pixels, [height, width]);
            let rows = features.chunks_exact(backbone.network.num_features());
            for (&sample, row) in batch.samples.iter().zip(rows) {
                let image = images[missing[sample as usize] as usize];
                known.insert(image, row.into());
                self.fresh.push((image, row.into()));
            }
            self.done += batch.samples.len();
            self.keep(segment::MAX_ROWS);
            let (done, total) = (self.done as u64, self.total);
            observer.tell(Reading { what: "computing features", done, total })?;
        }
        Ok(())
    }

    /// Keeps what is not kept yet, if it is that many rows.
    fn keep(&mut self, least: usize) {
        while !self.fresh.is_empty() && self.fresh.len() >= least {
            let rest = self.fresh.split_off(self.fresh.len().min(segment::MAX_ROWS));
            let rows = std::mem::replace(&mut self.fresh, rest);
            // Without them the next run takes longer, and that is all.
            if let Err(reason) = self.cache.write(&rows)
                && self.warnings.is_empty()
            {
                self.warnings.push(format!("features are not kept for the next run: {reason}"));
            }
        }
    }
}

/// Images `[channel, pixel]` as `[pixel, channel]`.
fn channels_last(planes: &[f32], channels: usize, num_pixels: usize) -> Vec<f32> {
    let mut pixels = vec![0.0; planes.len()];
    let images =
        planes.chunks_exact(channels * num_pixels).zip(pixels.chunks_exact_mut(channels * num_pixels));
    for (planes, pixels) in images {
        for (channel, plane) in planes.chunks_exact(num_pixels).enumerate() {
            pixels.iter_mut().skip(channel).step_by(channels).zip(plane).for_each(|(to, from)| *to = *from);
        }
    }
    pixels
}
