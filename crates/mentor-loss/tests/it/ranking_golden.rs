//! Ranking losses of PyTorch and pytorch-metric-learning; `reference/ranking_losses.py` made them.

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_loss::{
    Average, Distance, Mining, PairForm, PairwiseLoss, PairwiseRanking, Triplet, TripletLoss, TripletRanking,
};
use mentor_testkit::gradient;
use serde_json::Value;

use crate::support::{assert_close, values};

const GOLDEN: &str = include_str!("../../../../reference/golden/ranking_losses.json");

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

/// The cases of one name, which must exist.
fn cases(name: &str, count: usize) -> Vec<Value> {
    let all = golden()["cases"].as_array().unwrap().clone();
    let cases: Vec<Value> = all.into_iter().filter(|case| case["name"] == name).collect();
    assert_eq!(cases.len(), count, "cases named {name}");
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The embeddings of a batch, their dimension, and its labels if it has some.
fn batch(value: &Value) -> (Vec<f32>, usize, Vec<u32>) {
    let embeddings = numbers(&value["embeddings"]).into_iter().map(|x| x as f32).collect();
    let labels = value["labels"].as_array().into_iter().flatten().map(|label| label.as_u64().unwrap() as u32);
    (embeddings, value["dim"].as_u64().unwrap() as usize, labels.collect())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

fn margin(case: &Value) -> f64 {
    case["margin"].as_f64().unwrap()
}

#[test]
fn all_and_hardest_triplets_are_those_of_pytorch_metric_learning_by_both_averages() {
    for case in cases("triplet", 72) {
        let (embeddings, _, labels) = batch(&golden()["batches"][case["batch"].as_str().unwrap()]);
        let ranking = TripletRanking::hinge(margin(&case), parsed(&case["distance"])).unwrap();
        let mining: Mining = parsed(&case["mining"]);
        let loss = TripletLoss::new(ranking, mining, parsed::<Average>(&case["average"]));
        let ranked = loss.of_slices(&embeddings, &labels).unwrap();
        let expected = case["loss"].as_f64().unwrap();
        assert!((ranked.loss - expected).abs() <= 1e-13 * expected, "{} {expected}, {case}", ranked.loss);
        for (actual, expected) in ranked.gradient.iter().zip(numbers(&case["gradient"])) {
            assert!((actual - expected).abs() <= 1e-13, "{actual} {expected}, {case}");
        }
    }
}

#[test]
fn all_pairs_are_those_of_pytorch_metric_learning() {
    for case in cases("contrastive", 12) {
        let (embeddings, dim, labels) = batch(&golden()["batches"][case["batch"].as_str().unwrap()]);
        let ranking =
            PairwiseRanking::new(PairForm::Linear, margin(&case), parsed(&case["distance"])).unwrap();
        let pairs = PairwiseLoss::new(ranking, Average::Valid);
        let shape = [labels.len(), dim];
        let loss = |x: Tensor<2>| pairs.of_batch(x, &labels).unwrap().0;
        let x = Tensor::from_data(TensorData::new(embeddings.clone(), shape), &Device::flex());
        assert_close(&values(loss(x)), &[case["loss"].as_f64().unwrap()], 1e-6);
        assert_close(&gradient::autodiff(&embeddings, shape, loss), &numbers(&case["gradient"]), 1e-6);
    }
}

#[test]
fn pairs_by_the_cosine_are_pytorchs_cosine_embedding_loss_with_the_margin_counted_from_one() {
    let (embeddings, dim, _) = batch(&golden()["rows"]);
    let (num_rows, half) = (embeddings.len() / dim, embeddings.len() / dim / 2);
    for case in cases("cosine_embedding", 4) {
        let pairs = PairwiseRanking::new(PairForm::Linear, 1.0 - margin(&case), Distance::Cosine).unwrap();
        let loss = |x: Tensor<2>| {
            let same = vec![i64::from(case["same"].as_bool().unwrap()); half];
            let same = Tensor::<1, Int>::from_data(TensorData::new(same, [half]), &x.device());
            pairs.per_pair(x.clone().narrow(0, 0, half), x.narrow(0, half, half), same)
        };
        let x = Tensor::from_data(TensorData::new(embeddings.clone(), [num_rows, dim]), &Device::flex());
        assert_close(&values(loss(x)), &numbers(&case["loss"]), 1e-6);
        let actual = gradient::autodiff(&embeddings, [num_rows, dim], |x| loss(x).sum());
        assert_close(&actual, &numbers(&case["gradient"]), 1e-6);
    }
}

#[test]
fn given_triplets_are_pytorchs_triplet_margin_loss() {
    let (embeddings, dim, _) = batch(&golden()["rows"]);
    let (num_rows, third) = (embeddings.len() / dim, embeddings.len() / dim / 3);
    for case in cases("given_triplets", 2) {
        let ranking = TripletRanking::hinge(margin(&case), Distance::Euclidean).unwrap();
        let part = |x: &Tensor<2>, number: usize| x.clone().narrow(0, number * third, third);
        let x = Tensor::from_data(TensorData::new(embeddings.clone(), [num_rows, dim]), &Device::flex());
        let each = ranking.per_triplet(part(&x, 0), part(&x, 1), part(&x, 2));
        let losses = numbers(&case["loss"]);
        assert_close(&values(each), &losses, 1e-6);

        let triplet = |i: usize| Triplet { anchor: i, positive: third + i, negative: 2 * third + i };
        let triplets: Vec<Triplet> = (0..third).map(triplet).collect();
        let given = TripletLoss::new(ranking, Mining::None, Average::Valid);
        let ranked = given.of_triplets(&embeddings, num_rows, &triplets).unwrap();
        let mean = losses.iter().sum::<f64>() / third as f64;
        assert!((ranked.loss - mean).abs() < 1e-14, "{} {mean}", ranked.loss);
        for (actual, expected) in ranked.gradient.iter().zip(numbers(&case["gradient"])) {
            assert!((actual - expected / third as f64).abs() < 1e-14, "{actual} {expected}");
        }
    }
}
