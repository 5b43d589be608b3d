//! Images in tar shards, as WebDataset writes them or `tar` packs a folder. An entry is read where it lies:
//! nothing is unpacked to disk. Gzipped shards have no random access; their images are held in memory.

mod archive;
pub(crate) mod index;
mod samples;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mentor_codec::Fault;
use rayon::prelude::*;

use self::samples::{Contents, Sample, key};
use crate::error::DataError;
use crate::options::{Limits, OpenOptions};
use crate::readers::encoded::{EncodedImages, Known, read_range};
use crate::readers::listing::{Format, Pictures};
use crate::readers::named::{self, Named};
use crate::readers::shard_files::{shard_files, splits_of};
use crate::readers::tree::LeftOuts;

pub(crate) use archive::is_tar;

const KIND: &str = "tar shards";

pub(crate) const FORMAT: Format = Format {
    recognises: |path| !files(path).is_empty(),
    list: |path, options, purpose| {
        let Shards { images, pictures, left_out } = Shards::open(path, &options.limits)?;
        named::list(path, KIND, &images, pictures, left_out, options, purpose)
    },
};

/// The tar files that a path or pattern means.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    shard_files(path, is_tar)
}

/// The listing without labels; `None` if the shards have labels beside their images.
pub(crate) fn list_unlabelled(
    path: &Path,
    options: &OpenOptions,
) -> Result<Option<crate::readers::listing::Listing>, DataError> {
    let Shards { images, pictures, left_out } = Shards::open(path, &options.limits)?;
    if images.iter().any(|image| image.label.is_some()) {
        return Ok(None);
    }
    named::list_unlabelled(path, &images, pictures, left_out).map(Some)
}

/// All shards of a data set.
struct Shards {
    images: Vec<Named>,
    pictures: Pictures,
    left_out: LeftOuts,
}

impl Shards {
    fn open(path: &Path, limits: &Limits) -> Result<Self, DataError> {
        let files = files(path);
        let unpacked = AtomicU64::new(0);
        let read = |file: &PathBuf| {
            if let Some(contents) = index::read(file, limits)? {
                return Ok(contents);
            }
            let left = limits.max_memory_bytes.saturating_sub(unpacked.load(Ordering::Relaxed));
            let contents = samples::read(file, &Limits { max_memory_bytes: left, ..limits.clone() })?;
            let held = contents.unpacked.as_ref().map_or(0, |bytes| bytes.len() as u64);
            unpacked.fetch_add(held, Ordering::Relaxed);
            Ok(contents)
        };
        // All outcomes first, so that the error is that of the first shard whichever thread was faster.
        let contents: Vec<Result<Contents, DataError>> = files.par_iter().map(read).collect();
        let contents = contents.into_iter().collect::<Result<Vec<_>, DataError>>()?;
        check_keys(&files, &contents)?;
        let mut left_out = LeftOuts::default();
        let (mut images, mut store) = (Vec::new(), ShardStore::default());
        let splits = splits_of(&files);
        for (((shard, file), contents), split) in (0..).zip(files).zip(contents).zip(splits) {
            left_out.append(contents.left_out);
            for sample in contents.samples {
                let Sample { name, id, label, split: own, offset, length, image } = sample;
                let known = image.and_then(|image| image.known());
                store.rows.push(Row { shard, offset, length, known });
                store.names.push(name.clone());
                images.push(Named { name: id.unwrap_or(name), label, split: own.or(split) });
            }
            store.shards.push(Shard { path: file, unpacked: contents.unpacked });
        }
        if u32::try_from(images.len()).is_err() {
            let reason = format!("{} images, at most {} are possible", images.len(), u32::MAX);
            return Err(DataError::Damaged { path: path.to_owned(), reason });
        }
        Ok(Self { images, pictures: Pictures::Encoded(Arc::new(store)), left_out })
    }
}

/// No two images have one name; where entries beside the images say something of them, no two have one key.
fn check_keys(files: &[PathBuf], contents: &[Contents]) -> Result<(), DataError> {
    let keyed = contents.iter().any(|contents| contents.keyed);
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut ids: HashMap<&str, usize> = HashMap::new();
    for (shard, contents) in contents.iter().enumerate() {
        for sample in &contents.samples {
            let name = if keyed { key(&sample.name) } else { &sample.name };
            let id = sample.id.as_deref().unwrap_or(&sample.name);
            for (name, known) in [(name, &mut known), (id, &mut ids)] {
                let Some(first) = known.insert(name, shard) else { continue };
                let place = match first == shard {
                    true => "it".to_owned(),
                    false => files[first].to_string_lossy().into_owned(),
                };
                let reason = format!("the key {name:?} occurs twice, first in {place}");
                return Err(DataError::Damaged { path: files[shard].clone(), reason });
            }
        }
    }
    Ok(())
}

/// Where the images of all shards lie.
#[derive(Debug, Default)]
struct ShardStore {
    shards: Vec<Shard>,
    rows: Vec<Row>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    /// Of a gzipped shard.
    unpacked: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Row {
    shard: u32,
    offset: u64,
    length: u64,
    known: Option<Known>,
}

impl EncodedImages for ShardStore {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self, row: usize, limits: &Limits) -> Result<Result<Vec<u8>, Fault>, DataError> {
        let Row { shard, offset, length, known } = &self.rows[row];
        let Shard { path, unpacked } = &self.shards[*shard as usize];
        if *length > limits.max_file_bytes {
            let reason = format!("{length} bytes are over the limit of {}", limits.max_file_bytes);
            return Ok(Err(Fault::Unreadable { reason, advice: "raise data.options.limits.max_file_bytes" }));
        }
        let bytes = match unpacked {
            Some(unpacked) => unpacked[*offset as usize..][..*length as usize].to_vec(),
            None => read_range(path, *offset, *length)?,
        };
        if known.as_ref().is_some_and(|known| known.hash != blake3::hash(&bytes)) {
            let reason = format!("the bytes of {:?} differ", self.names[row]);
            return Err(DataError::StaleIndex { path: path.clone(), reason });
        }
        Ok(Ok(bytes))
    }

    fn path(&self, row: usize) -> PathBuf {
        self.shards[self.rows[row].shard as usize].path.join(&self.names[row])
    }

    fn known(&self, row: usize) -> Option<Known> {
        self.rows[row].known
    }
}
