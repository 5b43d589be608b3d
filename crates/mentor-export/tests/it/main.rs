//! Exported models, run by rten, beside mentor's own answers.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests reaches only test functions")]

mod families;
mod folders;
mod int8;
mod pictures;
mod strangers;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_data::{ImageFormat, Preprocessing, Resize};
use mentor_export::{Answers, ExportModel, Output, Rows};
use mentor_metrics::calibration::Calibration;
use mentor_model::{Head, Model, ModelSpec, NamedTensor, Pass, parameters, with_parameters};
use mentor_random::{Purpose, Stream};

/// A model with drawn weights, normalisations and their statistics among them.
struct Drawn {
    model: Model,
    export: ExportModel,
}

impl Drawn {
    fn new(architecture: &str, format: ImageFormat, head: Head, calibration: Option<Calibration>) -> Self {
        let mut spec = ModelSpec::new(architecture, format.shape(), head.size());
        spec.head = head;
        let model = Model::new(&spec, 3, &Device::flex()).unwrap();
        let drawn = parameters(&model).into_iter().enumerate().map(|(index, tensor)| drawn(index, tensor));
        let model = with_parameters(model, drawn.collect()).unwrap();
        let tensors = parameters(&model);
        let channels = format.channels;
        let output = match head {
            Head::Classifier { num_classes } => Output::Classifier {
                classes: (0..num_classes).map(|class| format!("class \"{class}\"")).collect(),
                calibration,
            },
            Head::Embedding { unit_norm, .. } => Output::Embedding { unit_norm },
        };
        let export = ExportModel {
            architecture: architecture.to_owned(),
            tensors: tensors.into_iter().map(|tensor| (tensor.path, tensor.shape, tensor.values)).collect(),
            output,
            preprocessing: Preprocessing {
                format,
                mean: [0.45, 0.4, 0.5][..channels].to_vec(),
                std: [0.25, 0.3, 0.2][..channels].to_vec(),
            },
            metadata: vec![("run_blake3".to_owned(), "ab".to_owned())],
        };
        Self { model, export }
    }

    /// Bytes `[N, C, H, W]` as the network sees them.
    fn normalised(&self, images: &[Vec<u8>]) -> Vec<f32> {
        let preprocessing = &self.export.preprocessing;
        let len = preprocessing.format.num_values();
        let mut values = vec![0.0; images.len() * len];
        for (image, values) in images.iter().zip(values.chunks_exact_mut(len)) {
            preprocessing.apply(image, values);
        }
        values
    }

    /// What mentor answers for images in the model's format.
    fn answers(&self, images: &[Vec<u8>]) -> Answers {
        let [channels, height, width] = self.export.preprocessing.format.shape();
        let shape = [images.len(), channels, height, width];
        let device = Device::flex();
        let tensor = Tensor::<4>::from_data(TensorData::new(self.normalised(images), shape), &device);
        let rows = |tensor: Tensor<2>| {
            let width = tensor.dims()[1];
            Rows { values: tensor.into_data().try_to_vec().unwrap(), width }
        };
        let embedding = rows(self.model.embeddings(tensor.clone(), &Pass::Inference));
        let Output::Classifier { calibration, .. } = &self.export.output else {
            return Answers { probabilities: None, embedding };
        };
        let mut scores = rows(self.model.scores(tensor, &Pass::Inference));
        for row in scores.values.chunks_exact_mut(scores.width) {
            calibration.iter().for_each(|calibration| calibration.apply(row));
            let top = row.iter().copied().fold(f32::MIN, f32::max);
            let exponentials: Vec<f64> = row.iter().map(|&score| f64::from(score - top).exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            row.iter_mut().zip(exponentials).for_each(|(value, e)| *value = (e / sum) as f32);
        }
        Answers { probabilities: Some(scores), embedding }
    }
}

/// Other values for what begins as 0 or 1: biases, normalisations and their statistics.
fn drawn(index: usize, tensor: NamedTensor) -> NamedTensor {
    if tensor.shape.len() > 1 && tensor.path != "head.weight" {
        return tensor;
    }
    let mut stream = Stream::new(9, Purpose::Weights, &[index as u64]);
    let mut draw = |centre: f32, spread: f32| centre + spread * stream.uniform_in(-1.0, 1.0);
    let (centre, spread) = match tensor.path.rsplit('.').next().unwrap() {
        "gamma" => (1.0, 0.5),
        "running_var" => (1.0, 0.8),
        "weight" => (0.0, 0.2),
        _ => (0.0, 0.3),
    };
    let values = tensor.values.iter().map(|_| draw(centre, spread)).collect();
    NamedTensor::new(tensor.path, tensor.shape, values)
}

fn format(channels: usize, height: usize, width: usize, resize: Resize) -> ImageFormat {
    ImageFormat { resize, ..ImageFormat::new(channels, height, width) }
}

const CLASSIFIER: Head = Head::Classifier { num_classes: 5 };
