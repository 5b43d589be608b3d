//! The operation on tensors of the CPU, with its backward pass.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, ExtensionType, Flex, TensorMetadata};
use rayon::prelude::*;

use super::kernels::{self, Behind};
use super::moments::{Affine, Moments, Slope};
use crate::host::buffer::{CpuTensor, contiguous, filled, to_tensor, values};
use crate::host::channels::{Planes, Written, shared};
use crate::host::outputs::{OutputGradients, no_values};
use crate::host::pointwise::with_values;
use crate::simd::Level;

/// What the operation takes.
#[derive(ExtensionType)]
pub(crate) struct Inputs<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    #[extension_type]
    pub(crate) shortcut: Shortcut<B>,
    pub(crate) gamma: FloatTensor<B>,
    pub(crate) beta: FloatTensor<B>,
    #[extension_type]
    pub(crate) given: Given<B>,
    pub(crate) epsilon: f64,
    pub(crate) relu: bool,
}

/// What is added to x, or to its normalised values.
#[derive(ExtensionType)]
pub(crate) enum Shortcut<B: Backend> {
    None,
    Before(FloatTensor<B>),
    After(FloatTensor<B>),
}

/// Mean and variance, if they are not the batch's own.
#[derive(ExtensionType)]
pub(crate) enum Given<B: Backend> {
    Batch,
    Running { mean: FloatTensor<B>, variance: FloatTensor<B> },
}

/// What the operation gives; see [`Normalised`](super::Normalised).
#[derive(ExtensionType)]
pub(crate) struct Outputs<B: Backend> {
    pub(crate) input: FloatTensor<B>,
    pub(crate) output: FloatTensor<B>,
    pub(crate) twin: FloatTensor<B>,
    pub(crate) mean: FloatTensor<B>,
    pub(crate) variance: FloatTensor<B>,
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// The operation without a tape.
pub(crate) fn forward(inputs: Inputs<Flex>) -> Outputs<Flex> {
    let (state, output) = compute(inputs);
    let (mean, variance) = Moments::to_tensors(&state.moments);
    Outputs { input: state.x, twin: output.clone(), output, mean, variance }
}

/// The operation with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(inputs: Inputs<Autodiff<Flex, C>>) -> Outputs<Autodiff<Flex, C>> {
    let Inputs { x, shortcut, gamma, beta, given, epsilon, relu } = inputs;
    let nodes = [x.node(), gamma.node(), beta.node()];
    let (shortcut, shortcut_node) = match shortcut {
        Shortcut::None => (Shortcut::None, None),
        Shortcut::Before(tensor) => {
            let (tensor, node) = tensor.into_parts();
            (Shortcut::Before(tensor), Some(node))
        }
        Shortcut::After(tensor) => {
            let (tensor, node) = tensor.into_parts();
            (Shortcut::After(tensor), Some(node))
        }
    };
    let given = match given {
        Given::Batch => Given::Batch,
        Given::Running { mean, variance } => {
            Given::Running { mean: mean.into_primitive(), variance: variance.into_primitive() }
        }
    };
    let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
    let (state, output) = compute(Inputs { x, shortcut, gamma, beta, given, epsilon, relu });
    let (mean, variance) = Moments::to_tensors(&state.moments);
    let (input, gradients) = (state.x.clone(), state.gradients.clone());
    let operation = match shortcut_node {
        None => finish::<C, 3>(nodes, state),
        Some(node) => {
            let [x, gamma, beta] = nodes;
            finish::<C, 4>([x, gamma, beta, node], state)
        }
    };
    let [input, output, twin] = gradients.record::<C>(&operation, [input, output.clone(), output]);
    let constant = <Autodiff<Flex, C> as AutodiffBackend>::from_inner;
    Outputs { input, output, twin, mean: constant(mean), variance: constant(variance) }
}

fn finish<C: CheckpointStrategy, const N: usize>(nodes: [NodeGuard; N], state: State) -> Tracked {
    match BatchNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, no_values()),
        OpsKind::UnTracked(prep) => prep.finish(no_values()),
    }
}

/// γ, β and what else is the same for all channels.
#[derive(Clone, Debug)]
struct Parameters {
    gamma: CpuTensor,
    beta: CpuTensor,
    epsilon: f64,
    relu: bool,
}

impl Parameters {
    /// Of some channels, whose moments these are.
    fn affines(&self, channels: Range<usize>, moments: &[Moments]) -> Vec<Affine> {
        let affine = |(channel, moments): (usize, &Moments)| Affine {
            mean: moments.mean,
            scale: values(&self.gamma)[channel] * moments.inverse_deviation(self.epsilon),
            shift: values(&self.beta)[channel],
            relu: self.relu,
        };
        channels.zip(moments).map(affine).collect()
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct State {
    /// What was normalised.
    x: CpuTensor,
    parameters: Parameters,
    moments: Vec<Moments>,
    /// Whether the moments are those of x, through which the gradient goes.
    of_batch: bool,
    /// Whether a shortcut was added to the normalised values.
    after: bool,
    /// The output, where x alone does not tell what the ReLU let pass.
    output: Option<CpuTensor>,
    gradients: OutputGradients<3>,
}

/// What the backward pass needs, and the output.
fn compute(inputs: Inputs<Flex>) -> (State, CpuTensor) {
    let Inputs { x, shortcut, gamma, beta, given, epsilon, relu } = inputs;
    let parameters = Parameters { gamma: contiguous(gamma), beta: contiguous(beta), epsilon, relu };
    let given = match given {
        Given::Batch => None,
        Given::Running { mean, variance } => {
            Some(Moments::from_tensors(&contiguous(mean), &contiguous(variance)))
        }
    };
    let level = Level::current();
    let shape = x.shape().to_vec();
    let planes = Planes::of(&shape);
    let normalise = |group: usize, x: &[&[f32]], shortcut: Option<&[&[f32]]>, y: &mut [&mut [f32]]| {
        let channels = planes.channels_of(group);
        let moments = match &given {
            Some(given) => given[channels.clone()].to_vec(),
            None => kernels::moments(level, x, channels.len()),
        };
        kernels::normalise(level, x, shortcut, &parameters.affines(channels, &moments), y);
        moments
    };
    let mut y = filled(shape.iter().product());
    let groups = planes.split(&mut y).into_par_iter().enumerate();
    let (x, after, moments) = match shortcut {
        Shortcut::None => {
            let x = contiguous(x);
            let task = |(group, mut y): (usize, Written<'_>)| {
                normalise(group, &planes.read(values(&x), group), None, &mut y)
            };
            let moments = groups.flat_map_iter(task).collect();
            (x, false, moments)
        }
        Shortcut::After(shortcut) => {
            let (x, shortcut) = (contiguous(x), contiguous(shortcut));
            let task = |(group, mut y): (usize, Written<'_>)| {
                let [x, shortcut] = [&x, &shortcut].map(|tensor| planes.read(values(tensor), group));
                normalise(group, &x, Some(&shortcut), &mut y)
            };
            let moments = groups.flat_map_iter(task).collect();
            (x, true, moments)
        }
        Shortcut::Before(shortcut) => {
            let shortcut = contiguous(shortcut);
            let mut moments = Vec::new();
            let sum = with_values(x, |x| {
                let task = |((group, mut y), mut x): ((usize, Written<'_>), Written<'_>)| {
                    kernels::add(level, &planes.read(values(&shortcut), group), &mut x);
                    normalise(group, &shared(&x), None, &mut y)
                };
                moments = groups.zip(planes.split(x)).flat_map_iter(task).collect();
            });
            (sum, false, moments)
        }
    };
    let y = to_tensor(y, &shape);
    let state = State {
        x,
        moments,
        of_batch: given.is_none(),
        after,
        output: (after && relu).then(|| y.clone()),
        gradients: OutputGradients::new(),
        parameters,
    };
    (state, y)
}

/// With a shortcut (N = 4) or without (N = 3).
#[derive(Debug)]
struct BatchNormBackward;

impl<const N: usize> Backward<Flex, N> for BatchNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        grads.consume::<Flex>(&ops.node);
        let mut parents = ops.parents.into_iter();
        let [node_x, node_gamma, node_beta, node_shortcut] =
            std::array::from_fn(|_| parents.next().flatten());
        let after = ops.state.after;
        let Found { dx, g, dgamma, dbeta } = gradients(ops.state);
        let of_shortcut = if after { g } else { Some(dx.clone()) };
        let found = [
            (node_x, Some(dx)),
            (node_shortcut, of_shortcut),
            (node_gamma, Some(dgamma)),
            (node_beta, Some(dbeta)),
        ];
        for (node, gradient) in found {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// The gradients of x, of what is added after, and of the parameters.
struct Found {
    dx: CpuTensor,
    g: Option<CpuTensor>,
    dgamma: CpuTensor,
    dbeta: CpuTensor,
}

fn gradients(state: State) -> Found {
    let State { x, parameters, moments, of_batch, after, output, gradients } = state;
    let shape = x.shape().to_vec();
    let (planes, level) = (Planes::of(&shape), Level::current());
    let [of_input, of_output, of_twin] = gradients.take().map(|gradient| gradient.map(contiguous));
    let mut of_outputs = [of_output, of_twin].into_iter().flatten();
    let zeros = || to_tensor(vec![0.0; shape.iter().product()], &shape);
    let (g, second) = (of_outputs.next().unwrap_or_else(zeros), of_outputs.next());
    // Where the moments are constants, the sums do not act on dx.
    let count = if of_batch { (planes.batch * planes.plane) as f64 } else { f64::INFINITY };
    let task = |group: usize, g: &mut [&mut [f32]], dx: Option<Written<'_>>| {
        let channels = planes.channels_of(group);
        let x = planes.read(values(&x), group);
        let [second, output, of_input] = [&second, &output, &of_input]
            .map(|tensor| tensor.as_ref().map(|tensor| planes.read(values(tensor), group)));
        let moments = &moments[channels.clone()];
        let affines = parameters.affines(channels, moments);
        let behind =
            Behind { x: &x, second: second.as_deref(), output: output.as_deref(), affines: &affines };
        let mut sums = kernels::gather(level, behind, g);
        let slope = |((affine, moments), sums): ((&Affine, &Moments), &mut [f64; 2])| {
            let inverse = moments.inverse_deviation(parameters.epsilon);
            sums[1] *= f64::from(inverse); // Σ g x̂
            Slope::new(*affine, inverse, *sums, count)
        };
        let slopes: Vec<_> = affines.iter().zip(moments).zip(&mut sums).map(slope).collect();
        match dx {
            Some(mut dx) => {
                kernels::slope(level, &x, Some(&shared(g)), of_input.as_deref(), &slopes, &mut dx)
            }
            None => kernels::slope(level, &x, None, of_input.as_deref(), &slopes, g),
        }
        sums
    };
    let mut sums = Vec::new();
    // Where nobody needs the gradient before the ReLU, dx takes its place.
    let mut dx = after.then(|| filled(shape.iter().product()));
    let g = with_values(g, |g| {
        let groups = planes.split(g);
        let dx: Vec<_> = match &mut dx {
            Some(dx) => planes.split(dx).into_iter().map(Some).collect(),
            None => groups.iter().map(|_| None).collect(),
        };
        let groups = groups.into_par_iter().zip(dx).enumerate();
        sums = groups.flat_map_iter(|(group, (mut g, dx))| task(group, &mut g, dx)).collect();
    });
    let of_parameter = |index: usize| {
        to_tensor(sums.iter().map(|sums: &[f64; 2]| sums[index] as f32).collect(), &[planes.channels])
    };
    let (dgamma, dbeta) = (of_parameter(1), of_parameter(0));
    match dx {
        Some(dx) => Found { dx: to_tensor(dx, &shape), g: Some(g), dgamma, dbeta },
        None => Found { dx: g, g: None, dgamma, dbeta },
    }
}
