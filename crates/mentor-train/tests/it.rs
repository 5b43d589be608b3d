//! Whole runs, small enough to repeat: what training promises about weights, files and endings.

#[path = "it/endings.rs"]
mod endings;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/optimizers.rs"]
mod optimizers;
#[path = "it/resume.rs"]
mod resume;
#[path = "it/runs.rs"]
mod runs;
