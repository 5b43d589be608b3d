//! Whole runs, small enough to repeat: what training promises about weights, files and endings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod distill;
mod endings;
mod fine_tune;
mod first_weights;
mod golden;
mod inference;
mod label_files;
mod made_shards;
mod optimizers;
mod optimum;
mod own_network;
mod pseudo_labels;
mod ranking;
mod ranks;
mod resume;
mod runs;
mod self_train;
mod trainer;
