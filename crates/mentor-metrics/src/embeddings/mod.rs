//! Embeddings as a whole: the distances of their pairs, and the plane on which they vary most.

mod eigen;
mod pairs;
mod pca;

pub use pairs::{NUM_PAIRS, PairDistances, pair_distances};
pub use pca::{Pca, pca, pca_until};
