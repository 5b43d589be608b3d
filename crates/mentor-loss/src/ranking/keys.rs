//! The keys of an anchor's positives, in whatever form they are looked up.

use pulp::Simd;

/// Negatives that are counted together; a whole number of vectors.
pub(super) const CHUNK: usize = 256;

/// The keys of an anchor's positives, among which its negatives are counted.
pub(super) trait Keys {
    /// Counts these negatives, at most [`CHUNK`] of them, and writes minus the number of active keys above
    /// each.
    fn count<S: Simd>(&mut self, simd: S, distances: &[f64], coefficients: &mut [f64]);

    /// How many triplets are active and how many hard; `num_below` gets the negatives below each of the
    /// active keys.
    fn totals(&mut self, active: &[f64], num_below: &mut [f64]) -> (u64, u64);
}
