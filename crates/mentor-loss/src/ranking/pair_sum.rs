//! The losses of some pairs, added up.

use crate::Average;

/// The contrastive losses of pairs of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct PairSum {
    /// Σ of their losses.
    pub sum: f64,
    /// Its derivative with respect to the embeddings, `[N, D]`.
    pub gradient: Vec<f64>,
    /// Pairs.
    pub num_pairs: u64,
    /// Pairs whose loss is above 0.
    pub num_active: u64,
}

impl PairSum {
    /// What a mean over the pairs divides by.
    pub fn denominator(&self, average: Average) -> u64 {
        match average {
            Average::Valid => self.num_pairs,
            Average::Active => self.num_active,
        }
    }
}
