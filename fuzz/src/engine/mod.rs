//! Parsers of crates that the engine is built for.

mod labels;
mod models;

pub use labels::{labels, labels_manifest, teacher_cache};
pub use models::{checkpoint, model_json, plan, weights};

use crate::parsers::Target;

/// Those of this module.
pub const TARGETS: [Target; 7] = [
    ("plan", plan),
    ("weights", weights),
    ("model_json", model_json),
    ("checkpoint", checkpoint),
    ("labels", labels),
    ("labels_manifest", labels_manifest),
    ("teacher_cache", teacher_cache),
];
