//! The optimum of a small problem by another method: a logarithmic barrier over explicit slack variables
//! (Boyd and Vandenberghe 2004, section 11.3), with dense Newton steps. It shares nothing with the crate
//! but the definition of the objective.

use mentor_linear::{Loss, Problem};

/// A sparse row.
type Row = Vec<(usize, f64)>;

/// The objective at the point that is found: never below the minimum.
pub(crate) struct Optimum {
    pub(crate) objective: f64,
}

/// P(W, b) by its definition; `weights` is `[C, D]`.
pub(crate) fn objective(problem: &Problem<'_>, weights: &[f64], bias: &[f64]) -> f64 {
    let (num_features, num_samples) = (problem.num_features, problem.targets.len());
    let mut sum = 0.0;
    for sample in 0..num_samples {
        let target = problem.targets[sample] as usize;
        let row = &problem.features[sample * num_features..][..num_features];
        let scores: Vec<f64> = (0..problem.num_classes)
            .map(|class| {
                let weights = &weights[class * num_features..][..num_features];
                bias[class] + weights.iter().zip(row).map(|(w, &x)| w * f64::from(x)).sum::<f64>()
            })
            .collect();
        let lead = |class: usize| scores[class] - scores[target];
        let others = || (0..scores.len()).filter(|&class| class != target);
        let loss = match problem.loss {
            Loss::Softmax => {
                let most = scores.iter().fold(f64::MIN, |most, &score| most.max(score));
                most + scores.iter().map(|score| (score - most).exp()).sum::<f64>().ln() - scores[target]
            }
            Loss::WestonWatkins { margin } => others().map(|class| (lead(class) + margin).max(0.0)).sum(),
            Loss::CrammerSinger { margin } => others().map(|class| lead(class) + margin).fold(0.0, f64::max),
        };
        sum += scale(problem, sample) * loss;
    }
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    sum + problem.l2 * squares + problem.l1 * weights.iter().map(|w| w.abs()).sum::<f64>()
}

fn scale(problem: &Problem<'_>, sample: usize) -> f64 {
    let class = problem.targets[sample] as usize;
    let of_sample = problem.sample_weights.map_or(1.0, |weights| f64::from(weights[sample]));
    let of_class = problem.class_weights.map_or(1.0, |weights| f64::from(weights[class]));
    of_sample * of_class / problem.targets.len() as f64
}

/// Variables: W = U − V with U, V > 0 if there is an L1 penalty, b, and the slacks of the hinges.
pub(crate) fn optimum(problem: &Problem<'_>) -> Optimum {
    let (num_classes, num_features, num_samples) =
        (problem.num_classes, problem.num_features, problem.targets.len());
    let num_weights = num_classes * num_features;
    let split = problem.l1 > 0.0;
    let first_bias = if split { 2 * num_weights } else { num_weights };
    let mut dim = first_bias + if problem.bias { num_classes } else { 0 };
    let score = |sample: usize, class: usize| {
        let mut row = Row::new();
        for feature in 0..num_features {
            let x = f64::from(problem.features[sample * num_features + feature]);
            row.push((class * num_features + feature, x));
            if split {
                row.push((num_weights + class * num_features + feature, -x));
            }
        }
        if problem.bias {
            row.push((first_bias + class, 1.0));
        }
        row
    };
    let mut linear = vec![0.0; dim];
    let mut constraints: Vec<(Row, f64)> = Vec::new();
    if split {
        linear[..first_bias].fill(problem.l1);
        constraints.extend((0..first_bias).map(|place| (vec![(place, 1.0)], 0.0)));
    }
    let mut start = vec![0.0; dim];
    start[..first_bias].fill(if split { 1.0 } else { 0.0 });
    if let Loss::WestonWatkins { margin } | Loss::CrammerSinger { margin } = problem.loss {
        let one_slack = matches!(problem.loss, Loss::CrammerSinger { .. });
        for sample in 0..num_samples {
            let target = problem.targets[sample] as usize;
            let mut slack = None;
            for class in (0..num_classes).filter(|&class| class != target) {
                let place = match slack {
                    Some(place) if one_slack => place,
                    _ => {
                        linear.push(scale(problem, sample));
                        start.push(2.0 * margin);
                        constraints.push((vec![(dim, 1.0)], 0.0));
                        dim += 1;
                        dim - 1
                    }
                };
                slack = Some(place);
                // ξ ≥ s_j − s_y + Δ
                let mut row = vec![(place, 1.0)];
                row.extend(score(sample, target));
                row.extend(score(sample, class).into_iter().map(|(place, x)| (place, -x)));
                constraints.push((row, margin));
            }
        }
    }
    let barrier = Barrier { problem, num_weights, split, linear, constraints, score: &score, dim };
    let mut point = start;
    let mut sharpness = 1.0;
    loop {
        barrier.centre(&mut point, sharpness);
        if barrier.constraints.is_empty() || sharpness >= 1e10 {
            break;
        }
        sharpness *= 8.0;
    }
    let weights: Vec<f64> = (0..num_weights)
        .map(|place| if split { point[place] - point[num_weights + place] } else { point[place] })
        .collect();
    let bias = if problem.bias {
        point[first_bias..first_bias + num_classes].to_vec()
    } else {
        vec![0.0; num_classes]
    };
    Optimum { objective: objective(problem, &weights, &bias) }
}

struct Barrier<'a> {
    problem: &'a Problem<'a>,
    num_weights: usize,
    split: bool,
    linear: Vec<f64>,
    constraints: Vec<(Row, f64)>,
    score: &'a dyn Fn(usize, usize) -> Row,
    dim: usize,
}

impl Barrier<'_> {
    /// Newton's method on sharpness · f − Σ ln(constraints).
    fn centre(&self, point: &mut Vec<f64>, sharpness: f64) {
        for _ in 0..100 {
            let (gradient, mut hessian) = self.derivatives(point, sharpness);
            let mut step: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
            solve(&mut hessian, &mut step);
            let decrement: f64 = -gradient.iter().zip(&step).map(|(g, s)| g * s).sum::<f64>();
            if decrement <= 1e-11 || decrement.is_nan() {
                return;
            }
            let here = self.value(point, sharpness);
            let mut size = 1.0;
            loop {
                let moved: Vec<f64> = point.iter().zip(&step).map(|(p, s)| p + size * s).collect();
                let there = self.value(&moved, sharpness);
                if there <= here - 0.1 * size * decrement {
                    *point = moved;
                    break;
                }
                size *= 0.5;
                if size < 1e-8 {
                    return;
                }
            }
        }
    }

    fn value(&self, point: &[f64], sharpness: f64) -> f64 {
        let mut smooth: f64 = self.linear.iter().zip(point).map(|(c, z)| c * z).sum();
        for place in 0..self.num_weights {
            smooth += self.problem.l2 * self.weight(point, place).powi(2);
        }
        if self.problem.loss == Loss::Softmax {
            for sample in 0..self.problem.targets.len() {
                smooth += scale(self.problem, sample) * self.softmax(point, sample).0;
            }
        }
        let mut barrier = 0.0;
        for (row, bound) in &self.constraints {
            let slack = product(row, point) - bound;
            if slack <= 0.0 {
                return f64::INFINITY;
            }
            barrier -= slack.ln();
        }
        sharpness * smooth + barrier
    }

    fn weight(&self, point: &[f64], place: usize) -> f64 {
        if self.split { point[place] - point[self.num_weights + place] } else { point[place] }
    }

    fn softmax(&self, point: &[f64], sample: usize) -> (f64, Vec<f64>) {
        let scores: Vec<f64> =
            (0..self.problem.num_classes).map(|class| product(&(self.score)(sample, class), point)).collect();
        let most = scores.iter().fold(f64::MIN, |most, &score| most.max(score));
        let total: f64 = scores.iter().map(|score| (score - most).exp()).sum();
        let probs = scores.iter().map(|score| (score - most).exp() / total).collect();
        (most + total.ln() - scores[self.problem.targets[sample] as usize], probs)
    }

    fn derivatives(&self, point: &[f64], sharpness: f64) -> (Vec<f64>, Vec<f64>) {
        let dim = self.dim;
        let mut gradient: Vec<f64> = self.linear.iter().map(|c| sharpness * c).collect();
        let mut hessian = vec![0.0; dim * dim];
        let mut add = |row: &Row, slope: f64, curvature: f64| {
            for &(i, a) in row {
                gradient[i] += slope * a;
                for &(j, b) in row {
                    hessian[i * dim + j] += curvature * a * b;
                }
            }
        };
        for place in 0..self.num_weights {
            let mut row = vec![(place, 1.0)];
            if self.split {
                row.push((self.num_weights + place, -1.0));
            }
            let l2 = sharpness * self.problem.l2;
            add(&row, 2.0 * l2 * self.weight(point, place), 2.0 * l2);
        }
        if self.problem.loss == Loss::Softmax {
            for sample in 0..self.problem.targets.len() {
                let (_, probs) = self.softmax(point, sample);
                let factor = sharpness * scale(self.problem, sample);
                let mut mean = Row::new();
                for (class, prob) in probs.iter().enumerate() {
                    let row = (self.score)(sample, class);
                    let own = f64::from(u8::from(class == self.problem.targets[sample] as usize));
                    add(&row, factor * (prob - own), factor * prob);
                    mean.extend(row.into_iter().map(|(place, x)| (place, prob * x)));
                }
                add(&mean, 0.0, -factor);
            }
        }
        for (row, bound) in &self.constraints {
            let slack = product(row, point) - bound;
            add(row, -1.0 / slack, 1.0 / (slack * slack));
        }
        // Where nothing curves, such as along a shift of all biases.
        for place in 0..dim {
            hessian[place * dim + place] += 1e-9 * (1.0 + hessian[place * dim + place]);
        }
        (gradient, hessian)
    }
}

fn product(row: &Row, point: &[f64]) -> f64 {
    row.iter().map(|&(place, x)| x * point[place]).sum()
}

/// Gaussian elimination with pivots from the diagonal.
fn solve(matrix: &mut [f64], right: &mut [f64]) {
    let dim = right.len();
    for pivot in 0..dim {
        for row in pivot + 1..dim {
            let factor = matrix[row * dim + pivot] / matrix[pivot * dim + pivot];
            if factor != 0.0 {
                for column in pivot..dim {
                    matrix[row * dim + column] -= factor * matrix[pivot * dim + column];
                }
                right[row] -= factor * right[pivot];
            }
        }
    }
    for row in (0..dim).rev() {
        for column in row + 1..dim {
            right[row] -= matrix[row * dim + column] * right[column];
        }
        right[row] /= matrix[row * dim + row];
    }
}
