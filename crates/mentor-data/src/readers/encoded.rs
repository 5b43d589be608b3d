//! Where the bytes of encoded images are: files, or entries of larger files.

use std::fmt;
use std::path::{Path, PathBuf};

use mentor_codec::{Fault, Header};

use crate::decode::raster::Raster;
use crate::decode::{bad, decode_raster, read_limited};
use crate::error::DataError;
use crate::options::Limits;

/// What is known of an image before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Of its bytes.
    pub(crate) hash: blake3::Hash,
    pub(crate) header: Header,
}

/// Encoded images by their rows. Several threads read at once.
pub(crate) trait EncodedImages: fmt::Debug + Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// The bytes of an image, within the limits; the inner error is a reason to call the image bad.
    fn bytes(&self, row: usize, limits: &Limits) -> Result<Result<Vec<u8>, Fault>, DataError>;

    /// The file of an image, or the file that holds it with its name in there.
    fn path(&self, row: usize) -> PathBuf;

    /// What an index says of the image.
    fn known(&self, _row: usize) -> Option<Known> {
        None
    }

    /// Decodes an image at its own size.
    fn raster(&self, row: usize, limits: &Limits) -> Result<Raster, DataError> {
        self.bytes(row, limits)?
            .and_then(|bytes| decode_raster(&bytes, limits))
            .map_err(|fault| bad(&self.path(row), fault))
    }
}

/// One file a row.
#[derive(Debug)]
pub(crate) struct FilePaths(pub(crate) Vec<PathBuf>);

impl EncodedImages for FilePaths {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self, row: usize, limits: &Limits) -> Result<Result<Vec<u8>, Fault>, DataError> {
        read_limited(&self.0[row], limits)
    }

    fn path(&self, row: usize) -> PathBuf {
        self.0[row].clone()
    }
}

/// The bytes from `offset` of a file, which must have them.
pub(crate) fn read_range(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>, DataError> {
    use std::io::{Read, Seek, SeekFrom};
    let read = || {
        // Opened for each image: threads share no position, and no number of shards is too many to be open.
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| DataError::io(path, error))?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => {
            let (expected, found) = (offset.saturating_add(length), offset + bytes.len() as u64);
            Err(DataError::Truncated { path: path.to_owned(), expected, found })
        }
    }
}
