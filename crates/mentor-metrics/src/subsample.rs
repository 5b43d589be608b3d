//! A stratified subsample, for a measure of all samples that would take too long.

use mentor_random::{Purpose, Stream};

/// One random sample of each stratum, a stratum being `stride` samples in a row: indices in rising order,
/// always the same ones.
///
/// Samples at equal steps would all be of one class if the classes come in turn.
pub fn stratified_subsample(num_samples: usize, stride: usize) -> Vec<usize> {
    let mut stream = Stream::new(0, Purpose::Analysis, &[2]);
    let starts = (0..num_samples).step_by(stride);
    starts.map(|start| start + stream.below(stride.min(num_samples - start) as u64) as usize).collect()
}

/// At most `wanted` of `count` samples, evenly spread.
pub fn evenly_spread(count: usize, wanted: usize) -> impl Iterator<Item = usize> {
    let shown = count.min(wanted);
    (0..shown).map(move |index| index * count / shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stratum_has_one_and_classes_in_turn_all_come() {
        let found = stratified_subsample(1_003, 10);
        assert_eq!(found.len(), 101);
        assert!(found.iter().enumerate().all(|(stratum, sample)| sample / 10 == stratum), "{found:?}");
        let classes: std::collections::BTreeSet<usize> = found.iter().map(|sample| sample % 10).collect();
        assert_eq!(classes.len(), 10);
        assert_eq!(stratified_subsample(4, 1), [0, 1, 2, 3]);
    }

    #[test]
    fn samples_are_spread_evenly_and_never_repeated() {
        assert_eq!(evenly_spread(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(evenly_spread(3, 12).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly_spread(0, 12).count(), 0);
    }
}
