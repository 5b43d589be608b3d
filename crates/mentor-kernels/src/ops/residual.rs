//! What residual blocks have beside their layers: a tensor that two layers read, the sum of two, and the
//! factors of squeeze-and-excitation.
//!
//! ```text
//! fork       a = b = x                   dx = g_a + g_b
//! add        y = a + b, or its positive part      da = db = g, where the ReLU let it pass
//! scale      y[n, c] = x[n, c] s[n, c]   dx = g s, ds[n, c] = Σ g x over the plane
//! ```

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, TensorMetadata};
use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::outputs::{OutputGradients, no_values};
use crate::host::pointwise::{TASK, floor_at, mask_by, update};
use crate::ops::extension::KernelOps;

/// The same tensor for two layers that read it: their gradients are added in a pass of this crate.
pub fn fork<const D: usize>(x: Tensor<D>) -> [Tensor<D>; 2] {
    if !is_on_cpu(&x) {
        return [x.clone(), x];
    }
    let Twins { first, second } = <Dispatch as KernelOps>::mentor_fork(x.into_dispatch());
    [first, second].map(Tensor::from_dispatch)
}

/// a + b, both of one shape.
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn add<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    sum(a, b, false)
}

/// [`add`] and a ReLU, whose gradient at the kink is 0.
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn add_relu<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    sum(a, b, true)
}

#[track_caller]
fn sum<const D: usize>(a: Tensor<D>, b: Tensor<D>, relu: bool) -> Tensor<D> {
    assert_eq!(a.dims(), b.dims(), "tensors of different shapes");
    if is_on_cpu(&a) && is_on_cpu(&b) {
        let (a, b) = (a.into_dispatch(), b.into_dispatch());
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_add(a, b, relu))
    } else if relu {
        activation::relu(a + b)
    } else {
        a + b
    }
}

/// Each plane of `x` `[B, C, H, W]` times its factor of `[B, C]` (Hu et al. 2018, equation 4).
///
/// # Panics
///
/// If the shapes do not fit.
#[track_caller]
pub fn scale_planes(x: Tensor<4>, factors: Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    assert_eq!(factors.dims(), [batch, channels], "one factor a plane of {:?}", x.dims());
    if is_on_cpu(&x) && is_on_cpu(&factors) && height * width > 0 {
        let (x, factors) = (x.into_dispatch(), factors.into_dispatch());
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_scale_planes(x, factors))
    } else {
        x * factors.reshape([batch, channels, 1, 1])
    }
}

/// One tensor twice.
#[derive(ExtensionType)]
pub(crate) struct Twins<B: Backend> {
    pub(crate) first: FloatTensor<B>,
    pub(crate) second: FloatTensor<B>,
}

type Tracked = FloatTensor<Autodiff<Flex>>;

pub(crate) fn fork_forward(x: CpuTensor) -> Twins<Flex> {
    Twins { first: x.clone(), second: x }
}

pub(crate) fn fork_record<C: CheckpointStrategy>(x: Tracked) -> Twins<Autodiff<Flex, C>> {
    let (x, node) = x.into_parts();
    let gradients = OutputGradients::<2>::new();
    let operation = match ForkBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(gradients.clone(), no_values()),
        OpsKind::UnTracked(prep) => prep.finish(no_values()),
    };
    let [first, second] = gradients.record::<C>(&operation, [x.clone(), x]);
    Twins { first, second }
}

#[derive(Debug)]
struct ForkBackward;

impl Backward<Flex, 1> for ForkBackward {
    type State = OutputGradients<2>;

    fn backward(self, ops: Ops<OutputGradients<2>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let mut found = ops.state.take().into_iter().flatten();
        if let Some(first) = found.next() {
            let sum = found.fold(first, |sum, gradient| plus(sum, gradient, false));
            grads.register::<Flex>(node.id, sum);
        }
    }
}

/// a + b, in place where `a` is not shared.
fn plus(a: CpuTensor, b: CpuTensor, relu: bool) -> CpuTensor {
    let (b, floor) = (contiguous(b), if relu { 0.0 } else { f32::NEG_INFINITY });
    let b = values(&b);
    update(a, TASK, |start, part| {
        part.iter_mut().zip(&b[start..]).for_each(|(a, b)| *a = floor_at(*a + b, floor));
    })
}

pub(crate) fn add_forward(a: CpuTensor, b: CpuTensor, relu: bool) -> CpuTensor {
    plus(a, b, relu)
}

pub(crate) fn add_record<C: CheckpointStrategy>(a: Tracked, b: Tracked, relu: bool) -> Tracked {
    let nodes = [a.node(), b.node()];
    let y = plus(a.into_primitive(), b.into_primitive(), relu);
    match AddBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(relu.then(|| y.clone()), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct AddBackward;

impl Backward<Flex, 2> for AddBackward {
    /// The output of the ReLU, if there is one.
    type State = Option<CpuTensor>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<Flex>(&ops.node);
        let g = match &ops.state {
            Some(output) => mask_by(g, output),
            None => g,
        };
        for node in ops.parents.into_iter().flatten() {
            grads.register::<Flex>(node.id, g.clone());
        }
    }
}

pub(crate) fn scale_forward(x: CpuTensor, factors: CpuTensor) -> CpuTensor {
    let (plane, factors) = (x.shape()[2..].iter().product::<usize>(), contiguous(factors));
    scaled(x, plane, values(&factors))
}

/// Each run of `plane` values times its factor; in place where `x` is not shared.
pub(crate) fn scaled(x: CpuTensor, plane: usize, factors: &[f32]) -> CpuTensor {
    let chunk = TASK.div_ceil(plane) * plane;
    update(x, chunk, |start, part| {
        for (values, factor) in part.chunks_exact_mut(plane).zip(&factors[start / plane..]) {
            values.iter_mut().for_each(|value| *value *= factor);
        }
    })
}

pub(crate) fn scale_record<C: CheckpointStrategy>(x: Tracked, factors: Tracked) -> Tracked {
    let nodes = [x.node(), factors.node()];
    let (x, factors) = (contiguous(x.into_primitive()), contiguous(factors.into_primitive()));
    let y = scale_forward(x.clone(), factors.clone());
    match ScaleBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, factors), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct ScaleBackward;

impl Backward<Flex, 2> for ScaleBackward {
    /// x and its factors.
    type State = (CpuTensor, CpuTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, factors) = ops.state;
        let plane = x.shape()[2..].iter().product::<usize>();
        let [of_x, of_factors] = ops.parents;
        if let Some(node) = of_factors {
            let mut ds = filled(values(&factors).len());
            let planes = values(&g).par_chunks(plane).zip(values(&x).par_chunks(plane));
            let each = ds.par_iter_mut().zip(planes).with_min_len(TASK.div_ceil(plane));
            each.for_each(|(ds, (g, x))| {
                *ds = g.iter().zip(x).map(|(g, x)| f64::from(g * x)).sum::<f64>() as f32;
            });
            grads.register::<Flex>(node.id, to_tensor(ds, &factors.shape().to_vec()));
        }
        if let Some(node) = of_x {
            grads.register::<Flex>(node.id, scaled(g, plane, values(&factors)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    fn tensor<const D: usize>(stream: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(random(stream, shape.iter().product()), shape), device)
    }

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// A block of all three: relu(x · s + 2 x), its gradients of Σ r·y.
    fn run(kernels: bool, shape: [usize; 4], relu: bool) -> [Vec<f32>; 3] {
        let device = Device::flex().autodiff();
        let x = tensor(1, shape, &device).require_grad();
        let s = tensor(2, [shape[0], shape[1]], &device).require_grad();
        let y = if kernels {
            let [a, b] = fork(x.clone());
            sum(scale_planes(a, s.clone()), b.mul_scalar(2.0), relu)
        } else {
            let y = x.clone() * s.clone().reshape([shape[0], shape[1], 1, 1]) + x.clone().mul_scalar(2.0);
            if relu { activation::relu(y) } else { y }
        };
        let grads = (y.clone() * tensor(3, shape, &device)).sum().backward();
        [host(y), host(x.grad(&grads).unwrap()), host(s.grad(&grads).unwrap())]
    }

    #[test]
    fn kernel_and_burn_agree_in_value_and_gradients() {
        for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 40, 4, 4], [1, 2, 233, 164]] {
            for relu in [false, true] {
                for (found, expected) in run(true, shape, relu).iter().zip(run(false, shape, relu)) {
                    close(found, &expected.into_iter().map(f64::from).collect::<Vec<_>>(), 1e-5);
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(true, [3, 50, 19, 26], true))
        };
        assert_eq!(run_on(1), run_on(2));
    }

    #[test]
    fn a_fork_of_which_one_side_is_unused_has_the_gradient_of_the_other() {
        let device = Device::flex().autodiff();
        let x = tensor(1, [1, 2, 3, 4], &device).require_grad();
        let [first, _] = fork(x.clone());
        let grads = (first * tensor(3, [1, 2, 3, 4], &device)).sum().backward();
        assert_eq!(host(x.grad(&grads).unwrap()), random(3, 24));
    }

    #[test]
    fn inputs_that_someone_else_holds_are_left_alone() {
        let device = Device::flex();
        let (a, b) = (tensor(1, [1, 2, 3, 4], &device), tensor(2, [1, 2, 3, 4], &device));
        let _ = add_relu(a.clone(), b.clone());
        assert_eq!([host(a), host(b)], [random(1, 24), random(2, 24)]);
    }

    #[test]
    #[should_panic(expected = "tensors of different shapes")]
    fn other_shapes_are_refused() {
        let device = Device::flex();
        add(Tensor::<4>::zeros([1, 2, 3, 4], &device), Tensor::zeros([1, 2, 4, 3], &device));
    }
}
