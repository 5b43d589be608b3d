//! What a run leaves behind, file by file: plain data that is written at its end and read by the report.

pub mod analysis;
mod backbone;
mod certificate;
pub mod distillation;
pub mod embedding_fidelity;
pub mod embeddings;
mod event;
pub mod health;
pub mod path;
mod picture;
mod record;
pub mod self_training;
mod summary;

pub use backbone::BackboneRecord;
pub use certificate::{Certificate, IterationMetrics};
pub use event::{EpochMetrics, MetricsLine, PathModel, PlannedStage, Started, StepMetrics, TrainEvent};
pub use picture::Picture;
pub use record::Record;
pub(crate) use record::parse;
pub use summary::Summary;
