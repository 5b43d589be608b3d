//! Label spreading: classes of rows without labels, from those of the rows near to them.

use crate::neighbours::{nearest, neighbours};
use crate::rows::Rows;

/// Nearest rows that a row is joined to.
const NUM_NEIGHBOURS: usize = 7;
/// α: the share that a row takes from its neighbours.
const FROM_NEIGHBOURS: f64 = 0.8;
/// Weight of what is believed of a row without a label, beside 1 of a label.
const BELIEF: f64 = 0.3;
/// Exponent of the cosine between two rows that makes the weight of their edge.
const SHARPNESS: i32 = 3;
/// Rounds, after which `0.8^60` of the start is left.
const NUM_ROUNDS: usize = 60;

/// The probabilities `[N - L, C]` of the rows behind the first L, whose classes `targets` are.
///
/// `beliefs` `[N - L, C]` are probabilities that something else gives. All rows, less their mean and of
/// length 1, are joined to their nearest ones, and classes flow along the edges until they stay (Zhou et al.
/// 2004, "Learning with local and global consistency", equation 4). For many rows the neighbours are those of
/// [`neighbours`] with `seed`.
///
/// ```
/// use mentor_labels::{Rows, spread_labels};
/// let rows = Rows::new(&[1.0, 0.0, 0.0, 1.0, 0.9, 0.1], 2);
/// let found = spread_labels(&rows, &[0, 1], &[0.5, 0.5], 2, 0);
/// assert!(found[0] > 0.6 && (found[0] + found[1] - 1.0).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// If there are more targets than rows, a target is not below `num_classes`, or the number of beliefs is not
/// that of the rows without a label times that of the classes.
pub fn spread_labels(
    rows: &Rows<'_>,
    targets: &[u32],
    beliefs: &[f32],
    num_classes: usize,
    seed: u64,
) -> Vec<f32> {
    assert_eq!(beliefs.len(), (rows.len() - targets.len()) * num_classes, "beliefs of rows without labels");
    let mut start = vec![0.0; targets.len() * num_classes];
    start.chunks_exact_mut(num_classes).zip(targets).for_each(|(row, &target)| row[target as usize] = 1.0);
    start.extend(beliefs.iter().map(|&belief| BELIEF * f64::from(belief)));
    let edges = edges(&rows.directions(), rows.width(), seed);
    let mut flow = start.clone();
    for _ in 0..NUM_ROUNDS {
        let mut next: Vec<f64> = start.iter().map(|start| (1.0 - FROM_NEIGHBOURS) * start).collect();
        for (next, edges) in next.chunks_exact_mut(num_classes).zip(&edges) {
            for &(other, weight) in edges {
                let from = &flow[other as usize * num_classes..][..num_classes];
                next.iter_mut().zip(from).for_each(|(next, from)| *next += FROM_NEIGHBOURS * weight * from);
            }
        }
        flow = next;
    }
    let probabilities = |row: &[f64]| -> Vec<f32> {
        let sum: f64 = row.iter().sum();
        let even = 1.0 / num_classes as f64;
        row.iter().map(|value| if sum > 0.0 { value / sum } else { even } as f32).collect()
    };
    flow[targets.len() * num_classes..].chunks_exact(num_classes).flat_map(probabilities).collect()
}

/// How near the rows of `pool` are to those of `labelled`: the chance that one of them has a nearer labelled
/// row than a labelled row has among the others. About 1/2 or more if both are of one kind; 1 with fewer than
/// two labelled rows, of which nothing can be said.
pub fn resemblance(labelled: &Rows<'_>, pool: &Rows<'_>) -> f64 {
    if labelled.len() < 2 || pool.is_empty() {
        return 1.0;
    }
    let joined = [labelled.values(), pool.values()].concat();
    let directions = Rows::new(&joined, labelled.width()).directions();
    let rows = Rows::new(&directions, labelled.width());
    let known: Vec<u32> = (0..labelled.len() as u32).collect();
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let near: Vec<f64> =
        nearest(&rows, &all, &known, 1).iter().map(|found| found[0].squared_distance).collect();
    let (own, pool) = near.split_at(labelled.len());
    let mut own = own.to_vec();
    own.sort_unstable_by(f64::total_cmp);
    let farther = |distance: &f64| (own.len() - own.partition_point(|own| own <= distance)) as f64;
    pool.iter().map(farther).sum::<f64>() / (own.len() * pool.len()) as f64
}

/// Of each row the rows that it is joined to, and the weights `W / sqrt(d d')` of the edges.
fn edges(directions: &[f32], width: usize, seed: u64) -> Vec<Vec<(u32, f64)>> {
    let found = neighbours(&Rows::new(directions, width), NUM_NEIGHBOURS, seed);
    let mut edges: Vec<Vec<(u32, f64)>> = vec![Vec::new(); found.len()];
    for (row, found) in (0_u32..).zip(&found) {
        for neighbour in found {
            // Both are of length 1.
            let weight = (1.0 - neighbour.squared_distance / 2.0).max(0.0).powi(SHARPNESS);
            edges[row as usize].push((neighbour.row, weight));
            edges[neighbour.row as usize].push((row, weight));
        }
    }
    let degree = |edges: &Vec<(u32, f64)>| edges.iter().map(|(_, weight)| weight).sum::<f64>();
    let degrees: Vec<f64> = edges.iter().map(degree).collect();
    for (edges, own) in edges.iter_mut().zip(&degrees) {
        for (other, weight) in edges {
            let both = (own * degrees[*other as usize]).sqrt();
            *weight = if both > 0.0 { *weight / both } else { 0.0 };
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::*;

    /// Rows of three dimensions around two directions that are far apart, the even ones around the first.
    fn two_groups(count: usize) -> Vec<f32> {
        let mut stream = Stream::new(3, Purpose::Analysis, &[1]);
        let centres = [[5.0, 0.0, 1.0], [0.0, 5.0, 1.0]];
        (0..count).flat_map(|row| centres[row % 2].map(|centre| centre + 0.4 * stream.normal())).collect()
    }

    #[test]
    fn a_label_of_each_group_reaches_all_of_its_group() {
        let values = two_groups(60);
        // Nothing is believed of the others.
        let found = spread_labels(&Rows::new(&values, 3), &[0, 1], &[0.0; 116], 2, 0);
        for (row, found) in (2..).zip(found.chunks_exact(2)) {
            assert!(found[row % 2] > 0.9, "row {row}: {found:?}");
            assert!((found[0] + found[1] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn what_nothing_reaches_and_nobody_believes_is_even() {
        let found = spread_labels(&Rows::new(&[1.0, 0.0, -1.0, 0.0], 2), &[1], &[0.0; 3], 3, 0);
        assert!(found.iter().all(|value| (value - 1.0 / 3.0).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn rows_of_one_kind_resemble_each_other_and_others_do_not() {
        let values = two_groups(60);
        let (labelled, pool) = values.split_at(30);
        let same = resemblance(&Rows::new(labelled, 3), &Rows::new(pool, 3));
        let others: Vec<f32> = pool.chunks_exact(3).flat_map(|row| [-row[0], row[2], -9.0]).collect();
        let other = resemblance(&Rows::new(labelled, 3), &Rows::new(&others, 3));
        assert!(same > 0.35 && other < 0.05, "{same} {other}");
        assert_eq!(resemblance(&Rows::new(&[1.0], 1), &Rows::new(&[1.0], 1)), 1.0);
    }
}
