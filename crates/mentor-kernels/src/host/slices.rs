//! Slices of any length, vector by vector.

use crate::simd::Simd;

/// Lanes of the longest vector.
const MAX_LANES: usize = 16;
/// Values that are added up in `f32`, about, before the sum goes on in `f64`.
const LONG: usize = 2048;

/// The vector of `from` at `at`, filled up with `fill` past the end.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(from: &[f32], at: usize, fill: f32) -> S::Vector {
    if at + S::LANES <= from.len() {
        // SAFETY: the values are there.
        return unsafe { S::load(from.as_ptr().add(at)) };
    }
    let mut lanes = [fill; MAX_LANES];
    let rest = from.get(at..).unwrap_or_default();
    lanes[..rest.len()].copy_from_slice(rest);
    // SAFETY: there are at least as many values as lanes.
    unsafe { S::load(lanes.as_ptr()) }
}

/// Writes `value` to `to` from `at` on, up to the end of `to`.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(to: &mut [f32], at: usize, value: S::Vector) {
    if at + S::LANES <= to.len() {
        // SAFETY: there is room.
        return unsafe { S::store(to.as_mut_ptr().add(at), value) };
    }
    let mut lanes = [0.0; MAX_LANES];
    // SAFETY: there is room for as many values as lanes.
    unsafe { S::store(lanes.as_mut_ptr(), value) };
    let rest = &mut to[at..];
    rest.copy_from_slice(&lanes[..rest.len()]);
}

/// A long sum: in lanes, and from time to time moved to `f64`.
pub(crate) struct Total<S: Simd> {
    pub(crate) lanes: S::Vector,
    values: usize,
    total: f64,
}

impl<S: Simd> Total<S> {
    /// # Safety
    ///
    /// As all functions here: the instructions of `S` exist.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the caller's condition.
        Self { lanes: unsafe { S::splat(0.0) }, values: 0, total: 0.0 }
    }

    /// Tells that so many values have been added to the lanes.
    #[inline(always)]
    pub(crate) unsafe fn end_part(&mut self, values: usize) {
        self.values += values;
        if self.values >= LONG {
            // SAFETY: the caller's condition.
            unsafe { self.flush() };
        }
    }

    /// The sum of everything so far.
    #[inline(always)]
    pub(crate) unsafe fn flush(&mut self) -> f64 {
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the caller's condition; there is room for as many values as lanes.
        unsafe {
            S::store(lanes.as_mut_ptr(), self.lanes);
            self.lanes = S::splat(0.0);
        }
        self.values = 0;
        self.total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_simd};

    #[inline(always)]
    unsafe fn double<S: Simd>(from: &[f32], to: &mut [f32], sum: &mut f64) {
        // SAFETY: the caller knows that the instructions exist.
        unsafe {
            let mut total = Total::<S>::new();
            let mut at = 0;
            while at < from.len() {
                let value = load::<S>(from, at, 0.0);
                store::<S>(to, at, S::add(value, value));
                total.lanes = S::add(total.lanes, value);
                total.end_part(S::LANES);
                at += S::LANES;
            }
            *sum = total.flush();
        }
    }

    #[test]
    fn the_last_vector_reads_and_writes_no_further_than_its_slice() {
        for level in Level::available() {
            for len in [0, 1, 3, 4, 8, 15, 16, 17, 40, 5000] {
                let from: Vec<f32> = (1..=len).map(|value| value as f32).collect();
                let mut written = vec![-1.0; len + 1];
                let (from, to, sum) = (&from[..], &mut written[..len], &mut 0.0);
                // SAFETY: the level exists.
                unsafe { with_simd!(level, double(from: &[f32], to: &mut [f32], sum: &mut f64)) }
                assert_eq!(*sum, (len * (len + 1) / 2) as f64);
                assert!(to.iter().zip(from).all(|(to, from)| *to == 2.0 * from));
                assert_eq!(written[len], -1.0);
            }
        }
    }
}
