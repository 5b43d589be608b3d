//! Retrieval against nested loops that a reader can check against the definitions line by line.

use mentor_metrics::retrieval::{
    Embeddings, Metric, Retrieval, RetrievalError, RetrievalOptions, evaluate, nearest,
};
use mentor_random::{Purpose, Stream};

/// The key of the order: squared distance, or 2 − 2 cos, in plain `f64`.
fn key(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    match metric {
        Metric::Euclidean => a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum(),
        Metric::Cosine => {
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
            if lengths == 0.0 { 2.0 } else { (2.0 - 2.0 * dot(a, b) / lengths).max(0.0) }
        }
    }
}

/// `[P@1, R-precision, MAP@R, Recall@5, Recall@10, k-NN]`, queries, lone queries.
fn plain(
    (queries, query_labels): (&Embeddings<'_>, &[u32]),
    gallery: Option<(&Embeddings<'_>, &[u32])>,
    options: &RetrievalOptions,
) -> ([f64; 6], usize, usize) {
    let same = gallery.is_none();
    let (gallery, labels) = gallery.unwrap_or((queries, query_labels));
    let mut sums = [0.0; 6];
    let mut count = 0;
    for (query, &label) in query_labels.iter().enumerate() {
        let mut order: Vec<usize> = (0..gallery.len()).filter(|&sample| !(same && sample == query)).collect();
        let keys: Vec<f64> = (0..gallery.len())
            .map(|sample| key(options.metric, queries.row(query), gallery.row(sample)))
            .collect();
        // A stable sort keeps the lower index first.
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
        let right: Vec<bool> = order.iter().map(|&sample| labels[sample] == label).collect();
        let relevant = right.iter().filter(|&&right| right).count();
        if relevant == 0 {
            continue;
        }
        count += 1;
        let precision =
            |places: usize| right[..places].iter().filter(|&&right| right).count() as f64 / places as f64;
        let map: f64 = (1..=relevant).filter(|&place| right[place - 1]).map(precision).sum();
        let recall = |k: usize| f64::from(u8::from(right.iter().take(k).any(|&right| right)));
        let voters: Vec<u32> = order.iter().take(options.k).map(|&sample| labels[sample]).collect();
        let votes = |class: u32| voters.iter().filter(|&&voter| voter == class).count();
        let most = voters.iter().map(|&class| votes(class)).max().unwrap();
        let winner = *voters.iter().find(|&&class| votes(class) == most).unwrap();
        let values = [
            recall(1),
            precision(relevant),
            map / relevant as f64,
            recall(5),
            recall(10),
            f64::from(u8::from(winner == label)),
        ];
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    (sums.map(|sum| sum / count.max(1) as f64), count, queries.len() - count)
}

fn assert_equal(found: &Retrieval, (means, count, lone): ([f64; 6], usize, usize), what: &str) {
    assert_eq!((found.num_queries, found.num_lone_queries), (count, lone), "{what}");
    let values = [
        found.precision_at_1,
        found.r_precision,
        found.map_at_r,
        found.recall_at_5,
        found.recall_at_10,
        found.knn_accuracy,
    ];
    for (value, mean) in values.map(Option::unwrap).iter().zip(means) {
        assert!((value - mean).abs() <= 1e-12, "{what}: {values:?}, by loops {means:?}");
    }
    assert_eq!(found.recall_at_1, found.precision_at_1);
}

struct Case {
    values: Vec<f32>,
    dim: usize,
    labels: Vec<u32>,
}

impl Case {
    fn embeddings(&self) -> Embeddings<'_> {
        Embeddings::new(&self.values, self.dim).unwrap()
    }
}

/// Samples about a centre for each class, `spread` wide, all moved by `offset`.
fn clusters(count: usize, dim: usize, classes: u64, spread: f32, offset: f32, seed: u64) -> Case {
    let mut stream = Stream::new(seed, Purpose::Weights, &[0]);
    let centres: Vec<f32> = (0..classes as usize * dim).map(|_| stream.normal()).collect();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let label = stream.below(classes) as usize;
        labels.push(label as u32);
        values
            .extend((0..dim).map(|column| offset + centres[label * dim + column] + spread * stream.normal()));
    }
    Case { values, dim, labels }
}

/// Points of a small grid: many equal distances, many equal points.
fn grid(count: usize, dim: usize, classes: u64, seed: u64) -> Case {
    let mut stream = Stream::new(seed, Purpose::Weights, &[1]);
    let values = (0..count * dim).map(|_| stream.below(3) as f32 - 1.0).collect();
    let labels = (0..count).map(|_| stream.below(classes) as u32 * 7).collect();
    Case { values, dim, labels }
}

fn check_both_metrics(case: &Case, what: &str) {
    for metric in [Metric::Euclidean, Metric::Cosine] {
        for k in [1, 4, 10] {
            let options = RetrievalOptions { metric, k, num_resamples: 5, ..RetrievalOptions::default() };
            let embeddings = case.embeddings();
            let found = evaluate(&embeddings, &case.labels, None, &options).unwrap();
            assert_equal(
                &found,
                plain((&embeddings, &case.labels), None, &options),
                &format!("{what} {metric:?} {k}"),
            );
        }
    }
}

#[test]
fn random_embeddings_rank_as_by_loops() {
    for seed in 0..6 {
        check_both_metrics(&clusters(90, 1 + 3 * seed as usize, 5, 1.0, 0.0, seed), "random");
    }
}

#[test]
fn ties_go_to_the_lower_index() {
    for seed in 0..6 {
        check_both_metrics(&grid(80, 1 + seed as usize % 3, 4, seed), "grid");
    }
    check_both_metrics(
        &Case { values: vec![0.5; 60], dim: 2, labels: (0..30).map(|i| i % 3).collect() },
        "one point",
    );
    check_both_metrics(
        &Case { values: vec![0.0; 60], dim: 2, labels: (0..30).map(|i| i % 3).collect() },
        "zero",
    );
}

#[test]
fn near_samples_far_from_the_origin_keep_their_order() {
    // A Gram matrix in f32 of such values has no digit of the distances left.
    check_both_metrics(&clusters(100, 6, 4, 1e-3, 3000.0, 1), "far");
    check_both_metrics(&clusters(100, 6, 1, 1e-6, 1.0, 2), "one tight class");
    let mut tight = clusters(120, 8, 2, 1e-5, 0.0, 3);
    // Two classes about the same centre, and one sample that sets the scale.
    tight.labels.iter_mut().enumerate().for_each(|(index, label)| *label = index as u32 % 3);
    tight.values[..8].fill(1e30);
    check_both_metrics(&tight, "outlier");
    let mut small = clusters(80, 4, 4, 1.0, 0.0, 4);
    small.values.iter_mut().for_each(|value| *value *= 1e-38);
    check_both_metrics(&small, "small");
}

#[test]
fn galleries_larger_than_the_sample_of_keys_rank_as_by_loops() {
    for (classes, spread) in [(4, 0.3), (4, 5.0), (800, 0.5)] {
        let case = clusters(2600, 5, classes, spread, 0.0, classes);
        // Some queries only: loops take long. The gallery is larger than the sample from which candidates are
        // guessed.
        let (queries, labels) = (&case.values[..150 * 5], &case.labels[..150]);
        let (queries, gallery) = (Embeddings::new(queries, 5).unwrap(), case.embeddings());
        for metric in [Metric::Euclidean, Metric::Cosine] {
            let options = RetrievalOptions { metric, num_resamples: 5, ..RetrievalOptions::default() };
            let apart = Some((&gallery, &case.labels[..]));
            let found = evaluate(&queries, labels, apart, &options).unwrap();
            assert_equal(&found, plain((&queries, labels), apart, &options), "large gallery");
        }
    }
}

#[test]
fn two_thousand_clusters_or_noise_rank_as_by_loops() {
    for spread in [0.1, 30.0] {
        let case = clusters(2000, 128, 10, spread, 0.0, 13);
        let options = RetrievalOptions { num_resamples: 5, ..RetrievalOptions::default() };
        let found = evaluate(&case.embeddings(), &case.labels, None, &options).unwrap();
        assert_equal(&found, plain((&case.embeddings(), &case.labels), None, &options), "two thousand");
    }
}

#[test]
fn a_gallery_of_equal_samples_larger_than_the_sample_ranks_by_index() {
    let labels: Vec<u32> = (0..2200).map(|index| index % 2).collect();
    let gallery = Embeddings::new(&[1.0; 2200], 1).unwrap();
    let query = Embeddings::new(&[1.0], 1).unwrap();
    let options = RetrievalOptions { num_resamples: 5, ..RetrievalOptions::default() };
    let apart = Some((&gallery, &labels[..]));
    let found = evaluate(&query, &[1], apart, &options).unwrap();
    assert_equal(&found, plain((&query, &[1]), apart, &options), "equal samples");
    assert_eq!((found.precision_at_1, found.recall_at_5), (Some(0.0), Some(1.0)));
}

#[test]
fn a_separate_gallery_holds_no_query() {
    let case = clusters(60, 3, 6, 1.0, 0.0, 9);
    let (queries, gallery) = (Embeddings::new(&case.values[..60], 3).unwrap(), case.embeddings());
    let options = RetrievalOptions { num_resamples: 5, ..RetrievalOptions::default() };
    // The gallery has the queries too, and they are not left out of it: each finds its twin.
    let found = evaluate(&queries, &case.labels[..20], Some((&gallery, &case.labels)), &options).unwrap();
    assert_eq!(found.precision_at_1, Some(1.0));
    // Queries of a class that the gallery lacks are lone.
    let labels: Vec<u32> =
        (0..20).map(|query| if query < 3 { 99 } else { case.labels[query as usize] }).collect();
    let apart = Some((&gallery, &case.labels[..]));
    let found = evaluate(&queries, &labels, apart, &options).unwrap();
    assert_eq!((found.num_queries, found.num_lone_queries), (17, 3));
    assert_equal(&found, plain((&queries, &labels), apart, &options), "lone in a gallery");
}

#[test]
fn lone_queries_are_counted_and_left_out() {
    // Classes 0, 0, 1, 2: the last two have nobody else.
    let embeddings = Embeddings::new(&[0.0, 1.0, 0.4, 5.0], 1).unwrap();
    let found = evaluate(&embeddings, &[0, 0, 1, 2], None, &RetrievalOptions::default()).unwrap();
    assert_eq!((found.num_queries, found.num_lone_queries), (2, 2));
    assert_eq!(
        (found.precision_at_1, found.recall_at_5),
        (Some(0.0), Some(1.0)),
        "the lone one is nearest to both"
    );
}

#[test]
fn without_anything_to_find_nothing_is_defined() {
    let options = RetrievalOptions::default();
    let empty = Embeddings::new(&[], 4).unwrap();
    let one = Embeddings::new(&[1.0, 2.0, 3.0, 4.0], 4).unwrap();
    let found = [
        evaluate(&empty, &[], None, &options).unwrap(),
        evaluate(&one, &[3], None, &options).unwrap(),
        evaluate(&one, &[3], Some((&empty, &[])), &options).unwrap(),
        evaluate(&empty, &[], Some((&one, &[3])), &options).unwrap(),
    ];
    for (found, lone) in found.iter().zip([0, 1, 1, 0]) {
        assert_eq!((found.num_queries, found.num_lone_queries), (0, lone));
        assert_eq!((found.precision_at_1, found.map_at_r, found.knn_accuracy), (None, None, None));
        assert_eq!((found.recall_at_5, found.intervals.map_at_r), (None, None));
        let json = serde_json::to_value(found).unwrap();
        assert!(json["precision_at_1"].is_null() && json["intervals"]["map_at_r"].is_null(), "{json}");
    }
}

#[test]
fn by_hand_on_a_line() {
    // Seen from 0: b at 1, a at 2, a at 3. R = 2: R-precision 1/2, MAP@R = (1/2)·(0 + 1/2).
    let queries = Embeddings::new(&[0.0], 1).unwrap();
    let gallery = Embeddings::new(&[3.0, 1.0, 2.0], 1).unwrap();
    let found = evaluate(&queries, &[0], Some((&gallery, &[0, 1, 0])), &RetrievalOptions::default()).unwrap();
    assert_eq!((found.precision_at_1, found.r_precision, found.map_at_r), (Some(0.0), Some(0.5), Some(0.25)));
    assert_eq!(found.intervals.map_at_r, None, "one query says nothing of how means vary");
    assert_eq!(found.recall_at_5, Some(1.0));
}

#[test]
fn where_all_others_vote_the_vote_says_nothing() {
    // Two classes of four far apart: of seven others four are of the other class, whoever is near.
    let values = [0.0, 0.1, 0.2, 0.3, 9.0, 9.1, 9.2, 9.3];
    let embeddings = Embeddings::new(&values, 1).unwrap();
    let labels = [0, 0, 0, 0, 1, 1, 1, 1];
    let accuracy = |k: usize, gallery| {
        let options = RetrievalOptions { k, ..RetrievalOptions::default() };
        evaluate(&embeddings, &labels, gallery, &options).unwrap().knn_accuracy
    };
    assert_eq!([1, 3, 6, 7, 10].map(|k| accuracy(k, None)), [Some(1.0), Some(1.0), Some(1.0), None, None]);
    let gallery = Some((&embeddings, &labels[..]));
    assert_eq!([3, 7, 8].map(|k| accuracy(k, gallery)), [Some(1.0), Some(1.0), None]);
}

#[test]
fn precision_and_map_are_those_of_pytorch_metric_learning() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/golden/retrieval.json");
    let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let values = |name: &str| -> Vec<f32> {
            case[name].as_array().into_iter().flatten().map(|value| value.as_f64().unwrap() as f32).collect()
        };
        let labels =
            |name: &str| -> Vec<u32> { values(name).into_iter().map(|label| label as u32).collect() };
        let dim = case["dim"].as_u64().unwrap() as usize;
        let (queries, gallery) = (values("embeddings"), values("gallery"));
        let (queries, gallery) =
            (Embeddings::new(&queries, dim).unwrap(), Embeddings::new(&gallery, dim).unwrap());
        let gallery_labels = labels("gallery_labels");
        let apart = (!gallery.is_empty()).then_some((&gallery, &gallery_labels[..]));
        let found = evaluate(&queries, &labels("labels"), apart, &RetrievalOptions::default()).unwrap();
        for (name, value) in [
            ("precision_at_1", found.precision_at_1),
            ("r_precision", found.r_precision),
            ("map_at_r", found.map_at_r),
        ] {
            let (value, expected) = (value.unwrap(), case[name].as_f64().unwrap());
            assert!((value - expected).abs() < 1e-6, "{}: {name} {value}, there {expected}", case["name"]);
        }
    }
}

#[test]
fn the_same_bits_for_one_and_for_two_threads() {
    let case = clusters(1500, 16, 9, 0.8, 0.0, 5);
    let embeddings = case.embeddings();
    let run = || evaluate(&embeddings, &case.labels, None, &RetrievalOptions::default()).unwrap();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    assert_eq!(pool(1).install(run), pool(2).install(run));
}

#[test]
fn intervals_hold_their_means() {
    let case = clusters(300, 4, 5, 1.5, 0.0, 7);
    let found = evaluate(&case.embeddings(), &case.labels, None, &RetrievalOptions::default()).unwrap();
    for (mean, interval) in [
        (found.precision_at_1, found.intervals.precision_at_1),
        (found.r_precision, found.intervals.r_precision),
        (found.map_at_r, found.intervals.map_at_r),
    ] {
        let (mean, [low, high]) = (mean.unwrap(), interval.unwrap());
        assert!(low < mean && mean < high && high - low < 0.15, "{low} {mean} {high}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let (options, one, two) = (RetrievalOptions::default(), [0.0], [0.0, 1.0]);
    let (line, plane) = (Embeddings::new(&one, 1).unwrap(), Embeddings::new(&two, 2).unwrap());
    let error = evaluate(&line, &[], None, &options).unwrap_err();
    assert_eq!(error.to_string(), "0 labels for 1 embeddings");
    assert_eq!(error.help(), ["give one a sample"]);
    assert!(matches!(
        evaluate(&line, &[0], Some((&plane, &[0])), &options).unwrap_err(),
        RetrievalError::Dimensions { queries: 1, gallery: 2 }
    ));
    let options = RetrievalOptions { k: 0, ..options };
    assert_eq!(evaluate(&line, &[0], None, &options).unwrap_err().to_string(), "k = 0: must be at least 1");
}

#[test]
fn the_nearest_are_those_of_a_full_sort() {
    let case = grid(500, 2, 3, 11);
    for metric in [Metric::Euclidean, Metric::Cosine] {
        let found = nearest(&case.embeddings(), &[0.4, -1.0], 50, metric).unwrap();
        let mut order: Vec<usize> = (0..500).collect();
        order.sort_by(|&a, &b| {
            let key = |sample: usize| key(metric, &[0.4, -1.0], case.embeddings().row(sample));
            key(a).total_cmp(&key(b))
        });
        assert_eq!(found.iter().map(|found| found.index).collect::<Vec<_>>(), order[..50]);
    }
}
