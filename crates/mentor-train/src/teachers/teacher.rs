//! What a student can learn from.

use super::error::TeacherError;
use super::images::AugmentedImages;

/// What a student can learn from: a model of this crate or of any other, a service, a table of scores.
///
/// ```
/// use mentor_train::{AugmentedImages, Teacher, TeacherError};
///
/// /// Calls an image light as far as its first pixel is.
/// struct FirstPixel;
///
/// impl Teacher for FirstPixel {
///     fn name(&self) -> &str {
///         "first pixel"
///     }
///
///     fn width(&self) -> usize {
///         2
///     }
///
///     fn fingerprint(&self) -> String {
///         "first pixel, version 1".to_owned()
///     }
///
///     fn outputs(
///         &self,
///         images: &AugmentedImages<'_>,
///         draw: u64,
///         samples: &[u32],
///     ) -> Result<Vec<f32>, TeacherError> {
///         let mut scores = Vec::new();
///         for &sample in samples {
///             let light = f32::from(images.read(draw, sample)?[0]) / 255.0;
///             scores.extend([1.0 - light, light]);
///         }
///         Ok(scores)
///     }
/// }
/// ```
pub trait Teacher {
    /// What messages and records call it.
    fn name(&self) -> &str;

    /// Values that it gives for an image: a score a class, or those of an embedding.
    fn width(&self) -> usize;

    /// What tells it from teachers that give other values, such as a hash of its weights: a student goes on
    /// with the teacher that it began with only.
    fn fingerprint(&self) -> String;

    /// Scores before any softmax, or embeddings, of some samples in version `draw`, row-major
    /// `[N, `[`width`](Teacher::width)`]`. The same arguments give the same values.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, or the teacher fails ([`TeacherError::failed`]).
    fn outputs(
        &self,
        images: &AugmentedImages<'_>,
        draw: u64,
        samples: &[u32],
    ) -> Result<Vec<f32>, TeacherError>;
}

/// Scores in memory, one row a sample, whatever the version of its image.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedOutputs {
    name: String,
    width: usize,
    values: Vec<f32>,
}

impl FixedOutputs {
    /// `values` are `[N, width]`, row-major, for the N samples of the data set that the student is trained
    /// on.
    ///
    /// # Errors
    ///
    /// If they are no whole rows, or not all finite.
    pub fn new(name: impl Into<String>, width: usize, values: Vec<f32>) -> Result<Self, TeacherError> {
        let name = name.into();
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(TeacherError::failed(
                &name,
                format!("{} values are no rows of {width}", values.len()),
            ));
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let row = place / width;
            return Err(TeacherError::failed(&name, format!("row {row} holds {}", values[place])));
        }
        Ok(Self { name, width, values })
    }
}

impl Teacher for FixedOutputs {
    fn name(&self) -> &str {
        &self.name
    }

    fn width(&self) -> usize {
        self.width
    }

    fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.values.iter().for_each(|value| {
            hasher.update(&value.to_le_bytes());
        });
        hasher.finalize().to_hex().to_string()
    }

    fn outputs(&self, _: &AugmentedImages<'_>, _: u64, samples: &[u32]) -> Result<Vec<f32>, TeacherError> {
        let mut rows = Vec::with_capacity(samples.len() * self.width);
        for &sample in samples {
            let start = sample as usize * self.width;
            let Some(row) = self.values.get(start..start + self.width) else {
                return Err(TeacherError::failed(&self.name, format!("it has no row for sample {sample}")));
            };
            rows.extend_from_slice(row);
        }
        Ok(rows)
    }
}

/// The fingerprints of several.
pub(crate) fn fingerprint<'a>(teachers: impl IntoIterator<Item = &'a dyn Teacher>) -> String {
    teachers.into_iter().map(Teacher::fingerprint).collect()
}
