//! The images that should get the next labels.

use mentor_random::{Purpose, Stream};

use crate::herding::{Covering, herd};
use crate::rows::Rows;

/// Squared distance of scaled rows below which two images are near-duplicates. Two images at random are at
/// 2.
pub const NEAR_DUPLICATE: f64 = 0.02;

/// What an image must have to be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method<'a> {
    /// The image that covers most of what no label and no choice covers yet (MaxHerding).
    Typical,
    /// The least difference between the two largest probabilities, `[N, C]`.
    Margin(&'a [f32]),
    /// The largest entropy of the probabilities, `[N, C]`.
    Entropy(&'a [f32]),
    /// As `Typical`, each image that is covered counting 1 − margin (uncertainty herding).
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
    /// The share of the images that it covers beyond those before it, 1 − margin, entropy in nats, or a
    /// random number in [0, 1).
    pub score: f64,
    /// The cluster of images that it stands for, counted from 0, if the method covers.
    pub cluster: Option<u32>,
}

/// At most `budget` images, the first the most urgent. No image is chosen whose squared distance from one
/// with a label, or from one chosen before, is below [`NEAR_DUPLICATE`].
///
/// [`Method::Typical`] covers directions with a Gaussian kernel of width 1: an image at the squared distance
/// d from the nearest label or choice is covered to exp(−d/2), and the next choice adds most to the sum.
/// [`Method::Mixed`] weights the sum by 1 − margin. Of a pool of more than 8,192 images both look at so many,
/// drawn by the seed. Equations are in `docs/definitions.md`, "Labels".
///
/// **Source.** W. Bae, J. Noh, D. J. Sutherland. Generalized Coverage for More Robust Low-Budget Active
/// Learning. ECCV 2024. W. Bae, D. J. Sutherland, G. L. Oliveira. Uncertainty Herding. ICLR 2025.
///
/// # Panics
///
/// If `labelled` has another length than the rows, or the probabilities are not whole rows.
///
/// ```
/// use mentor_labels::{Method, Pool, Rows, choose};
/// let values = [1.0, -0.3, 1.0, 0.0, 1.0, 0.3, -0.3, 1.0, 0.0, 1.0, 0.3, 1.0];
/// let pool = Pool { rows: Rows::new(&values, 2), labelled: &[false; 6] };
/// let chosen = choose(&pool, Method::Typical, 2, 0);
/// let mut groups: Vec<u32> = chosen.iter().map(|chosen| chosen.row / 3).collect();
/// groups.sort();
/// assert_eq!(groups, [0, 1]);
/// ```
pub fn choose(pool: &Pool<'_>, method: Method<'_>, budget: usize, seed: u64) -> Vec<Chosen> {
    assert_eq!(pool.labelled.len(), pool.rows.len(), "one mark a row");
    match method {
        Method::Typical => herded(pool, budget, seed, None),
        Method::Margin(probabilities) => in_order(pool, budget, one_minus_margin(pool, probabilities)),
        Method::Entropy(probabilities) => in_order(pool, budget, entropy(pool, probabilities)),
        Method::Mixed(probabilities) => {
            herded(pool, budget, seed, Some(&one_minus_margin(pool, probabilities)))
        }
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

/// Each chosen image is the cluster of those that it covers.
fn herded(pool: &Pool<'_>, budget: usize, seed: u64, uncertainty: Option<&[f64]>) -> Vec<Chosen> {
    let mut offer = Offer::of(pool);
    let weight = |row: u32| uncertainty.map_or(1.0, |scores| scores[row as usize]);
    herd(&pool.rows, pool.labelled, weight, budget, seed, |Covering { row, gain }| {
        let score = uncertainty.map_or(gain, |scores| scores[row as usize]);
        let cluster = Some(offer.chosen.len() as u32);
        offer.take(Chosen { row, score, cluster })
    });
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

    /// Four groups of unequal size in as many directions, and a lone row in one of its own.
    fn groups() -> Vec<f32> {
        let mut stream = Stream::new(9, Purpose::Weights, &[0]);
        let mut values = Vec::new();
        for (group, count) in [50, 40, 30, 20, 1].into_iter().enumerate() {
            for _ in 0..count {
                values.extend((0..5).map(|at| if at == group { 10.0 } else { 0.0 } + stream.normal()));
            }
        }
        values
    }

    fn group(row: u32) -> u32 {
        [50, 90, 120, 140, 141].iter().position(|&end| row < end).unwrap() as u32
    }

    #[test]
    fn typical_images_come_from_all_groups_the_largest_first_and_not_from_a_lone_one() {
        let values = groups();
        let pool = Pool { rows: Rows::new(&values, 5), labelled: &[false; 141] };
        let chosen = choose(&pool, Method::Typical, 5, 0);
        let found: Vec<u32> = chosen.iter().map(|chosen| group(chosen.row)).collect();
        assert_eq!(found[..4], [0, 1, 2, 3]);
        assert_ne!(found[4], 4);
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
        let pool = Pool { rows: Rows::new(&values, 5), labelled: &[false; 141] };
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
