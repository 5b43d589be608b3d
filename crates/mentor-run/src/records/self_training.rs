//! What self-training did: what `summary.json`, `round-N/round.json` and `self_training.json` hold of it.

use mentor_metrics::pseudo_labels::SelectionStatistics;
use mentor_metrics::pseudo_labels::audit::{Alarm, Audit};
use serde::{Deserialize, Serialize};

use super::picture::Picture;

/// One round in a few numbers, for `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundSummary {
    /// From 1.
    pub round: usize,
    /// Accuracy of the student on the validation split; absent where the round ended before it had one.
    pub val_accuracy: Option<f64>,
    /// Its accuracy on the test split, measured once, at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Pseudo-labelled images that the student learnt from, each counted once.
    pub num_pseudo_labels: u64,
    /// Their mean confidence.
    pub mean_confidence: f64,
    /// Share of the audit set's pseudo-labels that is right; absent without an audit set, or where none is
    /// labelled.
    pub audit_precision: Option<f64>,
    /// McNemar's exact p-value of the student and its teacher on the validation split; absent if there was no
    /// student.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// Whether the student became the next teacher: it has more validation images right, and the audit raised
    /// no alarm.
    pub accepted: bool,
    /// Why, or why not.
    pub reason: String,
}

/// A small model that the final one taught.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistilledSummary {
    /// Name of the network.
    pub model: String,
    /// Trainable parameters.
    pub num_params: usize,
    /// Accuracy on the validation split.
    pub val_accuracy: Option<f64>,
    /// Accuracy on the test split.
    pub test_accuracy: Option<f64>,
}

/// One round with all that was looked at: `round.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What scripts read of it.
    pub summary: RoundSummary,
    /// Directory of the teacher, below the run; the given files where labels were given.
    pub teacher: String,
    /// Accuracy of the teacher on the validation split, which the student must exceed.
    pub teacher_val_accuracy: f64,
    /// What the teacher's scores are divided by.
    pub temperature: f64,
    /// What was chosen.
    pub selection: SelectionStatistics,
    /// Share of the labels that would have to change for the classes to be as frequent as among the labelled
    /// images.
    pub drift: f64,
    /// Share of the images whose label is not that of the round before; absent in the first round.
    pub changed: Option<f64>,
    /// The teacher on the audit set.
    pub audit: Option<Audit>,
    /// The student on the audit set.
    pub student_audit: Option<Audit>,
    /// Why the audit rolled back, if it did.
    pub alarms: Vec<Alarm>,
    /// The most and the least confident of the chosen images, class by class.
    pub sheets: Vec<ClassSheet>,
}

/// Chosen images of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSheet {
    /// Index of the class.
    pub class: u32,
    /// The most confident first.
    pub most: Vec<LabelledPicture>,
    /// The least confident last.
    pub least: Vec<LabelledPicture>,
}

/// A pseudo-labelled image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelledPicture {
    /// Its id.
    pub id: String,
    /// The probability of its label.
    pub confidence: f64,
    /// Its thumbnail.
    pub picture: Picture,
}

/// Images that were left out of the unlabelled ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaks {
    /// Unlabelled images that were offered.
    pub num_offered: usize,
    /// Byte-identical to a labelled, validation or test image.
    pub num_exact: usize,
    /// The same picture as a validation, test or audit image, in other bytes.
    pub num_near: usize,
    /// Whether these near duplicates stayed, because duplicates were to be kept.
    pub kept: bool,
    /// Ids of some that were found, each with that of its twin.
    pub examples: Vec<[String; 2]>,
}

/// A model of self-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// `baseline`, `teacher`, `round N`, `pseudo-label`, `distilled`.
    pub name: String,
    /// Name of the network.
    pub architecture: String,
    /// Trainable parameters.
    pub num_params: usize,
    /// Updates done.
    pub steps: u64,
    /// Accuracy on the validation split.
    pub val_accuracy: f64,
    /// Accuracy on the test split; absent without one.
    pub test_accuracy: Option<f64>,
    /// Whether it is the final model.
    pub chosen: bool,
}

/// `self_training.json`: what the report draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTraining {
    /// `noisy-student` or `pseudo-label`.
    pub method: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Labelled images that were trained on.
    pub num_labelled: usize,
    /// Labelled images that audited the pseudo-labels.
    pub num_canary: usize,
    /// Unlabelled images.
    pub num_unlabelled: usize,
    /// What was left out of them.
    pub leaks: Leaks,
    /// Models in the order in which they were trained.
    pub stages: Vec<Stage>,
    /// Rounds; pictures of the last one only.
    pub rounds: Vec<Round>,
}
