//! Percentile bootstrap of means over queries.

use mentor_random::{Purpose, Stream};
use rayon::prelude::*;

/// The middle 95 % of the means of `num_resamples` samples of the rows, drawn with replacement, of each
/// column.
///
/// Resample b is a pure function of `(seed, b)`. Percentiles are interpolated linearly, as NumPy does by
/// default. `None` of fewer than two rows: one row drawn again and again says nothing of how means vary.
pub(super) fn intervals<const N: usize>(
    rows: &[[f64; N]],
    num_resamples: usize,
    seed: u64,
) -> [Option<[f64; 2]>; N] {
    if rows.len() < 2 || num_resamples == 0 {
        return [None; N];
    }
    let means: Vec<[f64; N]> = (0..num_resamples as u64)
        .into_par_iter()
        .map(|resample| {
            let mut stream = Stream::new(seed, Purpose::Bootstrap, &[resample]);
            let mut sums = [0.0; N];
            for _ in 0..rows.len() {
                let row = &rows[stream.below(rows.len() as u64) as usize];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            sums.map(|sum| sum / rows.len() as f64)
        })
        .collect();
    std::array::from_fn(|column| {
        let mut sorted: Vec<f64> = means.iter().map(|means| means[column]).collect();
        sorted.sort_by(f64::total_cmp);
        Some([0.025, 0.975].map(|share| percentile(&sorted, share)))
    })
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_that_of_the_binomial() {
        let rows: Vec<[f64; 2]> = (0..400).map(|row| [f64::from(u8::from(row % 5 == 0)), 0.25]).collect();
        let [share, constant] = intervals(&rows, 2000, 3).map(Option::unwrap);
        // 0.2 ± 1.96·√(0.2·0.8/400)
        assert!((share[0] - 0.1608).abs() < 0.008 && (share[1] - 0.2392).abs() < 0.008, "{share:?}");
        assert_eq!(constant, [0.25, 0.25]);
        assert_eq!(intervals(&rows, 2000, 3)[0], Some(share));
        assert_ne!(intervals(&rows, 2000, 4)[0], Some(share));
    }

    #[test]
    fn fewer_than_two_rows_have_no_interval() {
        assert_eq!(intervals::<1>(&[], 10, 0), [None]);
        assert_eq!(intervals(&[[0.5]], 10, 0), [None]);
        assert_eq!(intervals(&[[0.5]; 2], 10, 0), [Some([0.5, 0.5])]);
    }

    #[test]
    fn percentiles_are_interpolated() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(percentile(&[7.0], 0.025), 7.0);
    }
}
