//! Losses and gradients, row by row.

use rayon::prelude::*;

use super::Formula;
use crate::host::buffer::filled;
use crate::host::exponential::exp_of_non_positive;
use crate::host::pointwise::floor_at;
use crate::simd::{Level, Simd, with_simd};

/// Rows of a task. Rows do not depend on each other, so neither do the bits on the number of threads.
const ROWS: usize = 256;

/// Losses and gradients to write, scores and targets to read, in the order in which iterators zip them.
type Chunk<'a> = (((&'a mut [f32], &'a mut [f32]), &'a [f32]), &'a [usize]);

/// The loss of each row and its gradient, `[N]` and `[N, C]`; targets are in `0..C`.
pub(super) fn losses(
    num_classes: usize,
    scores: &[f32],
    targets: &[usize],
    formula: Formula,
) -> (Vec<f32>, Vec<f32>) {
    let level = Level::current();
    let (mut losses, mut gradient) = (filled(targets.len()), filled(scores.len()));
    let task = |(((losses, gradient), scores), targets): Chunk<'_>| match formula {
        // SAFETY: the machine has the level.
        Formula::Softmax => unsafe {
            with_simd!(
                level,
                softmax(
                    num_classes: usize,
                    scores: &[f32],
                    targets: &[usize],
                    losses: &mut [f32],
                    gradient: &mut [f32],
                )
            )
        },
        Formula::WestonWatkins { margin } => {
            each_row(num_classes, scores, targets, losses, gradient, |scores, target, slope| {
                weston_watkins(scores, target, margin, slope)
            });
        }
        Formula::CrammerSinger { margin } => {
            each_row(num_classes, scores, targets, losses, gradient, |scores, target, slope| {
                crammer_singer(scores, target, margin, slope)
            });
        }
    };
    if targets.len() > ROWS {
        losses
            .par_chunks_mut(ROWS)
            .zip(gradient.par_chunks_mut(ROWS * num_classes))
            .zip(scores.par_chunks(ROWS * num_classes))
            .zip(targets.par_chunks(ROWS))
            .for_each(task);
    } else {
        task((((&mut losses, &mut gradient), scores), targets));
    }
    (losses, gradient)
}

fn each_row(
    num_classes: usize,
    scores: &[f32],
    targets: &[usize],
    losses: &mut [f32],
    gradient: &mut [f32],
    formula: impl Fn(&[f32], usize, &mut [f32]) -> f32,
) {
    let rows = scores.chunks_exact(num_classes).zip(gradient.chunks_exact_mut(num_classes));
    for ((loss, target), (scores, slope)) in losses.iter_mut().zip(targets).zip(rows) {
        *loss = formula(scores, *target, slope);
    }
}

#[inline(always)]
fn weston_watkins(scores: &[f32], target: usize, margin: f32, slope: &mut [f32]) -> f32 {
    let own = scores[target];
    let (mut loss, mut active) = (0.0, 0.0);
    for (index, (score, slope)) in scores.iter().zip(slope.iter_mut()).enumerate() {
        let violation = if index == target { 0.0 } else { (score - own) + margin };
        *slope = if violation <= 0.0 { 0.0 } else { 1.0 };
        active += *slope;
        loss += floor_at(violation, 0.0);
    }
    slope[target] = -active;
    loss
}

#[inline(always)]
fn crammer_singer(scores: &[f32], target: usize, margin: f32, slope: &mut [f32]) -> f32 {
    let own = scores[target];
    let (mut largest, mut worst, mut undefined) = (0.0, target, false);
    for (index, score) in scores.iter().enumerate() {
        let violation = if index == target { 0.0 } else { (score - own) + margin };
        undefined |= violation.is_nan();
        if violation > largest {
            (largest, worst) = (violation, index);
        }
    }
    slope.fill(0.0);
    if worst != target {
        slope[worst] = 1.0;
        slope[target] = -1.0;
    }
    if undefined { f32::NAN } else { largest }
}

/// In three passes over the chunk, so that the exponentials run at full width whatever C is.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
unsafe fn softmax<S: Simd>(
    num_classes: usize,
    scores: &[f32],
    targets: &[usize],
    losses: &mut [f32],
    gradient: &mut [f32],
) {
    let rows = gradient.chunks_exact_mut(num_classes).zip(scores.chunks_exact(num_classes));
    for ((exponents, scores), (target, loss)) in rows.zip(targets.iter().zip(losses.iter_mut())) {
        let own = scores[*target];
        // M; a NaN is no lead, but its exponent stays one.
        let lead = scores
            .iter()
            .map(|score| score - own)
            .fold(0.0, |lead, next| if next > lead { next } else { lead });
        exponents.iter_mut().zip(scores).for_each(|(exponent, score)| *exponent = (score - own) - lead);
        exponents[*target] = f32::MIN; // its exponential is exactly 0
        *loss = lead;
    }
    gradient.iter_mut().for_each(|value| *value = exp_of_non_positive::<S>(*value));
    let rows = gradient.chunks_exact_mut(num_classes);
    for (exponentials, (target, loss)) in rows.zip(targets.iter().zip(losses)) {
        let (lead, others) = (*loss, exponentials.iter().sum::<f32>());
        let own = exp_of_non_positive::<S>(-lead);
        // own − 1 serves as expm1: where M is 0 it is exactly 0, elsewhere the loss is at least ln 2.
        *loss = lead + (others + (own - 1.0)).ln_1p();
        let inverse = 1.0 / (others + own);
        exponentials.iter_mut().for_each(|value| *value *= inverse);
        exponentials[*target] = -others * inverse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::with_level;
    use crate::testing::{close, random};

    #[test]
    fn the_levels_agree() {
        let scores = random(1, 300 * 7);
        let targets: Vec<usize> = (0..300).map(|i| i % 7).collect();
        let on = |level| with_level(level, || losses(7, &scores, &targets, Formula::Softmax));
        let exact = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let (portable, slope) = on(Level::Portable);
        for level in Level::available() {
            let (found, found_slope) = on(level);
            close(&found, &exact(&portable), 3e-7);
            close(&found_slope, &exact(&slope), 3e-7);
        }
    }
}
