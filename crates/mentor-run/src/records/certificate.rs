//! How far a linear classifier is from the optimum of its objective, at most.

use serde::{Deserialize, Serialize};

/// A proof about the weights that a run has kept: their objective is at most `gap` above the minimum
/// (`docs/definitions.md`, "Certified optima").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// P(W, b): mean training loss and penalty of the kept weights, which are of 32 bits, summed in 64.
    pub primal: f64,
    /// A lower bound on the objective of all weights.
    pub dual: f64,
    /// `primal` − `dual`, and a bound on the rounding of both.
    pub gap: f64,
    /// `gap` / `primal`.
    pub relative_gap: f64,
    /// Iterations of the solver that found the bound.
    pub num_iterations: u64,
    /// Why the solver stopped: `gap reached`, `max iterations` or `stalled at rounding`; of weights that
    /// another optimiser found, `bound found`.
    pub reason: String,
    /// Whether the gap that was asked for is proven; of weights that another optimiser found, whether any is.
    pub certified: bool,
}

/// One iteration of a solver that stops at a gap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IterationMetrics {
    /// From 1.
    pub iteration: u64,
    /// Smallest objective so far.
    pub primal: f64,
    /// Largest lower bound so far.
    pub dual: f64,
    /// `primal` − `dual`, and a bound on the rounding of both.
    pub gap: f64,
    /// Seconds since the solver began.
    pub secs: f64,
}

impl IterationMetrics {
    /// The gap relative to the objective; 0 of an objective of 0.
    pub fn relative_gap(&self) -> f64 {
        if self.primal > 0.0 { self.gap / self.primal } else { 0.0 }
    }
}
