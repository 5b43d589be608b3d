//! The layout of a cache file.

use std::io::{self, Read};
use std::ops::Range;

use serde_json::Value;

use super::error::CacheError;
use super::key::CacheShape;

const MAGIC: &[u8; 8] = b"mentorTC";
/// A header is some hundred bytes; a longer one is no header.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// The beginning of the file.
pub(crate) struct Header {
    description: Value,
    block_rows: usize,
    /// From the magic to the checksum.
    bytes: Vec<u8>,
}

impl Header {
    pub(crate) fn new(description: Value, block_rows: usize) -> Self {
        let mut fields = description.clone();
        fields["block_rows"] = block_rows.into();
        let json = fields.to_string();
        let mut bytes = MAGIC.to_vec();
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend(json.as_bytes());
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        Self { description, block_rows, bytes }
    }

    /// Reads the header; the inner error says why it is none.
    pub(crate) fn read(reader: &mut impl Read) -> io::Result<Result<Self, String>> {
        let mut bytes = vec![0; MAGIC.len() + size_of::<u32>()];
        if !read_whole(reader, &mut bytes)? || !bytes.starts_with(MAGIC) {
            return Ok(Err("is no file of a teacher's scores".to_owned()));
        }
        let length = bytes[MAGIC.len()..].try_into().map_or(0, u32::from_le_bytes) as usize;
        if length > MAX_HEADER_BYTES {
            return Ok(Err(format!("its header would have {length} bytes")));
        }
        let start = bytes.len();
        bytes.resize(start + length + blake3::OUT_LEN, 0);
        if !read_whole(reader, &mut bytes[start..])? {
            return Ok(Err("ends within its header".to_owned()));
        }
        let (checked, hash) = bytes.split_at(start + length);
        if blake3::hash(checked).as_bytes() != hash {
            return Ok(Err("the checksum of its header does not fit".to_owned()));
        }
        let description: Option<Value> = serde_json::from_slice(&checked[start..]).ok();
        let block_rows = description.as_ref().and_then(|fields| fields.get("block_rows")?.as_u64());
        match (description, block_rows.and_then(|rows| usize::try_from(rows).ok())) {
            (Some(description), Some(block_rows)) if block_rows > 0 => {
                Ok(Ok(Self { description, block_rows, bytes }))
            }
            _ => Ok(Err("its header does not say how many rows a block has".to_owned())),
        }
    }

    pub(crate) fn description(&self) -> &Value {
        &self.description
    }

    pub(crate) fn block_rows(&self) -> usize {
        self.block_rows
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Positions of blocks and rows, in numbers that were checked to fit the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    shape: CacheShape,
    block_rows: usize,
    blocks_a_view: usize,
    num_blocks: usize,
    header_bytes: u64,
    row_bytes: u64,
    view_bytes: u64,
    file_bytes: u64,
}

impl Layout {
    pub(crate) fn new(shape: CacheShape, block_rows: usize, header_bytes: usize) -> Result<Self, CacheError> {
        let CacheShape { num_samples, num_classes, views } = shape;
        let (views, header_bytes) = (views.get(), header_bytes as u64);
        let checked = || {
            let row_bytes = (num_classes as u64).checked_mul(size_of::<f32>() as u64)?;
            let blocks_a_view = num_samples.div_ceil(block_rows);
            let num_blocks = blocks_a_view.checked_mul(usize::try_from(views).ok()?)?;
            let rows_bytes = (num_samples as u64).checked_mul(row_bytes)?;
            let hashes = (blocks_a_view as u64).checked_mul(blake3::OUT_LEN as u64)?;
            let view_bytes = rows_bytes.checked_add(hashes)?;
            let file_bytes = view_bytes.checked_mul(views)?.checked_add(header_bytes)?;
            // Rows are buffered whole.
            usize::try_from(row_bytes).ok()?;
            Some(Self {
                shape,
                block_rows,
                blocks_a_view,
                num_blocks,
                header_bytes,
                row_bytes,
                view_bytes,
                file_bytes,
            })
        };
        // A file longer than i64 cannot be positioned in.
        checked().filter(|layout| i64::try_from(layout.file_bytes).is_ok()).ok_or(CacheError::TooLarge {
            num_samples,
            num_classes,
            views,
        })
    }

    pub(crate) fn shape(&self) -> CacheShape {
        self.shape
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes as usize
    }

    pub(crate) fn num_blocks(&self) -> usize {
        self.num_blocks
    }

    /// View and samples of a block.
    pub(crate) fn block(&self, block: usize) -> (u64, Range<usize>) {
        let (view, place) = (block / self.blocks_a_view, block % self.blocks_a_view);
        let start = place * self.block_rows;
        (view as u64, start..self.shape.num_samples.min(start.saturating_add(self.block_rows)))
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        (0..self.num_blocks).map(|block| self.block(block))
    }

    /// Bytes of a block's rows, without its checksum.
    pub(crate) fn block_row_bytes(&self, block: usize) -> u64 {
        self.block(block).1.len() as u64 * self.row_bytes
    }

    /// Where a block begins; that of one past the last is the end of the file.
    pub(crate) fn block_position(&self, block: usize) -> u64 {
        if block == self.num_blocks {
            return self.file_bytes;
        }
        let (view, samples) = self.block(block);
        self.position(view, samples.start)
    }

    pub(crate) fn row_position(&self, view: u64, sample: usize) -> u64 {
        let CacheShape { num_samples, views, .. } = self.shape;
        assert!(
            view < views.get() && sample < num_samples,
            "sample {sample} in view {view} of {:?}",
            self.shape
        );
        self.position(view, sample)
    }

    fn position(&self, view: u64, sample: usize) -> u64 {
        let blocks_before = (sample / self.block_rows) as u64;
        let within = sample as u64 * self.row_bytes + blocks_before * blake3::OUT_LEN as u64;
        self.header_bytes + view * self.view_bytes + within
    }
}

/// Takes a block's rows for its checksum, which knows the block's number: blocks that change places are
/// found.
pub(crate) fn block_hasher(block: usize) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(block as u64).to_le_bytes());
    hasher
}

pub(crate) fn block_hash(block: usize, rows: &[u8]) -> blake3::Hash {
    block_hasher(block).update(rows).finalize()
}

/// Fills `buffer`, or says that the file ends before.
pub(crate) fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
