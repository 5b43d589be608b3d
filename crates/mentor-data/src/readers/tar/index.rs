//! The index of a tar shard: what reading all of it shows, in a file beside it.
//!
//! `NAME.tar.index.json` holds each image's name, label, place, BLAKE3, size and colour. It is checked by the
//! size of the shard and by a hash of up to 64 of its headers, evenly spread; and whenever an image is read,
//! by the hash of its bytes.

use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::samples::{self, Contents, IndexedImage, Sample};
use crate::decode::read_header;
use crate::error::DataError;
use crate::options::Limits;
use crate::options::observer::ReadObserver;
use crate::readers::encoded::read_range;
use crate::readers::tree::LeftOuts;
use crate::readers::whole_file::whole_file;

const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 512;
/// Headers that are hashed.
const NUM_HEADERS: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: u32,
    num_bytes: u64,
    headers_blake3: String,
    keyed: bool,
    samples: Vec<Sample>,
}

/// The file of a shard's index.
pub(crate) fn path_of(shard: &Path) -> PathBuf {
    let mut name = shard.as_os_str().to_owned();
    name.push(".index.json");
    name.into()
}

/// What the index of a shard says, if it has one and that is still of this shard.
///
/// # Errors
///
/// [`DataError::StaleIndex`] if the shard is another than when the index was written.
pub(crate) fn read(shard: &Path, limits: &Limits) -> Result<Option<Contents>, DataError> {
    let path = path_of(shard);
    let length = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::io(&path, error)),
    };
    if length > limits.max_memory_bytes {
        let (what, limit, option) = ("the number of bytes", limits.max_memory_bytes, "max_memory_bytes");
        return Err(DataError::TooLarge { path, what, size: length, limit, option });
    }
    let text = std::fs::read(&path).map_err(|error| DataError::io(&path, error))?;
    let damaged = |reason| DataError::Damaged { path: path.clone(), reason };
    let index: Index = serde_json::from_slice(&text)
        .map_err(|error| damaged(format!("is no index of a shard ({error})")))?;
    if index.version != VERSION {
        return Err(damaged(format!("is an index of version {}, not {VERSION}", index.version)));
    }
    let stale = |reason| Err(DataError::StaleIndex { path: shard.to_owned(), reason });
    let num_bytes = std::fs::metadata(shard).map_err(|error| DataError::io(shard, error))?.len();
    if num_bytes != index.num_bytes {
        return stale(format!("it has {num_bytes} bytes, then {}", index.num_bytes));
    }
    let is_inside = |sample: &&Sample| {
        sample.offset >= HEADER_BYTES
            && sample.offset.checked_add(sample.length).is_some_and(|end| end <= num_bytes)
            && sample.image.as_ref().is_none_or(|image| image.known().is_some())
    };
    if let Some(sample) = index.samples.iter().find(|sample| !is_inside(sample)) {
        return Err(damaged(format!("the entry {:?} is not inside the shard", sample.name)));
    }
    if hash_headers(shard, &index.samples)? != index.headers_blake3 {
        return stale("its headers differ".to_owned());
    }
    let Index { keyed, samples, .. } = index;
    Ok(Some(Contents { keyed, samples, unpacked: None, left_out: LeftOuts::default() }))
}

/// Reads every image of a shard and writes its index. An image whose header is damaged is in the index
/// without a hash, and read again when the data set is opened.
pub(crate) fn write(shard: &Path, limits: &Limits, observer: &ReadObserver) -> Result<PathBuf, DataError> {
    let mut contents = samples::read(shard, limits)?;
    if contents.unpacked.is_some() {
        let reason = "is gzipped, so that no part of it can be read alone: unpack it with gunzip".to_owned();
        return Err(DataError::Damaged { path: shard.to_owned(), reason });
    }
    let num_bytes = std::fs::metadata(shard).map_err(|error| DataError::io(shard, error))?.len();
    let counter = observer.begin("indexing images", contents.samples.len());
    contents.samples.par_iter_mut().try_for_each(|sample| {
        counter.advance(1)?;
        if sample.length <= limits.max_file_bytes {
            let bytes = read_range(shard, sample.offset, sample.length)?;
            let header = read_header(&bytes, limits).ok();
            sample.image = header.map(|header| IndexedImage::of(&bytes, &header));
        }
        Ok::<(), DataError>(())
    })?;
    let headers_blake3 = hash_headers(shard, &contents.samples)?;
    let Contents { keyed, samples, .. } = contents;
    let index = Index { version: VERSION, num_bytes, headers_blake3, keyed, samples };
    let path = path_of(shard);
    let io = |error: std::io::Error| DataError::io(&path, error);
    let text = serde_json::to_vec(&index).map_err(|error| io(error.into()))?;
    whole_file(&path, true, |file| file.write_all(&text))?;
    Ok(path)
}

/// Of up to [`NUM_HEADERS`] images, evenly spread, the first and the last among them.
fn hash_headers(shard: &Path, samples: &[Sample]) -> Result<String, DataError> {
    let mut hasher = blake3::Hasher::new();
    let num_hashed = samples.len().min(NUM_HEADERS);
    for place in 0..num_hashed {
        let sample = &samples[place * (samples.len() - 1) / (num_hashed - 1).max(1)];
        hasher.update(&read_range(shard, sample.offset - HEADER_BYTES, HEADER_BYTES)?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}
