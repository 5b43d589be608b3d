//! What a solver is told, and what it leaves behind.

use std::ops::ControlFlow;

use crate::error::LinearError;
use crate::gap::{Bounded, Certifier};
use crate::problem::Checked;

/// When to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct SolveOptions {
    /// Stop once (primal − dual) / primal is at most this; greater than 0.
    pub relative_gap: f64,
    /// Stop after so many outer iterations, each of which ends with a certificate; at least 1.
    pub max_iterations: usize,
    /// Weights `[C, D]` and biases `[C]` to begin with, such as those of a neighbouring λ.
    pub start: Option<Start>,
}

/// Weights that a solver begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// `[C, D]`, row-major.
    pub weights: Vec<f64>,
    /// `[C]`.
    pub bias: Vec<f64>,
}

impl Default for SolveOptions {
    fn default() -> Self {
        Self { relative_gap: 1e-6, max_iterations: 1000, start: None }
    }
}

/// What an outer iteration has reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Counted from 1; 0 while few samples of many features are solved in coordinates, or a part of the
    /// samples to begin with.
    pub iteration: usize,
    /// Smallest objective so far.
    pub primal: f64,
    /// Largest lower bound so far.
    pub dual: f64,
    /// primal − dual, and a bound on the rounding of both.
    pub gap: f64,
}

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The gap that was asked for is proven.
    GapReached,
    /// `max_iterations` are over.
    MaxIterations,
    /// Rounding hides any further progress.
    Stalled,
    /// The observer asked to stop.
    Interrupted,
}

impl Reason {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GapReached => "gap reached",
            Self::MaxIterations => "max iterations",
            Self::Stalled => "stalled at rounding",
            Self::Interrupted => "interrupted",
        }
    }

    /// What would bring a run that ended so to its gap.
    #[must_use]
    pub fn help(self) -> &'static [&'static str] {
        match self {
            Self::GapReached | Self::Interrupted => &[],
            Self::MaxIterations => &[
                "allow more iterations",
                "scale all features to about the same size",
                "use a larger penalty",
            ],
            Self::Stalled => {
                &["ask for a larger gap", "scale all features to about the same size", "use a larger penalty"]
            }
        }
    }
}

/// Weights, and how far they can be from the optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// W, `[C, D]`, row-major.
    pub weights: Vec<f64>,
    /// b, `[C]`; 0 without a bias.
    pub bias: Vec<f64>,
    /// P(W, b).
    pub primal: f64,
    /// A lower bound on the objective of all weights.
    pub dual: f64,
    /// primal − dual + a bound on the rounding of both: never less than the distance to the optimum.
    pub gap: f64,
    /// gap / primal.
    pub relative_gap: f64,
    /// The part of `gap` that is the bound on rounding.
    pub rounding: f64,
    /// Whether the relative gap is what was asked for, or less.
    pub certified: bool,
    /// Outer iterations.
    pub num_iterations: usize,
    /// Why the solver stopped.
    pub reason: Reason,
    /// Weights that are not 0, of C · D.
    pub num_nonzero_weights: usize,
}

/// What a solver begins with and leaves behind for a neighbouring problem.
#[derive(Clone)]
pub(crate) struct State {
    /// In the layout of [`crate::products::Rows`].
    pub(crate) weights: Vec<f64>,
    /// γ, `[N, stride]`, of the hinges; empty if not known.
    pub(crate) dual: Vec<f64>,
}

impl SolveOptions {
    /// The weights to begin with, in the layout of [`crate::products::Rows`].
    pub(crate) fn check(&self, problem: &Checked<'_>) -> Result<Vec<f64>, LinearError> {
        if !(self.relative_gap > 0.0 && self.relative_gap.is_finite()) {
            let allowed = "a finite number greater than 0";
            return Err(LinearError::Parameter { name: "relative_gap", value: self.relative_gap, allowed });
        }
        if self.max_iterations == 0 {
            return Err(LinearError::Parameter { name: "max_iterations", value: 0.0, allowed: "at least 1" });
        }
        let rows = &problem.rows;
        let mut weights = vec![0.0; rows.num_weights()];
        let Some(start) = &self.start else { return Ok(weights) };
        let lengths = [
            ("start.weights", start.weights.len(), rows.num_classes * rows.num_features),
            ("start.bias", start.bias.len(), rows.num_classes),
        ];
        for (name, found, expected) in lengths {
            if found != expected {
                return Err(LinearError::Length { name, found, expected });
            }
        }
        if let Some(&value) = start.weights.iter().chain(&start.bias).find(|value| !value.is_finite()) {
            return Err(LinearError::Parameter { name: "start", value, allowed: "finite numbers" });
        }
        for class in 0..rows.num_classes {
            for feature in 0..rows.num_features {
                weights[rows.weight(class, feature)] = start.weights[class * rows.num_features + feature];
            }
            if problem.bias {
                weights[rows.weight(class, rows.num_features)] = start.bias[class];
            }
        }
        Ok(weights)
    }
}

/// The best primal and dual points so far, and whether they are good enough.
pub(crate) struct Record<'a> {
    certifier: &'a Certifier<'a>,
    pub(crate) target: f64,
    max_iterations: usize,
    observe: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    weights: Vec<f64>,
    primal: Bounded,
    dual: Bounded,
    iteration: usize,
    since_progress: usize,
}

/// Iterations without any progress of the gap after which rounding is held to be the reason.
const PATIENCE: usize = 60;

impl<'a> Record<'a> {
    pub(crate) fn new(
        certifier: &'a Certifier<'a>,
        options: &SolveOptions,
        observe: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Self {
        let nothing = |value| Bounded { value, rounding: 0.0 };
        Self {
            certifier,
            target: options.relative_gap,
            max_iterations: options.max_iterations,
            observe,
            weights: vec![0.0; certifier.problem.rows.num_weights()],
            primal: nothing(f64::INFINITY),
            dual: nothing(0.0),
            iteration: 0,
            since_progress: 0,
        }
    }

    /// primal − dual and their rounding, of the best points so far. No loss is negative, so that 0 is a
    /// dual value.
    pub(crate) fn gap(&self) -> f64 {
        (self.primal.value - self.dual.value).max(0.0) + self.primal.rounding + self.dual.rounding
    }

    pub(crate) fn relative_gap(&self) -> f64 {
        if self.primal.value > 0.0 { self.gap() / self.primal.value } else { 0.0 }
    }

    pub(crate) fn primal(&self) -> f64 {
        self.primal.value
    }

    pub(crate) fn primal_rounding(&self) -> f64 {
        self.primal.rounding
    }

    /// A point that may be better than the best one.
    pub(crate) fn offer_primal(&mut self, weights: &[f64], primal: Bounded) {
        if primal.value + primal.rounding < self.primal.value + self.primal.rounding {
            self.primal = primal;
            self.weights.copy_from_slice(weights);
            self.since_progress = 0;
        }
    }

    pub(crate) fn offer_dual(&mut self, dual: Bounded) {
        if dual.value - dual.rounding > self.dual.value - self.dual.rounding {
            self.dual = dual;
            self.since_progress = 0;
        }
    }

    /// Shows the observer what there is.
    pub(crate) fn tell(&mut self) -> ControlFlow<()> {
        let (primal, dual, gap) = (self.primal.value, self.dual.value, self.gap());
        (self.observe)(&Progress { iteration: self.iteration, primal, dual, gap })
    }

    /// Ends an iteration; a reason to stop, if there is one.
    pub(crate) fn end_iteration(&mut self) -> Option<Reason> {
        self.iteration += 1;
        self.since_progress += 1;
        let interrupted = self.tell().is_break();
        if self.relative_gap() <= self.target {
            Some(Reason::GapReached)
        } else if interrupted {
            Some(Reason::Interrupted)
        } else if self.since_progress > PATIENCE {
            Some(Reason::Stalled)
        } else {
            (self.iteration >= self.max_iterations).then_some(Reason::MaxIterations)
        }
    }

    pub(crate) fn into_solution(self, reason: Reason) -> Solution {
        let rows = &self.certifier.problem.rows;
        let (num_classes, num_features) = (rows.num_classes, rows.num_features);
        let weight = |class, feature| self.weights[rows.weight(class, feature)];
        let weights: Vec<f64> = (0..num_classes)
            .flat_map(|class| (0..num_features).map(move |feature| weight(class, feature)))
            .collect();
        let num_nonzero_weights = weights.iter().filter(|&&value| value != 0.0).count();
        Solution {
            weights,
            bias: (0..num_classes).map(|class| weight(class, num_features)).collect(),
            primal: self.primal.value,
            dual: self.dual.value,
            gap: self.gap(),
            relative_gap: self.relative_gap(),
            rounding: self.primal.rounding + self.dual.rounding,
            certified: self.relative_gap() <= self.target,
            num_iterations: self.iteration,
            reason,
            num_nonzero_weights,
        }
    }
}
