//! What is suspect about labelled images: labels, near-duplicates of another label, outliers.

use mentor_metrics::label_errors::{ConfidentJoint, LabelError};

use crate::choose::NEAR_DUPLICATE;
use crate::neighbours::neighbours;
use crate::rows::Rows;

/// The neighbour whose distance says whether an image is an outlier.
const OUTLIER_NEIGHBOUR: usize = 5;
/// Neighbours that near-duplicates are looked for among.
const NEIGHBOURS: usize = 10;
/// An outlier's logarithm of distance is above the upper quartile by so many times the range of the
/// quartiles.
const FAR_OUT: f64 = 3.0;

/// What is suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The label.
    Label,
    /// The label is another than that of a near-duplicate.
    Duplicate,
    /// The image is far from all others.
    Outlier,
}

impl Kind {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Duplicate => "duplicate",
            Self::Outlier => "outlier",
        }
    }
}

/// A suspect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// Its row.
    pub row: u32,
    /// What is suspect about it.
    pub kind: Kind,
    /// Its label.
    pub given: u32,
    /// What the label probably should be; the given one of an outlier.
    pub suggested: u32,
    /// From 0 to 1.
    pub score: f64,
}

/// Labelled images.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Features, as [`Rows::scaled`] gives them.
    pub rows: Rows<'a>,
    /// Labels, one a row.
    pub targets: &'a [u32],
    /// Out-of-sample probabilities `[N, C]`; see [`out_of_sample`](crate::out_of_sample).
    pub probabilities: &'a [f32],
    /// C.
    pub num_classes: usize,
}

/// The suspects, the highest score first. A row can be one in several ways.
///
/// **Definition.** Labels: those of [`ConfidentJoint::label_errors`], with its score. Duplicates: images
/// whose squared distance from one of another label is below [`NEAR_DUPLICATE`]; suggested is that label, and
/// the score is (1 − p_given + p_suggested)/2. Outliers: images whose distance d to the 5th neighbour is
/// above f = exp(q₃ + 3 (q₃ − q₁)), q₁ and q₃ being the quartiles of ln d over all images; the score is 1 −
/// f/d.
///
/// **Source.** C. G. Northcutt, L. Jiang, I. L. Chuang. Confident Learning. JAIR 70, 2021. J. W. Tukey.
/// Exploratory Data Analysis. 1977, section 2D ("far out").
///
/// # Panics
///
/// If there is not one target and one row of probabilities for each row.
pub fn suspects(labelled: &Labelled<'_>, seed: u64) -> Vec<Suspect> {
    let Labelled { rows, targets, probabilities, num_classes } = *labelled;
    assert_eq!(targets.len(), rows.len(), "a target a row");
    let joint = ConfidentJoint::of(probabilities, targets, num_classes);
    let mut found: Vec<Suspect> = joint
        .label_errors(probabilities, targets)
        .into_iter()
        .map(|LabelError { sample, given, suggested, score }| Suspect {
            row: sample as u32,
            kind: Kind::Label,
            given,
            suggested,
            score,
        })
        .collect();
    let near = neighbours(&rows, NEIGHBOURS, seed);
    for (row, near) in (0..).zip(&near) {
        let given = targets[row as usize];
        let twin = near
            .iter()
            .find(|near| near.squared_distance < NEAR_DUPLICATE && targets[near.row as usize] != given);
        if let Some(twin) = twin {
            let suggested = targets[twin.row as usize];
            let p = |class: u32| f64::from(probabilities[row as usize * num_classes + class as usize]);
            let score = (1.0 - p(given) + p(suggested)) / 2.0;
            found.push(Suspect { row, kind: Kind::Duplicate, given, suggested, score });
        }
    }
    let distances: Vec<f64> = near
        .iter()
        .map(|near| near.get(OUTLIER_NEIGHBOUR - 1).map_or(0.0, |near| near.squared_distance.sqrt()))
        .collect();
    if let Some(fence) = fence(&distances) {
        for (row, &distance) in (0..).zip(&distances).filter(|&(_, &distance)| distance > fence) {
            let given = targets[row as usize];
            let (kind, score) = (Kind::Outlier, 1.0 - fence / distance);
            found.push(Suspect { row, kind, given, suggested: given, score });
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)).then(a.kind.cmp(&b.kind)));
    found
}

/// The distance above which an image is an outlier; none if there are no distances above 0.
fn fence(distances: &[f64]) -> Option<f64> {
    let mut logarithms: Vec<f64> =
        distances.iter().filter(|&&distance| distance > 0.0).map(|distance| distance.ln()).collect();
    if logarithms.len() < 4 {
        return None;
    }
    logarithms.sort_by(f64::total_cmp);
    let quartile = |share: usize| logarithms[share * (logarithms.len() - 1) / 4];
    let (low, high) = (quartile(1), quartile(3));
    Some((high + FAR_OUT * (high - low)).exp())
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::*;
    use crate::folds::out_of_sample;

    /// Three groups of 60 rows; row 7 has a wrong label, row 9 is a twin of row 10 of another class, and the
    /// last row is far from all.
    fn data() -> (Vec<f32>, Vec<u32>) {
        let mut stream = Stream::new(5, Purpose::Weights, &[0]);
        let mut targets: Vec<u32> = (0..181).map(|row| row % 3).collect();
        let mut values: Vec<f32> = targets
            .iter()
            .flat_map(|&target| (0..6).map(move |at| if at == target { 5.0 } else { 0.0 }))
            .map(|mean| mean + stream.normal())
            .collect();
        targets[7] = 2;
        let twin: Vec<f32> = values[60..66].to_vec();
        values[54..60].copy_from_slice(&twin);
        values[1080..].copy_from_slice(&[40.0, -90.0, 0.0, 60.0, 0.0, 0.0]);
        (values, targets)
    }

    #[test]
    fn wrong_labels_twins_and_outliers_are_found_and_little_else() {
        let (values, targets) = data();
        let scaled = Rows::new(&values, 6).scaled();
        let rows = Rows::new(&scaled, 6);
        let probabilities = out_of_sample(&rows, &targets, 3, 5, 0, &|| false).unwrap().probabilities;
        let labelled = Labelled { rows, targets: &targets, probabilities: &probabilities, num_classes: 3 };
        let found = suspects(&labelled, 0);
        let of_kind = |kind| -> Vec<u32> {
            found.iter().filter(|found| found.kind == kind).map(|found| found.row).collect()
        };
        assert!(of_kind(Kind::Label).contains(&7), "{found:?}");
        // Row 9 shows what row 10 shows: its label is the wrong one of the two, and comes first.
        assert_eq!(of_kind(Kind::Duplicate), [9, 10]);
        assert!(of_kind(Kind::Outlier) == [180], "{found:?}");
        assert!(found.len() <= 8, "{found:?}");
        let seventh = found.iter().find(|found| found.row == 7).unwrap();
        assert_eq!((seventh.given, seventh.suggested), (2, 1));
        assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        assert!(found.iter().all(|found| (0.0..=1.0).contains(&found.score)));
    }

    #[test]
    fn equal_images_have_no_outliers() {
        assert_eq!(fence(&[0.0; 9]), None);
        assert!(fence(&[1.0; 9]).unwrap() > 0.999);
    }
}
