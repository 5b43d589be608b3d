//! Parsers that need no engine.

mod arrays;
mod pictures;
pub mod place;
mod runs;
mod tables;

pub use arrays::{idx, npy, npz};
pub use pictures::image;
pub use runs::{config, metrics, record, report};
pub use tables::{manifest, triplets};

/// Each with the name of its target.
pub const TARGETS: [(&str, fn(&[u8])); 10] = [
    ("image", image),
    ("npz", npz),
    ("npy", npy),
    ("idx", idx),
    ("manifest", manifest),
    ("triplets", triplets),
    ("config", config),
    ("metrics", metrics),
    ("record", record),
    ("report", report),
];
