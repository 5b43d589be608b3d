//! Computes what the report draws: the hardest samples, the weights, the cost around the optimiser's way.

use std::sync::Arc;

use mentor_data::{DataError, Dataset};
use mentor_model::{Architecture, Model, NamedTensor, is_penalised, parameters, with_parameters};

use crate::analysis::{Analysis, HardSample, Histogram, Landscape, PathPoint, Picture, WeightImage};
use crate::error::TrainError;
use crate::evaluate::{SampleResult, summarise};
use crate::recipes::supervised::Supervised;
use crate::stretch::one_of_each_stretch;
use crate::trajectory::{Trajectory, flatten, unflatten};
use crate::weights::WeightStatistics;

const NUM_HARDEST: usize = 24;
const NUM_BINS: usize = 61;
/// Training samples that a cost is the mean of, at most.
const NUM_LANDSCAPE_SAMPLES: usize = 500;
/// Points of a curve of the cost.
const NUM_LANDSCAPE_POINTS: usize = 33;
/// Points of the optimiser's way that are drawn, at most.
const NUM_PATH_POINTS: usize = 40;

/// Analyses the `chosen` model on the validation split (else on the training split), and the way to the
/// `last` one.
pub(crate) fn analyse(
    objective: &Supervised<'_>,
    chosen: &Model,
    last: &Model,
    trajectory: &Trajectory,
) -> Result<Analysis, TrainError> {
    let (split, dataset) = match &objective.data.val {
        Some(val) => ("val", val),
        None => ("train", &objective.data.train),
    };
    let results = objective.evaluate(chosen, dataset)?;
    let penalty = WeightStatistics::of(chosen).penalty(&objective.plan.penalty);
    let tensors = parameters(chosen);
    let (along_weight, along_line) = landscapes(objective, last, trajectory)?;
    Ok(Analysis {
        evaluation: summarise(split, dataset.classes(), &results, penalty),
        hardest: hardest(dataset, &results)?,
        weight_images: weight_images(objective, &tensors),
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

/// The columns of the weights `[inputs, classes]` of a linear model, as pictures.
fn weight_images(objective: &Supervised<'_>, tensors: &[NamedTensor]) -> Vec<WeightImage> {
    let Some(weights) = tensors.iter().find(|tensor| is_penalised(&tensor.shape)) else { return Vec::new() };
    if objective.plan.architecture != Architecture::Linear {
        return Vec::new();
    }
    let [channels, height, width] = objective.data.input();
    let num_classes = weights.shape[1];
    (0..num_classes)
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

/// The cost along the weight that changed most, and along the line from the first to the last weights.
fn landscapes(
    objective: &Supervised<'_>,
    last: &Model,
    trajectory: &Trajectory,
) -> Result<(Option<Landscape>, Option<Landscape>), TrainError> {
    let end = flatten(&parameters(last));
    let Some((_, start)) = trajectory.points().next() else { return Ok((None, None)) };
    let Some((index, label)) = most_changed(&parameters(last), start) else { return Ok((None, None)) };

    let all = objective.data.train.len();
    let stretches = one_of_each_stretch(all, all.div_ceil(NUM_LANDSCAPE_SAMPLES).max(1));
    let indices: Vec<u32> = stretches.into_iter().map(|sample| sample as u32).collect();
    let num_samples = indices.len();
    let subset = Arc::new(objective.data.train.subset(&indices));
    let cost = |flat: &[f32]| -> Result<f64, TrainError> {
        let mut tensors = parameters(last);
        unflatten(&mut tensors, flat);
        let model = with_parameters(last.clone(), tensors)?;
        let results = objective.evaluate(&model, &subset)?;
        let data_loss = results.iter().map(|result| result.loss).sum::<f64>() / results.len() as f64;
        Ok(data_loss + WeightStatistics::of(&model).penalty(&objective.plan.penalty))
    };

    let points: Vec<(u64, &[f32])> = trajectory.points().collect();
    let thinning = points.len().div_ceil(NUM_PATH_POINTS);
    let drawn: Vec<(u64, &[f32], f64)> = points
        .iter()
        .enumerate()
        .filter(|(point, _)| point % thinning == 0 || point + 1 == points.len())
        .map(|(_, &(step, flat))| Ok((step, flat, cost(flat)?)))
        .collect::<Result<_, TrainError>>()?;
    let curve = |label: String,
                 low: f64,
                 high: f64,
                 place: &dyn Fn(f64) -> Vec<f32>,
                 project: &dyn Fn(&[f32]) -> f64| {
        let at: Vec<f64> = (0..NUM_LANDSCAPE_POINTS)
            .map(|point| low + (high - low) * point as f64 / (NUM_LANDSCAPE_POINTS - 1) as f64)
            .collect();
        let costs = at.iter().map(|&at| cost(&place(at))).collect::<Result<Vec<f64>, TrainError>>()?;
        // A cost that overflowed has no place in a picture, nor in JSON.
        let (at, costs) = at.into_iter().zip(costs).filter(|(_, cost)| cost.is_finite()).unzip();
        let path = drawn
            .iter()
            .filter(|(_, _, cost)| cost.is_finite())
            .map(|&(step, flat, cost)| PathPoint { step, at: project(flat), cost })
            .collect();
        Ok::<_, TrainError>(Landscape { label, num_samples, at, cost: costs, path })
    };

    let (first, final_value) = (f64::from(start[index]), f64::from(end[index]));
    let reach = (final_value - first).abs().max(1e-6);
    let along_weight = curve(
        label,
        first.min(final_value) - reach,
        first.max(final_value) + reach,
        &|value| {
            let mut flat = end.clone();
            flat[index] = value as f32;
            flat
        },
        &|flat| f64::from(flat[index]),
    )?;
    let direction: Vec<f64> =
        end.iter().zip(start).map(|(&end, &start)| f64::from(end) - f64::from(start)).collect();
    let squared: f64 = direction.iter().map(|step| step * step).sum();
    let along_line = curve(
        "from the first to the last weights".to_owned(),
        -0.25,
        1.5,
        &|at| {
            start.iter().zip(&direction).map(|(&start, step)| (f64::from(start) + at * step) as f32).collect()
        },
        &|flat| {
            let dot: f64 = flat
                .iter()
                .zip(start)
                .zip(&direction)
                .map(|((&now, &start), step)| (f64::from(now) - f64::from(start)) * step)
                .sum();
            dot / squared
        },
    )?;
    Ok((Some(along_weight), Some(along_line)))
}

/// Index, in the flattened vector, of the penalised weight that changed most, and its name; none where
/// no weight changed.
fn most_changed(tensors: &[NamedTensor], start: &[f32]) -> Option<(usize, String)> {
    let mut best: Option<(f32, usize, String)> = None;
    let mut offset = 0;
    for tensor in tensors.iter().filter(|tensor| tensor.trainable) {
        if is_penalised(&tensor.shape) {
            for (inner, &value) in tensor.values.iter().enumerate() {
                let change = (value - start[offset + inner]).abs();
                if change > best.as_ref().map_or(0.0, |(change, _, _)| *change) {
                    best = Some((
                        change,
                        offset + inner,
                        format!("weight {}{:?}", tensor.path, place(inner, &tensor.shape)),
                    ));
                }
            }
        }
        offset += tensor.values.len();
    }
    best.map(|(_, index, label)| (index, label))
}

/// Row-major coordinates of a flat index.
fn place(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut coordinates: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&len| {
            let coordinate = index % len;
            index /= len;
            coordinate
        })
        .collect();
    coordinates.reverse();
    coordinates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_that_changed_most_is_found_with_its_coordinates() {
        let tensors = [
            NamedTensor::new("bias", vec![2], vec![9.0, 9.0]),
            NamedTensor::new("weight", vec![2, 3], vec![0.0, 1.0, 0.0, 0.0, 0.0, -4.0]),
        ];
        assert_eq!(most_changed(&tensors, &[0.0; 8]), Some((7, "weight weight[1, 2]".to_owned())));
        assert_eq!(most_changed(&tensors[1..], &tensors[1].values), None);
    }

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
