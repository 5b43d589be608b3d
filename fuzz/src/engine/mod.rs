//! Parsers of crates that the engine is built for.

mod labels;
mod models;

pub use labels::{labels, labels_manifest, teacher_cache};
pub use models::{checkpoint, model_json, plan, weights};

/// Each with the name of its target.
pub const TARGETS: [(&str, fn(&[u8])); 7] = [
    ("plan", plan),
    ("weights", weights),
    ("model_json", model_json),
    ("checkpoint", checkpoint),
    ("labels", labels),
    ("labels_manifest", labels_manifest),
    ("teacher_cache", teacher_cache),
];
