//! Parsers that need no engine.

mod arrays;
mod pictures;
pub mod place;
mod runs;
mod tables;

pub use arrays::{idx, npy, npz, tar};
pub use pictures::image;
pub use runs::{config, metrics, record, report};
pub use tables::{manifest, triplets};

/// The name of a fuzz target, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Those of this module.
pub const TARGETS: [Target; 11] = [
    ("image", image),
    ("npz", npz),
    ("npy", npy),
    ("idx", idx),
    ("tar", tar),
    ("manifest", manifest),
    ("triplets", triplets),
    ("config", config),
    ("metrics", metrics),
    ("record", record),
    ("report", report),
];
