//! Embeddings as a Parquet file: one row an image, with its id and, if known, its class.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// Rows of embeddings, and what they are of.
pub(crate) struct Embedded {
    pub(crate) values: Vec<f32>,
    pub(crate) ids: Vec<String>,
    /// Of a data set: class indices and names.
    pub(crate) labels: Option<(Vec<u32>, Vec<String>)>,
    /// Files that could not be embedded.
    pub(crate) num_failed: usize,
    /// The hash of the model; none of features without a run.
    pub(crate) model: Option<String>,
}

impl Embedded {
    /// The name of each row's class.
    pub(crate) fn classes(&self) -> Option<Vec<&str>> {
        let (labels, names) = self.labels.as_ref()?;
        Some(labels.iter().map(|&label| names.get(label as usize).map_or("", String::as_str)).collect())
    }
}

/// The entry of the file's metadata that says which model the embeddings are of.
pub(crate) const MODEL_KEY: &str = "mentor.model_blake3";

/// Rows of a row group.
const GROUP_ROWS: usize = 16_384;

/// The file of the embeddings `values` `[rows, columns]`, of the images `ids`. `classes` has a name for each
/// row. `model` is the hash of the model, by which the file can be searched.
///
/// # Errors
///
/// What the format's library complains about.
///
/// # Panics
///
/// If the number of values is not `ids.len()` times `columns`, or there is another number of classes than
/// ids.
pub(crate) fn parquet(
    ids: &[String],
    classes: Option<&[&str]>,
    values: &[f32],
    columns: usize,
    model: Option<&str>,
) -> Result<Vec<u8>, ParquetError> {
    assert_eq!(values.len(), ids.len() * columns, "rows of {columns} values");
    assert!(
        classes.is_none_or(|classes| classes.len() == ids.len()),
        "a class for each of {} rows",
        ids.len()
    );
    let class = if classes.is_some() { "required binary class (UTF8);" } else { "" };
    let schema = format!(
        "message embeddings {{
            required binary id (UTF8);
            {class}
            required group embedding (LIST) {{ repeated group list {{ required float element; }} }}
        }}"
    );
    let properties = WriterProperties::builder()
        .set_created_by("mentor".to_owned())
        .set_key_value_metadata(
            model.map(|model| vec![KeyValue::new(MODEL_KEY.to_owned(), model.to_owned())]),
        )
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled("class".into(), true)
        .build();
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    for start in (0..ids.len()).step_by(GROUP_ROWS) {
        let rows = start..(start + GROUP_ROWS).min(ids.len());
        let mut group = file.next_row_group()?;
        let mut column = |write: &dyn Fn(&mut SerializedColumnWriter<'_>) -> Result<usize, ParquetError>| {
            let Some(mut column) = group.next_column()? else {
                return Err(ParquetError::General("fewer columns than the schema has".to_owned()));
            };
            write(&mut column)?;
            column.close()
        };
        let texts = |texts: Vec<ByteArray>| {
            move |column: &mut SerializedColumnWriter<'_>| {
                column.typed::<ByteArrayType>().write_batch(&texts, None, None)
            }
        };
        column(&texts(ids[rows.clone()].iter().map(|id| ByteArray::from(id.as_str())).collect()))?;
        if let Some(classes) = classes {
            column(&texts(classes[rows.clone()].iter().map(|&class| ByteArray::from(class)).collect()))?;
        }
        let values = &values[rows.start * columns..rows.end * columns];
        // In a list each row's first element starts a new record (0), the others continue it (1).
        let starts: Vec<i16> = (0..values.len()).map(|i| i16::from(i % columns != 0)).collect();
        let defined = vec![1_i16; values.len()];
        column(&|column| column.typed::<FloatType>().write_batch(values, Some(&defined), Some(&starts)))?;
        group.close()?;
    }
    file.close()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn rows_come_back_with_ids_classes_and_values() {
        let ids = ["a/1.png".to_owned(), "b/ü.png".to_owned()];
        for classes in [Some(["cat", "dog"]), None] {
            let bytes = parquet(
                &ids,
                classes.as_ref().map(|classes| &classes[..]),
                &[1.0, -2.5, 0.0, 1e-30],
                2,
                None,
            );
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("vectors.parquet");
            std::fs::write(&path, bytes.unwrap()).unwrap();
            let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
            let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
            let last = usize::from(classes.is_some()) + 1;
            let found =
                rows.iter().map(|row| (row.get_string(0).unwrap().as_str(), row.get_list(last).unwrap()));
            let values = |list: &parquet::record::List| -> Vec<f32> {
                use parquet::record::ListAccessor;
                (0..list.len()).map(|i| list.get_float(i).unwrap()).collect()
            };
            let found: Vec<_> = found.map(|(id, list)| (id, values(list))).collect();
            assert_eq!(found, [("a/1.png", vec![1.0, -2.5]), ("b/ü.png", vec![0.0, 1e-30])]);
            if classes.is_some() {
                assert_eq!(rows[1].get_string(1).unwrap(), "dog");
            }
        }
    }
}
