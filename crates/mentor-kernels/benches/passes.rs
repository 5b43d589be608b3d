//! Passes over images that memory bounds, in GB/s, beside the speed at which the machine copies.
//!
//! `cargo bench -p mentor-kernels --bench passes`, on as many threads as `RAYON_NUM_THREADS` says. Counted are the bytes that a pass must
//! read and write, each tensor once: a second reading from the cache and a store's reading of the line that it overwrites are not.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints its figures and may stop")]

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_kernels::{Normalisation, batch_norm, batch_norm_of_sum, batch_norm_plus, global_average, max_pool2d};
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The images of the widest layers of `wrn-16-2` at batch 64: 8 MiB.
const SHAPE: [usize; 4] = [64, 32, 32, 32];

fn main() {
    let bytes = 4.0 * SHAPE.iter().product::<usize>() as f64;
    let from = vec![1.0f32; SHAPE.iter().product()];
    let mut to = from.clone();
    let line = |name: &str, tensors: f64, seconds: f64| {
        println!("{name:<40} {:>8.2} ms {:>6.1} GB/s", seconds * 1e3, tensors * bytes / seconds / 1e9);
    };
    let copy = least(|| {
        let parts = to.par_chunks_mut(1 << 15).zip(from.par_chunks(1 << 15));
        parts.for_each(|(to, from)| to.copy_from_slice(from));
    });
    line("copy", 2.0, copy);

    type Pass = fn([Tensor<4>; 2]) -> Tensor<4>;
    // What forward and backward pass read and write: in tensors of the shape above.
    let passes: [(&str, f64, f64, Pass); 5] = [
        ("batch norm, ReLU", 2.0, 3.0, |[x, _]| batch_norm(x.clone(), by(&x)).output),
        ("batch norm of a sum, ReLU", 4.0, 3.0, |[x, s]| batch_norm_of_sum(x.clone(), s, by(&x)).output),
        ("batch norm plus shortcut, ReLU", 3.0, 5.0, |[x, s]| batch_norm_plus(x.clone(), s, by(&x)).output),
        ("max pool 2", 1.25, 1.25, |[x, _]| max_pool2d(x, 2, 2, 0)),
        ("global average", 1.0, 1.0, |[x, _]| global_average(x).unsqueeze_dims(&[2, 3])),
    ];
    for (name, forward, backward, pass) in passes {
        let plain = [0, 1].map(|stream| images(stream, &Device::flex()));
        let output_share = pass(plain.clone()).shape().num_elements() as f64 * 4.0 / bytes;
        line(&format!("{name}, forward"), forward, least(|| drop(pass(plain.clone()))));
        let device = Device::flex().autodiff();
        let tracked = [0, 1].map(|stream| images(stream, &device).require_grad());
        let mut backward_alone = f64::INFINITY;
        for _ in 0..40 {
            let output = pass(tracked.clone());
            let start = Instant::now();
            drop(output.sum().backward());
            backward_alone = backward_alone.min(start.elapsed().as_secs_f64());
        }
        // The sum reads the output, and its gradient is written.
        line(&format!("{name}, sum and backward"), backward + 2.0 * output_share, backward_alone);
    }
}

fn by(x: &Tensor<4>) -> Normalisation {
    let (channels, device) = (x.dims()[1], x.device());
    let (gamma, beta) = (Tensor::ones([channels], &device), Tensor::zeros([channels], &device));
    Normalisation { gamma, beta, running: None, epsilon: 1e-5, relu: true }
}

fn images(stream: usize, device: &Device) -> Tensor<4> {
    let values = (0..SHAPE.iter().product()).map(|i: usize| ((i + stream) % 101) as f32 / 101.0 - 0.5).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, SHAPE), device)
}

/// The least time of many calls, in seconds.
fn least(mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut least = f64::INFINITY;
    while begin.elapsed().as_secs_f64() < 0.7 {
        let start = Instant::now();
        call();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}
