//! What classifiers say of images that they were not trained on.

use mentor_linear::LinearError;
use mentor_random::{Purpose, Stream};

use crate::head::{choose_l2, fit_with};
use crate::rows::Rows;

/// Probabilities of each image by a classifier that was trained on others.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfSample {
    /// `[N, C]`.
    pub probabilities: Vec<f32>,
    /// Share of the images whose label has the largest probability.
    pub accuracy: f64,
    /// λ of Σw² of the classifiers.
    pub l2: f64,
}

/// Divides the rows of each class evenly into `num_folds` parts, and scores each part by a linear classifier
/// of the others, as [`fit_head`](crate::fit_head) fits it, with one λ for all.
///
/// Beside the rows, memory holds a copy of the rows of one fold.
///
/// # Errors
///
/// [`LinearError`] if fewer than two classes have rows, values are not finite, or `stop` said so.
///
/// # Panics
///
/// If `num_folds` is below 2, or targets do not fit the rows.
pub fn out_of_sample(
    rows: &Rows<'_>,
    targets: &[u32],
    num_classes: usize,
    num_folds: usize,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<OutOfSample, LinearError> {
    assert!(num_folds >= 2, "{num_folds} folds");
    let l2 = choose_l2(rows, targets, num_classes, seed, stop)?;
    let folds = assign(targets, num_classes, num_folds, seed);
    let mut probabilities = vec![0.0; rows.len() * num_classes];
    for fold in 0..num_folds as u32 {
        let (held_out, trained): (Vec<u32>, Vec<u32>) =
            (0..rows.len() as u32).partition(|&row| folds[row as usize] == fold);
        if held_out.is_empty() {
            continue;
        }
        let values = rows.gather(&trained);
        let own: Vec<u32> = trained.iter().map(|&row| targets[row as usize]).collect();
        let head = fit_with(&Rows::new(&values, rows.width()), &own, num_classes, l2, stop)?;
        drop(values);
        let values = rows.gather(&held_out);
        let scored = head.probabilities(&Rows::new(&values, rows.width()));
        for (&row, scored) in held_out.iter().zip(scored.chunks_exact(num_classes)) {
            probabilities[row as usize * num_classes..][..num_classes].copy_from_slice(scored);
        }
    }
    let is_right = |&(row, &target): &(&[f32], &u32)| {
        let own = row[target as usize];
        row.iter().enumerate().all(|(class, &p)| class == target as usize || p < own)
    };
    let num_right = probabilities.chunks_exact(num_classes).zip(targets).filter(is_right).count();
    let accuracy = num_right as f64 / rows.len().max(1) as f64;
    Ok(OutOfSample { probabilities, accuracy, l2 })
}

/// The fold of each row. Each class is dealt out in a random order, and the next goes on where it ended.
fn assign(targets: &[u32], num_classes: usize, num_folds: usize, seed: u64) -> Vec<u32> {
    let mut members = vec![Vec::new(); num_classes];
    targets.iter().enumerate().for_each(|(row, &target)| members[target as usize].push(row));
    let mut folds = vec![0; targets.len()];
    let mut next = 0;
    for (class, members) in members.iter().enumerate() {
        let mut stream = Stream::new(seed, Purpose::Folds, &[class as u64]);
        for place in stream.permutation(members.len() as u32) {
            folds[members[place as usize]] = next;
            next = (next + 1) % num_folds as u32;
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_have_equal_parts_of_every_class() {
        let targets: Vec<u32> = (0..103).map(|row| u32::from(row % 10 == 0)).collect();
        let folds = assign(&targets, 2, 5, 3);
        for fold in 0..5 {
            let count = |class| {
                folds.iter().zip(&targets).filter(|&(&own, &target)| own == fold && target == class).count()
            };
            assert!((18..=19).contains(&count(0)) && (2..=3).contains(&count(1)), "fold {fold}");
        }
    }

    #[test]
    fn a_wrong_label_is_not_believed() {
        let mut stream = Stream::new(2, Purpose::Weights, &[0]);
        let mut targets: Vec<u32> = (0..90).map(|row| row % 3).collect();
        let values: Vec<f32> = targets
            .iter()
            .flat_map(|&target| (0..3).map(move |at| if at == target { 3.0 } else { 0.0 }))
            .map(|mean| mean + 0.5 * stream.normal())
            .collect();
        targets[4] = 2;
        let scaled = Rows::new(&values, 3).scaled();
        let found = out_of_sample(&Rows::new(&scaled, 3), &targets, 3, 5, 0, &|| false).unwrap();
        let of_4 = &found.probabilities[12..15];
        assert!(of_4[1] > 0.7 && of_4[2] < 0.2, "{of_4:?}");
        assert!(found.accuracy > 0.95);
    }

    #[test]
    fn a_class_of_one_image_has_no_probability_where_it_is_left_out() {
        let values: Vec<f32> = (0..21).map(|at| if at == 20 { 9.0 } else { (at % 2) as f32 }).collect();
        let targets: Vec<u32> = (0..21).map(|at| if at == 20 { 2 } else { at % 2 }).collect();
        let found = out_of_sample(&Rows::new(&values, 1), &targets, 3, 5, 0, &|| false).unwrap();
        assert_eq!(found.probabilities[20 * 3 + 2], 0.0);
        assert!(found.probabilities.iter().all(|p| p.is_finite()));
    }
}
