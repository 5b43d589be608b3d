//! Losses and penalties as pure mathematics on tensors.
//!
//! Scores `s = f(x, W)` of shape `[N, C]` and targets go in, one loss for each sample comes out. The
//! crate is the home of everything in mentor that is an equation: losses on scores, penalties on weights,
//! and the distances, ranking losses, mining and distillation that stand on the same conventions. Every
//! convention, with its denominator and with who computes it differently, is in `docs/definitions.md`.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use mentor_loss::{Hinge, MulticlassSvm, SoftmaxCrossEntropy};
//!
//! let device = Device::flex();
//! let scores = Tensor::<2>::from_floats([[3.2, 5.1, -1.7]], &device); // cat, car, frog
//! let targets = Tensor::<1, Int>::from_ints([0], &device); // the image shows a cat
//!
//! let svm = MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?.per_sample(scores.clone(), targets.clone());
//! let softmax = SoftmaxCrossEntropy::new().per_sample(scores, targets);
//! assert!((svm.into_scalar::<f32>() - 2.9).abs() < 1e-6);
//! assert!((softmax.into_scalar::<f32>() - 2.0404).abs() < 1e-4);
//! # Ok::<(), mentor_loss::LossError>(())
//! ```
//!
//! # Invariants
//!
//! - No file, clock, print, environment variable, global state or random number.
//! - No value is read back from the device, except in `explicit_gradient`, whose first line says so: a loss
//!   is a handful of tensor operations, and its result stays where its input is. [`ScoreLoss::explain`] and
//!   [`ranking`] work on plain slices, without tensors.
//! - Losses check shapes and nothing else. Targets are checked once, where data enters: a target outside
//!   `0..C` is a programmer's error here, and what a device does with it is not defined.
//! - A loss on scores reduces over classes, never over samples: the caller takes the mean, so that one place
//!   decides the denominator. Ranking losses of a batch name theirs: [`Average`].

pub mod ranking;

mod census;
mod distance;
mod distillation;
mod error;
mod explicit_gradient;
mod pairwise;
mod pairwise_loss;
mod penalty;
mod relational;
mod scores;
mod shapes;
mod triplet;
mod triplet_loss;

pub use census::{Average, Case, Census};
pub use distance::{Distance, unit_norm};
pub use distillation::{Distillation, DistillationTerms};
pub use error::LossError;
pub use pairwise::{PairForm, PairwiseRanking};
pub use pairwise_loss::PairwiseLoss;
pub use penalty::{Penalty, soft_threshold};
pub use ranking::{AllTriplets, Coefficients, Mining, Pair, PairSum, Ranked, RankedPairs, Triplet};
pub use relational::{EmbeddingCosine, RelationalDistance};
pub use scores::*;
pub use triplet::TripletRanking;
pub use triplet_loss::{BatchLoss, TripletLoss};
