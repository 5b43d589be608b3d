//! A small run, in code, for the tests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mentor_metrics::classification::{CalibrationBin, ClassMetrics, Confusion, Evaluation};
use mentor_metrics::embeddings::PairDistances;
use mentor_metrics::retrieval::{Metric, Retrieval, RetrievalIntervals};
use mentor_run::records::Picture;
use mentor_run::records::analysis::{Analysis, HardSample, Histogram, Landscape, PathPoint, WeightImage};
use mentor_run::records::embeddings::{
    EmbeddingAnalysis, EmbeddingMap, MapPoint, PixelBaseline, RetrievalRow, RetrievedSample,
};
use mentor_run::records::health::EpochHealth;
use mentor_run::{Config, EpochMetrics, MetricsLine, StepMetrics, Summary};

use super::history::History;
use super::run::RunReport;

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
    let text = "[data]\nsource = 'digits'\n[model]\nname = 'linear'\n[loss]\nname = 'softmax'\n[penalty]\nl2 \
                = 1e-3\n\
                [optimizer]\nname = 'sgd'\nlearning_rate = 0.1\nbatch_size = 32\n[training]\nepochs = \
                40\nseed = 0\n";
    Config::from_toml(text, "fixture", &[]).unwrap()
}

pub(super) fn summary() -> Summary {
    let mut summary =
        Summary::new(format!("3f9a1c77e5b2{}", "0".repeat(52)), "a".repeat(64), "cpu".to_owned());
    (summary.num_val, summary.val_accuracy, summary.val_loss) = (40, Some(0.975), Some(0.1798));
    (summary.train_loss, summary.train_accuracy) = (0.1453, Some(0.9928));
    (summary.last_train_loss, summary.last_train_accuracy) = (Some(0.1401), Some(0.9941));
    (summary.steps, summary.epochs, summary.best_epoch, summary.wall_secs) = (1600, 40, 3, 1.8);
    (summary.num_params, summary.num_zero_weights, summary.num_weights) = (650, 5, 640);
    summary.weight_rms = 0.21;
    summary.mentor_version = "0.1.0".to_owned();
    summary
}

/// Two classes, one of them with a name that must be escaped.
pub(super) fn analysis() -> Analysis {
    let class = |name: &str| ClassMetrics {
        class: name.to_owned(),
        num_samples: 20,
        num_predicted: 20,
        precision: Some(0.9),
        recall: Some(0.9),
        f1: Some(0.9),
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
            accuracy_interval: Some([0.769, 0.96]),
            macro_recall: Some(0.9),
            macro_f1: Some(0.9),
            top5_accuracy: 1.0,
            ece: 0.031,
            per_class: vec![class("<cat>"), class("dog & \"wolf\"")],
            confusion: Confusion::of(
                2,
                (0..40).map(|sample| (sample / 20, u32::from(sample % 20 < 18) ^ (1 - sample / 20))),
            ),
            calibration: vec![
                bin(0, None, None),
                bin(10, Some(0.6), Some(0.7)),
                bin(30, Some(0.95), Some(0.96)),
            ],
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

/// Two classes, three samples, one query.
pub(super) fn embeddings() -> EmbeddingAnalysis {
    let sample =
        |id: &str, label, distance| RetrievedSample { id: id.to_owned(), label, distance, picture: Some(0) };
    let point =
        |x, y, label| MapPoint { x, y, label, id: "photos/<script>.png".to_owned(), picture: Some(0) };
    EmbeddingAnalysis {
        split: "test".to_owned(),
        dim: 32,
        metric: Metric::Euclidean,
        classes: vec!["<cat>".to_owned(), "dog & \"wolf\"".to_owned()],
        retrieval: Retrieval {
            precision_at_1: Some(0.9),
            r_precision: Some(0.8),
            map_at_r: Some(0.75),
            recall_at_1: Some(0.9),
            recall_at_5: Some(0.95),
            recall_at_10: Some(0.97),
            knn_accuracy: Some(0.92),
            k: 10,
            num_queries: 998,
            num_lone_queries: 2,
            intervals: RetrievalIntervals {
                precision_at_1: Some([0.88, 0.92]),
                r_precision: Some([0.78, 0.82]),
                map_at_r: Some([0.73, 0.77]),
            },
        },
        distances: PairDistances {
            high: 2.0,
            positive: vec![40, 20, 5, 0],
            negative: vec![1, 10, 80, 120],
            mean_positive: Some(0.4),
            mean_negative: Some(1.3),
            sampled: true,
        },
        map: EmbeddingMap {
            explained: [0.4, 0.2],
            points: vec![point(0.1, 0.2, 0), point(-1.0, 0.3, 1), point(0.3, -0.4, 0)],
            num_samples: 1000,
            num_fitted: Some(1000),
        },
        rows: vec![RetrievalRow {
            query: sample("q.png", 0, 0.0),
            neighbours: vec![sample("a.png", 0, 0.11), sample("photos/<script>.png", 1, 0.52)],
        }],
        pictures: vec![Picture { channels: 1, height: 2, width: 2, pixels: "AAECAw==".to_owned() }],
        health: (0..3)
            .map(|epoch| EpochHealth {
                epoch,
                easy: Some(0.5 + 0.1 * epoch as f64),
                semi_hard: Some(0.3 - 0.05 * epoch as f64),
                hard: Some(0.2 - 0.05 * epoch as f64),
                active: Some(0.5 - 0.1 * epoch as f64),
                mean_positive_distance: Some(0.8 - 0.1 * epoch as f64),
                mean_negative_distance: Some(1.1 + 0.1 * epoch as f64),
                embedding_norm: 1.0,
                embedding_spread: 0.9,
            })
            .collect(),
        margin: Some(0.2),
        pixels: Some(PixelBaseline { num_images: 1000, precision_at_1: 0.5, embeddings_precision_at_1: 0.9 }),
    }
}

/// A run that has ended.
pub(super) fn complete(path: &str) -> RunReport {
    RunReport {
        gaps: Vec::new(),
        path: PathBuf::from(path),
        config: config(),
        history: History::new(metrics(3)),
        summary: Some(summary()),
        analysis: Some(analysis()),
        embeddings: None,
        distillation: None,
        self_training: None,
        embedding_fidelity: None,
        penalty_path: None,
        temperature: None,
    }
}

/// A run after two of its epochs.
pub(super) fn incomplete(path: &str) -> RunReport {
    RunReport { history: History::new(metrics(2)), summary: None, analysis: None, ..complete(path) }
}
