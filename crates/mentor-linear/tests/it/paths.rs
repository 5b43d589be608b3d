//! Cross-validation over penalties.

use std::ops::ControlFlow;
use std::sync::Mutex;

use mentor_linear::{LinearError, Loss, PathOptions, Problem, SolveOptions, path, path_observed, solve};

use crate::golden::digits;

fn options() -> PathOptions {
    let penalties = (0..6).map(|place| (10.0_f64.powi(-place), 0.0)).collect();
    PathOptions { penalties, folds: 3, seed: 0, relative_gap: 1e-3, max_iterations: 200 }
}

/// Softmax on these, whose penalties a path chooses.
fn softmax<'a>(
    features: &'a [f32],
    num_features: usize,
    targets: &'a [u32],
    num_classes: usize,
) -> Problem<'a> {
    Problem {
        features,
        num_features,
        targets,
        num_classes,
        sample_weights: None,
        class_weights: None,
        loss: Loss::Softmax,
        l2: 0.0,
        l1: 0.0,
        bias: true,
    }
}

#[test]
fn the_least_loss_is_chosen_and_the_strongest_penalty_within_one_standard_error() {
    let (features, targets) = digits();
    let (features, targets) = (&features[..300 * 64], &targets[..300]);
    for loss in [Loss::Softmax, Loss::WestonWatkins { margin: 1.0 }] {
        let problem = Problem {
            features,
            num_features: 64,
            targets,
            num_classes: 10,
            sample_weights: None,
            class_weights: None,
            loss,
            l2: 0.0,
            l1: 0.0,
            bias: true,
        };
        let found = path(&problem, &options(), &|| false).unwrap();
        assert_eq!(found.points.len(), 6);
        assert!(found.points.windows(2).all(|pair| pair[0].l2 > pair[1].l2));
        assert!(found.points.iter().all(|point| point.relative_gap <= 1e-3), "{:?}", found.points);
        let best = &found.points[found.best];
        assert!(found.points.iter().all(|point| point.validation_loss >= best.validation_loss));
        assert!(best.validation_accuracy > 0.85 && best.l2 < 1.0, "{best:?}");
        let chosen = &found.points[found.one_standard_error];
        assert!(found.one_standard_error <= found.best);
        assert!(chosen.validation_loss <= best.validation_loss + best.standard_error);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| path(&problem, &options(), &|| false)).unwrap(), found);
    }
}

#[test]
fn what_cannot_be_a_path_is_refused() {
    let problem = softmax(&[0.0, 1.0, 2.0, 0.5], 1, &[0, 1, 1, 0], 2);
    let fine = PathOptions { folds: 2, ..options() };
    assert!(path(&problem, &fine, &|| false).is_ok());
    assert_eq!(path(&problem, &fine, &|| true).unwrap_err(), LinearError::Interrupted);
    let many = PathOptions { folds: 9, ..options() };
    assert_eq!(path(&problem, &many, &|| false).unwrap_err(), LinearError::Folds { folds: 9, found: 4 });
    for penalties in [vec![], vec![(0.0, 0.0)], vec![(-1.0, 0.0)]] {
        assert!(path(&problem, &PathOptions { penalties, ..fine.clone() }, &|| false).is_err());
    }
}

#[test]
fn the_values_of_the_folds_and_the_progress_are_those_of_the_means() {
    let (features, targets) = digits();
    let problem = softmax(&features[..200 * 64], 64, &targets[..200], 10);
    let told = Mutex::new(Vec::new());
    let found =
        path_observed(&problem, &options(), &|| false, &|model| told.lock().unwrap().push(*model)).unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), 18);
    for (place, model) in told.iter().enumerate() {
        assert!(model.num_models == 18 && model.num_done >= 1 && model.num_done <= 18, "{place}: {model:?}");
        let point = found.points.iter().find(|point| point.l2 == model.l2).unwrap();
        assert_eq!(point.fold_losses[model.fold], model.validation_loss);
    }
    for point in &found.points {
        let mean = point.fold_losses.iter().sum::<f64>() / 3.0;
        let squares: f64 = point.fold_losses.iter().map(|loss| (loss - mean).powi(2)).sum();
        assert!(point.fold_losses.len() == 3 && (mean - point.validation_loss).abs() < 1e-12);
        assert!(((squares / 2.0 / 3.0).sqrt() - point.standard_error).abs() < 1e-12);
    }
}

/// Each sample's loss by a model of all others: with 12 samples of 130 features in coordinates, with 40 of 6
/// on the features.
#[test]
fn as_many_folds_as_samples_are_leave_one_out() {
    for (num_samples, num_features) in [(12, 130), (40, 6)] {
        let targets: Vec<u32> = (0..num_samples).map(|sample| sample % 2).collect();
        let value = |place: usize| ((place * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
        let mut features: Vec<f32> = (0..num_samples as usize * num_features).map(value).collect();
        for (row, &target) in features.chunks_exact_mut(num_features).zip(&targets) {
            row[0] += target as f32;
        }
        let problem = softmax(&features, num_features, &targets, 2);
        let folds = num_samples as usize;
        let penalties = vec![(1.0, 0.0), (1e-2, 0.0)];
        let options = PathOptions { penalties, folds, seed: 0, relative_gap: 1e-7, max_iterations: 200 };
        let found = path(&problem, &options, &|| false).unwrap();
        for point in &found.points {
            let mut losses = 0.0;
            for sample in 0..folds {
                let row = sample * num_features..(sample + 1) * num_features;
                let others = [&features[..row.start], &features[row.end..]].concat();
                let their_targets = [&targets[..sample], &targets[sample + 1..]].concat();
                let part =
                    Problem { features: &others, targets: &their_targets, l2: point.l2, ..problem.clone() };
                let solve_options = SolveOptions { relative_gap: 1e-7, ..SolveOptions::default() };
                let model = solve(&part, &solve_options, &mut |_| ControlFlow::Continue(())).unwrap();
                let score = |class: usize| {
                    let weights = &model.weights[class * num_features..][..num_features];
                    let products = weights.iter().zip(&features[row.clone()]).map(|(w, x)| w * f64::from(*x));
                    products.sum::<f64>() + model.bias[class]
                };
                let target = targets[sample] as usize;
                losses += (1.0 + (score(1 - target) - score(target)).exp()).ln();
            }
            let mean = losses / folds as f64;
            assert!((point.validation_loss - mean).abs() < 2e-3 * mean, "{mean} {point:?}");
        }
    }
}
