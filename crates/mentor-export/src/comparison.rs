//! How far the answers of two engines are apart.

use serde::Serialize;

use crate::onnx_model::Answers;

/// Probabilities that differ by at most this are the same but for rounding, and so are embeddings whose
/// difference is at most this share of their length.
pub const TOLERANCE: f64 = 1e-4;

/// What two engines gave for the same pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Pictures that both were given.
    pub num_pictures: usize,
    /// Pictures with the same likeliest class; also those in which [`TOLERANCE`] decides between two classes.
    /// All of an embedding model.
    pub num_same_class: usize,
    /// The largest difference of two probabilities; 0 of an embedding model.
    pub max_probability_difference: f64,
    /// The largest distance of two embeddings, as a share of the length of the expected one.
    pub max_embedding_difference: f64,
}

impl Comparison {
    /// Adds the answers for some pictures.
    ///
    /// # Panics
    ///
    /// If the two have another number of rows or of values.
    pub fn add(&mut self, expected: &Answers, found: &Answers) {
        assert_eq!(expected.embedding.width, found.embedding.width, "embeddings of two models");
        assert_eq!(expected.embedding.values.len(), found.embedding.values.len(), "embeddings of two models");
        let pairs = expected.embedding.iter().zip(found.embedding.iter());
        for (expected, found) in pairs {
            self.num_pictures += 1;
            let difference = expected.iter().zip(found).map(|(a, b)| square(f64::from(a - b))).sum::<f64>();
            let length = expected.iter().map(|&value| square(f64::from(value))).sum::<f64>();
            // An embedding of zeros has no share, and a value that is no number is no agreement.
            let share = (difference / length.max(f64::MIN_POSITIVE)).sqrt();
            let share = if difference == 0.0 { 0.0 } else { share };
            self.max_embedding_difference = largest(self.max_embedding_difference, share);
        }
        let (Some(expected), Some(found)) = (&expected.probabilities, &found.probabilities) else {
            self.num_same_class = self.num_pictures;
            return;
        };
        assert_eq!(expected.values.len(), found.values.len(), "classes of two models");
        for (expected, found) in expected.iter().zip(found.iter()) {
            let lead = f64::from(expected[top(expected)] - expected[top(found)]);
            self.num_same_class += usize::from(lead <= TOLERANCE);
            for (a, b) in expected.iter().zip(found) {
                let difference = f64::from((a - b).abs());
                self.max_probability_difference = largest(self.max_probability_difference, difference);
            }
        }
    }

    /// Whether all answers are the same but for rounding.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.num_same_class == self.num_pictures
            && self.max_probability_difference <= TOLERANCE
            && self.max_embedding_difference <= TOLERANCE
    }

    /// The share of pictures with the same class; 1 of none.
    #[must_use]
    pub fn agreement(&self) -> f64 {
        match self.num_pictures {
            0 => 1.0,
            count => self.num_same_class as f64 / count as f64,
        }
    }
}

fn square(value: f64) -> f64 {
    value * value
}

/// The larger of two, where no number is larger than any.
fn largest(so_far: f64, next: f64) -> f64 {
    if next.is_nan() { f64::INFINITY } else { so_far.max(next) }
}

/// The place of the largest value; of equal ones the first.
fn top(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Rows;

    fn answers(probabilities: &[f32], embedding: &[f32]) -> Answers {
        let rows = |values: &[f32]| Rows { values: values.to_vec(), width: 2 };
        Answers { probabilities: Some(rows(probabilities)), embedding: rows(embedding) }
    }

    fn compared(expected: &[f32], found: &[f32], embedding: &[f32]) -> Comparison {
        let mut comparison = Comparison::default();
        comparison.add(&answers(expected, &[3.0, 4.0]), &answers(found, embedding));
        comparison
    }

    #[test]
    fn differences_are_the_largest_and_ties_are_no_other_class() {
        assert!(compared(&[0.7, 0.3], &[0.7, 0.3], &[3.0, 4.0]).is_equal());
        let other = compared(&[0.7, 0.3], &[0.4, 0.6], &[3.0, 4.5]);
        assert_eq!((other.num_pictures, other.num_same_class, other.agreement()), (1, 0, 0.0));
        assert!((other.max_probability_difference - 0.3).abs() < 1e-6);
        assert!((other.max_embedding_difference - 0.1).abs() < 1e-6);
        assert!(compared(&[0.500_01, 0.499_99], &[0.499_99, 0.500_01], &[3.0, 4.0]).is_equal());
        assert!(!compared(&[0.7, 0.3], &[0.7, 0.3], &[3.0, 4.1]).is_equal());
    }

    #[test]
    fn what_is_no_number_is_no_agreement() {
        assert!(!compared(&[0.7, 0.3], &[f32::NAN, 0.3], &[3.0, 4.0]).is_equal());
        assert!(!compared(&[0.7, 0.3], &[0.7, 0.3], &[f32::NAN, 4.0]).is_equal());
    }
}
