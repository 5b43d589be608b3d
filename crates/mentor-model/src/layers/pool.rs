//! Reductions of the image plane, all without parameters.

use burn::tensor::Tensor;

/// Maximum over windows of `side` x `side`, `stride` apart.
pub(crate) fn max_pool(input: Tensor<4>, side: usize, stride: usize, padding: usize) -> Tensor<4> {
    mentor_kernels::max_pool2d(input, side, stride, padding)
}

/// Mean over the image plane: `[B, C, H, W]` to `[B, C]`.
pub(crate) fn global_average(input: Tensor<4>) -> Tensor<2> {
    mentor_kernels::global_average(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn plane(side: usize) -> Tensor<4> {
        let values: Vec<f32> = (0..side * side).map(|value| value as f32).collect();
        Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([1, 1, side, side])
    }

    #[test]
    fn average_and_maximum_are_those_of_the_plane() {
        assert_eq!(global_average(plane(4)).into_data().try_to_vec::<f32>().unwrap(), [7.5]);
        assert_eq!(
            max_pool(plane(4), 2, 2, 0).into_data().try_to_vec::<f32>().unwrap(),
            [5.0, 7.0, 13.0, 15.0]
        );
    }
}
