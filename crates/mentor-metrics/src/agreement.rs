//! How far two models agree about the same samples.

/// Probabilities of some samples, row-major `[N, C]`, and their logarithms.
#[derive(Clone, Debug)]
pub struct Probabilities {
    num_classes: usize,
    log: Vec<f64>,
}

impl Probabilities {
    /// softmax of `scores`.
    pub fn of(scores: &[f32], num_classes: usize) -> Self {
        let log = scores.chunks_exact(num_classes).flat_map(log_softmax).collect();
        Self { num_classes, log }
    }

    /// The mean of the probabilities of several models.
    pub fn mean_of(models: &[Vec<f32>], num_classes: usize) -> Self {
        let all: Vec<Self> = models.iter().map(|scores| Self::of(scores, num_classes)).collect();
        let [first, rest @ ..] = all.as_slice() else { return Self { num_classes, log: Vec::new() } };
        if rest.is_empty() {
            return first.clone();
        }
        let log = (0..first.log.len()).map(|index| {
            let high = all.iter().map(|model| model.log[index]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = all.iter().map(|model| (model.log[index] - high).exp()).sum();
            high + (sum / all.len() as f64).ln()
        });
        Self { num_classes, log: log.collect() }
    }

    /// The class of each sample, ties to the lower one, and its probability.
    pub fn predictions(&self) -> Vec<(u32, f64)> {
        let best = |row: &[f64]| {
            let mut best = 0;
            for (class, &log) in row.iter().enumerate() {
                if log > row[best] {
                    best = class;
                }
            }
            (best as u32, row[best].exp())
        };
        self.log.chunks_exact(self.num_classes).map(best).collect()
    }

    /// Mean probability of each class.
    pub fn means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.num_classes];
        for row in self.log.chunks_exact(self.num_classes) {
            sums.iter_mut().zip(row).for_each(|(sum, log)| *sum += log.exp());
        }
        let num_samples = (self.log.len() / self.num_classes).max(1) as f64;
        sums.iter().map(|sum| sum / num_samples).collect()
    }

    /// Share of the samples with the same class, and the mean of KL(self ‖ student) in nats.
    pub fn compare(&self, student: &Self) -> (f64, f64) {
        let (own, theirs) = (self.predictions(), student.predictions());
        let num_samples = own.len().max(1) as f64;
        let same = own.iter().zip(&theirs).filter(|(own, theirs)| own.0 == theirs.0).count();
        let kl = self.log.iter().zip(&student.log).map(|(&p, &q)| {
            let probability = p.exp();
            // The limit of p ln p at 0 is 0.
            if probability == 0.0 { 0.0 } else { probability * (p - q) }
        });
        (same as f64 / num_samples, (kl.sum::<f64>() / num_samples).max(0.0))
    }
}

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let high = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted: Vec<f64> = row.iter().map(|&score| f64::from(score) - f64::from(high)).collect();
    let log_sum = shifted.iter().map(|score| score.exp()).sum::<f64>().ln();
    shifted.into_iter().map(|score| score - log_sum).collect()
}

/// The share of `predictions` that are their targets.
pub fn accuracy(predictions: &[(u32, f64)], targets: &[u32]) -> f64 {
    let right = predictions.iter().zip(targets).filter(|(predicted, target)| predicted.0 == **target).count();
    right as f64 / targets.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_samples_by_hand() {
        // Teacher (0.8, 0.2) and (0.5, 0.5); student (0.5, 0.5) and (0.5, 0.5).
        let teacher = Probabilities::of(&[4f32.ln(), 0.0, 0.0, 0.0], 2);
        let student = Probabilities::of(&[1.0, 1.0, 3.0, 3.0], 2);
        let (agreement, kl) = teacher.compare(&student);
        assert_eq!(agreement, 1.0);
        let expected = (0.8 * 1.6f64.ln() + 0.2 * 0.4f64.ln()) / 2.0;
        assert!((kl - expected).abs() < 1e-7, "{kl}");
        assert_eq!(teacher.compare(&teacher), (1.0, 0.0));
    }

    #[test]
    fn an_ensemble_is_the_mean_of_probabilities() {
        // (0.8, 0.2) and (0.4, 0.6) make (0.6, 0.4).
        let mean = Probabilities::mean_of(&[vec![4f32.ln(), 0.0], vec![0.0, 1.5f32.ln()]], 2);
        let [(class, probability)] = mean.predictions()[..] else { panic!() };
        assert!(class == 0 && (probability - 0.6).abs() < 1e-7);
    }

    #[test]
    fn a_teacher_that_is_certain_costs_no_nan() {
        let teacher = Probabilities::of(&[0.0, -1e30], 2);
        let student = Probabilities::of(&[0.0, 1.0], 2);
        assert!(teacher.compare(&student).1.is_finite());
    }
}
