//! What the Parquet library is shown of a file: no more than lies in it, and no form that the writer does not
//! use. The library takes memory for what a header claims, and a dictionary or a run of equal values makes any
//! number of rows of a few bytes.

use std::fs::File;
use std::io::BufReader;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// A file of which no part is read that is not there.
pub(super) struct Whole {
    pub(super) file: File,
    pub(super) num_bytes: u64,
}

impl Length for Whole {
    fn len(&self) -> u64 {
        self.num_bytes
    }
}

impl ChunkReader for Whole {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        match start.checked_add(length as u64) {
            Some(end) if end <= self.num_bytes => self.file.get_bytes(start, length),
            _ => Err(ParquetError::EOF(format!("{length} bytes at {start} are not in the file"))),
        }
    }
}

/// The pages of a column whose values lie in the file one by one: no more of them than its bytes can be.
pub(super) struct PlainPages {
    pages: Box<dyn PageReader>,
    /// Values that may come, empty lists among them.
    left: usize,
}

impl PlainPages {
    pub(super) fn new(pages: Box<dyn PageReader>, num_values: usize) -> Self {
        Self { pages, left: num_values }
    }
}

impl PageReader for PlainPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(page) = self.pages.get_next_page()? else { return Ok(None) };
        let plain = matches!(&page, Page::DataPage { encoding: Encoding::PLAIN, .. });
        match self.left.checked_sub(page.num_values() as usize) {
            Some(left) if plain => self.left = left,
            _ => {
                return Err(ParquetError::General(
                    "its values are not stored as mentor stores them".to_owned(),
                ));
            }
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for PlainPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
