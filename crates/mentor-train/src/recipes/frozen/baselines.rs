//! What needs no training: the nearest class mean and the nearest neighbour, on features and on pixels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mentor_data::Dataset;
use mentor_metrics::evenly_spread;
use mentor_metrics::retrieval::Metric;
use rayon::prelude::*;

use crate::analysis::pixels::{MAX_IMAGES, pixels, precision_at_1};
use crate::engine::error::TrainError;

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
    let of_pixels = pixels(dataset, &chosen, stop)?;
    let neighbours = |rows: &[Vec<f32>]| precision_at_1(rows, &targets, Metric::Euclidean, stop);
    let measures = [
        ("nearest_mean_accuracy", means(&of_features, &targets, &counts)),
        ("nearest_neighbour_accuracy", neighbours(&of_features)?.unwrap_or(0.0)),
        ("pixels_nearest_neighbour_accuracy", neighbours(&of_pixels)?.unwrap_or(0.0)),
    ];
    Ok(measures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Divided by its length, so that distances are those of directions.
fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    row.iter().map(|value| value / length).collect()
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
        // The fifth sample has nobody of its own class.
        let rows: Vec<Vec<f32>> = [0.0, 1.0, 8.0, 9.0, 30.0].map(|value| vec![value]).to_vec();
        let (targets, counts) = ([0, 0, 0, 1, 2], [3, 1, 1]);
        // Means of the others: 4.5, 4 and 0.5 against 9 and 30.
        assert_eq!(means(&rows, &targets, &counts), 2.0 / 3.0);
        assert_eq!(unit(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(unit(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
