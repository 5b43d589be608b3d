//! Proptest inputs: batches of scores with their targets.

use burn::tensor::{Device, Int, Tensor, TensorData};
use proptest::prelude::*;

/// Scores `[N, C]`, row-major, with a target for each row.
#[derive(Clone, Debug)]
pub struct ScoredBatch {
    /// The scores.
    pub scores: Vec<f32>,
    /// C, at least 1.
    pub num_classes: usize,
    /// One class for each sample.
    pub targets: Vec<usize>,
}

impl ScoredBatch {
    /// N.
    pub fn num_samples(&self) -> usize {
        self.targets.len()
    }

    /// The scores in `f64`, for an oracle.
    pub fn scores_f64(&self) -> Vec<f64> {
        self.scores.iter().map(|&score| f64::from(score)).collect()
    }

    /// The scores as a tensor `[N, C]`.
    pub fn scores_on(&self, device: &Device) -> Tensor<2> {
        let data = TensorData::new(self.scores.clone(), [self.num_samples(), self.num_classes]);
        Tensor::from_data(data, device)
    }

    /// The targets as a tensor `[N]`.
    pub fn targets_on(&self, device: &Device) -> Tensor<1, Int> {
        let targets: Vec<i64> = self.targets.iter().map(|&target| target as i64).collect();
        Tensor::from_data(TensorData::new(targets, [self.num_samples()]), device)
    }

    /// The same batch with its classes renamed: class c becomes `order[c]`.
    #[must_use]
    pub fn with_classes_permuted(&self, order: &[usize]) -> Self {
        let mut scores = vec![0.0; self.scores.len()];
        for (index, &score) in self.scores.iter().enumerate() {
            let (sample, class) = (index / self.num_classes, index % self.num_classes);
            scores[sample * self.num_classes + order[class]] = score;
        }
        let targets = self.targets.iter().map(|&target| order[target]).collect();
        Self { scores, num_classes: self.num_classes, targets }
    }
}

/// Batches of 1 to 8 samples and 1 to 7 classes, with scores from −`limit` to `limit`.
///
/// One in four scores is an integer, so that ties and exact margins occur.
pub fn scored_batch(limit: f32) -> impl Strategy<Value = ScoredBatch> {
    let score = prop_oneof![
        3 => -limit..limit,
        1 => (-limit..limit).prop_map(f32::round),
    ];
    (1usize..=8, 1usize..=7).prop_flat_map(move |(num_samples, num_classes)| {
        let scores = prop::collection::vec(score.clone(), num_samples * num_classes);
        let targets = prop::collection::vec(0..num_classes, num_samples);
        (scores, targets).prop_map(move |(scores, targets)| ScoredBatch { scores, num_classes, targets })
    })
}

/// A batch as [`scored_batch`] with a permutation of its classes.
pub fn scored_batch_and_class_order(limit: f32) -> impl Strategy<Value = (ScoredBatch, Vec<usize>)> {
    scored_batch(limit).prop_flat_map(|batch| {
        let order = Just((0..batch.num_classes).collect::<Vec<_>>()).prop_shuffle();
        (Just(batch), order)
    })
}

/// Rows of `num_classes` probabilities that add up to 1, row-major; some are exactly 0.
pub fn probability_rows(num_samples: usize, num_classes: usize) -> impl Strategy<Value = Vec<f32>> {
    let shares = prop::collection::vec(0u32..=4, num_samples * num_classes);
    shares.prop_map(move |mut shares| {
        let mut probs = Vec::with_capacity(shares.len());
        for row in shares.chunks_exact_mut(num_classes) {
            row[0] += 1; // no row of zeros
            let sum: u32 = row.iter().sum();
            probs.extend(row.iter().map(|&share| share as f32 / sum as f32));
        }
        probs
    })
}
