//! The part of the data that training may see: the training and validation splits.

use std::sync::Arc;

use mentor_data::{DataError, Dataset, Preprocessing, Source, Split};

use crate::plan::Plan;

/// Training and validation samples. The test split stays closed.
pub(crate) struct TrainingData {
    pub(crate) train: Arc<Dataset>,
    /// Absent where the source has no validation split and none was taken from training.
    pub(crate) val: Option<Arc<Dataset>>,
    pub(crate) preprocessing: Preprocessing,
    pub(crate) fingerprint: String,
    /// What the user should hear about the data.
    pub(crate) notes: Vec<String>,
}

impl TrainingData {
    pub(crate) fn load(plan: &Plan) -> Result<Self, DataError> {
        let source = Source::open(&plan.source, &plan.options)?;
        let train = Arc::new(source.load(Split::Train)?);
        let val = if source.has(Split::Val) { Some(Arc::new(source.load(Split::Val)?)) } else { None };
        Ok(Self {
            preprocessing: Preprocessing::fit(&train),
            fingerprint: source.fingerprint(),
            notes: source.notes().iter().chain(train.notes()).map(ToString::to_string).collect(),
            train,
            val,
        })
    }

    pub(crate) fn classes(&self) -> &[String] {
        self.train.classes()
    }

    /// `[channels, height, width]`.
    pub(crate) fn input(&self) -> [usize; 3] {
        let format = self.train.format();
        [format.channels, format.height, format.width]
    }
}
