//! Linear classifiers trained to a proven distance from the optimum, on plain slices.
//!
//! The objective of a linear classifier, mean loss + λR(W), is convex. [`solve`] minimises it and says how
//! far from the minimum its weights can be at most: the gap between their objective and a lower bound on
//! all objectives, with what rounding can have added. [`path`] does so for many λ and chooses one by
//! cross-validation.
//!
//! Data are `f32`, results `f64`. Losses are softmax cross-entropy, Weston and Watkins's and Crammer and
//! Singer's hinge; penalties are L2, L1 and both. The equations are in `docs/definitions.md`, "Certified
//! optima".
//!
//! # Memory
//!
//! The data stay where they are. Beside them [`solve`] holds four to six numbers of 8 bytes for each sample
//! and class (classes rounded up to a multiple of 16), and matrices of D² numbers of 4 bytes: one for each
//! class if they are together no larger than the data or than 4 MiB, else one. That is less than the data
//! from some hundred features on, if there are more samples than features. With softmax and 60,000 samples of
//! 784 features a process has 1.4 times the data, with the hinges 2.4 times. [`path`] holds a copy of the
//! data for each fold that is under way. Where samples are fewer than features, and at most 2,048, there are
//! N² numbers of 4 bytes beside them, and for each fold again; while these are made, 24 N² bytes.

mod balance;
mod bounds;
mod coordinates;
mod error;
mod factor;
mod gap;
mod objective;
mod path;
mod problem;
mod products;
mod record;
mod solve;
mod solvers;
mod vectors;

pub use bounds::{Bounds, bounds};
pub use error::LinearError;
pub use path::{Path, PathOptions, PathPoint, PathProgress, path, path_observed};
pub use problem::{Loss, Problem};
pub use record::{Progress, Reason, Solution, SolveOptions, Start};
pub use solve::solve;
