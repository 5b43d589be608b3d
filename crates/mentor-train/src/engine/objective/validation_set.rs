//! The samples that a model is judged on while it trains.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use mentor_data::{Dataset, HostBatch, Loader, Preprocessing};
use mentor_model::Model;

use crate::engine::error::TrainError;
use crate::inference::device::images_to_device;
use crate::inference::error::NEVER;
use crate::inference::evaluate::{embed_samples, in_order, score_samples};

/// The validation split, in its order and unchanged.
#[derive(Debug)]
pub struct ValidationSet<'a> {
    pub(crate) dataset: &'a Arc<Dataset>,
    pub(crate) preprocessing: &'a Preprocessing,
    pub(crate) batch_size: usize,
    /// Without gradients.
    pub(crate) device: &'a Device,
}

impl ValidationSet<'_> {
    /// The samples.
    pub fn dataset(&self) -> &Arc<Dataset> {
        self.dataset
    }

    /// Where models that are judged compute.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// Calls `work` with the images `[B, C, H, W]` of each batch, on the device, and with what else is known
    /// of it.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, and those of `work`.
    pub fn for_each(
        &self,
        mut work: impl FnMut(Tensor<4>, &HostBatch) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        for batch in self.loader().epoch(0, 0) {
            let mut batch = batch?;
            let images = images_to_device(&mut batch, self.device);
            work(images, &batch)?;
        }
        Ok(())
    }

    /// Raw scores of all samples: `[N, num_classes]`, row-major.
    ///
    /// # Errors
    ///
    /// When an image cannot be read.
    pub fn scores(&self, model: &Model) -> Result<Vec<f32>, TrainError> {
        Ok(score_samples(model, &self.loader(), self.device, &NEVER)?)
    }

    /// Embeddings of all samples: `[N, D]`, row-major.
    ///
    /// # Errors
    ///
    /// When an image cannot be read.
    pub fn embeddings(&self, model: &Model) -> Result<Vec<f32>, TrainError> {
        Ok(embed_samples(model, &self.loader(), self.device, &NEVER)?)
    }

    fn loader(&self) -> Loader {
        in_order(self.dataset, self.preprocessing, self.batch_size)
    }
}
