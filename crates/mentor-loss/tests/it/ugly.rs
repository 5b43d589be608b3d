//! Points where losses break: ties, kinks, huge scores, one class, tiny losses, wrong shapes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};
use mentor_loss::{Hinge, LossError, MulticlassSvm, ScoreLoss, SoftmaxCrossEntropy};

use crate::support::{
    assert_close, crammer_singer, gradient_of, per_sample, smoothed_and_weighted, softmax, svm, targets_on,
    values,
};

fn all() -> [ScoreLoss; 4] {
    [svm(1.0), crammer_singer(1.0), softmax(), ScoreLoss::Softmax(smoothed_and_weighted(0.1, &[]))]
}

#[test]
fn huge_scores_give_finite_values_and_gradients() {
    let scores = [1e4, -1e4, 0.0, -1e4, 1e4, 1e4, 1e4, 1e4, 1e4, -1e4, -1e4, -1e4];
    let targets = [1, 0, 2, 1];
    for loss in all() {
        let gradient = gradient_of(&loss, &scores, &targets);
        assert!(per_sample(&loss, &scores, &targets).iter().all(|value| value.is_finite()), "{loss:?}");
        assert!(
            gradient.iter().all(|value| value.is_finite() && value.abs() <= 2.0),
            "{loss:?}: {gradient:?}"
        );
    }
    assert_close(
        &per_sample(&softmax(), &scores, &targets),
        &[2e4, 2e4 + 2f64.ln(), 3f64.ln(), 3f64.ln()],
        1e-7,
    );
    assert_close(&per_sample(&svm(1.0), &scores, &targets), &[30_002.0, 40_002.0, 2.0, 2.0], 1e-7);
    let third = 1.0 / 3.0;
    let expected = [1.0, -1.0, 0.0, -1.0, 0.5, 0.5, third, third, -2.0 * third, third, -2.0 * third, third];
    assert_close(&gradient_of(&softmax(), &scores, &targets), &expected, 1e-6);
}

#[test]
fn soft_targets_of_huge_scores_are_finite() {
    let device = Device::flex().autodiff();
    let scores = Tensor::<2>::from_floats([[1e4, -1e4], [-1e4, -1e4]], &device).require_grad();
    let probs = Tensor::<2>::from_floats([[0.25, 0.75], [1.0, 0.0]], &device);
    let loss = SoftmaxCrossEntropy::new().per_sample_soft(scores.clone(), probs);
    let gradients = loss.clone().sum().backward();
    assert_close(&values(loss), &[1.5e4, 2f64.ln()], 1e-6);
    assert_close(&values(scores.grad(&gradients).unwrap()), &[0.75, -0.75, -0.5, 0.5], 1e-6);
}

#[test]
fn tiny_losses_and_gradients_keep_their_digits() {
    for lead in [11.0f32, 17.0, 20.0, 40.0, 80.0] {
        let scores = [lead, 0.0, 0.0, -1.0];
        let others = (2.0 + (-1f64).exp()) * (-f64::from(lead)).exp();
        let loss = f64::from(per_sample(&softmax(), &scores, &[0])[0]);
        assert!((loss / others.ln_1p() - 1.0).abs() < 1e-5, "lead {lead}: {loss}");
        let push = f64::from(gradient_of(&softmax(), &scores, &[0])[0]);
        assert!((push / (-others / (1.0 + others)) - 1.0).abs() < 1e-5, "lead {lead}: {push}");

        let explained = softmax().explain(&scores.map(f64::from), 0).unwrap();
        assert!((explained.loss / others.ln_1p() - 1.0).abs() < 1e-14);
        assert!((explained.gradient[0] / (-others / (1.0 + others)) - 1.0).abs() < 1e-14);
    }
    // Far past the underflow: 0, not NaN.
    assert_eq!(per_sample(&softmax(), &[1e4, 0.0], &[0]), [0.0]);
    assert_eq!(gradient_of(&softmax(), &[1e4, 0.0], &[0]), [0.0, 0.0]);
}

#[test]
fn a_lead_of_almost_nothing_over_the_target_is_smooth() {
    // M passes from 0 to positive here; value and gradient must not jump.
    for gap in [-1e-3f32, -1e-6, 0.0, 1e-6, 1e-3] {
        let expected = (1.0 + f64::from(gap).exp()).ln();
        assert_close(&per_sample(&softmax(), &[0.0, gap], &[0]), &[expected], 2e-7);
        let p = 1.0 / (1.0 + (-f64::from(gap)).exp());
        assert_close(&gradient_of(&softmax(), &[0.0, gap], &[0]), &[-p, p], 2e-7);
    }
}

#[test]
fn at_the_margin_exactly_nothing_pushes() {
    for loss in [svm(1.0), crammer_singer(1.0)] {
        assert_eq!(per_sample(&loss, &[3.0, 2.0, 2.0], &[0]), [0.0]);
        assert_eq!(gradient_of(&loss, &[3.0, 2.0, 2.0], &[0]), [0.0; 3]);
        // The target first or last makes no difference to who wins the tie with 0.
        assert_eq!(gradient_of(&loss, &[2.0, 2.0, 3.0], &[2]), [0.0; 3]);
        let explained = loss.explain(&[3.0, 2.0, 2.0], 0).unwrap();
        assert!(explained.terms.iter().all(|term| !term.active) && explained.gradient == [0.0; 3]);
    }
    // One step of f32 inside the margin is active, and its value is not lost next to a margin of 1.
    let inside = 2.0f32.next_up();
    assert_eq!(per_sample(&svm(1.0), &[3.0, inside, 0.0], &[0]), [inside - 2.0]);
    assert_eq!(gradient_of(&svm(1.0), &[3.0, inside, 0.0], &[0]), [-1.0, 1.0, 0.0]);
}

#[test]
fn crammer_singer_gives_a_tie_to_one_class() {
    assert_eq!(gradient_of(&crammer_singer(1.0), &[5.0, 0.0, 5.0], &[1]), [1.0, -1.0, 0.0]);
    let explained = crammer_singer(1.0).explain(&[5.0, 0.0, 5.0], 1).unwrap();
    assert_eq!((explained.loss, explained.gradient), (6.0, vec![1.0, -1.0, 0.0]));
}

#[test]
fn one_class_has_nothing_to_learn() {
    for loss in all() {
        assert_eq!(per_sample(&loss, &[5.0, -1e4], &[0, 0]), [0.0, 0.0], "{loss:?}");
        assert_eq!(gradient_of(&loss, &[5.0, -1e4], &[0, 0]), [0.0, 0.0], "{loss:?}");
        assert_eq!(loss.explain(&[5.0], 0).unwrap().loss, 0.0);
    }
}

#[test]
fn equal_scores_push_every_class_alike() {
    assert_eq!(gradient_of(&svm(1.0), &[7.0; 4], &[1]), [1.0, -3.0, 1.0, 1.0]);
    assert_close(&gradient_of(&softmax(), &[7.0; 4], &[1]), &[0.25, -0.75, 0.25, 0.25], 1e-7);
}

#[test]
fn a_score_that_is_not_a_number_is_not_hidden() {
    // The training loop stops on a loss that is not finite, so a loss must not swallow one.
    for loss in all() {
        assert!(!per_sample(&loss, &[0.0, f32::NAN, 1.0], &[0])[0].is_finite(), "{loss:?}");
        assert!(!per_sample(&loss, &[f32::NAN, 0.0, 1.0], &[0])[0].is_finite(), "{loss:?}");
    }
}

fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| {
        call();
    }))
    .unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "not a formatted message".into())
}

#[test]
fn shapes_that_do_not_fit_panic_with_both() {
    let device = Device::flex();
    let scores = Tensor::<2>::zeros([3, 4], &device);
    for loss in all() {
        let message = panic_of(|| loss.per_sample(scores.clone(), targets_on(&[0, 1], &device)));
        assert!(message.contains("[3, 4]") && message.contains("[2]"), "{message}");
    }
    let soft = SoftmaxCrossEntropy::new();
    let message = panic_of(|| soft.per_sample_soft(scores.clone(), Tensor::zeros([3, 5], &device)));
    assert!(message.contains("[3, 4]") && message.contains("[3, 5]"), "{message}");
    let weighted = smoothed_and_weighted(0.0, &[1.0, 2.0]);
    let message = panic_of(|| weighted.per_sample(scores, targets_on(&[0, 1, 2], &device)));
    assert!(message.contains("[2]") && message.contains("[N, 4]"), "{message}");
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    for margin in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
        let refused = MulticlassSvm::new(Hinge::CrammerSinger, margin).unwrap_err();
        assert!(matches!(refused, LossError::Parameter { name: "margin", .. }), "{refused}");
    }
    for smoothing in [-0.1, 1.1, f64::NAN] {
        let refused = SoftmaxCrossEntropy::new().with_label_smoothing(smoothing).unwrap_err();
        assert!(refused.to_string().starts_with("label_smoothing is "), "{refused}");
    }
    let weights =
        |weights: &[f64]| SoftmaxCrossEntropy::new().with_class_weights(weights.to_vec()).unwrap_err();
    assert_eq!(weights(&[1.0, -2.0]), LossError::ClassWeight { class: 1, value: -2.0 });
    assert!(matches!(weights(&[f64::NAN]), LossError::ClassWeight { class: 0, .. }));
    assert_eq!(weights(&[0.0, 0.0]), LossError::NoClassWeight { count: 2 });
    assert_eq!(weights(&[]), LossError::NoClassWeight { count: 0 });
}

#[test]
fn explanations_refuse_what_a_person_can_mistype() {
    let svm = MulticlassSvm::new(Hinge::WestonWatkins, 1.0).unwrap();
    let refused = svm.explain(&[1.0, 2.0], 2).unwrap_err();
    assert_eq!(refused.to_string(), "target 2 is not a class: with 2 scores the classes are 0 to 1");
    assert_eq!(svm.explain(&[], 0), Err(LossError::NoScores));
    let refused = SoftmaxCrossEntropy::new().explain(&[1.0, f64::INFINITY], 0).unwrap_err();
    assert_eq!(refused, LossError::Score { class: 1, value: f64::INFINITY });
    let weighted = smoothed_and_weighted(0.0, &[1.0]);
    let refused = weighted.explain(&[1.0, 2.0], 0).unwrap_err();
    assert_eq!(refused, LossError::ClassWeightCount { weights: 1, num_classes: 2 });
}
