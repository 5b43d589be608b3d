//! How typical a row is of its cluster.

use crate::neighbours::nearest;
use crate::rows::Rows;

/// Neighbours whose distances are averaged.
const NEIGHBOURS: usize = 20;
/// Members of a cluster that neighbours are looked for among, at most.
const MOST_REFERENCES: usize = 2048;

/// How typical each of `members` is of them all.
///
/// **Definition.** 1 / (mean distance to the 20 nearest other members), to all of them if they are fewer; 0
/// of a lone member, infinite where all these distances are 0. Of more than 2,048 members neighbours are
/// among 2,048 evenly spread ones.
///
/// **Source.** G. Hacohen, A. Dekel, D. Weinshall. Active Learning on a Budget: Opposite Strategies Suit High
/// and Low Budgets. ICML 2022, equation 4.
///
/// ```
/// use mentor_labels::{Rows, typicality};
/// let found = typicality(&Rows::new(&[0.0, 1.0, 2.0, 9.0], 1), &[0, 1, 2]);
/// assert_eq!(found, [1.0 / 1.5, 1.0, 1.0 / 1.5]);
/// ```
pub fn typicality(rows: &Rows<'_>, members: &[u32]) -> Vec<f64> {
    let references: Vec<u32> =
        mentor_metrics::evenly_spread(members.len(), MOST_REFERENCES).map(|place| members[place]).collect();
    let of_member = |near: Vec<crate::Neighbour>| {
        let sum: f64 = near.iter().map(|near| near.squared_distance.sqrt()).sum();
        if near.is_empty() { 0.0 } else { near.len() as f64 / sum }
    };
    nearest(rows, members, &references, NEIGHBOURS).into_iter().map(of_member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_more_typical_than_the_edge_and_alone_is_nothing() {
        let values: Vec<f32> = (0..101).map(|at| at as f32).collect();
        let rows = Rows::new(&values, 1);
        let all: Vec<u32> = (0..101).collect();
        let found = typicality(&rows, &all);
        // Ten neighbours on both sides: 2 · (1 + … + 10) / 20; at the edge (1 + … + 20) / 20.
        assert!((found[50] - 1.0 / 5.5).abs() < 1e-12 && (found[0] - 1.0 / 10.5).abs() < 1e-12);
        assert_eq!(typicality(&rows, &[7]), [0.0]);
        assert_eq!(typicality(&Rows::new(&[1.0, 1.0], 1), &[0, 1]), [f64::INFINITY; 2]);
    }
}
