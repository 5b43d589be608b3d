//! Pseudo-labels: what scores say of an image, how chosen labels are spread, and whether they are right.

pub mod audit;
mod statistics;
mod target;

pub use statistics::{
    ChangedLabels, ClassStatistics, OrderError, SelectionStatistics, changed_labels, total_variation,
};
pub use target::{LabelKind, Prediction, SoftTarget};
