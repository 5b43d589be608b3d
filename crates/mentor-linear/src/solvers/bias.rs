//! The best bias at given weights: softmax is smooth and convex in C numbers.

use crate::objective::softmax;
use crate::problem::Checked;

/// Newton steps at most. Each costs as much as a value of the loss.
const MOST_STEPS: usize = 30;

/// Moves the bias of `weights`, and `scores` with it, until Σ_i a_i/N (p_ic − [y_i = c]) is for each class at
/// most `tolerance` of the mass Σ_i a_i/N (1 − p_iy): what is left is what a dual point loses.
pub(crate) fn optimise_bias(problem: &Checked<'_>, weights: &mut [f64], scores: &mut [f64], tolerance: f64) {
    let Checked { rows, targets, sample_scales, .. } = problem;
    let (stride, num_classes) = (rows.stride(), rows.num_classes);
    let total: f64 = sample_scales.iter().sum();
    for _ in 0..MOST_STEPS {
        // The mass, the gradient, the Hessian, and room for the probabilities of a sample.
        let sums = rows.sum(1 + num_classes * (num_classes + 2), |sample, sums| {
            let (mass, sums) = sums.split_at_mut(1);
            let (gradient, rest) = sums.split_at_mut(num_classes);
            let (hessian, probs) = rest.split_at_mut(num_classes * num_classes);
            let target = targets[sample] as usize;
            softmax(&scores[sample * stride..][..num_classes], target, probs);
            let scale = sample_scales[sample];
            let others: f64 = probs.iter().sum();
            mass[0] += scale * others;
            for (gradient, &prob) in gradient.iter_mut().zip(probs.iter()) {
                *gradient += scale * prob;
            }
            gradient[target] -= scale * others;
            probs[target] = 1.0 - others;
            for (class, row) in hessian.chunks_exact_mut(num_classes).enumerate() {
                let factor = scale * probs[class];
                row.iter_mut().zip(probs.iter()).for_each(|(entry, &prob)| *entry -= factor * prob);
                row[class] += factor;
            }
        });
        let (mass, sums) = (sums[0], &sums[1..]);
        let gradient = &sums[..num_classes];
        if gradient.iter().all(|slope| slope.abs() <= tolerance * mass) {
            return;
        }
        // Adding the same number to all biases changes nothing: the Hessian is singular there, and a
        // constant mends it.
        let mut hessian = sums[num_classes..num_classes * (num_classes + 1)].to_vec();
        hessian.iter_mut().for_each(|entry| *entry += total / num_classes as f64);
        let mut step: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
        solve_in_place(&mut hessian, &mut step);
        // The Hessian changes by a factor of e² at most within such a step, so that it leads downhill.
        let longest = step.iter().fold(1.0_f64, |most, move_| most.max(move_.abs()));
        if !longest.is_finite() {
            return;
        }
        step.iter_mut().for_each(|move_| *move_ /= longest);
        for (class, move_) in step.iter().enumerate() {
            weights[rows.weight(class, rows.num_features)] += move_;
        }
        for scores in scores.chunks_exact_mut(stride) {
            scores.iter_mut().zip(&step).for_each(|(score, move_)| *score += move_);
        }
    }
}

/// Cholesky's method on a small positive definite matrix; pivots of 0 are passed over.
fn solve_in_place(matrix: &mut [f64], right: &mut [f64]) {
    let len = right.len();
    for pivot in 0..len {
        let head = matrix[pivot * len + pivot].max(f64::MIN_POSITIVE);
        for row in pivot + 1..len {
            let factor = matrix[row * len + pivot] / head;
            for column in pivot..len {
                matrix[row * len + column] -= factor * matrix[pivot * len + column];
            }
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..len).rev() {
        let known: f64 = (row + 1..len).map(|column| matrix[row * len + column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row * len + row].max(f64::MIN_POSITIVE);
    }
}
