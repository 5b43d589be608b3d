//! The fidelity of a student to its teachers, in `summary.json` and `distillation.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::picture::Picture;

/// The teachers of a student, together: of several, the mean of their probabilities; of embeddings, the best
/// of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherSummary {
    /// Accuracy on the validation split; absent without one or without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Trainable parameters of all of them.
    pub num_params: usize,
    /// Of embeddings: `val_precision_at_1`, `val_r_precision` and `val_map_at_r`.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

/// The same network as the student, trained from scratch, beside the student. What differs is counted on the
/// validation split; after self-training on the test split, where there is one. Right is a classifier with
/// the sample's class, and an embedding whose nearest other one is of its class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineSummary {
    /// Accuracy of its chosen model on the validation split; absent for embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Its accuracy on the test split; absent where that stays closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Samples that only the student has right.
    pub only_student: u64,
    /// Samples that only the baseline has right.
    pub only_baseline: u64,
    /// Of McNemar's exact test, two-sided: the chance of a difference at least as uneven between equals.
    pub p_value: f64,
    /// Of embeddings: `val_precision_at_1`, `val_r_precision` and `val_map_at_r`.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

/// `distillation.json`: what the report draws of a distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    /// The split that all was measured on: `val`, or `train` if there is none.
    pub split: String,
    /// Its samples.
    pub num_samples: usize,
    /// Share of the samples for which student and teachers predict the same class.
    pub agreement: f64,
    /// Mean of KL(teacher ‖ student) at temperature 1, in nats.
    pub mean_kl: f64,
    /// The student first, then each teacher, then the baseline.
    pub models: Vec<Measured>,
    /// Accuracy of the teachers together; absent without labels.
    pub teacher_accuracy: Option<f64>,
    /// The student against the baseline, where there is one.
    pub baseline: Option<BaselineSummary>,
    /// Samples on which student and teachers disagree, the surest first.
    pub disagreements: Vec<Disagreement>,
}

/// A model, how large, how good and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `student`, the teacher's run directory, or `baseline`.
    pub name: String,
    /// Name of the network.
    pub architecture: String,
    /// Trainable parameters.
    pub num_params: usize,
    /// Accuracy; absent without labels.
    pub accuracy: Option<f64>,
    /// Time and images, unless it is the student's network again.
    pub speed: Option<Speed>,
}

/// How fast a model is on the device of the run. Fastest of several forward passes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds of a forward pass of one image.
    pub latency_secs: f64,
    /// Images a second, [`SPEED_BATCH`] at a time.
    pub images_per_sec: f64,
}

/// Images of a forward pass of [`Speed::images_per_sec`].
pub const SPEED_BATCH: usize = 128;

/// A sample on which student and teachers predict different classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Its id.
    pub id: String,
    /// Its class; absent without labels.
    pub target: Option<u32>,
    /// What the student predicts.
    pub student: u32,
    /// What the teachers predict.
    pub teacher: u32,
    /// The teachers' probability of their class.
    pub teacher_confidence: f64,
    /// The student's probability of its class.
    pub student_confidence: f64,
    /// The image.
    pub picture: Picture,
}
