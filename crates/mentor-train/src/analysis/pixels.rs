//! What needs no model: which image is nearest by its pixels.

use std::sync::atomic::AtomicBool;

use mentor_data::{Dataset, ImageFormat};
use mentor_metrics::evenly_spread;
use mentor_metrics::retrieval::{Embeddings, Metric, RetrievalOptions, evaluate_until};
use mentor_run::records::embeddings::PixelBaseline;
use rayon::prelude::*;

use crate::analysis::error::AnalysisError;
use crate::inference::error::{InferenceError, go_on};

/// Images that are compared with each other, at most.
pub(crate) const MAX_IMAGES: usize = 2000;
/// Side of the images whose pixels are compared.
const SIDE: usize = 32;

/// P@1 of pixels beside that of embeddings, on the same images; none if no class has two of them.
pub(crate) fn baseline(
    dataset: &Dataset,
    embeddings: &Embeddings<'_>,
    metric: Metric,
    stop: &AtomicBool,
) -> Result<Option<PixelBaseline>, AnalysisError> {
    let chosen: Vec<usize> = evenly_spread(dataset.len(), MAX_IMAGES).collect();
    let targets: Vec<u32> = chosen.iter().map(|&sample| dataset.targets()[sample]).collect();
    let rows: Vec<Vec<f32>> = chosen.iter().map(|&sample| embeddings.row(sample).to_vec()).collect();
    let Some(of_embeddings) = precision_at_1(&rows, &targets, metric, stop)? else { return Ok(None) };
    let pixels = pixels(dataset, &chosen, stop)?;
    let of_pixels = precision_at_1(&pixels, &targets, Metric::Euclidean, stop)?;
    Ok(of_pixels.map(|of_pixels| PixelBaseline {
        num_images: chosen.len(),
        precision_at_1: of_pixels,
        embeddings_precision_at_1: of_embeddings,
    }))
}

/// The pixels of these samples, brought to 32×32.
pub(crate) fn pixels(
    dataset: &Dataset,
    samples: &[usize],
    stop: &AtomicBool,
) -> Result<Vec<Vec<f32>>, AnalysisError> {
    let small = ImageFormat::new(dataset.format().channels, SIDE, SIDE);
    let pixels = |&sample: &usize| -> Result<Vec<f32>, AnalysisError> {
        let mut image = vec![0; dataset.format().num_values()];
        go_on(stop)?;
        dataset.read(sample, &mut image)?;
        Ok(small.convert(dataset.format(), &image).into_iter().map(f32::from).collect())
    };
    samples.par_iter().map(pixels).collect()
}

/// Share of the samples, of classes with at least two, whose nearest other one has their class; none if there
/// is no such class.
pub(crate) fn precision_at_1(
    rows: &[Vec<f32>],
    targets: &[u32],
    metric: Metric,
    stop: &AtomicBool,
) -> Result<Option<f64>, AnalysisError> {
    let Some(width) = rows.first().map(Vec::len) else { return Ok(None) };
    let values = rows.concat();
    let embeddings = Embeddings::new(&values, width)?;
    // Nobody looks at the intervals.
    let options = RetrievalOptions { metric, num_resamples: 1, ..RetrievalOptions::default() };
    let found = evaluate_until(&embeddings, targets, None, &options, stop)?;
    Ok(found.ok_or(InferenceError::Interrupted)?.precision_at_1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_judged_by_the_others() {
        // The third sample is nearest to one of the other class, and the fifth has nobody of its own.
        let rows: Vec<Vec<f32>> = [0.0, 1.0, 8.0, 9.0, 30.0].map(|value| vec![value]).to_vec();
        let found = |targets: &[u32]| {
            precision_at_1(&rows[..targets.len()], targets, Metric::Euclidean, &AtomicBool::new(false))
        };
        assert_eq!(found(&[0, 0, 0, 1, 2]).unwrap(), Some(2.0 / 3.0));
        assert_eq!(found(&[0, 1, 2]).unwrap(), None);
        assert_eq!(found(&[]).unwrap(), None);
    }
}
