//! The nearest neighbours of every row, among those of clusters that lie near.

use mentor_simd::{PairTerm, Panels};

use crate::kmeans::kmeans_of_some;
use crate::rows::Rows;

/// Up to so many rows every pair is looked at.
const EXACT: usize = 8192;
/// Rows that the centre of a cluster is fitted to, at most on average, and rounds: borders that are a little
/// off lose nothing.
const ROWS_PER_CENTRE: usize = 64;
const ROUNDS: usize = 4;
/// Clusters whose rows a row is compared with, beside its own.
const NEAR_CLUSTERS: usize = 12;

/// Another row and its squared distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The row.
    pub row: u32,
    /// ‖a − b‖².
    pub squared_distance: f64,
}

/// The `k` nearest other rows of every row, nearest first, equal ones by their number; fewer if there are
/// not so many.
///
/// Up to 8,192 rows the result is exact. Of more a row is compared with those of its own cluster and of the
/// 12 whose centres are nearest to its own one, of √N clusters: a neighbour can be missed that lies across
/// several borders.
///
/// ```
/// use mentor_labels::{Rows, neighbours};
/// let found = neighbours(&Rows::new(&[0.0, 5.0, 1.0], 1), 1, 0);
/// assert_eq!((found[0][0].row, found[1][0].row), (2, 2));
/// assert_eq!(found[1][0].squared_distance, 16.0);
/// ```
pub fn neighbours(rows: &Rows<'_>, k: usize, seed: u64) -> Vec<Vec<Neighbour>> {
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    if rows.len() <= EXACT {
        return nearest(rows, &all, &all, k);
    }
    let width = rows.width();
    let num_clusters = rows.len().isqrt();
    let clusters = kmeans_of_some(rows, num_clusters, seed, ROWS_PER_CENTRE * num_clusters, ROUNDS);
    let members = clusters.members(width);
    let centres: Vec<u32> = (0..clusters.len(width) as u32).collect();
    let near = nearest(&Rows::new(&clusters.centres, width), &centres, &centres, NEAR_CLUSTERS);
    let mut found = vec![Vec::new(); rows.len()];
    for (own, near) in members.iter().zip(near) {
        let mut candidates = own.clone();
        near.iter().for_each(|centre| candidates.extend(&members[centre.row as usize]));
        // In order, so that equal distances are.
        candidates.sort_unstable();
        for (&row, nearest) in own.iter().zip(nearest(rows, own, &candidates, k)) {
            found[row as usize] = nearest;
        }
    }
    found
}

/// The `k` nearest of `candidates`, ascending, to each of `queries`, which are not their own neighbours.
pub(crate) fn nearest(rows: &Rows<'_>, queries: &[u32], candidates: &[u32], k: usize) -> Vec<Vec<Neighbour>> {
    let width = rows.width();
    let panels = Panels::new(&rows.gather(candidates), width);
    let gathered = rows.gather(queries);
    let queried = Rows::new(&gathered, width);
    queried.map_pairs(PairTerm::SquaredDistance, &panels, candidates.len(), |place, distances| {
        smallest(distances, candidates, queries[place], k)
    })
}

/// The `k` nearest, without `own`.
fn smallest(distances: &[f64], candidates: &[u32], own: u32, k: usize) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = Vec::with_capacity(k + 1);
    for (&row, &squared_distance) in candidates.iter().zip(distances) {
        let is_near =
            found.len() < k || found.last().is_some_and(|last| squared_distance < last.squared_distance);
        if row == own || !is_near {
            continue;
        }
        let place = found.partition_point(|other| other.squared_distance <= squared_distance);
        found.insert(place, Neighbour { row, squared_distance });
        found.truncate(k);
    }
    found
}

/// The squared distance from each of `queries` to its `k`-th nearest row of `rows`, or to the farthest if
/// there are fewer; infinite if there are none.
pub fn distances_to_kth(rows: &Rows<'_>, queries: &Rows<'_>, k: usize) -> Vec<f64> {
    let panels = Panels::new(rows.values(), rows.width());
    queries.map_pairs(PairTerm::SquaredDistance, &panels, rows.len(), |_, distances| {
        let place = k.min(distances.len()).checked_sub(1);
        place.map_or(f64::INFINITY, |place| *distances.select_nth_unstable_by(place, f64::total_cmp).1)
    })
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::*;

    fn random(count: usize, width: usize) -> Vec<f32> {
        let mut stream = Stream::new(4, Purpose::Weights, &[0]);
        // Of few dimensions, so that clusters mean something.
        (0..count * width).map(|_| stream.normal()).collect()
    }

    #[test]
    fn neighbours_are_those_of_a_plain_loop() {
        let values = random(300, 3);
        let rows = Rows::new(&values, 3);
        let found = neighbours(&rows, 4, 0);
        for (row, found) in found.iter().enumerate() {
            let mut all: Vec<(f64, u32)> = (0..300)
                .filter(|&other| other != row)
                .map(|other| {
                    let pairs = rows.row(row).iter().zip(rows.row(other));
                    (pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum(), other as u32)
                })
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let expected: Vec<u32> = all[..4].iter().map(|&(_, other)| other).collect();
            assert_eq!(found.iter().map(|near| near.row).collect::<Vec<_>>(), expected);
            assert!((found[3].squared_distance - all[3].0).abs() < 1e-9);
        }
        let kth = distances_to_kth(&rows, &rows, 5);
        // The row itself is at 0.
        assert!(kth.iter().zip(&found).all(|(kth, found)| (kth - found[3].squared_distance).abs() < 1e-9));
    }

    #[test]
    fn of_many_rows_nearly_all_neighbours_are_found() {
        let values = random(EXACT + 400, 3);
        let rows = Rows::new(&values, 3);
        let found = neighbours(&rows, 5, 0);
        let queries: Vec<u32> = (0..200).map(|at| at * 43).collect();
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let exact = nearest(&rows, &queries, &all, 5);
        let hits = queries
            .iter()
            .zip(&exact)
            .map(|(&query, exact)| exact.iter().filter(|near| found[query as usize].contains(near)).count());
        let hits: usize = hits.sum();
        assert!(hits > 980, "{hits} of 1000");
    }

    #[test]
    fn equal_rows_are_at_0_and_a_lone_row_has_no_neighbour() {
        let found = neighbours(&Rows::new(&[2.0, 2.0, 2.0], 1), 5, 0);
        assert_eq!(found[1].iter().map(|near| near.row).collect::<Vec<_>>(), [0, 2]);
        assert!(neighbours(&Rows::new(&[1.0], 1), 3, 0)[0].is_empty());
        let empty = Rows::new(&[], 1);
        assert_eq!(distances_to_kth(&empty, &Rows::new(&[1.0], 1), 2), [f64::INFINITY]);
    }
}
