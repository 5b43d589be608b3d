//! A teacher's scores on disk, so that each view of each image passes through the teacher once.
//!
//! ```text
//! magic                 8 bytes "mentorTC"
//! header length         u32
//! header                JSON: the key, the shape, rows a block
//! checksum              32 bytes, BLAKE3 of all of the above
//! block, block, …       rows of C f32, then 32 bytes of BLAKE3 over the block's number and rows
//! ```
//!
//! Numbers are little-endian. Rows lie in order of (view, sample); a block holds up to `block_rows` samples
//! of one view. What is stored are scores, not probabilities: `f32` probabilities lose the tail that a
//! temperature of 20 brings out. Several teachers have a cache each.
//!
//! A cache is built in a file beside its place, `<name>.partial`, block by block, and renamed when it is
//! complete and synced. A build that was killed is continued after its last whole block, if it was of the
//! same key; else it is begun again. A complete file whose key differs is refused, never overwritten. Opening
//! a complete file checks every block, one sequential read; afterwards rows are read at their positions
//! (`pread`). There is no memory map, because that needs `unsafe`; the operating system's page cache does the
//! same work.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

mod error;
mod key;
mod layout;

pub use error::CacheError;
pub use key::{CacheKey, CacheShape};
use key::{describe, differences};
use layout::{Header, Layout, block_hash, read_whole};
use mentor_run::RunDirError;
use mentor_run::files::{beside, exists, open_or_create, open_plain, sync_folder_of};

/// A complete cache, open for reading. Reading needs no lock, and threads may share it.
#[derive(Debug)]
pub struct TeacherCache {
    path: PathBuf,
    file: File,
    layout: Layout,
}

impl TeacherCache {
    /// Opens the cache at `path`, or builds it there.
    ///
    /// `compute` gives the scores of a range of samples in one view, row-major. It is called for blocks of
    /// `block_rows` samples (the last of a view may be smaller) in order of (view, sample), each at most
    /// once, and not at all if the cache is complete. An error of it ends the build; what was computed is
    /// kept and continued from by the next call. `block_rows` only matters for building.
    ///
    /// # Errors
    ///
    /// Those of `compute`, and a [`CacheError`].
    ///
    /// # Panics
    ///
    /// If `block_rows` is 0, or `compute` gives another number of scores than asked for.
    ///
    /// ```
    /// # use mentor_data::{Augment, ImageFormat, Preprocessing};
    /// use mentor_train::{CacheError, CacheKey, CacheShape, TeacherCache};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("teacher.scores");
    /// # let format = ImageFormat::new(1, 1, 1);
    /// # let key = CacheKey {
    /// #     teacher_weights: "1f".to_owned(),
    /// #     teacher_preprocessing: Preprocessing {
    /// #         format: format.clone(),
    /// #         mean: vec![0.5],
    /// #         std: vec![0.5],
    /// #     },
    /// #     student_format: format, augment: Augment::None, seed: 0, images: "2e".to_owned(),
    /// # };
    /// let shape = CacheShape { num_samples: 3, num_classes: 2, views: 1.try_into()? };
    /// let teacher = |_view, samples: std::ops::Range<usize>| -> Result<Vec<f32>, CacheError> {
    ///     Ok(samples.flat_map(|sample| [sample as f32, 0.5]).collect())
    /// };
    /// let cache = TeacherCache::open_or_build(&path, &key, shape, 2, teacher)?;
    /// assert_eq!(cache.rows(0, &[2, 0])?, [2.0, 0.5, 0.0, 0.5]);
    ///
    /// let other = CacheKey { seed: 1, ..key };
    /// let refused = TeacherCache::open_or_build(&path, &other, shape, 2, teacher).unwrap_err();
    /// assert!(refused.to_string().contains("the seed (cached 0, now 1)"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_build<E: From<CacheError>>(
        path: &Path,
        key: &CacheKey,
        shape: CacheShape,
        block_rows: usize,
        mut compute: impl FnMut(u64, Range<usize>) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        assert!(block_rows > 0, "a block needs at least one row");
        let description = describe(key, &shape);
        if exists(path) {
            return Ok(Self::open(path, &description, shape)?);
        }
        let header = Header::new(description.clone(), block_rows);
        let layout = Layout::new(shape, block_rows, header.bytes().len())?;
        let partial = beside(path, ".partial");
        let mut file = lock(&partial)?;
        // Another process may have finished between the first look and the lock.
        if exists(path) {
            return Ok(Self::open(path, &description, shape)?);
        }
        let done = resume(&mut file, &header, &layout).map_err(io_error(&partial, "continue the build"))?;
        for (block, (view, samples)) in layout.blocks().enumerate().skip(done) {
            let scores = compute(view, samples.clone())?;
            let expected = samples.len() * shape.num_classes;
            assert_eq!(scores.len(), expected, "scores of {} samples", samples.len());
            if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
                let (sample, value) = (samples.start + at / shape.num_classes, scores[at]);
                return Err(CacheError::NotFinite { sample, view, value }.into());
            }
            let mut bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            let hash = block_hash(block, &bytes);
            bytes.extend_from_slice(hash.as_bytes());
            file.write_all(&bytes).map_err(io_error(&partial, "write"))?;
        }
        finish(&file, &partial, path).map_err(io_error(path, "write"))?;
        Ok(Self { path: path.to_owned(), file, layout })
    }

    /// Opens a complete file and checks all of it.
    fn open(path: &Path, description: &serde_json::Value, shape: CacheShape) -> Result<Self, CacheError> {
        let damaged = |reason: String| CacheError::Damaged { path: path.to_owned(), reason };
        let read = || io_error(path, "read");
        let file = open_plain(path, u64::MAX).map_err(unusable)?;
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let header = Header::read(&mut reader).map_err(read())?.map_err(damaged)?;
        let found = differences(header.description(), description);
        if !found.is_empty() {
            return Err(CacheError::Foreign { path: path.to_owned(), differences: found.join(", ") });
        }
        let layout = Layout::new(shape, header.block_rows(), header.bytes().len())?;
        let (expected, found) = (layout.file_bytes(), file.metadata().map_err(read())?.len());
        if found != expected {
            return Err(damaged(format!(
                "has {found} bytes and should have {expected}: it was cut off or added to"
            )));
        }
        let whole = whole_blocks(&mut reader, &layout).map_err(read())?;
        if whole < layout.num_blocks() {
            let (view, samples) = layout.block(whole);
            let place =
                format!("samples {} to {} of view {view}", samples.start, samples.end.saturating_sub(1));
            return Err(damaged(format!("the checksum of {place} does not fit")));
        }
        drop(reader);
        Ok(Self { path: path.to_owned(), file, layout })
    }

    /// The teacher's scores of `samples` in `view`, row-major `[samples, num_classes]`, bit for bit as they
    /// were computed.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] if the file cannot be read any more.
    ///
    /// # Panics
    ///
    /// If the view or a sample is not below its number in the [`shape`](Self::shape).
    pub fn rows(&self, view: u64, samples: &[u32]) -> Result<Vec<f32>, CacheError> {
        let mut scores = Vec::with_capacity(samples.len() * self.layout.shape().num_classes);
        let mut row = vec![0; self.layout.row_bytes()];
        for &sample in samples {
            let position = self.layout.row_position(view, sample as usize);
            read_at(&self.file, &mut row, position).map_err(io_error(&self.path, "read"))?;
            scores.extend(row.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        }
        Ok(scores)
    }

    /// How many scores there are.
    pub fn shape(&self) -> CacheShape {
        self.layout.shape()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file of a build in progress, locked until it is dropped.
fn lock(partial: &Path) -> Result<File, CacheError> {
    let file = open_or_create(partial).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CacheError::Locked { path: partial.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io_error(partial, "lock")(source)),
    }
}

/// Leaves the file with its header and its whole blocks, ready to be written on; gives their number.
fn resume(file: &mut File, header: &Header, layout: &Layout) -> io::Result<usize> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(1 << 16, &*file);
    let same = matches!(Header::read(&mut reader)?, Ok(found) if found.bytes() == header.bytes());
    let done = if same { whole_blocks(&mut reader, layout)? } else { 0 };
    drop(reader);
    if same {
        file.set_len(layout.block_position(done))?;
        file.seek(SeekFrom::End(0))?;
    } else {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(header.bytes())?;
    }
    Ok(done)
}

/// How many blocks from the first on have the right checksum.
fn whole_blocks(reader: &mut impl Read, layout: &Layout) -> io::Result<usize> {
    let mut rows = vec![0; 1 << 16];
    for block in 0..layout.num_blocks() {
        let mut hasher = layout::block_hasher(block);
        let mut left = layout.block_row_bytes(block);
        while left > 0 {
            let count = left.min(rows.len() as u64) as usize;
            if !read_whole(reader, &mut rows[..count])? {
                return Ok(block);
            }
            hasher.update(&rows[..count]);
            left -= count as u64;
        }
        let mut hash = [0; blake3::OUT_LEN];
        if !read_whole(reader, &mut hash)? || hasher.finalize() != hash {
            return Ok(block);
        }
    }
    Ok(layout.num_blocks())
}

fn finish(file: &File, partial: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(partial, path)?;
    sync_folder_of(path);
    file.unlock()
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, position)
}

#[cfg(windows)]
fn read_at(file: &File, mut buffer: &mut [u8], mut position: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, position)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                buffer = &mut buffer[count..];
                position += count as u64;
            }
        }
    }
    Ok(())
}

/// What is no plain file holds no scores.
fn unusable(error: RunDirError) -> CacheError {
    match error {
        RunDirError::Io { path, action, source } => CacheError::Io { path, action, source },
        RunDirError::NotPlain { path, what } => CacheError::Damaged { path, reason: what.to_owned() },
        other => CacheError::Damaged { path: PathBuf::new(), reason: other.to_string() },
    }
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> CacheError + use<> {
    let path = path.to_owned();
    move |source| CacheError::Io { path, action, source }
}

#[cfg(test)]
mod tests;
