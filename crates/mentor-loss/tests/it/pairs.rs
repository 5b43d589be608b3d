//! Distances, pairs and triplets as tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_loss::{
    Average, Case, Distance, LossError, Mining, PairForm, PairwiseLoss, PairwiseRanking, Triplet,
    TripletLoss, TripletRanking, unit_norm,
};
use mentor_testkit::{gradient, ranking as oracle};

use crate::support::values;

const DISTANCES: [Distance; 3] = [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine];

fn rows(values: &[f32], dim: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / dim, dim]), &Device::flex())
}

fn marks(values: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// Of all ordered pairs of rows of three.
fn all_distances(distance: Distance, x: &[f64]) -> Vec<f64> {
    match distance {
        Distance::Euclidean => oracle::euclidean(x, 3),
        Distance::SquaredEuclidean => oracle::squared(x, 3),
        Distance::Cosine => oracle::cosine(x, 3),
    }
}

const POINTS: [f32; 12] = [0.3, -1.2, 0.7, 2.0, -0.4, 0.1, 1.1, 0.9, -2.0, 0.5, 1.5, -0.6];

#[test]
fn the_numbers_of_the_definitions_come_out() {
    let ranking = TripletRanking::hinge(0.2, Distance::Euclidean).unwrap();
    for (d_ap, d_an, loss, case) in [
        (0.5, 2.0, 0.0, Case::Easy),
        (0.5, 0.6, 0.1, Case::SemiHard),
        (0.5, 0.3, 0.4, Case::Hard),
        (0.5, 0.7, 0.0, Case::Easy),
        (0.5, 0.5, 0.2, Case::Hard),
    ] {
        assert!((ranking.value(d_ap, d_an) - loss).abs() < 1e-15);
        assert_eq!(Case::of(d_ap, d_an, 0.2), case);
        assert_eq!(ranking.slope(d_ap, d_an) > 0.0, loss > 0.0);
    }
    let pairs = PairwiseRanking::new(PairForm::Linear, 1.0, Distance::Euclidean).unwrap();
    for (same, d, loss) in [(true, 0.5, 0.5), (false, 0.5, 0.5), (false, 1.0, 0.0)] {
        assert_eq!(pairs.value(d, same), loss);
        let tensor =
            pairs.per_pair(rows(&[0.0], 1), rows(&[d as f32], 1), marks(&[same.into()], &Device::flex()));
        assert_eq!(values(tensor), [loss as f32]);
    }
    let squared = PairwiseRanking::new(PairForm::Squared, 1.0, Distance::Euclidean).unwrap();
    assert_eq!([squared.value(0.5, true), squared.value(0.25, false)], [0.125, 0.28125]);
}

#[test]
fn near_pairs_far_from_the_origin_keep_their_digits() {
    // Two pairs are 1e-3 and 0 apart: a Gram matrix in f32 would see noise.
    let mut points: Vec<f32> = POINTS.iter().map(|x| x + 1000.0).collect();
    points.extend([points[0] + 0.0009765625, points[1], points[2], points[3], points[4], points[5]]);
    let exact: Vec<f64> = points.iter().map(|&x| f64::from(x)).collect();
    for (distance, expected) in [
        (Distance::Euclidean, oracle::euclidean(&exact, 3)),
        (Distance::SquaredEuclidean, oracle::squared(&exact, 3)),
    ] {
        // All of one class: the sum of all distances, of which each is there twice.
        let pairs = PairwiseRanking::new(PairForm::Linear, 1.0, distance).unwrap();
        let ranked = PairwiseLoss::new(pairs, Average::Valid).of_slices(&points, &[0; 6]).unwrap();
        let expected = expected.iter().sum::<f64>() / 30.0;
        assert!((ranked.loss - expected).abs() <= 1e-12 * expected, "{}, {expected}", ranked.loss);
    }
}

#[test]
fn distances_differentiate_as_the_loops() {
    for distance in DISTANCES {
        let of = |x: &[f64]| all_distances(distance, x);
        let first = |x: Tensor<2>| distance.pairs(x.clone().narrow(0, 0, 2), x.narrow(0, 2, 2)).sum();
        let expected = |x: &[f64]| of(x)[2] + of(x)[7];
        gradient::gradient_check(&POINTS, [4, 3], first, expected, 2e-6).unwrap();
    }
}

#[test]
fn gradients_are_zero_at_distance_zero_and_at_zero_vectors() {
    for distance in DISTANCES {
        let same = [0.5, -0.25, 0.5, -0.25, 0.0, 0.0, 0.0, 0.0];
        let pairs = PairwiseRanking::new(PairForm::Linear, 1.0, distance).unwrap();
        let pairs = PairwiseLoss::new(pairs, Average::Valid);
        let ranked = pairs.of_slices(&same, &[0, 0, 1, 1]).unwrap();
        assert!(ranked.gradient.iter().all(|g| g.is_finite()), "{distance}: {ranked:?}");
        let of_pairs = gradient::autodiff(&same[..4], [2, 2], |x| {
            distance.pairs(x.clone().narrow(0, 0, 1), x.narrow(0, 1, 1))
        });
        assert_eq!(of_pairs, [0.0; 4], "{distance}");
    }
    assert_eq!(gradient::autodiff(&[0.0; 4], [2, 2], |x| unit_norm(x).sum()), [0.0; 4]);
    let units = values(unit_norm(rows(&[3e-30, 4e-30, 3e30, -4e30], 2)));
    for (actual, expected) in units.iter().zip([0.6, 0.8, 0.6, -0.8]) {
        assert!((actual - expected).abs() < 1e-6);
    }
}

#[test]
fn batches_of_pairs_equal_the_loops() {
    let labels = [0, 1, 0, 1];
    let forms = [
        (PairForm::Linear, 0.0),
        (PairForm::Squared, 0.0),
        (PairForm::Linear, 0.7),
        (PairForm::Squared, 0.7),
    ];
    let cases = forms.into_iter().flat_map(|form| DISTANCES.map(|distance| (form, distance)));
    for ((form, near), distance) in cases {
        let pairs = PairwiseRanking::new(form, 2.0, distance).unwrap().with_positive_margin(near).unwrap();
        let terms = |x: &[f64]| {
            let d = all_distances(distance, x);
            let mut terms = Vec::new();
            for i in 0..4 {
                for j in i + 1..4 {
                    let d = d[4 * i + j];
                    let gap = f64::max(0.0, if labels[i] == labels[j] { d - near } else { 2.0 - d });
                    terms.push(if form == PairForm::Linear { gap } else { 0.5 * gap * gap });
                }
            }
            terms
        };
        for average in [Average::Valid, Average::Active] {
            let mean = |x: &[f64]| {
                let terms = terms(x);
                let count = terms.iter().filter(|&&term| average == Average::Valid || term > 0.0).count();
                terms.iter().sum::<f64>() / count as f64
            };
            let exact: Vec<f64> = POINTS.iter().map(|&x| f64::from(x)).collect();
            let ranked = PairwiseLoss::new(pairs, average).of_slices(&exact, &labels).unwrap();
            assert!((ranked.loss - mean(&exact)).abs() < 1e-12);
            let loss = |x: Tensor<2>| PairwiseLoss::new(pairs, average).of_batch(x, &labels).unwrap().0;
            gradient::gradient_check(&POINTS, [4, 3], loss, mean, 2e-6).unwrap();
        }
        let terms = terms(&POINTS.map(f64::from));
        let num_active = terms.iter().filter(|&&term| term > 0.0).count() as u64;
        let ranked = PairwiseLoss::new(pairs, Average::Valid).of_slices(&POINTS, &labels).unwrap();
        assert_eq!((ranked.num_pairs, ranked.num_active), (terms.len() as u64, num_active));
    }
    let pairs = PairwiseRanking::new(PairForm::Linear, 1.0, Distance::Euclidean).unwrap();
    let pairs = PairwiseLoss::new(pairs, Average::Valid);
    let (alone, _) = pairs.of_batch(rows(&[1.0], 1), &[0]).unwrap();
    assert_eq!(values(alone), [0.0]);
    assert!(pairs.of_slices(&[1.0, f64::NAN], &[0, 1]).is_err());
}

#[test]
fn given_triplets_differentiate_as_the_loops_hinge_and_soft() {
    for distance in [Distance::Euclidean, Distance::SquaredEuclidean] {
        let hinge = TripletRanking::hinge(0.4, distance).unwrap();
        let soft = TripletRanking::softplus(0.4, distance).unwrap();
        for ranking in [hinge, TripletRanking::soft_margin(distance), soft] {
            let expected = |x: &[f64]| {
                let d = if distance == Distance::Euclidean {
                    oracle::euclidean(x, 3)
                } else {
                    oracle::squared(x, 3)
                };
                let gap = ranking.margin() + d[1] - d[2];
                if ranking.is_soft() { (1.0 + gap.exp()).ln() } else { f64::max(0.0, gap) }
            };
            let row = |x: &Tensor<2>, i: usize| x.clone().narrow(0, i, 1);
            let loss = |x: Tensor<2>| ranking.per_triplet(row(&x, 0), row(&x, 1), row(&x, 2));
            gradient::gradient_check(&POINTS[..9], [3, 3], loss, expected, 4e-6).unwrap();
            let given = TripletLoss::new(ranking, Mining::None, Average::Valid);
            let triplet = [Triplet { anchor: 0, positive: 1, negative: 2 }];
            let on_host = |x: Tensor<2>| given.of_batch_triplets(x, &triplet).unwrap().loss;
            gradient::gradient_check(&POINTS[..9], [3, 3], on_host, expected, 1e-6).unwrap();
        }
    }
}

#[test]
fn the_tensor_form_has_the_value_and_the_gradient_of_the_slices() {
    let labels = [0, 1, 0, 1];
    let ranking = TripletRanking::hinge(0.5, Distance::Euclidean).unwrap();
    for mining in [Mining::All, Mining::Hard, Mining::SemiHard] {
        let loss = TripletLoss::new(ranking, mining, Average::Active);
        let ranked = loss.of_slices(&POINTS, &labels).unwrap();
        let batch = loss.of_batch(rows(&POINTS, 3), &labels).unwrap();
        assert_eq!(values(batch.loss), [ranked.loss as f32]);
        let automatic = gradient::autodiff(&POINTS, [4, 3], |x| loss.of_batch(x, &labels).unwrap().loss);
        for (actual, expected) in automatic.iter().zip(&ranked.gradient) {
            assert_eq!(*actual, *expected as f32);
        }
        let one_class = gradient::autodiff(&POINTS, [4, 3], |x| loss.of_batch(x, &[7; 4]).unwrap().loss);
        assert_eq!(one_class, [0.0; 12]);
    }
}

#[test]
fn large_distances_stay_finite() {
    let soft = TripletRanking::soft_margin(Distance::Euclidean);
    assert_eq!([soft.value(1e4, 0.0), soft.value(0.0, 1e4)], [1e4, 0.0]);
    let far = gradient::autodiff(&[0.0, 1e4, -1e4], [3, 1], |x| {
        let row = |i: usize| x.clone().narrow(0, i, 1);
        soft.per_triplet(row(0), row(1), row(2))
    });
    assert!(far.iter().all(|g| g.is_finite()), "{far:?}");
    let loss = TripletLoss::new(soft, Mining::Hard, Average::Valid);
    let nan = loss.of_slices(&[0.0, f32::NAN], &[0, 1]);
    assert!(matches!(nan, Err(LossError::Embedding { row: 1, .. })));
    let unknown = loss.of_triplets(&[0.0], 1, &[Triplet { anchor: 0, positive: 1, negative: 0 }]);
    assert_eq!(unknown, Err(LossError::SampleIndex { index: 1, num_samples: 1 }));
}
