//! Penalties and the proximal step.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_loss::{LossError, Penalty, soft_threshold};
use mentor_testkit::gradient::gradient_check;
use mentor_testkit::oracle;
use proptest::prelude::*;

use crate::support::values;

fn tensor(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex())
}

fn shrink(values_: &[f32], amount: f64) -> Vec<f32> {
    values(soft_threshold(tensor(values_), amount))
}

#[test]
fn penalties_give_the_numbers_worked_by_hand() {
    let weights = Tensor::<2>::from_floats([[3.0, -4.0], [0.0, 1.0]], &Device::flex());
    let value = |l1, l2| values(Penalty::new(l1, l2).unwrap().value(weights.clone()));
    assert_eq!(value(0.0, 0.0), [0.0]);
    assert_eq!(value(0.0, 0.5), [13.0]);
    assert_eq!(value(0.25, 0.0), [2.0]);
    assert_eq!(value(0.25, 0.5), [15.0]);
    let gradient = Penalty::new(0.25, 0.5).unwrap().gradient_l2(weights);
    assert_eq!(values(gradient), [3.0, -4.0, 0.0, 1.0], "2·l2·w, without the L1 part");
}

#[test]
fn gradients_are_the_derivatives() {
    let weights = [0.5, -1.25, 2.0, -0.125, 3.0, -7.0];
    for (l1, l2) in [(0.0, 1e-2), (3e-2, 0.0), (3e-2, 1e-2)] {
        let penalty = Penalty::new(l1, l2).unwrap();
        let plain = |weights: &[f64]| oracle::penalty(weights, l1, l2);
        gradient_check(&weights, [2, 3], |weights| penalty.value(weights), plain, 1e-6).unwrap();
    }
    let closed_form = values(Penalty::new(0.0, 1e-2).unwrap().gradient_l2(tensor(&weights)));
    for (gradient, weight) in closed_form.iter().zip(weights) {
        assert!((gradient - 0.02 * weight).abs() < 1e-8);
    }
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    for value in [-1e-4, f64::NAN, f64::INFINITY] {
        assert!(matches!(Penalty::new(value, 0.0), Err(LossError::Parameter { name: "l1", .. })));
        assert!(matches!(Penalty::new(0.0, value), Err(LossError::Parameter { name: "l2", .. })));
    }
    let refused = Penalty::new(0.0, -0.5).unwrap_err();
    assert_eq!(refused.to_string(), "l2 is -0.5, but must be a finite number of at least 0");
}

#[test]
#[should_panic(expected = "amount is -1")]
fn a_negative_threshold_is_a_programmers_error() {
    shrink(&[1.0], -1.0);
}

#[test]
fn a_weight_that_is_not_a_number_stays_visible() {
    assert!(shrink(&[f32::NAN], 0.5)[0].is_nan());
}

#[test]
fn proximal_descent_finds_exact_zeros_where_subgradients_do_not() {
    // J(w) = ½(w − 0.3)² + 0.5·|w|: the minimum is at 0 exactly, since |0.3| < 0.5.
    let (rate, l1) = (0.1f32, 0.5f32);
    let (mut proximal, mut subgradient) = (2.0f32, 2.0f32);
    for _ in 0..200 {
        proximal = shrink(&[proximal - rate * (proximal - 0.3)], f64::from(rate * l1))[0];
        subgradient -= rate * (subgradient - 0.3 + l1 * subgradient.signum());
    }
    assert_eq!(proximal, 0.0);
    assert_ne!(subgradient, 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn the_threshold_moves_towards_zero_by_its_amount_and_no_further(
        weights in prop::collection::vec(-3.0..3.0f32, 1..40),
        amount in 0.0..2.0f32,
    ) {
        for (weight, shrunk) in weights.iter().zip(shrink(&weights, f64::from(amount))) {
            let expected = weight.signum() * (weight.abs() - amount).max(0.0);
            prop_assert_eq!(shrunk, expected);
            prop_assert_eq!(shrunk == 0.0, weight.abs() <= amount);
        }
    }

    #[test]
    fn the_threshold_is_the_minimum_it_claims(
        weight in -3.0..3.0f64,
        amount in 0.0..2.0f64,
        other in -4.0..4.0f64,
    ) {
        let shrunk = f64::from(shrink(&[weight as f32], amount)[0]);
        let cost = |v: f64| 0.5 * (v - weight).powi(2) + amount * v.abs();
        prop_assert!(cost(shrunk) <= cost(other) + 1e-6);
    }
}
