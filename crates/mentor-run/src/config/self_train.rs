//! `[self_train]` of the configuration, as written.

use std::path::PathBuf;

use mentor_data::Augment;
use serde::{Deserialize, Serialize};

/// `[self_train]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelfTrainConfig {
    /// Folder, or other data, of images without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<String>,
    /// Labelled training images of each class that are kept; the others become the unlabelled images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_per_class: Option<usize>,
    /// Files of pseudo-labels of `unlabelled` for the first round, as `mentor label` writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// `noisy-student` (Xie et al.) or `pseudo-label` (Lee).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Rounds of labelling and learning, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// The student's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub student: Option<String>,
    /// Least confidence of a pseudo-label, in [0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// `soft` or `hard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_kind: Option<String>,
    /// Soft labels keep this many classes; what is left of 1 is shared by the others. Absent: all classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Whether each class gets the same number of pseudo-labelled images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<bool>,
    /// That number. Absent: the images that there are for each class on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// How often an image may be repeated where its class is short, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_copies: Option<u32>,
    /// Pseudo-labelled images beside each labelled one, and the weight of their loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Noise of the student: change of its images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// Noise of the student: probability of dropping a hidden unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Noise of the student: probability of dropping the last residual block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stochastic_depth: Option<f64>,
    /// Share of the labelled images of a class that is held out to audit the pseudo-labels, in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none", alias = "canary_fraction")]
    pub audit_fraction: Option<f64>,
    /// Whether the student's network is trained on the labels alone too, with as many updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<bool>,
    /// A small network that the final model teaches at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill_to: Option<String>,
}
