//! For tests: random values, a plain product in `f64`, and a comparison.

use mentor_random::{Purpose, Stream};

/// Standard normal values.
pub(crate) fn random(stream: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(7, Purpose::Weights, &[stream]);
    (0..count).map(|_| stream.normal()).collect()
}

/// `[m, k]` times `[k, n]`, from functions of the indices.
pub(crate) fn oracle_product(
    [m, k, n]: [usize; 3],
    left: impl Fn(usize, usize) -> f32,
    right: impl Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let entry = |i: usize, j: usize| (0..k).map(|l| f64::from(left(i, l)) * f64::from(right(l, j))).sum();
    (0..m * n).map(|index| entry(index / n, index % n)).collect()
}

/// Fails unless each value is within `tolerance · (1 + |expected|)`.
#[track_caller]
pub(crate) fn close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = tolerance * (1.0 + expected.abs());
        assert!((f64::from(found) - expected).abs() <= allowed, "at {index}: {found}, expected {expected}");
    }
}
