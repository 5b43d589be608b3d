//! `model.json`: the description that stands beside the weights.

use mentor_data::Preprocessing;
use mentor_metrics::calibration::Calibration;
use mentor_model::ModelSpec;
use mentor_run::{DataConfig, LossConfig, MODEL_FILE, PenaltyConfig, RunDir, RunDirError};
use serde::{Deserialize, Serialize};

/// `model.json`: what is needed to use `model.safetensors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Version of this file's layout.
    pub format: u32,
    /// The network.
    pub spec: ModelSpec,
    /// Class names, in the order of the scores.
    pub classes: Vec<String>,
    /// What is done to an image before the network sees it.
    pub preprocessing: Preprocessing,
    /// The data loss that the model was trained with.
    pub loss: LossConfig,
    /// The penalty that the model was trained with.
    pub penalty: PenaltyConfig,
    /// The data that the model was trained on, and how it was split.
    pub data: DataConfig,
    /// [`Source::fingerprint`](mentor_data::Source::fingerprint) of that data; models of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_blake3: Option<String>,
    /// blake3 of `model.safetensors`' weights.
    pub weights_blake3: String,
    /// What makes probabilities of the scores, where `mentor calibrate` has fitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl ModelFile {
    /// The description of the model of a complete run.
    ///
    /// # Errors
    ///
    /// As [`RunDir::model_json`].
    pub fn read(run: &RunDir) -> Result<Self, RunDirError> {
        run.model_json()
    }

    /// Stores `calibration` in the description of a run's model, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// As [`ModelFile::read`], and when the file system refuses.
    pub fn calibrate(run: &RunDir, calibration: Calibration) -> Result<(), RunDirError> {
        run.write_json(MODEL_FILE, &Self { calibration: Some(calibration), ..Self::read(run)? })
    }
}
