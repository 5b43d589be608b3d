//! All triplets and mined ones against loops over every triplet.

use mentor_kernels::simd::{Level, with_level};
use mentor_loss::{AllTriplets, Average, Census, Distance, Mining, Triplet, TripletLoss, TripletRanking};
use mentor_random::{Purpose, Stream};
use mentor_testkit::{gradient, ranking as oracle};
use proptest::prelude::*;

/// Embeddings `[N, dim]` with labels.
#[derive(Clone, Debug)]
struct Batch {
    embeddings: Vec<f32>,
    dim: usize,
    labels: Vec<u32>,
}

impl Batch {
    /// Normal numbers; labels as `label` says.
    fn random(num_samples: usize, dim: usize, seed: u64, label: impl Fn(usize) -> u32) -> Self {
        let mut stream = Stream::new(seed, Purpose::Weights, &[]);
        let embeddings = (0..num_samples * dim).map(|_| stream.normal()).collect();
        Self { embeddings, dim, labels: (0..num_samples).map(label).collect() }
    }

    /// The same with coordinates from −2, −1, 0, 1, 2: many equal points and equal distances.
    fn tied(num_samples: usize, dim: usize, seed: u64, label: impl Fn(usize) -> u32) -> Self {
        let mut batch = Self::random(num_samples, dim, seed, label);
        batch.embeddings.iter_mut().for_each(|x| *x = x.round().clamp(-2.0, 2.0));
        batch
    }

    fn wide(&self) -> Vec<f64> {
        self.embeddings.iter().map(|&x| f64::from(x)).collect()
    }

    fn distances(&self, distance: Distance) -> Vec<f64> {
        distances(distance, &self.wide(), self.dim)
    }

    /// What `streamed` says of its gradient, for one sample: each pair's push is good to 1e-5 of its size.
    fn rounding(&self, distance: Distance, triplets: &oracle::Triplets, sample: usize) -> f64 {
        let n = self.labels.len();
        let between = self.distances(distance);
        let row = &self.wide()[sample * self.dim..][..self.dim];
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        let push = |other: usize| {
            let (pair, back) = (sample * n + other, other * n + sample);
            let coefficient = triplets.coefficients[pair].abs() + triplets.coefficients[back].abs();
            let slope = match distance {
                Distance::Euclidean => 1.0,
                Distance::SquaredEuclidean => 2.0 * between[pair].sqrt(),
                Distance::Cosine if length == 0.0 => 0.0,
                Distance::Cosine => (2.0 * between[pair].max(0.0)).sqrt() / length,
            };
            f64::from(coefficient) * slope
        };
        1e-5 * (0..n).map(push).sum::<f64>() / triplets.num_valid.max(1) as f64
    }
}

fn distances(distance: Distance, embeddings: &[f64], dim: usize) -> Vec<f64> {
    match distance {
        Distance::Euclidean => oracle::euclidean(embeddings, dim),
        Distance::SquaredEuclidean => oracle::squared(embeddings, dim),
        Distance::Cosine => oracle::cosine(embeddings, dim),
    }
}

fn census(all: &oracle::Triplets) -> Census {
    Census {
        num_valid: all.num_valid,
        num_active: all.num_active,
        num_easy: all.num_easy,
        num_semi_hard: all.num_semi_hard,
        num_hard: all.num_hard,
    }
}

#[track_caller]
fn assert_equals_oracle(batch: &Batch, distance: Distance, margin: f64) {
    let expected = oracle::all_triplets(&batch.distances(distance), &batch.labels, margin);
    let loss = AllTriplets::new(distance, margin, Average::Valid).unwrap();
    let n = batch.labels.len();
    let ranked = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
    assert_eq!(ranked.census, census(&expected));
    let mean = expected.sum / (expected.num_valid.max(1) as f64);
    assert!((ranked.loss - mean).abs() <= 1e-12 * mean.abs(), "{} {mean}", ranked.loss);
    let active = AllTriplets::new(distance, margin, Average::Active).unwrap();
    let mean = expected.sum / (expected.num_active.max(1) as f64);
    let over_active = active.of_batch(&batch.embeddings, &batch.labels).unwrap().loss;
    assert!((over_active - mean).abs() <= 1e-12 * mean.abs(), "{over_active} {mean}");

    let coefficients = loss.coefficients(&batch.embeddings, &batch.labels).unwrap();
    for (index, &expected) in expected.coefficients.iter().enumerate() {
        assert_eq!(coefficients.get(index / n, index % n), Some(expected), "{index}");
    }
    let streamed = loss.streamed(&batch.embeddings, &batch.labels).unwrap();
    assert_eq!((streamed.loss, streamed.census), (ranked.loss, ranked.census));
    let rows = streamed.gradient.chunks(batch.dim).zip(ranked.gradient.chunks(batch.dim));
    for (sample, (streamed, exact)) in rows.enumerate() {
        let allowed = batch.rounding(distance, &expected, sample);
        for (a, b) in streamed.iter().zip(exact) {
            assert!((a - b).abs() <= allowed, "{distance}, sample {sample}: {a} {b}, allowed {allowed}");
        }
    }
}

const DISTANCES: [Distance; 3] = [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine];

#[test]
fn random_batches_equal_the_loops() {
    for (seed, (n, dim, classes)) in
        [(40, 7, 5), (96, 33, 3), (130, 16, 2), (250, 3, 4), (300, 5, 7), (61, 1, 9)].into_iter().enumerate()
    {
        let batch = Batch::random(n, dim, seed as u64, |i| (i * i) as u32 % classes);
        for distance in DISTANCES {
            for margin in [0.0, 0.2, 3.0] {
                assert_equals_oracle(&batch, distance, margin);
            }
        }
    }
}

#[test]
fn tied_batches_equal_the_loops() {
    for (n, dim, classes) in [(30, 1, 2), (64, 2, 4), (150, 3, 2), (257, 2, 3)] {
        let batch = Batch::tied(n, dim, 5, |i| i as u32 % classes);
        // The cosine of a lattice has roots in it, and ties only up to rounding.
        for distance in [Distance::Euclidean, Distance::SquaredEuclidean] {
            for margin in [0.0, 1.0, 2.0] {
                assert_equals_oracle(&batch, distance, margin);
            }
        }
    }
}

#[test]
fn batches_of_one_class_or_lone_samples_or_nothing_equal_the_loops() {
    let one_class = Batch::random(50, 4, 1, |_| 3);
    let lone = Batch::random(70, 4, 2, |i| if i < 60 { i as u32 } else { 1000 });
    let all_lone = Batch::random(20, 4, 3, |i| i as u32);
    let large_class = Batch::random(90, 4, 4, |i| u32::from(i % 10 == 0));
    for batch in [one_class, lone, all_lone, large_class, Batch::random(2, 3, 5, |_| 0)] {
        assert_equals_oracle(&batch, Distance::Euclidean, 0.5);
    }
    let all = AllTriplets::new(Distance::Euclidean, 0.2, Average::Active).unwrap();
    let empty = all.of_batch::<f32>(&[], &[]).unwrap();
    assert_eq!((empty.loss, empty.census, empty.gradient.len()), (0.0, Census::default(), 0));
    assert_eq!(empty.mean_positive_distance, None);
}

#[test]
fn collapsed_batches_have_a_loss_of_the_margin_and_no_gradient() {
    for value in [0.0, 1.0, 1e4, -3e38] {
        for distance in DISTANCES {
            let batch =
                Batch { embeddings: vec![value; 60 * 4], dim: 4, labels: (0..60).map(|i| i % 2).collect() };
            let loss = AllTriplets::new(distance, 0.2, Average::Valid).unwrap();
            let ranked = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
            assert_eq!(ranked.census.num_hard, ranked.census.num_valid);
            assert!((ranked.loss - 0.2).abs() < 1e-15, "{}", ranked.loss);
            assert!(ranked.gradient.iter().all(|&g| g == 0.0));
        }
    }
}

#[test]
fn gradients_are_the_derivative_of_the_loops() {
    let batch = Batch::random(24, 3, 9, |i| i as u32 % 4);
    for distance in DISTANCES {
        let mean = |x: &[f64]| {
            let all = oracle::all_triplets(&distances(distance, x, 3), &batch.labels, 0.3);
            all.sum / all.num_valid as f64
        };
        let numeric = gradient::central_differences(mean, &batch.wide());
        let loss = AllTriplets::new(distance, 0.3, Average::Valid).unwrap();
        let ranked = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
        for (actual, expected) in ranked.gradient.iter().zip(&numeric) {
            assert!((actual - expected).abs() < 1e-8, "{distance}: {actual} {expected}");
        }
    }
}

/// All triplets of a batch by three loops.
fn every_triplet(labels: &[u32]) -> Vec<Triplet> {
    let all = 0..labels.len();
    let pairs = all.clone().flat_map(|anchor| all.clone().map(move |positive| (anchor, positive)));
    let positives = pairs.filter(|&(a, p)| a != p && labels[a] == labels[p]);
    let triplets = positives.flat_map(|(anchor, positive)| {
        all.clone().map(move |negative| Triplet { anchor, positive, negative })
    });
    triplets.filter(|triplet| labels[triplet.anchor] != labels[triplet.negative]).collect()
}

#[test]
fn the_soft_margin_of_all_triplets_is_that_of_the_loops() {
    for (batch, kind) in [
        (Batch::random(50, 6, 11, |i| i as u32 % 6), "random"),
        (Batch::tied(60, 2, 12, |i| i as u32 % 3), "tied"),
        (Batch::random(30, 2, 13, |i| (i as u32).saturating_sub(20)), "lone"),
        (Batch::random(8, 2, 14, |i| i as u32), "no triplet"),
    ] {
        for distance in [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine] {
            let ranking = TripletRanking::softplus(0.3, distance).unwrap();
            let all = TripletLoss::new(ranking, Mining::All, Average::Valid);
            let ranked = all.of_slices(&batch.embeddings, &batch.labels).unwrap();
            let triplets = every_triplet(&batch.labels);
            let given = all.of_triplets(&batch.embeddings, batch.labels.len(), &triplets).unwrap();
            assert_eq!(ranked.census, given.census, "{kind} {distance}");
            assert!((ranked.loss - given.loss).abs() < 1e-12, "{kind} {distance}");
            for (a, b) in ranked.gradient.iter().zip(&given.gradient) {
                assert!((a - b).abs() < 1e-12, "{kind} {distance}: {a} {b}");
            }
        }
    }
}

#[test]
fn mined_triplets_equal_the_loops() {
    for (batch, tie) in [
        (Batch::random(50, 6, 11, |i| i as u32 % 6), "random"),
        (Batch::tied(60, 2, 12, |i| i as u32 % 3), "tied"),
        (Batch::random(30, 2, 13, |i| (i as u32).saturating_sub(20)), "lone"),
    ] {
        let d = batch.distances(Distance::Euclidean);
        let n = batch.labels.len();
        let ranking = TripletRanking::hinge(0.5, Distance::Euclidean).unwrap();
        for (mining, triplets) in [
            (Mining::Hard, oracle::batch_hard(&d, &batch.labels)),
            (Mining::SemiHard, oracle::semi_hard(&d, &batch.labels)),
        ] {
            let loss = TripletLoss::new(ranking, mining, Average::Valid);
            let ranked = loss.of_slices(&batch.embeddings, &batch.labels).unwrap();
            assert_eq!(ranked.census.num_valid, triplets.len() as u64, "{tie} {mining}");
            let expected = oracle::mean_hinge(&d, n, &triplets, 0.5);
            assert!((ranked.loss - expected).abs() < 1e-12, "{tie} {mining}: {} {expected}", ranked.loss);
            let fixed =
                triplets.iter().map(|&[anchor, positive, negative]| Triplet { anchor, positive, negative });
            let given = loss.of_triplets(&batch.embeddings, n, &fixed.collect::<Vec<_>>()).unwrap();
            for (a, b) in given.gradient.iter().zip(&ranked.gradient) {
                assert!((a - b).abs() < 1e-14);
            }
            if tie == "random" {
                let mean =
                    |x: &[f64]| oracle::mean_hinge(&distances(Distance::Euclidean, x, 6), n, &triplets, 0.5);
                let numeric = gradient::central_differences(mean, &batch.wide());
                for (actual, expected) in ranked.gradient.iter().zip(&numeric) {
                    assert!((actual - expected).abs() < 1e-8, "{mining}: {actual} {expected}");
                }
            }
            let all = oracle::all_triplets(&d, &batch.labels, 0.5);
            assert_eq!(ranked.batch, census(&all));
        }
    }
}

#[test]
fn near_pairs_far_from_the_mean_keep_their_push() {
    // Each sample has a twin 1e-6 away, of its class or of another, where single precision sees no distance.
    let mut batch = Batch::random(120, 6, 17, |i| i as u32 % 3);
    for pair in batch.embeddings.chunks_exact_mut(12) {
        let (first, twin) = pair.split_at_mut(6);
        twin.copy_from_slice(first);
        twin[0] += 1e-6;
    }
    for distance in DISTANCES {
        assert_equals_oracle(&batch, distance, 0.5);
    }
}

#[test]
fn every_instruction_set_gives_the_same_integers_and_nearly_the_same_gradient() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    // Lattices have exact squared distances, whatever the order of a sum; few and many positives; no whole
    // panels.
    for (n, dim, classes) in [(75, 3, 9), (333, 11, 4), (601, 2, 3)] {
        let batch = Batch::tied(n, dim, 23, |i| i as u32 % classes);
        let loss = AllTriplets::new(Distance::SquaredEuclidean, 1.0, Average::Valid).unwrap();
        let of = |level| {
            pool.install(|| {
                with_level(level, || {
                    let coefficients = loss.coefficients(&batch.embeddings, &batch.labels).unwrap();
                    let ranked = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
                    (coefficients, ranked, loss.streamed(&batch.embeddings, &batch.labels).unwrap())
                })
            })
        };
        let (coefficients, ranked, streamed) = of(Level::Portable);
        for level in Level::available() {
            let other = of(level);
            assert_eq!(other.0, coefficients, "{level:?}");
            assert_eq!(other.1.census, ranked.census, "{level:?}");
            assert!((other.1.loss - ranked.loss).abs() <= 1e-14 * ranked.loss, "{level:?}");
            let near =
                |a: &[f64], b: &[f64], allowed: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= allowed);
            assert!(near(&other.1.gradient, &ranked.gradient, 1e-14), "{level:?}");
            assert!(near(&other.2.gradient, &streamed.gradient, 1e-6), "{level:?}");
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let batch = Batch::random(700, 20, 21, |i| i as u32 % 5);
    let loss = AllTriplets::new(Distance::Euclidean, 0.2, Average::Valid).unwrap();
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let batch_form = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
            (batch_form, loss.streamed(&batch.embeddings, &batch.labels).unwrap())
        })
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(3));
    assert!(one.0.loss > 0.0);
}

#[test]
fn zero_vectors_get_no_gradient_from_the_cosine() {
    let mut batch = Batch::random(30, 4, 31, |i| i as u32 % 3);
    batch.embeddings[..8].fill(0.0);
    let loss = AllTriplets::new(Distance::Cosine, 0.2, Average::Valid).unwrap();
    let ranked = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
    assert!(ranked.gradient[..8].iter().all(|&g| g == 0.0));
    assert!(ranked.gradient.iter().all(|g| g.is_finite()) && ranked.gradient.iter().any(|&g| g != 0.0));
    assert_equals_oracle(&batch, Distance::Cosine, 0.2);
}

#[test]
fn what_is_no_batch_is_refused() {
    let loss = AllTriplets::new(Distance::Euclidean, 0.2, Average::Valid).unwrap();
    for (embeddings, labels) in
        [(vec![0.0; 5], vec![0, 1]), (vec![0.0, f64::NAN], vec![0, 1]), (vec![1.0], vec![])]
    {
        assert!(loss.of_batch(&embeddings, &labels).is_err(), "{embeddings:?}");
    }
    assert!(loss.of_batch(&[0.0, 1e200], &[0, 1]).is_err());
    assert!(AllTriplets::new(Distance::Euclidean, -0.1, Average::Valid).is_err());
}

fn batches() -> impl Strategy<Value = Batch> {
    (1usize..40, 1usize..5, 1u32..6, any::<u64>(), any::<bool>()).prop_map(|(n, dim, classes, seed, tied)| {
        let label = |i: usize| (i as u32).wrapping_mul(2654435761) % classes;
        if tied { Batch::tied(n, dim, seed, label) } else { Batch::random(n, dim, seed, label) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_batch_equals_the_loops(batch in batches(), margin in prop_oneof![Just(0.0), Just(1.0), 0.0..2.0]) {
        assert_equals_oracle(&batch, Distance::Euclidean, margin);
    }

    #[test]
    fn a_shift_changes_nothing_and_gradients_sum_to_zero(batch in batches(), shift in -4i8..4) {
        let loss = AllTriplets::new(Distance::SquaredEuclidean, 0.5, Average::Valid).unwrap();
        let ranked = loss.of_batch(&batch.wide(), &batch.labels).unwrap();
        let moved: Vec<f64> = batch.wide().iter().map(|x| x + f64::from(shift)).collect();
        let other = loss.of_batch(&moved, &batch.labels).unwrap();
        prop_assert!((ranked.loss - other.loss).abs() <= 1e-9 * (1.0 + ranked.loss));
        for column in 0..batch.dim {
            let sum: f64 = ranked.gradient.iter().skip(column).step_by(batch.dim).sum();
            prop_assert!(sum.abs() < 1e-9);
        }
    }

    #[test]
    fn the_loss_is_zero_exactly_when_no_triplet_is_active(batch in batches(), margin in 0.0..1.0) {
        let loss = AllTriplets::new(Distance::Euclidean, margin, Average::Active).unwrap();
        let ranked = loss.of_batch(&batch.embeddings, &batch.labels).unwrap();
        prop_assert!(ranked.loss >= 0.0);
        prop_assert_eq!(ranked.loss == 0.0, ranked.census.num_active == 0);
    }
}
