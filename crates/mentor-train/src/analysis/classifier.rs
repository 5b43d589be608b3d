//! Computes what the report draws: the hardest samples, the weights, and the cost along the optimisation
//! path.

use mentor_data::{DataError, Dataset};
use mentor_metrics::classification::{SampleResult, summarise};
use mentor_model::{Model, NamedTensor, is_penalised, parameters};
use mentor_run::records::Picture;
use mentor_run::records::analysis::{Analysis, HardSample, Histogram, WeightImage};

use crate::analysis::error::AnalysisError;
use crate::analysis::landscape::landscapes;
use crate::analysis::subject::Subject;
use crate::analysis::trajectory::Trajectory;
use crate::inference::weights::WeightStatistics;

const NUM_HARDEST: usize = 24;
const NUM_BINS: usize = 61;
/// Classes whose weights are kept as pictures, at most: as many as the report shows.
const MAX_WEIGHT_IMAGES: usize = 40;

/// Analyses the `chosen` model on the validation split (else on the training split), and the way to the
/// `last` one.
pub(crate) fn analyse(
    subject: &Subject<'_>,
    chosen: &Model,
    last: &Model,
    trajectory: &Trajectory,
) -> Result<Analysis, AnalysisError> {
    let (split, dataset) = match subject.val {
        Some(val) => ("val", val),
        None => ("train", subject.train),
    };
    let results = (subject.judge)(chosen, dataset)?;
    // Without validation images the last update is first seen here.
    if results.iter().any(|result| !result.loss.is_finite()) {
        return Err(AnalysisError::Overflowed { epoch: subject.epochs });
    }
    let penalty = WeightStatistics::of(chosen).penalty(&subject.penalty);
    let tensors = parameters(chosen);
    let (along_weight, along_line) = landscapes(subject, last, trajectory)?.unzip();
    Ok(Analysis {
        evaluation: summarise(split, dataset.classes(), &results, penalty),
        hardest: hardest(dataset, &results)?,
        weight_images: weight_images(subject, &tensors),
        histogram: histogram(&tensors),
        along_weight,
        along_line,
    })
}

fn hardest(dataset: &Dataset, results: &[SampleResult]) -> Result<Vec<HardSample>, DataError> {
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by(|&left, &right| results[right].loss.total_cmp(&results[left].loss).then(left.cmp(&right)));
    order
        .into_iter()
        .take(NUM_HARDEST)
        .map(|index| {
            let result = &results[index];
            Ok(HardSample {
                id: dataset.id(index).to_owned(),
                target: result.target,
                predicted: result.predicted,
                confidence: result.confidence,
                loss: result.loss,
                picture: Picture::of(dataset, index)?,
            })
        })
        .collect()
}

/// The first columns of the weights `[inputs, classes]` of a linear model, as pictures.
fn weight_images(subject: &Subject<'_>, tensors: &[NamedTensor]) -> Vec<WeightImage> {
    let Some(weights) = tensors.iter().find(|tensor| is_penalised(&tensor.shape)) else { return Vec::new() };
    if !subject.is_linear {
        return Vec::new();
    }
    let [channels, height, width] = subject.train.format().shape();
    let num_classes = weights.shape[1];
    (0..num_classes.min(MAX_WEIGHT_IMAGES))
        .map(|class| WeightImage {
            class,
            channels,
            height,
            width,
            values: weights.values.iter().skip(class).step_by(num_classes).copied().collect(),
        })
        .collect()
}

fn histogram(tensors: &[NamedTensor]) -> Histogram {
    let weights: Vec<f32> = tensors
        .iter()
        .filter(|tensor| tensor.trainable && is_penalised(&tensor.shape))
        .flat_map(|tensor| tensor.values.iter().copied())
        .collect();
    // Symmetric, with an odd number of bins, so that zero is in the middle of one.
    let high = weights.iter().fold(0.0_f64, |high, &weight| high.max(f64::from(weight).abs())).max(1e-12);
    let mut counts = vec![0; NUM_BINS];
    let mut num_zero = 0;
    let mut sum_squares = 0.0;
    for &weight in &weights {
        if weight == 0.0 {
            num_zero += 1;
            continue;
        }
        let weight = f64::from(weight);
        sum_squares += weight * weight;
        let bin = ((weight + high) / (2.0 * high) * NUM_BINS as f64) as usize;
        counts[bin.min(NUM_BINS - 1)] += 1;
    }
    let rms = (sum_squares / weights.len().max(1) as f64).sqrt();
    Histogram { low: -high, high, counts, num_zero, num_weights: weights.len() as u64, rms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_zeros_are_counted_apart_and_biases_left_out() {
        let tensors = [
            NamedTensor::new("weight", vec![1, 4], vec![0.0, -2.0, 2.0, 0.0]),
            NamedTensor::new("bias", vec![4], vec![5.0; 4]),
        ];
        let histogram = histogram(&tensors);
        assert_eq!((histogram.num_zero, histogram.num_weights, histogram.high), (2, 4, 2.0));
        assert_eq!(histogram.counts.iter().sum::<u64>(), 2);
        assert_eq!(histogram.rms, 2.0_f64.sqrt());
    }
}
