//! What needs no training: the nearest class mean and the nearest neighbour, on features and on pixels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mentor_data::{Dataset, ImageFormat};
use mentor_metrics::evenly_spread;
use mentor_metrics::retrieval::{Embeddings, RetrievalOptions, evaluate_until};
use rayon::prelude::*;

use crate::engine::error::TrainError;
use crate::inference::error::{InferenceError, go_on};

/// Images that are compared with each other, at most.
const MAX_IMAGES: usize = 2000;
/// Side of the images whose pixels are compared.
const SIDE: usize = 32;

/// Accuracies on training images, each judged by the others, by name. Empty if no class has two.
pub(super) fn baselines(
    dataset: &Arc<Dataset>,
    features: &[f32],
    stop: &AtomicBool,
) -> Result<BTreeMap<String, f64>, TrainError> {
    let num_features = features.len() / dataset.len().max(1);
    let chosen: Vec<usize> = evenly_spread(dataset.len(), MAX_IMAGES).collect();
    let targets: Vec<u32> = chosen.iter().map(|&sample| dataset.targets()[sample]).collect();
    let mut counts = vec![0; dataset.classes().len()];
    targets.iter().for_each(|&target| counts[target as usize] += 1);
    if counts.iter().all(|&count| count < 2) {
        return Ok(BTreeMap::new());
    }
    let of_features = |&sample: &usize| unit(&features[sample * num_features..][..num_features]);
    let of_features: Vec<Vec<f32>> = chosen.iter().map(of_features).collect();
    let small = ImageFormat::new(dataset.format().channels, SIDE, SIDE);
    let pixels = |&sample: &usize| -> Result<Vec<f32>, InferenceError> {
        let mut image = vec![0; dataset.format().num_values()];
        go_on(stop)?;
        dataset.read(sample, &mut image)?;
        Ok(small.convert(dataset.format(), &image).into_iter().map(f32::from).collect())
    };
    let of_pixels: Vec<Vec<f32>> = chosen.par_iter().map(pixels).collect::<Result<_, _>>()?;
    let measures = [
        ("nearest_mean_accuracy", means(&of_features, &targets, &counts)),
        ("nearest_neighbour_accuracy", neighbours(&of_features, &targets, stop)?),
        ("pixels_nearest_neighbour_accuracy", neighbours(&of_pixels, &targets, stop)?),
    ];
    Ok(measures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Divided by its length, so that distances are those of directions.
fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    row.iter().map(|value| value / length).collect()
}

/// Share of the samples, of classes with at least two, whose nearest other one has their class.
fn neighbours(rows: &[Vec<f32>], targets: &[u32], stop: &AtomicBool) -> Result<f64, TrainError> {
    let values = rows.concat();
    let embeddings = Embeddings::new(&values, rows[0].len())?;
    // Nobody looks at the intervals.
    let options = RetrievalOptions { num_resamples: 1, ..RetrievalOptions::default() };
    let found = evaluate_until(&embeddings, targets, None, &options, stop)?.ok_or(TrainError::Interrupted)?;
    Ok(found.precision_at_1.unwrap_or(0.0))
}

/// Share of the samples that are nearest to the mean of the others of their class.
fn means(rows: &[Vec<f32>], targets: &[u32], counts: &[usize]) -> f64 {
    let mut sums = vec![vec![0.0; rows[0].len()]; counts.len()];
    for (row, &target) in rows.iter().zip(targets) {
        sums[target as usize].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let distance = |sample: usize, class: usize| -> f32 {
        let own = targets[sample] as usize == class;
        let count = (counts[class] - usize::from(own)) as f32;
        let pairs = rows[sample].iter().zip(&sums[class]);
        let without = |value: f32, sum: f32| (if own { sum - value } else { sum }) / count;
        pairs.map(|(&value, &sum)| (value - without(value, sum)).powi(2)).sum()
    };
    let judged: Vec<usize> = (0..rows.len()).filter(|&sample| counts[targets[sample] as usize] > 1).collect();
    let is_right = |&&sample: &&usize| {
        let own = targets[sample] as usize;
        let others = (0..counts.len()).filter(|&class| class != own && counts[class] > 0);
        let to_own = distance(sample, own);
        others.map(|class| distance(sample, class)).all(|other| to_own < other)
    };
    judged.par_iter().filter(is_right).count() as f64 / judged.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_judged_by_the_others() {
        // The third sample is nearest to one of the other class, and the fifth has nobody of its own.
        let rows: Vec<Vec<f32>> = [0.0, 1.0, 8.0, 9.0, 30.0].map(|value| vec![value]).to_vec();
        let (targets, counts) = ([0, 0, 0, 1, 2], [3, 1, 1]);
        assert_eq!(neighbours(&rows, &targets, &AtomicBool::new(false)).unwrap(), 2.0 / 3.0);
        // Means of the others: 4.5, 4 and 0.5 against 9 and 30.
        assert_eq!(means(&rows, &targets, &counts), 2.0 / 3.0);
        assert_eq!(unit(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(unit(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
