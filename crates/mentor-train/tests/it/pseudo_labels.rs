//! Pseudo-labels: laws of the selection.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use mentor_metrics::pseudo_labels::{LabelKind, Prediction};
use mentor_train::pseudo_labels::{Balance, Selection, SelectionOptions, Selector};
use proptest::prelude::*;

type Row = (String, Vec<f32>);

const NUM_CLASSES: usize = 4;

fn select(rows: &[Row], options: &SelectionOptions) -> Selection {
    let mut selector = Selector::new(options.clone(), NUM_CLASSES).unwrap();
    for (id, scores) in rows {
        selector.push(id, scores).unwrap();
        if let Some(balance) = options.balance {
            assert!(selector.num_held() <= balance.per_class * NUM_CLASSES);
        }
    }
    selector.finish()
}

/// Scores on a coarse grid, so that many confidences are equal.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let scores = prop::collection::vec((-8_i8..8).prop_map(|step| f32::from(step) / 2.0), NUM_CLASSES);
    prop::collection::vec(scores, 0..120).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(index, scores)| (format!("{:03}", index * 37 % 121), scores))
            .collect()
    })
}

fn options() -> impl Strategy<Value = SelectionOptions> {
    let kind = prop_oneof![
        Just(LabelKind::Hard),
        (1_usize..6).prop_map(|top_k| LabelKind::Soft { top_k: NonZeroUsize::new(top_k) })
    ];
    let balance = prop::option::of(
        (1_usize..30, 1_u32..6).prop_map(|(per_class, max_copies)| Balance { per_class, max_copies }),
    );
    (kind, 0.0..1.0, 0.5..3.0, balance).prop_map(|(kind, threshold, temperature, balance)| SelectionOptions {
        kind,
        threshold,
        temperature,
        balance,
    })
}

proptest! {
    #[test]
    fn the_choice_is_that_of_sorting_everything(rows in rows(), options in options()) {
        let chosen = select(&rows, &options);
        let mut expected = Vec::new();
        for class in 0..NUM_CLASSES as u32 {
            let mut candidates: Vec<(f64, &str)> = rows
                .iter()
                .map(|(id, scores)| (Prediction::new(scores, options.temperature).unwrap(), id.as_str()))
                .filter(|(found, _)| found.label == class && found.confidence() >= options.threshold)
                .map(|(found, id)| (found.loss, id))
                .collect();
            candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
            candidates.truncate(options.balance.map_or(usize::MAX, |balance| balance.per_class));
            expected.extend(candidates.into_iter().map(|(_, id)| (id.to_owned(), class)));
        }
        let found: Vec<(String, u32)> =
            chosen.labels.iter().map(|label| (label.id.clone(), label.label)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(rows in rows(), options in options(), turn in 0_usize..120) {
        let mut other = rows.clone();
        other.reverse();
        other.rotate_left(turn.min(rows.len()));
        // Sums of confidences are taken in the order of the result, so even they are equal.
        let of = |rows: &[(String, Vec<f32>)]| {
            let mut selection = select(rows, &options);
            for label in &mut selection.labels {
                assert_eq!(rows[label.row as usize].0, label.id);
                label.row = 0;
            }
            selection
        };
        prop_assert_eq!(of(&rows), of(&other));
    }

    #[test]
    fn copies_and_targets_keep_their_promises(rows in rows(), options in options()) {
        let Selection { labels, statistics } = select(&rows, &options);
        for label in &labels {
            let dense = label.target.dense(NUM_CLASSES);
            prop_assert!((dense.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{:?}", dense);
            prop_assert!(dense.iter().all(|&probability| probability <= dense[label.label as usize] + 1e-6));
            prop_assert!(label.confidence >= options.threshold && label.copies >= 1);
        }
        for (class, of_class) in (0..).zip(&statistics.classes) {
            let copies: Vec<u32> = labels.iter().filter(|l| l.label == class).map(|l| l.copies).collect();
            let sum: u64 = copies.iter().copied().map(u64::from).sum();
            prop_assert_eq!(sum, of_class.num_rows);
            prop_assert!(copies.is_sorted_by(|a, b| a >= b));
            if let (Some(most), Some(least)) = (copies.first(), copies.last()) {
                prop_assert!(most - least <= 1);
            }
            if let Some(Balance { per_class, max_copies }) = options.balance {
                prop_assert!(copies.iter().all(|&copies| copies <= max_copies));
                let full = per_class.min(copies.len() * max_copies as usize);
                prop_assert_eq!(sum, full as u64);
            }
        }
        prop_assert_eq!(statistics.num_seen, rows.len() as u64);
        prop_assert_eq!(statistics.num_chosen, labels.len() as u64);
    }

    #[test]
    fn a_higher_threshold_never_adds_an_image(rows in rows(), options in options(), more in 0.0..0.5_f64) {
        let all = SelectionOptions { balance: None, ..options };
        let stricter = SelectionOptions { threshold: (all.threshold + more).min(1.0), ..all.clone() };
        let known: HashMap<String, u32> =
            select(&rows, &all).labels.into_iter().map(|label| (label.id, label.label)).collect();
        for label in select(&rows, &stricter).labels {
            prop_assert_eq!(known.get(&label.id), Some(&label.label));
        }
    }
}

#[test]
fn one_million_rows_are_chosen_from_in_the_memory_of_the_heaps() {
    let balance = Some(Balance { per_class: 1000, max_copies: 5 });
    let kind = LabelKind::Soft { top_k: NonZeroUsize::new(3) };
    let options = SelectionOptions { kind, threshold: 0.3, temperature: 1.0, balance };
    let mut selector = Selector::new(options, 10).unwrap();
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let mut most_held = 0;
    for index in 0..1_000_000 {
        let mut scores = [0.0; 10];
        scores.fill_with(|| 6.0 * next());
        // The last class is rare: it needs copies.
        scores[9] -= 5.5;
        selector.push(&format!("{index:07}"), &scores).unwrap();
        most_held = most_held.max(selector.num_held());
    }
    let statistics = selector.finish().statistics;
    assert!(most_held <= 10_000, "{most_held}");
    assert_eq!(statistics.num_seen, 1_000_000);
    let rows: Vec<u64> = statistics.classes.iter().map(|class| class.num_rows).collect();
    let rare = &statistics.classes[9];
    assert_eq!(rows[..9], [1000; 9]);
    assert!(rare.num_chosen < 1000 && rare.num_rows == (5 * rare.num_chosen).min(1000), "{rare:?}");
}
