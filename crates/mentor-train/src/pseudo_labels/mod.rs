//! Pseudo-labels: a teacher's labels of unlabelled images, chosen, stored and audited.
//!
//! ```text
//! scores of the teacher ─▶ LabelsWriter ─▶ shard.parquet + its manifest
//! LabelSet (shards of one teacher) ─▶ Selector ─▶ Selection { labels, statistics }
//! audit images the same way ─▶ Audit ─▶ alarms
//! ```

mod manifest;
mod pages;
mod ramp;
mod reader;
mod schema;
mod select;
mod shard;
mod thrift;
mod writer;

pub use manifest::{LabelsHeader, Manifest, finished_shard};
pub use ramp::WeightRamp;
pub use reader::{LabelRow, LabelRows, LabelSet};
pub use schema::LabelsError;
pub use select::{Balance, PseudoLabel, Selection, SelectionError, SelectionOptions, Selector};
pub use shard::{Shard, ShardError, detect_shard};
pub use writer::LabelsWriter;
