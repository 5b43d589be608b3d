//! Crammer and Singer's hinge, and the exact step of its dual.

pub(super) fn value_and_dual(margin: f64, scores: &[f64], target: usize, dual: &mut [f64]) -> f64 {
    dual.fill(0.0);
    let mut largest = 0.0;
    let mut active = None;
    for (class, &score) in scores.iter().enumerate() {
        let term = score - scores[target] + margin;
        if class != target && term > largest {
            (largest, active) = (term, Some(class));
        }
    }
    if let Some(class) = active {
        dual[class] = 1.0;
    }
    largest
}

/// The step of the sequential dual method for one sample (Keerthi et al. 2008, section 2.1): moves q to the point of the simplex
/// {q ≥ 0, Σ q = 1} that is nearest to `wanted`. q_y is what the others leave of 1.
///
/// q_j = max(0, v_j − θ). θ rises to the root of a convex decreasing function (Michelot 1986), which takes at most C steps.
/// `dual` holds γ, the q of the classes other than the target; its entry of the target becomes 0.
pub(crate) fn project_onto_simplex(wanted: &[f64], target: usize, dual: &mut [f64]) {
    let mut threshold = (wanted.iter().sum::<f64>() - 1.0) / wanted.len() as f64;
    for _ in 0..wanted.len() {
        let (mut sum, mut count) = (0.0, 0.0);
        for &value in wanted {
            if value > threshold {
                sum += value;
                count += 1.0;
            }
        }
        let next = (sum - 1.0) / count;
        if !(next > threshold) {
            break;
        }
        threshold = next;
    }
    for (class, (dual, &value)) in dual.iter_mut().zip(wanted).enumerate() {
        *dual = if class == target { 0.0 } else { (value - threshold).max(0.0) };
    }
    // Never outside, by a rounding either.
    let total: f64 = dual.iter().sum();
    if total > 1.0 {
        dual.iter_mut().for_each(|dual| *dual = (*dual / total).min(1.0));
    }
}
