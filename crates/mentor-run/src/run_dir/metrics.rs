//! `metrics.jsonl`: one line an update (thinned) and an epoch, appended while the run goes on.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use super::RunDir;
use crate::error::RunDirError;
use crate::files::io;
use crate::records::MetricsLine;

const METRICS_FILE: &str = "metrics.jsonl";

impl RunDir {
    /// The lines of `metrics.jsonl`; a last line that was cut off is left out.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a line other than the last does not parse.
    pub fn metrics(&self) -> Result<Vec<MetricsLine>, RunDirError> {
        let path = self.path.join(METRICS_FILE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let file = File::open(&path).map_err(io(&path, "read"))?;
        let lines: Vec<String> =
            BufReader::new(file).lines().collect::<Result<_, _>>().map_err(io(&path, "read"))?;
        let mut metrics = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(parsed) => metrics.push(parsed),
                Err(_) if index + 1 == lines.len() => {}
                Err(error) => {
                    let message = format!("line {}: {error}", index + 1);
                    return Err(RunDirError::Damaged { path, message });
                }
            }
        }
        Ok(metrics)
    }

    /// Opens `metrics.jsonl` to continue after `step` updates: later lines, which the run is about to
    /// write again, are dropped.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn metrics_writer(&self, step: u64) -> Result<MetricsWriter, RunDirError> {
        let kept: Vec<MetricsLine> = self
            .metrics()?
            .into_iter()
            .filter(|line| match line {
                MetricsLine::Step(metrics) => metrics.step <= step,
                MetricsLine::Epoch(metrics) => metrics.step <= step,
            })
            .collect();
        let mut text = Vec::new();
        for line in &kept {
            serde_json::to_writer(&mut text, line).expect("metrics are plain numbers");
            text.push(b'\n');
        }
        self.write(METRICS_FILE, &text)?;
        let path = self.path.join(METRICS_FILE);
        let file = OpenOptions::new().append(true).open(&path).map_err(io(&path, "write"))?;
        Ok(MetricsWriter { file, path })
    }
}

/// Appends to `metrics.jsonl`, a whole line at a time.
#[derive(Debug)]
pub struct MetricsWriter {
    file: File,
    path: PathBuf,
}

impl MetricsWriter {
    /// Appends one line.
    ///
    /// # Errors
    ///
    /// When the file system refuses, such as on a full disk.
    pub fn write(&mut self, line: &MetricsLine) -> Result<(), RunDirError> {
        let mut text = serde_json::to_vec(line).expect("metrics are plain numbers");
        text.push(b'\n');
        self.file.write_all(&text).map_err(io(&self.path, "write"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn metrics_after_the_checkpoint_and_a_torn_line_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(&dir.path().join("run"), &Config::default()).unwrap();
        let step = |step| {
            let metrics =
                crate::StepMetrics { step, epoch: 0, data_loss: 0.5, learning_rate: 0.1, num_samples: 8 };
            MetricsLine::Step(metrics)
        };
        let mut writer = run.metrics_writer(0).unwrap();
        (1..=4).for_each(|index| writer.write(&step(index)).unwrap());
        writer.file.write_all(b"{\"kind\":\"st").unwrap();
        assert_eq!(run.metrics().unwrap().len(), 4);
        run.metrics_writer(2).unwrap();
        assert_eq!(run.metrics().unwrap(), [step(1), step(2)]);
    }
}
