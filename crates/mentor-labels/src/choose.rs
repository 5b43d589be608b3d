//! The images that should get the next labels.

use mentor_random::{Purpose, Stream};

use crate::kmeans::kmeans;
use crate::neighbours::nearest;
use crate::rows::Rows;
use crate::typicality::typicality;

/// Squared distance of scaled rows below which two images are near-duplicates. Two images at random are at
/// 2.
pub const NEAR_DUPLICATE: f64 = 0.02;
/// Clusters, at most; and the fewest rows of one that is worth a label.
const MOST_CLUSTERS: usize = 500;
const MIN_CLUSTER: usize = 5;
/// Uncertain images that a mixed choice spreads itself over, for each image chosen.
const UNCERTAIN_PER_CHOICE: usize = 10;

/// What an image must have to be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method<'a> {
    /// The most typical image of each cluster that has no label (TypiClust).
    Typical,
    /// The least difference between the two largest probabilities, `[N, C]`.
    Margin(&'a [f32]),
    /// The largest entropy of the probabilities, `[N, C]`.
    Entropy(&'a [f32]),
    /// Of the images of least margin, ten for each choice, those in the middle of as many clusters.
    Mixed(&'a [f32]),
    /// Chance.
    Random,
}

/// Images to choose from, with those that have labels.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    /// Features of all images, as [`Rows::scaled`] gives them.
    pub rows: Rows<'a>,
    /// Which images have a label, and are not chosen: one a row.
    pub labelled: &'a [bool],
}

/// A chosen image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Its row.
    pub row: u32,
    /// Typicality, 1 − margin, entropy in nats, or a random number in [0, 1).
    pub score: f64,
    /// The cluster that it stands for, if the method has clusters.
    pub cluster: Option<u32>,
}

/// At most `budget` images, the first the most urgent. No image is chosen whose squared distance from one
/// with a label, or from one chosen before, is below [`NEAR_DUPLICATE`].
///
/// [`Method::Typical`] makes as many clusters as there are labels and choices, at most 500, and goes through
/// those without a label, the largest first, then through the others by the number of their labels. Clusters
/// of fewer than 5 images come last.
///
/// **Source.** G. Hacohen, A. Dekel, D. Weinshall. Active Learning on a Budget: Opposite Strategies Suit High
/// and Low Budgets. ICML 2022, algorithm 1.
///
/// # Panics
///
/// If `labelled` has another length than the rows, or the probabilities are not whole rows.
///
/// ```
/// use mentor_labels::{Method, Pool, Rows, choose};
/// let values = [0.0, 1.0, 2.0, 50.0, 51.0, 52.0];
/// let pool = Pool { rows: Rows::new(&values, 1), labelled: &[false; 6] };
/// let mut rows: Vec<u32> = choose(&pool, Method::Typical, 2, 0).iter().map(|chosen| chosen.row).collect();
/// rows.sort();
/// assert_eq!(rows, [1, 4]);
/// ```
pub fn choose(pool: &Pool<'_>, method: Method<'_>, budget: usize, seed: u64) -> Vec<Chosen> {
    assert_eq!(pool.labelled.len(), pool.rows.len(), "one mark a row");
    match method {
        Method::Typical => typical(pool, budget, seed),
        Method::Margin(probabilities) => in_order(pool, budget, one_minus_margin(pool, probabilities)),
        Method::Entropy(probabilities) => in_order(pool, budget, entropy(pool, probabilities)),
        Method::Mixed(probabilities) => mixed(pool, budget, &one_minus_margin(pool, probabilities), seed),
        Method::Random => {
            let mut stream = Stream::new(seed, Purpose::Choice, &[]);
            in_order(pool, budget, (0..pool.rows.len()).map(|_| f64::from(stream.uniform())).collect())
        }
    }
}

/// What may still be chosen.
struct Offer<'a> {
    pool: &'a Pool<'a>,
    /// Rows with a label, and rows chosen.
    taken: Vec<u32>,
    chosen: Vec<Chosen>,
}

impl<'a> Offer<'a> {
    fn of(pool: &'a Pool<'a>) -> Self {
        let marks = pool.labelled.iter().enumerate();
        let taken = marks.filter(|&(_, &labelled)| labelled).map(|(row, _)| row as u32).collect();
        Self { pool, taken, chosen: Vec::new() }
    }

    /// Chooses the row, unless it is too near to one that is taken.
    fn take(&mut self, chosen: Chosen) -> bool {
        let rows = &self.pool.rows;
        let own = rows.row(chosen.row as usize);
        let is_near = |&taken: &u32| {
            let pairs = own.iter().zip(rows.row(taken as usize));
            let distance: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
            distance < NEAR_DUPLICATE
        };
        if self.pool.labelled[chosen.row as usize] || self.taken.iter().any(is_near) {
            return false;
        }
        self.taken.push(chosen.row);
        self.chosen.push(chosen);
        true
    }
}

/// The largest scores first, equal ones by their row.
fn in_order(pool: &Pool<'_>, budget: usize, scores: Vec<f64>) -> Vec<Chosen> {
    let mut offer = Offer::of(pool);
    for row in by_score(pool, &scores) {
        if offer.chosen.len() == budget {
            break;
        }
        offer.take(Chosen { row, score: scores[row as usize], cluster: None });
    }
    offer.chosen
}

/// The rows without a label, the largest score first.
fn by_score(pool: &Pool<'_>, scores: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> =
        (0..pool.rows.len() as u32).filter(|&row| !pool.labelled[row as usize]).collect();
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
    order
}

fn typical(pool: &Pool<'_>, budget: usize, seed: u64) -> Vec<Chosen> {
    let width = pool.rows.width();
    let mut offer = Offer::of(pool);
    let num_clusters = (offer.taken.len() + budget).clamp(1, MOST_CLUSTERS);
    let members = kmeans(&pool.rows, num_clusters, seed).members(width);
    let num_labelled = |rows: &[u32]| rows.iter().filter(|&&row| pool.labelled[row as usize]).count();
    let mut clusters: Vec<usize> = (0..members.len()).collect();
    clusters.sort_by_key(|&cluster| {
        let rows = &members[cluster];
        (rows.len() < MIN_CLUSTER, num_labelled(rows), std::cmp::Reverse(rows.len()))
    });
    // Each cluster's rows, the most typical last; made when the cluster's turn comes.
    let mut queues: Vec<Option<Vec<(f64, u32)>>> = vec![None; members.len()];
    let queue = |rows: &[u32]| {
        let mut queue: Vec<(f64, u32)> =
            typicality(&pool.rows, rows).into_iter().zip(rows.iter().copied()).collect();
        queue.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        queue
    };
    loop {
        let before = offer.chosen.len();
        for &cluster in &clusters {
            if offer.chosen.len() == budget {
                return offer.chosen;
            }
            let queue = queues[cluster].get_or_insert_with(|| queue(&members[cluster]));
            while let Some((score, row)) = queue.pop() {
                if offer.take(Chosen { row, score, cluster: Some(cluster as u32) }) {
                    break;
                }
            }
        }
        if offer.chosen.len() == before {
            return offer.chosen;
        }
    }
}

/// Of the most uncertain the one nearest to the middle of each of `budget` clusters; where these are too near
/// to others, the next uncertain ones.
fn mixed(pool: &Pool<'_>, budget: usize, scores: &[f64], seed: u64) -> Vec<Chosen> {
    let width = pool.rows.width();
    let order = by_score(pool, scores);
    let uncertain = &order[..order.len().min(UNCERTAIN_PER_CHOICE.saturating_mul(budget))];
    let values = pool.rows.gather(uncertain);
    let rows = Rows::new(&values, width);
    let clusters = kmeans(&rows, budget.min(MOST_CLUSTERS), seed);
    let mut offer = Offer::of(pool);
    let mut middles = Vec::new();
    for (cluster, members) in clusters.members(width).into_iter().enumerate() {
        // The centre stands behind the members, as one row more.
        let mut values = rows.gather(&members);
        values.extend_from_slice(&clusters.centres[cluster * width..][..width]);
        let own: Vec<u32> = (0..members.len() as u32).collect();
        let near = nearest(&Rows::new(&values, width), &[own.len() as u32], &own, 1);
        let middle = near.first().and_then(|near| near.first());
        middles.extend(middle.map(|near| (uncertain[members[near.row as usize] as usize], cluster as u32)));
    }
    middles.sort_by(|a, b| scores[b.0 as usize].total_cmp(&scores[a.0 as usize]).then(a.0.cmp(&b.0)));
    for (row, cluster) in middles {
        offer.take(Chosen { row, score: scores[row as usize], cluster: Some(cluster) });
    }
    for &row in &order {
        if offer.chosen.len() >= budget {
            break;
        }
        offer.take(Chosen { row, score: scores[row as usize], cluster: None });
    }
    offer.chosen
}

fn one_minus_margin(pool: &Pool<'_>, probabilities: &[f32]) -> Vec<f64> {
    let margin = |row: &[f32]| {
        let (mut first, mut second) = (0.0_f32, 0.0_f32);
        for &p in row {
            if p > first {
                (first, second) = (p, first);
            } else if p > second {
                second = p;
            }
        }
        1.0 - f64::from(first - second)
    };
    each(pool, probabilities).map(margin).collect()
}

fn entropy(pool: &Pool<'_>, probabilities: &[f32]) -> Vec<f64> {
    let term = |&p: &f32| if p > 0.0 { -f64::from(p) * f64::from(p).ln() } else { 0.0 };
    each(pool, probabilities).map(|row| row.iter().map(term).sum()).collect()
}

fn each<'a>(pool: &Pool<'_>, probabilities: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
    let num_classes = probabilities.len() / pool.rows.len().max(1);
    assert_eq!(probabilities.len(), num_classes * pool.rows.len(), "whole rows of probabilities");
    probabilities.chunks_exact(num_classes.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four groups of unequal size along a line, and a lone row far off.
    fn groups() -> Vec<f32> {
        let mut stream = Stream::new(9, Purpose::Weights, &[0]);
        let mut values = Vec::new();
        for (group, count) in [(0.0, 50), (10.0, 40), (20.0, 30), (30.0, 20), (500.0, 1)] {
            values.extend((0..count).map(|_| group + stream.normal()));
        }
        values
    }

    fn group(row: u32) -> u32 {
        [50, 90, 120, 140, 141].iter().position(|&end| row < end).unwrap() as u32
    }

    #[test]
    fn typical_images_come_from_all_groups_the_largest_first_and_not_from_a_lone_one() {
        let values = groups();
        let scaled = Rows::new(&values, 1).scaled();
        // Without the lone row the scale is that of the groups.
        let values: Vec<f32> = if scaled.is_empty() { scaled } else { values };
        let pool = Pool { rows: Rows::new(&values, 1), labelled: &[false; 141] };
        let chosen = choose(&pool, Method::Typical, 5, 0);
        let found: Vec<u32> = chosen.iter().map(|chosen| group(chosen.row)).collect();
        assert_eq!(found, [0, 1, 2, 3, 4]);
        assert_eq!(chosen, choose(&pool, Method::Typical, 5, 0));

        let mut labelled = [false; 141];
        [3, 60, 130].iter().for_each(|&row: &usize| labelled[row] = true);
        let chosen = choose(&Pool { labelled: &labelled, ..pool }, Method::Typical, 1, 0);
        assert_eq!(group(chosen[0].row), 2);
    }

    #[test]
    fn what_is_nearly_equal_to_a_label_or_a_choice_is_not_offered() {
        let values = [0.0, 0.01, 0.02, 5.0, 5.01, 9.0];
        let mut labelled = [false; 6];
        labelled[5] = true;
        let pool = Pool { rows: Rows::new(&values, 1), labelled: &labelled };
        let chosen = choose(&pool, Method::Random, 6, 1);
        assert_eq!(chosen.len(), 2);
        let typical = choose(&pool, Method::Typical, 6, 1);
        assert_eq!(typical.len(), 2);
        let probabilities = [0.5; 12];
        assert_eq!(choose(&pool, Method::Mixed(&probabilities), 6, 1).len(), 2);
    }

    #[test]
    fn the_least_certain_come_first() {
        let values = [0.0, 5.0, 10.0, 15.0];
        let pool = Pool { rows: Rows::new(&values, 1), labelled: &[false; 4] };
        // Margins 0.1, 0.2, 0.8, 0; entropies: the second is the most spread.
        let probabilities = [0.5, 0.4, 0.1, 0.45, 0.25, 0.3, 0.9, 0.1, 0.0, 0.5, 0.5, 0.0];
        let rows =
            |method| -> Vec<u32> { choose(&pool, method, 4, 0).iter().map(|chosen| chosen.row).collect() };
        assert_eq!(rows(Method::Margin(&probabilities)), [3, 0, 1, 2]);
        assert_eq!(rows(Method::Entropy(&probabilities)), [1, 0, 3, 2]);
        let mixed = choose(&pool, Method::Mixed(&probabilities), 2, 0);
        assert_eq!(mixed.len(), 2);
        let entropy = choose(&pool, Method::Entropy(&probabilities), 1, 0)[0].score;
        let by_hand: f64 = [0.45_f64, 0.25, 0.3].iter().map(|p| -p * p.ln()).sum();
        assert!((entropy - by_hand).abs() < 1e-6);
    }

    #[test]
    fn a_mixed_choice_covers_the_uncertain_groups() {
        let values = groups();
        let pool = Pool { rows: Rows::new(&values, 1), labelled: &[false; 141] };
        // The first two groups are uncertain.
        let row = |row: u32| if row < 90 { [0.5 + 1e-4 * row as f32, 0.5] } else { [1.0, 0.0] };
        let probabilities: Vec<f32> = (0..141).flat_map(row).collect();
        let chosen = choose(&pool, Method::Mixed(&probabilities), 4, 0);
        let margins = choose(&pool, Method::Margin(&probabilities), 4, 0);
        let groups = |chosen: &[Chosen]| -> std::collections::BTreeSet<u32> {
            chosen.iter().map(|chosen| group(chosen.row)).collect()
        };
        assert_eq!(groups(&margins).len(), 1);
        assert!(chosen.iter().all(|chosen| chosen.row < 90) && chosen.len() == 4, "{chosen:?}");
    }

    #[test]
    fn an_empty_pool_and_no_budget_give_nothing() {
        let pool = Pool { rows: Rows::new(&[], 3), labelled: &[] };
        for method in [Method::Typical, Method::Random, Method::Mixed(&[]), Method::Margin(&[])] {
            assert!(choose(&pool, method, 3, 0).is_empty());
        }
        let one = Pool { rows: Rows::new(&[1.0], 1), labelled: &[true] };
        assert!(choose(&one, Method::Typical, 3, 0).is_empty());
        assert!(choose(&Pool { labelled: &[false], ..one }, Method::Typical, 0, 0).is_empty());
    }
}
