//! The health of embeddings in training: the figures of each epoch and a diagnosis in one line.

use serde::{Deserialize, Serialize};

use super::event::EpochMetrics;

/// What an epoch saw of its embeddings, before each update; means over its batches.
///
/// The cases are those of the triplet loss with margin m and one predicate, d_ap + m > d_an: easy triplets
/// have d_an ≥ d_ap + m, hard ones d_an ≤ d_ap, semi-hard ones lie between. Their shares add up to 1, of all
/// valid triplets of the batches, whatever is mined. What no batch defines is `None`: shares without a
/// triplet, distances without a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochHealth {
    /// From 0.
    pub epoch: usize,
    /// Share of easy triplets.
    pub easy: Option<f64>,
    /// Share of semi-hard triplets.
    pub semi_hard: Option<f64>,
    /// Share of hard triplets.
    pub hard: Option<f64>,
    /// Share of the terms of the loss that are above 0.
    pub active: Option<f64>,
    /// Mean distance of positive pairs.
    pub mean_positive_distance: Option<f64>,
    /// Mean distance of negative pairs.
    pub mean_negative_distance: Option<f64>,
    /// Mean length of an embedding.
    pub embedding_norm: f64,
    /// Root mean square distance of the embeddings from their mean.
    pub embedding_spread: f64,
}

impl EpochHealth {
    /// What the metrics of an epoch say; `None` where its loss ranks no embeddings.
    pub fn of(metrics: &EpochMetrics) -> Option<Self> {
        let measure = |name: &str| metrics.measures.get(name).copied();
        Some(Self {
            epoch: metrics.epoch,
            easy: measure("share_easy"),
            semi_hard: measure("share_semi_hard"),
            hard: measure("share_hard"),
            active: measure("share_active"),
            mean_positive_distance: measure("mean_positive_distance"),
            mean_negative_distance: measure("mean_negative_distance"),
            embedding_norm: measure("embedding_norm")?,
            embedding_spread: measure("embedding_spread")?,
        })
    }
}

/// What the numbers of an epoch mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Diagnosis {
    /// Nothing stands out.
    Healthy,
    /// All embeddings are about one point: the spread is below 1 % of the length, or all distances are below
    /// a tenth of the margin, so that the loss stands at the margin.
    Collapsed,
    /// Fewer than 1 % of the terms give a gradient.
    Starved,
    /// Lengths have grown tenfold since the first epoch, or are no numbers.
    Exploding,
}

impl Diagnosis {
    /// The diagnosis of the last of `epochs`; healthy without any. `margin` is that of the loss.
    pub fn of(epochs: &[EpochHealth], margin: f64) -> Self {
        let (Some(first), Some(last)) = (epochs.first(), epochs.last()) else { return Self::Healthy };
        let distances = [last.mean_positive_distance, last.mean_negative_distance];
        let mut numbers =
            [Some(last.embedding_norm), Some(last.embedding_spread)].into_iter().chain(distances).flatten();
        let near_zero =
            distances.iter().all(|distance| distance.is_some_and(|distance| distance < 0.1 * margin));
        if numbers.any(|number| !number.is_finite()) || last.embedding_norm > 10.0 * first.embedding_norm {
            Self::Exploding
        } else if last.embedding_spread <= 0.01 * last.embedding_norm || near_zero {
            Self::Collapsed
        } else if last.active.is_some_and(|active| active < 0.01) {
            Self::Starved
        } else {
            Self::Healthy
        }
    }

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Collapsed => "collapsed",
            Self::Starved => "starved",
            Self::Exploding => "exploding",
        }
    }

    /// What it means and what to try, as the rest of a sentence after its name.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Healthy => "classes move apart, and triplets or pairs are still active",
            Self::Collapsed => {
                "all embeddings are about one point; lower the learning rate, mine semi-hard instead of \
                 hard, or use the soft margin"
            }
            Self::Starved => {
                "hardly any term is active; mine harder triplets, take more classes a batch, raise the \
                 margin, or stop here"
            }
            Self::Exploding => {
                "embeddings grow without bound; give them unit length, lower the learning rate, or penalise \
                 the weights"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(active: f64, distances: [f64; 2], norm: f64, spread: f64) -> EpochHealth {
        EpochHealth {
            epoch: 0,
            easy: Some(1.0 - active),
            semi_hard: Some(active),
            hard: Some(0.0),
            active: Some(active),
            mean_positive_distance: Some(distances[0]),
            mean_negative_distance: Some(distances[1]),
            embedding_norm: norm,
            embedding_spread: spread,
        }
    }

    #[test]
    fn each_diagnosis_has_its_case() {
        let start = epoch(0.5, [0.9, 1.2], 1.0, 0.9);
        let last = |last: EpochHealth| Diagnosis::of(&[start.clone(), last], 0.2);
        assert_eq!(Diagnosis::of(&[], 0.2), Diagnosis::Healthy);
        assert_eq!(last(epoch(0.3, [0.5, 1.3], 1.0, 0.95)), Diagnosis::Healthy);
        assert_eq!(last(epoch(1.0, [0.004, 0.005], 1.0, 0.003)), Diagnosis::Collapsed);
        assert_eq!(last(epoch(1.0, [0.01, 0.015], 0.01, 0.01)), Diagnosis::Collapsed);
        assert_eq!(last(epoch(0.0, [0.0, 0.0], 0.0, 0.0)), Diagnosis::Collapsed);
        assert_eq!(last(epoch(0.002, [0.3, 1.4], 1.0, 0.97)), Diagnosis::Starved);
        assert_eq!(last(epoch(0.4, [20.0, 40.0], 30.0, 28.0)), Diagnosis::Exploding);
        assert_eq!(last(epoch(0.4, [f64::NAN, 1.0], 1.0, 0.9)), Diagnosis::Exploding);
    }

    #[test]
    fn what_no_batch_defined_is_no_sign_of_anything() {
        let undefined = EpochHealth {
            easy: None,
            semi_hard: None,
            hard: None,
            active: None,
            mean_positive_distance: None,
            mean_negative_distance: None,
            ..epoch(0.0, [0.0, 0.0], 1.0, 0.9)
        };
        assert_eq!(Diagnosis::of(&[undefined], 0.2), Diagnosis::Healthy);
    }
}
