//! Classes of labels that are numbers.

use std::path::Path;

use crate::error::DataError;
use crate::options::Purpose;

/// The numbers that are classes, in order; each is its class's name.
#[derive(Debug)]
pub(crate) struct NumberedClasses {
    labels: Vec<i64>,
}

impl NumberedClasses {
    /// Checks the labels of all parts of a data set, training first.
    ///
    /// For training, labels are 0 to C-1 or, as in EMNIST's letters, 1 to C. The largest training label
    /// decides C. A label above it, a negative one, or one that leaves a gap below it (no other sample has
    /// the label in between) is out of range: a stray 255 must not make 256 classes. For evaluation any
    /// numbers from 0 are classes.
    pub(crate) fn of<'a>(
        parts: impl Iterator<Item = (&'a Path, &'a [i64])> + Clone,
        purpose: Purpose,
    ) -> Result<Self, DataError> {
        let mut seen: Vec<i64> = parts.clone().flat_map(|(_, labels)| labels.iter().copied()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.retain(|&label| label >= 0);
        let (mut trained, mut missing) = (None, 0);
        if purpose == Purpose::Training {
            trained = parts.clone().next().and_then(|(_, labels)| labels.iter().copied().max());
            let first = i64::from(seen.first() == Some(&1));
            let fits = |(&label, expected): (&i64, i64)| {
                label == expected && Some(label) <= trained.filter(|&trained| trained >= 0)
            };
            let num_classes = seen.iter().zip(first..).take_while(|&pair| fits(pair)).count();
            seen.truncate(num_classes);
            missing = first + num_classes as i64;
        }
        let classes = Self { labels: seen };
        for (path, labels) in parts {
            if let Some(index) = labels.iter().position(|label| classes.labels.binary_search(label).is_err())
            {
                let (label, index) = (labels[index], index as u64);
                let why = match trained {
                    _ if label < 0 => "no label may be below 0".to_owned(),
                    Some(largest) if label > largest => format!("those of training end at {largest}"),
                    _ => format!("no image has the label {missing}"),
                };
                let hint = match purpose {
                    Purpose::Evaluation => "labels of classes are 0 or more".to_owned(),
                    Purpose::Training => format!("labels must be 0 to C-1 or 1 to C without gaps, and {why}"),
                };
                return Err(DataError::LabelOutOfRange { path: path.to_owned(), label, index, hint });
            }
        }
        Ok(classes)
    }

    /// Names of the classes.
    pub(crate) fn names(&self) -> Vec<String> {
        self.labels.iter().map(ToString::to_string).collect()
    }

    /// The class of a label that was checked.
    pub(crate) fn target(&self, label: i64) -> u32 {
        self.labels.binary_search(&label).unwrap_or_default() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(train: &[i64], test: &[i64]) -> Result<Vec<String>, DataError> {
        let parts = [(Path::new("train"), train), (Path::new("test"), test)];
        Ok(NumberedClasses::of(parts.into_iter(), Purpose::Training)?.names())
    }

    #[test]
    fn labels_with_a_gap_or_below_zero_or_unknown_to_training_are_refused() {
        assert_eq!(classes(&[1, 0, 2], &[0]).unwrap(), ["0", "1", "2"]);
        let cases: [(&[i64], &[i64], &str); 7] = [
            (&[0, 1, 255], &[0], "train: label 255 at index 2"),
            (&[0, -1], &[0], "train: label -1 at index 1"),
            (&[0, 1], &[1, 2], "test: label 2 at index 1"),
            (&[2, 3], &[2], "train: label 2 at index 0"),
            (&[1, 2, 4], &[1], "train: label 4 at index 2"),
            (&[0, i64::MAX], &[0], "train: label 9223372036854775807 at index 1"),
            (&[-1, -2], &[0], "train: label -1 at index 0"),
        ];
        for (train, test, start) in cases {
            let message = classes(train, test).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn the_reason_is_that_of_the_label() {
        let cases: [(&[i64], &[i64], &str); 5] = [
            (&[0, 5], &[0], "no image has the label 1"),
            (&[-1, 0], &[0], "no label may be below 0"),
            (&[1, 2, 4], &[1], "no image has the label 3"),
            (&[2, 3], &[2], "no image has the label 0"),
            (&[0, 1], &[2], "those of training end at 1"),
        ];
        for (train, test, end) in cases {
            let help = classes(train, test).unwrap_err().help();
            assert!(help[0].ends_with(end), "{help:?}");
        }
    }

    #[test]
    fn a_class_that_training_lacks_in_the_middle_is_no_gap_when_test_has_it() {
        assert_eq!(classes(&[0, 2], &[0, 1, 2]).unwrap().len(), 3);
    }

    #[test]
    fn labels_may_begin_with_one() {
        assert_eq!(classes(&[2, 1, 3], &[1]).unwrap(), ["1", "2", "3"]);
    }

    #[test]
    fn for_evaluation_any_numbers_are_classes_by_their_names() {
        let labels: &[i64] = &[7, 2, 7];
        let parts = [(Path::new("test"), labels)];
        let found = NumberedClasses::of(parts.into_iter(), Purpose::Evaluation).unwrap();
        assert_eq!(found.names(), ["2", "7"]);
        assert_eq!([found.target(7), found.target(2)], [1, 0]);
        let negative: &[i64] = &[0, -3];
        let parts = [(Path::new("test"), negative)];
        assert!(NumberedClasses::of(parts.into_iter(), Purpose::Evaluation).is_err());
    }
}
