//! `[path]` of the configuration, as written.

use serde::{Deserialize, Serialize};

/// `[path]`: the penalty of a linear classifier is chosen by cross-validation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PathConfig {
    /// Smallest and largest λ of Σw², both greater than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<[f64; 2]>,
    /// Smallest and largest λ of Σ|w|, both greater than 0. One of `l1` and `l2` is a range; the other is
    /// that of `[penalty]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<[f64; 2]>,
    /// How many λ, from 2 to 1000, in equal ratios.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Parts that the training samples are divided into, at least 2. Each is judged by a model of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<u64>,
    /// `min` (the least validation loss) or `one-standard-error` (the largest λ whose loss is within one
    /// standard error of it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}
