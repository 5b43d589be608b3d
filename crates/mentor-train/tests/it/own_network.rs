//! A network of the caller's own in the real loop: optimiser, moving average, checkpoints, and back from its
//! files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use mentor_data::{Dataset, OpenOptions, Source, Split};
use mentor_loss::ScoreLoss;
use mentor_model::{Head, Model, Network, Output, Pass, weights_blake3};
use mentor_run::{Config, TrainEvent};
use mentor_train::{Execution, LoadError, Outcome, Trained, TrainedModel, Trainer};

#[derive(Module, Debug)]
struct Own {
    hidden: Param<Tensor<2>>,
    head: Param<Tensor<2>>,
}

impl Own {
    fn new(units: usize) -> Self {
        let weight = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|i| 0.2 * (i as f32 * 0.7).sin()).collect();
            let values = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
            Param::from_tensor(values.reshape([rows, columns]))
        };
        Self { hidden: weight(64, units), head: weight(units, 10) }
    }
}

impl Network for Own {
    fn forward(&self, images: Tensor<4>, _: &Pass<'_>) -> Output {
        let features = images.flatten::<2>(1, 3).matmul(self.hidden.val()).tanh();
        Output { head: features.clone().matmul(self.head.val()), features }
    }
}

fn digits(split: Split) -> Arc<Dataset> {
    Arc::new(Source::open("digits", &OpenOptions::default()).unwrap().load(split).unwrap())
}

/// Trains it in `out` until `steps` updates are done, its first layer fixed if `freeze` says so.
fn trained(out: &Path, freeze: &[String], steps: u64) -> Outcome<Trained> {
    let head = Head::Classifier { num_classes: 10 };
    let model = Model::custom("own", [1, 8, 8], head, Own::new(12)).unwrap().freeze(freeze).unwrap();
    let text =
        "penalty = { l1 = 1e-5, l2 = 1e-4 }\ntraining = { epochs = 3, ema = 0.9, checkpoint_secs = 0.0 }";
    let stop = AtomicBool::new(false);
    let execution = Execution::new(&Device::flex()).with_stop(&stop).with_observer(|event| {
        if let TrainEvent::Step(metrics) = event {
            stop.store(metrics.step >= steps, Ordering::Relaxed);
        }
    });
    let trainer = Trainer::new(model, digits(Split::Train))
        .with_validation(digits(Split::Val))
        .with_config(Config::from_toml(text, "test", &[]).unwrap())
        .with_run_dir(out);
    trainer.train(&ScoreLoss::SOFTMAX, &execution).unwrap()
}

#[test]
fn it_is_trained_averaged_interrupted_and_loaded_like_a_family() {
    let dir = tempfile::tempdir().unwrap();
    let [whole, cut] = ["whole", "cut"].map(|name| dir.path().join(name));
    let expected = trained(&whole, &[], u64::MAX).complete().unwrap();
    assert!(expected.summary.val_accuracy.unwrap() > 0.25, "{:?}", expected.summary.val_accuracy);
    assert!(matches!(trained(&cut, &[], 7), Outcome::Interrupted { .. }));
    let resumed = trained(&cut, &[], u64::MAX).complete().unwrap();
    assert_eq!(resumed.summary.weights_blake3, expected.summary.weights_blake3);

    let device = Device::flex();
    let loaded = TrainedModel::load_custom(&whole, &device, Own::new(12)).unwrap();
    assert_eq!(weights_blake3(&loaded.model), expected.summary.weights_blake3);
    let images = vec![vec![0; 64]; 3];
    assert_eq!(loaded.predict(&images).unwrap().len(), 3);
    let other = TrainedModel::load_custom(&whole, &device, Own::new(13)).unwrap_err();
    assert!(matches!(other, LoadError::Model(_)), "{other}");
    let unknown = TrainedModel::load(&whole, &device).unwrap_err();
    assert!(unknown.to_string().contains("unknown model `own`"), "{unknown}");
}

#[test]
fn a_fixed_parameter_of_it_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let model = trained(&out, &["hidden".to_owned()], u64::MAX).complete().unwrap().model;
    let tensors = mentor_model::parameters(&model);
    let first = Own::new(12);
    let values = |param: &Param<Tensor<2>>| param.val().into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(tensors[0].values, values(&first.hidden));
    assert_ne!(tensors[1].values, values(&first.head));
}
