//! Distillation of embeddings: golden numbers, derivatives, ugly points.

use burn::tensor::{Device, Tensor};
use mentor_loss::{EmbeddingCosine, RelationalDistance};
use mentor_random::{Purpose, Stream};
use mentor_testkit::distillation as oracle;
use mentor_testkit::gradient::{autodiff, gradient_check};

use crate::distillation::{cases, narrow, numbers, tensor};
use crate::support::{assert_close, values};

fn normal(seed: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Weights, &[]);
    (0..count).map(|_| stream.normal()).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn relational(teacher: &[f32], dim: usize) -> impl Fn(Tensor<2>) -> Tensor<1> {
    move |student| {
        let teacher = tensor(teacher, [teacher.len() / dim, dim], &student.device());
        RelationalDistance::new().batch(student, teacher)
    }
}

fn cosine(teacher: &[f32]) -> impl Fn(Tensor<2>) -> Tensor<1> {
    move |student| {
        let teacher = tensor(teacher, student.dims(), &student.device());
        EmbeddingCosine::new().per_sample(student, teacher)
    }
}

#[test]
fn values_and_gradients_are_pytorchs() {
    for case in cases("relational_distance", 2) {
        let (student, teacher) = (narrow(&numbers(&case["student"])), narrow(&numbers(&case["teachers"])));
        let loss = relational(&teacher, 5);
        let exact = oracle::relational_distance(&wide(&student), &wide(&teacher), [3, 5]);
        let expected = numbers(&case["values"])[0];
        assert!((exact - expected).abs() < 1e-9, "{exact} {expected}");
        assert_close(&values(loss(tensor(&student, [7, 3], &Device::flex()))), &[expected], 1e-6);
        assert_close(&autodiff(&student, [7, 3], loss), &numbers(&case["gradient"]), 1e-6);
    }
    let case = &cases("cosine", 1)[0];
    let (student, teacher) = (narrow(&numbers(&case["student"])), narrow(&numbers(&case["teachers"])));
    let expected = numbers(&case["values"]);
    for (exact, expected) in oracle::cosine(&wide(&student), &wide(&teacher), 3).iter().zip(&expected) {
        assert!((exact - expected).abs() < 1e-9, "{exact} {expected}");
    }
    let loss = cosine(&teacher);
    assert_close(&values(loss(tensor(&student, [7, 3], &Device::flex()))), &expected, 1e-6);
    assert_close(&autodiff(&student, [7, 3], loss), &numbers(&case["gradient"]), 1e-6);
}

#[test]
fn gradients_are_the_derivatives() {
    for (seed, count, spread) in [(1, 9, 1.0), (2, 4, 20.0), (3, 2, 1.0)] {
        let mut student = normal(seed, count * 4);
        student[..4].iter_mut().for_each(|value| *value *= spread);
        let teacher = normal(seed + 100, count * 6);
        let exact = wide(&teacher);
        let plain = |student: &[f64]| oracle::relational_distance(student, &exact, [4, 6]);
        gradient_check(&student, [count, 4], relational(&teacher, 6), plain, 1e-6).unwrap();
        let teacher = normal(seed + 200, count * 4);
        let exact = wide(&teacher);
        let plain = |student: &[f64]| oracle::cosine(student, &exact, 4).iter().sum();
        gradient_check(&student, [count, 4], cosine(&teacher), plain, 1e-6).unwrap();
    }
}

#[test]
fn blocks_of_rows_give_what_one_block_gives() {
    // 700 samples of 32 numbers are 8 blocks; the oracle knows none.
    let (student, teacher) = (normal(7, 700 * 32), normal(8, 700 * 8));
    let expected = oracle::relational_distance(&wide(&student), &wide(&teacher), [32, 8]);
    let actual = values(relational(&teacher, 8)(tensor(&student, [700, 32], &Device::flex())));
    assert_close(&actual, &[expected], 1e-5);
    // A common factor of all embeddings does not change the loss, nor does a common shift: so the gradient is
    // at a right angle to both.
    let gradient = autodiff(&student, [700, 32], relational(&teacher, 8));
    let along: f64 = gradient.iter().zip(&student).map(|(g, s)| f64::from(*g) * f64::from(*s)).sum();
    let shift: f64 = gradient.iter().step_by(32).map(|&g| f64::from(g)).sum();
    let norm: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    assert!(norm > 1e-4 && along.abs() < 1e-4 * norm && shift.abs() < 1e-4 * norm, "{norm} {along} {shift}");
}

#[test]
fn the_cosine_does_not_depend_on_lengths_however_small() {
    let (student, teacher) = ([3.0_f32, 4.0], [4.0_f32, 3.0]);
    let [small_student, small_teacher] = [student, teacher].map(|row| row.map(|value| 1e-23 * value));
    for teacher in [teacher, small_teacher] {
        let value = values(cosine(&teacher)(tensor(&small_student, [1, 2], &Device::flex())));
        assert_close(&value, &[1.0 - 0.96], 1e-6);
    }
}

#[test]
fn equal_embeddings_have_no_direction_and_no_nan() {
    let teacher = normal(3, 4 * 2);
    let [same, twins] = [[1.5, -2.0].repeat(4), [1.0, 1.0, 1.0, 1.0, 3.0, 0.0, -2.0, 0.5].to_vec()];
    for student in [&same, &twins] {
        let value = values(relational(&teacher, 2)(tensor(student, [4, 2], &Device::flex())));
        let expected = oracle::relational_distance(&wide(student), &wide(&teacher), [2, 2]);
        assert_close(&value, &[expected], 1e-6);
        let gradient = autodiff(student, [4, 2], relational(&teacher, 2));
        assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
    }
    assert_eq!(autodiff(&same, [4, 2], relational(&teacher, 2)), [0.0; 8]);
    // Teachers that are all equal ask the student to be so.
    let equal = vec![0.25; 8];
    let gradient = autodiff(&twins, [4, 2], relational(&equal, 2));
    assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
}

#[test]
fn the_teachers_own_embeddings_have_loss_and_gradient_of_exactly_zero() {
    let embeddings = normal(4, 6 * 3);
    let loss = relational(&embeddings, 3);
    assert_eq!(values(loss(tensor(&embeddings, [6, 3], &Device::flex()))), [0.0]);
    assert_eq!(autodiff(&embeddings, [6, 3], loss), [0.0; 18]);
    let loss = cosine(&embeddings);
    assert_eq!(values(loss(tensor(&embeddings, [6, 3], &Device::flex()))), [0.0; 6]);
    assert_eq!(autodiff(&embeddings, [6, 3], loss), [0.0; 18]);
}

#[test]
fn one_sample_has_no_pair() {
    let loss = relational(&[1.0, 2.0], 2);
    assert_eq!(values(loss(tensor(&[3.0], [1, 1], &Device::flex()))), [0.0]);
    assert_eq!(autodiff(&[3.0], [1, 1], loss), [0.0]);
}

#[test]
fn lengths_of_zero_and_extreme_lengths_are_finite() {
    let teacher = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1e30, 0.0, 1e-30, 1e-30];
    let student = [0.0, 0.0, 1e-30, 0.0, 2.0, 1.0, 0.0, 1e30, 3.0, 3.0];
    let loss = cosine(&teacher);
    let expected = [1.0, 1.0 - 0.5f64.sqrt(), 1.0, 1.0, 0.0];
    assert_close(&values(loss(tensor(&student, [5, 2], &Device::flex()))), &expected, 1e-6);
    let gradient = autodiff(&student, [5, 2], loss);
    assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
    assert_eq!(gradient[..2], [0.0, 0.0], "a student of length 0");
    assert_eq!(gradient[4..6], [0.0, 0.0], "a teacher of length 0");
    let far: Vec<f32> = normal(5, 8).iter().map(|value| value * 1e17).collect();
    let near: Vec<f32> = normal(6, 8).iter().map(|value| value * 1e-15).collect();
    for [student, teacher] in [[&far, &near], [&near, &far]] {
        let expected = oracle::relational_distance(&wide(student), &wide(teacher), [2, 2]);
        assert_close(
            &values(relational(teacher, 2)(tensor(student, [4, 2], &Device::flex()))),
            &[expected],
            1e-6,
        );
        assert!(autodiff(student, [4, 2], relational(teacher, 2)).iter().all(|value| value.is_finite()));
    }
}

#[test]
#[should_panic(expected = "got [2, 1] and [1, 2]")]
fn different_numbers_of_samples_are_named() {
    let device = Device::flex();
    let teacher = tensor(&[0.0, 1.0], [1, 2], &device);
    RelationalDistance::new().batch(tensor(&[0.0, 1.0], [2, 1], &device), teacher);
}
