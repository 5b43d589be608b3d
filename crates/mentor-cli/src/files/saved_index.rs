//! Embeddings that `mentor embed` has written as Parquet, read again to be searched.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use mentor_data::{catch_panic, shown_path};
use mentor_run::files::open_named;
use mentor_train::TrainedModel;
use parquet::basic::Compression;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use crate::files::embeddings::MODEL_KEY;
use crate::terminal::error::Failure;

/// The largest file that is read: of 512 values for each of eight million pictures.
const MAX_BYTES: u64 = 1 << 34;

/// Embeddings by a model, with the names of their pictures.
pub(crate) struct SavedIndex {
    pub(crate) names: Vec<String>,
    /// `[name, value]`.
    pub(crate) values: Vec<f32>,
    /// Values of an embedding.
    pub(crate) width: usize,
}

/// The file that `--index` names in place of pictures, if it names one.
///
/// # Errors
///
/// If it names other paths too.
pub(crate) fn named(paths: &[PathBuf]) -> Result<Option<&Path>, Failure> {
    let is_saved = |path: &&PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"));
    match (paths.iter().find(is_saved), paths) {
        (None, _) => Ok(None),
        (Some(path), [_]) => Ok(Some(path)),
        (Some(path), _) => {
            let error = anyhow!("--index names {} and other paths", shown_path(path));
            Err(Failure::usage(error).help("name the file alone, or pictures and folders alone"))
        }
    }
}

/// Which model embeds: its weights, those that it stands on, and what it does to pictures. The calibration
/// changes no embedding.
pub(crate) fn model_hash(trained: &TrainedModel) -> String {
    let file = &trained.file;
    let backbone = file.backbone.as_ref().map(|backbone| &backbone.weights_blake3);
    let identity =
        serde_json::json!([file.spec, file.weights_blake3, backbone, file.preprocessing, file.loss]);
    blake3::hash(identity.to_string().as_bytes()).to_hex().to_string()
}

impl SavedIndex {
    /// Reads the embeddings of a model.
    ///
    /// # Errors
    ///
    /// If the file is none that `mentor embed` wrote, is of another model, or is damaged.
    pub(crate) fn read(path: &Path, trained: &TrainedModel) -> Result<Self, Failure> {
        let help = "write it with `mentor embed RUN PICTURES --out FILE.parquet`";
        let refused = |reason: &str| Failure::data(anyhow!("{}: {reason}", shown_path(path))).help(help);
        let file = open_named(path, MAX_BYTES)?;
        let num_bytes = file.metadata().map_err(Failure::failed)?.len();
        let parsed = catch_panic(|| parse(file, num_bytes).map_err(|error| error.to_string()));
        let (index, model) =
            parsed.and_then(|parsed| parsed).map_err(|reason| refused(&format!("is no index ({reason})")))?;
        match model {
            Some(model) if model == model_hash(trained) => Ok(index),
            Some(_) => Err(refused("holds embeddings of another model")),
            None => Err(refused("does not say of which model its embeddings are")),
        }
    }
}

/// The embeddings, and the hash of their model.
fn parse(file: File, num_bytes: u64) -> Result<(SavedIndex, Option<String>), ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let metadata = reader.metadata();
    let entries = metadata.file_metadata().key_value_metadata();
    let model = entries.into_iter().flatten().find(|entry| entry.key == MODEL_KEY);
    let model = model.and_then(|entry| entry.value.clone());
    let mut index = SavedIndex { names: Vec::new(), values: Vec::new(), width: 0 };
    for group in 0..reader.num_row_groups() {
        add_group(&mut index, &*reader.get_row_group(group)?, num_bytes)?;
    }
    if index.names.is_empty() || index.width == 0 {
        return Err(general("it holds no embeddings"));
    }
    match index.values.iter().all(|value| value.is_finite()) {
        true => Ok((index, model)),
        false => Err(general("a value is no finite number")),
    }
}

fn general(reason: &str) -> ParquetError {
    ParquetError::General(reason.to_owned())
}

/// Adds the rows of one group. Values are neither compressed nor by dictionary, so that there are no more of
/// them than the file has bytes for.
fn add_group(index: &mut SavedIndex, group: &dyn RowGroupReader, num_bytes: u64) -> Result<(), ParquetError> {
    let columns = group.metadata().columns();
    let column = |name: &str, value_bytes: u64| {
        let place = columns.iter().position(|column| column.column_path().string() == name);
        let place = place.ok_or_else(|| general(&format!("it has no column {name}")))?;
        let column = &columns[place];
        let is_plain =
            column.compression() == Compression::UNCOMPRESSED && column.dictionary_page_offset().is_none();
        let count = u64::try_from(column.num_values()).unwrap_or(u64::MAX);
        match is_plain && count <= num_bytes / value_bytes {
            true => Ok((place, count as usize)),
            false => Err(general(&format!("its column {name} is not as mentor writes it"))),
        }
    };
    let (ids, num_rows) = column("id", 4)?;
    let (embeddings, num_values) = column("embedding.list.element", 4)?;
    if num_rows == 0 || !num_values.is_multiple_of(num_rows) {
        return Err(general("its embeddings are of several lengths"));
    }
    let width = num_values / num_rows;
    if index.width != width && !index.names.is_empty() {
        return Err(general("its embeddings are of several lengths"));
    }
    index.width = width;

    let mut names: Vec<ByteArray> = Vec::new();
    get_typed_column_reader::<ByteArrayType>(group.get_column_reader(ids)?)
        .read_records(num_rows, None, None, &mut names)?;
    for name in &names {
        index.names.push(name.as_utf8()?.to_owned());
    }
    let (mut defined, mut starts) = (Vec::new(), Vec::new());
    let before = index.values.len();
    get_typed_column_reader::<FloatType>(group.get_column_reader(embeddings)?).read_records(
        num_rows,
        Some(&mut defined),
        Some(&mut starts),
        &mut index.values,
    )?;
    // An element that starts a row has 0, as the first of every `width` has.
    let is_whole = starts.iter().enumerate().all(|(place, &start)| (start == 0) == (place % width == 0));
    match names.len() == num_rows && index.values.len() - before == num_values && is_whole {
        true => Ok(()),
        false => Err(general("its embeddings are of several lengths")),
    }
}
