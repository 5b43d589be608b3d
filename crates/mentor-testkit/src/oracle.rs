//! The definitions as nested loops in `f64`: slow, plain, and written without looking at the code they check.
//!
//! `scores` are row-major `[N, C]`; each function gives one loss for each sample.

/// Σ_{j≠y} max(0, s_j − s_y + Δ).
pub fn weston_watkins(scores: &[f64], num_classes: usize, targets: &[usize], margin: f64) -> Vec<f64> {
    let mut losses = Vec::new();
    for (row, &y) in scores.chunks_exact(num_classes).zip(targets) {
        let mut loss = 0.0;
        for j in 0..num_classes {
            if j != y && row[j] - row[y] + margin > 0.0 {
                loss += row[j] - row[y] + margin;
            }
        }
        losses.push(loss);
    }
    losses
}

/// max(0, max_{j≠y} s_j − s_y + Δ).
pub fn crammer_singer(scores: &[f64], num_classes: usize, targets: &[usize], margin: f64) -> Vec<f64> {
    let mut losses = Vec::new();
    for (row, &y) in scores.chunks_exact(num_classes).zip(targets) {
        let mut loss = 0.0;
        for j in 0..num_classes {
            if j != y && row[j] - row[y] + margin > loss {
                loss = row[j] - row[y] + margin;
            }
        }
        losses.push(loss);
    }
    losses
}

/// The one-vs-rest hinge Σ_j max(0, 1 − t_j s_j), t_y = 1 and t_j = −1: not ours, for comparison.
pub fn one_vs_rest(scores: &[f64], num_classes: usize, targets: &[usize]) -> Vec<f64> {
    let mut losses = Vec::new();
    for (row, &y) in scores.chunks_exact(num_classes).zip(targets) {
        let mut loss = 0.0;
        for (j, score) in row.iter().enumerate() {
            let sign = if j == y { 1.0 } else { -1.0 };
            loss += f64::max(0.0, 1.0 - sign * score);
        }
        losses.push(loss);
    }
    losses
}

/// −Σ_c w_c q_c ln p_c with q smoothed by ε; `weights` empty means all 1.
pub fn softmax_soft(
    scores: &[f64],
    num_classes: usize,
    target_probs: &[f64],
    label_smoothing: f64,
    weights: &[f64],
) -> Vec<f64> {
    let mut losses = Vec::new();
    for (row, probs) in scores.chunks_exact(num_classes).zip(target_probs.chunks_exact(num_classes)) {
        let mut loss = 0.0;
        for c in 0..num_classes {
            // −ln p_c = ln Σ_j e^{s_j − s_c}, with the largest exponent taken out.
            let mut largest = f64::NEG_INFINITY;
            for j in 0..num_classes {
                largest = largest.max(row[j] - row[c]);
            }
            let mut sum = 0.0;
            for j in 0..num_classes {
                sum += (row[j] - row[c] - largest).exp();
            }
            let surprise = largest + sum.ln();
            let weight = if weights.is_empty() { 1.0 } else { weights[c] };
            let prob = (1.0 - label_smoothing) * probs[c] + label_smoothing / num_classes as f64;
            loss += weight * prob * surprise;
        }
        losses.push(loss);
    }
    losses
}

/// [`softmax_soft`] with all probability on the target.
pub fn softmax(
    scores: &[f64],
    num_classes: usize,
    targets: &[usize],
    label_smoothing: f64,
    weights: &[f64],
) -> Vec<f64> {
    softmax_soft(scores, num_classes, &one_hot(targets, num_classes), label_smoothing, weights)
}

/// Rows of zeros with a 1 at the target.
pub fn one_hot(targets: &[usize], num_classes: usize) -> Vec<f64> {
    let mut probs = vec![0.0; targets.len() * num_classes];
    for (sample, &target) in targets.iter().enumerate() {
        probs[sample * num_classes + target] = 1.0;
    }
    probs
}

/// l1·Σ|w| + l2·Σw².
pub fn penalty(weights: &[f64], l1: f64, l2: f64) -> f64 {
    let mut sum = 0.0;
    for w in weights {
        sum += l1 * w.abs() + l2 * w * w;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    // Worked by hand, so that the oracles do not rest on what they check.
    #[test]
    fn oracles_give_the_numbers_worked_by_hand() {
        let (scores, y) = ([3.0, 2.0, 2.5], [2]);
        assert_eq!(weston_watkins(&scores, 3, &y, 1.0), [2.0]);
        assert_eq!(crammer_singer(&scores, 3, &y, 1.0), [1.5]);
        assert_eq!(one_vs_rest(&scores, 3, &y), [7.0]);
        // Scores ln 1, ln 2, ln 5: probabilities 1/8, 2/8, 5/8.
        let scores = [0.0, 2f64.ln(), 5f64.ln()];
        assert!((softmax(&scores, 3, &[0], 0.0, &[])[0] - 8f64.ln()).abs() < 1e-15);
        assert!((softmax(&scores, 3, &[2], 0.0, &[1.0, 1.0, 3.0])[0] - 3.0 * 1.6f64.ln()).abs() < 1e-15);
        let even = (8f64.ln() + 4f64.ln() + 1.6f64.ln()) / 3.0;
        assert!((softmax(&scores, 3, &[1], 1.0, &[])[0] - even).abs() < 1e-15);
        assert_eq!(penalty(&[3.0, -4.0], 0.5, 0.25), 3.5 + 6.25);
    }
}
