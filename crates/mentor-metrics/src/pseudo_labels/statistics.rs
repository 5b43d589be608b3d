//! What a selection did, in numbers: shares, duplication, drift, labels that changed.

use serde::{Deserialize, Serialize};

/// One class of a selection. All counts are of images but `num_rows`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassStatistics {
    /// Labelled as this class.
    pub num_predicted: u64,
    /// Of those, at the threshold or above.
    pub num_confident: u64,
    /// Of those, chosen.
    pub num_chosen: u64,
    /// The chosen with their copies: what the student sees in one epoch.
    pub num_rows: u64,
    /// `num_rows / num_chosen`, 0 where none is chosen.
    pub duplication: f64,
    /// Mean confidence of the chosen, each counted once; 0 where none is.
    pub mean_confidence: f64,
    /// Lowest confidence of the chosen; 0 where none is.
    pub lowest_confidence: f64,
}

/// A whole selection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SelectionStatistics {
    /// Images seen.
    pub num_seen: u64,
    /// At the threshold or above.
    pub num_confident: u64,
    /// Chosen, each counted once.
    pub num_chosen: u64,
    /// Chosen, with copies.
    pub num_rows: u64,
    /// `num_chosen / num_seen`, 0 of nothing.
    pub kept_share: f64,
    /// `num_rows / num_chosen`, 0 where none is chosen.
    pub duplication: f64,
    /// Mean confidence of the chosen, each counted once; 0 where none is.
    pub mean_confidence: f64,
    /// In class order.
    pub classes: Vec<ClassStatistics>,
}

impl SelectionStatistics {
    /// Classes for which nothing is chosen.
    pub fn empty_classes(&self) -> Vec<u32> {
        (0..).zip(&self.classes).filter(|(_, class)| class.num_chosen == 0).map(|(class, _)| class).collect()
    }

    /// How far the labels of all seen images are from a prior: [`total_variation`] of the shares, before any
    /// threshold or balancing.
    pub fn drift(&self, prior: &[f64]) -> f64 {
        let counts: Vec<f64> = self.classes.iter().map(|class| class.num_predicted as f64).collect();
        total_variation(&counts, prior)
    }
}

/// ½ Σ |p − q| of two distributions given as weights, each divided by its sum: the share that would have to
/// change its class. 0 where either has no weight.
///
/// # Panics
///
/// If the lengths differ.
pub fn total_variation(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len(), "distributions over different classes");
    let (left_sum, right_sum): (f64, f64) = (left.iter().sum(), right.iter().sum());
    if !(left_sum > 0.0 && right_sum > 0.0) {
        return 0.0;
    }
    left.iter().zip(right).map(|(l, r)| (l / left_sum - r / right_sum).abs()).sum::<f64>() / 2.0
}

/// Labels of the same images in two rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChangedLabels {
    /// Images in both rounds.
    pub num_images: u64,
    /// Those whose label differs.
    pub num_changed: u64,
    /// `[class before][class now]`, images.
    pub transitions: Vec<Vec<u64>>,
}

impl ChangedLabels {
    /// `num_changed / num_images`, 0 of nothing.
    pub fn share(&self) -> f64 {
        if self.num_images == 0 { 0.0 } else { self.num_changed as f64 / self.num_images as f64 }
    }
}

/// Two rounds that do not list the same images in the same order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rounds differ at image {position}: {before:?} and {now:?}")]
pub struct OrderError {
    /// Position, from 0.
    pub position: u64,
    /// The image of the earlier round; `None` past its end.
    pub before: Option<String>,
    /// The image of the later round; `None` past its end.
    pub now: Option<String>,
}

/// Compares the labels of two rounds, each `(id, label)` in the same order, in constant memory.
///
/// # Errors
///
/// `E` of the rows; [`OrderError`] if the ids differ.
///
/// # Panics
///
/// If a label is not below `num_classes`.
pub fn changed_labels<E: From<OrderError>>(
    before: impl IntoIterator<Item = Result<(String, u32), E>>,
    now: impl IntoIterator<Item = Result<(String, u32), E>>,
    num_classes: usize,
) -> Result<ChangedLabels, E> {
    let mut changed =
        ChangedLabels { transitions: vec![vec![0; num_classes]; num_classes], ..Default::default() };
    let (mut before, mut now) = (before.into_iter(), now.into_iter());
    loop {
        match (before.next().transpose()?, now.next().transpose()?) {
            (None, None) => return Ok(changed),
            (Some((id, old)), Some((same, new))) if id == same => {
                changed.num_images += 1;
                changed.num_changed += u64::from(old != new);
                changed.transitions[old as usize][new as usize] += 1;
            }
            (before, now) => {
                let id = |row: Option<(String, u32)>| row.map(|(id, _)| id);
                let position = changed.num_images;
                return Err(OrderError { position, before: id(before), now: id(now) }.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_the_share_that_would_have_to_move() {
        assert_eq!(total_variation(&[2.0, 2.0], &[0.5, 0.5]), 0.0);
        assert_eq!(total_variation(&[3.0, 1.0], &[10.0, 10.0]), 0.25);
        assert_eq!(total_variation(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        assert_eq!(total_variation(&[0.0, 0.0], &[0.5, 0.5]), 0.0);
    }

    #[test]
    fn changed_labels_are_counted_and_other_images_refused() {
        let rows = |rows: &[(&str, u32)]| -> Vec<Result<(String, u32), OrderError>> {
            rows.iter().map(|&(id, label)| Ok((id.to_owned(), label))).collect()
        };
        let before = rows(&[("a", 0), ("b", 1), ("c", 1)]);
        let found = changed_labels(before.clone(), rows(&[("a", 0), ("b", 0), ("c", 1)]), 2).unwrap();
        assert_eq!((found.num_images, found.num_changed), (3, 1));
        assert_eq!(found.transitions, [[1, 0], [1, 1]]);
        let error = changed_labels(before.clone(), rows(&[("a", 0), ("x", 0)]), 2).unwrap_err();
        assert_eq!((error.position, error.now.as_deref()), (1, Some("x")));
        assert!(changed_labels(before, rows(&[("a", 0)]), 2).is_err());
    }
}
