//! What a linear classifier learns from the answers so far: what it thinks of every picture, how often it is
//! right on answers that it was not shown, and which pictures would help it most.

use mentor_labels::{Method, Pool, Rows, choose, fit_head, out_of_sample};

/// Pictures that are put in order at a time.
const AHEAD: usize = 40;
/// Parts of the answers, each judged by a classifier of the others; and the fewest answers that are judged.
const NUM_FOLDS: usize = 5;
const MIN_JUDGED: usize = 10;

/// Features of all pictures, as [`Rows::scaled`] gives them.
#[derive(Debug)]
pub(crate) struct Features {
    pub(crate) values: Vec<f32>,
    pub(crate) width: usize,
}

/// What is known after some answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Learned {
    /// Pictures to ask about, the most useful first.
    pub(crate) order: Vec<u32>,
    /// The likeliest class of each picture and its probability; empty before two classes have answers.
    pub(crate) predicted: Vec<(u32, f32)>,
    /// Share of the answers that classifiers of the others give.
    pub(crate) accuracy: Option<f64>,
    /// Answers that this is learned from.
    pub(crate) num_answers: usize,
}

/// Learns from `answers`: for each picture its class, and whether it is answered at all.
pub(crate) fn learn(
    features: &Features,
    num_classes: usize,
    answers: &[Option<u32>],
    answered: &[bool],
) -> Learned {
    let rows = Rows::new(&features.values, features.width);
    let labelled: Vec<usize> = (0..answers.len()).filter(|&row| answers[row].is_some()).collect();
    let targets: Vec<u32> = answers.iter().flatten().copied().collect();
    let values: Vec<f32> = labelled.iter().flat_map(|&row| rows.row(row)).copied().collect();
    let shown = Rows::new(&values, features.width);
    let pool = Pool { rows, labelled: answered };
    let seed = targets.len() as u64;
    let head = fit_head(&shown, &targets, num_classes, 0, &|| false);
    let Ok(head) = head else {
        // Nothing to tell apart yet.
        let order = choose(&pool, Method::Typical, AHEAD, seed);
        let order = order.iter().map(|chosen| chosen.row).collect();
        return Learned { order, num_answers: targets.len(), ..Learned::default() };
    };
    let probabilities = head.probabilities(&rows);
    let best = |row: &[f32]| {
        let better = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
        let class = (0..row.len()).reduce(better).unwrap_or(0);
        (class as u32, row[class])
    };
    let predicted = probabilities.chunks_exact(num_classes).map(best).collect();
    // Few answers say more about what is typical than about what is uncertain.
    let method = match targets.len() < 2 * num_classes {
        true => Method::Typical,
        false => Method::Mixed(&probabilities),
    };
    let order = choose(&pool, method, AHEAD, seed).iter().map(|chosen| chosen.row).collect();
    let accuracy = (targets.len() >= MIN_JUDGED)
        .then(|| out_of_sample(&shown, &targets, num_classes, NUM_FOLDS, 0, &|| false).ok())
        .flatten()
        .map(|found| found.accuracy);
    Learned { order, predicted, accuracy, num_answers: targets.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_apart_after_some_answers() {
        let values: Vec<f32> =
            (0..60).flat_map(|row: usize| [[0.0, 1.0][row % 2], 0.01 * (row * 7 % 13) as f32]).collect();
        let values = Rows::new(&values, 2).scaled();
        let features = Features { values, width: 2 };
        let first = learn(&features, 2, &[None; 60], &[false; 60]);
        assert!(first.predicted.is_empty() && !first.order.is_empty() && first.accuracy.is_none());
        let answers: Vec<Option<u32>> = (0..60).map(|row| (row < 12).then_some(row % 2)).collect();
        let answered: Vec<bool> = answers.iter().map(Option::is_some).collect();
        let learned = learn(&features, 2, &answers, &answered);
        assert!(learned.predicted.iter().enumerate().all(|(row, found)| found.0 == row as u32 % 2));
        assert_eq!((learned.accuracy, learned.num_answers), (Some(1.0), 12));
        assert!(learned.order.iter().all(|&row| row >= 12));
    }
}
