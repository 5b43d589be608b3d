//! A model that was trained: loaded from its run directory, ready to evaluate and predict.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_data::{DataError, Dataset, shown_path};
use mentor_loss::{Distance, LossError, Penalty, ScoreLoss};
use mentor_metrics::classification::{Evaluation, SampleResult, summarise};
use mentor_metrics::retrieval::Metric;
use mentor_model::{Head, Model, ModelError, Pass, load_safetensors, tensor_shapes, weights_blake3};
use mentor_run::files::MAX_HEADER;
use mentor_run::{RunDir, RunDirError};

use crate::inference::device::to_host;
use crate::inference::error::{InferenceError, NEVER};
use crate::inference::evaluate::{embed_samples, evaluate_samples, in_order, score_samples};
use crate::inference::model_file::ModelFile;
use crate::inference::weights::WeightStatistics;
use crate::plan::checker::PlanError;
use crate::plan::loss::ScoreLossPlan;

/// A model with everything that its use needs: classes, preprocessing, loss.
#[derive(Debug)]
pub struct TrainedModel {
    /// What `model.json` says.
    pub file: ModelFile,
    /// The network, in inference form.
    pub model: Model,
    /// Of a classifier.
    loss: Option<ScoreLoss>,
    metric: Metric,
    penalty: Penalty,
    device: Device,
}

/// Why a trained model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The run directory holds no usable model.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The weights do not fit the architecture.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The loss is not one that this mentor knows.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The penalty is not a valid one.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The weights are not those that were saved.
    #[error("{path}: model.safetensors does not hold the weights that model.json names")]
    OtherWeights {
        /// The run directory.
        path: String,
    },
}

impl LoadError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::RunDir(error) => error.help(),
            Self::Model(_) | Self::Plan(_) | Self::Loss(_) => Vec::new(),
            Self::OtherWeights { .. } => vec!["restore it".to_owned(), "train again".to_owned()],
        }
    }
}

impl TrainedModel {
    /// Loads the model of a complete run onto `device`.
    ///
    /// # Errors
    ///
    /// When the run is missing, incomplete or damaged; when parts of `model.json` fit neither each other nor
    /// the weights.
    pub fn load(run: &Path, device: &Device) -> Result<Self, LoadError> {
        let run_dir = RunDir::open(run)?;
        let file = ModelFile::read(&run_dir)?;
        // The weights are about to be replaced, so the seed does not matter.
        let model = Model::new(&file.spec, 0, device)?;
        let num_values: usize =
            tensor_shapes(&model).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let max_bytes = (num_values * size_of::<f32>()) as u64 + MAX_HEADER;
        let model = load_safetensors(model, &run_dir.weights(max_bytes)?)?;
        if weights_blake3(&model) != file.weights_blake3 {
            return Err(LoadError::OtherWeights { path: shown_path(run) });
        }
        let loss = match file.spec.head {
            Head::Classifier { num_classes } => {
                Some(ScoreLossPlan::from_config(&file.loss)?.build(num_classes)?)
            }
            Head::Embedding { .. } => None,
        };
        let metric = metric(&file)?;
        let penalty = Penalty::new(file.penalty.l1.unwrap_or(0.0), file.penalty.l2.unwrap_or(0.0))?;
        Ok(Self { file, model, loss, metric, penalty, device: device.clone() })
    }

    /// Evaluates the classifier on `dataset`, which the evaluation calls `split`: the sums, and each sample
    /// in order. Classes and confidences are those of the calibrated scores, where there is a calibration;
    /// losses are those of the raw ones, which training minimised.
    ///
    /// # Errors
    ///
    /// When an image cannot be read.
    ///
    /// # Panics
    ///
    /// If the model is no classifier, or the data set is empty, or has other classes or another image format
    /// than it; all are the caller's to check, where the user can be told.
    pub fn evaluate(
        &self,
        dataset: &Arc<Dataset>,
        split: impl fmt::Display,
        batch_size: usize,
    ) -> Result<(Evaluation, Vec<SampleResult>), DataError> {
        self.evaluate_until(dataset, split, batch_size, &NEVER).map_err(InferenceError::of_data)
    }

    /// As [`TrainedModel::evaluate`], until `stop` is set.
    pub(crate) fn evaluate_until(
        &self,
        dataset: &Arc<Dataset>,
        split: impl fmt::Display,
        batch_size: usize,
        stop: &AtomicBool,
    ) -> Result<(Evaluation, Vec<SampleResult>), InferenceError> {
        assert_eq!(dataset.classes(), self.file.classes.as_slice(), "the classes of data and model differ");
        assert_eq!(dataset.format(), &self.file.preprocessing.format, "the image formats differ");
        let loss = self.loss.as_ref().expect("an embedding model has no scores to evaluate");
        let loader = in_order(dataset, &self.file.preprocessing, batch_size);
        let calibration = self.file.calibration.as_ref();
        let results = evaluate_samples(&self.model, loss, calibration, &loader, &self.device, stop)?;
        let penalty = WeightStatistics::of(&self.model).penalty(&self.penalty);
        Ok((summarise(&split.to_string(), dataset.classes(), &results, penalty), results))
    }

    /// What near means among the model's embeddings.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Raw scores of images in the model's format: bytes `[channels, height, width]` each, one row an image.
    ///
    /// # Panics
    ///
    /// If the model is no classifier, or an image has another number of bytes than the format says.
    pub fn scores(&self, images: &[Vec<u8>]) -> Vec<Vec<f32>> {
        self.rows(images, |images| self.model.scores(images, &Pass::Inference))
    }

    /// As [`TrainedModel::scores`], as they enter the softmax: with the calibration, where there is one.
    ///
    /// # Panics
    ///
    /// As [`TrainedModel::scores`].
    pub fn calibrated_scores(&self, images: &[Vec<u8>]) -> Vec<Vec<f32>> {
        let mut rows = self.scores(images);
        if let Some(calibration) = &self.file.calibration {
            rows.iter_mut().for_each(|row| calibration.apply(row));
        }
        rows
    }

    /// Raw scores of a data set in the model's format, in order, one row after the other: `[N, C]`.
    ///
    /// # Errors
    ///
    /// When an image cannot be read.
    ///
    /// # Panics
    ///
    /// If the model is no classifier.
    pub fn score(&self, dataset: &Arc<Dataset>, batch_size: usize) -> Result<Vec<f32>, DataError> {
        self.score_until(dataset, batch_size, &NEVER).map_err(InferenceError::of_data)
    }

    /// As [`TrainedModel::score`], until `stop` is set.
    pub(crate) fn score_until(
        &self,
        dataset: &Arc<Dataset>,
        batch_size: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<f32>, InferenceError> {
        score_samples(&self.model, dataset, &self.file.preprocessing, batch_size, &self.device, stop)
    }

    /// Embeddings of images in the model's format, as [`TrainedModel::scores`]; of a classifier, its
    /// features.
    ///
    /// # Panics
    ///
    /// If an image has another number of bytes than the format says.
    pub fn embeddings(&self, images: &[Vec<u8>]) -> Vec<Vec<f32>> {
        self.rows(images, |images| self.model.embeddings(images, &Pass::Inference))
    }

    /// Embeddings of a data set in the model's format, in order, one row after the other: `[N, D]`.
    ///
    /// # Errors
    ///
    /// When an image cannot be read.
    pub fn embed(&self, dataset: &Arc<Dataset>, batch_size: usize) -> Result<Vec<f32>, DataError> {
        embed_samples(&self.model, dataset, &self.file.preprocessing, batch_size, &self.device, &NEVER)
            .map_err(InferenceError::of_data)
    }

    fn rows(&self, images: &[Vec<u8>], forward: impl Fn(Tensor<4>) -> Tensor<2>) -> Vec<Vec<f32>> {
        if images.is_empty() {
            return Vec::new();
        }
        let format = &self.file.preprocessing.format;
        let len = format.channels * format.height * format.width;
        let mut pixels = vec![0.0; images.len() * len];
        for (image, out) in images.iter().zip(pixels.chunks_exact_mut(len)) {
            assert_eq!(image.len(), len, "an image has {} bytes, and the model wants {len}", image.len());
            self.file.preprocessing.apply(image, out);
        }
        let shape = [images.len(), format.channels, format.height, format.width];
        let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &self.device);
        let rows = forward(images);
        let width = rows.dims()[1];
        to_host(rows).chunks_exact(width).map(<[f32]>::to_vec).collect()
    }
}

/// The order in which the embeddings were trained to lie; a classifier's features have the Euclidean one.
fn metric(file: &ModelFile) -> Result<Metric, PlanError> {
    let refused = |problem: String| PlanError { problems: vec![problem] };
    if matches!(file.spec.head, Head::Classifier { .. }) {
        return Ok(Metric::Euclidean);
    }
    match file.loss.name.as_deref() {
        Some("contrastive" | "triplet") => {}
        other => {
            let name = other.unwrap_or("none");
            return Err(refused(format!(
                "loss \"{name}\" is not one of an embedding model that this mentor knows"
            )));
        }
    }
    // A squared distance gives the same order.
    match file.loss.distance.as_deref().unwrap_or("euclidean").parse() {
        Ok(Distance::Cosine) => Ok(Metric::Cosine),
        Ok(Distance::Euclidean | Distance::SquaredEuclidean) => Ok(Metric::Euclidean),
        Err(error) => Err(refused(format!("distance: {error}"))),
    }
}
