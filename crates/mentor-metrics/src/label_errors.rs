//! Confident learning: which given labels out-of-sample probabilities speak against.

use serde::{Deserialize, Serialize};

/// What two probabilities must differ by to be different.
const ROUNDING: f64 = 1e-6;
/// The least threshold of a class: one of which no sample was expected would take every sample.
const MIN_THRESHOLD: f64 = 2.0 * ROUNDING;

/// How often samples of each label are confidently of each class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidentJoint {
    /// t_j: the mean probability of class j over the samples labelled j; infinite without such samples.
    pub thresholds: Vec<f64>,
    /// `[C, C]`, row-major: the number of samples of the label i that are confidently of class j.
    pub counts: Vec<u64>,
    /// The class that each sample is confidently of, if any.
    pub confident: Vec<Option<u32>>,
}

/// A sample that is confidently of another class than its label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelError {
    /// Its place among the samples.
    pub sample: usize,
    /// Its label.
    pub given: u32,
    /// The class of the largest probability.
    pub suggested: u32,
    /// (1 − p_given + p_suggested) / 2, from 0 to 1: 1 minus the normalised margin.
    pub score: f64,
}

impl ConfidentJoint {
    /// Counts samples of `probabilities` `[N, C]`, which must be out of sample: by models that were not
    /// trained on the sample.
    ///
    /// **Definition.** A sample is confidently of class j if p_j ≥ t_j, t_j being the mean of p_j over the
    /// samples labelled j; if several classes are so, it is of the one among all classes with the largest
    /// probability.
    ///
    /// **Source.** C. G. Northcutt, L. Jiang, I. L. Chuang. Confident Learning: Estimating Uncertainty in
    /// Dataset Labels. JAIR 70, 2021, equations 1 and 2. cleanlab counts the same.
    ///
    /// ```
    /// use mentor_metrics::label_errors::ConfidentJoint;
    /// let probabilities = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.3, 0.7, 0.95, 0.05];
    /// let joint = ConfidentJoint::of(&probabilities, &[0, 0, 1, 1, 1], 2);
    /// // t = (0.85, 0.55); the last sample is labelled 1 and confidently of 0.
    /// assert_eq!(joint.counts, [1, 0, 1, 2]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is not one row of `num_classes` probabilities for each target, or a target is no class.
    pub fn of(probabilities: &[f32], targets: &[u32], num_classes: usize) -> Self {
        assert_eq!(probabilities.len(), targets.len() * num_classes, "a row of probabilities a target");
        let rows = || probabilities.chunks_exact(num_classes.max(1));
        let (mut sums, mut sizes) = (vec![0.0; num_classes], vec![0_u64; num_classes]);
        for (row, &target) in rows().zip(targets) {
            sums[target as usize] += f64::from(row[target as usize]);
            sizes[target as usize] += 1;
        }
        let threshold = |(sum, &size): (&f64, &u64)| match size {
            0 => f64::INFINITY,
            _ => (sum / size as f64).max(MIN_THRESHOLD),
        };
        let thresholds: Vec<f64> = sums.iter().zip(&sizes).map(threshold).collect();
        let class_of = |row: &[f32]| {
            let is_confident = |(p, threshold): (&f32, &f64)| f64::from(*p) >= threshold - ROUNDING;
            let mut classes = (0..).zip(row.iter().zip(&thresholds));
            let first = classes.find(|&(_, pair)| is_confident(pair))?.0;
            let others = classes.any(|(_, pair)| is_confident(pair));
            Some(if others { largest(row) } else { first })
        };
        let confident: Vec<Option<u32>> = rows().map(class_of).collect();
        let mut counts = vec![0; num_classes * num_classes];
        for (&given, &class) in targets.iter().zip(&confident) {
            if let Some(class) = class {
                counts[given as usize * num_classes + class as usize] += 1;
            }
        }
        Self { thresholds, counts, confident }
    }

    /// The samples that are counted off the diagonal and whose largest probability is not that of their
    /// label, the highest score first, equal ones in the order of the samples.
    ///
    /// The same samples as cleanlab's `find_label_issues(filter_by="confident_learning")`.
    ///
    /// # Panics
    ///
    /// If probabilities and targets are not those of [`ConfidentJoint::of`].
    pub fn label_errors(&self, probabilities: &[f32], targets: &[u32]) -> Vec<LabelError> {
        let num_classes = self.thresholds.len();
        let rows = probabilities.chunks_exact(num_classes.max(1));
        let mut found: Vec<LabelError> = rows
            .zip(targets)
            .zip(&self.confident)
            .enumerate()
            .filter(|(_, ((row, given), class))| {
                class.is_some_and(|class| class != **given) && largest(row) != **given
            })
            .map(|(sample, ((row, &given), _))| LabelError::of(sample, row, given))
            .collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.sample.cmp(&b.sample)));
        found
    }
}

impl LabelError {
    /// What `row` `[C]` of probabilities says of a sample that is labelled `given`.
    pub fn of(sample: usize, row: &[f32], given: u32) -> Self {
        let others = (0..row.len() as u32).filter(|&class| class != given);
        let better =
            |best: u32, class: u32| if row[class as usize] > row[best as usize] { class } else { best };
        let suggested = others.reduce(better).unwrap_or(given);
        let margin = f64::from(row[given as usize]) - f64::from(row[suggested as usize]);
        Self { sample, given, suggested, score: (1.0 - margin) / 2.0 }
    }
}

/// The class of the largest probability, the first of equal ones.
fn largest(row: &[f32]) -> u32 {
    let better = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
    (0..row.len()).reduce(better).unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_confident_classes_go_to_the_largest_and_none_is_not_counted() {
        // Thresholds 0.4 and 0.4 of the first two classes; nobody is labelled 2.
        let probabilities = [0.4, 0.35, 0.25, 0.5, 0.4, 0.1, 0.3, 0.3, 0.4];
        let joint = ConfidentJoint::of(&probabilities, &[0, 1, 0], 3);
        assert!((joint.thresholds[0] - 0.35).abs() < 1e-6 && joint.thresholds[2] == f64::INFINITY);
        assert_eq!(joint.confident, [Some(0), Some(0), None]);
        assert_eq!(joint.counts, [1, 0, 0, 1, 0, 0, 0, 0, 0]);
        let errors = joint.label_errors(&probabilities, &[0, 1, 0]);
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].sample, errors[0].given, errors[0].suggested), (1, 1, 0));
        assert!((errors[0].score - 0.55).abs() < 1e-6);
    }

    #[test]
    fn the_most_suspect_is_first_and_equal_ones_keep_their_order() {
        let row = |p: f32| [p, 1.0 - p];
        let probabilities: Vec<f32> = [0.9, 0.8, 0.1, 0.02, 0.1, 0.1, 0.2].map(row).concat();
        let targets = [0, 0, 0, 0, 0, 1, 1];
        let joint = ConfidentJoint::of(&probabilities, &targets, 2);
        let errors = joint.label_errors(&probabilities, &targets);
        assert_eq!(errors.iter().map(|error| error.sample).collect::<Vec<_>>(), [3, 2, 4]);
        assert!(errors.iter().all(|error| error.suggested == 1));
    }

    #[test]
    fn without_samples_there_is_nothing() {
        let joint = ConfidentJoint::of(&[], &[], 2);
        assert_eq!((joint.counts.clone(), joint.label_errors(&[], &[])), (vec![0; 4], Vec::new()));
    }
}
