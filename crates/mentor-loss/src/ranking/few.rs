//! The place of each negative among few keys: every key is compared with every negative.

use pulp::Simd;

use super::keys::Keys;

/// Few keys, in groups of four.
#[derive(Default)]
pub(super) struct Few {
    /// Filled up with keys that are above no distance.
    active: Vec<[f64; 4]>,
    hard: Vec<[f64; 4]>,
    /// The negatives below each active key.
    num_below: Vec<[f64; 4]>,
    num_hard: f64,
}

impl Few {
    /// Takes `active` keys and as many `hard` ones; nothing is counted yet.
    pub(super) fn start(&mut self, active: &[f64], hard: &[f64]) {
        for (groups, keys) in [(&mut self.active, active), (&mut self.hard, hard)] {
            groups.clear();
            groups.resize(keys.len().div_ceil(4), [f64::NEG_INFINITY; 4]);
            groups.as_flattened_mut()[..keys.len()].copy_from_slice(keys);
        }
        self.num_below.clear();
        self.num_below.resize(self.active.len(), [0.0; 4]);
        self.num_hard = 0.0;
    }
}

impl Keys for Few {
    #[inline(always)]
    fn count<S: Simd>(&mut self, simd: S, distances: &[f64], coefficients: &mut [f64]) {
        let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
        let above = |key, distance| simd.select_f64s(simd.less_than_f64s(distance, key), one, zero);
        let (distances, _) = S::as_simd_f64s(distances);
        coefficients.fill(0.0);
        let (coefficients, _) = S::as_mut_simd_f64s(coefficients);
        let mut num_hard = zero;
        for ((active, hard), num_below) in self.active.iter().zip(&self.hard).zip(&mut self.num_below) {
            let [a, b, c, d] = active.map(|key| simd.splat_f64s(key));
            let hard = hard.map(|key| simd.splat_f64s(key));
            let mut counts = [zero; 4];
            for (&distance, coefficient) in distances.iter().zip(&mut *coefficients) {
                let active = [above(a, distance), above(b, distance), above(c, distance), above(d, distance)];
                for (count, active) in counts.iter_mut().zip(active) {
                    *count = simd.add_f64s(*count, active);
                }
                let [a, b, c, d] = active;
                let sum = simd.add_f64s(simd.add_f64s(a, b), simd.add_f64s(c, d));
                *coefficient = simd.sub_f64s(*coefficient, sum);
                let [a, b, c, d] = hard.map(|key| above(key, distance));
                let sum = simd.add_f64s(simd.add_f64s(a, b), simd.add_f64s(c, d));
                num_hard = simd.add_f64s(num_hard, sum);
            }
            for (total, count) in num_below.iter_mut().zip(counts) {
                *total += simd.reduce_sum_f64s(count);
            }
        }
        self.num_hard += simd.reduce_sum_f64s(num_hard);
    }

    fn totals(&mut self, active: &[f64], num_below: &mut [f64]) -> (u64, u64) {
        num_below.copy_from_slice(&self.num_below.as_flattened()[..active.len()]);
        (num_below.iter().sum::<f64>() as u64, self.num_hard as u64)
    }
}
