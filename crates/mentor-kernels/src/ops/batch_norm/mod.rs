//! Batch normalisation, with the sum before or after it and the ReLU that follows.
//!
//! ```text
//! μ = Σ x / n, σ² = Σ (x − μ)² / n        over the n = B·H·W values of a channel, or running statistics
//! y = γ (x − μ) / √(σ² + ε) + β           and its positive part with the ReLU
//! dβ = Σ g, dγ = Σ g x̂                  x̂ = (x − μ) / √(σ² + ε); with the ReLU g is 0 if y is not positive
//! dx = γ / √(σ² + ε) · (g − dβ / n − x̂ dγ / n)     the last two terms only with the batch's statistics
//! ```
//!
//! Residual networks add a shortcut s next to the normalisation: x = s + branch before it (pre-activation),
//! or y + s before the ReLU (the basic block). Both are parts of the same pass, and so is the sum of the
//! gradients where a tensor has two readers.
//!
//! A few neighbouring channels are a task: their values, 256 KiB in a usual layer, are read from memory once
//! and then from the cache.

mod kernels;
mod moments;
mod tape;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};

use crate::host::buffer::is_on_cpu;
use crate::ops::extension::KernelOps;
use tape::{Given, Shortcut};
pub(crate) use tape::{Inputs, Outputs, forward, record};

/// How to normalise.
#[derive(Clone, Debug)]
pub struct Normalisation {
    /// γ, `[C]`.
    pub gamma: Tensor<1>,
    /// β, `[C]`.
    pub beta: Tensor<1>,
    /// μ and σ², as in inference. `None`: those of the batch, as in training, and the gradient goes through
    /// both.
    pub running: Option<Running>,
    /// ε, which is added to σ².
    pub epsilon: f64,
    /// Whether a ReLU follows. Its gradient at the kink is 0.
    pub relu: bool,
}

/// Mean and variance from earlier batches; no gradient flows through them.
#[derive(Clone, Debug)]
pub struct Running {
    /// μ, `[C]`.
    pub mean: Tensor<1>,
    /// σ², `[C]`.
    pub variance: Tensor<1>,
}

/// What a normalisation gives.
#[derive(Clone, Debug)]
pub struct Normalised {
    /// What was normalised, `[B, C, H, W]`: x, or its sum with the shortcut. Read it from here, so that its
    /// gradients are added in the same pass.
    pub input: Tensor<4>,
    /// `[B, C, H, W]`.
    pub output: Tensor<4>,
    /// The output for a second reader, if there is one: the two gradients are then added in the same pass.
    pub twin: Tensor<4>,
    /// μ that was used, `[C]`, without a gradient.
    pub mean: Tensor<1>,
    /// σ² that was used, the batch's divided by n, `[C]`, without a gradient.
    pub variance: Tensor<1>,
}

/// γ (x − μ) / √(σ² + ε) + β of `x` `[B, C, H, W]`, and its positive part with the ReLU.
///
/// # Panics
///
/// If the shapes do not fit.
#[track_caller]
pub fn batch_norm(x: Tensor<4>, by: Normalisation) -> Normalised {
    apply(x, None, by)
}

/// [`batch_norm`] of `branch + shortcut`, both `[B, C, H, W]`.
///
/// # Panics
///
/// If the shapes do not fit.
#[track_caller]
pub fn batch_norm_of_sum(branch: Tensor<4>, shortcut: Tensor<4>, by: Normalisation) -> Normalised {
    apply(branch, Some((Place::Before, shortcut)), by)
}

/// [`batch_norm`] of `x`, to which `shortcut` is added before the ReLU; both `[B, C, H, W]`.
///
/// # Panics
///
/// If the shapes do not fit.
#[track_caller]
pub fn batch_norm_plus(x: Tensor<4>, shortcut: Tensor<4>, by: Normalisation) -> Normalised {
    apply(x, Some((Place::After, shortcut)), by)
}

/// Where a shortcut is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    After,
}

#[track_caller]
fn apply(x: Tensor<4>, shortcut: Option<(Place, Tensor<4>)>, by: Normalisation) -> Normalised {
    let [_, channels, _, _] = x.dims();
    let mut vectors = vec![&by.gamma, &by.beta];
    if let Some(Running { mean, variance }) = &by.running {
        vectors.extend([mean, variance]);
    }
    let images: Vec<_> = [&x].into_iter().chain(shortcut.as_ref().map(|(_, shortcut)| shortcut)).collect();
    assert!(
        vectors.iter().all(|vector| vector.dims() == [channels])
            && images.iter().all(|image| image.dims() == x.dims()),
        "batch_norm: images {:?} and numbers of the channels {:?} do not fit",
        images.iter().map(|image| image.dims()).collect::<Vec<_>>(),
        vectors.iter().map(|vector| vector.dims()).collect::<Vec<_>>(),
    );
    let on_cpu = vectors.into_iter().all(is_on_cpu) && images.into_iter().all(is_on_cpu);
    if on_cpu && x.shape().num_elements() > 0 { dispatch(x, shortcut, by) } else { fallback(x, shortcut, by) }
}

fn dispatch(x: Tensor<4>, shortcut: Option<(Place, Tensor<4>)>, by: Normalisation) -> Normalised {
    let Outputs { input, output, twin, mean, variance } =
        <Dispatch as KernelOps>::mentor_batch_norm(Inputs {
            x: x.into_dispatch(),
            shortcut: match shortcut {
                None => Shortcut::None,
                Some((Place::Before, shortcut)) => Shortcut::Before(shortcut.into_dispatch()),
                Some((Place::After, shortcut)) => Shortcut::After(shortcut.into_dispatch()),
            },
            gamma: by.gamma.into_dispatch(),
            beta: by.beta.into_dispatch(),
            given: match by.running {
                None => Given::Batch,
                Some(Running { mean, variance }) => {
                    Given::Running { mean: mean.into_dispatch(), variance: variance.into_dispatch() }
                }
            },
            epsilon: by.epsilon,
            relu: by.relu,
        });
    let [input, output, twin] = [input, output, twin].map(Tensor::from_dispatch);
    Normalised {
        input,
        output,
        twin,
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// The same by Burn's operations, for devices without kernels.
fn fallback(x: Tensor<4>, shortcut: Option<(Place, Tensor<4>)>, by: Normalisation) -> Normalised {
    let Normalisation { gamma, beta, running, epsilon, relu } = by;
    let (input, after) = match shortcut {
        None => (x, None),
        Some((Place::Before, shortcut)) => (x + shortcut, None),
        Some((Place::After, shortcut)) => (x, Some(shortcut)),
    };
    let (mut output, mean, variance) = match running {
        None => {
            let found = burn::tensor::module::batch_norm_train(input.clone(), gamma, beta, epsilon);
            (found.output, found.mean.detach(), found.variance.detach())
        }
        Some(Running { mean, variance }) => {
            let (mean, variance) = (mean.detach(), variance.detach());
            let (used_mean, used_variance) = (mean.clone(), variance.clone());
            let output = burn::tensor::module::batch_norm(
                input.clone(),
                gamma,
                beta,
                used_mean,
                used_variance,
                epsilon,
            );
            (output, mean, variance)
        }
    };
    if let Some(shortcut) = after {
        output = output + shortcut;
    }
    if relu {
        output = activation::relu(output);
    }
    Normalised { input, twin: output.clone(), output, mean, variance }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    type Call = fn(Tensor<4>, Option<(Place, Tensor<4>)>, Normalisation) -> Normalised;

    /// What is added, whether μ and σ² are given, and whether a ReLU follows.
    type Form = (Option<Place>, bool, bool);

    fn forms() -> Vec<Form> {
        let places = [None, Some(Place::Before), Some(Place::After)];
        let flags = [(false, false), (false, true), (true, false), (true, true)];
        places.into_iter().flat_map(|place| flags.map(|(given, relu)| (place, given, relu))).collect()
    }

    /// Input, output, mean, variance, and the gradients of a sum that weights input, output and twin by
    /// `readers` times random numbers: of x, γ, β and the shortcut.
    fn run(call: Call, shape: [usize; 4], (place, given, relu): Form, readers: [f32; 3]) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let count = shape.iter().product();
        let image = |stream, offset: f32| {
            let values: Vec<f32> = random(stream, count).into_iter().map(|x| 2.0 * x + offset).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        let vector =
            |stream| Tensor::<1>::from_data(TensorData::new(random(stream, shape[1]), [shape[1]]), &device);
        let (x, shortcut) = (image(1, 3.0).require_grad(), image(2, -1.0).require_grad());
        let (gamma, beta) = (vector(3).require_grad(), vector(4).require_grad());
        let running = given.then(|| Running { mean: vector(5), variance: vector(6).powi_scalar(2) });
        let by = Normalisation { gamma: gamma.clone(), beta: beta.clone(), running, epsilon: 1e-5, relu };
        let found = call(x.clone(), place.map(|place| (place, shortcut.clone())), by);
        let read = [found.input.clone(), found.output.clone(), found.twin].into_iter().zip(readers).zip(7..);
        let terms = read.filter(|((_, weight), _)| *weight != 0.0);
        let terms = terms.map(|((tensor, weight), stream)| (tensor * image(stream, 0.0) * weight).sum());
        let grads = terms.reduce(|sum, term| sum + term).unwrap().backward();
        let mut all = vec![found.input.into_data(), found.output.into_data()];
        all.extend([found.mean.into_data(), found.variance.into_data()]);
        all.push(x.grad(&grads).unwrap().into_data());
        // Burn gives no gradient where it is 0 throughout.
        all.extend([&gamma, &beta].into_iter().filter_map(|vector| Some(vector.grad(&grads)?.into_data())));
        all.extend(shortcut.grad(&grads).map(|gradient| gradient.into_data()));
        all.into_iter().map(|data| data.try_to_vec().unwrap()).collect()
    }

    #[track_caller]
    fn agree(shape: [usize; 4], form: Form, readers: [f32; 3], tolerance: f64) {
        let expected = run(fallback, shape, form, readers);
        for level in Level::available() {
            let found = with_level(level, || run(apply, shape, form, readers));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
                close(found, &expected, tolerance);
            }
        }
    }

    #[test]
    fn kernel_and_burn_agree_in_value_statistics_and_gradients() {
        for form in forms() {
            for shape in [[3, 2, 5, 7], [2, 40, 8, 8], [4, 3, 1, 33], [2, 3, 40, 40]] {
                agree(shape, form, [0.0, 1.0, 0.0], 5e-5);
            }
            // Two values in a channel: x̂ is ±1, and its gradient the difference of equal numbers over σ.
            agree([2, 1, 1, 1], form, [0.0, 1.0, 0.0], 1e-3);
        }
    }

    #[test]
    fn gradients_of_all_readers_are_added() {
        for form in forms() {
            for readers in [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.5, 2.0], [1.0, 1.0, 0.0]] {
                agree([3, 5, 6, 7], form, readers, 5e-5);
            }
        }
    }

    #[test]
    fn a_loss_of_the_input_alone_passes_the_normalisation_by() {
        let found = run(apply, [2, 3, 4, 5], (Some(Place::Before), false, true), [1.0, 0.0, 0.0]);
        let [.., of_x, of_gamma, of_beta, of_shortcut] = &found[..] else { panic!("four gradients") };
        let expected: Vec<f32> = random(7, 120).into_iter().map(|value| 2.0 * value).collect();
        assert_eq!([of_x, of_shortcut], [&expected; 2]);
        assert_eq!([of_gamma, of_beta], [&vec![0.0; 3]; 2]);
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads, form| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(apply, [5, 12, 9, 7], form, [1.0; 3]))
        };
        for form in forms() {
            assert_eq!(run_on(1, form), run_on(2, form));
        }
    }

    #[test]
    fn a_value_that_is_not_a_number_is_not_hidden_by_the_relu() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data(TensorData::new(vec![1.0f32, f32::NAN], [2, 1, 1, 1]), &device);
        let by = Normalisation {
            gamma: Tensor::ones([1], &device),
            beta: Tensor::zeros([1], &device),
            running: None,
            epsilon: 1e-5,
            relu: true,
        };
        let output: Vec<f32> = batch_norm(x, by).output.into_data().try_to_vec().unwrap();
        assert!(output.iter().all(|value| value.is_nan()));
    }
}
