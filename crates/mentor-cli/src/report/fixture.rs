//! A small run, in code, for the tests.

use std::collections::BTreeMap;

use std::path::PathBuf;

use mentor_train::analysis::{Analysis, HardSample, Histogram, Landscape, PathPoint, Picture, WeightImage};
use mentor_train::evaluation::{CalibrationBin, ClassMetrics, Evaluation};
use mentor_train::{Config, EpochMetrics, MetricsLine, StepMetrics, Summary};

use super::RunReport;
use super::history::History;

/// Four updates an epoch.
pub(super) fn metrics(epochs: usize) -> Vec<MetricsLine> {
    let step = |epoch: usize, step: u64| StepMetrics {
        step,
        epoch,
        data_loss: 2.0 / step as f64,
        learning_rate: 0.1,
        num_samples: 32,
    };
    let mut lines = Vec::new();
    for epoch in 0..epochs {
        let done = 4 * epoch as u64;
        lines.extend((1..=4).map(|index| MetricsLine::Step(step(epoch, done + index))));
        let loss = 2.0 / (epoch as f64 + 1.0);
        lines.push(MetricsLine::Epoch(EpochMetrics {
            epoch,
            step: done + 4,
            learning_rate: 0.1,
            train_loss: loss + 0.1,
            train_data_loss: loss,
            train_accuracy: Some(0.9),
            penalty: 0.1,
            val_loss: Some(loss + 0.3),
            val_data_loss: Some(loss + 0.2),
            val_accuracy: Some(0.85),
            num_zero_weights: 5,
            weight_rms: 0.2,
            train_secs: 2.0,
            loader_wait_secs: 0.02,
            val_secs: 0.5,
            measures: BTreeMap::new(),
        }));
    }
    lines
}

/// A linear softmax classifier with L2.
pub(super) fn config() -> Config {
    let text = "[data]\nsource = 'digits'\n[model]\nname = 'linear'\n[loss]\nname = 'softmax'\n[penalty]\nl2 = 1e-3\n\
                [optimizer]\nname = 'sgd'\nlearning_rate = 0.1\nbatch_size = 32\n[training]\nepochs = 40\nseed = 0\n";
    Config::from_toml(text, "fixture", &[]).unwrap()
}

pub(super) fn summary() -> Summary {
    Summary {
        val_accuracy: Some(0.975),
        val_loss: Some(0.1798),
        train_loss: 0.1453,
        train_accuracy: Some(0.9928),
        steps: 1600,
        epochs: 40,
        best_epoch: 3,
        stopped: None,
        wall_secs: 1.8,
        num_params: 650,
        num_zero_weights: 5,
        num_weights: 640,
        weight_rms: 0.21,
        weights_blake3: format!("3f9a1c77e5b2{}", "0".repeat(52)),
        data_blake3: "a".repeat(64),
        device: "cpu".to_owned(),
        mentor_version: "0.1.0".to_owned(),
        teacher: None,
        baseline: None,
        measures: BTreeMap::new(),
    }
}

/// Two classes, one of them with a name that must be escaped.
pub(super) fn analysis() -> Analysis {
    let class = |name: &str| ClassMetrics {
        class: name.to_owned(),
        num_samples: 20,
        num_predicted: 20,
        precision: 0.9,
        recall: 0.9,
        f1: 0.9,
    };
    let bin = |num_samples, confidence, accuracy| CalibrationBin { num_samples, confidence, accuracy };
    let path = |step, at, cost| PathPoint { step, at, cost };
    let landscape = |label: &str| Landscape {
        label: label.to_owned(),
        num_samples: 100,
        at: vec![-0.5, 0.0, 0.5, 1.0, 1.5],
        cost: vec![4.0, 2.3, 1.0, 0.4, 0.6],
        path: vec![path(0, 0.0, 2.3), path(4, 0.6, 0.8), path(8, 1.0, 0.4)],
    };
    Analysis {
        evaluation: Evaluation {
            split: "val".to_owned(),
            num_samples: 40,
            loss: 0.4,
            data_loss: 0.3,
            penalty: 0.1,
            accuracy: 0.9,
            top5_accuracy: 1.0,
            ece: 0.031,
            per_class: vec![class("<cat>"), class("dog & \"wolf\"")],
            confusion: vec![vec![18, 2], vec![2, 18]],
            calibration: vec![bin(0, 0.0, 0.0), bin(10, 0.6, 0.7), bin(30, 0.95, 0.96)],
        },
        hardest: vec![HardSample {
            id: "photos/<script>.png".to_owned(),
            target: 0,
            predicted: 1,
            confidence: 0.93,
            loss: 4.21,
            picture: Picture { channels: 1, height: 2, width: 2, pixels: "AAECAw==".to_owned() },
        }],
        weight_images: (0..2)
            .map(|class| WeightImage {
                class,
                channels: 1,
                height: 2,
                width: 2,
                values: vec![-0.2, 0.0, 0.1, 0.3],
            })
            .collect(),
        histogram: Histogram {
            low: -1.0,
            high: 1.0,
            counts: vec![2, 8, 7, 3],
            num_zero: 5,
            num_weights: 25,
            rms: 0.2,
        },
        along_weight: Some(landscape("weight layer.weight[31, 4]")),
        along_line: Some(landscape("from the first to the last weights")),
    }
}

/// A run that has ended.
pub(super) fn complete(path: &str) -> RunReport {
    RunReport {
        path: PathBuf::from(path),
        config: config(),
        history: History::new(metrics(3)),
        summary: Some(summary()),
        analysis: Some(analysis()),
        distillation: None,
    }
}

/// A run after two of its epochs.
pub(super) fn incomplete(path: &str) -> RunReport {
    RunReport { history: History::new(metrics(2)), summary: None, analysis: None, ..complete(path) }
}
