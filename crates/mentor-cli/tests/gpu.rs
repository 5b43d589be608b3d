//! A GPU gives the CPU's losses: a few updates of `mlp` and `cnn`, step by step, within 1e-3.
//!
//! Outside the default test command, because the backend builds for minutes:
//!
//! ```text
//! cargo test --release -p mentor-cli --features wgpu --test gpu
//! ```
//!
//! It needs a Vulkan, Metal or DirectX driver; Mesa's software driver will do (Debian:
//! `mesa-vulkan-drivers`). `MENTOR_TEST_DEVICE` names another device that the binary was built with, such as
//! `cuda`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

use mentor_run::{MetricsLine, RunDir};

/// Data losses of the first epoch's updates on `device`.
fn losses(dir: &Path, model: &str, device: &str) -> Vec<f64> {
    let out = dir.join(device.replace(':', "-"));
    let status = Command::new(env!("CARGO_BIN_EXE_mentor"))
        .args(["train", "--data", "digits", "--epochs", "1", "--batch-size", "64", "--quiet"])
        .args(["--model", model, "--dropout", "0.2", "--augment", "shift", "--l2", "1e-3"])
        .args(["--device", device, "--out"])
        .arg(&out)
        .status()
        .unwrap();
    assert!(status.success(), "{model} on {device}");
    let lines = RunDir::open(&out).unwrap().metrics().unwrap();
    lines
        .into_iter()
        .filter_map(|line| if let MetricsLine::Step(step) = line { Some(step.data_loss) } else { None })
        .collect()
}

fn same_losses(model: &str) {
    let dir = tempfile::tempdir().unwrap();
    let device = std::env::var("MENTOR_TEST_DEVICE").unwrap_or_else(|_| "wgpu".to_owned());
    let (cpu, gpu) = (losses(dir.path(), model, "cpu"), losses(dir.path(), model, &device));
    assert_eq!((cpu.len(), gpu.len()), (21, 21), "1,293 training images in batches of 64");
    for (step, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        assert!(
            (cpu - gpu).abs() < 1e-3,
            "{model}, update {}: {cpu} on the CPU, {gpu} on {device}",
            step + 1
        );
    }
    assert!(cpu[20] < cpu[0], "{model} learns: {cpu:?}");
}

#[test]
fn mlp_gives_the_losses_of_the_cpu() {
    same_losses("mlp:64,64");
}

#[test]
fn cnn_gives_the_losses_of_the_cpu() {
    same_losses("cnn");
}
