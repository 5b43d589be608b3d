//! What the Parquet library is shown of a file: no more than lies in it, and no form that the writer does not
//! use. The library takes memory and time for what a header claims, and a dictionary makes any number of
//! rows of a few bytes.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::thrift::{is_footer, page_header};

/// A file of which no part is read that is not there.
#[derive(Clone)]
pub(super) struct Whole {
    file: Arc<File>,
    num_bytes: u64,
}

impl Whole {
    /// Bytes that hold the header of any page.
    const MAX_PAGE_HEADER: u64 = 256;

    pub(super) fn new(file: File, num_bytes: u64) -> Self {
        Self { file: Arc::new(file), num_bytes }
    }

    /// That the file ends in a footer as mentor writes it.
    pub(super) fn check_footer(&self) -> Result<()> {
        const END: u64 = 8;
        let end = self.num_bytes.saturating_sub(END);
        let length =
            self.get_bytes(end, END as usize)?.first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes));
        let start = end.saturating_sub(u64::from(length));
        match is_footer(&self.get_bytes(start, (end - start) as usize)?) {
            true => Ok(()),
            false => Err(ParquetError::General("its footer is not one that mentor writes".to_owned())),
        }
    }

    /// That nothing but pages as mentor writes them lies in this many bytes.
    pub(super) fn check_pages(&self, start: u64, num_bytes: u64) -> Result<()> {
        let foreign = || ParquetError::General("its pages are not stored as mentor stores them".to_owned());
        let end = start.checked_add(num_bytes).ok_or_else(foreign)?;
        let mut position = start;
        while position < end {
            let bytes = self.get_bytes(position, Self::MAX_PAGE_HEADER.min(end - position) as usize)?;
            let (header, page) = page_header(&bytes).ok_or_else(foreign)?;
            position =
                position.checked_add(header).and_then(|at| at.checked_add(page)).ok_or_else(foreign)?;
        }
        Ok(())
    }
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
                    "its pages are not stored as mentor stores them".to_owned(),
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
