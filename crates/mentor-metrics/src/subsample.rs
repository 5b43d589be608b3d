//! Samples that stand for all where all would take too long.

use mentor_random::{Purpose, Stream};

/// One sample of each stretch of `stride` samples, in a place drawn by chance: samples at equal steps would all be of one
/// class where classes come in turn.
pub fn one_of_each_stretch(num_samples: usize, stride: usize) -> Vec<usize> {
    let mut stream = Stream::new(0, Purpose::Analysis, &[2]);
    let starts = (0..num_samples).step_by(stride);
    starts.map(|start| start + stream.below(stride.min(num_samples - start) as u64) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_has_one_and_classes_in_turn_all_come() {
        let found = one_of_each_stretch(1_003, 10);
        assert_eq!(found.len(), 101);
        assert!(found.iter().enumerate().all(|(stretch, sample)| sample / 10 == stretch), "{found:?}");
        let classes: std::collections::BTreeSet<usize> = found.iter().map(|sample| sample % 10).collect();
        assert_eq!(classes.len(), 10);
        assert_eq!(one_of_each_stretch(4, 1), [0, 1, 2, 3]);
    }
}
