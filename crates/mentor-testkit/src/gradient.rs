//! Is the gradient of a loss the derivative of its definition?
//!
//! Differences of an `f32` function are rounding noise: with a step of 1e-3 they are good to two or three
//! digits. So the numeric side is a plain `f64` function (an oracle), whose central differences hold about
//! nine digits, and the comparison is as tight as `f32` itself.

use burn::tensor::{Device, Tensor, TensorData};

/// Central differences of `f` at `at`: `(f(x + h) − f(x − h)) / 2h` for each coordinate, with h = 1e-5·max(1,
/// |x|).
///
/// For a smooth function of size 1 the error is about 1e-10. Keep away from kinks by more than h.
pub fn central_differences(f: impl Fn(&[f64]) -> f64, at: &[f64]) -> Vec<f64> {
    let mut point = at.to_vec();
    (0..at.len())
        .map(|k| {
            let (low, high) = (at[k] - 1e-5 * at[k].abs().max(1.0), at[k] + 1e-5 * at[k].abs().max(1.0));
            point[k] = high;
            let above = f(&point);
            point[k] = low;
            let below = f(&point);
            point[k] = at[k];
            (above - below) / (high - low)
        })
        .collect()
}

/// The gradient of the sum of `loss` with respect to its input of shape `[rows, columns]`, by automatic
/// differentiation on the CPU.
pub fn autodiff(values: &[f32], shape: [usize; 2], loss: impl Fn(Tensor<2>) -> Tensor<1>) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let input = Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device).require_grad();
    let gradients = loss(input.clone()).sum().backward();
    let gradient = input.grad(&gradients).expect("the loss depends on its input");
    gradient.into_data().try_to_vec().expect("gradients are f32")
}

/// Compares [`autodiff`] of `loss` with [`central_differences`] of `oracle`, the same function in `f64`.
///
/// # Errors
///
/// The first coordinate where they differ by more than `tolerance·max(1, |numeric|)`, or where one is not
/// finite.
///
/// ```
/// use mentor_testkit::gradient::gradient_check;
///
/// let oracle = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>();
/// gradient_check(&[1.0, -2.0], [1, 2], |x| x.square().sum(), oracle, 1e-6)?;
/// assert!(gradient_check(&[1.0, -2.0], [1, 2], |x| x.abs().sum(), oracle, 1e-6).is_err());
/// # Ok::<(), String>(())
/// ```
pub fn gradient_check(
    values: &[f32],
    shape: [usize; 2],
    loss: impl Fn(Tensor<2>) -> Tensor<1>,
    oracle: impl Fn(&[f64]) -> f64,
    tolerance: f64,
) -> Result<(), String> {
    let exact: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
    let numeric = central_differences(oracle, &exact);
    let automatic = autodiff(values, shape, loss);
    if automatic.len() != numeric.len() {
        return Err(format!("{} derivatives for {} inputs", automatic.len(), numeric.len()));
    }
    for (k, (&automatic, &numeric)) in automatic.iter().zip(&numeric).enumerate() {
        let error = (f64::from(automatic) - numeric).abs();
        if error.is_nan() || error > tolerance * numeric.abs().max(1.0) {
            let (row, column) = (k / shape[1], k % shape[1]);
            return Err(format!(
                "at [{row}, {column}] (input {}): autodiff {automatic}, differences {numeric}, apart by \
                 {error:e}",
                values[k]
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_hold_nine_digits() {
        let derivative = central_differences(|x| x[0].exp() * x[1].sin(), &[0.7, 2.0]);
        assert!((derivative[0] - 0.7f64.exp() * 2f64.sin()).abs() < 1e-9);
        assert!((derivative[1] - 0.7f64.exp() * 2f64.cos()).abs() < 1e-9);
    }

    #[test]
    fn a_gradient_that_is_off_by_a_factor_is_refused_with_its_place() {
        let oracle = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>();
        let half = |x: Tensor<2>| x.square().sum().mul_scalar(0.5);
        let refused = gradient_check(&[0.0, 0.0, 3.0, 0.0], [2, 2], half, oracle, 1e-4).unwrap_err();
        assert!(refused.starts_with("at [1, 0] (input 3): autodiff 3"), "{refused}");
    }

    #[test]
    fn a_gradient_that_is_not_a_number_is_refused() {
        let root_at_zero = |x: Tensor<2>| x.sqrt().mul_scalar(0.0).sum();
        assert!(gradient_check(&[0.0], [1, 1], root_at_zero, |_| 0.0, 1e-4).is_err());
    }
}
