//! Three images of the course CS231n, in three ways: by hand, in f64 with every term, and on tensors with
//! autodiff.
//!
//! `cargo run --example loss_by_hand`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use mentor::burn::tensor::{Device, Int, Tensor};
use mentor::loss::{Hinge, MulticlassSvm, SoftmaxCrossEntropy};

/// Scores for cat, car and frog: one row for each image.
const SCORES: [[f32; 3]; 3] = [[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let svm = MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?;
    let softmax = SoftmaxCrossEntropy::new();

    // The image of a cat scores 3.2 as a cat, 5.1 as a car, -1.7 as a frog.
    let by_hand = f64::max(0.0, 5.1 - 3.2 + 1.0) + f64::max(0.0, -1.7 - 3.2 + 1.0);
    let explained = svm.explain(&[3.2, 5.1, -1.7], 0)?;
    println!("by hand {by_hand:.4}, explained {:.4}, gradient {:?}", explained.loss, explained.gradient);
    for term in &explained.terms {
        println!("  class {}: {:.4}{}", term.class, term.value, if term.active { ", active" } else { "" });
    }

    // The same on tensors, all three images at once. The caller takes the mean, and so chooses the
    // denominator.
    let device = Device::flex().autodiff();
    let scores = Tensor::<2>::from_floats(SCORES, &device).require_grad();
    let targets = Tensor::<1, Int>::from_ints([0, 1, 2], &device);
    let hinge = svm.per_sample(scores.clone(), targets.clone());
    let cross_entropy = softmax.per_sample(scores.clone(), targets);
    let mean = |losses: &Tensor<1>| losses.clone().mean().into_scalar::<f32>();
    println!("means: svm {:.4}, softmax {:.4}", mean(&hinge), mean(&cross_entropy));

    let gradients = cross_entropy.mean().backward();
    if let Some(gradient) = scores.grad(&gradients) {
        println!("gradient of the mean softmax loss: {}", gradient.into_data());
    }
    Ok(())
}
