//! Times one training step: forward, loss, backward, update, on synthetic images that come through the
//! real loader. `bench/` runs it beside its peers.
//!
//! ```text
//! cargo run --release -p mentor-cli --example step_bench -- --model cnn --batch-size 128 --steps 20 --json
//! ```
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use mentor_data::{
    Augment, Dataset, HostBatch, ImageFormat, Loader, LoaderOptions, Order, Preprocessing, Resize,
};
use mentor_loss::{Hinge, MulticlassSvm, Penalty, ScoreLoss, SoftmaxCrossEntropy};
use mentor_model::{Model, ModelSpec, Noise, Pass};
use mentor_random::{Purpose, Stream};
use mentor_train::ParameterTensors;
use mentor_train::{Optimizer, OptimizerPlan};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUM_CLASSES: usize = 10;
/// Steps before the timed ones.
const WARM_UP: usize = 3;

#[derive(Parser)]
struct Args {
    /// Name of the model; a wrn-, resnet- or vit gets 3x32x32 images, any other 1x28x28.
    #[arg(long)]
    model: String,
    #[arg(long, default_value_t = 128)]
    batch_size: usize,
    #[arg(
        long,
        default_value_t = 20,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..)
    )]
    steps: usize,
    /// softmax or svm.
    #[arg(long, default_value = "softmax")]
    loss: String,
    /// none, shift or standard.
    #[arg(long, default_value = "none")]
    augment: Augment,
    /// Print JSON with every step; otherwise one line.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    mentor_kernels::keep_freed_memory();
    // As in the binary.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    let args = Args::parse();
    let in_colour = ["wrn-", "resnet-", "vit"].iter().any(|family| args.model.starts_with(family));
    let [channels, height, width] = if in_colour { [3, 32, 32] } else { [1, 28, 28] };
    let dataset = noise_images(channels, height, width, args.batch_size * 8)?;
    let preprocessing = Preprocessing::fit(&dataset);
    let options = LoaderOptions {
        batch_size: args.batch_size,
        order: Order::Shuffled,
        augment: args.augment,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(Arc::new(dataset), preprocessing, options);
    let device = Device::flex().autodiff();
    let mut model =
        Model::new(&ModelSpec::new(&args.model, [channels, height, width], NUM_CLASSES), 0, &device)?;
    let num_params = model.num_params();
    let loss = match args.loss.as_str() {
        "softmax" => ScoreLoss::Softmax(SoftmaxCrossEntropy::new()),
        "svm" => ScoreLoss::Svm(MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?),
        other => anyhow::bail!("--loss {other} is neither softmax nor svm"),
    };
    let learning_rate = 0.01;
    let plan = OptimizerPlan {
        full_batch: false,
        learning_rate,
        momentum: 0.9,
        nesterov: true,
        batch_size: args.batch_size,
        clip_norm: None,
        weight_decay: None,
        layer_decay: None,
    };
    let mut optimizer = Optimizer::new(plan, Penalty::default());

    let (mut steps, mut waits, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    let mut faults_before = None;
    let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch, 0));
    for step in 0..WARM_UP + args.steps {
        if step == WARM_UP {
            faults_before = page_faults();
        }
        let start = Instant::now();
        let batch: HostBatch = batches.next().context("the loader is endless")??;
        let waited = start.elapsed();
        let noise = Noise { seed: 0, draw: 0, samples: &batch.samples };
        let targets: Vec<i32> = batch.targets.iter().map(|&target| target as i32).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [batch.shape[0]]), &device);
        let images = Tensor::from_data(TensorData::new(batch.pixels, batch.shape), &device);
        let scores = model.scores(images, &Pass::Training(&noise));
        let mean = loss.per_sample(scores, targets).mean();
        let gradients = ParameterTensors::of_gradients(mean.backward(), &model);
        model = optimizer.step(model, gradients, learning_rate);
        losses.push(mean.into_scalar::<f32>());
        if step >= WARM_UP {
            steps.push((start.elapsed() - waited).as_secs_f64());
            waits.push(waited.as_secs_f64());
        }
    }
    let faults = page_faults().zip(faults_before).map(|(after, before)| (after - before) / args.steps as u64);
    report(&args, num_params, &steps, &waits, &losses, faults);
    Ok(())
}

/// Images of uniform noise: the speed of a step does not depend on what they show.
fn noise_images(channels: usize, height: usize, width: usize, count: usize) -> anyhow::Result<Dataset> {
    let mut stream = Stream::new(0, Purpose::Split, &[]);
    let pixels = (0..count * channels * height * width).map(|_| stream.next_u64() as u8).collect();
    let targets = (0..count).map(|index| (index % NUM_CLASSES) as u32).collect();
    let classes: Vec<String> = (0..NUM_CLASSES).map(|class| class.to_string()).collect();
    let ids = (0..count).map(|index| index.to_string()).collect();
    let format = ImageFormat { channels, height, width, resize: Resize::Stretch };
    Ok(Dataset::from_parts(classes, format, pixels, targets, ids)?)
}

fn report(
    args: &Args,
    num_params: usize,
    steps: &[f64],
    waits: &[f64],
    losses: &[f32],
    faults_per_step: Option<u64>,
) {
    if args.json {
        let value = serde_json::json!({
            "model": args.model, "loss": args.loss, "batch_size": args.batch_size, "num_params": num_params,
            "step_secs": steps, "loader_wait_secs": waits, "peak_rss_bytes": peak_rss_bytes(),
            "first_loss": losses.first(), "last_loss": losses.last(), "page_faults_per_step": faults_per_step,
        });
        println!("{value}");
        return;
    }
    let mut sorted = steps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let milliseconds = |secs: f64| Duration::from_secs_f64(secs).as_secs_f64() * 1e3;
    println!(
        "{} batch {}: median {:.2} ms, least {:.2} ms, waiting for the loader {:.2} %, peak {} MiB, {} page \
         faults a step",
        args.model,
        args.batch_size,
        milliseconds(sorted[sorted.len() / 2]),
        milliseconds(sorted[0]),
        100.0 * waits.iter().sum::<f64>() / (waits.iter().sum::<f64>() + steps.iter().sum::<f64>()),
        peak_rss_bytes().unwrap_or(0) >> 20,
        faults_per_step.unwrap_or(0),
    );
}

/// The largest resident memory of this process so far; Linux only.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Pages that the system had to find for this process so far, without reading a disk; Linux only. A step that
/// allocates what the last one freed needs none.
fn page_faults() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold spaces: state, five numbers, flags, and the faults.
    stat.rsplit(')').next()?.split_whitespace().nth(7)?.parse().ok()
}
