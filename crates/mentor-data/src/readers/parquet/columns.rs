//! What a Parquet file says of its images: where their bytes are, names, labels and splits.

use std::fs::File;
use std::path::{Path, PathBuf};

use mentor_codec::catch_panic;
use parquet::basic::{Compression, Type as Physical};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;

use crate::error::DataError;
use crate::options::Limits;
use crate::split::Split;
use crate::split_names;

/// Names of the column with images.
const IMAGES: [&str; 2] = ["image", "img"];

/// A Parquet file of images.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) metadata: ParquetMetaData,
    /// The column with the bytes of the images.
    pub(super) column: usize,
    pub(super) rows: Vec<Row>,
}

/// What the table says of an image.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) name: Option<String>,
    pub(super) label: Option<String>,
    pub(super) split: Option<Split>,
}

impl Table {
    /// Reads all but the images.
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|error| DataError::io(path, error))?;
        let num_bytes = file.metadata().map_err(|error| DataError::io(path, error))?.len();
        guarded(path, || {
            let file = SerializedFileReader::new(file)?;
            Ok(Self::of_file(path, &file, num_bytes, limits))
        })?
    }

    fn of_file(
        path: &Path,
        file: &SerializedFileReader<File>,
        num_bytes: u64,
        limits: &Limits,
    ) -> Result<Self, DataError> {
        let damaged = |reason: String| DataError::Damaged { path: path.to_owned(), reason };
        let metadata = file.metadata().clone();
        let schema = metadata.file_metadata().schema_descr();
        let find = |names: &[String]| {
            (0..schema.num_columns()).find(|&column| names.contains(&schema.column(column).path().string()))
        };
        let of_image = |field: &str| find(&IMAGES.map(|image| format!("{image}{field}")));
        let column = of_image(".bytes").or_else(|| of_image("")).ok_or_else(|| DataError::MissingColumn {
            path: path.to_owned(),
            column: "image",
            found: columns(schema),
            expected: "that of a table with the columns image and label",
        })?;
        let is_bytes = schema.column(column).physical_type() == Physical::BYTE_ARRAY;
        if !is_bytes || schema.column(column).max_rep_level() > 0 {
            return Err(damaged("its column image holds neither bytes nor a struct with bytes".to_owned()));
        }
        let num_rows = metadata.file_metadata().num_rows();
        let declared = metadata.row_groups().iter().map(|group| group.num_rows());
        if u64::try_from(num_rows).is_ok_and(|num_rows| num_rows > num_bytes)
            || declared.clone().any(|rows| rows < 0)
            || declared.map(i128::from).sum::<i128>() != i128::from(num_rows)
        {
            return Err(damaged(format!("its footer declares {num_rows} rows in {num_bytes} bytes")));
        }
        for group in metadata.row_groups() {
            let chunk = group.column(column);
            if !matches!(
                chunk.compression(),
                Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_)
            ) {
                let codec = chunk.compression();
                let reason = format!("its images are packed by {codec}; read are snappy, gzip and none");
                return Err(damaged(reason));
            }
            let (size, limit) = (chunk.uncompressed_size().max(0) as u64, limits.max_memory_bytes);
            if size > limit {
                let (path, what) = (path.to_owned(), "the number of bytes of a row group");
                return Err(DataError::TooLarge { path, what, size, limit, option: "max_memory_bytes" });
            }
        }
        let mut rows: Vec<Row> = Vec::new();
        rows.resize_with(num_rows as usize, Row::default);
        let wrong = |column: &str, row: usize, what: String| damaged(format!("row {row}: {column} {what}"));
        if let Some(column) = of_image(".path") {
            for (row, name) in rows.iter_mut().zip(texts(path, file, column, &[])?) {
                row.name = name.filter(|name| !name.is_empty());
            }
        }
        if let Some(column) = find(&["label".to_owned()]) {
            let names = class_names(metadata.file_metadata());
            for (place, (row, label)) in rows.iter_mut().zip(texts(path, file, column, &names)?).enumerate() {
                row.label = Some(label.ok_or_else(|| wrong("label", place, "is missing".to_owned()))?);
            }
        }
        if let Some(column) = find(&["split".to_owned()]) {
            for (place, (row, split)) in rows.iter_mut().zip(texts(path, file, column, &[])?).enumerate() {
                let split = split.unwrap_or_default();
                let found = split_names::of_word(&split);
                let must = || wrong("split", place, format!("{split:?} must be train, val or test"));
                row.split = Some(found.ok_or_else(must)?);
            }
        }
        Ok(Self { path: path.to_owned(), metadata, column, rows })
    }
}

fn columns(schema: &SchemaDescriptor) -> String {
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    names.join(", ")
}

/// The values of a column as text. A number is the name of its class, if there are `names`.
fn texts(
    path: &Path,
    file: &SerializedFileReader<File>,
    column: usize,
    names: &[String],
) -> Result<Vec<Option<String>>, DataError> {
    let description = file.metadata().file_metadata().schema_descr().column(column);
    let title = description.path().string();
    let damaged = |reason: String| DataError::Damaged { path: path.to_owned(), reason };
    if description.max_rep_level() > 0 {
        return Err(damaged(format!("its column {title} holds lists")));
    }
    let name = |index: i64| match (names.is_empty(), usize::try_from(index).ok().and_then(|i| names.get(i))) {
        (true, _) => Ok(Some(index.to_string())),
        (false, Some(name)) => Ok(Some(name.clone())),
        (false, None) => {
            Err(damaged(format!("its column {title} holds {index}, and {} classes have names", names.len())))
        }
    };
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(damaged(format!("its column {title} holds what is no text"))),
    };
    let read = |values: Result<_, ParquetError>| values.map_err(|error| damaged(error.to_string()));
    match description.physical_type() {
        Physical::INT64 => {
            let values = read(values::<Int64Type>(file, column))?;
            values.into_iter().map(|value| value.map_or(Ok(None), name)).collect()
        }
        Physical::INT32 => {
            let values = values::<Int32Type>(file, column).map_err(|error| damaged(error.to_string()))?;
            values.into_iter().map(|value| value.map_or(Ok(None), |value| name(i64::from(value)))).collect()
        }
        Physical::BYTE_ARRAY => {
            let values = values::<ByteArrayType>(file, column).map_err(|error| damaged(error.to_string()))?;
            values.into_iter().map(|value| value.map_or(Ok(None), |value| text(value.data()))).collect()
        }
        other => Err(damaged(format!("its column {title} holds {other}, neither text nor whole numbers"))),
    }
}

/// All values of a column without lists; `None` where there is none.
fn values<T: DataType>(
    file: &SerializedFileReader<File>,
    column: usize,
) -> Result<Vec<Option<T::T>>, ParquetError> {
    let most = file.metadata().file_metadata().schema_descr().column(column).max_def_level();
    let mut all = Vec::new();
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        let num_rows = usize::try_from(group.metadata().num_rows())?;
        let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
        let (mut present, mut levels) = (Vec::new(), Vec::new());
        let (read, ..) = reader.read_records(num_rows, Some(&mut levels), None, &mut present)?;
        if read != num_rows {
            return Err(ParquetError::General(format!("{num_rows} rows declared, {read} found")));
        }
        let mut present = present.into_iter();
        match most {
            0 => all.extend(present.map(Some)),
            _ => all.extend(levels.iter().map(|&level| if level == most { present.next() } else { None })),
        }
    }
    Ok(all)
}

/// The names of the classes, of what `datasets` writes about the columns; none if it says nothing of them.
fn class_names(metadata: &FileMetaData) -> Vec<String> {
    let pairs = metadata.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let text = pairs.iter().find(|pair| pair.key == "huggingface").and_then(|pair| pair.value.as_deref());
    let value: Option<serde_json::Value> = text.and_then(|text| serde_json::from_str(text).ok());
    let names = value.as_ref().and_then(|value| value.pointer("/info/features/label/names")?.as_array());
    let names = names.map(|names| names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect());
    names.unwrap_or_default()
}

/// Runs a reader of the library; what it complains about, or panics with, is damage of the file.
pub(super) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, DataError> {
    let reason = match catch_panic(read) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    let reason = format!("cannot be read as Parquet ({})", reason.trim_start_matches("Parquet error: "));
    Err(DataError::Damaged { path: path.to_owned(), reason })
}
