//! CSV manifests: `path,label` or `path,label,split`, one image a line, paths relative to the CSV.

use std::path::Path;

use crate::classes::natural::natural_order;
use crate::error::DataError;
use crate::options::SplitBy;
use crate::readers::listing::{Listed, Listing, Pictures, check_trained};
use crate::split::Split;

struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
}

pub(crate) fn list(manifest: &Path, split_by: SplitBy) -> Result<Listing, DataError> {
    let file = std::fs::File::open(manifest).map_err(|error| DataError::io(manifest, error))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|error| line_error(manifest, &error))?.clone();
    let columns = find_columns(manifest, &header)?;
    let folder = manifest.parent().unwrap_or(Path::new(""));

    let (mut samples, mut labels, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(|error| line_error(manifest, &error))?;
        let line = || line_of(manifest, record.position());
        let wrong = |reason| DataError::ManifestLine { path: manifest.to_owned(), line: line(), reason };
        let field = |column: usize, name: &str| match record.get(column) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(wrong(format!("the {name} is empty"))),
        };
        let id = field(columns.path, "path")?;
        let label = field(columns.label, "label")?;
        let split = match columns.split {
            None => None,
            Some(column) => {
                let name = field(column, "split")?;
                let split = name.parse::<Split>();
                Some(split.map_err(|_| wrong(format!("split {name:?} must be train, val or test")))?)
            }
        };
        let path = folder.join(id);
        if !path.is_file() {
            return Err(wrong(format!("no such file: {}", path.display())));
        }
        // The target is set below, when all labels are known.
        samples.push(Listed { id: id.to_owned(), target: None, split, row: paths.len() as u32 });
        labels.push(label.to_owned());
        paths.push(path);
    }
    if samples.is_empty() {
        let hint = "list one image a line below `path,label`".to_owned();
        return Err(DataError::Empty { path: manifest.to_owned(), what: "lines with images", hint });
    }
    let mut classes = labels.clone();
    classes.sort_by(|a, b| natural_order(a, b));
    classes.dedup();
    for (listed, label) in samples.iter_mut().zip(&labels) {
        let position = classes.binary_search_by(|class| natural_order(class, label));
        listed.target = Some(position.unwrap_or_default() as u32);
    }
    check_trained(manifest, &classes, &samples, split_by)?;
    let pictures = Pictures::Files(paths);
    Ok(Listing { kind: "CSV manifest", classes, samples, pictures, notes: Vec::new() })
}

fn find_columns(manifest: &Path, header: &csv::StringRecord) -> Result<Columns, DataError> {
    let needed = |column: &'static str| {
        position(header, column).ok_or_else(|| DataError::MissingColumn {
            path: manifest.to_owned(),
            column,
            found: header.iter().collect::<Vec<_>>().join(", "),
            expected: "`path,label` or `path,label,split`",
        })
    };
    Ok(Columns { path: needed("path")?, label: needed("label")?, split: position(header, "split") })
}

/// The column of this name. Spreadsheets put a byte order mark before the first one.
pub(crate) fn position(header: &csv::StringRecord, name: &str) -> Option<usize> {
    header.iter().position(|found| found.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
}

/// The line of a record, from 1. A record's own position is before the empty lines that the reader skips.
pub(crate) fn line_of(file: &Path, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let bytes = std::fs::read(file).unwrap_or_default();
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
    let skipped = bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.filter(|&&byte| byte == b'\n').count() as u64
}

pub(crate) fn line_error(manifest: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns where the first line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    DataError::ManifestLine { path: manifest.to_owned(), line, reason }
}
