//! One fold: models of the other samples, from the strongest penalty to the weakest, judged on its own.

use std::ops::ControlFlow;

use crate::coordinates::Coordinates;
use crate::error::LinearError;
use crate::objective::value_and_dual;
use crate::problem::{Loss, Problem};
use crate::products::Rows;
use crate::record::{SolveOptions, State};
use crate::solve::solve_checked;

/// What one model is worth on the samples left out.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub(super) loss: f64,
    pub(super) accuracy: f64,
    pub(super) num_nonzero_weights: f64,
    pub(super) relative_gap: f64,
}

/// The samples of a fold and the others, on the features or in coordinates.
pub(super) struct Fold<'a> {
    whole: &'a Problem<'a>,
    coordinates: Option<&'a Coordinates>,
    width: usize,
    /// Those to train on, `[any, width]`.
    features: Vec<f32>,
    targets: Vec<u32>,
    sample_weights: Option<Vec<f32>>,
    left_out: Vec<usize>,
    /// Those left out, `[any, width]`.
    unseen: Vec<f32>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(
        whole: &'a Problem<'a>,
        folds: &[Option<usize>],
        fold: usize,
        coordinates: Option<&'a Coordinates>,
    ) -> Self {
        let (train, left_out): (Vec<usize>, Vec<usize>) =
            (0..folds.len()).partition(|&sample| folds[sample] != Some(fold));
        let (values, width) = match coordinates {
            Some(coordinates) => (coordinates.features.as_slice(), folds.len()),
            None => (whole.features, whole.num_features),
        };
        let of = |samples: &[usize]| -> Vec<f32> {
            let mut rows = Vec::with_capacity(samples.len() * width);
            samples.iter().for_each(|sample| rows.extend_from_slice(&values[sample * width..][..width]));
            rows
        };
        let weights = |all: &[f32]| train.iter().map(|&sample| all[sample]).collect();
        Self {
            whole,
            coordinates,
            width,
            features: of(&train),
            targets: train.iter().map(|&sample| whole.targets[sample]).collect(),
            sample_weights: whole.sample_weights.map(weights),
            unseen: of(&left_out),
            left_out,
        }
    }

    /// A model for each penalty, each beginning with the one before.
    pub(super) fn judge(
        &self,
        penalties: &[(f64, f64)],
        options: &SolveOptions,
        stop: &(dyn Fn() -> bool + Sync),
        tell: &dyn Fn((f64, f64), &Judged),
    ) -> Result<Vec<Judged>, LinearError> {
        let problem = Problem {
            features: &self.features,
            num_features: self.width,
            targets: &self.targets,
            sample_weights: self.sample_weights.as_deref(),
            ..self.whole.clone()
        };
        // The features are checked once, the penalty each time.
        let mut checked = problem.check()?;
        checked.second_moment = self.coordinates.map(|coordinates| &coordinates.second_moment);
        let mut state = State { weights: options.check(&checked)?, dual: Vec::new() };
        let is_smooth = checked.loss == Loss::Softmax && penalties.iter().all(|penalty| penalty.1 == 0.0);
        let mut trail = Trail::default();
        let mut judged = Vec::with_capacity(penalties.len());
        for &(l2, l1) in penalties {
            Problem { l2, l1, ..self.whole.clone() }.check_parameters()?;
            (checked.l2, checked.l1) = (l2, l1);
            checked.check_penalty()?;
            if is_smooth {
                trail.extend(l2, &mut state.weights);
            }
            let mut observe = |_: &_| if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            let solution = solve_checked(&checked, options, &mut state, &mut observe);
            if stop() {
                return Err(LinearError::Interrupted);
            }
            let (loss, accuracy) = self.losses(&state.weights);
            let num_nonzero_weights = match self.coordinates {
                // A weight of the features that is 0 would be chance.
                Some(_) => self.whole.num_classes * self.whole.num_features,
                None => solution.num_nonzero_weights,
            } as f64;
            let relative_gap = solution.relative_gap;
            judged.push(Judged { loss, accuracy, num_nonzero_weights, relative_gap });
            tell((l2, l1), &judged[judged.len() - 1]);
        }
        Ok(judged)
    }

    /// Mean loss and accuracy of the samples left out.
    fn losses(&self, weights: &[f64]) -> (f64, f64) {
        let Self { whole, left_out, .. } = self;
        let rows = Rows::new(&self.unseen, self.width, whole.num_classes);
        let mut scores = Vec::new();
        rows.scores(weights, &mut scores);
        let mut unused = vec![0.0; rows.num_classes];
        let (mut loss, mut num_correct) = (0.0, 0);
        for (&sample, scores) in left_out.iter().zip(scores.chunks_exact(rows.stride())) {
            let (scores, target) = (&scores[..rows.num_classes], whole.targets[sample] as usize);
            let of_sample = whole.sample_weights.map_or(1.0, |weights| f64::from(weights[sample]));
            let of_class = whole.class_weights.map_or(1.0, |weights| f64::from(weights[target]));
            loss += of_sample * of_class * value_and_dual(whole.loss, scores, target, &mut unused);
            // Of equal scores the first.
            let first = (0..scores.len()).reduce(|a, b| if scores[b] > scores[a] { b } else { a });
            num_correct += usize::from(first == Some(target));
        }
        let count = left_out.len() as f64;
        (loss / count, num_correct as f64 / count)
    }
}

/// The last two solutions. Weights go smoothly along a path, so that a line through both in ln l2 comes near
/// the next.
#[derive(Default)]
struct Trail {
    logarithm: f64,
    step: f64,
    weights: Vec<f64>,
}

impl Trail {
    /// Remembers the solution of the penalty before, and moves it towards that of `l2`.
    fn extend(&mut self, l2: f64, weights: &mut [f64]) {
        let step = l2.ln() - self.logarithm;
        let before = std::mem::replace(&mut self.weights, weights.to_vec());
        // No further than the last step went.
        let share = if self.step < 0.0 { (step / self.step).min(1.0) } else { 0.0 };
        if before.len() == weights.len() {
            weights.iter_mut().zip(before).for_each(|(w, before)| *w += share * (*w - before));
        }
        (self.logarithm, self.step) = (l2.ln(), step);
    }
}
