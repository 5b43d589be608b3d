//! Softmax with L2: Newton's method, each step by conjugate gradients.
//!
//! The gradient is exact, in `f64`; products with the Hessian are in `f32`. A step is solved only as well
//! as the gap that is asked for needs (truncated Newton; Nocedal and Wright 2006, section 7.1; Lin, Weng,
//! Keerthi 2008). The preconditioner inverts approximate diagonal blocks of the Hessian. The bias is
//! optimal at each certificate, so that p itself is nearly feasible in the dual.

use rayon::prelude::*;

use crate::gap::Certifier;
use crate::problem::Checked;
use crate::products::{PANEL, Rows};
use crate::record::{Progress, Reason, Record, SolveOptions, State};
use crate::solvers::bias::optimise_bias;
use crate::solvers::hessian::Hessian;
use crate::solvers::preconditioner::Preconditioner;

/// Conjugate-gradient steps of one Newton step at most.
const MOST_STEPS: usize = 300;
/// A preconditioner that needed so many steps is made anew.
pub(super) const MANY_STEPS: usize = 10;
/// A problem with so many times more samples than features is first solved on every `COARSE`th sample.
const COARSE: usize = 8;

pub(crate) fn newton_cg(certifier: &Certifier<'_>, state: &mut State, record: &mut Record<'_>) -> Reason {
    let problem = certifier.problem;
    let rows = &problem.rows;
    let weights = &mut state.weights;
    if weights.iter().all(|&w| w == 0.0)
        && let Some(coarse) = on_a_part(certifier, newton_cg, record)
    {
        match coarse {
            Ok(coarse) => *weights = coarse,
            Err(reason) => return reason,
        }
    }
    let (mut scores, mut dual, mut along, mut trial) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    rows.scores(weights, &mut scores);
    let mut hessian = Hessian::new(problem);
    let mut preconditioner: Option<Preconditioner> = None;
    let mut last_norm = 0.0;
    loop {
        if problem.bias {
            optimise_bias(problem, weights, &mut scores, 1e-3 * record.target.min(1e-3));
        }
        let primal = certifier.primal(weights, &scores, &mut dual);
        record.offer_primal(weights, primal);
        let point = certifier.dual(&dual);
        record.offer_dual(point.bound);
        if let Some(reason) = record.end_iteration() {
            return reason;
        }
        hessian.move_to(&dual);
        let mut gradient = point.correlations;
        add_penalty(problem, weights, &mut gradient);
        let preconditioner_now = preconditioner.take().unwrap_or_else(|| Preconditioner::new(&hessian));
        // The gap is ‖gradient‖² / (4 l2): a step to this residual reaches half of the one that is asked
        // for, if the Hessian stays. Far from the optimum it does not, and as many digits as the last step
        // has gained are enough (Eisenstat and Walker 1996).
        let gap = (primal.value - point.bound.value).max(f64::MIN_POSITIVE);
        let norm = dot(&gradient, &gradient).sqrt();
        let useful = (0.5 * record.target * primal.value / gap).sqrt();
        let tolerance = (0.5 * (norm / last_norm).powi(2)).clamp(1e-3, 0.1).max(useful.min(0.3));
        last_norm = norm;
        let (direction, num_steps) = conjugate_gradients(&hessian, &gradient, &preconditioner_now, tolerance);
        if num_steps <= MANY_STEPS {
            preconditioner = Some(preconditioner_now);
        }
        rows.scores(&direction, &mut along);
        let slope = dot(&gradient, &direction);
        let mut size = 1.0;
        loop {
            trial.clone_from(&scores);
            trial.par_iter_mut().zip(&along).for_each(|(score, step)| *score += size * step);
            let moved: Vec<f64> = weights.iter().zip(&direction).map(|(w, d)| w + size * d).collect();
            let value = certifier.primal(&moved, &trial, &mut dual);
            // A decrease below the rounding of the objective is taken on trust: the gap will tell.
            if value.value <= primal.value + 1e-4 * size * slope + primal.rounding || size < 1e-10 {
                *weights = moved;
                std::mem::swap(&mut scores, &mut trial);
                break;
            }
            size *= 0.5;
        }
    }
}

/// Adds the gradient of l2 Σ w².
pub(super) fn add_penalty(problem: &Checked<'_>, weights: &[f64], gradient: &mut [f64]) {
    let rows = &problem.rows;
    let panels = gradient.chunks_exact_mut(rows.panel_len()).zip(weights.chunks_exact(rows.panel_len()));
    for (gradient, weights) in panels {
        let gradient = &mut gradient[..rows.num_features * PANEL];
        gradient.iter_mut().zip(weights).for_each(|(slope, w)| *slope += 2.0 * problem.l2 * w);
    }
}

/// d with ‖H d + gradient‖ ≤ tolerance · ‖gradient‖, and the steps that it took.
pub(super) fn conjugate_gradients(
    hessian: &Hessian<'_>,
    gradient: &[f64],
    preconditioner: &Preconditioner,
    tolerance: f64,
) -> (Vec<f64>, usize) {
    let rows = &hessian.problem.rows;
    let mut direction = vec![0.0; gradient.len()];
    let mut residual: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let enough = tolerance * tolerance * dot(&residual, &residual);
    let mut improved = preconditioner.apply(rows, &residual);
    let mut search = improved.clone();
    let mut energy = dot(&residual, &improved);
    for step in 1..=MOST_STEPS {
        let product = hessian.product(&search);
        let curvature = dot(&search, &product);
        // Not a number where rounding has the last word.
        if curvature <= 0.0 || curvature.is_nan() {
            return (direction, step);
        }
        let size = energy / curvature;
        direction.iter_mut().zip(&search).for_each(|(d, s)| *d += size * s);
        residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= size * p);
        if dot(&residual, &residual) <= enough {
            return (direction, step);
        }
        improved = preconditioner.apply(rows, &residual);
        let next = dot(&residual, &improved);
        let ratio = next / energy;
        search.iter_mut().zip(&improved).for_each(|(s, z)| *s = z + ratio * *s);
        energy = next;
    }
    (direction, MOST_STEPS)
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How a problem is solved.
type Solver = fn(&Certifier<'_>, &mut State, &mut Record<'_>) -> Reason;

/// Weights near the optimum of a part of the samples, if there are enough of them and they have all classes;
/// or that the observer has asked to stop.
pub(super) fn on_a_part(
    certifier: &Certifier<'_>,
    solver: Solver,
    record: &mut Record<'_>,
) -> Option<Result<Vec<f64>, Reason>> {
    let problem = certifier.problem;
    let rows = &problem.rows;
    if rows.num_samples < COARSE * (4 * rows.num_features).max(1000) {
        return None;
    }
    let samples = || (0..rows.num_samples).step_by(COARSE);
    let features: Vec<f32> = samples().flat_map(|sample| rows.row(sample)).copied().collect();
    let targets: Vec<u32> = samples().map(|sample| problem.targets[sample]).collect();
    let sample_scales: Vec<f64> =
        samples().map(|sample| COARSE as f64 * problem.sample_scales[sample]).collect();
    let mut seen = vec![false; rows.num_classes];
    targets
        .iter()
        .zip(&sample_scales)
        .filter(|(_, scale)| **scale > 0.0)
        .for_each(|(&t, _)| seen[t as usize] = true);
    if !seen.iter().all(|&seen| seen) {
        return None;
    }
    // What few samples say is as uncertain as their gradients: which a penalty of this size covers.
    let mean_square = features.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / features.len() as f64;
    let noise = 0.5 * mean_square / (targets.len() as f64).sqrt();
    let part = Checked {
        rows: Rows::new(&features, rows.num_features, rows.num_classes),
        targets: &targets,
        sample_scales,
        l2: problem.l2 + noise,
        ..*problem
    };
    let options = SolveOptions { relative_gap: 0.05, max_iterations: 8, start: None };
    let mut state = State { weights: vec![0.0; rows.num_weights()], dual: Vec::new() };
    // The observer hears of weights of 0 until there are better ones.
    let (scores, mut unused) = (vec![0.0; rows.num_samples * rows.stride()], Vec::new());
    record.offer_primal(&state.weights, certifier.primal(&state.weights, &scores, &mut unused));
    let of_part = Certifier::new(&part);
    let mut observe = |_: &Progress| record.tell();
    let reason = solver(&of_part, &mut state, &mut Record::new(&of_part, &options, &mut observe));
    Some(if reason == Reason::Interrupted { Err(reason) } else { Ok(state.weights) })
}
