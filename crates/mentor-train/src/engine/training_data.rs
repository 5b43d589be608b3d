//! The part of the data that training may see: the training and validation splits.

use std::sync::Arc;

use mentor_data::{DataError, Dataset, Note, Preprocessing, Source, Split};
use mentor_model::Head;

use crate::plan::Plan;

/// Training and validation samples. The test split stays closed.
#[derive(Clone)]
pub(crate) struct TrainingData {
    pub(crate) train: Arc<Dataset>,
    /// Absent where the source has no validation split and none was taken from training.
    pub(crate) val: Option<Arc<Dataset>>,
    pub(crate) preprocessing: Preprocessing,
    /// [`Source::has_photographs`]; false of data sets that a program gives.
    pub(crate) photographs: bool,
    pub(crate) fingerprint: String,
    /// That of the source; [`TrainingData::fingerprint`] is another one where not all of its training images
    /// are learned from.
    pub(crate) source_blake3: String,
    /// Class names, in the order of the scores: the data's own, or the teacher's where it has no labels.
    pub(crate) classes: Vec<String>,
    /// What the user should hear about the data.
    pub(crate) notes: Vec<Note>,
}

impl TrainingData {
    pub(crate) fn load(plan: &Plan) -> Result<Self, DataError> {
        Self::of(&Source::open(&plan.source, &plan.options)?)
    }

    pub(crate) fn of(source: &Source) -> Result<Self, DataError> {
        let train = Arc::new(source.load(Split::Train)?);
        let val = if source.has(Split::Val) { Some(Arc::new(source.load(Split::Val)?)) } else { None };
        let splits = || [Some(&train), val.as_ref()].into_iter().flatten();
        let notes: Vec<Note> =
            source.notes().iter().chain(splits().flat_map(|split| split.notes())).cloned().collect();
        let source_blake3 = source.fingerprint();
        // The source's own hash knows files; only decoding finds twins in other bytes.
        let lost_twins =
            |note: &Note| matches!(note, Note::LeaksRemoved { num_other_bytes, .. } if *num_other_bytes > 0);
        let fingerprint = match notes.iter().any(lost_twins) {
            false => source_blake3.clone(),
            true => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(source_blake3.as_bytes());
                splits().for_each(|split| {
                    hasher.update(split.images_blake3().as_bytes());
                });
                hasher.finalize().to_hex().to_string()
            }
        };
        Ok(Self {
            notes,
            preprocessing: Preprocessing::fit(&train),
            photographs: source.has_photographs(),
            source_blake3,
            fingerprint,
            classes: train.classes().to_vec(),
            train,
            val,
        })
    }

    /// Given data sets, of one format; if both have labels, of the same classes.
    pub(crate) fn given(
        train: Arc<Dataset>,
        val: Option<Arc<Dataset>>,
        preprocessing: Preprocessing,
    ) -> Self {
        let mut hasher = blake3::Hasher::new();
        for dataset in [Some(&train), val.as_ref()].into_iter().flatten() {
            hasher.update(&(dataset.len() as u64).to_le_bytes()).update(dataset.images_blake3().as_bytes());
            dataset.targets().iter().for_each(|target| {
                hasher.update(&target.to_le_bytes());
            });
        }
        let fingerprint = hasher.finalize().to_hex().to_string();
        Self {
            notes: Vec::new(),
            preprocessing,
            photographs: false,
            source_blake3: fingerprint.clone(),
            fingerprint,
            // Teachers may teach images without labels, and those of validation have some.
            classes: match &val {
                Some(val) if !train.is_labelled() => val.classes().to_vec(),
                _ => train.classes().to_vec(),
            },
            train,
            val,
        }
    }

    pub(crate) fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The head of a classifier of these classes.
    pub(crate) fn classifier(&self) -> Head {
        Head::Classifier { num_classes: self.classes.len() }
    }

    /// `[channels, height, width]`.
    pub(crate) fn input(&self) -> [usize; 3] {
        let format = self.train.format();
        [format.channels, format.height, format.width]
    }
}

/// Of these notes the files that were left out and are to be listed, one a line: path, split, reason,
/// separated by tabs.
pub(crate) fn quarantined(notes: &[Note]) -> String {
    let line = |note: &Note| match note {
        Note::BadImage { file, quarantine: true } => {
            Some(format!("{}\t{}\t{}\n", file.path, file.split, file.reason))
        }
        _ => None,
    };
    notes.iter().filter_map(line).collect()
}
