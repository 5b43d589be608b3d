//! `mentor predict --coverage`: sets of classes that hold the right one at a stated rate, and how foreign an
//! image is.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use mentor_data::{Dataset, Split, shown, shown_path};
use mentor_labels::{Rows, distances_to_kth};
use mentor_metrics::classification::ranked;
use mentor_metrics::conformal::{ConformalError, PredictionSets, least_calibration, p_value};
use mentor_metrics::evenly_spread;
use mentor_train::TrainedModel;

use crate::commands::eval::data::labelled;
use crate::commands::part::Part;
use crate::terminal::error::Failure;

/// Training images that an image is compared with, at most, and the neighbour whose distance counts.
const MOST_KNOWN: usize = 5000;
const NEIGHBOUR: usize = 5;
/// Images of one pass through the network.
const BATCH: usize = 256;

/// How sure a model may be, calibrated on the validation images of its run.
pub(super) struct Confidence {
    sets: PredictionSets,
    /// Directions of the embeddings of training images, `[N, D]`.
    known: Vec<f32>,
    width: usize,
    /// Distances of the validation images, ascending.
    distances: Vec<f64>,
}

/// What can be said of an image.
pub(super) struct Certainty {
    /// Classes, the likeliest first.
    pub(super) set: Vec<usize>,
    /// From 0 to 1.
    pub(super) foreign: f64,
}

impl Confidence {
    /// Calibrates on the validation split of the data that the run was trained on.
    pub(super) fn calibrate(
        trained: &TrainedModel,
        run: &Path,
        coverage: f64,
        by_class: bool,
    ) -> Result<Self, Failure> {
        least_calibration(coverage).map_err(|error| Failure::usage(anyhow!("--{error}")))?;
        let Some(data) = trained.file.data.source.clone() else {
            let error = anyhow!("{}: does not say what it was trained on", shown_path(run));
            return Err(Failure::usage(error).help("name a run of mentor train"));
        };
        let val = labelled(trained, &data, Part::Split(Split::Val))?;
        let probabilities = probabilities(trained, &val)?;
        let num_classes = trained.classes().len();
        let sets = PredictionSets::calibrate(&probabilities, val.targets(), num_classes, coverage, by_class)
            .map_err(|error| refused(&error, trained, &data))?;
        let train = labelled(trained, &data, Part::Split(Split::Train))?;
        let chosen: Vec<u32> = evenly_spread(train.len(), MOST_KNOWN).map(|sample| sample as u32).collect();
        let known = directions(trained.embed(&Arc::new(train.subset(&chosen)), BATCH)?, chosen.len());
        let width = known.len() / chosen.len().max(1);
        let own = directions(trained.embed(&val, BATCH)?, val.len());
        let mut distances = distances_to_kth(&Rows::new(&known, width), &Rows::new(&own, width), NEIGHBOUR);
        distances.sort_by(f64::total_cmp);
        Ok(Self { sets, known, width, distances })
    }

    /// What can be said of images in the model's format, whose calibrated scores are given.
    pub(super) fn of(
        &self,
        trained: &TrainedModel,
        images: &[Vec<u8>],
        scores: &[Vec<f32>],
    ) -> Result<Vec<Certainty>, Failure> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let rows = directions(trained.embeddings(images).map_err(Failure::failed)?.values, images.len());
        let known = Rows::new(&self.known, self.width);
        let distances = distances_to_kth(&known, &Rows::new(&rows, self.width), NEIGHBOUR);
        let certainty = |(scores, distance): (&Vec<f32>, f64)| Certainty {
            set: self.sets.set(&softmax(scores)),
            foreign: 1.0 - p_value(&self.distances, distance),
        };
        Ok(scores.iter().zip(distances).map(certainty).collect())
    }
}

/// `[N, C]` of the calibrated scores.
fn probabilities(trained: &TrainedModel, dataset: &Arc<Dataset>) -> Result<Vec<f64>, Failure> {
    let mut scores = trained.score(dataset, BATCH)?;
    let mut probabilities = Vec::with_capacity(scores.len());
    for row in scores.chunks_exact_mut(trained.classes().len()) {
        if let Some(calibration) = &trained.file.calibration {
            calibration.apply(row);
        }
        probabilities.extend(softmax(row));
    }
    Ok(probabilities)
}

fn softmax(scores: &[f32]) -> Vec<f64> {
    let mut probabilities = vec![0.0; scores.len()];
    ranked(scores).into_iter().for_each(|(class, p)| probabilities[class] = p);
    probabilities
}

/// `count` rows of length 1; a row of zeros stays.
fn directions(mut values: Vec<f32>, count: usize) -> Vec<f32> {
    let width = (values.len() / count.max(1)).max(1);
    for row in values.chunks_exact_mut(width) {
        let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
    }
    values
}

/// The refusal, with the names of the user.
fn refused(error: &ConformalError, trained: &TrainedModel, data: &str) -> Failure {
    let (text, most) = match *error {
        ConformalError::TooFew { coverage, needed, found } => (
            format!("--coverage {coverage} needs at least {needed} validation images, and {found} are there"),
            largest_coverage(found),
        ),
        ConformalError::TooFewOfClass { coverage, class, needed, found } => (
            format!(
                "--coverage {coverage} by class needs at least {needed} validation images of each class, and \
                 \"{}\" has {found}",
                shown(&trained.classes()[class])
            ),
            largest_coverage(found),
        ),
        ref error => (error.to_string(), None),
    };
    let more = "train with a larger --val-fraction".to_owned();
    let less = most.map(|most| format!("ask for a coverage of at most {most}"));
    Failure::data(anyhow!("{}: {text}", shown(data))).ways(less.into_iter().chain([more]).collect())
}

/// The largest coverage in whole percents that so many images allow.
fn largest_coverage(found: usize) -> Option<f64> {
    let percents = 100 * found / (found + 1);
    (percents > 0).then_some(percents as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coverage_that_is_offered_is_granted() {
        for found in [1, 5, 18, 19, 98, 99, 5000] {
            let offered = largest_coverage(found).unwrap();
            assert!(least_calibration(offered).unwrap() <= found, "{found}: {offered}");
        }
        assert_eq!(largest_coverage(0), None);
    }

    #[test]
    fn rows_become_directions() {
        let found = directions(vec![3.0, 4.0, 0.0, 0.0], 2);
        assert!((found[0] - 0.6).abs() < 1e-7 && found[2..] == [0.0, 0.0]);
    }
}
