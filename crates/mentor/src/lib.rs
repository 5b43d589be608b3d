//! Train image classifiers from few labels, from Rust.
//!
//! This crate re-exports its parts, each of which can be used alone:
//!
//! | module | what it is | reads files |
//! |---|---|---|
//! | [`loss`] | losses and penalties as pure mathematics on tensors | no |
//! | [`linear`] | linear classifiers to a proven distance from the optimum, on plain slices | no |
//! | [`data`] | image folders, IDX files, CSV manifests and npz files to batches | data sets |
//! | [`model`] | network families by name, weights in and out | no |
//! | [`metrics`] | measures on slices: classification, calibration, retrieval, tests of significance | no |
//! | [`run`] | configuration, run directory, events, records | run directories |
//! | [`train`] | plan, optimisers, the loop, checkpoints, recipes, trained models | run directories |
//! | [`report`] | one HTML file from one or several runs | run directories |
//!
//! The binary `mentor` is a command line for the same crates. Training is deterministic: on one machine the
//! same plan and data end in the same weights, bit for bit, also after a crash.
//!
//! # From images to predictions
//!
//! ```
//! use std::sync::Arc;
//!
//! use mentor::burn::tensor::Device;
//! use mentor::data::{OpenOptions, Source, Split};
//! use mentor::run::Config;
//! use mentor::train::{Execution, Plan, TrainedModel, train};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("run");
//! // What a user writes, checked as a whole. `digits` is embedded; a path works the same.
//! let config = Config::from_toml(
//!     "data.source = 'digits'
//!      model.name = 'linear'
//!      training.epochs = 2",
//!     "example",
//!     &[],
//! )?;
//! let plan = Plan::try_from(config)?;
//!
//! // Called again with the same plan and directory, it continues, or says that it is complete.
//! train(&plan, &out, &Execution::new(&Device::flex()))?;
//!
//! let trained = TrainedModel::load(&out, &Device::flex())?;
//! let source = Source::open("digits", &OpenOptions::default())?;
//! let test = Arc::new(source.load_as(Split::Test, &trained.file.preprocessing.format)?);
//! let (evaluation, _samples) = trained.evaluate(&test, Split::Test, 64)?;
//! assert!(evaluation.accuracy > 0.8);
//! # Ok(())
//! # }
//! ```
//!
//! # A loss on its own
//!
//! ```
//! use mentor::burn::tensor::{Device, Int, Tensor};
//! use mentor::loss::{Hinge, MulticlassSvm};
//!
//! let device = Device::flex();
//! let scores = Tensor::<2>::from_floats([[3.2, 5.1, -1.7]], &device);
//! let targets = Tensor::<1, Int>::from_ints([0], &device);
//! let svm = MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?;
//! assert!((svm.per_sample(scores, targets).into_scalar::<f32>() - 2.9).abs() < 1e-6);
//! # Ok::<(), mentor::loss::LossError>(())
//! ```

/// The engine, in the version that everything here is made with: tensors, devices, modules.
pub use burn;
pub use mentor_data as data;
pub use mentor_linear as linear;
pub use mentor_loss as loss;
pub use mentor_metrics as metrics;
pub use mentor_model as model;
pub use mentor_report as report;
pub use mentor_run as run;
pub use mentor_train as train;
