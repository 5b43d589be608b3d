//! Answers on disk: a CSV file to which lines are appended, each safe before the call returns.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::AnnotateError;

/// A file of lines `path,WHAT,when`, which this process alone writes.
#[derive(Debug)]
pub(crate) struct LabelsFile {
    path: PathBuf,
    file: File,
    /// Where each line begins, after the header.
    begins: Vec<u64>,
    end: u64,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) what: String,
    pub(crate) when: String,
    /// In the file, from 1.
    pub(crate) number: u64,
}

impl LabelsFile {
    /// Opens or makes the file, locks it, and reads what stands in it. A last line without its end was never
    /// acknowledged, and is removed.
    pub(crate) fn open(path: &Path, header: &'static str) -> Result<(Self, Vec<Line>), AnnotateError> {
        let io = |error| AnnotateError::io(path, error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => AnnotateError::Locked { path: path.to_owned() },
            TryLockError::Error(error) => io(error),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let is_ours = bytes.starts_with(header.as_bytes()) || header.as_bytes().starts_with(&bytes);
        if !is_ours {
            let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let found = String::from_utf8_lossy(first).chars().take(80).collect();
            return Err(AnnotateError::Header { path: path.to_owned(), found, expected: header.trim_end() });
        }
        let mut labels = Self { path: path.to_owned(), file, begins: Vec::new(), end: whole as u64 };
        let lines = labels.read(&bytes[..whole])?;
        labels.file.set_len(labels.end).map_err(io)?;
        if labels.end == 0 {
            labels.write(header.as_bytes())?;
        }
        // The name of a new file is in its folder, which is written on its own.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(folder) = File::open(folder) {
            folder.sync_all().map_err(io)?;
        }
        Ok((labels, lines))
    }

    fn read(&mut self, bytes: &[u8]) -> Result<Vec<Line>, AnnotateError> {
        let wrong = |line: u64, reason: String| AnnotateError::Line { path: self.path.clone(), line, reason };
        let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
        let mut lines = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                wrong(error.position().map_or(0, csv::Position::line), "is no line of three cells".to_owned())
            })?;
            let position = record.position().cloned().unwrap_or_else(csv::Position::new);
            let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
            self.begins.push(position.byte());
            lines.push(Line { path: cell(0), what: cell(1), when: cell(2), number: position.line() });
        }
        Ok(lines)
    }

    /// Appends a line for each path, and returns when all are on the disk.
    pub(crate) fn append(&mut self, paths: &[&str], what: &str) -> Result<(), AnnotateError> {
        let when = now();
        let mut begins = Vec::new();
        let mut bytes = Vec::new();
        for path in paths {
            begins.push(self.end + bytes.len() as u64);
            let mut writer = csv::Writer::from_writer(Vec::new());
            let written = writer.write_record([path, what, &when]).map_err(std::io::Error::from);
            let line = written.and_then(|()| writer.into_inner().map_err(|error| error.into_error()));
            bytes.extend(line.map_err(|error| AnnotateError::io(&self.path, error))?);
        }
        self.write(&bytes)?;
        self.begins.extend(begins);
        Ok(())
    }

    /// Removes the last line.
    pub(crate) fn remove_last(&mut self) -> Result<(), AnnotateError> {
        let Some(&begin) = self.begins.last() else { return Ok(()) };
        let shortened = self.file.set_len(begin).and_then(|()| self.file.sync_all());
        shortened.map_err(|error| AnnotateError::io(&self.path, error))?;
        self.begins.pop();
        self.end = begin;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), AnnotateError> {
        let Self { file, end, .. } = self;
        let written = file
            .seek(SeekFrom::Start(*end))
            .and_then(|_| file.write_all(bytes))
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a line must not stand before the next one; the next start would remove it too.
            let _ = file.set_len(*end);
            return Err(AnnotateError::io(&self.path, error));
        }
        *end += bytes.len() as u64;
        Ok(())
    }
}

/// The time in UTC, such as 2026-11-30T12:00:00Z.
fn now() -> String {
    let secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    utc(secs)
}

/// H. Hinnant's `civil_from_days`, for times after 1970.
fn utc(secs: u64) -> String {
    let (days, of_day) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + 400 * era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "path,label,when\n";

    #[test]
    fn what_is_appended_is_read_again_and_the_last_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        let (mut labels, lines) = LabelsFile::open(&path, HEADER).unwrap();
        assert!(lines.is_empty());
        labels.append(&["a,b.png"], "cat").unwrap();
        labels.append(&["c.png", "d.png"], "dog").unwrap();
        labels.remove_last().unwrap();
        drop(labels);
        let (mut labels, lines) = LabelsFile::open(&path, HEADER).unwrap();
        let found: Vec<_> = lines.iter().map(|line| (line.path.as_str(), line.what.as_str())).collect();
        assert_eq!(found, [("a,b.png", "cat"), ("c.png", "dog")]);
        labels.remove_last().unwrap();
        labels.append(&["e.png"], "cat").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("path,label,when\n\"a,b.png\",cat,20") && text.contains("\ne.png,cat,"));
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_line_that_was_cut_off_is_removed_and_another_process_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        fs::write(&path, "path,label,when\na.png,cat,2026\nb.png,do").unwrap();
        let (_labels, lines) = LabelsFile::open(&path, HEADER).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "path,label,when\na.png,cat,2026\n");
        assert!(matches!(LabelsFile::open(&path, HEADER), Err(AnnotateError::Locked { .. })));
        let other = dir.path().join("other.csv");
        fs::write(&other, "name,class\nx,y\n").unwrap();
        let error = LabelsFile::open(&other, HEADER).unwrap_err();
        assert!(matches!(error, AnnotateError::Header { .. }), "{error}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "name,class\nx,y\n");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_796_083_199), "2026-11-30T23:59:59Z");
    }
}
