//! Linear classifiers trained to a proven distance from the optimum, on plain slices.
//!
//! The objective of a linear classifier, mean loss + λR(W), is convex. [`solve`] minimises it and says how far from the minimum
//! its weights can be at most: the gap between their objective and a lower bound on all objectives, with what rounding can
//! have added. [`path`] does so for many λ and chooses one by cross-validation.
//!
//! Data are `f32`, results `f64`. Losses are softmax cross-entropy, Weston and Watkins's and Crammer and Singer's hinge;
//! penalties are L2, L1 and both. The equations are in `docs/definitions.md`, "Certified optima".
//!
//! # Memory
//!
//! The data stay where they are. Beside them a solver holds a few numbers for each sample and class and, for softmax, factors of D² numbers of
//! 4 bytes: one for each class if C·D ≤ N, else one. Together that is no more than the data from about 60 features a class on.

mod balance;
mod error;
mod factor;
mod gap;
mod objective;
mod problem;
mod products;
mod solve;
mod solvers;
mod vectors;

pub use error::LinearError;
pub use problem::{Loss, Problem};
pub use solve::{Progress, Reason, Solution, SolveOptions, Start, solve};
