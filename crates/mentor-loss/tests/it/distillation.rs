//! The distillation loss: by hand, golden numbers, derivatives, ugly points, refusals.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_loss::{Distillation, LossError, SoftmaxCrossEntropy};
use mentor_testkit::gradient::{autodiff, gradient_check};
use mentor_testkit::{distillation as oracle, oracle as scores_oracle};
use serde_json::Value;

use crate::support::{
    assert_close, gradient_of, per_sample, smoothed_and_weighted, softmax, targets_on, values,
};

const GOLDEN: &str = include_str!("../../../../reference/golden/distillation.json");

pub(crate) fn cases(name: &str, count: usize) -> Vec<Value> {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases: Vec<Value> =
        golden["cases"].as_array().unwrap().iter().filter(|case| case["name"] == name).cloned().collect();
    assert_eq!(cases.len(), count, "cases named {name}");
    cases
}

/// All numbers below `value`, in order.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(inner) => inner.iter().flat_map(numbers).collect(),
        None => vec![value.as_f64().unwrap()],
    }
}

pub(crate) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

pub(crate) fn tensor(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn shape_of(case: &Value) -> [usize; 2] {
    let rows = case["student"].as_array().unwrap();
    [rows.len(), rows[0].as_array().unwrap().len()]
}

fn teachers_of(case: &Value) -> Vec<Vec<f64>> {
    case["teachers"].as_array().unwrap().iter().map(numbers).collect()
}

fn soft_only(temperature: f64) -> Distillation {
    Distillation::new(temperature, 1.0, 0.0).unwrap()
}

/// The soft term of row-major scores as a function of the student.
fn soft(loss: &Distillation, teachers: &[Vec<f32>], shape: [usize; 2]) -> impl Fn(Tensor<2>) -> Tensor<1> {
    move |scores| {
        let device = scores.device();
        let teachers: Vec<Tensor<2>> =
            teachers.iter().map(|teacher| tensor(teacher, shape, &device)).collect();
        loss.terms(scores, &teachers, None).soft.unwrap()
    }
}

#[test]
fn one_sample_comes_out_by_hand() {
    // p = (0.8, 0.2), q = (0.5, 0.5) at T = 2: T²·KL = 4·0.19274, gradient 2·(q − p).
    let teacher = [vec![2.0 * 4f32.ln(), 0.0]];
    let loss = soft_only(2.0);
    let term = soft(&loss, &teacher, [1, 2]);
    let expected = 4.0 * (0.8 * 1.6f64.ln() + 0.2 * 0.4f64.ln());
    assert_close(&values(term(tensor(&[0.0, 0.0], [1, 2], &Device::flex()))), &[expected], 1e-6);
    assert_close(&autodiff(&[0.0, 0.0], [1, 2], term), &[-0.6, 0.6], 1e-6);
}

#[test]
fn soft_terms_and_gradients_are_pytorchs_at_every_temperature() {
    for case in cases("soft", 20) {
        let (shape, temperature) = (shape_of(&case), case["temperature"].as_f64().unwrap());
        let (student, teachers) = (numbers(&case["student"]), teachers_of(&case));
        let (expected, gradient) = (numbers(&case["values"]), numbers(&case["gradient"]));
        let place = format!("{} at T = {temperature}", case["batch"]);

        let slices: Vec<&[f64]> = teachers.iter().map(Vec::as_slice).collect();
        let exact = oracle::soft(&student, &slices, shape[1], temperature);
        let exact_gradient = oracle::soft_gradient(&student, &slices, shape[1], temperature);
        for (exact, golden) in exact.iter().chain(&exact_gradient).zip(expected.iter().chain(&gradient)) {
            assert!((exact - golden).abs() < 1e-9 * golden.abs().max(1.0), "{place}: {exact} {golden}");
        }

        let (student, teachers): (_, Vec<_>) =
            (narrow(&student), teachers.iter().map(|t| narrow(t)).collect());
        let loss = soft_only(temperature);
        let term = soft(&loss, &teachers, shape);
        assert_close(&values(term(tensor(&student, shape, &Device::flex()))), &expected, 1e-5);
        assert_close(&autodiff(&student, shape, term), &gradient, 1e-5);
    }
}

#[test]
fn near_the_teacher_the_loss_keeps_its_digits() {
    // Relative to the value, where a sum of p (ln p − ln q) has one digit at T = 20.
    for case in cases("soft", 20).into_iter().filter(|case| case["batch"] == "nearly_learned") {
        let (shape, temperature) = (shape_of(&case), case["temperature"].as_f64().unwrap());
        let teachers: Vec<_> = teachers_of(&case).iter().map(|teacher| narrow(teacher)).collect();
        let student = narrow(&numbers(&case["student"]));
        let loss = soft_only(temperature);
        let term = soft(&loss, &teachers, shape);
        let actual = values(term(tensor(&student, shape, &Device::flex())));
        for (actual, expected) in actual.iter().zip(numbers(&case["values"])) {
            assert!(
                expected < 0.01 && (f64::from(*actual) / expected - 1.0).abs() < 2e-4,
                "{actual} {expected}"
            );
        }
    }
}

#[test]
fn the_hard_term_and_the_teachers_class_are_pytorchs_cross_entropy() {
    for case in cases("hard", 5) {
        let shape = shape_of(&case);
        let targets: Vec<usize> = numbers(&case["targets"]).iter().map(|&target| target as usize).collect();
        let loss = Distillation::new(20.0, 0.0, 1.0).unwrap();
        let term = |scores: Tensor<2>| {
            let targets = targets_on(&targets, &scores.device());
            let teacher = scores.clone();
            let terms = loss.terms(scores, &[teacher], Some(targets));
            assert!(terms.soft.is_none());
            terms.hard.unwrap()
        };
        let student = narrow(&numbers(&case["student"]));
        assert_close(
            &values(term(tensor(&student, shape, &Device::flex()))),
            &numbers(&case["values"]),
            1e-6,
        );
        assert_close(&autodiff(&student, shape, term), &numbers(&case["gradient"]), 1e-6);
    }
    for case in cases("teacher_class", 4) {
        let shape = shape_of(&case);
        let teachers: Vec<_> = teachers_of(&case).iter().map(|teacher| narrow(teacher)).collect();
        let student = narrow(&numbers(&case["student"]));
        let loss = soft_only(1.0).with_hard_labels();
        let term = soft(&loss, &teachers, shape);
        assert_close(
            &values(term(tensor(&student, shape, &Device::flex()))),
            &numbers(&case["values"]),
            1e-6,
        );
        assert_close(&autodiff(&student, shape, term), &numbers(&case["gradient"]), 1e-6);
    }
}

#[test]
fn gradients_are_the_derivatives_for_weighted_sums_and_ensembles() {
    let case = &cases("soft", 20)[8];
    assert_eq!(case["batch"], "two_teachers");
    let (shape, student) = (shape_of(case), narrow(&numbers(&case["student"])));
    let exact = teachers_of(case);
    let teachers: Vec<Vec<f32>> = exact.iter().map(|teacher| narrow(teacher)).collect();
    let slices: Vec<&[f64]> = exact.iter().map(Vec::as_slice).collect();
    let targets = [0, 1, 2, 3, 4, 0];
    for temperature in [0.5, 1.0, 4.0, 20.0] {
        let cross_entropy = smoothed_and_weighted(0.1, &[]);
        let loss = Distillation::new(temperature, 0.9, 0.4).unwrap().with_cross_entropy(cross_entropy);
        let tensors = |scores: Tensor<2>| {
            let device = scores.device();
            let teachers: Vec<_> = teachers.iter().map(|teacher| tensor(teacher, shape, &device)).collect();
            let targets = targets_on(&targets, &device);
            loss.per_sample(scores, &teachers, Some(targets))
        };
        let plain = |scores: &[f64]| {
            let soft: f64 = oracle::soft(scores, &slices, shape[1], temperature).iter().sum();
            let hard: f64 = scores_oracle::softmax(scores, shape[1], &targets, 0.1, &[]).iter().sum();
            0.9 * soft + 0.4 * hard
        };
        gradient_check(&student, shape, tensors, plain, 3e-6).unwrap();
    }
}

#[test]
fn per_sample_weights_of_the_caller_reach_the_gradient() {
    let teacher = [vec![2.0, -1.0, 0.5, 1.0]];
    let loss = soft_only(3.0);
    let term = soft(&loss, &teacher, [2, 2]);
    let plain = autodiff(&[0.5, 0.25, -1.0, 3.0], [2, 2], &term);
    let weighted = autodiff(&[0.5, 0.25, -1.0, 3.0], [2, 2], |scores| {
        let weights = Tensor::<1>::from_floats([0.5, 4.0], &scores.device());
        term(scores).mul(weights)
    });
    assert_eq!(weighted, [plain[0] * 0.5, plain[1] * 0.5, plain[2] * 4.0, plain[3] * 4.0]);
}

#[test]
fn with_soft_weight_zero_every_bit_is_that_of_plain_training() {
    let scores = [3.2, 5.1, -1.7, 1.3, 4.9, 2.0, 2.2, 2.5, -3.1];
    let targets = [0, 1, 2];
    let loss = Distillation::new(20.0, 0.0, 1.0).unwrap();
    let distilled = |scores: Tensor<2>| {
        let targets = targets_on(&targets, &scores.device());
        let teacher = scores.clone().mul_scalar(2.0);
        loss.per_sample(scores, &[teacher], Some(targets))
    };
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let here = values(distilled(tensor(&scores, [3, 3], &Device::flex())));
    assert_eq!(bits(here), bits(per_sample(&softmax(), &scores, &targets)));
    let gradient = autodiff(&scores, [3, 3], distilled);
    assert_eq!(bits(gradient), bits(gradient_of(&softmax(), &scores, &targets)));
}

#[test]
fn a_student_that_equals_its_teacher_has_loss_and_gradient_of_exactly_zero() {
    let scores = [1e4, -1e4, 0.3, 3.2, 5.1, -1.7, 0.1, 0.2, 0.7, 88.0, -3.3, 1e-3];
    for temperature in [0.01, 0.7, 1.0, 2.0, 4.0, 20.0, 1e3] {
        let loss = soft_only(temperature);
        for count in 1..=3 {
            let teachers = vec![scores.to_vec(); count];
            let term = soft(&loss, &teachers, [4, 3]);
            assert_eq!(values(term(tensor(&scores, [4, 3], &Device::flex()))), [0.0; 4], "T = {temperature}");
            assert_eq!(autodiff(&scores, [4, 3], term), [0.0; 12], "T = {temperature}, {count} teachers");
        }
    }
}

#[test]
fn huge_scores_and_extreme_temperatures_are_finite() {
    let scores = [1e4, -1e4, 0.0, -1e4, 1e4, 1e4];
    let teachers = [vec![-1e4, 1e4, 0.0, 1e4, -1e4, 3.0], vec![0.0; 6]];
    for temperature in [1e-3, 0.1, 1.0, 20.0, 1e3, 1e6] {
        for teachers in [&teachers[..1], &teachers[1..], &teachers[..]] {
            let loss = soft_only(temperature);
            let term = soft(&loss, teachers, [2, 3]);
            let value = values(term(tensor(&scores, [2, 3], &Device::flex())));
            assert!(
                value.iter().all(|value| value.is_finite() && *value >= 0.0),
                "T = {temperature}: {value:?}"
            );
            let gradient = autodiff(&scores, [2, 3], term);
            assert!(gradient.iter().all(|value| value.is_finite()), "T = {temperature}: {gradient:?}");
        }
    }
    // One class: nothing to learn. A score that is not a number is not hidden.
    let loss = soft_only(4.0);
    let one = [vec![7.0, -1.0]];
    let term = soft(&loss, &one, [2, 1]);
    assert_eq!(values(term(tensor(&[1.0, 2.0], [2, 1], &Device::flex()))), [0.0, 0.0]);
    for (student, teacher) in [([f32::NAN, 0.0], [0.0, 1.0]), ([0.0, 1.0], [0.0, f32::NAN])] {
        let teacher = [teacher.to_vec()];
        let term = soft(&loss, &teacher, [1, 2]);
        assert!(!values(term(tensor(&student, [1, 2], &Device::flex())))[0].is_finite());
    }
}

#[test]
fn no_gradient_flows_into_the_teacher() {
    let device = Device::flex().autodiff();
    let teacher = tensor(&[1.0, 2.0], [1, 2], &device).require_grad();
    let student = tensor(&[0.5, -0.5], [1, 2], &device).require_grad();
    let loss = soft_only(2.0).per_sample(student.clone(), std::slice::from_ref(&teacher), None);
    let gradients = loss.sum().backward();
    assert!(student.grad(&gradients).is_some() && teacher.grad(&gradients).is_none());
}

#[test]
fn gradient_norms_are_those_of_the_weighted_terms() {
    let device = Device::flex().autodiff();
    let student = tensor(&[0.0, 0.0], [1, 2], &device);
    let teacher = tensor(&[4f32.ln(), 0.0], [1, 2], &device);
    let targets = targets_on(&[1], &device);
    let loss = Distillation::new(1.0, 0.5, 0.25).unwrap();
    let norms = loss.gradient_norms(student.clone(), std::slice::from_ref(&teacher), Some(targets));
    // Gradients (−0.3, 0.3) and (0.5, −0.5).
    assert_close(&values(norms.soft.unwrap()), &[0.5 * 0.3 * 2f64.sqrt()], 1e-6);
    assert_close(&values(norms.hard.unwrap()), &[0.25 * 0.5 * 2f64.sqrt()], 1e-6);
    let norms = soft_only(1.0).gradient_norms(student, &[teacher], None);
    assert!(norms.soft.is_some() && norms.hard.is_none());
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e30, 1e-30] {
        let refused = Distillation::new(temperature, 0.9, 0.1).unwrap_err();
        assert!(matches!(refused, LossError::Parameter { name: "temperature", .. }), "{refused}");
    }
    for (name, soft, hard) in [("soft_weight", -0.1, 1.0), ("hard_weight", 1.0, f64::NAN)] {
        let refused = Distillation::new(4.0, soft, hard).unwrap_err();
        assert!(refused.to_string().starts_with(name), "{refused}");
    }
    let refused = Distillation::new(4.0, 0.0, 0.0).unwrap_err().to_string();
    assert!(refused.starts_with("soft_weight and hard_weight are all 0"), "{refused}");
}

#[test]
#[should_panic(expected = "a hard_weight above 0 needs targets")]
fn a_hard_weight_without_targets_is_a_programmers_error() {
    let scores = tensor(&[0.0, 1.0], [1, 2], &Device::flex());
    Distillation::new(4.0, 0.9, 0.1).unwrap().terms(scores.clone(), &[scores], None);
}

#[test]
#[should_panic(expected = "got [1, 2] and [2, 1]")]
fn a_teacher_of_another_shape_is_named_with_both() {
    let device = Device::flex();
    let teacher = tensor(&[0.0, 1.0], [2, 1], &device);
    soft_only(4.0).terms(tensor(&[0.0, 1.0], [1, 2], &device), &[teacher], None);
}

#[test]
fn label_smoothing_and_class_weights_belong_to_the_hard_term() {
    let device = Device::flex();
    let scores = tensor(&[0.5, -1.0, 2.0], [1, 3], &device);
    let smoothed: SoftmaxCrossEntropy = smoothed_and_weighted(0.1, &[1.0, 2.0, 0.5]);
    let loss = Distillation::new(4.0, 1.0, 1.0).unwrap().with_cross_entropy(smoothed.clone());
    let terms = loss.terms(scores.clone(), std::slice::from_ref(&scores), Some(targets_on(&[1], &device)));
    let expected = values(smoothed.per_sample(scores, targets_on(&[1], &device)));
    assert_eq!((values(terms.soft.unwrap()), values(terms.hard.unwrap())), (vec![0.0], expected));
}
