//! The bytes of images in Parquet files. A read goes on from the place of an earlier one if it can; otherwise
//! it begins at the row group and passes over whole pages without unpacking them.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mentor_codec::Fault;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;

use super::columns::{Table, guarded};
use crate::error::DataError;
use crate::options::Limits;
use crate::readers::encoded::EncodedImages;

/// Places that are kept for each thread. Each holds a page and the column's dictionary.
const CURSORS_PER_THREAD: usize = 2;

/// The images of several tables.
pub(super) struct TableStore {
    tables: Vec<Table>,
    /// Of each table the row at which it begins, and the number of all rows.
    starts: Vec<usize>,
    /// The last one was used last.
    cursors: Mutex<Vec<Cursor>>,
}

/// A place in the column of a row group.
struct Cursor {
    table: usize,
    group: usize,
    /// The row of the group that is read next.
    next: usize,
    reader: ColumnReaderImpl<ByteArrayType>,
}

impl TableStore {
    pub(super) fn new(tables: Vec<Table>) -> Self {
        let mut starts = vec![0];
        for table in &tables {
            starts.push(starts[starts.len() - 1] + table.rows.len());
        }
        Self { tables, starts, cursors: Mutex::default() }
    }

    /// The table of a row, and the row in it.
    fn place(&self, row: usize) -> (usize, usize) {
        let table = self.starts.partition_point(|&start| start <= row) - 1;
        (table, row - self.starts[table])
    }

    /// The best cursor for a row: the one that has to pass over the fewest rows.
    fn take(&self, table: usize, group: usize, row: usize) -> Option<Cursor> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |cursor: &Cursor| (cursor.table, cursor.group) == (table, group) && cursor.next <= row;
        let places = (0..cursors.len()).filter(|&place| fits(&cursors[place]));
        let best = places.max_by_key(|&place| cursors[place].next)?;
        Some(cursors.remove(best))
    }

    fn give_back(&self, cursor: Cursor) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() >= CURSORS_PER_THREAD * rayon::current_num_threads() {
            cursors.remove(0);
        }
        cursors.push(cursor);
    }

    fn read(&self, table: usize, mut row: usize) -> Result<Option<ByteArray>, DataError> {
        let Table { path, metadata, column, .. } = &self.tables[table];
        let mut group = 0;
        while row >= metadata.row_group(group).num_rows() as usize {
            row -= metadata.row_group(group).num_rows() as usize;
            group += 1;
        }
        let found = self.take(table, group, row);
        let file = match found {
            None => Some(File::open(path).map_err(|error| DataError::io(path, error))?),
            Some(_) => None,
        };
        guarded(path, || {
            let mut cursor = match (found, file) {
                (Some(cursor), _) => cursor,
                (None, file) => {
                    let file = file.ok_or_else(|| ParquetError::General("no file".to_owned()))?;
                    let chunk = metadata.row_group(group);
                    let num_rows = chunk.num_rows() as usize;
                    let pages =
                        SerializedPageReader::new(Arc::new(file), chunk.column(*column), num_rows, None)?;
                    let description = metadata.file_metadata().schema_descr().column(*column);
                    let reader = ColumnReaderImpl::new(description, Box::new(pages));
                    Cursor { table, group, next: 0, reader }
                }
            };
            let skipped = cursor.reader.skip_records(row - cursor.next)?;
            let (mut values, mut levels) = (Vec::with_capacity(1), Vec::with_capacity(1));
            let (read, ..) = cursor.reader.read_records(1, Some(&mut levels), None, &mut values)?;
            if skipped != row - cursor.next || read != 1 {
                return Err(ParquetError::EOF(format!("row {row} of row group {group} is missing")));
            }
            cursor.next = row + 1;
            self.give_back(cursor);
            Ok(values.pop())
        })
    }
}

impl EncodedImages for TableStore {
    fn len(&self) -> usize {
        self.starts[self.tables.len()]
    }

    fn bytes(&self, row: usize, limits: &Limits) -> Result<Result<Vec<u8>, Fault>, DataError> {
        let (table, row) = self.place(row);
        Ok(match self.read(table, row)? {
            None => {
                let reason = "the table has no bytes of it".to_owned();
                Err(Fault::Unreadable { reason, advice: "write the images themselves into the table" })
            }
            Some(bytes) if bytes.len() as u64 > limits.max_file_bytes => {
                let reason = format!("{} bytes are over the limit of {}", bytes.len(), limits.max_file_bytes);
                Err(Fault::Unreadable { reason, advice: "raise data.options.limits.max_file_bytes" })
            }
            Some(bytes) => Ok(bytes.data().to_vec()),
        })
    }

    fn path(&self, row: usize) -> PathBuf {
        let (table, row) = self.place(row);
        let Table { path, rows, .. } = &self.tables[table];
        match &rows[row].name {
            Some(name) => path.join(name),
            None => format!("{}:{row}", path.display()).into(),
        }
    }
}

impl fmt::Debug for TableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableStore").field("tables", &self.tables.len()).finish_non_exhaustive()
    }
}
