//! Pseudo-labels: what a teacher says of images without labels, chosen, stored and audited.
//!
//! ```text
//! scores of the teacher ─▶ LabelsWriter ─▶ shard.parquet + its manifest
//! LabelSet (shards of one teacher) ─▶ Selector ─▶ Selection { labels, statistics }
//! canary images the same way ─▶ Audit ─▶ alarms
//! ```
//!
//! Files need the feature `parquet`.

pub mod audit;
#[cfg(feature = "parquet")]
mod manifest;
mod ramp;
#[cfg(feature = "parquet")]
mod reader;
#[cfg(feature = "parquet")]
mod schema;
mod select;
mod shard;
mod statistics;
mod target;
#[cfg(feature = "parquet")]
mod writer;

#[cfg(feature = "parquet")]
pub use manifest::{LabelsHeader, Manifest, finished_shard};
pub use ramp::WeightRamp;
#[cfg(feature = "parquet")]
pub use reader::{LabelRow, LabelRows, LabelSet};
#[cfg(feature = "parquet")]
pub use schema::LabelsError;
pub use select::{Balance, PseudoLabel, Selection, SelectionError, SelectionOptions, Selector};
pub use shard::{Shard, ShardError, detect_shard};
pub use statistics::{
    ChangedLabels, ClassStatistics, OrderError, SelectionStatistics, changed_labels, total_variation,
};
pub use target::{LabelKind, Prediction, SoftTarget};
#[cfg(feature = "parquet")]
pub use writer::LabelsWriter;
