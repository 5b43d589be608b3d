//! Tables as text: commas, tabs, semicolons or bars between columns, UTF-8 or UTF-16, with or without a byte
//! order mark.

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::options::Limits;
use crate::readers::image_content::has_image_extension;
use crate::shown::listed;

/// Separators that are tried, the usual one first, and their names.
const SEPARATORS: [(u8, &str); 4] =
    [(b',', "commas"), (b'\t', "tabs"), (b';', "semicolons"), (b'|', "vertical bars")];

/// A table whose first line names its columns.
pub(crate) struct Table {
    path: PathBuf,
    text: String,
    separator: u8,
    header: Vec<String>,
    /// How it is written, where that is not UTF-8 with commas.
    pub(crate) dialect: Option<String>,
}

/// A line of a table.
pub(crate) struct Row {
    path: PathBuf,
    /// From 1; the line in which the row begins.
    pub(crate) line: u64,
    fields: csv::StringRecord,
}

impl Table {
    /// Reads a file whose first line must name the columns `needed`; `expected` says so in an error.
    pub(crate) fn read(
        path: &Path,
        needed: &[&'static str],
        expected: &'static str,
        limits: &Limits,
    ) -> Result<Self, DataError> {
        let io = |error| DataError::io(path, error);
        let (size, limit) = (std::fs::metadata(path).map_err(io)?.len(), limits.max_memory_bytes);
        if size > limit {
            let (path, what, option) = (path.to_owned(), "the number of bytes", "max_memory_bytes");
            return Err(DataError::TooLarge { path, what, size, limit, option });
        }
        let (mut text, encoding) = decode(path, std::fs::read(path).map_err(io)?)?;
        let named = take_separator_line(&mut text);
        let separators = SEPARATORS.into_iter().filter(|&(byte, _)| named.is_none_or(|named| named == byte));
        let headers = separators.map(|separator| (separator, first_line(&text, separator.0)));
        let num_found =
            |header: &[String]| needed.iter().filter(|&&column| position(header, column).is_some()).count();
        let best = headers.rev().max_by_key(|(_, header)| (num_found(header), header.len() > 1));
        let ((separator, name), header) = best.unwrap_or(((b',', "commas"), Vec::new()));
        if let Some(&column) = needed.iter().find(|&&column| position(&header, column).is_none()) {
            let (path, found) = (path.to_owned(), listed(&header));
            return Err(match header.iter().any(|field| has_image_extension(Path::new(field))) {
                true => DataError::MissingHeader { path, found, expected },
                false => DataError::MissingColumn { path, column, found, expected },
            });
        }
        let dialect = match (encoding, separator) {
            (None, b',') => None,
            (encoding, _) => Some(format!("{} with {name} between columns", encoding.unwrap_or("UTF-8"))),
        };
        Ok(Self { path: path.to_owned(), text, separator, header, dialect })
    }

    /// Where a column is; `None` if there is none of the name.
    ///
    /// # Errors
    ///
    /// [`DataError::ManifestLine`] if there are two.
    pub(crate) fn column(&self, name: &str) -> Result<Option<usize>, DataError> {
        let first = position(&self.header, name);
        match first.and_then(|first| position(&self.header[first + 1..], name)) {
            None => Ok(first),
            Some(_) => {
                let reason = format!("two columns are named {name:?}");
                Err(DataError::ManifestLine { path: self.path.clone(), line: 1, reason })
            }
        }
    }

    /// Names of the columns beside those that are used.
    pub(crate) fn other_columns(&self, used: &[Option<usize>]) -> Vec<String> {
        let others = (0..self.header.len()).filter(|&column| !used.contains(&Some(column)));
        others.map(|column| self.header[column].clone()).collect()
    }

    /// The lines below the first, empty ones left out.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Row, DataError>> {
        let rows = reader(&self.text, self.separator).into_records().skip(1);
        rows.map(|record| {
            let fields = record.map_err(|error| self.error(&error))?;
            let line = line_of(&self.text, fields.position());
            Ok(Row { path: self.path.clone(), line, fields })
        })
    }

    fn error(&self, error: &csv::Error) -> DataError {
        let line = error.position().map_or(1, csv::Position::line);
        let reason = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} columns where the first line has {expected_len}")
            }
            _ => error.to_string(),
        };
        DataError::ManifestLine { path: self.path.clone(), line, reason }
    }
}

impl Row {
    /// A field that must not be empty; `name` is that of its column.
    pub(crate) fn field(&self, column: usize, name: &str) -> Result<&str, DataError> {
        match self.fields.get(column) {
            Some(value) if value.contains('\n') => {
                Err(self.wrong(format!("the {name} runs over several lines: a quotation mark is not closed")))
            }
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(self.wrong(format!("the {name} is empty"))),
        }
    }

    /// An error about this line.
    pub(crate) fn wrong(&self, reason: String) -> DataError {
        DataError::ManifestLine { path: self.path.clone(), line: self.line, reason }
    }
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    // The header is a record like the others, so that all have as many columns.
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).trim(csv::Trim::All).delimiter(separator).from_reader(text.as_bytes())
}

fn first_line(text: &str, separator: u8) -> Vec<String> {
    let first = reader(text, separator).into_records().next();
    first.and_then(Result::ok).map_or(Vec::new(), |record| record.iter().map(str::to_owned).collect())
}

fn position(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|found| found.eq_ignore_ascii_case(name))
}

/// The separator that spreadsheets name in a line `sep=;` before the table. The line becomes an empty one, so
/// that lines keep their numbers.
fn take_separator_line(text: &mut String) -> Option<u8> {
    let rest = text.strip_prefix("sep=")?;
    let separator =
        *rest.as_bytes().first().filter(|byte| SEPARATORS.iter().any(|(known, _)| known == *byte))?;
    if !rest[1..].starts_with(['\r', '\n']) {
        return None;
    }
    text.replace_range(..5, "");
    Some(separator)
}

/// Text without its byte order mark, and the name of its encoding if it is not UTF-8.
fn decode(path: &Path, bytes: Vec<u8>) -> Result<(String, Option<&'static str>), DataError> {
    let pairs = |bytes: &[u8], to_unit: fn([u8; 2]) -> u16| -> Result<String, DataError> {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| to_unit([pair[0], pair[1]])).collect();
        let damaged = |reason: &str| DataError::Damaged { path: path.to_owned(), reason: reason.to_owned() };
        if bytes.len() % 2 == 1 {
            return Err(damaged("looks like UTF-16 text and has an odd number of bytes"));
        }
        String::from_utf16(&units).map_err(|_| damaged("looks like UTF-16 text and is not"))
    };
    match bytes[..] {
        [0xff, 0xfe, ..] => Ok((pairs(&bytes[2..], u16::from_le_bytes)?, Some("UTF-16"))),
        [0xfe, 0xff, ..] => Ok((pairs(&bytes[2..], u16::from_be_bytes)?, Some("UTF-16"))),
        // Without a mark; the names of columns are ASCII.
        [1..=255, 0, ..] => Ok((pairs(&bytes, u16::from_le_bytes)?, Some("UTF-16"))),
        [0, 1..=255, ..] => Ok((pairs(&bytes, u16::from_be_bytes)?, Some("UTF-16"))),
        _ => {
            let mut text = String::from_utf8(bytes).map_err(|error| {
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.as_bytes();
                let line = 1 + bytes[..valid].iter().filter(|&&byte| byte == b'\n').count() as u64;
                DataError::NotUtf8 {
                    path: path.to_owned(),
                    line,
                    byte: bytes.get(valid).copied().unwrap_or_default(),
                }
            })?;
            if text.starts_with('\u{feff}') {
                text.replace_range(..'\u{feff}'.len_utf8(), "");
            }
            Ok((text, None))
        }
    }
}

/// The line of a record, from 1. A record's own position is before the empty lines that the reader skips.
fn line_of(text: &str, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let bytes = text.as_bytes();
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
    let skipped = bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.filter(|&&byte| byte == b'\n').count() as u64
}
