//! What must hold for any scores, and agreement with the oracles on them.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_loss::{ScoreLoss, SoftmaxCrossEntropy};
use mentor_testkit::oracle;
use mentor_testkit::strategies::{ScoredBatch, probability_rows, scored_batch, scored_batch_and_class_order};
use proptest::prelude::*;

use crate::support::{crammer_singer, gradient_of, per_sample, smoothed_and_weighted, softmax, svm, values};

fn close(actual: f32, expected: f64, tolerance: f64) -> bool {
    (f64::from(actual) - expected).abs() <= tolerance * expected.abs().max(1.0)
}

fn losses(loss: &ScoreLoss, batch: &ScoredBatch) -> Vec<f32> {
    per_sample(loss, &batch.scores, &batch.targets)
}

fn class_weights(num_classes: usize) -> Vec<f64> {
    (0..num_classes).map(|class| 0.5 * (class + 1) as f64).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn losses_agree_with_the_oracles(
        batch in scored_batch(30.0),
        margin in 0.0..4.0f64,
        smoothing in 0.0..=1.0f64,
    ) {
        let (scores, classes, targets) = (batch.scores_f64(), batch.num_classes, &batch.targets[..]);
        let weights = class_weights(classes);
        let smoothed = ScoreLoss::Softmax(smoothed_and_weighted(smoothing, &[]));
        let both = ScoreLoss::Softmax(smoothed_and_weighted(smoothing, &weights));
        let pairs = [
            (svm(margin), oracle::weston_watkins(&scores, classes, targets, margin)),
            (crammer_singer(margin), oracle::crammer_singer(&scores, classes, targets, margin)),
            (softmax(), oracle::softmax(&scores, classes, targets, 0.0, &[])),
            (smoothed, oracle::softmax(&scores, classes, targets, smoothing, &[])),
            (both, oracle::softmax(&scores, classes, targets, smoothing, &weights)),
        ];
        for (loss, expected) in pairs {
            for ((actual, expected), row) in losses(&loss, &batch).iter().zip(&expected).zip(0..) {
                // Differences of scores of size 30 are rounded at 4e-6 and multiplied by weights of up to
                // 3.5.
                prop_assert!(
                    close(*actual, *expected, 2e-5),
                    "{:?} row {}: {} {}",
                    loss,
                    row,
                    actual,
                    expected
                );
            }
        }
    }

    #[test]
    fn explanations_agree_with_the_oracles_and_the_tensors(
        batch in scored_batch(30.0),
        smoothing in 0.0..=1.0f64,
    ) {
        let weights = class_weights(batch.num_classes);
        let weighted = ScoreLoss::Softmax(smoothed_and_weighted(smoothing, &weights));
        for loss in [svm(1.0), crammer_singer(1.0), softmax(), weighted] {
            let values = losses(&loss, &batch);
            let gradients = gradient_of(&loss, &batch.scores, &batch.targets);
            let scores = batch.scores_f64();
            for (sample, row) in scores.chunks_exact(batch.num_classes).enumerate() {
                let explained = loss.explain(row, batch.targets[sample]).unwrap();
                let sum: f64 = explained.terms.iter().filter(|term| term.active).map(|term| term.value).sum();
                prop_assert!((sum - explained.loss).abs() <= 1e-12 * sum.max(1.0));
                prop_assert!(close(values[sample], explained.loss, 2e-5));
                if let Some(probabilities) = explained.probabilities {
                    prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                    // Only softmax: a hinge's gradient jumps at kinks, where f32 and f64 may disagree.
                    let tensors = &gradients[sample * batch.num_classes..][..batch.num_classes];
                    for (tensor, explained) in tensors.iter().zip(&explained.gradient) {
                        prop_assert!(close(*tensor, *explained, 2e-5), "{} {}", tensor, explained);
                    }
                }
            }
        }
    }

    #[test]
    fn a_constant_added_to_all_scores_changes_nothing(batch in scored_batch(8.0), shift in -64i8..64) {
        // Scores on a grid of 1/1024: the shift is exact in f32, so the results are equal to the last bit.
        let grid = |scores: &[f32], shift: f32| -> Vec<f32> {
            scores.iter().map(|score| (score * 1024.0).round() / 1024.0 + shift).collect()
        };
        for loss in [svm(1.0), crammer_singer(1.0), softmax()] {
            let here = per_sample(&loss, &grid(&batch.scores, 0.0), &batch.targets);
            let there = per_sample(&loss, &grid(&batch.scores, f32::from(shift)), &batch.targets);
            prop_assert_eq!(here, there);
        }
    }

    #[test]
    fn the_order_of_classes_changes_nothing((batch, order) in scored_batch_and_class_order(20.0)) {
        let renamed = batch.with_classes_permuted(&order);
        for loss in [svm(1.0), crammer_singer(1.0), softmax()] {
            for (here, there) in losses(&loss, &batch).iter().zip(losses(&loss, &renamed)) {
                prop_assert!(close(there, f64::from(*here), 1e-6), "{:?}: {} {}", loss, here, there);
            }
        }
    }

    #[test]
    fn samples_do_not_see_each_other(batch in scored_batch(20.0)) {
        for loss in [svm(1.0), crammer_singer(1.0), softmax()] {
            let together = losses(&loss, &batch);
            for (sample, row) in batch.scores.chunks_exact(batch.num_classes).enumerate() {
                prop_assert_eq!(per_sample(&loss, row, &[batch.targets[sample]])[0], together[sample]);
            }
        }
    }

    #[test]
    fn losses_are_not_negative_and_ordered(batch in scored_batch(1e4)) {
        let all = [svm(1.0), crammer_singer(1.0), softmax()];
        let [sum, largest, nats] = all.map(|loss| losses(&loss, &batch));
        for sample in 0..batch.num_samples() {
            prop_assert!(0.0 <= largest[sample] && largest[sample] <= sum[sample]);
            prop_assert!(nats[sample] >= 0.0 && nats[sample].is_finite());
        }
    }

    #[test]
    fn the_svm_is_zero_exactly_when_every_margin_holds(batch in scored_batch(5.0)) {
        let (sum, largest) = (losses(&svm(1.0), &batch), losses(&crammer_singer(1.0), &batch));
        for (sample, row) in batch.scores.chunks_exact(batch.num_classes).enumerate() {
            let target = batch.targets[sample];
            let holds = (0..row.len()).all(|class| class == target || row[class] - row[target] + 1.0 <= 0.0);
            prop_assert_eq!(sum[sample] == 0.0, holds);
            prop_assert_eq!(largest[sample] == 0.0, holds);
        }
    }

    #[test]
    fn gradients_add_up_to_zero_and_never_pull_the_target_down(batch in scored_batch(1e4)) {
        for loss in [svm(1.0), crammer_singer(1.0), softmax()] {
            let gradients = gradient_of(&loss, &batch.scores, &batch.targets);
            for (sample, row) in gradients.chunks_exact(batch.num_classes).enumerate() {
                prop_assert!(row.iter().sum::<f32>().abs() < 1e-6, "{:?}: {:?}", loss, row);
                prop_assert!(row[batch.targets[sample]] <= 0.0, "{:?}: {:?}", loss, row);
            }
        }
    }

    #[test]
    fn soft_targets_agree_with_the_oracle(
        (batch, probs) in scored_batch(30.0).prop_flat_map(|batch| {
            let probs = probability_rows(batch.num_samples(), batch.num_classes);
            (Just(batch), probs)
        }),
        smoothing in 0.0..=1.0f64,
    ) {
        let device = Device::flex();
        let weights = class_weights(batch.num_classes);
        let shape = [batch.num_samples(), batch.num_classes];
        let tensor = Tensor::<2>::from_data(TensorData::new(probs.clone(), shape), &device);
        let loss = smoothed_and_weighted(smoothing, &weights);
        let actual = values(loss.per_sample_soft(batch.scores_on(&device), tensor));
        let probs: Vec<f64> = probs.iter().map(|&prob| f64::from(prob)).collect();
        let scores = batch.scores_f64();
        let expected = oracle::softmax_soft(&scores, batch.num_classes, &probs, smoothing, &weights);
        for (actual, expected) in actual.iter().zip(&expected) {
            prop_assert!(close(*actual, *expected, 2e-5), "{} {}", actual, expected);
        }
    }

    #[test]
    fn hard_targets_are_soft_targets_of_one_class(batch in scored_batch(30.0)) {
        let device = Device::flex();
        let probs = oracle::one_hot(&batch.targets, batch.num_classes);
        let probs = probs.iter().map(|&prob| prob as f32).collect();
        let shape = [batch.num_samples(), batch.num_classes];
        let probs = Tensor::<2>::from_data(TensorData::new::<f32, _>(probs, shape), &device);
        let soft = values(SoftmaxCrossEntropy::new().per_sample_soft(batch.scores_on(&device), probs));
        for (hard, soft) in losses(&softmax(), &batch).iter().zip(soft) {
            prop_assert!(close(soft, f64::from(*hard), 1e-5), "{} {}", hard, soft);
        }
    }
}
