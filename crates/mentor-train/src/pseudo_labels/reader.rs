//! Reads files of pseudo-labels, a row group at a time.

use std::path::{Path, PathBuf};

use mentor_data::catch_panic;
use mentor_run::files::{io, open_named};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArrayType, DataType, FixedLenByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use super::manifest::{LabelsHeader, Manifest, header_difference};
use super::pages::{PlainPages, Whole};
use super::schema::{HEADER_KEY, LabelsError, damaged, schema};

/// One labelled image. Label and confidence are not repeated here: they follow from the scores.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelRow {
    /// The image.
    pub id: String,
    /// blake3 of its bytes.
    pub image_blake3: [u8; 32],
    /// One score a class.
    pub scores: Vec<f32>,
}

/// Files of one teacher that together label all images.
#[derive(Clone, Debug)]
pub struct LabelSet {
    header: LabelsHeader,
    /// In the order of the shards.
    files: Vec<(PathBuf, Manifest)>,
}

impl LabelSet {
    /// Opens a file, or all `.parquet` files of a folder, and checks that each is intact byte for byte, that
    /// they are of one teacher, and that no shard is missing.
    ///
    /// # Errors
    ///
    /// One for each of these conditions; see [`LabelsError`].
    pub fn open(path: &Path) -> Result<Self, LabelsError> {
        let mut paths = Vec::new();
        if path.is_dir() {
            for entry in path.read_dir().map_err(io(path, "read"))? {
                let entry = entry.map_err(io(path, "read"))?.path();
                if entry.extension().is_some_and(|extension| extension == "parquet") {
                    paths.push(entry);
                }
            }
            paths.sort();
        } else {
            paths.push(path.to_owned());
        }
        let mut files: Vec<(PathBuf, Manifest)> = Vec::with_capacity(paths.len());
        for file in paths {
            let manifest = Manifest::verify(&file)?;
            if let Some((first, known)) = files.first() {
                same_header(first, known, &file, &manifest)?;
            }
            files.push((file, manifest));
        }
        let Some((_, Manifest { header, .. })) = files.first() else {
            return Err(LabelsError::None { path: path.to_owned() });
        };
        let header = header.clone();
        files.sort_by_key(|(_, manifest)| manifest.shard.index);
        complete(path, &files)?;
        Ok(Self { header, files })
    }

    /// What the labels are of.
    pub fn header(&self) -> &LabelsHeader {
        &self.header
    }

    /// Images.
    pub fn num_rows(&self) -> u64 {
        self.files.iter().fold(0, |sum, (_, manifest)| sum.saturating_add(manifest.num_rows))
    }

    /// All rows, in the order in which they were written, shard after shard. Holds one row group in memory.
    pub fn rows(&self) -> LabelRows<'_> {
        LabelRows { set: self, next_file: 0, file: None, next_group: 0, rows: Vec::new().into_iter() }
    }
}

fn same_header(first: &Path, known: &Manifest, other: &Path, manifest: &Manifest) -> Result<(), LabelsError> {
    let (first, other) = (first.to_owned(), other.to_owned());
    if known.header.teacher_blake3 != manifest.header.teacher_blake3 {
        return Err(LabelsError::MixedTeachers {
            first,
            first_teacher: known.header.teacher_blake3.clone(),
            other,
            other_teacher: manifest.header.teacher_blake3.clone(),
        });
    }
    let number = (known.shard.count != manifest.shard.count).then_some("number of shards");
    match header_difference(&known.header, &manifest.header).or(number) {
        Some(field) => Err(LabelsError::Mixed { first, other, field }),
        None => Ok(()),
    }
}

/// Every shard once. The files are sorted by their shards and agree on the count.
fn complete(path: &Path, files: &[(PathBuf, Manifest)]) -> Result<(), LabelsError> {
    let count = files.first().map_or(0, |(_, manifest)| manifest.shard.count);
    let incomplete = |index: u32, problem, help| {
        let shard = format!("{index}/{count}");
        Err(LabelsError::Incomplete { path: path.to_owned(), shard, problem, help })
    };
    let mut expected = 0;
    for (_, manifest) in files {
        match manifest.shard.index {
            index if index < expected => return incomplete(index, "there twice", "remove one of the files"),
            index if index > expected => break,
            _ => expected += 1,
        }
    }
    match expected == count {
        true => Ok(()),
        false => incomplete(expected, "missing", "run mentor label for it"),
    }
}

/// See [`LabelSet::rows`]. Ends after the first error.
pub struct LabelRows<'a> {
    set: &'a LabelSet,
    next_file: usize,
    file: Option<(Whole, SerializedFileReader<Whole>)>,
    next_group: usize,
    rows: std::vec::IntoIter<LabelRow>,
}

impl LabelRows<'_> {
    /// The next row group with rows; `false` at the end.
    fn advance(&mut self) -> Result<bool, LabelsError> {
        loop {
            let Some((whole, file)) = &self.file else {
                let Some((path, manifest)) = self.set.files.get(self.next_file) else { return Ok(false) };
                self.file = Some(open(path, manifest)?);
                (self.next_file, self.next_group) = (self.next_file + 1, 0);
                continue;
            };
            if self.next_group == file.num_row_groups() {
                self.file = None;
                continue;
            }
            let path = &self.set.files[self.next_file - 1].0;
            let num_classes = self.set.header.classes.len();
            let rows = guarded(|| read_group(whole, &*file.get_row_group(self.next_group)?, num_classes));
            self.rows = rows.map_err(damaged(path))?.into_iter();
            self.next_group += 1;
            return Ok(true);
        }
    }
}

impl Iterator for LabelRows<'_> {
    type Item = Result<LabelRow, LabelsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.next_file = self.set.files.len();
                    self.file = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A panic of the library is one damaged file.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_panic(read)
        .unwrap_or_else(|reason| Err(ParquetError::General(format!("its reader failed ({reason})"))))
}

fn open(path: &Path, manifest: &Manifest) -> Result<(Whole, SerializedFileReader<Whole>), LabelsError> {
    let file = open_named(path, u64::MAX)?;
    let num_bytes = file.metadata().map_err(io(path, "read"))?.len();
    let whole = Whole::new(file, num_bytes);
    whole.check_footer().map_err(damaged(path))?;
    let file = guarded(|| SerializedFileReader::new(whole.clone())).map_err(damaged(path))?;
    let metadata = file.metadata().file_metadata();
    let wrong = |reason: &str| Err(LabelsError::Damaged { path: path.to_owned(), reason: reason.to_owned() });
    if metadata.schema() != &*schema() {
        return wrong("it has other columns than a file of pseudo-labels");
    }
    let header = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == HEADER_KEY))
        .and_then(|pair| serde_json::from_str::<LabelsHeader>(pair.value.as_ref()?).ok());
    if header.as_ref() != Some(&manifest.header) {
        return wrong("its header is not that of its manifest");
    }
    if metadata.num_rows() != i64::try_from(manifest.num_rows).unwrap_or(-1) {
        return wrong("it has another number of rows than its manifest says");
    }
    let groups = file.metadata().row_groups().iter();
    let in_groups = groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
    if in_groups.fold(0, u64::saturating_add) != manifest.num_rows {
        return wrong("its row groups have another number of rows than it");
    }
    Ok((whole, file))
}

fn read_group(
    whole: &Whole,
    group: &dyn RowGroupReader,
    num_classes: usize,
) -> Result<Vec<LabelRow>, ParquetError> {
    for column in group.metadata().columns().iter().take(3) {
        let (start, num_bytes) = column.byte_range();
        whole.check_pages(start, num_bytes)?;
    }
    let num_rows = usize::try_from(group.metadata().num_rows())?;
    let (ids, _) = read_column::<ByteArrayType>(group, 0, num_rows, num_rows)?;
    let (images, _) = read_column::<FixedLenByteArrayType>(group, 1, num_rows, num_rows)?;
    let num_scores = num_rows.saturating_mul(num_classes);
    let (scores, levels) = read_column::<FloatType>(group, 2, num_rows, num_scores)?;
    // Level 0 begins a row.
    let whole = |(index, &level): (usize, &i16)| (level == 0) == index.is_multiple_of(num_classes);
    if levels.len() != num_scores || !levels.iter().enumerate().all(whole) {
        return Err(ParquetError::General("an image has another number of scores than classes".to_owned()));
    }
    let rows = ids.into_iter().zip(images).zip(scores.chunks_exact(num_classes.max(1)));
    rows.map(|((id, image), scores)| {
        let image_blake3 = image.data().try_into().map_err(|_| {
            ParquetError::General(format!("an image's hash has {} bytes, not 32", image.data().len()))
        })?;
        Ok(LabelRow { id: id.as_utf8()?.to_owned(), image_blake3, scores: scores.to_vec() })
    })
    .collect()
}

/// The values of a column with their repetition levels, which only a list has.
fn read_column<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    num_rows: usize,
    num_values: usize,
) -> Result<(Vec<T::T>, Vec<i16>), ParquetError> {
    let pages = PlainPages::new(group.get_column_page_reader(column)?, num_values);
    let description = group.metadata().column(column).column_descr_ptr();
    let mut reader = ColumnReaderImpl::<T>::new(description, Box::new(pages));
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = 0;
    while found < num_rows {
        let (records, ..) = reader.read_records(
            num_rows - found,
            Some(&mut definition),
            Some(&mut repetition),
            &mut values,
        )?;
        if records == 0 {
            break;
        }
        found += records;
    }
    if (found, values.len()) == (num_rows, num_values) {
        return Ok((values, repetition));
    }
    let found = values.len();
    Err(ParquetError::General(format!("column {column} holds {found} values where {num_values} belong")))
}
