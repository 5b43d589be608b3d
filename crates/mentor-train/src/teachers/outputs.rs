//! What teachers give for the training images: from a file, or live.

use std::fs;
use std::ops::Range;
use std::path::Path;

use mentor_run::files::beside;

use crate::teachers::cache::{CacheError, CacheKey, CacheShape, TeacherCache};
use crate::teachers::error::TeacherError;
use crate::teachers::images::AugmentedImages;
use crate::teachers::teacher::Teacher;
use crate::teachers::trained::{TEACHER_ROWS, TrainedTeacher};

/// Where the scores or embeddings of the training samples come from. Both give the same bits.
pub(crate) enum TeacherOutputs<'a> {
    /// A file.
    Cached(TeacherCache),
    /// The teacher, whenever they are asked for.
    Live(&'a dyn Teacher, AugmentedImages<'a>),
}

impl TeacherOutputs<'_> {
    /// Those of `samples` in `draw`, row-major `[N, width]`.
    pub(crate) fn rows(&self, draw: u64, samples: &[u32]) -> Result<Vec<f32>, TeacherError> {
        match self {
            Self::Cached(cache) => Ok(cache.rows(draw, samples)?),
            Self::Live(teacher, images) => {
                let rows = teacher.outputs(images, draw, samples)?;
                let (found, wanted) = (rows.len(), samples.len() * teacher.width());
                if found == wanted {
                    return Ok(rows);
                }
                let reason = format!("it gave {found} values for a batch, and {wanted} are wanted");
                Err(TeacherError::failed(teacher.name(), reason))
            }
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
    teacher: &TrainedTeacher,
    images: &AugmentedImages<'_>,
    views: std::num::NonZeroU64,
    path: &Path,
    mut go_on: impl FnMut() -> Result<(), E>,
    warn: impl FnOnce(String),
) -> Result<TeacherCache, E> {
    let key = CacheKey {
        teacher_weights: teacher.trained().file.weights_blake3.clone(),
        teacher_preprocessing: teacher.trained().file.preprocessing.clone(),
        student_format: images.dataset.format().clone(),
        augment: images.augment,
        seed: images.seed,
        images: images.dataset.images_blake3(),
    };
    let shape = CacheShape { num_samples: images.dataset.len(), num_classes: teacher.width(), views };
    let mut compute = |draw: u64, samples: Range<usize>| -> Result<Vec<f32>, BuildError<E>> {
        go_on().map_err(BuildError::Caller)?;
        let samples: Vec<u32> = samples.map(|sample| sample as u32).collect();
        teacher.outputs(images, draw, &samples).map_err(|error| BuildError::Caller(error.into()))
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
