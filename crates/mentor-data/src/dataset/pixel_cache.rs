//! Decoded images in one file, for splits that do not fit into memory: each is decoded once, and read from
//! its place from then on, by later runs too.
//!
//! The file is named after what it holds: BLAKE3 of the format and of the bytes of all images in order. It
//! has the images, `[row, channel, height, width]`, then for each row the hash of its content at full size
//! and that of its bytes here, and last the hash of these hashes. It appears whole or not at all.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::DataError;
use crate::format::ImageFormat;
use crate::readers::encoded::read_range;

const VERSION: &str = "mentor pixels 1";
const HASH_BYTES: usize = 32;

/// Hashes of an image: of its content at full size, and of its bytes in the cache.
pub(crate) type RowHashes = [blake3::Hash; 2];

/// A complete file.
#[derive(Debug)]
pub(crate) struct PixelCache {
    path: PathBuf,
    /// Bytes of an image.
    length: u64,
    hashes: Vec<RowHashes>,
}

impl PixelCache {
    /// The name of the file of images whose bytes have these hashes.
    pub(crate) fn path<'a>(
        folder: &Path,
        format: &ImageFormat,
        images: impl Iterator<Item = &'a blake3::Hash>,
    ) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{VERSION} {format:?}").as_bytes());
        images.for_each(|hash| {
            hasher.update(hash.as_bytes());
        });
        folder.join(format!("{}.pixels", hasher.finalize().to_hex()))
    }

    /// Opens the file of `num_rows` images; `None` if there is none, or it is none of mentor's.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn open(path: &Path, num_rows: usize, length: usize) -> Result<Option<Self>, DataError> {
        let num_bytes = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataError::io(path, error)),
        };
        let (pixels, trailer) = (num_rows as u64 * length as u64, (num_rows * 2 + 1) * HASH_BYTES);
        if num_bytes != pixels + trailer as u64 {
            return Ok(None);
        }
        let trailer = read_range(path, pixels, trailer as u64)?;
        let (rows, own) = trailer.split_at(num_rows * 2 * HASH_BYTES);
        if blake3::hash(rows).as_bytes() != own {
            return Ok(None);
        }
        let hash = |bytes: &[u8]| {
            let mut hash = [0; HASH_BYTES];
            hash.copy_from_slice(bytes);
            blake3::Hash::from(hash)
        };
        let row = |row: &[u8]| [hash(&row[..HASH_BYTES]), hash(&row[HASH_BYTES..])];
        let hashes = rows.chunks_exact(2 * HASH_BYTES).map(row).collect();
        Ok(Some(Self { path: path.to_owned(), length: length as u64, hashes }))
    }

    /// The hash of an image's content at full size.
    pub(crate) fn content(&self, row: usize) -> blake3::Hash {
        self.hashes[row][0]
    }

    /// The bytes of an image.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or are not those that were written.
    pub(crate) fn read(&self, row: usize) -> Result<Vec<u8>, DataError> {
        let bytes = read_range(&self.path, row as u64 * self.length, self.length)?;
        if blake3::hash(&bytes) != self.hashes[row][1] {
            let reason = format!("image {row} is not the one that was written: remove the file");
            return Err(DataError::Damaged { path: self.path.clone(), reason });
        }
        Ok(bytes)
    }
}

/// A file that is being written; it is removed if it is dropped before its end.
#[derive(Debug)]
pub(crate) struct PixelCacheWriter {
    path: PathBuf,
    partial: PathBuf,
    file: Mutex<File>,
    length: u64,
}

impl PixelCacheWriter {
    /// Begins the file; its folder is made.
    pub(crate) fn create(path: &Path, length: usize) -> Result<Self, DataError> {
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let made = std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")));
        let file =
            made.and_then(|()| File::create(&partial)).map_err(|error| DataError::io(&partial, error))?;
        Ok(Self { path: path.to_owned(), partial, file: Mutex::new(file), length: length as u64 })
    }

    /// Writes an image to its place, from any thread, and gives the hash of its bytes.
    pub(crate) fn write(&self, row: usize, image: &[u8]) -> Result<blake3::Hash, DataError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written =
            file.seek(SeekFrom::Start(row as u64 * self.length)).and_then(|_| file.write_all(image));
        drop(file);
        written.map_err(|error| DataError::io(&self.partial, error))?;
        Ok(blake3::hash(image))
    }

    /// Ends the file after the last image.
    pub(crate) fn finish(self, hashes: Vec<RowHashes>) -> Result<PixelCache, DataError> {
        let rows: Vec<u8> = hashes.iter().flatten().flat_map(|hash| *hash.as_bytes()).collect();
        let end = || {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(hashes.len() as u64 * self.length))?;
            file.write_all(&rows)?;
            file.write_all(blake3::hash(&rows).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&self.partial, &self.path)
        };
        end().map_err(|error| DataError::io(&self.partial, error))?;
        Ok(PixelCache { path: self.path.clone(), length: self.length, hashes })
    }
}

impl Drop for PixelCacheWriter {
    fn drop(&mut self) {
        // After its end there is no such file.
        let _ = std::fs::remove_file(&self.partial);
    }
}
