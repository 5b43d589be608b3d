//! How near a student is to its teachers: what `summary.json` and `distillation.json` hold of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use mentor_model::{Head, Model, Pass};
use serde::{Deserialize, Serialize};

use crate::analysis::Picture;
use crate::evaluate::to_host;

/// The teachers of a student, together: of several, the mean of their probabilities; of embeddings, the best of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherSummary {
    /// Accuracy on the validation split; absent without one or without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Trainable parameters of all of them.
    pub num_params: usize,
    /// Of embeddings: `val_precision_at_1`, `val_r_precision` and `val_map_at_r`.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

/// The same network as the student, trained from scratch, beside the student. What differs is counted on the validation split;
/// after self-training on the test split, where there is one. Right is a classifier with the sample's class, and an embedding
/// whose nearest other one is of its class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineSummary {
    /// Accuracy of its chosen model on the validation split; absent for embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Its accuracy on the test split; absent where that stays closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Samples that only the student has right.
    pub only_student: u64,
    /// Samples that only the baseline has right.
    pub only_baseline: u64,
    /// Of McNemar's exact test, two-sided: the chance of a difference at least as uneven between equals.
    pub p_value: f64,
    /// Of embeddings: `val_precision_at_1`, `val_r_precision` and `val_map_at_r`.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

/// `distillation.json`: what the report draws of a distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    /// The split that all was measured on: `val`, or `train` where there is none.
    pub split: String,
    /// Its samples.
    pub num_samples: usize,
    /// Share of the samples for which student and teachers predict the same class.
    pub agreement: f64,
    /// Mean of KL(teacher ‖ student) at temperature 1, in nats.
    pub mean_kl: f64,
    /// The student first, then each teacher, then the baseline.
    pub models: Vec<Measured>,
    /// Accuracy of the teachers together; absent without labels.
    pub teacher_accuracy: Option<f64>,
    /// The student against the baseline, where there is one.
    pub baseline: Option<BaselineSummary>,
    /// Samples on which student and teachers disagree, the surest first.
    pub disagreements: Vec<Disagreement>,
}

/// A model, how large, how good and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `student`, the teacher's run directory, or `baseline`.
    pub name: String,
    /// Name of the network.
    pub architecture: String,
    /// Trainable parameters.
    pub num_params: usize,
    /// Accuracy; absent without labels.
    pub accuracy: Option<f64>,
    /// Time and images, unless it is the student's network again.
    pub speed: Option<Speed>,
}

/// How fast a model is on the device of the run. Fastest of several forward passes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds of a forward pass of one image.
    pub latency_secs: f64,
    /// Images a second, [`SPEED_BATCH`] at a time.
    pub images_per_sec: f64,
}

/// Images of a forward pass of [`Speed::images_per_sec`].
pub const SPEED_BATCH: usize = 128;

/// A sample on which student and teachers predict different classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Its id.
    pub id: String,
    /// Its class; absent without labels.
    pub target: Option<u32>,
    /// What the student predicts.
    pub student: u32,
    /// What the teachers predict.
    pub teacher: u32,
    /// The teachers' probability of their class.
    pub teacher_confidence: f64,
    /// The student's probability of its class.
    pub student_confidence: f64,
    /// The image.
    pub picture: Picture,
}

/// Times a model on zeros, which take as long as any image.
pub(crate) fn speed(model: &Model, device: &Device) -> Speed {
    let [channels, height, width] = model.spec().input;
    let fastest = |num_images: usize| {
        let images = Tensor::<4>::zeros([num_images, channels, height, width], device);
        let mut best = f64::INFINITY;
        let begun = Instant::now();
        for repeat in 0..50 {
            let start = Instant::now();
            to_host(match model.spec().head {
                Head::Classifier { .. } => model.scores(images.clone(), &Pass::Inference),
                Head::Embedding { .. } => model.embeddings(images.clone(), &Pass::Inference),
            });
            best = best.min(start.elapsed().as_secs_f64());
            // The first pass warms up; a slow model is not run for minutes.
            if repeat >= 2 && begun.elapsed() > Duration::from_millis(300) {
                break;
            }
        }
        best.max(f64::MIN_POSITIVE)
    };
    Speed { latency_secs: fastest(1), images_per_sec: SPEED_BATCH as f64 / fastest(SPEED_BATCH) }
}

/// Probabilities of some samples, row-major `[N, C]`, and their logarithms.
#[derive(Clone, Debug)]
pub(crate) struct Probabilities {
    num_classes: usize,
    log: Vec<f64>,
}

impl Probabilities {
    /// softmax of `scores`.
    pub(crate) fn of(scores: &[f32], num_classes: usize) -> Self {
        let log = scores.chunks_exact(num_classes).flat_map(log_softmax).collect();
        Self { num_classes, log }
    }

    /// The mean of the probabilities of several models.
    pub(crate) fn mean_of(models: &[Vec<f32>], num_classes: usize) -> Self {
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
    pub(crate) fn predictions(&self) -> Vec<(u32, f64)> {
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
    pub(crate) fn means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.num_classes];
        for row in self.log.chunks_exact(self.num_classes) {
            sums.iter_mut().zip(row).for_each(|(sum, log)| *sum += log.exp());
        }
        let num_samples = (self.log.len() / self.num_classes).max(1) as f64;
        sums.iter().map(|sum| sum / num_samples).collect()
    }

    /// Share of the samples with the same class, and the mean of KL(self ‖ student) in nats.
    pub(crate) fn compare(&self, student: &Self) -> (f64, f64) {
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
pub(crate) fn accuracy(predictions: &[(u32, f64)], targets: &[u32]) -> f64 {
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
