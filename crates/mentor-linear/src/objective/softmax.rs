//! Softmax cross-entropy, which keeps the digits of small losses (`docs/definitions.md`).

/// −ln softmax(s)_y, and the probabilities of the other classes into `dual`.
pub(crate) fn softmax(scores: &[f64], target: usize, dual: &mut [f64]) -> f64 {
    let own = scores[target];
    let lead = scores.iter().fold(own, |most, &score| most.max(score)) - own;
    let mut sum = 0.0;
    for (class, (dual, &score)) in dual.iter_mut().zip(scores).enumerate() {
        *dual = if class == target { 0.0 } else { (score - own - lead).exp() };
        sum += *dual;
    }
    let scale = 1.0 / (sum + (-lead).exp());
    dual.iter_mut().for_each(|dual| *dual *= scale);
    lead + (sum + (-lead).exp_m1()).ln_1p()
}

/// −Σ_{j≠y} γ_j ln γ_j − q ln q with q = 1 − Σ γ.
pub(super) fn entropy(dual: &[f64], target: usize) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (class, &value) in dual.iter().enumerate() {
        if class != target && value > 0.0 {
            sum -= value * value.ln();
            total += value;
        }
    }
    let rest = 1.0 - total;
    if rest > 0.0 { sum - rest * (-total).ln_1p() } else { sum }
}
