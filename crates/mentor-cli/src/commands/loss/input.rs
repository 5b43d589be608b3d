//! Samples of `mentor loss`, from flags or from a CSV file.

use std::path::Path;

use anyhow::anyhow;

use mentor_data::shown_path;

use crate::terminal::error::Failure;

/// The scores of one sample and its class.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) scores: Vec<f64>,
    pub(super) target: usize,
    /// Where it was written, for messages.
    pub(super) origin: String,
    /// Whether that is a file.
    pub(super) from_file: bool,
}

/// One sample for each `--scores` and `--target`.
pub(super) fn from_flags(scores: &[String], targets: &[usize]) -> Result<Vec<Sample>, Failure> {
    if scores.len() != targets.len() {
        let error = anyhow!("{} --scores and {} --target do not pair up", scores.len(), targets.len());
        return Err(Failure::usage(error).help("give one --target for each --scores"));
    }
    let sample = |(text, &target): (&String, &usize)| {
        let scores = text.split(',').map(number).collect::<Result<_, _>>().map_err(|cell| {
            let error = anyhow!("--scores {text:?}: {cell:?} is not a number");
            Failure::usage(error).help("separate the scores by commas, such as --scores \"3.2,5.1,-1.7\"")
        })?;
        Ok(Sample {
            scores,
            target,
            origin: format!("--scores {text:?} --target {target}"),
            from_file: false,
        })
    };
    scores.iter().zip(targets).map(sample).collect()
}

/// One sample a row. A first row that is not all numbers names the columns.
pub(super) fn from_csv(path: &Path) -> Result<Vec<Sample>, Failure> {
    let place = |line: u64| format!("{}:{line}", shown_path(path));
    let data = |message: String| Failure::data(anyhow!(message));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| Failure::data(error).context(format!("{}: cannot be read", shown_path(path))))?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut target_column = None;
    let mut num_columns = None;
    for (index, record) in reader.records().enumerate() {
        let record = record
            .map_err(|error| Failure::data(error).context(format!("{}: is not CSV", shown_path(path))))?;
        let line = record.position().map_or(index as u64 + 1, csv::Position::line);
        let columns = *num_columns.get_or_insert(record.len());
        if columns < 2 {
            let failure = data(format!("{}: has one column", place(line)));
            return Err(failure.help("write scores and a target in each row"));
        }
        if record.len() != columns {
            let message =
                format!("{}: {} columns where the first row has {columns}", place(line), record.len());
            return Err(data(message));
        }
        if index == 0 && record.iter().any(|cell| number(cell).is_err()) {
            target_column = record.iter().position(|name| name == "target");
            continue;
        }
        let target_column = target_column.unwrap_or(columns - 1);
        let mut scores = Vec::with_capacity(columns - 1);
        for (column, cell) in record.iter().enumerate().filter(|&(column, _)| column != target_column) {
            let score = number(cell).map_err(|cell| {
                data(format!("{}: column {}: {cell:?} is not a number", place(line), column + 1))
            })?;
            scores.push(score);
        }
        let target = record[target_column].parse().map_err(|_| {
            let cell = &record[target_column];
            data(format!(
                "{}: the target {cell:?} is not the index of a class, 0 to {}",
                place(line),
                scores.len() - 1
            ))
        })?;
        samples.push(Sample { scores, target, origin: place(line), from_file: true });
    }
    if samples.is_empty() {
        let failure = data(format!("{}: holds no samples", shown_path(path)));
        return Err(failure.help("write one a row, scores and then the target"));
    }
    Ok(samples)
}

/// The number in a cell, or the cell.
fn number(cell: &str) -> Result<f64, String> {
    cell.trim().parse().map_err(|_| cell.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Result<Vec<Sample>, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores.csv");
        std::fs::write(&path, text).unwrap();
        from_csv(&path)
    }

    #[test]
    fn the_target_is_the_last_column_or_the_one_named_so() {
        for text in [
            "3.2,5.1,-1.7,0\n",
            "cat,car,frog,y\n3.2,5.1,-1.7,0\n",
            "target,cat,car,frog\n0, 3.2, 5.1, -1.7\n",
        ] {
            let samples = csv(text).unwrap();
            assert_eq!(
                (samples[0].scores.as_slice(), samples[0].target),
                ([3.2, 5.1, -1.7].as_slice(), 0),
                "{text}"
            );
        }
    }

    #[test]
    fn rows_that_cannot_be_used_are_refused() {
        for text in ["", "a,b,target\n", "1,2,0\n1,2\n", "1,2,0\n1,x,0\n", "1,2,0.5\n", "1,2,-1\n", "7\n"] {
            assert!(csv(text).is_err(), "{text:?}");
        }
    }
}
