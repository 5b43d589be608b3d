//! What a ranking loss comes to.

use crate::Census;

/// A ranking loss with its gradient and its counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The mean over the selected triplets, by the average that was asked for; 0 if there is none.
    pub loss: f64,
    /// Its derivative with respect to the embeddings, `[N, D]`.
    pub gradient: Vec<f64>,
    /// The selected triplets.
    pub census: Census,
    /// All valid triplets of the batch, selected or not; of the soft margin, which has no easy ones, as at
    /// margin 0. Of given triplets: the given ones.
    pub batch: Census,
    /// Mean distance of the pairs of one class (of given triplets: of anchors and positives), if there are
    /// any.
    pub mean_positive_distance: Option<f64>,
    /// Mean distance of the pairs of two classes (of given triplets: of anchors and negatives), if there are
    /// any.
    pub mean_negative_distance: Option<f64>,
}
