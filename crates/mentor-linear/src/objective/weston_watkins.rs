//! Weston and Watkins's hinge, and the exact step of its dual.

pub(super) fn value_and_dual(margin: f64, scores: &[f64], target: usize, dual: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for (class, (dual, &score)) in dual.iter_mut().zip(scores).enumerate() {
        let term = score - scores[target] + margin;
        let active = class != target && term > 0.0;
        *dual = f64::from(u8::from(active));
        sum += if active { term } else { 0.0 };
    }
    sum
}

/// The step of block coordinate ascent for one sample (Wang and Scott 2021, sub-problem of equation 6): moves `dual` to the minimum of
///
/// ```text
/// ½ Σ_j (γ_j − v_j)² + ½ (Σ_j γ_j − Σ_j γ⁰_j)²       over 0 ≤ γ_j ≤ 1
/// ```
///
/// with v in `wanted` and γ⁰ the `dual` that is given. The minimum is γ_j = clip(v_j − T) with T = Σ γ − Σ γ⁰, the root of a
/// decreasing piecewise linear function. Newton's method inside a bracket finds its piece, and with that the root itself.
/// The entry of the target is left as it is.
pub(crate) fn project_onto_box(wanted: &[f64], target: usize, dual: &mut [f64]) {
    let before: f64 = dual.iter().sum();
    let others = wanted.len() as f64 - 1.0;
    // With Σ γ between 0 and C − 1 the root lies between these.
    let (mut low, mut high) = (-before, others - before);
    let mut shift = 0.0_f64.clamp(low, high);
    // Newton's method is exact on a piece. Where a step leaves the bracket, its middle halves it.
    for _ in 0..200 {
        let (mut sum, mut free) = (0.0, 0.0);
        for (class, &value) in wanted.iter().enumerate() {
            let moved = value - shift;
            if class != target {
                sum += moved.clamp(0.0, 1.0);
                free += f64::from(u8::from(moved > 0.0 && moved < 1.0));
            }
        }
        let excess = sum - before - shift;
        if excess.abs() <= f64::EPSILON * others {
            break;
        }
        if excess > 0.0 { low = shift } else { high = shift }
        let newton = shift + excess / (1.0 + free);
        shift = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
    }
    for (class, (dual, &value)) in dual.iter_mut().zip(wanted).enumerate() {
        if class != target {
            *dual = (value - shift).clamp(0.0, 1.0);
        }
    }
}
