//! The kernels' speed beside Burn's own operations, on two threads or as many as there are.
//!
//! ```text
//! cargo bench -p mentor-kernels --bench speed [-- linear | layer_norm | gelu | attention | losses | update]
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints its figures and may stop")]

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_kernels::SgdUpdate;
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

/// Ours and Burn's time, forward and backward with respect to `x` alone.
fn forward_backward<const D: usize>(
    name: &str,
    work: f64,
    unit: &str,
    x: &Tensor<D>,
    ours: impl Fn(Tensor<D>) -> Tensor<D>,
    burn: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let x = Tensor::<D>::from_data(x.to_data(), &Device::flex().autodiff()).require_grad();
    let time = |call: &dyn Fn(Tensor<D>) -> Tensor<D>| least(|| drop(call(x.clone()).sum().backward()));
    line(&format!("{name} forward, backward"), work, unit, time(&ours), time(&burn));
}

/// The tensors of a block of `vit-4-192-4` at batch 64: 4096 tokens.
fn layer_norm(device: &Device) {
    let x = random([4096, 192], device);
    let bytes = 4.0 * x.shape().num_elements() as f64;
    let affine = |device: &Device| (Tensor::<1>::ones([192], device), Tensor::<1>::zeros([192], device));
    let ours = |x: Tensor<2>| {
        let (gamma, beta) = affine(&x.device());
        mentor_kernels::layer_norm(x, gamma, beta, 1e-6)
    };
    let burn = |x: Tensor<2>| {
        let (gamma, beta) = affine(&x.device());
        burn::tensor::module::layer_norm(x, gamma, Some(beta), 1e-6)
    };
    let time = |call: &dyn Fn(Tensor<2>) -> Tensor<2>| least(|| drop(call(x.clone())));
    line("layer_norm 4096x192 forward", 2.0 * bytes, "GB/s", time(&ours), time(&burn));
    // x is read and y written; x and g are read and dx written.
    forward_backward("layer_norm 4096x192", 5.0 * bytes, "GB/s", &x, ours, burn);
}

fn gelu(device: &Device) {
    let x = random([4096, 768], device);
    let bytes = 4.0 * x.shape().num_elements() as f64;
    let (ours, burn) = (mentor_kernels::gelu::<2>, burn::tensor::activation::gelu::<2>);
    let time = |call: fn(Tensor<2>) -> Tensor<2>| least(|| drop(call(x.clone())));
    line("gelu 4096x768 forward", 2.0 * bytes, "GB/s", time(ours), time(burn));
    forward_backward("gelu 4096x768", 5.0 * bytes, "GB/s", &x, ours, burn);
}

/// Burn's products and softmax, with queries, keys and values cut out of one tensor.
fn burn_attention(qkv: Tensor<3>) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let parts = qkv.reshape([batch, tokens, 3, width / 192, 64]).permute([2, 0, 3, 1, 4]);
    let part = |index| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
    let scores = part(0).matmul(part(1).swap_dims(2, 3)) / 8.0;
    let output = burn::tensor::activation::softmax(scores, 3).matmul(part(2));
    output.swap_dims(1, 2).reshape([batch, tokens, width / 3])
}

fn attention(device: &Device) {
    let x = random([64, 64, 576], device);
    let flops = 4.0 * (64 * 3 * 64 * 64 * 64) as f64;
    let ours = |qkv| mentor_kernels::attention(qkv, 3);
    let time = |call: &dyn Fn(Tensor<3>) -> Tensor<3>| least(|| drop(call(x.clone())));
    line("attention 64x64x576, 3 heads forward", flops, "GFLOP/s", time(&ours), time(&burn_attention));
    // Two products forward, four backward.
    forward_backward("attention 64x64x576, 3 heads", 3.0 * flops, "GFLOP/s", &x, ours, burn_attention);
}

/// Scores of a large batch and ten classes: read once, and the gradient written once.
fn losses(device: &Device) {
    let [rows, classes] = [4096, 10];
    let scores = random([rows, classes], device);
    let bytes = 4.0 * (rows * classes) as f64;
    let labels: Vec<i32> = (0..rows as i32).map(|row| row % classes as i32).collect();
    let targets = |device: &Device| Tensor::<1, Int>::from_data(labels.as_slice(), device);
    // Burn's loss takes the mean itself.
    let burn_softmax = |x: Tensor<2>| {
        let targets = targets(&x.device()).unsqueeze_dim(1);
        burn::tensor::activation::log_softmax(x, 1).gather(1, targets).neg()
    };
    let softmax = |x: Tensor<2>| {
        let targets = targets(&x.device());
        mentor_kernels::softmax_cross_entropy(x, targets).unsqueeze_dim(1)
    };
    forward_backward("softmax 4096x10", 2.0 * bytes, "GB/s", &scores, softmax, burn_softmax);
    let burn_hinge = |x: Tensor<2>| {
        let targets = targets(&x.device()).unsqueeze_dim(1);
        let own = x.clone().gather(1, targets);
        // The target's own term is the margin.
        burn::tensor::activation::relu(x.sub(own).add_scalar(1.0)).sum_dim(1).sub_scalar(1.0)
    };
    let hinge = |x: Tensor<2>| {
        let targets = targets(&x.device());
        mentor_kernels::weston_watkins(x, targets, 1.0).unsqueeze_dim(1)
    };
    forward_backward("Weston-Watkins 4096x10", 2.0 * bytes, "GB/s", &scores, hinge, burn_hinge);
}

/// Weights, gradient and velocity are read, weights and velocity written.
fn update(device: &Device) {
    let shape = [1200, 1200];
    let bytes = 5.0 * 4.0 * (shape[0] * shape[1]) as f64;
    let gradient = random(shape, device);
    let sgd =
        SgdUpdate { learning_rate: 1e-6, momentum: 0.9, nesterov: true, l2_slope: 1e-4, scale: 1.0, l1: 0.0 };
    let time = |step: &dyn Fn(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>)| {
        let mut state = Some((random(shape, device), random(shape, device)));
        least(|| state = state.take().map(|(weights, velocity)| step(weights, velocity)))
    };
    let ours = time(&|weights, velocity| {
        let (weights, velocity) = sgd.apply(weights, gradient.clone(), Some(velocity));
        (weights, velocity.unwrap())
    });
    let burn = time(&|weights, velocity| {
        let gradient = gradient.clone() + weights.clone() * 1e-4;
        let velocity = velocity * 0.9 + gradient.clone();
        (weights - (gradient + velocity.clone() * 0.9) * 1e-6, velocity)
    });
    line("update 1200x1200, Nesterov, L2", bytes, "GB/s", ours, burn);
}

fn main() {
    let device = Device::flex();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    type Group = fn(&Device);
    let groups = [
        ("linear", linear as Group),
        ("layer_norm", layer_norm),
        ("gelu", gelu),
        ("attention", attention),
        ("losses", losses),
        ("update", update),
    ];
    for (name, group) in groups {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            group(&device);
        }
    }
}
