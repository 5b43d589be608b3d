//! Exact distances of single pairs, and the keys that they are ordered by.

use super::embeddings::Metric;

/// What distances are ordered by: ‖a − b‖², or 2·(1 − cosine), in `f64` from `f32` values.
///
/// The differences of `f32` values are taken before squaring, so that near samples keep their digits, and the
/// order of summation is fixed, so that equal samples have equal keys.
pub(super) fn exact_key(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::Euclidean => sum(a, b, |a, b| (a - b) * (a - b)),
        Metric::Cosine => {
            let product = |a, b| sum(a, b, |a, b| a * b);
            cosine_key(product(a, b), product(a, a), product(b, b))
        }
    }
}

/// The distance of a key.
pub(super) fn distance(metric: Metric, key: f64) -> f64 {
    match metric {
        Metric::Euclidean => key.sqrt(),
        Metric::Cosine => key / 2.0,
    }
}

/// Σ term(a_i, b_i) in four partial sums, which a processor can hold side by side.
fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut partial = [0.0_f64; 4];
    let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(&a, &b)| term(f64::from(a), f64::from(b))).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..4 {
            partial[lane] += term(f64::from(a[lane]), f64::from(b[lane]));
        }
    }
    (partial[0] + partial[1]) + (partial[2] + partial[3]) + rest
}

/// 2·(1 − a·b / (‖a‖ ‖b‖)), and 2 where one of them has length 0.
pub(super) fn cosine_key(product: f64, square_of_a: f64, square_of_b: f64) -> f64 {
    let lengths = (square_of_a * square_of_b).sqrt();
    // The lower bound is for rounding: a cosine of 1 + 1e-16.
    if lengths == 0.0 { 2.0 } else { (2.0 - 2.0 * (product / lengths)).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_hand() {
        let (a, b) = ([3.0, 4.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(distance(Metric::Euclidean, exact_key(Metric::Euclidean, &a, &b)), 5.0);
        assert_eq!(exact_key(Metric::Cosine, &[2.0, 0.0], &[0.0, 3.0]), 2.0);
        assert_eq!(distance(Metric::Cosine, exact_key(Metric::Cosine, &[2.0, 0.0], &[-5.0, 0.0])), 2.0);
        assert_eq!(exact_key(Metric::Cosine, &[0.0, 0.0], &[0.0, 0.0]), 2.0);
        assert_eq!(
            exact_key(Metric::Euclidean, &[f32::MAX], &[f32::MIN]),
            (2.0 * f64::from(f32::MAX)).powi(2)
        );
    }
}
