//! How a ranking loss is doing, epoch by epoch, and what is wrong when it goes wrong.
//!
//! A ranking loss says little by its value: at the margin it may have collapsed, near zero it may have run out
//! of triplets to learn from. The measures of an epoch tell these apart.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;

use crate::objective::{Measure, Sum};

/// Share of the norm below which the spread of the embeddings counts as none.
const COLLAPSED: f64 = 0.05;
/// Share of active pairs or triplets below which there is nothing to learn from.
const STARVED: f64 = 0.01;
/// Norm above which embeddings are out of proportion to any margin that is in use.
const EXPLODING: f64 = 1e3;

/// What is wrong with an epoch of a ranking loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// All embeddings are nearly one point.
    Collapsed,
    /// Hardly any pair or triplet has a loss.
    Starved,
    /// Embeddings grow without bound.
    Exploding,
}

impl Diagnosis {
    /// Reads the measures of an epoch; `None` where nothing is wrong, or there is nothing to read.
    pub fn of(measures: &BTreeMap<String, f64>) -> Option<Self> {
        let measure = |name: &str| measures.get(name).copied();
        let (norm, spread) = (measure("embedding_norm")?, measure("embedding_spread")?);
        if norm > EXPLODING {
            Some(Self::Exploding)
        } else if spread <= COLLAPSED * norm {
            Some(Self::Collapsed)
        } else if measure("share_active").is_none_or(|share| share < STARVED) {
            Some(Self::Starved)
        } else {
            None
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Collapsed => {
                "collapsed: all embeddings are nearly one point; lower --learning-rate, or start with --mining \
                 semi-hard or all"
            }
            Self::Starved => {
                "starved: fewer than 1 in 100 pairs or triplets have a loss; try --mining hard, a larger --margin, \
                 --average active, or more classes a batch"
            }
            Self::Exploding => {
                "exploding: embeddings grow without bound; use --unit-norm true, lower --learning-rate, or set \
                 --clip-norm"
            }
        })
    }
}

/// Mean norm of the embeddings `[B, D]` of a batch, and their spread: the root of their mean squared distance to
/// their mean.
pub(crate) fn norm_and_spread(embeddings: Tensor<2>) -> [Measure; 2] {
    let [num_samples, _] = embeddings.dims();
    let norms = embeddings.clone().square().sum_dim(1).sqrt().flatten(0, 1); // [B]
    let centred = embeddings.clone() - embeddings.mean_dim(0); // [B, D]
    let spread = centred.square().sum().div_scalar(num_samples as f64).sqrt(); // [1]
    [
        Measure { name: "embedding_norm", sum: Sum::Device(norms), weight: num_samples as f64 },
        Measure { name: "embedding_spread", sum: Sum::Device(spread), weight: 1.0 },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn diagnosis(norm: f64, spread: f64, active: f64) -> Option<Diagnosis> {
        let measures = [("embedding_norm", norm), ("embedding_spread", spread), ("share_active", active)];
        Diagnosis::of(&measures.map(|(name, value)| (name.to_owned(), value)).into())
    }

    #[test]
    fn each_trouble_has_its_name_and_none_is_none() {
        assert_eq!(diagnosis(1.0, 0.9, 0.3), None);
        assert_eq!(diagnosis(1.0, 0.01, 1.0), Some(Diagnosis::Collapsed));
        assert_eq!(diagnosis(1.0, 0.9, 0.001), Some(Diagnosis::Starved));
        assert_eq!(diagnosis(1e6, 0.9, 0.5), Some(Diagnosis::Exploding));
        assert_eq!(diagnosis(0.0, 0.0, 0.0), Some(Diagnosis::Collapsed));
        assert_eq!(Diagnosis::of(&BTreeMap::new()), None);
        // No share: no batch had a valid triplet.
        let without =
            BTreeMap::from([("embedding_norm".to_owned(), 1.0), ("embedding_spread".to_owned(), 1.0)]);
        assert_eq!(Diagnosis::of(&without), Some(Diagnosis::Starved));
    }

    #[test]
    fn norm_and_spread_by_hand() {
        let embeddings = Tensor::<2>::from_floats([[3.0, 4.0], [3.0, -4.0]], &Device::flex());
        let values: Vec<f32> = norm_and_spread(embeddings)
            .into_iter()
            .flat_map(|measure| match measure.sum {
                Sum::Device(values) => values.into_data().to_vec::<f32>().unwrap(),
                Sum::Host(_) => Vec::new(),
            })
            .collect();
        // Both norms are 5; both are 4 from the mean (3, 0).
        assert_eq!(values, [5.0, 5.0, 4.0]);
    }
}
