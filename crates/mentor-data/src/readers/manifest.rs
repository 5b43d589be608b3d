//! Manifests: tables with the columns `path`, `label` and perhaps `split`, one image a line, paths relative
//! to the manifest.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::manifest_path::{Meant, find};
use super::table::Table;
use crate::classes::names::ClassNames;
use crate::error::DataError;
use crate::notes::Note;
use crate::options::{OpenOptions, Purpose};
use crate::readers::listing::{Format, Listed, Listing, Pictures, check_trained, has_extension};
use crate::split_names;

/// Labels that tables are full of where a label is missing, in lower case.
const MISSING: [&str; 9] = ["nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "-"];

pub(crate) const FORMAT: Format = Format { recognises: |path| has_extension(path, &["csv", "tsv"]), list };

fn list(manifest: &Path, options: &OpenOptions, purpose: Purpose) -> Result<Listing, DataError> {
    let expected = "`path,label` or `path,label,split`";
    let table = Table::read(manifest, &["path", "label"], expected, &options.limits)?;
    let (path_column, label_column) = (table.column("path")?, table.column("label")?);
    let split_column = table.column("split")?;
    let folder = manifest.parent().unwrap_or(Path::new(""));

    let (mut samples, mut labels, mut lines, mut paths) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut rewritten: BTreeMap<&'static str, (usize, [String; 2])> = BTreeMap::new();
    for row in table.rows() {
        let row = row?;
        let id = row.field(path_column.unwrap_or_default(), "path")?;
        let label = row.field(label_column.unwrap_or_default(), "label")?;
        let split = match split_column {
            None => None,
            Some(column) => {
                let name = row.field(column, "split")?;
                let split = split_names::of_word(name);
                Some(split.ok_or_else(|| row.wrong(format!("split {name:?} must be train, val or test")))?)
            }
        };
        let Meant { path, how, problem } = find(folder, id, row.line)?;
        if let Some((how, read)) = how {
            rewritten.entry(how).or_insert_with(|| (0, [id.to_owned(), read])).0 += 1;
        }
        // The target is set below, when all labels are known.
        samples.push(Listed { id: id.to_owned(), target: None, split, row: paths.len() as u32, problem });
        labels.push(label.to_owned());
        lines.push(row.line);
        paths.push(path);
    }
    if samples.is_empty() {
        let hint = "list one image a line below `path,label`".to_owned();
        return Err(DataError::Empty { path: manifest.to_owned(), what: "lines with images", hint });
    }
    let names = ClassNames::of(labels.iter().map(String::as_str));
    for (listed, label) in samples.iter_mut().zip(&labels) {
        listed.target = Some(names.target(label));
    }
    let mut notes: Vec<Note> =
        table.dialect.iter().map(|dialect| Note::Dialect { dialect: dialect.clone() }).collect();
    let columns = table.other_columns(&[path_column, label_column, split_column]);
    notes.extend((!columns.is_empty()).then_some(Note::OtherColumns { columns }));
    let read = |(how, (count, example))| Note::PathsRead { how, count, example };
    notes.extend(rewritten.into_iter().map(read));
    notes.extend(names.notes());
    notes.extend(missing_labels(&labels));
    notes.extend(repeated_paths(&samples, &paths, &lines));
    let classes = names.into_names();
    if purpose == Purpose::Training {
        check_trained(manifest, &classes, &samples, options.split_by)?;
    }
    let pictures = Pictures::of_files(paths);
    Ok(Listing { kind: "CSV manifest", classes, samples, pictures, notes })
}

fn missing_labels(labels: &[String]) -> Vec<Note> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels.iter().filter(|label| MISSING.contains(&label.to_lowercase().as_str())) {
        *counts.entry(label).or_default() += 1;
    }
    counts.into_iter().map(|(class, count)| Note::MissingLabel { class: class.to_owned(), count }).collect()
}

/// A note about lines that name the file of an earlier one.
fn repeated_paths(samples: &[Listed], paths: &[PathBuf], lines: &[u64]) -> Option<Note> {
    let mut firsts: HashMap<&Path, usize> = HashMap::with_capacity(paths.len());
    let mut repeats: Vec<(usize, usize)> = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let first = *firsts.entry(path).or_insert(index);
        if first != index {
            repeats.push((first, index));
        }
    }
    let conflicts = |&&(first, later): &&(usize, usize)| samples[first].target != samples[later].target;
    let num_conflicting = repeats.iter().filter(conflicts).count();
    let &(first, later) = repeats.iter().find(conflicts).or(repeats.first())?;
    let (count, path) = (repeats.len(), samples[later].id.clone());
    Some(Note::RepeatedPaths { count, num_conflicting, path, lines: [lines[first], lines[later]] })
}
