//! Clusters of feature vectors: k-means with the seeding of k-means++.

use mentor_random::{Purpose, Stream};
use mentor_simd::{PairTerm, Panels};
use rayon::prelude::*;

use crate::rows::Rows;

/// Rows that centres are fitted to, at most: so many for each centre, and no fewer than these.
const ROWS_PER_CENTRE: usize = 256;
const MIN_FITTED: usize = 16_384;
/// Rounds of assignment and mean.
const MAX_ROUNDS: usize = 25;

/// A division of rows into clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// `[K, D]`.
    pub centres: Vec<f32>,
    /// The nearest centre of each row; of equally near ones the first.
    pub assigned: Vec<u32>,
}

impl Clusters {
    /// Number of clusters.
    pub fn len(&self, width: usize) -> usize {
        self.centres.len() / width
    }

    /// The rows of each cluster, ascending.
    pub fn members(&self, width: usize) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.len(width)];
        for (row, &cluster) in (0..).zip(&self.assigned) {
            members[cluster as usize].push(row);
        }
        members
    }
}

/// Divides `rows` into at most `num_clusters` clusters. Fewer come out if there are fewer different rows.
///
/// **Definition.** Centres begin at rows drawn with a probability proportional to the squared distance from
/// the centres before (k-means++), and become the means of the rows nearest to them until no row changes its
/// cluster, for 25 rounds at most. They are fitted to 256 rows a cluster, at least 16,384, drawn by the seed
/// if there are more; then every row goes to its nearest centre.
///
/// The same seed gives the same clusters for any number of threads.
///
/// **Source.** D. Arthur and S. Vassilvitskii. k-means++: The Advantages of Careful Seeding. SODA 2007.
///
/// ```
/// use mentor_labels::{Rows, kmeans};
/// let clusters = kmeans(&Rows::new(&[0.0, 9.0, 0.5, 9.5], 1), 2, 0);
/// assert_eq!(clusters.assigned[0], clusters.assigned[2]);
/// assert_ne!(clusters.assigned[0], clusters.assigned[1]);
/// ```
pub fn kmeans(rows: &Rows<'_>, num_clusters: usize, seed: u64) -> Clusters {
    let most = (ROWS_PER_CENTRE * num_clusters).max(MIN_FITTED);
    kmeans_of_some(rows, num_clusters, seed, most, MAX_ROUNDS)
}

/// As [`kmeans`], fitted to at most `most` rows in at most `rounds` rounds.
pub(crate) fn kmeans_of_some(
    rows: &Rows<'_>,
    num_clusters: usize,
    seed: u64,
    most: usize,
    rounds: usize,
) -> Clusters {
    let width = rows.width();
    let sample = sampled(rows, most, seed);
    let fitted = sample.as_ref().map_or(*rows, |values| Rows::new(values, width));
    let mut centres = seeded(&fitted, num_clusters, seed);
    let mut assigned = assign(&fitted, &centres);
    for _ in 0..rounds {
        centres = means(&fitted, &assigned, &centres);
        let next = assign(&fitted, &centres);
        if next == assigned {
            break;
        }
        assigned = next;
    }
    if sample.is_some() {
        assigned = assign(rows, &centres);
    }
    Clusters { centres, assigned }
}

/// Some of the rows, if there are more than `most`.
fn sampled(rows: &Rows<'_>, most: usize, seed: u64) -> Option<Vec<f32>> {
    if rows.len() <= most {
        return None;
    }
    let mut order = Stream::new(seed, Purpose::Clusters, &[1]).permutation(rows.len() as u32);
    order.truncate(most);
    order.sort_unstable();
    Some(rows.gather(&order))
}

/// The first centres, `[K, D]`.
fn seeded(rows: &Rows<'_>, num_clusters: usize, seed: u64) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Clusters, &[0]);
    let mut centres = Vec::new();
    let mut nearest = vec![f64::INFINITY; rows.len()];
    for number in 0..num_clusters.min(rows.len()) {
        let chosen = match number {
            0 => stream.below(rows.len() as u64) as usize,
            _ => match drawn(&nearest, &mut stream) {
                Some(row) => row,
                None => break,
            },
        };
        let centre = rows.row(chosen);
        centres.extend_from_slice(centre);
        nearest.par_iter_mut().enumerate().with_min_len(256).for_each(|(row, nearest)| {
            let distance = squared_distance(rows.row(row), centre);
            *nearest = nearest.min(distance);
        });
    }
    centres
}

/// A row, with a probability proportional to its number; none if all are 0.
fn drawn(numbers: &[f64], stream: &mut Stream) -> Option<usize> {
    let total: f64 = numbers.iter().sum();
    let share = (stream.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut left = share * total;
    let mut last = None;
    for (row, &number) in numbers.iter().enumerate().filter(|&(_, &number)| number > 0.0) {
        last = Some(row);
        left -= number;
        if left < 0.0 {
            break;
        }
    }
    last
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f32; 16];
    let (a, rest_of_a) = a.as_chunks::<16>();
    let (b, rest_of_b) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    let rest: f32 = rest_of_a.iter().zip(rest_of_b).map(|(a, b)| (a - b) * (a - b)).sum();
    f64::from(sums.iter().sum::<f32>() + rest)
}

/// The nearest centre of each row.
pub(crate) fn assign(rows: &Rows<'_>, centres: &[f32]) -> Vec<u32> {
    let panels = Panels::new(centres, rows.width());
    let num_centres = centres.len() / rows.width();
    rows.map_pairs(PairTerm::SquaredDistance, &panels, num_centres, |_, distances| {
        let mut best = 0;
        for (centre, &distance) in distances.iter().enumerate() {
            if distance < distances[best] {
                best = centre;
            }
        }
        best as u32
    })
}

/// The mean of each cluster; a cluster without rows keeps its centre.
fn means(rows: &Rows<'_>, assigned: &[u32], centres: &[f32]) -> Vec<f32> {
    let width = rows.width();
    let mut members = vec![Vec::new(); centres.len() / width];
    assigned.iter().enumerate().for_each(|(row, &cluster)| members[cluster as usize].push(row));
    let mean = |(members, centre): (&Vec<usize>, &[f32])| -> Vec<f32> {
        if members.is_empty() {
            return centre.to_vec();
        }
        let mut sum = vec![0.0_f64; width];
        for &row in members {
            sum.iter_mut().zip(rows.row(row)).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        sum.into_iter().map(|sum| (sum / members.len() as f64) as f32).collect()
    };
    members.par_iter().zip(centres.par_chunks_exact(width)).flat_map_iter(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` rows around each of some corners far apart.
    pub(crate) fn corners(count: usize, seed: u64) -> Vec<f32> {
        let mut stream = Stream::new(seed, Purpose::Weights, &[0]);
        let mut values = Vec::new();
        for row in 0..5 * count {
            values.extend((0..5).map(|at| if at == row % 5 { 20.0 } else { 0.0 } + stream.normal()));
        }
        values
    }

    #[test]
    fn groups_far_apart_are_the_clusters_whatever_the_seed() {
        let values = corners(40, 1);
        for seed in 0..5 {
            let found = kmeans(&Rows::new(&values, 5), 5, seed);
            for row in 0..200 {
                assert_eq!(found.assigned[row], found.assigned[row % 5], "seed {seed}");
            }
            assert!(found.members(5).iter().all(|members| members.len() == 40));
            assert_eq!(found, kmeans(&Rows::new(&values, 5), 5, seed));
        }
    }

    #[test]
    fn the_same_bits_for_one_and_for_two_threads() {
        let values = corners(4000, 2);
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = || kmeans(&Rows::new(&values, 5), 12, 3);
        let (one, two) = (pool(1).install(run), pool(2).install(run));
        assert_eq!(one, two);
        assert_eq!((one.assigned.len(), one.len(5)), (20_000, 12));
    }

    #[test]
    fn no_more_clusters_than_different_rows() {
        let found = kmeans(&Rows::new(&[1.0, 2.0, 1.0, 2.0, 1.0], 1), 4, 0);
        assert_eq!(found.len(1), 2);
        assert_eq!(kmeans(&Rows::new(&[7.0; 6], 2), 3, 0).assigned, [0, 0, 0]);
    }
}
