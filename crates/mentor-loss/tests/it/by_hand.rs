//! The table of the course CS231n and the losses that share a name, by hand.

use mentor_loss::SoftmaxCrossEntropy;
use mentor_testkit::oracle;

use crate::support::{assert_close, crammer_singer, gradient_of, per_sample, softmax, svm};

struct Row {
    scores: &'static [f32],
    target: usize,
    hinge: f64,
    nats: f64,
}

const LECTURE: [Row; 6] = [
    Row { scores: &[3.2, 5.1, -1.7], target: 0, hinge: 2.9, nats: 2.0404 },
    Row { scores: &[1.3, 4.9, 2.0], target: 1, hinge: 0.0, nats: 0.0791 },
    Row { scores: &[2.2, 2.5, -3.1], target: 2, hinge: 12.9, nats: 6.1565 },
    Row { scores: &[-2.85, 0.86, 0.28], target: 2, hinge: 1.58, nats: 1.0402 },
    Row { scores: &[1000.0, 9.0, 9.0, 9.0], target: 0, hinge: 0.0, nats: 0.0 },
    Row { scores: &[10.0, 9.0, 9.0, 9.0], target: 0, hinge: 0.0, nats: 0.7437 },
];

#[test]
fn every_row_of_the_lectures_table_comes_out() {
    for Row { scores, target, hinge, nats } in LECTURE {
        assert_close(&per_sample(&svm(1.0), scores, &[target]), &[hinge], 2e-7);
        assert_close(&per_sample(&softmax(), scores, &[target]), &[nats], 5e-5);
        let scores: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
        assert!((svm(1.0).explain(&scores, target).unwrap().loss - hinge).abs() < 1e-6);
        assert!((softmax().explain(&scores, target).unwrap().loss - nats).abs() < 5e-5);
    }
}

#[test]
fn the_lectures_means_and_base_ten_logarithms_come_out() {
    let scores: Vec<f32> = LECTURE[..3].iter().flat_map(|row| row.scores).copied().collect();
    let hinge = per_sample(&svm(1.0), &scores, &[0, 1, 2]);
    let nats = per_sample(&softmax(), &scores, &[0, 1, 2]);
    assert!((hinge.iter().sum::<f32>() / 3.0 - 5.2667).abs() < 5e-5);
    assert!((nats.iter().sum::<f32>() / 3.0 - 2.7587).abs() < 5e-5);
    for (nats, base_ten) in nats.iter().zip([0.8861, 0.0344, 2.6737]) {
        assert!((nats / std::f32::consts::LN_10 - base_ten).abs() < 5e-5, "{nats}");
    }
    // 0.89 in CS231n: minus the base-10 logarithm of the probability, rounded to 0.13.
    let cat = SoftmaxCrossEntropy::new().explain(&[3.2, 5.1, -1.7], 0).unwrap();
    let rounded = (cat.probabilities.unwrap()[0] * 100.0).round() / 100.0;
    assert_eq!(rounded, 0.13);
    assert!((-rounded.log10() - 0.89).abs() < 0.005);
}

#[test]
fn the_first_rows_softmax_gradient_comes_out() {
    let expected = [-0.870017, 0.869050, 0.000968];
    assert_close(&gradient_of(&softmax(), LECTURE[0].scores, &[0]), &expected, 6e-7);
    let explained = softmax().explain(&[3.2, 5.1, -1.7], 0).unwrap();
    for (gradient, expected) in explained.gradient.iter().zip(expected) {
        assert!((gradient - expected).abs() < 6e-7);
    }
}

#[test]
fn hinge_gradients_count_the_active_classes() {
    assert_eq!(gradient_of(&svm(1.0), LECTURE[0].scores, &[0]), [-1.0, 1.0, 0.0]);
    assert_eq!(gradient_of(&svm(1.0), LECTURE[1].scores, &[1]), [0.0, 0.0, 0.0]);
    assert_eq!(gradient_of(&svm(1.0), LECTURE[2].scores, &[2]), [1.0, 1.0, -2.0]);
    assert_eq!(gradient_of(&crammer_singer(1.0), LECTURE[2].scores, &[2]), [0.0, 1.0, -1.0]);
}

#[test]
fn softmax_keeps_pushing_where_the_svm_is_content() {
    let row = &LECTURE[5];
    assert_eq!(gradient_of(&svm(1.0), row.scores, &[0]), [0.0; 4]);
    let pushes = gradient_of(&softmax(), row.scores, &[0]);
    assert!(pushes[0] < -0.5 && pushes[1] > 0.17, "{pushes:?}");
}

#[test]
fn losses_that_share_a_name_differ_in_number() {
    let (scores, target) = ([3.0, 2.0, 2.5], [2]);
    let sum = per_sample(&svm(1.0), &scores, &target);
    assert_eq!(sum, [2.0]);
    assert!((sum[0] / 3.0 - 0.667).abs() < 5e-4, "what a division by C would give");
    assert_eq!(per_sample(&crammer_singer(1.0), &scores, &target), [1.5]);
    assert_eq!(oracle::one_vs_rest(&[3.0, 2.0, 2.5], 3, &target), [7.0]);
}

#[test]
fn with_zero_weights_hinge_is_c_minus_one_and_softmax_is_ln_c() {
    for num_classes in [1usize, 2, 10, 1000] {
        let zeros = vec![0.0; num_classes];
        let others = num_classes as f64 - 1.0;
        assert_close(&per_sample(&svm(1.0), &zeros, &[0]), &[others], 0.0);
        assert_close(&per_sample(&crammer_singer(1.0), &zeros, &[0]), &[others.min(1.0)], 0.0);
        assert_close(&per_sample(&softmax(), &zeros, &[0]), &[(num_classes as f64).ln()], 1e-6);
    }
}

#[test]
fn the_distillation_examples_hard_losses_come_out() {
    let scores = [1.0, 2.0, 0.5, -1.0, 0.3, -0.7, 2.2, 0.1];
    let mean = |losses: Vec<f32>| f64::from(losses.iter().sum::<f32>()) / 2.0;
    assert!((mean(per_sample(&softmax(), &scores, &[0, 2])) - 0.8890695130986029).abs() < 1e-7);
    assert!((mean(per_sample(&svm(1.0), &scores, &[0, 2])) - 1.25).abs() < 1e-6);
}
