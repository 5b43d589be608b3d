//! The cost near the optimisation path: along one weight, and along the line from the first to the last
//! weights.

use std::sync::Arc;

use mentor_data::Dataset;
use mentor_metrics::stratified_subsample;
use mentor_model::{Model, NamedTensor, is_penalised, parameters, with_parameters};
use mentor_run::records::analysis::{Landscape, PathPoint};

use crate::analysis::error::AnalysisError;
use crate::analysis::subject::Subject;
use crate::analysis::trajectory::{Trajectory, flatten, unflatten};
use crate::inference::weights::WeightStatistics;

/// Training samples that a cost is the mean of, at most.
const NUM_SAMPLES: usize = 500;
/// Points of a curve of the cost.
const NUM_POINTS: usize = 33;
/// Points of the optimiser's way that are drawn, at most.
const NUM_PATH_POINTS: usize = 40;

/// The cost along the weight that changed most, and along the line from the first to the `last` weights; none
/// where no weight changed.
pub(crate) fn landscapes(
    subject: &Subject<'_>,
    last: &Model,
    trajectory: &Trajectory,
) -> Result<Option<(Landscape, Landscape)>, AnalysisError> {
    let Some((_, start)) = trajectory.points().next() else { return Ok(None) };
    let tensors = parameters(last);
    let Some((index, label)) = most_changed(&tensors, start) else { return Ok(None) };
    let end = flatten(&tensors);
    let surface = Surface::around(subject, last, tensors, trajectory)?;
    Ok(Some((surface.along_weight(index, label, start, &end)?, surface.along_line(start, &end)?)))
}

/// The cost as a function of all weights, and the way that the optimiser took on it.
struct Surface<'a> {
    subject: &'a Subject<'a>,
    model: &'a Model,
    /// Those of the model: its running statistics stay when the weights are others.
    tensors: Vec<NamedTensor>,
    /// What the cost is the mean over.
    samples: Arc<Dataset>,
    way: Vec<WayPoint<'a>>,
}

struct WayPoint<'a> {
    step: u64,
    weights: &'a [f32],
    cost: f64,
}

impl<'a> Surface<'a> {
    fn around(
        subject: &'a Subject<'a>,
        model: &'a Model,
        tensors: Vec<NamedTensor>,
        trajectory: &'a Trajectory,
    ) -> Result<Self, AnalysisError> {
        let all = subject.train.len();
        let samples = stratified_subsample(all, all.div_ceil(NUM_SAMPLES).max(1));
        let samples: Vec<u32> = samples.into_iter().map(|sample| sample as u32).collect();
        let samples = Arc::new(subject.train.subset(&samples));
        let mut surface = Self { subject, model, tensors, samples, way: Vec::new() };
        let points: Vec<(u64, &[f32])> = trajectory.points().collect();
        let thinning = points.len().div_ceil(NUM_PATH_POINTS);
        for (number, &(step, weights)) in points.iter().enumerate() {
            if number % thinning == 0 || number + 1 == points.len() {
                let cost = surface.cost(weights)?;
                surface.way.push(WayPoint { step, weights, cost });
            }
        }
        Ok(surface)
    }

    fn cost(&self, weights: &[f32]) -> Result<f64, AnalysisError> {
        let mut tensors = self.tensors.clone();
        unflatten(&mut tensors, weights);
        let model = with_parameters(self.model.clone(), tensors)?;
        let results = (self.subject.judge)(&model, &self.samples)?;
        let data_loss = results.iter().map(|result| result.loss).sum::<f64>() / results.len() as f64;
        Ok(data_loss + WeightStatistics::of(&model).penalty(&self.subject.penalty))
    }

    fn along_weight(
        &self,
        index: usize,
        label: String,
        start: &[f32],
        end: &[f32],
    ) -> Result<Landscape, AnalysisError> {
        let (first, last) = (f64::from(start[index]), f64::from(end[index]));
        let reach = (last - first).abs().max(1e-6);
        let place = |value: f64| {
            let mut weights = end.to_vec();
            weights[index] = value as f32;
            weights
        };
        let range = [first.min(last) - reach, first.max(last) + reach];
        self.along(label, range, place, |weights| f64::from(weights[index]))
    }

    /// 0 is `start` and 1 is `end`; the way is projected onto the line between them.
    fn along_line(&self, start: &[f32], end: &[f32]) -> Result<Landscape, AnalysisError> {
        let difference = |&now: &f32, &start: &f32| f64::from(now) - f64::from(start);
        let direction: Vec<f64> = end.iter().zip(start).map(|(end, start)| difference(end, start)).collect();
        let squared: f64 = direction.iter().map(|step| step * step).sum();
        let place = |at: f64| {
            start.iter().zip(&direction).map(|(&start, step)| (f64::from(start) + at * step) as f32).collect()
        };
        let project = |weights: &[f32]| {
            let along = weights.iter().zip(start).zip(&direction);
            along.map(|((now, start), step)| difference(now, start) * step).sum::<f64>() / squared
        };
        self.along("from the first to the last weights".to_owned(), [-0.25, 1.5], place, project)
    }

    /// The cost where `place` puts the weights, from one end of the range to the other, and the way where
    /// `project` puts it.
    fn along(
        &self,
        label: String,
        [low, high]: [f64; 2],
        place: impl Fn(f64) -> Vec<f32>,
        project: impl Fn(&[f32]) -> f64,
    ) -> Result<Landscape, AnalysisError> {
        let at = (0..NUM_POINTS).map(|point| low + (high - low) * point as f64 / (NUM_POINTS - 1) as f64);
        let curve = at
            .map(|at| Ok((at, self.cost(&place(at))?)))
            .collect::<Result<Vec<(f64, f64)>, AnalysisError>>()?;
        // A cost that overflowed has no place in a picture, nor in JSON.
        let (at, cost) = curve.into_iter().filter(|(_, cost)| cost.is_finite()).unzip();
        let path = self
            .way
            .iter()
            .filter(|point| point.cost.is_finite())
            .map(|point| PathPoint { step: point.step, at: project(point.weights), cost: point.cost })
            .collect();
        Ok(Landscape { label, num_samples: self.samples.len(), at, cost, path })
    }
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
                        format!("weight {}{:?}", tensor.path, coordinates(inner, &tensor.shape)),
                    ));
                }
            }
        }
        offset += tensor.values.len();
    }
    best.map(|(_, index, label)| (index, label))
}

/// Row-major coordinates of a flat index.
fn coordinates(mut index: usize, shape: &[usize]) -> Vec<usize> {
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
}
