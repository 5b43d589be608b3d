//! Images in Parquet files, as Hugging Face's `datasets` writes them: a column `image` of bytes, or of a
//! struct with `bytes` and `path`, and a column `label` of text or of class indices whose names the file
//! states.

mod columns;
mod store;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use self::columns::Table;
use self::store::TableStore;
use crate::error::DataError;
use crate::options::{Limits, OpenOptions};
use crate::readers::listing::{Format, Listing, Pictures, has_extension};
use crate::readers::named::{self, Named};
use crate::readers::shard_files::{shard_files, splits_of};
use crate::readers::tree::LeftOuts;

const KIND: &str = "Parquet table";

pub(crate) const FORMAT: Format = Format {
    recognises: |path| !files(path).is_empty(),
    list: |path, options, purpose| {
        let (images, pictures) = open(path, &options.limits)?;
        if images.iter().all(|image| image.label.is_none()) {
            return Err(DataError::MissingColumn {
                path: path.to_owned(),
                column: "label",
                found: "image".to_owned(),
                expected: "that of a table with the columns image and label",
            });
        }
        named::list(path, KIND, &images, pictures, LeftOuts::default(), options, purpose)
    },
};

/// The Parquet files that a path or pattern means.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    shard_files(path, |path| has_extension(path, &["parquet"]))
}

/// The listing without labels; `None` if the table has labels.
pub(crate) fn list_unlabelled(path: &Path, options: &OpenOptions) -> Result<Option<Listing>, DataError> {
    let (images, pictures) = open(path, &options.limits)?;
    if images.iter().any(|image| image.label.is_some()) {
        return Ok(None);
    }
    named::list_unlabelled(path, &images, pictures, LeftOuts::default()).map(Some)
}

fn open(path: &Path, limits: &Limits) -> Result<(Vec<Named>, Pictures), DataError> {
    let files = files(path);
    let splits = splits_of(&files);
    let tables: Vec<Result<Table, DataError>> =
        files.par_iter().map(|file| Table::read(file, limits)).collect();
    let tables = tables.into_iter().collect::<Result<Vec<_>, DataError>>()?;
    let num_rows: u64 = tables.iter().map(|table| table.rows.len() as u64).sum();
    if num_rows > u64::from(u32::MAX) {
        let reason = format!("{num_rows} rows, at most {} are possible", u32::MAX);
        return Err(DataError::Damaged { path: path.to_owned(), reason });
    }
    let rows = || tables.iter().flat_map(|table| &table.rows);
    let mut names = HashSet::new();
    // Names of files alone, without their folders, may occur in several classes.
    let named = rows().all(|row| row.name.as_deref().is_some_and(|name| names.insert(name)));
    let mut images = Vec::with_capacity(num_rows as usize);
    for (table, split) in tables.iter().zip(splits) {
        let file = table.path.file_name().unwrap_or_default().to_string_lossy();
        for (place, row) in table.rows.iter().enumerate() {
            let name = match &row.name {
                Some(name) if named => name.clone(),
                _ => format!("{file}:{place:08}"),
            };
            images.push(Named { name, label: row.label.clone(), split: row.split.or(split) });
        }
    }
    let store = TableStore::new(tables);
    Ok((images, Pictures::Encoded(Arc::new(store))))
}
