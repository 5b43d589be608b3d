//! Distances of positive and negative pairs as two histograms.

use mentor_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::retrieval::{Embeddings, Metric, distance_between};

/// Pairs of each kind behind a histogram, at most.
pub const NUM_PAIRS: usize = 50_000;
const NUM_BINS: usize = 60;

/// Two histograms over bins of equal width from 0 to the largest distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairDistances {
    /// Upper edge of the last bin; the first begins at 0.
    pub high: f64,
    /// Pairs of one class in each bin.
    pub positive: Vec<u64>,
    /// Pairs of two classes in each bin.
    pub negative: Vec<u64>,
    /// Mean distance of the positive pairs; `None` if there are none.
    pub mean_positive: Option<f64>,
    /// Mean distance of the negative pairs; `None` if there are none.
    pub mean_negative: Option<f64>,
    /// Whether the pairs are a sample of all.
    pub sampled: bool,
}

/// Histograms of the distances of positive (same class) and negative pairs.
///
/// All pairs where there are at most [`NUM_PAIRS`] of a kind; otherwise `NUM_PAIRS` of them, each drawn
/// uniformly from all of its kind, with replacement: a pure function of the seed.
///
/// # Panics
///
/// If there is not one label for each embedding.
pub fn pair_distances(
    embeddings: &Embeddings<'_>,
    labels: &[u32],
    metric: Metric,
    seed: u64,
) -> PairDistances {
    assert_eq!(embeddings.len(), labels.len(), "one label a sample");
    let mut members: std::collections::BTreeMap<u32, Vec<usize>> = Default::default();
    for (sample, &label) in labels.iter().enumerate() {
        members.entry(label).or_default().push(sample);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let pairs_of = |count: usize| count as u64 * (count as u64).saturating_sub(1) / 2;
    let num_positive: u64 = members.iter().map(|members| pairs_of(members.len())).sum();
    let num_negative = pairs_of(labels.len()) - num_positive;

    let positive = if num_positive <= NUM_PAIRS as u64 {
        members.iter().flat_map(|members| within(members)).collect()
    } else {
        draw_positive(&members, Stream::new(seed, Purpose::Analysis, &[0]))
    };
    let negative = if num_negative <= NUM_PAIRS as u64 {
        between(&members)
    } else {
        draw_negative(&members, Stream::new(seed, Purpose::Analysis, &[1]))
    };
    let measure = |pairs: &[[usize; 2]]| -> Vec<f64> {
        let distance = |&[a, b]: &[usize; 2]| distance_between(metric, embeddings.row(a), embeddings.row(b));
        pairs.iter().map(distance).collect()
    };
    let (positive, negative) = (measure(&positive), measure(&negative));
    let high = positive.iter().chain(&negative).copied().fold(0.0, f64::max);
    let high = if high > 0.0 { high } else { 1.0 };
    let count = |distances: &[f64]| {
        let mut counts = vec![0; NUM_BINS];
        for distance in distances {
            counts[((distance / high * NUM_BINS as f64) as usize).min(NUM_BINS - 1)] += 1;
        }
        counts
    };
    let mean = |distances: &[f64]| {
        (!distances.is_empty()).then(|| distances.iter().sum::<f64>() / distances.len() as f64)
    };
    PairDistances {
        high,
        mean_positive: mean(&positive),
        mean_negative: mean(&negative),
        sampled: (positive.len() as u64) < num_positive || (negative.len() as u64) < num_negative,
        positive: count(&positive),
        negative: count(&negative),
    }
}

/// All pairs of one class.
fn within(members: &[usize]) -> Vec<[usize; 2]> {
    let mut pairs = Vec::new();
    for (place, &first) in members.iter().enumerate() {
        pairs.extend(members[place + 1..].iter().map(|&second| [first, second]));
    }
    pairs
}

/// All pairs of two classes.
fn between(members: &[Vec<usize>]) -> Vec<[usize; 2]> {
    let mut pairs = Vec::new();
    for (class, own) in members.iter().enumerate() {
        for &first in own {
            pairs.extend(members[class + 1..].iter().flatten().map(|&second| [first, second]));
        }
    }
    pairs
}

/// Two different places below `count`.
fn two(count: usize, stream: &mut Stream) -> [usize; 2] {
    let first = stream.below(count as u64) as usize;
    let second = stream.below(count as u64 - 1) as usize;
    [first, second + usize::from(second >= first)]
}

/// A class in proportion to its pairs, then a pair of it.
fn draw_positive(members: &[Vec<usize>], mut stream: Stream) -> Vec<[usize; 2]> {
    let mut ends = Vec::with_capacity(members.len());
    let mut total = 0;
    for members in members {
        total += members.len() as u64 * (members.len() as u64).saturating_sub(1);
        ends.push(total);
    }
    let draw = |_| {
        let place = stream.below(total);
        let class = &members[ends.partition_point(|&end| end <= place)];
        two(class.len(), &mut stream).map(|place| class[place])
    };
    (0..NUM_PAIRS).map(draw).collect()
}

/// A class in proportion to its pairs with others, a member of it, and a sample of another class.
fn draw_negative(members: &[Vec<usize>], mut stream: Stream) -> Vec<[usize; 2]> {
    let flat: Vec<usize> = members.concat();
    let mut ends = Vec::with_capacity(members.len());
    let mut total = 0;
    for members in members {
        total += members.len() as u64 * (flat.len() - members.len()) as u64;
        ends.push(total);
    }
    let mut starts = vec![0; members.len()];
    for class in 1..members.len() {
        starts[class] = starts[class - 1] + members[class - 1].len();
    }
    let draw = |_| {
        let place = stream.below(total);
        let class = ends.partition_point(|&end| end <= place);
        let count = members[class].len();
        let own = members[class][stream.below(count as u64) as usize];
        // The samples of the other classes are those before and after the class.
        let other = stream.below((flat.len() - count) as u64) as usize;
        [own, flat[if other < starts[class] { other } else { other + count }]]
    };
    (0..NUM_PAIRS).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(labels: &[u32], place: impl Fn(usize) -> f32) -> PairDistances {
        let values: Vec<f32> = (0..labels.len()).map(place).collect();
        pair_distances(&Embeddings::new(&values, 1).unwrap(), labels, Metric::Euclidean, 0)
    }

    #[test]
    fn few_pairs_are_all_counted() {
        // Distances 1 and 1 within the classes; 10, 11, 9 and 10 between them.
        let found = line(&[4, 4, 9, 9], |sample| [0.0, 1.0, 10.0, 11.0][sample]);
        assert_eq!((found.mean_positive, found.mean_negative), (Some(1.0), Some(10.0)));
        assert_eq!((found.high, found.sampled), (11.0, false));
        assert_eq!((found.positive[5], found.positive.iter().sum::<u64>()), (2, 2));
        assert_eq!((found.negative[59], found.negative.iter().sum::<u64>()), (1, 4));
    }

    #[test]
    fn many_pairs_are_drawn_uniformly_and_by_the_seed() {
        // Class 0 has 600 samples at 0 and 1 in turn, class 1 has 400 at 5: known means over all pairs.
        let labels: Vec<u32> = (0..1000).map(|sample| u32::from(sample >= 600)).collect();
        let place = |sample: usize| if sample >= 600 { 5.0 } else { (sample % 2) as f32 };
        let found = line(&labels, place);
        assert!(found.sampled);
        assert_eq!(found.positive.iter().sum::<u64>(), NUM_PAIRS as u64);
        let mean = 300.0 * 300.0 / (600.0 * 599.0 / 2.0 + 400.0 * 399.0 / 2.0);
        assert!((found.mean_positive.unwrap() - mean).abs() < 0.01, "{:?} {mean}", found.mean_positive);
        assert!((found.mean_negative.unwrap() - 4.5).abs() < 0.01, "{:?}", found.mean_negative);
        assert_eq!(found, line(&labels, place));
    }

    #[test]
    fn a_kind_without_pairs_has_no_mean() {
        let one_class = line(&[1, 1], |_| 2.0);
        assert_eq!(
            (one_class.mean_positive, one_class.mean_negative, one_class.high),
            (Some(0.0), None, 1.0)
        );
        let lone = line(&[1, 2], |sample| sample as f32);
        assert_eq!((lone.mean_positive, lone.mean_negative), (None, Some(1.0)));
        assert_eq!(line(&[], |_| 0.0).positive.iter().sum::<u64>(), 0);
    }
}
