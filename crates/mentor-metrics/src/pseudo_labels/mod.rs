//! Pseudo-labels: the label that scores give an image, statistics of chosen labels, and their audit.

pub mod audit;
mod statistics;
mod target;

pub use statistics::{
    ChangedLabels, ClassStatistics, OrderError, SelectionStatistics, changed_labels, total_variation,
};
pub use target::{LabelKind, Prediction, SoftTarget};
