//! `[distill]` of the configuration, as written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[distill]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillConfig {
    /// Directories of the teachers' runs; of several, the mean of their probabilities teaches.
    pub teachers: Vec<PathBuf>,
    /// `hinton`, `conv` or `tiny`: values that suit together where the user names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// `soft` (probabilities) or `hard-labels` (the teacher's class); of an embedding model `relational` (its
    /// distances) or `cosine` (its directions).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// T, greater than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Factor of what the teacher says, at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_weight: Option<f64>,
    /// Factor of the loss of the labels, at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard_weight: Option<f64>,
    /// Augmented versions of each image, at least 1. The teacher scores each version once.
    #[serde(skip_serializing_if = "Option::is_none", alias = "views")]
    pub augmentations: Option<u64>,
    /// Whether the same network is trained without teachers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<bool>,
    /// Whether the teacher's scores are kept in a file; otherwise it scores every batch anew, for the same
    /// student.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<bool>,
}
