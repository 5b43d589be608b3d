//! Ways to train. A recipe composes losses, optimiser and data; recipes do not call each other.

pub mod supervised;
