//! A folder of images as tar shards or Parquet files, and the index of shards. Bytes are copied as they are.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_random::{Purpose as Use, Stream};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use rayon::prelude::*;

use crate::decode::bad;
use crate::error::DataError;
use crate::options::observer::Counter;
use crate::options::{Limits, OpenOptions, Purpose};
use crate::readers::encoded::EncodedImages;
use crate::readers::listing::{Listed, Listing, Pictures};
use crate::readers::whole_file::whole_file;
use crate::readers::{self, tar};
use crate::split::Split;

/// Images of one shard; fewer if they have more than [`SHARD_BYTES`].
const SHARD_IMAGES: usize = 10_000;
const SHARD_BYTES: u64 = 1 << 30;
/// Images of a row group, as `datasets` writes them.
const GROUP_IMAGES: usize = 100;

/// Writes the index of each tar shard that `source` means, and gives their paths. An index that was there is
/// replaced.
///
/// # Errors
///
/// [`DataError::Empty`] if `source` means no tar shards; what is wrong with a shard;
/// [`DataError::Damaged`] for a gzipped one, which has no random access.
pub fn write_index(source: &str, options: &OpenOptions) -> Result<Vec<PathBuf>, DataError> {
    let files = tar::files(Path::new(source));
    if files.is_empty() {
        readers::list(source, options, Purpose::Evaluation)?;
        let hint = "name .tar files; other forms need no index".to_owned();
        return Err(DataError::Empty { path: source.into(), what: "tar shards", hint });
    }
    files.iter().map(|file| tar::index::write(file, &options.limits, &options.observer)).collect()
}

/// Writes the images of a folder to tar shards in `folder`, as WebDataset reads them: beside each image its
/// class index as `.cls`, and as `.json` its name, label and split. A shard has images of one split, at most
/// 10,000 and about 1 GiB, in shuffled order. Gives their paths.
///
/// # Errors
///
/// [`DataError::Exists`] if `folder` holds files; what is wrong with the source.
pub fn write_tar(source: &str, folder: &Path, options: &OpenOptions) -> Result<Vec<PathBuf>, DataError> {
    let images = Images::of_folder(source, folder, options)?;
    let mut files = Vec::new();
    for (split, name, order) in images.by_split() {
        let shards = images.cut(&order)?;
        for (number, shard) in shards.iter().enumerate() {
            let path = folder.join(format!("{name}-{number:06}.tar"));
            whole_file(&path, false, |file| write_shard(file, &images, shard, split))?;
            files.push(path);
        }
    }
    Ok(files)
}

/// Writes the images of a folder to Parquet files in `folder`, in the layout of Hugging Face's `datasets`:
/// `image` as a struct of `bytes` and `path`, `label` as an index whose names the file states, and `split` if
/// the folder has splits. Gives their paths.
///
/// # Errors
///
/// As [`write_tar`].
pub fn write_parquet(source: &str, folder: &Path, options: &OpenOptions) -> Result<Vec<PathBuf>, DataError> {
    let images = Images::of_folder(source, folder, options)?;
    let mut files = Vec::new();
    for (split, name, order) in images.by_split() {
        let shards = images.cut(&order)?;
        for (number, shard) in shards.iter().enumerate() {
            let path = folder.join(format!("{name}-{number:05}-of-{:05}.parquet", shards.len()));
            whole_file(&path, false, |file| {
                write_table(file, &images, shard, split).map_err(|error| match error {
                    ParquetError::External(source) => match source.downcast::<io::Error>() {
                        Ok(error) => *error,
                        Err(other) => io::Error::other(other),
                    },
                    other => io::Error::other(other),
                })
            })?;
            files.push(path);
        }
    }
    Ok(files)
}

/// The images of a folder that is written in another form.
struct Images<'a> {
    classes: Vec<String>,
    samples: Vec<Listed>,
    pictures: Arc<dyn EncodedImages>,
    limits: &'a Limits,
    counter: Counter<'a>,
}

impl<'a> Images<'a> {
    fn of_folder(source: &str, folder: &Path, options: &'a OpenOptions) -> Result<Self, DataError> {
        let listing = readers::list(source, options, Purpose::Evaluation)?;
        let path = Path::new(source);
        let is_sharded = !tar::files(path).is_empty() || !readers::parquet::files(path).is_empty();
        let (Listing { classes, samples, pictures: Pictures::Encoded(pictures), .. }, false) =
            (listing, is_sharded)
        else {
            let hint = "name a folder of images or a CSV manifest".to_owned();
            return Err(DataError::Empty { path: path.to_owned(), what: "image files", hint });
        };
        std::fs::create_dir_all(folder).map_err(|error| DataError::io(folder, error))?;
        let mut entries = std::fs::read_dir(folder).map_err(|error| DataError::io(folder, error))?;
        if entries.next().is_some() {
            return Err(DataError::Exists { path: folder.to_owned() });
        }
        let counter = options.observer.begin("writing images", samples.len());
        Ok(Self { classes, samples, pictures, limits: &options.limits, counter })
    }

    /// The splits with their names and the positions of their samples, in shuffled order: others read shards
    /// from their beginning, and a class after the other teaches little.
    fn by_split(&self) -> Vec<(Option<Split>, &'static str, Vec<usize>)> {
        let parts = [
            (Some(Split::Train), "train"),
            (Some(Split::Val), "validation"),
            (Some(Split::Test), "test"),
            (None, "images"),
        ];
        let of_part = |(split, name)| {
            let members: Vec<usize> =
                (0..self.samples.len()).filter(|&position| self.samples[position].split == split).collect();
            let mut stream = Stream::new(0, Use::Order, &[]);
            let order = stream.permutation(members.len() as u32);
            (split, name, order.iter().map(|&place| members[place as usize]).collect::<Vec<_>>())
        };
        parts.into_iter().map(of_part).filter(|(.., order)| !order.is_empty()).collect()
    }

    /// The positions of each shard.
    fn cut(&self, order: &[usize]) -> Result<Vec<Vec<usize>>, DataError> {
        let mut shards: Vec<Vec<usize>> = vec![Vec::new()];
        let mut num_bytes = 0;
        for &position in order {
            let path = self.pictures.path(self.samples[position].row as usize);
            let length = std::fs::metadata(&path).map_err(|error| DataError::io(&path, error))?.len();
            let last = shards.len() - 1;
            if shards[last].len() == SHARD_IMAGES
                || num_bytes + length > SHARD_BYTES && !shards[last].is_empty()
            {
                shards.push(Vec::new());
                num_bytes = 0;
            }
            num_bytes += length;
            let last = shards.len() - 1;
            shards[last].push(position);
        }
        Ok(shards)
    }

    fn bytes(&self, position: usize) -> io::Result<Vec<u8>> {
        let Listed { row, problem, .. } = &self.samples[position];
        let row = *row as usize;
        let read = || {
            self.counter.advance(1)?;
            let bytes = match problem {
                Some(fault) => Err(fault.clone()),
                None => self.pictures.bytes(row, self.limits)?,
            };
            bytes.map_err(|fault| bad(&self.pictures.path(row), fault))
        };
        read().map_err(io::Error::other)
    }

    fn label(&self, position: usize) -> (u32, &str) {
        let target = self.samples[position].target.unwrap_or_default();
        (target, self.classes.get(target as usize).map_or("", String::as_str))
    }
}

fn write_shard(
    file: &mut BufWriter<File>,
    images: &Images<'_>,
    shard: &[usize],
    split: Option<Split>,
) -> io::Result<()> {
    let mut archive = ::tar::Builder::new(file);
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes)
    };
    for &position in shard {
        let id = &images.samples[position].id;
        let (target, label) = images.label(position);
        // The position makes the key its own: files may differ in what follows their first dot alone.
        let key = format!("{position:08}");
        let extension =
            Path::new(id).extension().map_or(Cow::Borrowed("img"), |found| found.to_string_lossy());
        let mut said = serde_json::json!({ "id": id, "label": label });
        if let Some(split) = split {
            said["split"] = split.to_string().into();
        }
        add(format!("{key}.{}", extension.to_lowercase()), &images.bytes(position)?)?;
        add(format!("{key}.cls"), target.to_string().as_bytes())?;
        add(format!("{key}.json"), said.to_string().as_bytes())?;
    }
    archive.into_inner()?.flush()
}

fn write_table(
    file: &mut BufWriter<File>,
    images: &Images<'_>,
    shard: &[usize],
    split: Option<Split>,
) -> Result<(), ParquetError> {
    let split_column = if split.is_some() { "optional binary split (UTF8);" } else { "" };
    let schema = parse_message_type(&format!(
        "message schema {{
            optional group image {{ optional binary bytes; optional binary path (UTF8); }}
            optional int64 label;
            {split_column}
        }}"
    ))?;
    let mut features = serde_json::json!({
        "image": { "_type": "Image" },
        "label": { "names": images.classes, "_type": "ClassLabel" },
    });
    if split.is_some() {
        features["split"] = serde_json::json!({ "dtype": "string", "_type": "Value" });
    }
    let described = serde_json::json!({ "info": { "features": features } }).to_string();
    let properties = WriterProperties::builder()
        .set_created_by("mentor".to_owned())
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), described)]))
        .build();
    let mut table = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
    for rows in shard.chunks(GROUP_IMAGES) {
        let bytes: Vec<io::Result<Vec<u8>>> =
            rows.par_iter().map(|&position| images.bytes(position)).collect();
        let bytes =
            bytes.into_iter().map(|bytes| Ok(ByteArray::from(bytes?))).collect::<io::Result<Vec<_>>>();
        let bytes = bytes.map_err(|error| ParquetError::External(Box::new(error)))?;
        let paths: Vec<ByteArray> =
            rows.iter().map(|&position| ByteArray::from(images.samples[position].id.as_str())).collect();
        let labels: Vec<i64> = rows.iter().map(|&position| i64::from(images.label(position).0)).collect();
        let mut group = table.next_row_group()?;
        texts(&mut group, &bytes, 2)?;
        texts(&mut group, &paths, 2)?;
        if let Some(mut column) = group.next_column()? {
            column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; labels.len()]), None)?;
            column.close()?;
        }
        if let Some(split) = split {
            let splits = vec![ByteArray::from(split.to_string().as_str()); rows.len()];
            texts(&mut group, &splits, 1)?;
        }
        group.close()?;
    }
    table.close()?;
    Ok(())
}

/// Writes a column of values that are all there, `level` optional fields deep.
fn texts<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[ByteArray],
    level: i16,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("fewer columns than the schema has".to_owned()));
    };
    column.typed::<ByteArrayType>().write_batch(values, Some(&vec![level; values.len()]), None)?;
    column.close()
}
