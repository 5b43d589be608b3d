//! Weston and Watkins's hinge.

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
