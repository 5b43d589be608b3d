//! What retrieval is measured by.

use serde::{Deserialize, Serialize};

use super::embeddings::Metric;

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
/// R is the number of gallery samples of the query's class, the query itself left out by its index. A query
/// with R = 0 (a lone one) has nothing to find: it is counted and left out of every mean. Without any other
/// query no mean is defined, and an interval needs two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Share of queries whose nearest neighbour is of their class.
    pub precision_at_1: Option<f64>,
    /// Mean share of their class among the R nearest.
    pub r_precision: Option<f64>,
    /// Mean of (1/R) Σ_{j≤R} P(j)·rel(j): P(j) is the precision among the j nearest, rel(j) 1 where the j-th
    /// is of the class, else 0.
    pub map_at_r: Option<f64>,
    /// As `precision_at_1`.
    pub recall_at_1: Option<f64>,
    /// Share of queries with their class among the 5 nearest.
    pub recall_at_5: Option<f64>,
    /// Share of queries with their class among the 10 nearest.
    pub recall_at_10: Option<f64>,
    /// Share of queries whose class has the most votes of the k nearest; among equals the class that has the
    /// nearest neighbour wins. `None` where the gallery has no more than k others: all vote, whoever is near.
    pub knn_accuracy: Option<f64>,
    /// The k of `knn_accuracy`.
    pub k: usize,
    /// Queries in the means.
    pub num_queries: usize,
    /// Queries left out because the gallery has no other sample of their class.
    pub num_lone_queries: usize,
    /// 95 % intervals of three of the means.
    pub intervals: RetrievalIntervals,
}

/// 95 % percentile bootstrap intervals, `[low, high]`, over the queries; the gallery stays as it is. `None`
/// of fewer than two queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalIntervals {
    /// Of `precision_at_1`.
    pub precision_at_1: Option<[f64; 2]>,
    /// Of `r_precision`.
    pub r_precision: Option<[f64; 2]>,
    /// Of `map_at_r`.
    pub map_at_r: Option<[f64; 2]>,
}
