//! The families as their users see them: shapes, sizes, noise, files, gradients, learning.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests reaches only test functions")]

mod custom;
mod families;
mod files;
mod init_from;
mod learning;
mod noise;
mod transformer;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_model::{Model, ModelSpec};
use mentor_random::{Purpose, Stream};

/// The smallest member of every family and form.
const SMALL: [&str; 7] = ["linear", "mlp:24,12", "cnn", "resnet-8", "resnet-18", "wrn-10-2", "vit-4-64-1"];

fn build(name: &str, input: [usize; 3], device: &Device) -> Model {
    Model::new(&ModelSpec::new(name, input, 10), 0, device).unwrap()
}

/// Normal pixels, a pure function of the sample's index.
fn images(samples: &[u32], [channels, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    let mut values = Vec::new();
    for &sample in samples {
        let mut stream = Stream::new(1, Purpose::Augmentation, &[u64::from(sample)]);
        values.extend((0..channels * height * width).map(|_| stream.normal()));
    }
    Tensor::from_data(TensorData::new(values, [samples.len(), channels, height, width]), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        let gap = (found - expected).abs();
        assert!(gap <= tolerance * (1.0 + expected.abs()), "at {position}: {found} against {expected}");
    }
}
