//! Classes whose names are numbers.

use std::path::Path;

use crate::error::DataError;

/// Class names "0", "1", … for labels that are numbers, after a check of the labels.
///
/// The largest training label decides the number of classes. A label above it, a negative one, or one
/// that leaves a gap below it (no other sample has the label in between) is out of range: a stray 255
/// must not make 256 classes.
pub(crate) fn numbered_classes<'a>(
    parts: impl Iterator<Item = (&'a Path, &'a [i64])> + Clone,
) -> Result<Vec<String>, DataError> {
    let mut seen: Vec<i64> = parts.clone().flat_map(|(_, labels)| labels.iter().copied()).collect();
    seen.sort_unstable();
    seen.dedup();
    let trained = parts.clone().next().and_then(|(_, labels)| labels.iter().copied().max()).unwrap_or(-1);
    seen.retain(|&label| label >= 0);
    let contiguous = seen.iter().zip(0..).take_while(|&(&label, expected)| label == expected).count() as i64;
    let num_classes = contiguous.min(trained.saturating_add(1));
    for (path, labels) in parts {
        if let Some(index) = labels.iter().position(|label| !(0..num_classes).contains(label)) {
            let hint = match num_classes {
                0 => "labels must be 0 to C-1 without gaps".to_owned(),
                count => format!(
                    "labels must be 0 to C-1 without gaps, and those of training go from 0 to {}",
                    count - 1
                ),
            };
            return Err(DataError::LabelOutOfRange {
                path: path.to_owned(),
                label: labels[index],
                index: index as u64,
                hint,
            });
        }
    }
    Ok((0..num_classes).map(|class| class.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(train: &[i64], test: &[i64]) -> Result<Vec<String>, DataError> {
        numbered_classes([(Path::new("train"), train), (Path::new("test"), test)].into_iter())
    }

    #[test]
    fn labels_with_a_gap_or_below_zero_or_unknown_to_training_are_refused() {
        assert_eq!(classes(&[1, 0, 2], &[0]).unwrap(), ["0", "1", "2"]);
        let cases: [(&[i64], &[i64], &str); 5] = [
            (&[0, 1, 255], &[0], "train: label 255 at index 2"),
            (&[0, -1], &[0], "train: label -1 at index 1"),
            (&[0, 1], &[1, 2], "test: label 2 at index 1"),
            (&[1, 2], &[1], "train: label 1 at index 0"),
            (&[0, i64::MAX], &[0], "train: label 9223372036854775807 at index 1"),
        ];
        for (train, test, start) in cases {
            let message = classes(train, test).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn a_class_that_training_lacks_in_the_middle_is_no_gap_when_test_has_it() {
        assert_eq!(classes(&[0, 2], &[0, 1, 2]).unwrap().len(), 3);
    }
}
