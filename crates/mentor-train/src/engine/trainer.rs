//! Training from Rust: own data, an own network and an own objective in the one loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use mentor_data::{Dataset, Preprocessing};
use mentor_model::{Architecture, Head, Model, load_safetensors, parameters};
use mentor_run::files::MAX_HEADER;
use mentor_run::{Config, DataConfig, ModelConfig, RunDir};

use crate::engine::analysed::Analyse;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::job::{Files, Job};
use crate::engine::objective::Objective;
use crate::engine::outcome::{Outcome, Trained};
use crate::engine::scored::Scored;
use crate::engine::training_data::TrainingData;
use crate::engine::training_loop::run;
use crate::plan::checker::{Checker, PlanError};
use crate::plan::loss::LossPlan;
use crate::plan::training::{Learner, TrainingPlan};

/// Trains a network on data sets in memory or behind a store, with any [`Objective`], in the loop that
/// recipes use too: checkpoints, metrics, early stopping and bits are the same.
///
/// Settings are those of a [`Config`]: optimiser, schedule, penalty, length, seed and augmentation, each with
/// the default that a [`Plan`](crate::Plan) has. They are checked when training begins.
///
/// ```
/// use burn::tensor::Device;
/// use mentor_data::{Dataset, ImageFormat};
/// use mentor_loss::{ScoreLoss, SoftmaxCrossEntropy};
/// use mentor_model::{Model, ModelSpec};
/// use mentor_train::{Execution, Trainer};
///
/// // Eight images of one pixel, dark and light.
/// let format = ImageFormat::new(1, 1, 1);
/// let classes = vec!["dark".to_owned(), "light".to_owned()];
/// let ids = (0..8).map(|index| index.to_string()).collect();
/// let pixels = vec![10, 240, 20, 250, 30, 230, 5, 255];
/// let train = Dataset::from_parts(classes, format, pixels, vec![0, 1, 0, 1, 0, 1, 0, 1], ids)?;
///
/// let device = Device::flex();
/// let model = Model::new(&ModelSpec::new("linear", [1, 1, 1], 2), 0, &device)?;
/// let trainer = Trainer::new(model, train).with_epochs(50).with_learning_rate(0.5);
/// let loss = ScoreLoss::Softmax(SoftmaxCrossEntropy::new());
/// let trained = trainer.train(&loss, &Execution::new(&device))?.complete().unwrap();
/// assert_eq!(trained.summary.train_accuracy, Some(1.0));
///
/// let refused = trainer.with_learning_rate(-1.0).train(&loss, &Execution::new(&device)).unwrap_err();
/// assert!(refused.to_string().contains("learning_rate is -1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer {
    model: Model,
    train: Arc<Dataset>,
    val: Option<Arc<Dataset>>,
    preprocessing: Option<Preprocessing>,
    config: Config,
    out: Option<PathBuf>,
}

impl Trainer {
    /// Trains `model` from the weights that it has on `train`, without validation and run directory.
    ///
    /// Parameters that take no part in gradients keep their values.
    pub fn new(model: Model, train: impl Into<Arc<Dataset>>) -> Self {
        let config = Config::default();
        Self { model, train: train.into(), val: None, preprocessing: None, config, out: None }
    }

    /// Judges the model on `val` after each epoch, and keeps the weights of the best one.
    #[must_use]
    pub fn with_validation(self, val: impl Into<Arc<Dataset>>) -> Self {
        Self { val: Some(val.into()), ..self }
    }

    /// Normalises images by these means and deviations, instead of those of the training images.
    #[must_use]
    pub fn with_preprocessing(self, preprocessing: Preprocessing) -> Self {
        Self { preprocessing: Some(preprocessing), ..self }
    }

    /// Takes all settings from `config`, whose `loss` is the one that the finished model is evaluated by;
    /// what it says of data, model and recipe must be empty, but for the augmentation.
    #[must_use]
    pub fn with_config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Passes over the training set, at least 1.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.config.training.epochs = Some(epochs);
        self
    }

    /// Samples of one forward pass, at least 1.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.config.optimizer.batch_size = Some(batch_size);
        self
    }

    /// Step size at full height of the schedule, above 0.
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Self {
        self.config.optimizer.learning_rate = Some(learning_rate);
        self
    }

    /// Seed of the order of the samples, of augmentation and of dropout; the model's weights are drawn
    /// already.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.config.training.seed = Some(seed);
        self
    }

    /// Keeps the run in `out`, or continues the one that is there: checkpoints, metrics, the model.
    #[must_use]
    pub fn with_run_dir(self, out: impl Into<PathBuf>) -> Self {
        Self { out: Some(out.into()), ..self }
    }

    /// Minimises `objective`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Plan`] if a setting is out of its range, or the data does not fit the model; whatever
    /// else ends training.
    pub fn train(
        &self,
        objective: &dyn Objective,
        execution: &Execution<'_>,
    ) -> Result<Outcome<Trained>, TrainError> {
        let ended = self.train_alone(objective, execution);
        execution.ranks().leave(ended.as_ref());
        ended
    }

    fn train_alone(
        &self,
        objective: &dyn Objective,
        execution: &Execution<'_>,
    ) -> Result<Outcome<Trained>, TrainError> {
        let (training, loss, config) = self.settings()?;
        let preprocessing = self.preprocessing.clone().unwrap_or_else(|| Preprocessing::fit(&self.train));
        let mut data = TrainingData::given(self.train.clone(), self.val.clone(), preprocessing);
        if let (Head::Classifier { num_classes }, []) = (self.model.spec().head, data.classes()) {
            // Nobody names them: teachers alone say what they are.
            data.classes = (0..num_classes).map(|class| class.to_string()).collect();
        }
        if let Some(out) = &self.out
            && let Some(trained) = self.completed(out, &config, &data)?
        {
            return Ok(Outcome::AlreadyComplete(trained));
        }
        objective.warnings().iter().for_each(|warning| execution.warn(warning.clone()));
        let architecture: Option<Architecture> = self.model.spec().architecture.parse().ok();
        let loss_of_scores = match &loss {
            LossPlan::Scores(loss) if self.train.is_labelled() => Some(loss.build(data.classes().len())?),
            _ => None,
        };
        let scored = loss_of_scores.as_ref().map(|loss| Scored {
            architecture: architecture.as_ref(),
            training: &training,
            data: &data,
            loss,
            device: execution.device(),
        });
        let run_dir = self.out.as_ref().map(|out| RunDir::create(out, &config)).transpose()?;
        let analysis = scored.as_ref().filter(|_| run_dir.is_some());
        let job = Job {
            training: &training,
            data: &data,
            objective,
            analysis: analysis.map(|scored| scored as &dyn Analyse),
            files: run_dir.as_ref().map(|dir| Files { dir, config }),
            backbone: None,
            loss: &loss,
            device: execution.device().clone().autodiff(),
            execution,
        };
        run(&job, self.model.valid().to_device(execution.device()).train())
    }

    /// The checked settings, the loss of evaluations, and the configuration that states both.
    fn settings(&self) -> Result<(TrainingPlan, LossPlan, Config), PlanError> {
        let Self { config, model, .. } = self;
        let mut check = Checker { problems: Vec::new() };
        self.check_data(&mut check);
        let DataConfig { source, classes_per_batch, samples_per_class, triplets, .. } = &config.data;
        let elsewhere = source.is_some()
            || classes_per_batch.is_some()
            || samples_per_class.is_some()
            || triplets.is_some()
            || config.model != ModelConfig::default()
            || config.distill.is_some()
            || config.path.is_some()
            || config.self_train.is_some();
        check.check(!elsewhere, || {
            "a trainer is given its data, model and objective: leave those parts of the configuration out"
                .into()
        });
        let spec = model.spec();
        let mut described = ModelConfig::default();
        let mut loss = config.loss.clone();
        if let Head::Embedding { size, unit_norm } = spec.head {
            (described.embedding_size, described.unit_norm) = (Some(size), Some(unit_norm));
            loss.name.get_or_insert_with(|| "triplet".to_owned());
        }
        let loss = LossPlan::check(loss, &described, &DataConfig::default(), &mut check);
        let architecture: Option<Architecture> = spec.architecture.parse().ok();
        let learner = Learner {
            architecture: architecture.as_ref(),
            is_noisy: spec.dropout != 0.0 || spec.stochastic_depth != 0.0,
            loss: &loss,
            self_train: false,
            of_path: false,
            is_of_plan: false,
        };
        let training = TrainingPlan::check(config, &learner, &mut check);
        let resolved = Config {
            model: ModelConfig {
                name: Some(spec.architecture.clone()),
                dropout: Some(spec.dropout),
                stochastic_depth: Some(spec.stochastic_depth),
                ..described
            },
            loss: loss.to_config(),
            ..training.to_config()
        };
        check.whole_numbers(&resolved);
        check.into_result((training, loss, resolved))
    }

    /// That the data sets fit the model and each other.
    fn check_data(&self, check: &mut Checker) {
        let Self { model, train, val, .. } = self;
        let (input, images) = (model.spec().input, train.format().shape());
        check.check(!train.is_empty(), || "there is no training image".into());
        check.check(images == input, || {
            format!("the images are {images:?} (channels, height, width), and the model takes {input:?}")
        });
        if let Head::Classifier { num_classes } = model.spec().head {
            for dataset in [Some(train), val.as_ref()].into_iter().flatten().filter(|it| it.is_labelled()) {
                let found = dataset.classes().len();
                check.check(found == num_classes, || {
                    format!("the data has {found} classes, and the model gives {num_classes} scores")
                });
            }
        }
        if let Some(val) = val {
            check.check(!val.is_empty(), || "there is no validation image".into());
            let both_labelled = train.is_labelled() && val.is_labelled();
            let same_classes = !both_labelled || val.classes() == train.classes();
            check.check(val.format().shape() == images && same_classes, || {
                "validation and training images differ in their shape or their classes".into()
            });
        }
    }

    /// What was trained in `out` before, if that is complete.
    fn completed(
        &self,
        out: &Path,
        config: &Config,
        data: &TrainingData,
    ) -> Result<Option<Trained>, TrainError> {
        let Some((run, summary)) = RunDir::completed_elsewhere(out, config)? else { return Ok(None) };
        if summary.data_blake3 != data.fingerprint {
            return Err(TrainError::DataChanged);
        }
        let model = self.model.valid();
        let num_values: usize = parameters(&model).iter().map(|tensor| tensor.values.len()).sum();
        let max_bytes = (num_values * size_of::<f32>()) as u64 + MAX_HEADER;
        let model = load_safetensors(model, &run.weights(max_bytes)?)?;
        Ok(Some(Trained { model, summary }))
    }
}
