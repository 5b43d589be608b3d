//! Which triplets of a batch count.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::block::distances;
use super::given::Triplet;
use super::points::Points;
use crate::LossError;

/// The choice of triplets in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mining {
    /// All valid triplets.
    All,
    /// Batch-hard: for each anchor its farthest positive and its nearest negative (Hermans et al. 2017).
    Hard,
    /// FaceNet's: for each anchor and positive the nearest negative that is farther than the positive; where
    /// all are nearer, the farthest, as TensorFlow Addons has it.
    #[default]
    SemiHard,
    /// The triplets that were given.
    None,
}

impl Mining {
    /// The names that [`from_str`](FromStr::from_str) knows.
    pub const NAMES: &'static [&'static str] = &["all", "hard", "semi-hard", "none"];
}

impl fmt::Display for Mining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Hard => "hard",
            Self::SemiHard => "semi-hard",
            Self::None => "none",
        })
    }
}

impl FromStr for Mining {
    type Err = LossError;

    fn from_str(name: &str) -> Result<Self, LossError> {
        match name {
            "all" => Ok(Self::All),
            "hard" => Ok(Self::Hard),
            "semi-hard" => Ok(Self::SemiHard),
            "none" => Ok(Self::None),
            _ => Err(LossError::unknown("mining", name, Self::NAMES)),
        }
    }
}

/// For each anchor with a positive and a negative, the farthest positive and the nearest negative.
pub(super) fn batch_hard(points: &Points) -> Vec<Triplet> {
    of_anchors(points, |anchor, positives, negatives| {
        // Of equally far ones the first sample.
        let farther = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1));
        let positive = positives.iter().copied().max_by(farther);
        let negative = negatives.first().copied();
        let triplet = |((_, positive), (_, negative))| Triplet { anchor, positive, negative };
        positive.zip(negative).map(triplet).into_iter().collect()
    })
}

/// For each anchor and positive, the nearest negative that is farther, or else the farthest.
pub(super) fn semi_hard(points: &Points) -> Vec<Triplet> {
    of_anchors(points, |anchor, positives, negatives| {
        let triplet = |&(distance, positive): &(f64, usize)| {
            let farther = negatives.partition_point(|negative| negative.0 <= distance);
            let farthest = negatives.last().map_or(0.0, |negative| negative.0);
            let place = match negatives.get(farther) {
                Some(_) => farther,
                None => negatives.partition_point(|negative| negative.0 < farthest),
            };
            negatives.get(place).map(|&(_, negative)| Triplet { anchor, positive, negative })
        };
        positives.iter().filter_map(triplet).collect()
    })
}

/// Calls `choose` with each anchor, its positives in the order of samples, and its negatives sorted by
/// distance and sample. Anchors come in the order of samples.
fn of_anchors(
    points: &Points,
    choose: impl Fn(usize, &[(f64, usize)], &[(f64, usize)]) -> Vec<Triplet> + Sync,
) -> Vec<Triplet> {
    /// Anchors at a time.
    const ROWS: usize = 256;
    let stride = points.stride();
    let mut block = vec![0.0; ROWS.min(points.num_samples) * stride];
    let mut chosen: Vec<(usize, Vec<Triplet>)> = Vec::with_capacity(points.num_samples);
    for start in (0..points.num_samples).step_by(ROWS) {
        let rows = start..points.num_samples.min(start + ROWS);
        let block = &mut block[..rows.len() * stride];
        distances(points, &rows, block);
        chosen.par_extend(block.par_chunks_exact(stride).zip(rows).map(|(row, anchor)| {
            let own = &points.class[anchor];
            let with_sample = |place: usize| (row[place], points.order[place]);
            let positives: Vec<_> = own.clone().filter(|&place| place != anchor).map(with_sample).collect();
            let others = (0..own.start).chain(own.end..points.num_samples);
            let mut negatives: Vec<_> = others.map(with_sample).collect();
            negatives.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let anchor = points.order[anchor];
            (anchor, choose(anchor, &positives, &negatives))
        }));
    }
    chosen.sort_unstable_by_key(|&(anchor, _)| anchor);
    chosen.into_iter().flat_map(|(_, triplets)| triplets).collect()
}
