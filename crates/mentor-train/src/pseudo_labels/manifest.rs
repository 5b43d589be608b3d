//! The manifest beside each file of pseudo-labels: what it is of, and that it is complete.

use std::io::Read;
use std::path::{Path, PathBuf};

use mentor_run::files::{beside, io, open_named, replace};
use serde::{Deserialize, Serialize};

use super::schema::LabelsError;
use super::shard::Shard;

/// What the labels are of. Shards that belong together have equal headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsHeader {
    /// blake3 of the teacher's weights.
    pub teacher_blake3: String,
    /// blake3 that stands for all labelled images, of all shards.
    pub images_blake3: String,
    /// Class names, in the order of the scores.
    pub classes: Vec<String>,
    /// The round of self-training, from 1; 0 outside of it.
    pub round: u32,
    /// What the scores were divided by for the confidence column.
    pub temperature: f64,
}

impl LabelsHeader {
    /// What no teacher's labels have.
    fn problem(&self) -> Option<&'static str> {
        let positive = self.temperature.is_finite() && self.temperature > 0.0;
        match self.classes.len() {
            0 | 1 => Some("it names fewer than two classes"),
            _ if !positive => Some("its temperature is not a finite number greater than 0"),
            _ => None,
        }
    }
}

/// Bytes of a manifest, at most: a million class names fit.
const MAX_BYTES: u64 = 256 << 20;

/// Layout version of the manifest and of the columns.
const FORMAT: u32 = 1;

/// `FILE.json`: written after its file, so that its presence says that the file is complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Layout version.
    pub format: u32,
    /// What the labels are of.
    pub header: LabelsHeader,
    /// Which part of the images.
    pub shard: Shard,
    /// Images.
    pub num_rows: u64,
    /// Size of the file.
    pub num_bytes: u64,
    /// blake3 of the file.
    pub file_blake3: String,
}

impl Manifest {
    pub(super) fn new(
        header: LabelsHeader,
        shard: Shard,
        num_rows: u64,
        num_bytes: u64,
        hash: blake3::Hash,
    ) -> Self {
        let file_blake3 = hash.to_hex().to_string();
        Self { format: FORMAT, header, shard, num_rows, num_bytes, file_blake3 }
    }

    /// Where the manifest of a file is: its name with `.json` added.
    pub fn path_of(labels: &Path) -> PathBuf {
        beside(labels, ".json")
    }

    pub(super) fn write(&self, labels: &Path) -> Result<(), LabelsError> {
        let mut text = mentor_run::json::pretty(self).expect("plain data");
        text.push(b'\n');
        Ok(replace(&Self::path_of(labels), &text)?)
    }

    /// Reads the manifest of `labels` and checks that the file is the one it was written for, byte for byte.
    ///
    /// # Errors
    ///
    /// [`LabelsError::Unfinished`] without a manifest; [`LabelsError::Damaged`] if either file is not whole.
    pub fn verify(labels: &Path) -> Result<Self, LabelsError> {
        let path = Self::path_of(labels);
        let damaged = |path: &Path, reason: String| LabelsError::Damaged { path: path.to_owned(), reason };
        if !path.exists() {
            return Err(LabelsError::Unfinished { path: labels.to_owned(), manifest: path });
        }
        let mut bytes = Vec::new();
        let file = open_named(&path, MAX_BYTES)?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io(&path, "read"))?;
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error.to_string()))?;
        if manifest.format != FORMAT {
            let reason = format!("layout {} is not the {FORMAT} that this version reads", manifest.format);
            return Err(damaged(&path, reason));
        }
        if Shard::new(manifest.shard.index, manifest.shard.count).is_err() {
            return Err(damaged(&path, format!("there is no shard {}", manifest.shard)));
        }
        if let Some(problem) = manifest.header.problem() {
            return Err(damaged(&path, problem.to_owned()));
        }
        let file = open_named(labels, u64::MAX)?;
        let found = file.metadata().map_err(io(labels, "read"))?.len();
        if found != manifest.num_bytes {
            let reason = format!("has {found} bytes where its manifest says {}", manifest.num_bytes);
            return Err(damaged(labels, reason));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file).map_err(io(labels, "read"))?;
        if hasher.finalize().to_hex().as_str() != manifest.file_blake3 {
            return Err(damaged(
                labels,
                "its bytes are not those that its manifest was written for".to_owned(),
            ));
        }
        Ok(manifest)
    }
}

/// The manifest of `labels` if that file is complete, intact and of this header and shard: then nothing is
/// left to do. `None` if it is to be written, again or for the first time.
///
/// # Errors
///
/// When a file cannot be read; [`LabelsError::OtherLabels`] if it is complete and intact but of another
/// header or shard: it is not overwritten.
pub fn finished_shard(
    labels: &Path,
    header: &LabelsHeader,
    shard: Shard,
) -> Result<Option<Manifest>, LabelsError> {
    if !labels.exists() {
        return Ok(None);
    }
    match Manifest::verify(labels) {
        Ok(manifest) => match difference(&manifest, header, shard) {
            None => Ok(Some(manifest)),
            Some(field) => Err(LabelsError::OtherLabels { path: labels.to_owned(), field }),
        },
        Err(LabelsError::Unfinished { .. } | LabelsError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn difference(manifest: &Manifest, header: &LabelsHeader, shard: Shard) -> Option<&'static str> {
    header_difference(&manifest.header, header)
        .or((manifest.shard != shard).then_some("images (another shard)"))
}

pub(super) fn header_difference(left: &LabelsHeader, right: &LabelsHeader) -> Option<&'static str> {
    [
        (left.teacher_blake3 != right.teacher_blake3, "weights of the teacher"),
        (left.images_blake3 != right.images_blake3, "images"),
        (left.classes != right.classes, "classes"),
        (left.round != right.round, "round"),
        (left.temperature != right.temperature, "temperature"),
    ]
    .into_iter()
    .find_map(|(differs, field)| differs.then_some(field))
}
