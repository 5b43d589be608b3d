//! The vision transformer against PyTorch's, with numbers of `reference/vit.py`.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_model::{Model, ModelSpec, NamedTensor, Pass, parameters, with_parameters};

use crate::{assert_close, host};

const GOLDEN: &str = include_str!("../../../../reference/golden/vit.txt");

/// The script's formula for value `index` of parameter `parameter`, a multiple of 1/2048, so that `f32` holds
/// it exactly.
fn weight(parameter: usize, index: usize) -> f32 {
    ((index * 37 + parameter * 101) % 257) as f32 / 2048.0 - 128.0 / 2048.0
}

fn golden(name: &str) -> Vec<f32> {
    let line = GOLDEN.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap().split(' ').map(|value| value.parse().unwrap()).collect()
}

#[test]
fn features_and_scores_are_those_of_pytorch() {
    let device = Device::flex();
    // Two heads, two blocks, and images of 8 × 12, whose patches are not a square.
    let model = Model::new(&ModelSpec::new("vit-4-128-2", [2, 8, 12], 3), 0, &device).unwrap();
    let tensors = parameters(&model).into_iter().enumerate().map(|(parameter, tensor)| {
        // The factor of a normalisation is around 1.
        let shift = if tensor.path.ends_with("gamma") { 1.0 } else { 0.0 };
        let values = (0..tensor.values.len()).map(|index| shift + weight(parameter, index)).collect();
        NamedTensor::new(tensor.path, tensor.shape, values)
    });
    let model = with_parameters(model.clone(), tensors.collect()).unwrap();
    let shape = [2, 2, 8, 12];
    let pixels: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| ((i * 29) % 129) as f32 / 64.0 - 1.0).collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
    assert_close(&host(model.embeddings(images.clone(), &Pass::Inference)), &golden("features"), 2e-5);
    assert_close(&host(model.scores(images, &Pass::Inference)), &golden("scores"), 2e-5);
}
