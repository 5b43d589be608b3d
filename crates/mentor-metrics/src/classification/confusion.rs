//! Which classes are taken for which: counts of (target, predicted), kept sparse.

use serde::{Deserialize, Serialize};

/// Classes up to which a file holds the whole matrix, row by row; of more, the cells above 0 alone.
const MAX_DENSE: usize = 100;

/// A confusion matrix of C classes that grows with the samples and not with C².
///
/// As JSON it is `confusion[target][predicted]` for up to 100 classes. For more it is an object of
/// `num_classes` and three lists, `target`, `predicted` and `count`, with an entry for each cell above 0.
/// Both forms are read, whatever the number of classes.
///
/// ```
/// use mentor_metrics::classification::Confusion;
/// let found = Confusion::of(3, [(0, 0), (0, 2), (0, 2), (1, 1)]);
/// assert_eq!((found.count(0, 2), found.count(2, 2)), (2, 0));
/// assert_eq!(found.row(0).iter().map(|cell| cell.predicted).collect::<Vec<_>>(), [0, 2]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Confusion {
    num_classes: usize,
    /// By target, then by predicted class.
    cells: Vec<Cell>,
}

/// Samples of one class that were predicted as one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Index of their class.
    pub target: u32,
    /// Index of the predicted class.
    pub predicted: u32,
    /// How many, at least 1.
    pub count: u64,
}

impl Confusion {
    /// Counts pairs of a target and a predicted class.
    ///
    /// # Panics
    ///
    /// If a class is not below `num_classes`.
    pub fn of(num_classes: usize, pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
        pairs.sort_unstable();
        let below = |class: u32| (class as usize) < num_classes;
        assert!(
            pairs.iter().all(|&(target, predicted)| below(target) && below(predicted)),
            "a class too many"
        );
        let cell =
            |same: &[(u32, u32)]| Cell { target: same[0].0, predicted: same[0].1, count: same.len() as u64 };
        Self { num_classes, cells: pairs.chunk_by(|a, b| a == b).map(cell).collect() }
    }

    /// C.
    pub fn num_classes(&self) -> usize {
        self.num_classes
    }

    /// The cells above 0, by target, then by predicted class.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cells of one target that are above 0, by predicted class.
    pub fn row(&self, target: usize) -> &[Cell] {
        let first = self.cells.partition_point(|cell| (cell.target as usize) < target);
        let len = self.cells[first..].partition_point(|cell| cell.target as usize == target);
        &self.cells[first..first + len]
    }

    /// Samples of `target` that were predicted as `predicted`.
    pub fn count(&self, target: usize, predicted: usize) -> u64 {
        let row = self.row(target);
        row.iter().find(|cell| cell.predicted as usize == predicted).map_or(0, |cell| cell.count)
    }

    /// All C² counts, `[target][predicted]`.
    pub fn dense(&self) -> Vec<Vec<u64>> {
        let mut rows = vec![vec![0; self.num_classes]; self.num_classes];
        for cell in &self.cells {
            rows[cell.target as usize][cell.predicted as usize] = cell.count;
        }
        rows
    }
}

/// A matrix as files hold it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Dense(Vec<Vec<u64>>),
    Sparse { num_classes: usize, target: Vec<u32>, predicted: Vec<u32>, count: Vec<u64> },
}

impl From<Confusion> for Stored {
    fn from(confusion: Confusion) -> Self {
        if confusion.num_classes <= MAX_DENSE {
            return Self::Dense(confusion.dense());
        }
        let Confusion { num_classes, cells } = confusion;
        Self::Sparse {
            num_classes,
            target: cells.iter().map(|cell| cell.target).collect(),
            predicted: cells.iter().map(|cell| cell.predicted).collect(),
            count: cells.iter().map(|cell| cell.count).collect(),
        }
    }
}

impl TryFrom<Stored> for Confusion {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let (num_classes, mut cells) = match stored {
            Stored::Dense(rows) => {
                let mut cells = Vec::new();
                for (target, row) in (0..).zip(&rows) {
                    if row.len() != rows.len() {
                        return Err(format!("{} classes, but {} counts in a row", rows.len(), row.len()));
                    }
                    let row = (0..).zip(row);
                    cells.extend(row.map(|(predicted, &count)| Cell { target, predicted, count }));
                }
                (rows.len(), cells)
            }
            Stored::Sparse { num_classes, target, predicted, count } => {
                if target.len() != predicted.len() || target.len() != count.len() {
                    return Err("target, predicted and count differ in length".to_owned());
                }
                let cells = target.into_iter().zip(predicted).zip(count);
                (
                    num_classes,
                    cells.map(|((target, predicted), count)| Cell { target, predicted, count }).collect(),
                )
            }
        };
        cells.retain(|cell| cell.count > 0);
        cells.sort_by_key(|cell| (cell.target, cell.predicted));
        if cells.iter().any(|cell| cell.target.max(cell.predicted) as usize >= num_classes) {
            return Err(format!("a class that is not one of the {num_classes}"));
        }
        Ok(Self { num_classes, cells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(confusion: &Confusion) -> String {
        serde_json::to_string(confusion).unwrap()
    }

    #[test]
    fn few_classes_are_a_matrix_and_many_a_list_of_what_was_seen() {
        let few = Confusion::of(2, [(0, 0), (1, 0), (0, 0)]);
        assert_eq!(json(&few), "[[2,0],[1,0]]");
        let many = Confusion::of(20_000, [(19_999, 3), (7, 7), (19_999, 3)]);
        let text = json(&many);
        assert_eq!(text, r#"{"num_classes":20000,"target":[7,19999],"predicted":[7,3],"count":[1,2]}"#);
        for confusion in [few, many] {
            assert_eq!(serde_json::from_str::<Confusion>(&json(&confusion)).unwrap(), confusion);
        }
    }

    #[test]
    fn an_old_matrix_of_many_classes_is_read_and_a_damaged_one_refused() {
        let mut rows = vec![vec![0_u64; 150]; 150];
        rows[149][2] = 5;
        let read: Confusion = serde_json::from_str(&serde_json::to_string(&rows).unwrap()).unwrap();
        assert_eq!((read.num_classes(), read.count(149, 2), read.cells().len()), (150, 5, 1));
        for damaged in [
            "[[1,0],[1]]",
            r#"{"num_classes":1,"target":[1],"predicted":[0],"count":[3]}"#,
            r#"{"num_classes":3,"target":[1,2],"predicted":[0],"count":[3]}"#,
        ] {
            assert!(serde_json::from_str::<Confusion>(damaged).is_err(), "{damaged}");
        }
    }
}
