//! How a student sees images, and so its teacher.

use mentor_data::{Augment, DataError, Dataset};

/// The samples of a data set as a student sees them: in fixed augmented versions.
#[derive(Clone, Copy, Debug)]
pub struct AugmentedImages<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) augment: Augment,
    pub(crate) seed: u64,
}

impl<'a> AugmentedImages<'a> {
    /// Images as training with this augmentation and seed shows them.
    pub fn new(dataset: &'a Dataset, augment: Augment, seed: u64) -> Self {
        Self { dataset, augment, seed }
    }

    /// Images as they are.
    pub fn plain(dataset: &'a Dataset) -> Self {
        Self::new(dataset, Augment::None, 0)
    }

    /// The samples.
    pub fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// Version `draw` of the image of `sample`: bytes `[channels, height, width]` in the format of the data
    /// set.
    ///
    /// # Errors
    ///
    /// When the image cannot be read.
    ///
    /// # Panics
    ///
    /// If there is no such sample.
    pub fn read(&self, draw: u64, sample: u32) -> Result<Vec<u8>, DataError> {
        let format = self.dataset.format();
        let mut bytes = vec![0; format.num_values()];
        let mut changed = bytes.clone();
        self.dataset.read(sample as usize, &mut bytes)?;
        self.augment.apply(format, &bytes, &mut changed, self.seed, draw, sample);
        Ok(changed)
    }
}
