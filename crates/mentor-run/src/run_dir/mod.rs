//! The run directory: every file of a run is written and read here.
//!
//! ```text
//! config.toml        the resolved configuration; the same one continues the run
//! metrics.jsonl      one line an update (thinned) and an epoch
//! checkpoints/       last states, newest valid one wins
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

mod metrics;

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mentor_metrics::calibration::Calibration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::RunDirError;
use crate::files::{TEMPORARY, io, write_alone, write_atomically};
use crate::records::Summary;
use crate::records::analysis::Analysis;
use crate::records::distillation::Distillation;
use crate::records::embedding_fidelity::EmbeddingFidelity;
use crate::records::embeddings::EmbeddingAnalysis;
use crate::records::self_training::SelfTraining;

pub use self::metrics::MetricsWriter;

/// A directory that holds one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held while training, so that two processes do not write the same run.
    _lock: Option<File>,
    /// Whether only this process writes here.
    alone: bool,
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
        // What a process leaves behind that was killed before it had written the configuration.
        let begun = [LOCK_FILE.to_owned(), format!("{CONFIG_FILE}{TEMPORARY}")];
        let occupied = path.exists()
            && fs::read_dir(path).map_err(io(path, "open as a directory"))?.any(|entry| {
                entry.is_ok_and(|entry| begun.iter().all(|name| entry.file_name() != name.as_str()))
            });
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
        let run = Self { path: path.to_owned(), _lock: Some(lock), alone: true };
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
        Ok(Self { path: path.to_owned(), _lock: None, alone: false })
    }

    /// A directory of files that belong to a run which this process has locked, whether or not it is a run itself.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), _lock: None, alone: true }
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

    /// The embedding analysis of a run; `None` where the run has none, as for a classifier or before the end.
    ///
    /// # Errors
    ///
    /// [`RunDirError::Io`] if the file cannot be read; [`RunDirError::Damaged`] if it does not parse.
    pub fn embedding_analysis(&self) -> Result<Option<EmbeddingAnalysis>, RunDirError> {
        let path = self.path().join(EMBEDDINGS_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RunDirError::Io { path, action: "read", source }),
        };
        let damaged = |error: serde_json::Error| RunDirError::Damaged { path, message: error.to_string() };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// What makes probabilities of the scores of a complete run's model, if one was fitted.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn calibration(&self) -> Result<Option<Calibration>, RunDirError> {
        #[derive(Deserialize)]
        struct Part {
            calibration: Option<Calibration>,
        }
        Ok(self.model_json::<Part>()?.calibration)
    }

    /// What `T` needs of `model.json`, the description of a complete run's model.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`]; [`RunDirError::Damaged`] for a layout that this mentor does not read.
    pub fn model_json<T: DeserializeOwned>(&self) -> Result<T, RunDirError> {
        #[derive(Deserialize)]
        struct Layout {
            format: u32,
        }
        let Layout { format } = self.read_json(MODEL_FILE)?;
        if format != MODEL_FORMAT {
            let path = self.path.join(MODEL_FILE);
            let message = format!("it has format {format}, and this mentor reads {MODEL_FORMAT}");
            return Err(RunDirError::Damaged { path, message });
        }
        self.read_json(MODEL_FILE)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`RunDirError::Io`] if it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, RunDirError> {
        let path = self.path.join(name);
        fs::read(&path).map_err(io(&path, "read"))
    }

    /// Writes a file whole or not at all, and durably.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        let path = self.path.join(name);
        if self.alone { write_alone(&path, bytes) } else { write_atomically(&path, bytes) }
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

    /// Reads a JSON file of a complete run.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunDirError> {
        let path = self.path.join(name);
        if !path.exists() {
            return Err(RunDirError::Incomplete { path: self.path.clone() });
        }
        let bytes = fs::read(&path).map_err(io(&path, "read"))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| RunDirError::Damaged { path, message: error.to_string() })
    }
}

const CONFIG_FILE: &str = "config.toml";
/// What distillation did.
pub const DISTILLATION_FILE: &str = "distillation.json";
/// What self-training did.
pub const SELF_TRAINING_FILE: &str = "self_training.json";
/// What distillation of embeddings did.
pub const EMBEDDING_FIDELITY_FILE: &str = "embedding-fidelity.json";
/// What the report draws of an embedding model.
pub const EMBEDDINGS_FILE: &str = "embeddings.json";
/// The description of the model.
pub const MODEL_FILE: &str = "model.json";
/// Layout version of `model.json`.
pub const MODEL_FORMAT: u32 = 2;
const LOCK_FILE: &str = ".lock";

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
    fn a_run_that_was_killed_before_its_first_file_was_whole_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        for name in [LOCK_FILE, "config.toml.tmp"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(RunDir::create(dir.path(), &config(1)).is_ok());
    }

    #[test]
    fn two_processes_cannot_train_in_one_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let _first = RunDir::create(&path, &config(1)).unwrap();
        assert!(matches!(RunDir::create(&path, &config(1)), Err(RunDirError::Locked { .. })));
    }
}
