//! What given weights are worth: their objective, and the lower bound that their own dual point proves.

use crate::error::LinearError;
use crate::gap::Certifier;
use crate::problem::Problem;
use crate::record::{SolveOptions, Start};

/// The objective of given weights, a lower bound on that of all weights, and the rounding of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// P(W, b).
    pub primal: f64,
    /// How far rounding may have moved `primal`.
    pub primal_rounding: f64,
    /// D at the dual point of the losses at these weights, made feasible. For a hinge far from its optimum
    /// it is loose: [`crate::solve`] finds better ones.
    pub dual: f64,
    /// How far rounding may have moved `dual`.
    pub dual_rounding: f64,
}

/// Evaluates the weights of any other optimiser.
///
/// # Errors
///
/// As [`crate::solve`], and if the weights do not fit the problem.
///
/// ```
/// use mentor_linear::{Loss, Problem, Start, bounds};
///
/// let problem = Problem {
///     features: &[-1.0, 1.0],
///     num_features: 1,
///     targets: &[0, 1],
///     num_classes: 2,
///     sample_weights: None,
///     class_weights: None,
///     loss: Loss::Softmax,
///     l2: 0.05,
///     l1: 0.0,
///     bias: true,
/// };
/// let zero = Start { weights: vec![0.0; 2], bias: vec![0.0; 2] };
/// // ln 2, and D at γ = 1/2: ln 2 − (1/2)²·2 / (4 · 0.05).
/// let found = bounds(&problem, &zero)?;
/// assert!((found.primal - 2.0_f64.ln()).abs() < 1e-12);
/// assert!((found.dual - (2.0_f64.ln() - 2.5)).abs() < 1e-12);
///
/// assert!(bounds(&problem, &Start { weights: vec![0.0; 3], bias: vec![0.0; 2] }).is_err());
/// # Ok::<(), mentor_linear::LinearError>(())
/// ```
pub fn bounds(problem: &Problem<'_>, at: &Start) -> Result<Bounds, LinearError> {
    let checked = problem.check()?;
    checked.check_penalty()?;
    let options = SolveOptions { start: Some(at.clone()), ..SolveOptions::default() };
    let weights = options.check(&checked)?;
    let certifier = Certifier::new(&checked);
    let (mut scores, mut dual) = (Vec::new(), Vec::new());
    checked.rows.scores(&weights, &mut scores);
    let primal = certifier.primal(&weights, &scores, &mut dual);
    let lower = certifier.dual(&dual).bound;
    Ok(Bounds {
        primal: primal.value,
        primal_rounding: primal.rounding,
        dual: lower.value,
        dual_rounding: lower.rounding,
    })
}
