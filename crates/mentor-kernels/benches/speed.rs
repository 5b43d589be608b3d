//! The kernels' speed beside Burn's own operations, on two threads or as many as there are.
//!
//! ```text
//! cargo bench -p mentor-kernels [-- linear]
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints its figures and may stop")]

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_random::{Purpose, Stream};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut stream = Stream::new(7, Purpose::Weights, &[D as u64]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The least time of many calls, in seconds: the machine is shared, and only the least is the kernel's.
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

fn line(name: &str, work: f64, unit: &str, ours: f64, burn: f64) {
    println!(
        "{name:<44} {:>9.1} µs {:>7.1} {unit}   burn {:>9.1} µs {:>7.1} {unit}   {:.2}×",
        ours * 1e6,
        work / ours / 1e9,
        burn * 1e6,
        work / burn / 1e9,
        burn / ours
    );
}

fn linear(device: &Device) {
    for (rows, inputs, outputs, dx) in
        [(128, 784, 10, false), (1024, 784, 10, false), (128, 1200, 10, true), (128, 1200, 1200, true)]
    {
        let x = random([rows, inputs], device);
        let w = random([inputs, outputs], device);
        let bias = random([outputs], device);
        let flops = 2.0 * (rows * inputs * outputs) as f64;
        let forward = |call: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>| {
            least(|| drop(call(x.clone(), w.clone(), bias.clone())))
        };
        let burn = |x, w, b| burn::tensor::module::linear(x, w, Some(b));
        let name = format!("linear {rows}x{inputs} · {inputs}x{outputs}");
        line(&format!("{name} forward"), flops, "GFLOP/s", forward(mentor_kernels::linear), forward(burn));
        let both = |call: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>| {
            let device = device.clone().autodiff();
            let on = |tensor: &Tensor<2>| Tensor::<2>::from_data(tensor.to_data(), &device);
            let x = if dx { on(&x).require_grad() } else { on(&x) };
            let w = on(&w).require_grad();
            let b = Tensor::<1>::from_data(bias.to_data(), &device).require_grad();
            least(|| drop(call(x.clone(), w.clone(), b.clone()).sum().backward()))
        };
        let flops = if dx { 3.0 * flops } else { 2.0 * flops };
        line(
            &format!("{name} forward, backward"),
            flops,
            "GFLOP/s",
            both(mentor_kernels::linear),
            both(burn),
        );
    }
}

fn main() {
    let device = Device::flex();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if wanted.is_empty() || wanted.iter().any(|wanted| wanted == "linear") {
        linear(&device);
    }
}
