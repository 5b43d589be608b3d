//! Division of each row by its Euclidean norm.

use burn::tensor::Tensor;

/// `[B, D]` to the unit sphere: x / ‖x‖, row by row.
///
/// A row of zeros stays as it is, and so does its gradient: its norm, whose root has no derivative there, is
/// taken for 1.
pub(crate) fn unit_norm(rows: Tensor<2>) -> Tensor<2> {
    let squares = rows.clone().square().sum_dim(1); // [B, 1]
    let zero = squares.clone().equal_elem(0.0);
    rows / squares.mask_fill(zero, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_have_length_one_and_a_row_of_zeros_keeps_value_and_gradient() {
        let device = Device::flex().autodiff();
        let rows = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 0.0]], &device).require_grad();
        let unit = unit_norm(rows.clone());
        assert_eq!(unit.clone().into_data().try_to_vec::<f32>().unwrap(), [0.6, 0.8, 0.0, 0.0]);
        // d(0.6)/dx = (1 - 0.36) / 5 and d(0.6)/dy = -0.48 / 5.
        let weights = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 2.0]], &device);
        let gradients = (unit * weights).sum().backward();
        let gradient = rows.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
        for (found, expected) in gradient.iter().zip([0.128, -0.096, 1.0, 2.0]) {
            assert!((found - expected).abs() < 1e-6, "{gradient:?}");
        }
    }
}
