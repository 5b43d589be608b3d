//! The hinges: ascent in the dual, sample by sample, each step exact in all classes at once.
//!
//! A step for sample i changes γ_i to the maximum of the dual over its polytope, all else fixed: Wang and Scott 2021 for Weston and
//! Watkins, Keerthi et al. 2008 for Crammer and Singer. It needs the scores of one sample and changes the weights by its features:
//!
//! ```text
//! V = −GᵀX                        kept up to date
//! W = soft(V, l1) / (2 l2)        exact steps for l1 = 0; else of the quadratic bound (Shalev-Shwartz and Zhang 2016, section 3)
//! ```
//!
//! **Bias.** Its multiplier condition Σ_i G_i = 0 couples all samples. The augmented Lagrangian (Bertsekas 1982, chapter 2) adds
//! (β/2)‖Σ_i G_i‖² to what is minimised and moves the multipliers, which are the bias, by −β Σ_i G_i after each round. The limit has no
//! penalty on the bias, and the certificate is that of the problem without one. With a bias, subtracting the mean from the features
//! changes nothing but the bias, and much of what makes rounds slow: they work on a centred copy of the data.
//!
//! **L1 alone.** V gets ρZ added, and 2 l2 becomes ρ: the dual of the problem with (ρ/2)‖W − Z‖² added, where Z is the W of the iteration
//! before (proximal point method; Rockafellar 1976).
//!
//! **Shrinking.** A certificate knows the scores of all samples. Rounds until the next one leave out samples whose γ is at a bound
//! and whose margins say that it stays.

use mentor_random::{Purpose, Stream};
use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};

use crate::gap::Certifier;
use crate::objective::{project_onto_box, project_onto_simplex, value_and_dual};
use crate::problem::{Checked, Loss};
use crate::products::{PANEL, Rows, vectors_of_panel};
use crate::solve::{Reason, Record, State};
use crate::vectors::Real;

/// Rounds between two certificates: so many that they visit `VISITS` times the number of samples, within these bounds.
const VISITS: usize = 4;
const FEWEST_ROUNDS: usize = 2;
const MOST_ROUNDS: usize = 60;
/// β, as a share of the mean of ‖x‖² / (2 l2).
const BIAS_RATE: f64 = 0.1;
/// Relative gaps below this are out of reach of weights in `f32`.
const SINGLE_PRECISION: f64 = 1e-6;

pub(crate) fn dual_coordinate(certifier: &Certifier<'_>, state: &mut State, record: &mut Record<'_>) -> Reason {
    let problem = certifier.problem;
    let rows = &problem.rows;
    let (mut scores, mut of_primal) = (Vec::new(), Vec::new());
    prepare(certifier, state);
    let (mean, centred) = if problem.bias { centre(problem) } else { (Vec::new(), Vec::new()) };
    let inner_rows = if problem.bias { Rows::new(&centred, rows.num_features, rows.num_classes) } else { *rows };
    let inner = Checked { rows: inner_rows, sample_scales: problem.sample_scales.clone(), ..*problem };
    let inner = Certifier::new(&inner);
    let mean_square = inner.squared_norms.iter().sum::<f64>() / rows.num_samples as f64;
    let ridge = if problem.l2 > 0.0 { 2.0 * problem.l2 } else { problem.l1 };
    let bias_rate = if problem.bias { BIAS_RATE * mean_square.max(1e-6) / ridge } else { 0.0 };
    let ones = vec![1.0; rows.num_classes * rows.num_classes];
    let mut round = 0;
    loop {
        let dual = certifier.dual(&state.dual);
        record.offer_dual(dual.bound);
        let correlations =
            if problem.bias { inner.correlations(&state.dual, &ones) } else { dual.correlations };
        // V, with the proximal point in it.
        let mut potential: Vec<f64> = correlations.iter().map(|value| -value).collect();
        if problem.l2 == 0.0 {
            potential.iter_mut().zip(&state.weights).for_each(|(v, w)| *v += ridge * w);
        }
        shift_bias(rows, &mut state.weights, &mean, 1.0);
        for feature in 0..rows.num_features {
            for class in 0..rows.num_classes {
                let place = rows.weight(class, feature);
                let v = potential[place];
                state.weights[place] = (v.abs() - problem.l1).max(0.0).copysign(v) / ridge;
            }
        }
        shift_bias(rows, &mut state.weights, &mean, -1.0);
        rows.scores(&state.weights, &mut scores);
        let primal = certifier.primal(&state.weights, &scores, &mut of_primal);
        record.offer_primal(&state.weights, primal);
        if let Some(reason) = record.end_iteration() {
            return reason;
        }
        let tolerance = record.relative_gap().sqrt().clamp(1e-3, 1.0);
        let active: Vec<u32> = (0..rows.num_samples as u32)
            .filter(|&sample| {
                let sample = sample as usize;
                let part = sample * rows.stride()..sample * rows.stride() + rows.num_classes;
                let target = problem.targets[sample] as usize;
                problem.sample_scales[sample] > 0.0
                    && moves(problem.loss, &scores[part.clone()], target, &state.dual[part], tolerance)
            })
            .collect();
        let rounds = (VISITS * rows.num_samples / active.len().max(1)).clamp(FEWEST_ROUNDS, MOST_ROUNDS);
        let ascent = Ascent { certifier: &inner, active: &active, ridge, bias_rate, first_round: round, rounds };
        shift_bias(rows, &mut state.weights, &mean, 1.0);
        if record.target >= SINGLE_PRECISION {
            ascent.run::<f32>(&potential, &mut state.weights, &mut state.dual);
        } else {
            ascent.run::<f64>(&potential, &mut state.weights, &mut state.dual);
        }
        shift_bias(rows, &mut state.weights, &mean, -1.0);
        round += rounds;
    }
}

/// The mean of the features, and the features without it.
fn centre(problem: &Checked<'_>) -> (Vec<f64>, Vec<f32>) {
    let Checked { rows, sample_scales, .. } = problem;
    let total: f64 = sample_scales.iter().sum();
    let mean = rows.sum(rows.num_features, |sample, sum| {
        let scale = sample_scales[sample] / total;
        sum.iter_mut().zip(rows.row(sample)).for_each(|(sum, &x)| *sum += scale * f64::from(x));
    });
    let without = |sample| rows.row(sample).iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean) as f32);
    let centred = (0..rows.num_samples).flat_map(without).collect();
    (mean, centred)
}

/// From the bias of the data to that of centred ones (1) or back (−1).
fn shift_bias(rows: &Rows<'_>, weights: &mut [f64], mean: &[f64], sign: f64) {
    for class in 0..rows.num_classes {
        let shift: f64 = (0..mean.len()).map(|feature| mean[feature] * weights[rows.weight(class, feature)]).sum();
        weights[rows.weight(class, rows.num_features)] += sign * shift;
    }
}

/// A dual point for a state that has none.
fn prepare(certifier: &Certifier<'_>, state: &mut State) {
    let Checked { rows, targets, loss, .. } = certifier.problem;
    let stride = rows.stride();
    if !state.dual.is_empty() {
        return;
    }
    state.dual = vec![0.0; rows.num_samples * stride];
    if state.weights.iter().any(|&w| w != 0.0) {
        let mut scores = Vec::new();
        rows.scores(&state.weights, &mut scores);
        let samples = state.dual.chunks_exact_mut(stride).zip(scores.chunks_exact(stride));
        for ((dual, scores), &target) in samples.zip(*targets) {
            let num_classes = rows.num_classes;
            value_and_dual(*loss, &scores[..num_classes], target as usize, &mut dual[..num_classes]);
        }
    }
}

/// Whether a sample's γ is likely to move: it is inside its polytope, or its margins do not hold it at the bound by `tolerance` Δ.
fn moves(loss: Loss, scores: &[f64], target: usize, dual: &[f64], tolerance: f64) -> bool {
    let lead = |class: usize| scores[class] - scores[target];
    let others = (0..scores.len()).filter(|&class| class != target);
    match loss {
        Loss::CrammerSinger { margin } => {
            // Where q has its 1, if it has one, the violation must be the largest; that of the target itself is 0.
            let violation = |class: usize| if class == target { 0.0 } else { lead(class) + margin };
            let corner = if dual.iter().all(|&value| value == 0.0) {
                Some(target)
            } else {
                dual.iter().position(|&value| value == 1.0)
            };
            corner.is_none_or(|corner| {
                let bar = violation(corner) - tolerance * margin;
                (0..scores.len()).any(|class| class != corner && violation(class) > bar)
            })
        }
        Loss::WestonWatkins { margin } => others.into_iter().any(|class| {
            let violation = lead(class) + margin;
            match dual[class] {
                0.0 => violation > -tolerance * margin,
                1.0 => violation < tolerance * margin,
                _ => true,
            }
        }),
        Loss::Softmax => true,
    }
}

/// Rounds over the active samples.
struct Ascent<'a> {
    certifier: &'a Certifier<'a>,
    active: &'a [u32],
    /// 2 l2, or ρ.
    ridge: f64,
    /// β.
    bias_rate: f64,
    first_round: usize,
    rounds: usize,
}

impl Ascent<'_> {
    /// `potential` is V at `dual`; the bias of `weights` and `dual` move.
    fn run<T: Real>(&self, potential: &[f64], weights: &mut [f64], dual: &mut [f64]) {
        let Checked { rows, targets, sample_scales, .. } = self.certifier.problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        let mut potential: Vec<T> = potential.iter().map(|&value| T::round(value)).collect();
        // b and Σ_i G_i, in f64: they are few.
        let mut bias: Vec<f64> = (0..num_classes).map(|class| weights[rows.weight(class, rows.num_features)]).collect();
        let mut imbalance = rows.sum(num_classes, |sample, sum| {
            let dual = &dual[sample * stride..][..num_classes];
            sum.iter_mut().zip(dual).for_each(|(sum, value)| *sum += sample_scales[sample] * value);
            sum[targets[sample] as usize] -= sample_scales[sample] * dual.iter().sum::<f64>();
        });
        for round in self.first_round..self.first_round + self.rounds {
            let order = Stream::new(0, Purpose::Order, &[round as u64]).permutation(self.active.len() as u32);
            let (potential, bias, imbalance) = (&mut potential[..], &mut bias[..], &mut imbalance[..]);
            dispatch(Round { ascent: self, order: &order, potential, bias, imbalance, dual });
            bias.iter_mut().zip(&*imbalance).for_each(|(bias, sum)| *bias -= self.bias_rate * sum);
        }
        for (class, bias) in bias.iter().enumerate() {
            weights[rows.weight(class, rows.num_features)] = *bias;
        }
    }
}

/// One round, with everything that it calls compiled for the processor's vectors.
struct Round<'a, 'b, T> {
    ascent: &'a Ascent<'b>,
    order: &'a [u32],
    potential: &'a mut [T],
    bias: &'a mut [f64],
    imbalance: &'a mut [f64],
    dual: &'a mut [f64],
}

impl<T: Real> WithSimd for Round<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match const { vectors_of_panel::<S, T>() } {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            8 => self.run::<S, 8>(simd),
            _ => self.run::<S, 16>(simd),
        }
    }
}

impl<T: Real> Round<'_, '_, T> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Certifier { problem, squared_norms, .. } = self.ascent.certifier;
        let Checked { rows, targets, sample_scales, loss, l1, .. } = problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        let ridge = self.ascent.ridge;
        let mut scores = vec![T::default(); stride];
        let mut wanted = vec![0.0; num_classes];
        let mut change = vec![0.0; num_classes];
        let mut factors = vec![T::default(); stride];
        let mut scratch = Vec::new();
        for &place in self.order {
            let sample = self.ascent.active[place as usize] as usize;
            let (target, scale) = (targets[sample] as usize, sample_scales[sample]);
            let features = T::of(rows.row(sample), &mut scratch);
            let panels = self.potential.chunks_exact(rows.panel_len()).zip(scores.chunks_exact_mut(PANEL));
            for (potential, scores) in panels {
                let potential = &T::vectors::<S>(potential)[..rows.num_features * V];
                if *l1 > 0.0 {
                    soft_scores::<S, T, V>(simd, features, potential, T::round(*l1), scores);
                } else {
                    scores_of_row::<S, T, V>(simd, features, potential, scores);
                }
            }
            let score = |class: usize| scores[class].into() / ridge + self.bias[class];
            let dual = &mut self.dual[sample * stride..][..num_classes];
            change.copy_from_slice(dual);
            let (Loss::WestonWatkins { margin } | Loss::CrammerSinger { margin }) = *loss else { return };
            let own = score(target);
            for (class, wanted) in wanted.iter_mut().enumerate() {
                *wanted = if class == target { 0.0 } else { score(class) - own + margin };
            }
            let largest = wanted.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            // A sample without features has no curvature; one that is small beside its margins would cost digits.
            let curvature = (scale * (squared_norms[sample] / ridge + self.ascent.bias_rate)).max(1e-4 * largest);
            wanted.iter_mut().zip(&*dual).for_each(|(wanted, dual)| *wanted = dual + *wanted / curvature);
            match loss {
                Loss::CrammerSinger { .. } => {
                    wanted[target] = 1.0 - dual.iter().sum::<f64>();
                    project_onto_simplex(&wanted, target, dual);
                }
                _ => project_onto_box(&wanted, target, dual),
            }
            let mut total = 0.0;
            for (change, after) in change.iter_mut().zip(&*dual) {
                *change = scale * (after - *change);
                total += *change;
            }
            if change.iter().all(|&change| change == 0.0) {
                continue;
            }
            change[target] = -total;
            for (class, change) in change.iter().enumerate() {
                factors[class] = T::round(-change);
                self.imbalance[class] += change;
                self.bias[class] -= self.ascent.bias_rate * change;
            }
            let panels = self.potential.chunks_exact_mut(rows.panel_len()).zip(factors.chunks_exact(PANEL));
            for (potential, factors) in panels {
                let potential = &mut T::vectors_mut::<S>(potential)[..rows.num_features * V];
                add_row::<S, T, V>(simd, features, factors, potential);
            }
        }
    }
}

/// Features that are multiplied at once: independent sums hide the latency of one.
const UNROLL: usize = 4;

#[inline(always)]
fn scores_of_row<S: Simd, T: Real, const V: usize>(
    simd: S,
    features: &[T],
    potential: &[T::Vector<S>],
    out: &mut [T],
) {
    let mut sums = [[T::splat(simd, T::default()); V]; UNROLL];
    let mut potentials = potential.chunks_exact(V);
    for features in features.chunks(UNROLL) {
        for (&feature, sums) in features.iter().zip(&mut sums) {
            let Some(potential) = potentials.next() else { break };
            let feature = T::splat(simd, feature);
            for (sum, &potential) in sums.iter_mut().zip(potential) {
                *sum = T::mul_add(simd, feature, potential, *sum);
            }
        }
    }
    store_total::<S, T, V>(simd, &sums, out);
}

#[inline(always)]
fn soft_scores<S: Simd, T: Real, const V: usize>(
    simd: S,
    features: &[T],
    potential: &[T::Vector<S>],
    threshold: T,
    out: &mut [T],
) {
    let mut sums = [[T::splat(simd, T::default()); V]; UNROLL];
    let mut potentials = potential.chunks_exact(V);
    for features in features.chunks(UNROLL) {
        for (&feature, sums) in features.iter().zip(&mut sums) {
            let Some(potential) = potentials.next() else { break };
            let feature = T::splat(simd, feature);
            for (sum, &potential) in sums.iter_mut().zip(potential) {
                *sum = T::mul_add(simd, feature, T::soft(simd, potential, threshold), *sum);
            }
        }
    }
    store_total::<S, T, V>(simd, &sums, out);
}

#[inline(always)]
fn store_total<S: Simd, T: Real, const V: usize>(simd: S, sums: &[[T::Vector<S>; V]; UNROLL], out: &mut [T]) {
    let [a, b, c, d] = sums;
    for (place, out) in T::vectors_mut::<S>(out).iter_mut().enumerate().take(V) {
        *out = T::add(simd, T::add(simd, a[place], b[place]), T::add(simd, c[place], d[place]));
    }
}

#[inline(always)]
fn add_row<S: Simd, T: Real, const V: usize>(
    simd: S,
    features: &[T],
    factors: &[T],
    potential: &mut [T::Vector<S>],
) {
    let mut held = [T::splat(simd, T::default()); V];
    held.copy_from_slice(&T::vectors::<S>(factors)[..V]);
    for (&feature, potential) in features.iter().zip(potential.chunks_exact_mut(V)) {
        let feature = T::splat(simd, feature);
        for (potential, &factor) in potential.iter_mut().zip(&held) {
            *potential = T::mul_add(simd, feature, factor, *potential);
        }
    }
}
