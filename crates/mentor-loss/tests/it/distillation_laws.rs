//! What must hold for distillation from any scores.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_loss::{Distillation, EmbeddingCosine, RelationalDistance};
use mentor_testkit::distillation as oracle;
use mentor_testkit::gradient::autodiff;
use mentor_testkit::strategies::{ScoredBatch, scored_batch};
use proptest::prelude::*;

use crate::support::values;

/// A student's batch with the scores of a teacher for the same samples.
fn student_and_teacher(limit: f32) -> impl Strategy<Value = (ScoredBatch, Vec<f32>)> {
    scored_batch(limit).prop_flat_map(move |batch| {
        let teacher = prop::collection::vec(-limit..limit, batch.scores.len());
        (Just(batch), teacher)
    })
}

fn temperature() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.5, 1.0, 2.0, 4.0, 20.0, 100.0])
}

fn tensor(scores: &[f32], num_classes: usize, device: &Device) -> Tensor<2> {
    let shape = [scores.len() / num_classes, num_classes];
    Tensor::from_data(TensorData::new(scores.to_vec(), shape), device)
}

fn soft(student: &[f32], teachers: &[&[f32]], num_classes: usize, temperature: f64) -> Vec<f32> {
    let device = Device::flex();
    let teachers: Vec<_> = teachers.iter().map(|teacher| tensor(teacher, num_classes, &device)).collect();
    let loss = Distillation::new(temperature, 1.0, 0.0).unwrap();
    values(loss.per_sample(tensor(student, num_classes, &device), &teachers, None))
}

fn soft_gradient(student: &[f32], teacher: &[f32], num_classes: usize, temperature: f64) -> Vec<f32> {
    let loss = Distillation::new(temperature, 1.0, 0.0).unwrap();
    autodiff(student, [student.len() / num_classes, num_classes], |scores| {
        let teacher = tensor(teacher, num_classes, &scores.device());
        loss.per_sample(scores, &[teacher], None)
    })
}

fn close(actual: f32, expected: f64, tolerance: f64) -> bool {
    (f64::from(actual) - expected).abs() <= tolerance * expected.abs().max(1.0)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn value_and_gradient_agree_with_the_oracle(
        (batch, teacher) in student_and_teacher(30.0),
        temperature in temperature(),
    ) {
        let classes = batch.num_classes;
        let (student, exact) = (batch.scores_f64(), wide(&teacher));
        let expected = oracle::soft(&student, &[&exact], classes, temperature);
        let actual = soft(&batch.scores, &[&teacher], classes, temperature);
        for (actual, expected) in actual.iter().zip(expected) {
            prop_assert!(close(*actual, expected, 2e-5), "{} {}", actual, expected);
        }
        let expected = oracle::soft_gradient(&student, &[&exact], classes, temperature);
        let actual = soft_gradient(&batch.scores, &teacher, classes, temperature);
        for (actual, expected) in actual.iter().zip(expected) {
            prop_assert!(close(*actual, expected, 2e-5), "{} {}", actual, expected);
        }
    }

    #[test]
    fn the_loss_is_not_negative_and_its_gradient_adds_up_to_zero(
        (batch, teacher) in student_and_teacher(1e4), temperature in temperature()
    ) {
        for value in soft(&batch.scores, &[&teacher], batch.num_classes, temperature) {
            prop_assert!(value.is_finite() && value >= 0.0, "{}", value);
        }
        let gradient = soft_gradient(&batch.scores, &teacher, batch.num_classes, temperature);
        for row in gradient.chunks_exact(batch.num_classes) {
            prop_assert!(row.iter().sum::<f32>().abs() <= 2e-6 * temperature as f32, "{:?}", row);
        }
    }

    #[test]
    fn a_constant_added_to_all_scores_of_either_changes_nothing(
        (batch, teacher) in student_and_teacher(8.0), temperature in temperature(), shift in -64i8..64
    ) {
        // On a grid of 1/1024 the shift is exact in f32, so the results are equal to the last bit.
        let grid = |scores: &[f32], shift: f32| -> Vec<f32> {
            scores.iter().map(|score| (score * 1024.0).round() / 1024.0 + shift).collect()
        };
        let (student, classes) = (grid(&batch.scores, 0.0), batch.num_classes);
        let (teacher, shift) = (grid(&teacher, 0.0), f32::from(shift));
        let here = soft(&student, &[&teacher], classes, temperature);
        prop_assert_eq!(&here, &soft(&grid(&student, shift), &[&teacher], classes, temperature));
        prop_assert_eq!(&here, &soft(&student, &[&grid(&teacher, shift)], classes, temperature));
        let shifted_twin = soft(&grid(&teacher, shift), &[&teacher], classes, temperature);
        prop_assert!(shifted_twin.iter().all(|&value| value == 0.0));
    }

    #[test]
    fn samples_do_not_see_each_other(
        (batch, teacher) in student_and_teacher(20.0),
        temperature in temperature(),
    ) {
        let together = soft(&batch.scores, &[&teacher], batch.num_classes, temperature);
        let rows = batch.scores.chunks_exact(batch.num_classes).zip(teacher.chunks_exact(batch.num_classes));
        for ((student, teacher), together) in rows.zip(together) {
            prop_assert_eq!(soft(student, &[teacher], batch.num_classes, temperature)[0], together);
        }
    }

    #[test]
    fn the_order_of_teachers_and_of_classes_changes_nothing(
        (batch, teacher) in student_and_teacher(20.0), temperature in temperature()
    ) {
        let classes = batch.num_classes;
        let reversed = |rows: &[f32]| -> Vec<f32> {
            rows.chunks_exact(classes).flat_map(|row| row.iter().rev().copied()).collect()
        };
        let other: Vec<f32> = teacher.iter().map(|score| 1.5 - score).collect();
        let here = soft(&batch.scores, &[&teacher, &other], classes, temperature);
        let swapped = soft(&batch.scores, &[&other, &teacher], classes, temperature);
        let renamed =
            soft(&reversed(&batch.scores), &[&reversed(&teacher), &reversed(&other)], classes, temperature);
        for ((here, swapped), renamed) in here.iter().zip(swapped).zip(renamed) {
            prop_assert!(close(swapped, f64::from(*here), 1e-5), "{} {}", here, swapped);
            prop_assert!(close(renamed, f64::from(*here), 1e-5), "{} {}", here, renamed);
        }
    }

    #[test]
    fn at_high_temperatures_scores_are_matched_by_least_squares(
        (batch, teacher) in student_and_teacher(5.0),
    ) {
        // T² KL → Var(s − t)/2 over the classes as T grows (Hinton et al., section 2.1).
        let classes = batch.num_classes as f64;
        let rows = batch.scores.chunks_exact(batch.num_classes).zip(teacher.chunks_exact(batch.num_classes));
        let hot = soft(&batch.scores, &[&teacher], batch.num_classes, 1e4);
        for ((student, teacher), hot) in rows.zip(hot) {
            let gaps: Vec<f64> = student.iter().zip(teacher).map(|(s, t)| f64::from(s - t)).collect();
            let mean = gaps.iter().sum::<f64>() / classes;
            let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / classes;
            prop_assert!(close(hot, variance / 2.0, 3e-3), "{} {}", hot, variance / 2.0);
        }
    }

    #[test]
    fn embeddings_agree_with_the_oracles_and_keep_their_laws(
        (batch, teacher) in student_and_teacher(10.0), scale in 1u8..20
    ) {
        let (dim, device) = (batch.num_classes, Device::flex());
        let student = tensor(&batch.scores, dim, &device);
        let target = tensor(&teacher, dim, &device);
        let expected = oracle::relational_distance(&batch.scores_f64(), &wide(&teacher), [dim, dim]);
        let relational = |student: Tensor<2>| {
            values(RelationalDistance::new().batch(student, target.clone()))[0]
        };
        let here = relational(student.clone());
        prop_assert!(close(here, expected, 1e-5) && here >= 0.0, "{} {}", here, expected);
        let scaled = relational(student.clone().mul_scalar(f32::from(scale)));
        prop_assert!(
            close(scaled, expected, 1e-5),
            "the student's scale does not matter: {} {}",
            scaled,
            expected
        );
        prop_assert_eq!(relational(target.clone()), 0.0);

        let expected = oracle::cosine(&batch.scores_f64(), &wide(&teacher), dim);
        let cosine = |student: Tensor<2>| values(EmbeddingCosine::new().per_sample(student, target.clone()));
        for (actual, expected) in cosine(student.clone()).iter().zip(&expected) {
            prop_assert!(close(*actual, *expected, 2e-6) && *actual >= 0.0, "{} {}", actual, expected);
        }
        for (actual, expected) in cosine(student.mul_scalar(f32::from(scale))).iter().zip(&expected) {
            prop_assert!(close(*actual, *expected, 2e-6), "{} {}", actual, expected);
        }
        for (loss, row) in cosine(target.clone()).iter().zip(teacher.chunks_exact(dim)) {
            let undirected = row.iter().all(|&value| value == 0.0);
            prop_assert_eq!(*loss, if undirected { 1.0 } else { 0.0 });
        }
    }
}
