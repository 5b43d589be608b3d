//! Whole runs, small enough to repeat: what training promises about weights, files and endings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/distill.rs"]
mod distill;
#[path = "it/endings.rs"]
mod endings;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/label_files.rs"]
mod label_files;
#[path = "it/made_shards.rs"]
mod made_shards;
#[path = "it/optimizers.rs"]
mod optimizers;
#[path = "it/pseudo_labels.rs"]
mod pseudo_labels;
#[path = "it/ranking.rs"]
mod ranking;
#[path = "it/resume.rs"]
mod resume;
#[path = "it/runs.rs"]
mod runs;
#[path = "it/self_train.rs"]
mod self_train;
