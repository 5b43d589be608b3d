//! `model.json` of version 2, which held the configuration of the loss, the penalty and the data as they were
//! written.

use mentor_data::Preprocessing;
use mentor_metrics::calibration::Calibration;
use mentor_model::ModelSpec;
use mentor_run::{DataConfig, LossConfig, PenaltyConfig};
use serde::Deserialize;

/// The file as version 2 wrote it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile2 {
    #[serde(rename = "format")]
    _format: u32,
    pub(crate) spec: ModelSpec,
    pub(crate) classes: Vec<String>,
    pub(crate) preprocessing: Preprocessing,
    pub(crate) loss: LossConfig,
    pub(crate) penalty: PenaltyConfig,
    pub(crate) data: DataConfig,
    pub(crate) source_blake3: Option<String>,
    pub(crate) weights_blake3: String,
    pub(crate) calibration: Option<Calibration>,
}
