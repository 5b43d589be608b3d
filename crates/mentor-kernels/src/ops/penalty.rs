//! The penalties of weights, a sum a row.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::buffer::{contiguous, is_on_cpu, to_tensor, values};
use crate::host::pointwise::TASK;

/// `[R, L]` to `[R]`: l1 Σ|w| + l2 Σ w² of each row, without autodiff. On the CPU each row is summed in eight
/// lanes of `f64` and rounded once.
pub fn penalty_rows(weights: Tensor<2>, l1: f64, l2: f64) -> Tensor<1> {
    if !is_on_cpu(&weights) || weights.is_autodiff() {
        return fallback(weights, l1, l2);
    }
    let [num_rows, len] = weights.dims();
    let weights = contiguous(weights.try_into_primitive::<Flex>().expect("it is on `flex`"));
    let rows = values(&weights).par_chunks(len.max(1)).with_min_len(TASK.div_ceil(len.max(1)));
    let mut sums: Vec<f32> = rows.map(|row| penalty(row, l1, l2) as f32).collect();
    sums.resize(num_rows, 0.0);
    Tensor::from_primitive::<Flex>(to_tensor(sums, &[num_rows]))
}

fn penalty(row: &[f32], l1: f64, l2: f64) -> f64 {
    let of = |value: f32| {
        let value = f64::from(value);
        l1 * value.abs() + l2 * value * value
    };
    let (blocks, rest) = row.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, &value)| *lane += of(value));
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&value| of(value)).sum::<f64>()
}

/// The same by Burn's operations, for devices without kernels.
fn fallback(weights: Tensor<2>, l1: f64, l2: f64) -> Tensor<1> {
    let [num_rows, _] = weights.dims();
    let sums = weights.clone().abs().mul_scalar(l1) + weights.square().mul_scalar(l2);
    sums.sum_dim(1).reshape([num_rows])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    #[test]
    fn kernel_and_burn_agree_and_threads_do_not_matter() {
        for shape in [[1, 1], [3, 7], [70, 2111], [2, 0]] {
            let values = TensorData::new(random(1, shape.iter().product()), shape);
            let weights = Tensor::<2>::from_data(values, &Device::flex());
            let run_on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let sums = pool.install(|| penalty_rows(weights.clone(), 0.25, 0.5));
                sums.into_data().try_to_vec::<f32>().unwrap()
            };
            let expected = fallback(weights.clone(), 0.25, 0.5).into_data().try_to_vec::<f32>().unwrap();
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            assert_eq!(run_on(1), run_on(2));
            close(&run_on(2), &expected, 1e-5);
        }
    }
}
