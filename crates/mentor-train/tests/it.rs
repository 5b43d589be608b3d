//! Whole runs, small enough to repeat: what training promises about weights, files and endings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/endings.rs"]
mod endings;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/optimizers.rs"]
mod optimizers;
#[path = "it/resume.rs"]
mod resume;
#[path = "it/retrieval.rs"]
mod retrieval;
#[path = "it/runs.rs"]
mod runs;
