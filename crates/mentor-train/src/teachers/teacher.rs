//! A teacher and its outputs for the student's images, scores or embeddings, cached or computed.

use std::fs;
use std::ops::Range;
use std::path::Path;

use burn::tensor::Device;
use mentor_data::{Augment, DataError, Dataset, class_differences, shown_path};
use mentor_metrics::retrieval::Metric;
use mentor_model::{Head, Model};
use mentor_run::files::beside;
use rayon::prelude::*;

use crate::inference::trained_model::TrainedModel;
use crate::plan::Plan;
use crate::plan::distill::DistillMode;
use crate::teachers::cache::{CacheError, CacheKey, CacheShape, TeacherCache};
use crate::teachers::error::TeacherError;

/// Images of every forward pass of a teacher. Always this many, the last pass filled up with copies: the last
/// bits of an output depend on how many images pass together, and cached and live ones are to be the same.
pub(crate) const TEACHER_ROWS: usize = 128;

/// A trained model that another is to learn from.
#[derive(Debug)]
pub(crate) struct Teacher {
    /// Its run directory.
    pub(crate) name: String,
    trained: TrainedModel,
}

impl Teacher {
    /// # Errors
    ///
    /// When the run cannot be loaded or does not hold what `mode` learns from.
    pub(crate) fn load(run: &Path, mode: DistillMode, device: &Device) -> Result<Self, TeacherError> {
        let teacher = Self { name: shown_path(run), trained: TrainedModel::load(run, device)? };
        match (teacher.trained.file.spec.head, mode.is_of_embeddings()) {
            (Head::Classifier { .. }, false) | (Head::Embedding { .. }, true) => Ok(teacher),
            (Head::Embedding { .. }, false) => {
                Err(teacher.refused("it gives embeddings", &["set `distill.mode` to relational or cosine"]))
            }
            (Head::Classifier { .. }, true) => Err(teacher.refused(
                &format!("it gives scores, and mode {mode} learns from embeddings"),
                &["leave `distill.mode` out", "name the run of an embedding model"],
            )),
        }
    }

    /// # Errors
    ///
    /// When a student with embeddings of `size` values cannot point where the teacher does.
    pub(crate) fn check_size(&self, size: usize) -> Result<(), TeacherError> {
        let width = self.width();
        if width == size {
            return Ok(());
        }
        let reason = format!(
            "its embeddings have {width} values and the student's {size}, and mode cosine compares them value by value"
        );
        let size = format!("set `model.embedding_size` to {width}");
        Err(self.refused(&reason, &[&size, "set `distill.mode` to relational, which compares distances"]))
    }

    /// # Errors
    ///
    /// When the teacher's classes are not `classes`, with the names that differ; `place` says whose they are.
    pub(crate) fn check_classes(&self, classes: &[String], place: &str) -> Result<(), TeacherError> {
        let own = self.classes();
        if own == classes {
            return Ok(());
        }
        let found = class_differences((place, classes), ("the teacher has", own)).join(", ");
        let ways = ["distil on data with the teacher's classes", "train a teacher on this data"];
        Err(self.refused(&format!("the classes differ ({found})"), &ways))
    }

    fn refused(&self, reason: &str, ways: &[&str]) -> TeacherError {
        let help = ways.iter().map(|&way| way.to_owned()).collect();
        TeacherError::Refused { teacher: self.name.clone(), reason: reason.to_owned(), help }
    }

    pub(crate) fn classes(&self) -> &[String] {
        &self.trained.file.classes
    }

    pub(crate) fn trained(&self) -> &TrainedModel {
        &self.trained
    }

    pub(crate) fn model(&self) -> &Model {
        &self.trained.model
    }

    /// Values that it gives for an image: a score a class, or those of an embedding.
    pub(crate) fn width(&self) -> usize {
        match self.trained.file.spec.head {
            Head::Classifier { num_classes } => num_classes,
            Head::Embedding { size, .. } => size,
        }
    }

    /// What near means among its embeddings.
    pub(crate) fn metric(&self) -> Metric {
        self.trained.metric()
    }

    /// Scores, or embeddings, of some samples as `shown`, row-major `[N, width]`.
    pub(crate) fn outputs(
        &self,
        shown: &Shown<'_>,
        view: u64,
        samples: &[u32],
    ) -> Result<Vec<f32>, TeacherError> {
        let Shown { dataset, augment, seed } = *shown;
        let (format, own) = (dataset.format(), &self.trained.file.preprocessing.format);
        let image = |&sample: &u32| {
            let mut bytes = vec![0; format.num_values()];
            let mut changed = bytes.clone();
            dataset.read(sample as usize, &mut bytes)?;
            augment.apply(format, &bytes, &mut changed, seed, view, sample);
            Ok(own.convert(format, &changed))
        };
        let mut outputs = Vec::with_capacity(samples.len() * self.width());
        for samples in samples.chunks(TEACHER_ROWS) {
            let mut images: Vec<Vec<u8>> = samples.par_iter().map(image).collect::<Result<_, DataError>>()?;
            if let Some(last) = images.last().cloned() {
                images.resize(TEACHER_ROWS, last);
            }
            let rows = match self.trained.file.spec.head {
                Head::Classifier { .. } => self.trained.scores(&images),
                Head::Embedding { .. } => self.trained.embeddings(&images),
            };
            outputs.extend(rows.into_iter().take(samples.len()).flatten());
        }
        Ok(outputs)
    }
}

/// The hashes of their weights: a student does not change its teachers half-way.
pub(crate) fn weights_of(teachers: &[Teacher]) -> String {
    teachers.iter().map(|teacher| teacher.trained.file.weights_blake3.as_str()).collect()
}

/// How the student sees images, and so the teacher: the samples of a data set in their views.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) augment: Augment,
    pub(crate) seed: u64,
}

impl<'a> Shown<'a> {
    /// Images as training shows them.
    pub(crate) fn training(plan: &Plan, dataset: &'a Dataset) -> Self {
        Self { dataset, augment: plan.augment, seed: plan.seed }
    }

    /// Images as they are.
    pub(crate) fn plain(dataset: &'a Dataset) -> Self {
        Self { dataset, augment: Augment::None, seed: 0 }
    }
}

/// Where the scores or embeddings of the training samples come from. Both give the same bits.
#[derive(Debug)]
pub(crate) enum TeacherOutputs<'a> {
    /// A file.
    Cached(TeacherCache),
    /// The teacher, whenever they are asked for.
    Live(&'a Teacher, Shown<'a>),
}

impl TeacherOutputs<'_> {
    /// Those of `samples` in `view`, row-major `[N, width]`.
    pub(crate) fn rows(&self, view: u64, samples: &[u32]) -> Result<Vec<f32>, TeacherError> {
        match self {
            Self::Cached(cache) => Ok(cache.rows(view, samples)?),
            Self::Live(teacher, shown) => teacher.outputs(shown, view, samples),
        }
    }
}

/// The teacher's scores or embeddings in a file at `path`; built, or continued, where they are not complete.
/// What cannot be read is computed again, and `warn` is told why.
///
/// # Errors
///
/// Those of `go_on` and of the cache.
pub(crate) fn cached<E: From<TeacherError>>(
    teacher: &Teacher,
    shown: &Shown<'_>,
    views: std::num::NonZeroU64,
    path: &Path,
    mut go_on: impl FnMut() -> Result<(), E>,
    warn: impl FnOnce(String),
) -> Result<TeacherCache, E> {
    let key = CacheKey {
        teacher_weights: teacher.trained.file.weights_blake3.clone(),
        teacher_preprocessing: teacher.trained.file.preprocessing.clone(),
        student_format: shown.dataset.format().clone(),
        augment: shown.augment,
        seed: shown.seed,
        images: shown.dataset.images_blake3(),
    };
    let shape = CacheShape { num_samples: shown.dataset.len(), num_classes: teacher.width(), views };
    let mut compute = |view: u64, samples: Range<usize>| -> Result<Vec<f32>, BuildError<E>> {
        go_on().map_err(BuildError::Caller)?;
        let samples: Vec<u32> = samples.map(|sample| sample as u32).collect();
        teacher.outputs(shown, view, &samples).map_err(|error| BuildError::Caller(error.into()))
    };
    // Blocks of several passes, so that little is lost when a build is killed and hashes cost little.
    let rows = 8 * TEACHER_ROWS;
    let mut built = TeacherCache::open_or_build(path, &key, shape, rows, &mut compute);
    if let Err(BuildError::Cache(error)) = &built
        && let Some((place, reason)) = unreadable(error)
    {
        warn(format!("{}: {reason}; it is computed again", place.display()));
        // A folder is moved aside. Where neither is possible, building says so.
        if fs::remove_file(place).is_err() {
            let _ = fs::rename(place, beside(place, ".folder"));
        }
        built = TeacherCache::open_or_build(path, &key, shape, rows, compute);
    }
    built.map_err(|error| match error {
        BuildError::Cache(error) => TeacherError::from(error).into(),
        BuildError::Caller(error) => error,
    })
}

/// The file of a cache that cannot be read, and why.
fn unreadable(error: &CacheError) -> Option<(&Path, String)> {
    match error {
        CacheError::Damaged { path, reason } => Some((path, reason.clone())),
        CacheError::Io { path, action: "read", source } => Some((path, format!("cannot be read: {source}"))),
        _ => None,
    }
}

/// Why a cache was not built.
enum BuildError<E> {
    Cache(CacheError),
    Caller(E),
}

impl<E> From<CacheError> for BuildError<E> {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}
