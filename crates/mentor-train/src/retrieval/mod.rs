//! Retrieval: how well nearest neighbours in an embedding share the query's class.
//!
//! [`evaluate`] gives precision at 1, R-precision, MAP@R (Musgrave, Belongie and Lim, 2020), recall at 1, 5 and 10 and
//! the accuracy of k nearest neighbours; [`nearest`] the neighbours themselves. Both are exact: the order of
//! neighbours is that of distances in `f64`, equal ones by the lower index. Everything works on plain slices.
//!
//! ```
//! use mentor_train::retrieval::{Embeddings, RetrievalOptions, evaluate};
//! // Two classes on a line; the sample at 4 is nearest to one of the other class.
//! let values = [0.0, 1.0, 4.0, 6.0, 7.0];
//! let embeddings = Embeddings::new(&values, 1)?;
//! let found = evaluate(&embeddings, &[0, 0, 0, 1, 1], None, &RetrievalOptions::default())?;
//! assert_eq!(found.precision_at_1, 0.8);
//! assert!(Embeddings::new(&[f32::NAN], 1).is_err());
//! # Ok::<(), mentor_train::retrieval::RetrievalError>(())
//! ```

mod bootstrap;
mod embeddings;
mod evaluate;
mod keys;
mod nearest;
mod rank;

pub use embeddings::{Embeddings, Metric};
pub use evaluate::evaluate;
pub use nearest::{Neighbour, distance_between, nearest};

use serde::{Deserialize, Serialize};

/// How retrieval is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievalOptions {
    /// What near means. Default Euclidean.
    pub metric: Metric,
    /// Neighbours that vote for `knn_accuracy`, at least 1. Default 10.
    pub k: usize,
    /// Resamples behind the intervals, at least 1. Default 1,000.
    pub num_resamples: usize,
    /// Seed of the resamples. Default 0.
    pub seed: u64,
}

impl Default for RetrievalOptions {
    fn default() -> Self {
        Self { metric: Metric::Euclidean, k: 10, num_resamples: 1000, seed: 0 }
    }
}

/// How well the gallery's nearest neighbours of a query share its class: means over the queries.
///
/// R is the number of gallery samples of the query's class, the query itself left out by its index. A query with
/// R = 0 (a lone one) has nothing to find: it is counted and left out of every mean. Without any other query all
/// means are 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Share of queries whose nearest neighbour is of their class.
    pub precision_at_1: f64,
    /// Mean share of their class among the R nearest.
    pub r_precision: f64,
    /// Mean of (1/R) Σ_{j≤R} P(j)·rel(j): P(j) is the precision among the j nearest, rel(j) 1 where the j-th is of
    /// the class, else 0.
    pub map_at_r: f64,
    /// As `precision_at_1`.
    pub recall_at_1: f64,
    /// Share of queries with their class among the 5 nearest.
    pub recall_at_5: f64,
    /// Share of queries with their class among the 10 nearest.
    pub recall_at_10: f64,
    /// Share of queries whose class has the most votes of the k nearest; among equals the class that has the
    /// nearest neighbour wins.
    pub knn_accuracy: f64,
    /// The k of `knn_accuracy`.
    pub k: usize,
    /// Queries in the means.
    pub num_queries: usize,
    /// Queries left out because the gallery has no other sample of their class.
    pub num_lone_queries: usize,
    /// 95 % intervals of three of the means.
    pub intervals: RetrievalIntervals,
}

/// 95 % percentile bootstrap intervals, `[low, high]`, over the queries; the gallery stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalIntervals {
    /// Of `precision_at_1`.
    pub precision_at_1: [f64; 2],
    /// Of `r_precision`.
    pub r_precision: [f64; 2],
    /// Of `map_at_r`.
    pub map_at_r: [f64; 2],
}

/// Embeddings or options that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RetrievalError {
    /// Values that do not fill rows of the dimension.
    #[error("{num_values} values do not make rows of {dim}; give one row a sample")]
    Shape {
        /// Number of values.
        num_values: usize,
        /// Values in a row.
        dim: usize,
    },
    /// A value that is infinite or not a number.
    #[error("embedding {row} has the value {value} at {column}; only finite values have distances")]
    NotFinite {
        /// The sample.
        row: usize,
        /// The coordinate.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Embeddings and labels that differ in number.
    #[error("{num_labels} labels for {num_embeddings} embeddings; give one a sample")]
    Labels {
        /// Number of labels.
        num_labels: usize,
        /// Number of embeddings.
        num_embeddings: usize,
    },
    /// Queries and gallery of different dimensions.
    #[error("queries have {queries} dimensions, the gallery has {gallery}; use one model for both")]
    Dimensions {
        /// Of the queries.
        queries: usize,
        /// Of the gallery.
        gallery: usize,
    },
    /// More samples than an index can name.
    #[error("{count} samples, at most {} can be ranked", u32::MAX)]
    TooMany {
        /// Number of samples.
        count: usize,
    },
    /// An option outside its range.
    #[error("{name} = {value}: must be at least 1")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: usize,
    },
}
