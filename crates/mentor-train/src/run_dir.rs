//! The run directory: every file of a run is written and read here.
//!
//! ```text
//! config.toml        the resolved configuration; the same one continues the run
//! metrics.jsonl      one line an update (thinned) and an epoch
//! checkpoints/       last states, newest valid one wins
//! trajectory.f32     weights after some epochs, of small models
//! model.safetensors  the chosen weights          \
//! model.json         architecture, classes, data  | written when the run is complete
//! analysis.json      what the report draws        |
//! summary.json       final metrics               /  last: it marks the run complete
//! teacher-N.cache    scores or embeddings of teacher N of a distillation, and what came of it in distillation.json,
//!                    or embedding-fidelity.json;
//! baseline/          the run of the same network without teachers
//! teacher/, round-N/  stages of self-training: round-N/labels/ (pseudo-labels), round-N/student/ (a run), round-N/round.json;
//! distilled/         what --distill-to made; what the report draws of all is in self_training.json
//! quarantine.txt     images that were left out, with --on-bad-image quarantine
//! report.html        written by the command line
//! ```
//!
//! A file appears whole or not at all: it is written beside its place, synced and renamed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use mentor_data::Preprocessing;
use mentor_model::ModelSpec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::analysis::Analysis;
use crate::calibration::Calibration;
use crate::config::{Config, DataConfig, LossConfig, PenaltyConfig};
use crate::embedding_fidelity::EmbeddingFidelity;
use crate::event::MetricsLine;
use crate::fidelity::{BaselineSummary, Distillation, TeacherSummary};
use crate::self_training::{DistilledSummary, RoundSummary, SelfTraining};

/// `summary.json`: the run in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Accuracy of the chosen model on the validation split; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Validation loss of the chosen model, penalty included; absent without validation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Training loss of the last epoch, penalty included.
    pub train_loss: f64,
    /// Training accuracy of the last epoch; absent for embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Updates done.
    pub steps: u64,
    /// Epochs done.
    pub epochs: usize,
    /// The epoch that the chosen weights are from, counted from 1.
    pub best_epoch: usize,
    /// Why training ended before its last epoch, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Seconds of training and validation, over all continuations.
    pub wall_secs: f64,
    /// Trainable parameters.
    pub num_params: usize,
    /// Penalised weights that are exactly zero.
    pub num_zero_weights: usize,
    /// Penalised weights in all.
    pub num_weights: usize,
    /// Root mean square of the penalised weights.
    pub weight_rms: f64,
    /// blake3 of the chosen weights.
    pub weights_blake3: String,
    /// blake3 of the training and validation data.
    pub data_blake3: String,
    /// What the device was, such as `cpu`.
    pub device: String,
    /// Version of mentor that wrote it.
    pub mentor_version: String,
    /// Of a student: its teachers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherSummary>,
    /// Of a student: the same network trained from scratch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineSummary>,
    /// Of self-training: accuracy of the chosen model on the test split, which was opened once, at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Of self-training: its rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundSummary>,
    /// Of self-training: the small model that it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distilled: Option<DistilledSummary>,
    /// What else the recipe measured of the chosen model on the validation split, by name.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

/// `model.json`: what is needed to use `model.safetensors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Version of this file's layout.
    pub format: u32,
    /// The network.
    pub spec: ModelSpec,
    /// Class names, in the order of the scores.
    pub classes: Vec<String>,
    /// What is done to an image before the network sees it.
    pub preprocessing: Preprocessing,
    /// The data loss that the model was trained with.
    pub loss: LossConfig,
    /// The penalty that the model was trained with.
    pub penalty: PenaltyConfig,
    /// The data that the model was trained on, and how it was split.
    pub data: DataConfig,
    /// blake3 of `model.safetensors`' weights.
    pub weights_blake3: String,
    /// What makes probabilities of the scores, where `mentor calibrate` has fitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// Layout version of `model.json`.
pub const MODEL_FORMAT: u32 = 2;

/// What can go wrong with the files of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// A file or folder could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The directory holds a run with another configuration.
    #[error("{}: already holds another run, which differs in {differences}; choose another --out, or delete it", path.display())]
    OtherRun {
        /// The directory.
        path: PathBuf,
        /// Names of the fields that differ.
        differences: String,
    },
    /// The directory holds files, but no run.
    #[error("{}: is not empty and holds no run; choose another --out", path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// Another process is training in the directory.
    #[error("{}: another process is training here; wait for it, or choose another --out", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{}: damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The run was never finished, so it has no model yet.
    #[error("{}: the run is not complete, so it has no model yet; run the same `mentor train` command again to continue it", path.display())]
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// There is no run.
    #[error("{}: holds no run (there is no config.toml); name the --out directory of a `mentor train`", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
}

/// A directory that holds one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held while training, so that two processes do not write the same run.
    _lock: Option<File>,
}

impl RunDir {
    /// Makes `path` the directory of a run of `config`, or continues the one that is there.
    ///
    /// Proves that it can write, and locks the directory against other processes until dropped.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, is locked, holds other files, or holds a run whose
    /// configuration is not `config`.
    pub fn create(path: &Path, config: &Config) -> Result<Self, RunDirError> {
        let config_path = path.join(CONFIG_FILE);
        let occupied = path.exists()
            && fs::read_dir(path)
                .map_err(io(path, "open as a directory"))?
                .any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOCK_FILE));
        if occupied && !config_path.exists() {
            return Err(RunDirError::NotARun { path: path.to_owned() });
        }
        if !occupied {
            fs::create_dir_all(path).map_err(io(path, "create"))?;
        }
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path, "write"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => RunDirError::Locked { path: path.to_owned() },
            fs::TryLockError::Error(source) => io(&lock_path, "lock")(source),
        })?;
        let run = Self { path: path.to_owned(), _lock: Some(lock) };
        if occupied {
            run.check(config)?;
        } else {
            run.write(CONFIG_FILE, config.to_toml().as_bytes())?;
        }
        let checkpoints = run.checkpoints();
        fs::create_dir_all(&checkpoints).map_err(io(&checkpoints, "create"))?;
        Ok(run)
    }

    /// The summary of the run of `config` in `path`, if one is there and complete.
    ///
    /// # Errors
    ///
    /// When `path` holds a run of another configuration, or its files cannot be read.
    pub fn completed(path: &Path, config: &Config) -> Result<Option<Summary>, RunDirError> {
        if !path.join(CONFIG_FILE).is_file() {
            return Ok(None);
        }
        let run = Self::open(path)?;
        run.check(config)?;
        if run.is_complete() { run.summary().map(Some) } else { Ok(None) }
    }

    fn check(&self, config: &Config) -> Result<(), RunDirError> {
        let differences = differences(&self.config()?, config);
        if differences.is_empty() {
            return Ok(());
        }
        Err(RunDirError::OtherRun { path: self.path.clone(), differences: differences.join(", ") })
    }

    /// Opens the run in `path` for reading.
    ///
    /// # Errors
    ///
    /// When there is no run.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        if !path.join(CONFIG_FILE).is_file() {
            return Err(RunDirError::Missing { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// A directory of files that belong to a run, whether or not it is a run itself.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), _lock: None }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Whether the run has ended.
    pub fn is_complete(&self) -> bool {
        self.path.join("summary.json").is_file()
    }

    /// The resolved configuration.
    ///
    /// # Errors
    ///
    /// When `config.toml` cannot be read.
    pub fn config(&self) -> Result<Config, RunDirError> {
        let path = self.path.join(CONFIG_FILE);
        let text = fs::read_to_string(&path).map_err(io(&path, "read"))?;
        Config::from_toml(&text, "config.toml", &[])
            .map_err(|error| RunDirError::Damaged { path, message: error.to_string() })
    }

    /// The summary of a complete run.
    ///
    /// # Errors
    ///
    /// [`RunDirError::Incomplete`] before the run has ended; [`RunDirError::Damaged`] for a file that
    /// does not parse.
    pub fn summary(&self) -> Result<Summary, RunDirError> {
        self.read_json("summary.json")
    }

    /// The analysis of a complete run.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn analysis(&self) -> Result<Analysis, RunDirError> {
        self.read_json("analysis.json")
    }

    /// What distillation did, of a complete run that has teachers.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn distillation(&self) -> Result<Distillation, RunDirError> {
        self.read_json(DISTILLATION_FILE)
    }

    /// What self-training did, of a complete run of it.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn self_training(&self) -> Result<SelfTraining, RunDirError> {
        self.read_json(SELF_TRAINING_FILE)
    }

    /// What distillation of embeddings did, of a complete run that has teachers and labels.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn embedding_fidelity(&self) -> Result<EmbeddingFidelity, RunDirError> {
        self.read_json(EMBEDDING_FIDELITY_FILE)
    }

    /// Stores `calibration` in `model.json`, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// As [`RunDir::model`], and when the file system refuses.
    pub fn calibrate(&self, calibration: Calibration) -> Result<(), RunDirError> {
        let (file, _) = self.model()?;
        self.write_json("model.json", &ModelFile { calibration: Some(calibration), ..file })
    }

    /// The model of a complete run: its description and its safetensors bytes.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn model(&self) -> Result<(ModelFile, Vec<u8>), RunDirError> {
        let path = self.path.join("model.json");
        let file: ModelFile = self.read_json("model.json")?;
        if file.format != MODEL_FORMAT {
            let message = format!("it has format {}, and this mentor reads {MODEL_FORMAT}", file.format);
            return Err(RunDirError::Damaged { path, message });
        }
        let weights = self.path.join("model.safetensors");
        let bytes = fs::read(&weights).map_err(io(&weights, "read"))?;
        Ok((file, bytes))
    }

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

    /// Writes a file whole or not at all, and durably.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        write_atomically(&self.path.join(name), bytes)
    }

    /// Writes `value` as indented JSON.
    ///
    /// # Errors
    ///
    /// As [`RunDir::write`].
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RunDirError> {
        let mut text = serde_json::to_vec_pretty(value).expect("plain data");
        text.push(b'\n');
        self.write(name, &text)
    }

    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunDirError> {
        let path = self.path.join(name);
        if !path.exists() {
            return Err(RunDirError::Incomplete { path: self.path.clone() });
        }
        let bytes = fs::read(&path).map_err(io(&path, "read"))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| RunDirError::Damaged { path, message: error.to_string() })
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

const CONFIG_FILE: &str = "config.toml";
pub(crate) const DISTILLATION_FILE: &str = "distillation.json";
pub(crate) const SELF_TRAINING_FILE: &str = "self_training.json";
pub(crate) const EMBEDDING_FIDELITY_FILE: &str = "embedding-fidelity.json";
const LOCK_FILE: &str = ".lock";
const METRICS_FILE: &str = "metrics.jsonl";

/// Writes a file whole or not at all, and durably: beside its place, synced, then renamed.
///
/// # Errors
///
/// When the file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: the half-written file is of no use, and the error that matters is the first.
        let _ = fs::remove_file(&temporary);
        return Err(io(path, "write")(error));
    }
    // The rename itself is durable only when the directory is synced; not every platform can.
    if let Some(parent) = path.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = parent.sync_all();
    }
    Ok(())
}

pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> RunDirError + use<> {
    let path = path.to_owned();
    move |source| RunDirError::Io { path, action, source }
}

/// Names of the fields in which two configurations differ, such as `optimizer.learning_rate`.
fn differences(stored: &Config, wanted: &Config) -> Vec<String> {
    fn walk(path: &str, stored: &serde_json::Value, wanted: &serde_json::Value, found: &mut Vec<String>) {
        use serde_json::Value::Object;
        if let (Object(left), Object(right)) = (stored, wanted) {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let null = serde_json::Value::Null;
                walk(&at, left.get(key).unwrap_or(&null), right.get(key).unwrap_or(&null), found);
            }
        } else if stored != wanted {
            found.push(path.to_owned());
        }
    }
    let json = |config: &Config| serde_json::to_value(config).expect("a Config is plain data");
    let mut found = Vec::new();
    walk("", &json(stored), &json(wanted), &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(seed: u64) -> Config {
        let mut config = Config::default();
        config.training.seed = Some(seed);
        config
    }

    #[test]
    fn another_configuration_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        drop(RunDir::create(&path, &config(1)).unwrap());
        drop(RunDir::create(&path, &config(1)).unwrap());
        let error = RunDir::create(&path, &config(2)).unwrap_err().to_string();
        assert!(error.contains("differs in training.seed"), "{error}");
    }

    #[test]
    fn a_directory_with_other_files_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "do not lose").unwrap();
        assert!(matches!(RunDir::create(dir.path(), &config(1)), Err(RunDirError::NotARun { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_processes_cannot_train_in_one_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let _first = RunDir::create(&path, &config(1)).unwrap();
        assert!(matches!(RunDir::create(&path, &config(1)), Err(RunDirError::Locked { .. })));
    }

    #[test]
    fn metrics_after_the_checkpoint_and_a_torn_line_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(&dir.path().join("run"), &config(1)).unwrap();
        let step = |step| {
            let metrics = crate::event::StepMetrics {
                step,
                epoch: 0,
                data_loss: 0.5,
                learning_rate: 0.1,
                num_samples: 8,
            };
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
