//! Passes over images that memory bounds, in GB/s, beside the speed at which the machine copies.
//!
//! Counted are the bytes that a pass must read and write, each tensor once: a second reading from the cache,
//! and a store's reading of the line that it overwrites, are not.

use std::hint::black_box;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_kernels::{
    Normalisation, batch_norm, batch_norm_of_sum, batch_norm_plus, global_average, max_pool2d,
};
use rayon::prelude::*;

use crate::{least, least_of};

/// The images of the widest layers of `wrn-16-2` at batch 64: 8 MiB.
const SHAPE: [usize; 4] = [64, 32, 32, 32];

/// A pass over x and a shortcut.
type Pass = fn([Tensor<4>; 2]) -> Tensor<4>;

/// Name, and what forward and backward pass read and write, in tensors of [`SHAPE`].
const PASSES: [(&str, f64, f64, Pass); 5] = [
    ("batch norm, ReLU", 2.0, 3.0, |[x, _]| batch_norm(x, by()).output),
    ("batch norm of a sum", 4.0, 3.0, |[x, shortcut]| batch_norm_of_sum(x, shortcut, by()).output),
    ("batch norm + shortcut", 3.0, 5.0, |[x, shortcut]| batch_norm_plus(x, shortcut, by()).output),
    ("max pool 2", 1.25, 1.25, |[x, _]| max_pool2d(x, 2, 2, 0)),
    ("global average", 1.0, 1.0, |[x, _]| global_average(x).unsqueeze_dims(&[2, 3])),
];

/// Measures the passes with one of `names`, or all.
pub(crate) fn run(repeats: usize, names: &[String]) {
    let bytes = 4.0 * SHAPE.iter().product::<usize>() as f64;
    let from = vec![1.0f32; SHAPE.iter().product()];
    let mut to = from.clone();
    let copy = least(repeats, || {
        let parts = to.par_chunks_mut(1 << 15).zip(from.par_chunks(1 << 15));
        parts.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
    });
    println!(
        "{:22} {:>17} {:>17}",
        format!("GB/s (ms), copy {:.0}", 2.0 * bytes / copy / 1e9),
        "forward",
        "sum, backward"
    );
    for (name, forward, backward, pass) in PASSES {
        if !names.is_empty() && !names.iter().any(|part| name.contains(&part[..])) {
            continue;
        }
        let figure = |tensors: f64, seconds: f64| {
            format!("{:.1} ({:.2})", tensors * bytes / seconds / 1e9, seconds * 1e3)
        };
        // Values that nobody else holds, as a convolution gives them: a sum is then taken in their place.
        let plain = || [0, 1].map(|offset| images(offset, &Device::flex()));
        let forward_time = least_of(repeats, plain, |inputs| drop(pass(inputs)));
        let device = Device::flex().autodiff();
        let record = || pass([0, 1].map(|offset| images(offset, &device).require_grad()));
        let backward_time = least_of(repeats, record, |output| drop(output.sum().backward()));
        // The sum reads the output, whose gradient is then written.
        let output = pass(plain()).shape().num_elements() as f64 / SHAPE.iter().product::<usize>() as f64;
        let (forward, backward) =
            (figure(forward, forward_time), figure(backward + 2.0 * output, backward_time));
        println!("{name:22} {forward:>17} {backward:>17}");
    }
}

fn by() -> Normalisation {
    let device = Device::flex();
    let (gamma, beta) = (Tensor::ones([SHAPE[1]], &device), Tensor::zeros([SHAPE[1]], &device));
    Normalisation { gamma, beta, running: None, epsilon: 1e-5, relu: true }
}

fn images(offset: usize, device: &Device) -> Tensor<4> {
    let value = |i: usize| ((i + offset) % 101) as f32 / 101.0 - 0.5;
    let values: Vec<f32> = (0..SHAPE.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, SHAPE), device)
}
