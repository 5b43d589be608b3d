//! Writes a file of pseudo-labels, whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_metrics::pseudo_labels::Prediction;
use mentor_run::files::{Temporary, io};
use parquet::basic::Compression;
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

use super::manifest::{LabelsHeader, Manifest};
use super::schema::{GROUP_ROWS, HEADER_KEY, LabelsError, damaged, schema};
use super::shard::Shard;

/// Writes one file, row by row. Until [`LabelsWriter::finish`] the rows are in a file beside it, which is
/// removed when the writer is dropped. Equal rows and headers give equal bytes.
pub struct LabelsWriter {
    path: PathBuf,
    /// `None` once finished.
    temporary: Option<Temporary>,
    header: LabelsHeader,
    shard: Shard,
    /// `None` once finished.
    file: Option<SerializedFileWriter<Hashing>>,
    group: Group,
    num_rows: u64,
}

/// The columns of the rows that are not written yet.
#[derive(Default)]
struct Group {
    ids: Vec<ByteArray>,
    images: Vec<FixedLenByteArray>,
    scores: Vec<f32>,
    confidences: Vec<f32>,
    labels: Vec<i32>,
}

/// A file that knows its hash and length.
struct Hashing {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl LabelsWriter {
    /// Starts the file at `path`, in a folder that exists.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn create(path: &Path, header: LabelsHeader, shard: Shard) -> Result<Self, LabelsError> {
        let mut temporary = Temporary::create(path).map_err(io(path, "write"))?;
        let file = temporary.file().try_clone().map_err(io(path, "write"))?;
        let file = Hashing { file: BufWriter::new(file), hasher: blake3::Hasher::new() };
        let json = serde_json::to_string(&header).expect("plain data");
        let properties = WriterProperties::builder()
            .set_created_by("mentor".to_owned())
            .set_compression(Compression::UNCOMPRESSED)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_dictionary_enabled(false)
            .set_column_dictionary_enabled("teacher_blake3".into(), true)
            .set_column_dictionary_enabled("round".into(), true)
            .set_column_dictionary_enabled("label".into(), true)
            .set_key_value_metadata(Some(vec![KeyValue::new(HEADER_KEY.to_owned(), json)]))
            .build();
        let file = SerializedFileWriter::new(file, schema(), Arc::new(properties)).map_err(damaged(path))?;
        let (path, group) = (path.to_owned(), Group::default());
        Ok(Self { path, temporary: Some(temporary), header, shard, file: Some(file), group, num_rows: 0 })
    }

    /// Adds an image: its id, the blake3 of its bytes, one score a class.
    ///
    /// # Errors
    ///
    /// [`LabelsError::BadRow`] for another number of scores than classes or one that is not finite; a failed
    /// write.
    pub fn push(&mut self, id: &str, image_blake3: &[u8; 32], scores: &[f32]) -> Result<(), LabelsError> {
        let bad = |reason: String| LabelsError::BadRow { id: id.to_owned(), reason };
        let num_classes = self.header.classes.len();
        if scores.len() != num_classes {
            return Err(bad(format!("has {} scores for {num_classes} classes", scores.len())));
        }
        let prediction = Prediction::new(scores, self.header.temperature)
            .ok_or_else(|| bad("its scores are not finite".to_owned()))?;
        self.group.ids.push(ByteArray::from(id));
        self.group.images.push(ByteArray::from(image_blake3.to_vec()).into());
        self.group.scores.extend_from_slice(scores);
        self.group.confidences.push(prediction.confidence() as f32);
        self.group.labels.push(prediction.label as i32);
        self.num_rows += 1;
        if self.group.ids.len() == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), LabelsError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let (group, num_classes) = (std::mem::take(&mut self.group), self.header.classes.len());
        group.write(file, num_classes, &self.header).map_err(failed(&self.path))
    }

    /// Writes what is left, syncs the file, gives it its name, and writes its manifest.
    ///
    /// # Errors
    ///
    /// A failed write; then `path` is as it was, though without its manifest where the last step failed.
    pub fn finish(mut self) -> Result<Manifest, LabelsError> {
        if !self.group.ids.is_empty() {
            self.write_group()?;
        }
        let file = self.file.take().expect("only this function takes it, and it takes the writer");
        let Hashing { file, hasher } = file.into_inner().map_err(failed(&self.path))?;
        let file = file.into_inner().map_err(|error| io(&self.path, "write")(error.into_error()))?;
        let num_bytes = file.metadata().map_err(io(&self.path, "read"))?.len();
        // The old manifest must not vouch for the new file.
        let manifest_path = Manifest::path_of(&self.path);
        match fs::remove_file(&manifest_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(&manifest_path, "delete")(error).into());
            }
            _ => {}
        }
        let temporary = self.temporary.take().expect("only this function takes it, and it takes the writer");
        temporary.finish().map_err(io(&self.path, "write"))?;
        let manifest =
            Manifest::new(self.header.clone(), self.shard, self.num_rows, num_bytes, hasher.finalize());
        manifest.write(&self.path)?;
        Ok(manifest)
    }
}

/// A library error while writing is the operating system's in almost all cases.
fn failed(path: &Path) -> impl Fn(ParquetError) -> LabelsError + use<'_> {
    |error| io(path, "write")(std::io::Error::other(error.to_string())).into()
}

impl Group {
    fn write(
        self,
        file: &mut SerializedFileWriter<Hashing>,
        num_classes: usize,
        header: &LabelsHeader,
    ) -> Result<(), ParquetError> {
        let num_rows = self.ids.len();
        let teacher = ByteArray::from(header.teacher_blake3.as_str());
        // In a list each row's first element starts a new record (0), the others continue it (1).
        let starts: Vec<i16> = (0..self.scores.len()).map(|i| i16::from(i % num_classes != 0)).collect();
        let defined = vec![1_i16; self.scores.len()];
        let mut group = file.next_row_group()?;
        let mut column = |write: &dyn Fn(&mut SerializedColumnWriter<'_>) -> Result<usize, ParquetError>| {
            let Some(mut column) = group.next_column()? else {
                return Err(ParquetError::General("fewer columns than the schema has".to_owned()));
            };
            write(&mut column)?;
            column.close()
        };
        column(&|column| column.typed::<ByteArrayType>().write_batch(&self.ids, None, None))?;
        column(&|column| column.typed::<FixedLenByteArrayType>().write_batch(&self.images, None, None))?;
        column(&|column| {
            column.typed::<FloatType>().write_batch(&self.scores, Some(&defined), Some(&starts))
        })?;
        column(&|column| column.typed::<FloatType>().write_batch(&self.confidences, None, None))?;
        column(&|column| column.typed::<Int32Type>().write_batch(&self.labels, None, None))?;
        column(&|column| {
            column.typed::<Int32Type>().write_batch(&vec![header.round as i32; num_rows], None, None)
        })?;
        column(&|column| {
            column.typed::<ByteArrayType>().write_batch(&vec![teacher.clone(); num_rows], None, None)
        })?;
        group.close()?;
        Ok(())
    }
}
