//! `metrics.jsonl`: one line an update (thinned), an epoch or an iteration, appended while the run goes on.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::RunDir;
use crate::error::RunDirError;
use crate::files::{MAX_LOG, append_plain, exists, io, read_plain};
use crate::json;
use crate::records::MetricsLine;

const METRICS_FILE: &str = "metrics.jsonl";

/// What `metrics.jsonl` holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsLog {
    /// The lines that can be read, in order.
    pub lines: Vec<MetricsLine>,
    /// Lines that cannot, except for a last one that was cut off, as a kill leaves it.
    pub num_damaged: usize,
}

impl RunDir {
    /// The lines of `metrics.jsonl` that can be read.
    ///
    /// # Errors
    ///
    /// As [`RunDir::metrics_log`].
    pub fn metrics(&self) -> Result<Vec<MetricsLine>, RunDirError> {
        Ok(self.metrics_log()?.lines)
    }

    /// What `metrics.jsonl` holds; nothing if there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read. Damaged lines are counted, not refused.
    pub fn metrics_log(&self) -> Result<MetricsLog, RunDirError> {
        let path = self.path.join(METRICS_FILE);
        if !exists(&path) {
            return Ok(MetricsLog::default());
        }
        let bytes = read_plain(&path, MAX_LOG)?;
        let mut log = MetricsLog::default();
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            match serde_json::from_slice(line) {
                Ok(parsed) => log.lines.push(parsed),
                // What follows the last line break is empty, or was cut off.
                Err(_) if lines.peek().is_none() => {}
                Err(_) => log.num_damaged += 1,
            }
        }
        Ok(log)
    }

    /// Opens `metrics.jsonl` to continue after `step` updates: later lines, which the run is about to
    /// write again, are dropped.
    ///
    /// The log does not decide whether a run goes on: what of it is damaged is left out, and
    /// [`MetricsWriter::warning`] says so.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn metrics_writer(&self, step: u64) -> Result<MetricsWriter, RunDirError> {
        let (log, warning) = match self.metrics_log() {
            Ok(log) => {
                let warning = match log.num_damaged {
                    0 => None,
                    1 => Some("1 damaged line is left out of the curves".to_owned()),
                    num => Some(format!("{num} damaged lines are left out of the curves")),
                };
                (log, warning.map(|warning| format!("{METRICS_FILE}: {warning}")))
            }
            Err(error) => (MetricsLog::default(), Some(format!("the curves begin anew: {error}"))),
        };
        let mut kept = log.lines;
        kept.retain(|line| match line {
            MetricsLine::Step(metrics) => metrics.step <= step,
            MetricsLine::Epoch(metrics) => metrics.step <= step,
            MetricsLine::Iteration(metrics) => metrics.iteration <= step,
        });
        let mut text = Vec::new();
        for line in &kept {
            text.extend(json::line(line).expect("metrics are plain numbers"));
            text.push(b'\n');
        }
        self.write(METRICS_FILE, &text)?;
        let path = self.path.join(METRICS_FILE);
        Ok(MetricsWriter { file: append_plain(&path)?, path, kept, warning })
    }
}

/// Appends to `metrics.jsonl`, a whole line at a time.
#[derive(Debug)]
pub struct MetricsWriter {
    file: File,
    path: PathBuf,
    kept: Vec<MetricsLine>,
    warning: Option<String>,
}

impl MetricsWriter {
    /// What of an earlier log could not be kept.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Takes the lines that were there when the log was opened, and are kept.
    pub fn take_kept(&mut self) -> Vec<MetricsLine> {
        std::mem::take(&mut self.kept)
    }

    /// Appends one line.
    ///
    /// # Errors
    ///
    /// When the file system refuses, such as on a full disk.
    pub fn write(&mut self, line: &MetricsLine) -> Result<(), RunDirError> {
        let mut text = json::line(line).expect("metrics are plain numbers");
        text.push(b'\n');
        self.file.write_all(&text).map_err(io(&self.path, "write"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn step(step: u64) -> MetricsLine {
        let metrics =
            crate::StepMetrics { step, epoch: 0, data_loss: 0.5, learning_rate: 0.1, num_samples: 8 };
        MetricsLine::Step(metrics)
    }

    /// A run with four lines.
    fn run(dir: &std::path::Path) -> (RunDir, MetricsWriter) {
        let run = RunDir::create(&dir.join("run"), &Config::default()).unwrap();
        let mut writer = run.metrics_writer(0).unwrap();
        (1..=4).for_each(|index| writer.write(&step(index)).unwrap());
        (run, writer)
    }

    #[test]
    fn metrics_after_the_checkpoint_and_a_torn_line_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let (run, mut writer) = run(dir.path());
        writer.file.write_all(b"{\"kind\":\"st").unwrap();
        assert_eq!(run.metrics().unwrap().len(), 4);
        let writer = run.metrics_writer(2).unwrap();
        assert_eq!((run.metrics().unwrap(), writer.warning()), (vec![step(1), step(2)], None));
    }

    #[test]
    fn damaged_lines_are_left_out_and_counted_and_the_good_ones_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (run, _) = run(dir.path());
        let path = run.path().join(METRICS_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for damage in [&b"\0\0\0\0"[..], b"\xff\xfe", b"{}", b"[1, 2]", b"", b"{\"kind\":\"step\"}"] {
            let all = [lines[0].as_bytes(), damage, lines[1].as_bytes(), lines[2].as_bytes(), b""];
            std::fs::write(&path, all.join(&b'\n')).unwrap();
            let log = run.metrics_log().unwrap();
            assert_eq!((log.lines, log.num_damaged), (vec![step(1), step(2), step(3)], 1), "{damage:?}");
            let writer = run.metrics_writer(2).unwrap();
            assert!(writer.warning().unwrap().contains("1 damaged line is left out"), "{damage:?}");
            assert_eq!(
                run.metrics_log().unwrap(),
                MetricsLog { lines: vec![step(1), step(2)], num_damaged: 0 }
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_log_that_cannot_be_read_begins_anew_and_what_it_links_to_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (run, _) = run(dir.path());
        let (path, outside) = (run.path().join(METRICS_FILE), dir.path().join("outside"));
        std::fs::write(&outside, "precious").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert!(run.metrics().is_err());
        let writer = run.metrics_writer(0).unwrap();
        assert!(writer.warning().unwrap().contains("is a link"), "{:?}", writer.warning());
        assert_eq!(std::fs::read(&outside).unwrap(), b"precious");
        assert_eq!(run.metrics().unwrap(), []);
    }
}
