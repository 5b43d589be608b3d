//! A model that was trained: loaded from its run directory, ready to evaluate and predict.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_data::{DataError, Dataset, ImageFormat, shown_path};
use mentor_metrics::classification::{Evaluation, SampleResult, summarise};
use mentor_metrics::retrieval::Metric;
use mentor_model::{Head, Model, ModelError, Network, Pass, load_safetensors, tensor_shapes, weights_blake3};
use mentor_run::files::{MAX_HEADER, read_named};
use mentor_run::{BACKBONE_FILE, MODEL_FILE, RunDir, RunDirError};

use crate::inference::device::to_host;
use crate::inference::error::{InferenceError, NEVER};
use crate::inference::evaluate::{embed_samples, evaluate_samples, in_order, score_samples};
use crate::inference::frozen::described_model;
use crate::inference::model_file::ModelFile;
use crate::inference::model_loss::ModelLoss;
use crate::inference::rows::{PredictError, Predictions, Rows};
use crate::inference::tuned::described_tuned;
use crate::inference::weights::WeightStatistics;

/// Images of one pass of [`TrainedModel::predict`].
const BATCH: usize = 256;
/// Bytes of a `model.json`, which names every class.
const MAX_DESCRIPTION: u64 = 1 << 28;
/// Bytes of a file of weights: those of the largest network, and its header.
pub(crate) const MAX_WEIGHTS: u64 = (1 << 33) + MAX_HEADER;

/// A model with everything that its use needs: classes, preprocessing, loss.
///
/// It is `Send` and `Sync`, and no call changes it: a server holds one in an `Arc` and asks it from many
/// threads. On the CPU a call shares its work among Rayon's threads.
#[derive(Debug)]
pub struct TrainedModel {
    /// What `model.json` says.
    pub file: ModelFile,
    /// The network, in inference form.
    pub model: Model,
    classes: Arc<[String]>,
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
    /// The description, which was given as bytes, is not one of a model.
    #[error("model.json: {reason}")]
    Description {
        /// What is wrong with it.
        reason: String,
    },
    /// The file of the pretrained network does not hold it.
    #[error("{}: {reason}", shown_path(path))]
    Backbone {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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
            Self::Model(_) | Self::Description { .. } => Vec::new(),
            Self::Backbone { .. } | Self::OtherWeights { .. } => {
                vec!["restore it".to_owned(), "train again".to_owned()]
            }
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
        let below = file.has_backbone_file().then(|| run_dir.read(BACKBONE_FILE, MAX_WEIGHTS)).transpose()?;
        let model = described(&file, below.as_deref(), run, device)?;
        Self::of_run(&run_dir, file, model, device)
    }

    /// As [`TrainedModel::load`], of a run that trained a network of the caller's own ([`Model::custom`]);
    /// `network` is one of the same shape, of any weights, on `device`.
    ///
    /// # Errors
    ///
    /// As [`TrainedModel::load`].
    pub fn load_custom(run: &Path, device: &Device, network: impl Network) -> Result<Self, LoadError> {
        let run_dir = RunDir::open(run)?;
        let file = ModelFile::read(&run_dir)?;
        let spec = &file.spec;
        let model = Model::custom(spec.architecture.clone(), spec.input, spec.head, network)?;
        Self::of_run(&run_dir, file, model, device)
    }

    /// Loads the two files `model.json` and `model.safetensors` of a folder, which need not be a run: all
    /// that a program needs to use a model.
    ///
    /// # Errors
    ///
    /// As [`TrainedModel::from_bytes`], and if a file cannot be read.
    pub fn from_folder(folder: &Path, device: &Device) -> Result<Self, LoadError> {
        let description = read_named(&folder.join(MODEL_FILE), MAX_DESCRIPTION)?;
        let weights = read_named(&folder.join("model.safetensors"), MAX_WEIGHTS)?;
        let file = parse(&description)?;
        let below = folder.join(BACKBONE_FILE);
        let below = file.has_backbone_file().then(|| read_named(&below, MAX_WEIGHTS)).transpose()?;
        let model = described(&file, below.as_deref(), folder, device)?;
        Self::new(file, load_safetensors(model, &weights)?, device, "the model")
    }

    /// A model from the bytes of its `model.json` and its `model.safetensors`, such as ones in the program
    /// itself.
    ///
    /// # Errors
    ///
    /// [`LoadError::Description`] if the first are no description of a model, [`LoadError::Model`] if the
    /// second are not its weights, and [`LoadError::OtherWeights`] if they are those of another model. A
    /// model on a pretrained network is loaded from its folder: its weights are not all in these two files.
    pub fn from_bytes(model_json: &[u8], safetensors: &[u8], device: &Device) -> Result<Self, LoadError> {
        let file = parse(model_json)?;
        let model = described(&file, None, Path::new(""), device)?;
        Self::new(file, load_safetensors(model, safetensors)?, device, "the model")
    }

    fn of_run(run: &RunDir, file: ModelFile, model: Model, device: &Device) -> Result<Self, LoadError> {
        let num_values: usize =
            tensor_shapes(&model).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let max_bytes = (num_values * size_of::<f32>()) as u64 + MAX_HEADER;
        let model = load_safetensors(model, &run.weights(max_bytes)?)?;
        Self::new(file, model, device, &shown_path(run.path()))
    }

    fn new(file: ModelFile, model: Model, device: &Device, place: &str) -> Result<Self, LoadError> {
        if weights_blake3(&model) != file.weights_blake3 {
            return Err(LoadError::OtherWeights { path: place.to_owned() });
        }
        let classes = file.classes.as_slice().into();
        Ok(Self { file, model, classes, device: device.clone() })
    }

    /// The names of the classes, in the order of the scores.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Shape of the images that the model takes; [`mentor_data::decode`] brings an image file to it.
    pub fn format(&self) -> &ImageFormat {
        &self.file.preprocessing.format
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
        let ModelLoss::Scores(loss) = &self.file.loss else {
            panic!("an embedding model has no scores to evaluate");
        };
        let loader = in_order(dataset, &self.file.preprocessing, batch_size);
        let calibration = self.file.calibration.as_ref();
        let results = evaluate_samples(&self.model, loss, calibration, &loader, &self.device, stop)?;
        let penalty = WeightStatistics::of(&self.model).penalty(&self.file.penalty);
        Ok((summarise(&split.to_string(), dataset.classes(), &results, penalty), results))
    }

    /// What near means among the model's embeddings.
    pub fn metric(&self) -> Metric {
        self.file.loss.metric()
    }

    /// The classes of images in the model's format, bytes `[channels, height, width]` each, with their
    /// probabilities: those of the calibration, if the model has one.
    ///
    /// Any number of images; 256 go through the network at once.
    ///
    /// # Errors
    ///
    /// [`PredictError::NoScores`] of an embedding model, [`PredictError::WrongLength`] for an image of
    /// another size.
    pub fn predict<I: AsRef<[u8]>>(&self, images: &[I]) -> Result<Predictions, PredictError> {
        let Head::Classifier { num_classes } = self.file.spec.head else {
            return Err(PredictError::NoScores);
        };
        self.check_lengths(images)?;
        let mut scores = Rows { values: Vec::new(), width: num_classes };
        for images in images.chunks(BATCH) {
            scores.values.extend(self.calibrated_scores(images)?.values);
        }
        Ok(Predictions { classes: self.classes.clone(), scores })
    }

    /// Raw scores of images, as [`TrainedModel::predict`] takes them, in one pass: one row an image.
    ///
    /// # Errors
    ///
    /// As [`TrainedModel::predict`].
    pub fn scores<I: AsRef<[u8]>>(&self, images: &[I]) -> Result<Rows, PredictError> {
        match self.file.spec.head {
            Head::Classifier { .. } => {
                self.rows(images, |images| self.model.scores(images, &Pass::Inference))
            }
            Head::Embedding { .. } => Err(PredictError::NoScores),
        }
    }

    /// As [`TrainedModel::scores`], as they enter the softmax: with the calibration, if there is one.
    ///
    /// # Errors
    ///
    /// As [`TrainedModel::predict`].
    pub fn calibrated_scores<I: AsRef<[u8]>>(&self, images: &[I]) -> Result<Rows, PredictError> {
        let mut rows = self.scores(images)?;
        if let Some(calibration) = &self.file.calibration {
            rows.values.chunks_exact_mut(rows.width.max(1)).for_each(|row| calibration.apply(row));
        }
        Ok(rows)
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
        score_samples(
            &self.model,
            &in_order(dataset, &self.file.preprocessing, batch_size),
            &self.device,
            stop,
        )
    }

    /// Embeddings of images, as [`TrainedModel::predict`] takes them, in one pass: one row an image. Of a
    /// classifier, its features.
    ///
    /// # Errors
    ///
    /// [`PredictError::WrongLength`] for an image of another size.
    pub fn embeddings<I: AsRef<[u8]>>(&self, images: &[I]) -> Result<Rows, PredictError> {
        self.rows(images, |images| self.model.embeddings(images, &Pass::Inference))
    }

    /// Embeddings of a data set in the model's format, in order, one row after the other: `[N, D]`.
    ///
    /// # Errors
    ///
    /// When an image cannot be read.
    pub fn embed(&self, dataset: &Arc<Dataset>, batch_size: usize) -> Result<Vec<f32>, DataError> {
        let loader = in_order(dataset, &self.file.preprocessing, batch_size);
        embed_samples(&self.model, &loader, &self.device, &NEVER).map_err(InferenceError::of_data)
    }

    fn check_lengths<I: AsRef<[u8]>>(&self, images: &[I]) -> Result<(), PredictError> {
        let expected = self.file.preprocessing.format.num_values();
        let wrong = |(_, image): &(usize, &I)| image.as_ref().len() != expected;
        match images.iter().enumerate().find(wrong) {
            Some((index, image)) => {
                Err(PredictError::WrongLength { index, found: image.as_ref().len(), expected })
            }
            None => Ok(()),
        }
    }

    fn rows<I: AsRef<[u8]>>(
        &self,
        images: &[I],
        forward: impl Fn(Tensor<4>) -> Tensor<2>,
    ) -> Result<Rows, PredictError> {
        self.check_lengths(images)?;
        if images.is_empty() {
            return Ok(Rows::default());
        }
        let format = &self.file.preprocessing.format;
        let len = format.num_values();
        let mut pixels = vec![0.0; images.len() * len];
        for (image, out) in images.iter().zip(pixels.chunks_exact_mut(len)) {
            self.file.preprocessing.apply(image.as_ref(), out);
        }
        let shape = [images.len(), format.channels, format.height, format.width];
        let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &self.device);
        let rows = forward(images);
        let width = rows.dims()[1];
        Ok(Rows { values: to_host(rows), width })
    }
}

fn parse(model_json: &[u8]) -> Result<ModelFile, LoadError> {
    ModelFile::parse(model_json, None).map_err(|reason| LoadError::Description { reason })
}

/// The model that `file` in `folder` describes, with any weights but those of the pretrained network `below`,
/// if there is one.
fn described(
    file: &ModelFile,
    below: Option<&[u8]>,
    folder: &Path,
    device: &Device,
) -> Result<Model, LoadError> {
    let ModelFile { spec, backbone, .. } = file;
    if let (Some(_), Some(model)) =
        (backbone, described_tuned(&spec.architecture, spec.input, spec.head, device))
    {
        return model.map_err(|reason| LoadError::Description { reason });
    }
    match (backbone, below) {
        (None, _) => Ok(Model::new(spec, 0, device)?),
        (Some(record), Some(weights)) => described_model(record, spec.input, spec.head, weights, device)
            .map_err(|reason| LoadError::Backbone { path: folder.join(BACKBONE_FILE), reason }),
        (Some(record), None) => {
            let reason = format!("the model stands on {}, which is not given", record.architecture);
            Err(LoadError::Description { reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_shared_by_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<TrainedModel>();
        shared::<Model>();
        shared::<Predictions>();
    }
}
