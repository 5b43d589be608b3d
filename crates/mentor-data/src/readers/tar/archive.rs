//! The entries of a tar file, one after the other: ustar, GNU and pax, plain or gzipped. Nothing is unpacked.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{EntryType, Header};

use crate::error::DataError;
use crate::readers::listing::has_extension;

const BLOCK: u64 = 512;
/// Bytes of a name.
const MAX_NAME: u64 = 4096;
/// Bytes of a header that extends another, such as one with a long name.
const MAX_EXTENSION: u64 = 64 << 10;
/// Entries of one archive.
const MAX_ENTRIES: usize = 10_000_000;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Where its bytes begin. The header is in the 512 bytes before.
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// An archive that is read from its beginning to its end.
pub(crate) struct Archive {
    path: PathBuf,
    stream: Stream,
    /// Bytes of the unpacked archive that were passed.
    position: u64,
    /// Bytes of the last entry, with those that fill its last block, that were not passed.
    rest: u64,
    /// Bytes of the file; `None` if it is gzipped.
    num_bytes: Option<u64>,
    num_entries: usize,
}

enum Stream {
    Plain(BufReader<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

/// Whether the name is that of a tar file.
pub(crate) fn is_tar(path: &Path) -> bool {
    has_extension(path, &["tar", "tgz"]) || is_gzipped_tar(path)
}

fn is_gzipped_tar(path: &Path) -> bool {
    has_extension(path, &["gz"])
        && path.file_stem().is_some_and(|stem| has_extension(Path::new(stem), &["tar"]))
}

impl Archive {
    /// Opens a file; its name says whether it is gzipped.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let io = |error| DataError::io(path, error);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let (file, gzipped) = (BufReader::with_capacity(4096, file), !has_extension(path, &["tar"]));
        let (stream, num_bytes) = match gzipped {
            true => (Stream::Gzip(Box::new(MultiGzDecoder::new(file))), None),
            false => (Stream::Plain(file), Some(length)),
        };
        Ok(Self { path: path.to_owned(), stream, position: 0, rest: 0, num_bytes, num_entries: 0 })
    }

    /// Bytes of the file; `None` if it is gzipped, so that no part of it can be read alone.
    pub(crate) fn num_bytes(&self) -> Option<u64> {
        self.num_bytes
    }

    /// The next entry that is a file.
    ///
    /// # Errors
    ///
    /// If the archive is damaged or cut off, or a name leads out of it, is no text, or is too long.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, DataError> {
        let (mut long_name, mut long_size): (Option<Vec<u8>>, Option<u64>) = (None, None);
        loop {
            self.skip_rest()?;
            let mut block = [0; BLOCK as usize];
            let num_read = self.fill(&mut block)?;
            if num_read == 0 {
                return Err(self.damaged("truncated: the mark of the archive's end is missing".to_owned()));
            }
            if num_read < block.len() {
                return Err(self.damaged("truncated: it ends in the middle of a header".to_owned()));
            }
            if block.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            self.check_sum(header, &block)?;
            self.num_entries += 1;
            if self.num_entries > MAX_ENTRIES {
                return Err(self.damaged(format!("holds more than {MAX_ENTRIES} entries")));
            }
            let stored = header.entry_size().map_err(|error| self.damaged(error.to_string()))?;
            let kind = header.entry_type();
            let is_extension = matches!(
                kind,
                EntryType::GNULongName
                    | EntryType::GNULongLink
                    | EntryType::XHeader
                    | EntryType::XGlobalHeader
            );
            let length = if is_extension { stored } else { long_size.unwrap_or(stored) };
            self.begin(length)?;
            if is_extension {
                if length > MAX_EXTENSION {
                    return Err(self.damaged(format!("an extended header has {length} bytes")));
                }
                let bytes = self.read(length)?;
                match kind {
                    EntryType::GNULongName => long_name = Some(until_zero(&bytes).to_vec()),
                    EntryType::XHeader => {
                        for pair in tar::PaxExtensions::new(&bytes) {
                            let pair = pair.map_err(|error| self.damaged(error.to_string()))?;
                            match pair.key_bytes() {
                                b"path" => long_name = Some(pair.value_bytes().to_vec()),
                                b"size" => long_size = pair.value().ok().and_then(|size| size.parse().ok()),
                                _ => {}
                            }
                        }
                    }
                    // Names of links, and what holds for all entries: neither is a place of an image.
                    _ => {}
                }
                continue;
            }
            let name = long_name.take().unwrap_or_else(|| header.path_bytes().into_owned());
            long_size = None;
            if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
                continue;
            }
            let name = self.checked_name(name)?;
            return Ok(Some(Entry { name, offset: self.position, length }));
        }
    }

    /// The bytes of the entry that was just given; the caller has checked the length.
    pub(crate) fn read(&mut self, length: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let found = self.fill(&mut bytes)? as u64;
        self.rest = self.rest.saturating_sub(found);
        match found == length {
            true => Ok(bytes),
            false => Err(self.cut_off(self.position - found + length)),
        }
    }

    /// Counts the entry whose header was read; its bytes must be there.
    fn begin(&mut self, length: u64) -> Result<(), DataError> {
        let padded = length.checked_next_multiple_of(BLOCK);
        let end = padded.and_then(|padded| self.position.checked_add(padded)).unwrap_or(u64::MAX);
        if self.num_bytes.is_some_and(|num_bytes| end > num_bytes) {
            return Err(self.cut_off(end));
        }
        self.rest = end - self.position;
        Ok(())
    }

    fn skip_rest(&mut self) -> Result<(), DataError> {
        let rest = std::mem::take(&mut self.rest);
        let skipped = match &mut self.stream {
            Stream::Plain(file) => i64::try_from(rest)
                .map_err(io::Error::other)
                .and_then(|rest| file.seek_relative(rest))
                .map(|()| rest),
            Stream::Gzip(stream) => io::copy(&mut stream.by_ref().take(rest), &mut io::sink()),
        };
        let skipped = skipped.map_err(|error| self.unreadable(error))?;
        self.position += skipped;
        if skipped == rest { Ok(()) } else { Err(self.cut_off(self.position - skipped + rest)) }
    }

    /// Reads until the buffer is full or the archive ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DataError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = match &mut self.stream {
                Stream::Plain(file) => file.read(&mut buffer[filled..]),
                Stream::Gzip(stream) => stream.read(&mut buffer[filled..]),
            };
            match read {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    fn check_sum(&self, header: &Header, block: &[u8; BLOCK as usize]) -> Result<(), DataError> {
        // The sum counts its own field as spaces.
        let sum: u32 = (0..)
            .zip(block)
            .map(|(i, &byte)| if (148..156).contains(&i) { 32 } else { u32::from(byte) })
            .sum();
        match header.cksum() {
            Ok(stored) if stored == sum => Ok(()),
            _ => Err(self.damaged(format!("no header of an entry is at byte {}", self.position - BLOCK))),
        }
    }

    fn checked_name(&self, name: Vec<u8>) -> Result<String, DataError> {
        if name.len() as u64 > MAX_NAME {
            return Err(
                self.damaged(format!("the name of an entry has {} bytes, over {MAX_NAME}", name.len()))
            );
        }
        let name = String::from_utf8(name).map_err(|error| {
            self.damaged(format!("the name of entry {:?} is not UTF-8", error.as_bytes()))
        })?;
        if name.starts_with('/') || name.split(['/', '\\']).any(|part| part == "..") {
            return Err(self.damaged(format!("the entry {name:?} leads out of the archive")));
        }
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        Ok(parts.join("/"))
    }

    fn cut_off(&self, expected: u64) -> DataError {
        let found = self.num_bytes.unwrap_or(self.position);
        DataError::Truncated { path: self.path.clone(), expected, found }
    }

    fn unreadable(&self, error: io::Error) -> DataError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.damaged("truncated: the compressed data end too early".to_owned())
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => self.damaged(error.to_string()),
            _ => DataError::io(&self.path, error),
        }
    }

    fn damaged(&self, reason: String) -> DataError {
        DataError::Damaged { path: self.path.clone(), reason }
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}
