//! Histograms of the distances of positive and negative pairs.

use mentor_metrics::embeddings::PairDistances;

use crate::drawing::axis::Axis;
use crate::drawing::html::{Key, figure, legend};
use crate::drawing::numbers::{counted, percent, value};
use crate::drawing::svg::{End, Plot, Words};

/// Both histograms on one axis, each as shares of its own pairs.
pub(crate) fn panel(distances: &PairDistances, id: &str) -> String {
    let PairDistances { high, positive, negative, mean_positive, mean_negative, sampled } = distances;
    let shares = |counts: &[u64]| -> Vec<f64> {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        counts.iter().map(|&count| count as f64 / total).collect()
    };
    let (same, other) = (shares(positive), shares(negative));
    let high = if high.is_finite() && *high > 0.0 { *high } else { 1.0 };
    let top = same.iter().chain(&other).copied().fold(0.0, f64::max);
    let y = Axis::shares("share of the pairs of its kind", [0.0, top]);
    let mut plot = Plot::new(Axis::between("distance", 0.0, high), y);
    for (class, what, shares) in
        [("val", "of different classes", &other), ("train", "of the same class", &same)]
    {
        let width = high / shares.len().max(1) as f64;
        for (bin, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let (from, to) = (bin as f64 * width, (bin + 1) as f64 * width);
            let tooltip = format!("{} to {}: {} of the pairs {what}", value(from), value(to), percent(share));
            plot.bar(&format!("{class} over"), (from, to), share, &tooltip);
        }
    }
    if let Some(mean) = mean_positive {
        plot.vertical("mark", *mean, "same, mean", End::Upper);
    }
    if let Some(mean) = mean_negative {
        plot.vertical("mark", *mean, "different, mean", End::Upper);
    }
    let overlap: f64 = same.iter().zip(&other).map(|(same, other)| same.min(*other)).sum();
    let mean = |mean: &Option<f64>| mean.map_or("none".to_owned(), value);
    let description = format!(
        "Mean distance of pairs of one class {}, of two classes {}; the histograms share {} of their area.",
        mean(mean_positive),
        mean(mean_negative),
        percent(overlap)
    );
    let svg = plot.finish(&Words {
        id: &format!("{id}-distances"),
        title: "Distances of pairs",
        description: &description,
    });
    let labels = [positive, negative].map(|counts| counted(counts.iter().sum(), "pair", "pairs"));
    let keys = [
        Key { class: "train bar", label: &format!("same class, {}", labels[0]) },
        Key { class: "val bar", label: &format!("different classes, {}", labels[1]) },
    ];
    let drawn = if *sampled { " Pairs are a random sample of all." } else { "" };
    let caption = format!(
        "A distance tells the classes apart only where the histograms do not overlap: here they share \
         <b>{}</b> of their area.{drawn}",
        percent(overlap)
    );
    figure("Distances of pairs", &(legend(&keys) + &svg), &caption)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_overlap_of_the_histograms_is_said() {
        let mut distances = fixture::embeddings().distances;
        distances.high = 2.0;
        (distances.positive, distances.negative) = (vec![3, 1], vec![0, 50]);
        let html = panel(&distances, "r");
        assert!(html.contains("<b>25.0\u{202f}%</b>"), "{html}");
        assert!(html.contains("0 to 1.0000: 75.0\u{202f}% of the pairs of the same class"), "{html}");
    }

    #[test]
    fn no_pairs_give_an_empty_plot() {
        let distances = PairDistances {
            high: f64::NAN,
            positive: vec![],
            negative: vec![0; 4],
            mean_positive: None,
            mean_negative: Some(f64::NAN),
            sampled: false,
        };
        let html = panel(&distances, "r");
        assert!(!html.contains("NaN") && html.contains("0\u{a0}pairs"), "{html}");
    }
}
