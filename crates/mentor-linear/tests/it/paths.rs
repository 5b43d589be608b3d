//! Cross-validation over penalties.

use mentor_linear::{LinearError, Loss, PathOptions, Problem, path};

use crate::golden::digits;

fn options() -> PathOptions {
    let penalties = (0..6).map(|place| (10.0_f64.powi(-place), 0.0)).collect();
    PathOptions { penalties, folds: 3, seed: 0, relative_gap: 1e-3, max_iterations: 200 }
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
    let problem = Problem {
        features: &[0.0, 1.0, 2.0, 0.5],
        num_features: 1,
        targets: &[0, 1, 1, 0],
        num_classes: 2,
        sample_weights: None,
        class_weights: None,
        loss: Loss::Softmax,
        l2: 0.0,
        l1: 0.0,
        bias: true,
    };
    let fine = PathOptions { folds: 2, ..options() };
    assert!(path(&problem, &fine, &|| false).is_ok());
    assert_eq!(path(&problem, &fine, &|| true).unwrap_err(), LinearError::Interrupted);
    let many = PathOptions { folds: 9, ..options() };
    assert_eq!(path(&problem, &many, &|| false).unwrap_err(), LinearError::Folds { folds: 9, found: 4 });
    for penalties in [vec![], vec![(0.0, 0.0)], vec![(-1.0, 0.0)]] {
        assert!(path(&problem, &PathOptions { penalties, ..fine.clone() }, &|| false).is_err());
    }
}
