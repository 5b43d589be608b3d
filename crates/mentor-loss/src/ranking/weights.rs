//! From coefficients of distances to weights of differences.

use super::simd::{Element, dispatch};
use crate::Distance;

/// Writes weights with ∂(coefficient · distance)/∂a = weight · (a − b), and gives their sum.
///
/// A weight is 0 where the distance is 0. For the cosine, a and b are unit vectors.
pub(super) fn weights_of<T: Element>(
    distance: Distance,
    coefficients: &[f64],
    distances: &[f64],
    weights: &mut [T],
) -> f64 {
    let mut lanes = [0.0; 8];
    dispatch(|| {
        let pairs = weights.iter_mut().zip(coefficients.iter().zip(distances));
        match distance {
            Distance::Euclidean => pairs.for_each(|(weight, (coefficient, &d))| {
                // Divided even by 0, and then chosen, so that vectors can be used.
                let quotient = coefficient / d;
                *weight = T::narrow(if d > 0.0 { quotient } else { 0.0 });
            }),
            Distance::SquaredEuclidean => pairs.for_each(|(weight, (c, _))| *weight = T::narrow(2.0 * c)),
            Distance::Cosine => pairs.for_each(|(weight, (c, _))| *weight = T::narrow(*c)),
        }
        for weights in weights.as_chunks::<8>().0 {
            lanes.iter_mut().zip(weights).for_each(|(lane, weight)| *lane += weight.widen());
        }
    });
    lanes.iter().sum()
}
