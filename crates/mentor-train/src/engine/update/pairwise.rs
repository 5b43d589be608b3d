//! Sums whose order is fixed.

/// A sum of vectors by pairs: of two neighbours, then of the sums of two neighbours, and so on.
///
/// The sum of a power of 2 of vectors is one of a binary tree, and so is that of each aligned part of them:
/// whoever holds such a part makes the same sums as one that holds all.
#[derive(Debug, Default)]
pub(crate) struct PairwiseSum {
    /// Sums of 2^level vectors, the levels falling.
    partial: Vec<(u32, Vec<f32>)>,
}

impl PairwiseSum {
    pub(crate) fn push(&mut self, values: Vec<f32>) {
        let (mut level, mut values) = (0, values);
        while let Some((_, mut before)) = self.partial.pop_if(|(before, _)| *before == level) {
            add(&mut before, &values);
            (level, values) = (level + 1, before);
        }
        self.partial.push((level, values));
    }

    /// The sum.
    ///
    /// # Panics
    ///
    /// If the number of vectors was no power of 2.
    pub(crate) fn into_sum(mut self) -> Vec<f32> {
        assert_eq!(self.partial.len(), 1, "a power of 2 of vectors is summed");
        self.partial.pop().expect("there is one").1
    }
}

/// `sum += values`.
pub(crate) fn add(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f32]) -> f32 {
        let mut sum = PairwiseSum::default();
        values.iter().for_each(|&value| sum.push(vec![value]));
        sum.into_sum()[0]
    }

    #[test]
    fn a_part_makes_the_same_sums_as_the_whole() {
        let values: Vec<f32> = (0..16_u8).map(|index| (f32::from(index) * 1.7).sin() * 1e3).collect();
        for size in [1, 2, 4, 8] {
            let parts: Vec<f32> = values.chunks(16 / size).map(sum).collect();
            assert_eq!(sum(&parts).to_bits(), sum(&values).to_bits(), "{size}");
        }
        // The order matters, or the test would show nothing.
        let in_turn = values.iter().copied().reduce(|sum, value| sum + value).unwrap();
        assert_ne!(in_turn.to_bits(), sum(&values).to_bits());
    }
}
