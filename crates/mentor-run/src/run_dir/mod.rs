//! The run directory: every file of a run is written and read here.
//!
//! ```text
//! config.toml        the resolved configuration; the same one continues the run
//! metrics.jsonl      one line an update (thinned) and an epoch, or an iteration of a solver
//! checkpoints/       last states, newest valid one wins
//! model.safetensors  the chosen weights          \
//! backbone.weights   the pretrained network below  | written when the run is complete
//! model.json         architecture, classes, data  |
//! analysis.json      what the report draws        |
//! summary.json       final metrics               /  last: it marks the run complete
//! teacher-N.cache    scores or embeddings of teacher N of a distillation
//! distillation.json, embedding-fidelity.json  what distillation did
//! baseline/          the run of the same network without teachers
//! length/, length.json  trials of self-training that find how long teacher and baseline train
//! teacher/, round-N/  stages of self-training: round-N/labels/ (pseudo-labels), round-N/student/ (a run),
//!                    round-N/round.json
//! distilled/         the run of --distill-to
//! self_training.json what the report draws of self-training
//! path.json          how the penalty of a linear classifier was chosen
//! quarantine.txt     images that were left out, with --on-bad-image quarantine
//! report.html        written by the command line
//! tensorboard/       event files, with --log tensorboard; mlflow.json the run of a server, with --log mlflow
//! ```
//!
//! A file appears whole or not at all: it is written beside its place, synced and renamed.

mod metrics;
mod places;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mentor_metrics::calibration::Calibration;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::RunDirError;
use crate::files::{
    MAX_CONFIG, MAX_RECORD, create_inside, exists, io, open_or_create, owner_in_run, read_plain,
    remove_abandoned, replace,
};
use crate::json;
use crate::records::analysis::Analysis;
use crate::records::distillation::Distillation;
use crate::records::embedding_fidelity::EmbeddingFidelity;
use crate::records::embeddings::EmbeddingAnalysis;
use crate::records::path::PenaltyPath;
use crate::records::self_training::SelfTraining;
use crate::records::{self, Record, Summary};

pub use self::metrics::{MetricsLog, MetricsWriter};
pub use self::places::same_data;

/// A directory that holds one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held while training, so that two processes do not write the same run.
    _lock: Option<File>,
    /// Fields of the configuration that name another place now than when the run began. What is there must be
    /// the same.
    moved: Vec<String>,
}

impl RunDir {
    /// Makes `path` the directory of a run of `config`, or continues the one that is there.
    ///
    /// Proves that it can write, and locks the directory against other processes until dropped.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, is locked, holds other files, or holds a run whose configuration
    /// is not `config`. Data that is somewhere else now is accepted here: training refuses it where it is not
    /// the same.
    pub fn create(path: &Path, config: &Config) -> Result<Self, RunDirError> {
        // What a process leaves behind that was killed before it had written the configuration.
        let begun = |name: &str| name == LOCK_FILE || owner_in_run(name) == Some(CONFIG_FILE);
        let occupied = path.exists()
            && fs::read_dir(path)
                .map_err(io(path, "open as a directory"))?
                .any(|entry| entry.is_ok_and(|entry| !entry.file_name().to_str().is_some_and(begun)));
        if occupied && !exists(&path.join(CONFIG_FILE)) {
            return Err(RunDirError::NotARun { path: path.to_owned() });
        }
        if !occupied {
            fs::create_dir_all(path).map_err(io(path, "create"))?;
        }
        let lock_path = path.join(LOCK_FILE);
        let lock = open_or_create(&lock_path)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => RunDirError::Locked { path: path.to_owned() },
            fs::TryLockError::Error(source) => io(&lock_path, "lock")(source),
        })?;
        let mut run = Self { path: path.to_owned(), _lock: Some(lock), moved: Vec::new() };
        if occupied {
            run.moved = run.check(config)?;
        } else {
            run.write(CONFIG_FILE, config.to_toml().as_bytes())?;
        }
        let checkpoints = create_inside(path, Path::new(CHECKPOINTS))?;
        for folder in [path, &checkpoints] {
            remove_abandoned(folder, |name| owner_in_run(name).is_some_and(is_of_a_run));
        }
        Ok(run)
    }

    /// The summary of the run of `config` in `path`, if one is there and complete, and its data where it was.
    ///
    /// # Errors
    ///
    /// When `path` holds a run of another configuration, or its files cannot be read.
    pub fn completed(path: &Path, config: &Config) -> Result<Option<Summary>, RunDirError> {
        let found = Self::completed_elsewhere(path, config)?;
        Ok(found.filter(|(run, _)| run.moved.is_empty()).map(|(_, summary)| summary))
    }

    /// As [`RunDir::completed`], also of data that is somewhere else now: the caller compares what is there.
    ///
    /// # Errors
    ///
    /// As [`RunDir::completed`].
    pub fn completed_elsewhere(path: &Path, config: &Config) -> Result<Option<(Self, Summary)>, RunDirError> {
        if !exists(&path.join(CONFIG_FILE)) {
            return Ok(None);
        }
        let mut run = Self::open(path)?;
        run.moved = run.check(config)?;
        if !run.is_complete() {
            return Ok(None);
        }
        let summary = run.summary()?;
        Ok(Some((run, summary)))
    }

    /// The fields that name another place than the run's.
    fn check(&self, config: &Config) -> Result<Vec<String>, RunDirError> {
        let (others, moved): (Vec<String>, Vec<String>) = places::differences(&self.config()?, config)
            .into_iter()
            .partition(|field| !places::is_place(field));
        if others.is_empty() {
            return Ok(moved);
        }
        let differences = [others, moved].concat().join(", ");
        Err(RunDirError::OtherRun { path: self.path.clone(), differences })
    }

    /// Fields of the configuration that name another place now than when the run began.
    pub fn moved(&self) -> &[String] {
        &self.moved
    }

    /// The error that what is in the other place is not the same; `None` where nothing is elsewhere.
    pub fn other_run(&self) -> Option<RunDirError> {
        let differences = self.moved.join(", ");
        (!self.moved.is_empty()).then(|| RunDirError::OtherRun { path: self.path.clone(), differences })
    }

    /// Takes the names that the data has now, once it has been found to be the same.
    ///
    /// # Errors
    ///
    /// As [`RunDir::write`].
    pub fn adopt(&self, config: &Config) -> Result<(), RunDirError> {
        match self.moved.is_empty() {
            true => Ok(()),
            false => self.write(CONFIG_FILE, config.to_toml().as_bytes()),
        }
    }

    /// Opens the run in `path` for reading.
    ///
    /// # Errors
    ///
    /// When there is no run.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        if !exists(&path.join(CONFIG_FILE)) {
            return Err(RunDirError::Missing { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), _lock: None, moved: Vec::new() })
    }

    /// A directory of files that belong to a run which this process has locked, whether or not it is a run
    /// itself.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), _lock: None, moved: Vec::new() }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Whether there is anything that calls itself a checkpoint.
    pub fn has_checkpoints(&self) -> bool {
        let entries = fs::read_dir(self.checkpoints()).into_iter().flatten().flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.any(|name| checkpoint_step(&name).is_some())
    }

    /// Whether the run has ended.
    pub fn is_complete(&self) -> bool {
        exists(&self.path.join(SUMMARY_FILE))
    }

    /// The resolved configuration.
    ///
    /// # Errors
    ///
    /// When `config.toml` cannot be read.
    pub fn config(&self) -> Result<Config, RunDirError> {
        let path = self.path.join(CONFIG_FILE);
        let bytes = read_plain(&path, MAX_CONFIG)?;
        let damaged = |message: String| RunDirError::Damaged { path, message };
        match std::str::from_utf8(&bytes) {
            Ok(text) => Config::from_toml(text, CONFIG_FILE, &[]).map_err(|error| damaged(error.to_string())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// The summary of a complete run.
    ///
    /// # Errors
    ///
    /// [`RunDirError::Incomplete`] before the run has ended; [`RunDirError::MissingFile`] where a complete
    /// run lacks the file; [`RunDirError::Damaged`] for a file that does not parse, or that says what cannot
    /// be.
    pub fn summary(&self) -> Result<Summary, RunDirError> {
        self.read_json(SUMMARY_FILE)
    }

    /// The analysis of a complete run.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn analysis(&self) -> Result<Analysis, RunDirError> {
        self.read_json(ANALYSIS_FILE)
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
    /// As [`RunDir::summary`].
    pub fn embedding_analysis(&self) -> Result<Option<EmbeddingAnalysis>, RunDirError> {
        exists(&self.path.join(EMBEDDINGS_FILE)).then(|| self.read_json(EMBEDDINGS_FILE)).transpose()
    }

    /// How the penalty of a linear classifier was chosen; `None` where it was given.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn penalty_path(&self) -> Result<Option<PenaltyPath>, RunDirError> {
        exists(&self.path.join(PATH_FILE)).then(|| self.read_json(PATH_FILE)).transpose()
    }

    /// What makes probabilities of the scores of a complete run's model, if one was fitted.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn calibration(&self) -> Result<Option<Calibration>, RunDirError> {
        #[derive(Deserialize)]
        struct Part {
            format: u32,
            calibration: Option<Calibration>,
        }
        let damaged = |message| RunDirError::Damaged { path: self.path.join(MODEL_FILE), message };
        let part: Part = serde_json::from_slice(&self.model_json()?).map_err(|it| damaged(it.to_string()))?;
        match part.format {
            OLDEST_MODEL_FORMAT..=MODEL_FORMAT => Ok(part.calibration),
            format => Err(damaged(format!("it has format {format}, and this mentor reads {MODEL_FORMAT}"))),
        }
    }

    /// The bytes of `model.json`, the description of the model of a run that has one.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn model_json(&self) -> Result<Vec<u8>, RunDirError> {
        self.read(MODEL_FILE, MAX_RECORD)
    }

    /// The bytes of `model.safetensors`, which may be at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn weights(&self, max_bytes: u64) -> Result<Vec<u8>, RunDirError> {
        self.read(WEIGHTS_FILE, max_bytes)
    }

    /// Writes a file whole or not at all, and durably. What has its name is replaced, a link too.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        replace(&self.path.join(name), bytes)
    }

    /// Makes the file `name` in the folder `folder` of the run, to be written bit by bit; it must not be
    /// there. For logs that other programs read while the run goes on.
    ///
    /// # Errors
    ///
    /// When the file is there, the folder is a link, or the file system refuses.
    pub fn create_log(&self, folder: &Path, name: &str) -> Result<File, RunDirError> {
        let path = create_inside(&self.path, folder)?.join(name);
        File::create_new(&path).map_err(io(&path, "create"))
    }

    /// Writes `value` as indented JSON.
    ///
    /// # Errors
    ///
    /// As [`RunDir::write`].
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RunDirError> {
        let mut text = json::pretty(value).expect("plain data");
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Reads a JSON file of a complete run.
    ///
    /// # Errors
    ///
    /// As [`RunDir::summary`].
    pub fn read_json<T: Record>(&self, name: &str) -> Result<T, RunDirError> {
        let bytes = self.read(name, MAX_RECORD)?;
        records::parse(&bytes).map_err(|message| RunDirError::Damaged { path: self.path.join(name), message })
    }

    /// The bytes of a file that a complete run has, of at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// [`RunDirError::Incomplete`] or [`RunDirError::MissingFile`] without it, and when it cannot be read.
    pub fn read(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, RunDirError> {
        let path = self.path.join(name);
        match exists(&path) {
            true => read_plain(&path, max_bytes),
            false if self.is_complete() => Err(RunDirError::MissingFile { path }),
            false => Err(RunDirError::Incomplete { path: self.path.clone() }),
        }
    }
}

const CONFIG_FILE: &str = "config.toml";
const CHECKPOINTS: &str = "checkpoints";
const WEIGHTS_FILE: &str = "model.safetensors";
const ANALYSIS_FILE: &str = "analysis.json";
const SUMMARY_FILE: &str = "summary.json";
/// What distillation did.
pub const DISTILLATION_FILE: &str = "distillation.json";
/// What self-training did.
pub const SELF_TRAINING_FILE: &str = "self_training.json";
/// How the penalty of a linear classifier was chosen.
pub const PATH_FILE: &str = "path.json";
/// What distillation of embeddings did.
pub const EMBEDDING_FIDELITY_FILE: &str = "embedding-fidelity.json";
/// What the report draws of an embedding model.
pub const EMBEDDINGS_FILE: &str = "embeddings.json";
/// The description of the model.
pub const MODEL_FILE: &str = "model.json";
/// The weights of the pretrained network below the model's own, as they were given.
pub const BACKBONE_FILE: &str = "backbone.weights";
/// Layout version of `model.json`.
pub const MODEL_FORMAT: u32 = 3;
/// The oldest version that is read: it holds the configuration of the loss and the penalty as it was written.
pub const OLDEST_MODEL_FORMAT: u32 = 2;
const LOCK_FILE: &str = ".lock";

/// Name of the checkpoint after `step` updates.
pub fn checkpoint_name(step: u64) -> String {
    format!("step-{step:012}.safetensors")
}

/// The step of a checkpoint that is called so; `None` for a name that mentor does not give.
pub fn checkpoint_step(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (checkpoint_name(step) == name).then_some(step)
}

/// Whether mentor writes a file of this name into a run, or among its checkpoints.
fn is_of_a_run(name: &str) -> bool {
    let own = [
        CONFIG_FILE,
        "metrics.jsonl",
        WEIGHTS_FILE,
        BACKBONE_FILE,
        MODEL_FILE,
        ANALYSIS_FILE,
        SUMMARY_FILE,
        DISTILLATION_FILE,
        SELF_TRAINING_FILE,
        EMBEDDING_FIDELITY_FILE,
        EMBEDDINGS_FILE,
        PATH_FILE,
        "quarantine.txt",
        "report.html",
    ];
    own.contains(&name) || checkpoint_step(name).is_some()
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
