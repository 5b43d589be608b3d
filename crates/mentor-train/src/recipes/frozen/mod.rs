//! A pretrained network that stays as it is: the features of all images once, then a linear head on them.

mod baselines;
mod head;
mod scaled_features;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_backbone::Backbone;
use mentor_data::{DataError, Dataset, OpenOptions, Source, counted};
use mentor_linear::LinearError;
use mentor_loss::{Penalty, ScoreLoss};
use mentor_metrics::accuracy_interval;
use mentor_metrics::classification::{SampleResult, judge, summarise};
use mentor_metrics::evenly_spread;
use mentor_metrics::retrieval::{Embeddings, Metric};
use mentor_model::{Model, to_safetensors};
use mentor_run::files::read_named;
use mentor_run::{BACKBONE_FILE, EMBEDDINGS_FILE, MODEL_FILE, MODEL_FORMAT, RunDir, Summary, TrainEvent};

use self::baselines::baselines;
pub(super) use self::head::LinearHead as Head;
use self::head::LinearHead;
use crate::analysis::trajectory::Trajectory;
use crate::analysis::{classifier, embeddings, subject::Subject};
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::optimum::LinearTask;
use crate::engine::outcome::Outcome;
use crate::engine::training_data::TrainingData;
use crate::engine::training_loop::summary_of;
use crate::features::{Extractor, Features};
use crate::inference::device::{targets_to_device, to_host};
use crate::inference::frozen::{frozen_model, open, preprocessing_of, record_of};
use crate::inference::model_file::{ModelData, ModelFile, model_blake3};
use crate::inference::model_loss::ModelLoss;
use crate::inference::trained_model::MAX_WEIGHTS;
use crate::inference::weights::WeightStatistics;
use crate::plan::loss::LossPlan;
use crate::plan::{FrozenPlan, HeadPenalty, Plan};
use crate::recipes::told::tell_of_data;

/// Rows of features that are scored at once.
const CHUNK: usize = 4096;
/// Training images on the map of features, at most.
const MAX_MAPPED: usize = 2000;

/// Trains what `plan` says into `out`. Nothing but features is kept of a run that was interrupted: the head
/// takes seconds.
pub(super) fn train(
    plan: &Plan,
    frozen: &FrozenPlan,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    match Work::begin(plan, frozen, out, execution, |_, _| Ok(()))? {
        Begun::Complete(summary) => Ok(Outcome::AlreadyComplete(*summary)),
        Begun::Work(work) => ended(work.train()),
    }
}

/// How a head was found, or that its training was interrupted.
pub(super) fn ended(trained: Result<Summary, TrainError>) -> Result<Outcome, TrainError> {
    match trained {
        Ok(summary) => Ok(Outcome::Complete(summary)),
        Err(TrainError::Interrupted | TrainError::Linear(LinearError::Interrupted)) => {
            Ok(Outcome::Interrupted { step: None })
        }
        Err(error) => Err(error),
    }
}

/// That a complete run has the pretrained network that `frozen` names now; one that is gone is not missed.
///
/// # Errors
///
/// [`TrainError::LessonsChanged`] if it has another one.
pub(super) fn check_unchanged(frozen: &FrozenPlan, summary: &Summary) -> Result<(), TrainError> {
    let Ok(bytes) = read_named(&frozen.file, MAX_WEIGHTS) else { return Ok(()) };
    let found = blake3::hash(&bytes).to_hex();
    match &summary.backbone {
        Some(backbone) if backbone.weights_blake3 != found.as_str() => Err(TrainError::LessonsChanged),
        _ => Ok(()),
    }
}

pub(super) enum Begun<'a> {
    Complete(Box<Summary>),
    Work(Box<Work<'a>>),
}

/// A head that is to be trained.
pub(super) struct Work<'a> {
    plan: &'a Plan,
    pub(super) frozen: &'a FrozenPlan,
    execution: &'a Execution<'a>,
    pub(super) run_dir: RunDir,
    pub(super) backbone: Arc<Backbone>,
    pub(super) data: TrainingData,
    pub(super) loss: ScoreLoss,
    since: Instant,
}

/// A data set with its features and what the head makes of them.
struct Judged<'a> {
    dataset: &'a Arc<Dataset>,
    features: &'a [f32],
    results: Vec<SampleResult>,
}

impl<'a> Work<'a> {
    /// Reads network and data; a network that `check` refuses, for so many classes, begins no run.
    pub(super) fn begin(
        plan: &'a Plan,
        frozen: &'a FrozenPlan,
        out: &Path,
        execution: &'a Execution<'a>,
        check: impl FnOnce(&Backbone, usize) -> Result<(), TrainError>,
    ) -> Result<Begun<'a>, TrainError> {
        let since = Instant::now();
        let backbone = open(&frozen.file)?;
        let data = load(plan, &backbone)?;
        check(&backbone, data.classes().len())?;
        Self::begin_on(data, backbone, plan, frozen, out, execution, since)
    }

    /// As [`Work::begin`], with what was read `since` then.
    pub(super) fn begin_on(
        data: TrainingData,
        backbone: Arc<Backbone>,
        plan: &'a Plan,
        frozen: &'a FrozenPlan,
        out: &Path,
        execution: &'a Execution<'a>,
        since: Instant,
    ) -> Result<Begun<'a>, TrainError> {
        let LossPlan::Scores(loss) = &plan.loss else { unreachable!("the plan takes losses of classifiers") };
        let loss = loss.build(data.classes().len())?;
        let config = plan.to_config();
        let run_dir = RunDir::create(out, &config)?;
        if run_dir.is_complete() {
            // Its data or its network is somewhere else now.
            let summary = run_dir.summary()?;
            let same = summary.data_blake3 == data.fingerprint
                && summary.backbone.as_ref() == Some(&record_of(&backbone));
            if !same {
                return Err(run_dir.other_run().map_or(TrainError::DataChanged, TrainError::from));
            }
            run_dir.adopt(&config)?;
            return Ok(Begun::Complete(Box::new(summary)));
        }
        run_dir.adopt(&config)?;
        tell_of_data(plan, &data, &run_dir, execution)?;
        Ok(Begun::Work(Box::new(Self { plan, frozen, execution, run_dir, backbone, data, loss, since })))
    }

    /// Validation images with labels.
    fn val(&self) -> Option<&Arc<Dataset>> {
        self.data.val.as_ref().filter(|val| val.is_labelled())
    }

    /// The features of the training images, of those of validation if they have labels, and of `more`; and
    /// the seconds that they took.
    pub(super) fn features(&self, more: Option<&Arc<Dataset>>) -> Result<(Vec<Vec<f32>>, f64), TrainError> {
        let Self { data, backbone, execution, .. } = self;
        let begun = Instant::now();
        let datasets: Vec<&Arc<Dataset>> =
            std::iter::once(&data.train).chain(self.val()).chain(more).collect();
        let Features { rows, num_computed, num_found, warnings } = self.extractor().features(&datasets)?;
        let features_secs = begun.elapsed().as_secs_f64();
        warnings.into_iter().for_each(|warning| execution.warn(warning));
        let name = backbone.architecture.name;
        execution.say(format!(
            "features of {} by {name} in {features_secs:.1} s, {num_found} of them kept from before",
            counted(num_computed + num_found, "image", "images")
        ));
        Ok((rows, features_secs))
    }

    fn train(&self) -> Result<Summary, TrainError> {
        let (rows, features_secs) = self.features(None)?;
        let head = self.head(&rows[0])?;
        self.finish(&rows, features_secs, &head, |_| ())
    }

    /// Measures `head` on what [`Work::features`] gave, and writes the run; `add` says what else there is to
    /// know.
    pub(super) fn finish(
        &self,
        rows: &[Vec<f32>],
        features_secs: f64,
        head: &LinearHead,
        add: impl FnOnce(&mut Summary),
    ) -> Result<Summary, TrainError> {
        let Self { data, backbone, execution, .. } = self;
        let device = execution.device();
        let judged = |dataset, features| -> Judged<'_> {
            Judged { dataset, features, results: results(head, features, dataset, &self.loss, device) }
        };
        let train = judged(&data.train, &rows[0]);
        let val = self.val().map(|val| judged(val, &rows[1]));
        let parameters = (head.weight.clone(), head.bias.clone());
        let model = frozen_model(backbone, data.classes().len(), parameters, device)?;
        let mut summary = self.summary(&model, head, &train, val.as_ref());
        add(&mut summary);
        summary.features_secs = Some(features_secs);
        summary.measures.extend(baselines(train.dataset, train.features, execution.stop())?);
        self.write(&model, head, &mut summary)?;
        self.analyse(&model, head, &train, val.as_ref())?;
        summary.wall_secs = self.since.elapsed().as_secs_f64();
        self.run_dir.write_json("summary.json", &summary)?;
        execution.tell(&TrainEvent::Finished(Box::new(summary.clone())));
        Ok(summary)
    }

    fn extractor(&self) -> Extractor<'_> {
        Extractor {
            backbone: &self.backbone,
            preprocessing: &self.data.preprocessing,
            folder: self.plan.feature_cache.as_deref(),
            observer: &self.plan.options.observer,
            stop: self.execution.stop(),
        }
    }

    /// The head on the features of the training images; says how its λ was chosen.
    pub(super) fn head(&self, features: &[f32]) -> Result<LinearHead, TrainError> {
        let head = self.fit(features, self.data.train.targets(), None, self.frozen.penalty)?;
        self.tell_of_choice(&head);
        Ok(head)
    }

    /// The head on any features, of images that weigh as much as `sample_weights` says.
    pub(super) fn fit(
        &self,
        features: &[f32],
        targets: &[u32],
        sample_weights: Option<&[f32]>,
        penalty: HeadPenalty,
    ) -> Result<LinearHead, TrainError> {
        let task = LinearTask {
            features,
            num_features: self.backbone.network.num_features(),
            targets,
            sample_weights,
            num_classes: self.data.classes().len(),
            loss: &self.loss,
            penalty: Penalty::default(),
        };
        let stop = self.execution.stop();
        let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
        head::fit(&task, penalty, self.plan.training.seed, &stopped)
    }

    /// Says which λ was chosen, and how.
    fn tell_of_choice(&self, head: &LinearHead) {
        let num_train = self.data.train.len();
        let text = match (head.choice, self.frozen.penalty) {
            (Some(choice), _) => {
                let interval = accuracy_interval(choice.accuracy, num_train);
                format!(
                    "l2 {:.3e} of {}-fold cross-validation on {}, {}: accuracy {:.4} ({:.4} to {:.4} \
                     at 95 %)",
                    head.l2,
                    choice.num_folds,
                    counted(num_train, "label", "labels"),
                    counted(choice.num_repeats, "time", "times"),
                    choice.accuracy,
                    interval.low,
                    interval.high
                )
            }
            (None, HeadPenalty::Given(_)) => return,
            (None, HeadPenalty::CrossValidated) => {
                format!("l2 {:.3e}, judged by nothing: no class has two training images", head.l2)
            }
        };
        self.execution.say(text);
    }

    fn summary(
        &self,
        model: &Model,
        head: &LinearHead,
        train: &Judged<'_>,
        val: Option<&Judged<'_>>,
    ) -> Summary {
        let penalty = WeightStatistics::of(model).penalty(&penalty(head));
        let evaluation =
            |judged: &Judged<'_>| summarise("", judged.dataset.classes(), &judged.results, penalty);
        let mut summary = summary_of(model, &self.data, self.execution);
        let of_train = evaluation(train);
        summary.train_loss = of_train.data_loss + penalty;
        summary.train_accuracy = Some(of_train.accuracy);
        if let Some(val) = val {
            let of_val = evaluation(val);
            summary.val_loss = Some(of_val.data_loss + penalty);
            summary.set_val_accuracy(of_val.accuracy);
        }
        summary.backbone = Some(record_of(&self.backbone));
        summary.measures.insert("l2".to_owned(), head.l2);
        summary.measures.insert("relative_gap".to_owned(), head.relative_gap);
        if let Some(choice) = head.choice {
            summary.measures.insert("cross_validation_accuracy".to_owned(), choice.accuracy);
        }
        summary
    }

    /// Writes the model: its own weights, those of the network below, and the description of both.
    fn write(&self, model: &Model, head: &LinearHead, summary: &mut Summary) -> Result<(), TrainError> {
        let Self { plan, data, backbone, run_dir, frozen, .. } = self;
        let weights = read_named(&frozen.file, MAX_WEIGHTS)?;
        if blake3::hash(&weights) != backbone.weights_blake3 {
            return Err(TrainError::LessonsChanged);
        }
        let file = ModelFile {
            format: MODEL_FORMAT,
            spec: model.spec().clone(),
            backbone: Some(record_of(backbone)),
            classes: data.classes().to_vec(),
            preprocessing: data.preprocessing.clone(),
            loss: ModelLoss::Scores(self.loss.clone()),
            penalty: penalty(head),
            data: ModelData { source: Some(plan.source.clone()), options: plan.options.clone() },
            source_blake3: Some(data.source_blake3.clone()),
            weights_blake3: summary.weights_blake3.clone(),
            calibration: None,
        };
        summary.model_blake3 = model_blake3(&mentor_run::json::line(&file).expect("plain data")).ok();
        run_dir.write(BACKBONE_FILE, &weights)?;
        run_dir.write("model.safetensors", &to_safetensors(model)?)?;
        Ok(run_dir.write_json(MODEL_FILE, &file)?)
    }

    /// Writes what the report draws.
    fn analyse(
        &self,
        model: &Model,
        head: &LinearHead,
        train: &Judged<'_>,
        val: Option<&Judged<'_>>,
    ) -> Result<(), TrainError> {
        let shown = val.unwrap_or(train);
        let subject = Subject {
            is_linear: false,
            penalty: penalty(head),
            epochs: 0,
            train: train.dataset,
            val: val.map(|val| val.dataset),
            judge: &|_, _| Ok(shown.results.clone()),
        };
        // A solver takes no way that is worth drawing.
        let no_way = Trajectory::new(0, model.num_params());
        let analysis = classifier::analyse(&subject, model, model, &no_way)?;
        self.run_dir.write_json("analysis.json", &analysis)?;
        let num_features = self.backbone.network.num_features();
        let chosen: Vec<u32> =
            evenly_spread(train.dataset.len(), MAX_MAPPED).map(|sample| sample as u32).collect();
        let row = |sample: &u32| &train.features[*sample as usize * num_features..][..num_features];
        let values: Vec<f32> = chosen.iter().flat_map(row).copied().collect();
        let found = embeddings::analyse(
            "train",
            &train.dataset.subset(&chosen),
            &Embeddings::new(&values, num_features)?,
            Metric::Euclidean,
            Vec::new(),
            None,
            self.execution.stop(),
        )?;
        Ok(self.run_dir.write_json(EMBEDDINGS_FILE, &found)?)
    }
}

/// The data as the network wants its images.
fn load(plan: &Plan, backbone: &Backbone) -> Result<TrainingData, DataError> {
    let preprocessing = preprocessing_of(backbone);
    let data = TrainingData::of(&Source::open(&plan.source, &options_of(plan, backbone)?)?)?;
    Ok(TrainingData { preprocessing, ..data })
}

/// How data is opened, so that its images are as the network wants them.
pub(super) fn options_of(plan: &Plan, backbone: &Backbone) -> Result<OpenOptions, DataError> {
    let format = preprocessing_of(backbone).format;
    format.check()?;
    Ok(OpenOptions {
        size: Some([format.height, format.width]),
        channels: Some(format.channels),
        resize: format.resize,
        ..plan.options.clone()
    })
}

fn penalty(head: &LinearHead) -> Penalty {
    Penalty::new(0.0, head.l2).unwrap_or_default()
}

/// Each sample as the head judges it.
fn results(
    head: &LinearHead,
    features: &[f32],
    dataset: &Dataset,
    loss: &ScoreLoss,
    device: &Device,
) -> Vec<SampleResult> {
    let num_classes = head.bias.len();
    let num_features = head.weight.len() / num_classes;
    let weight = TensorData::new(head.weight.clone(), [num_features, num_classes]);
    let weight = Tensor::<2>::from_data(weight, device);
    let bias = Tensor::<1>::from_data(TensorData::new(head.bias.clone(), [num_classes]), device);
    let mut results = Vec::with_capacity(dataset.len());
    for (rows, targets) in features.chunks(CHUNK * num_features).zip(dataset.targets().chunks(CHUNK)) {
        let rows =
            Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [targets.len(), num_features]), device);
        let scores = mentor_kernels::linear(rows, weight.clone(), bias.clone());
        let losses = to_host(loss.per_sample(scores.clone(), targets_to_device(targets, device)));
        let scores = to_host(scores);
        let each = scores.chunks_exact(num_classes).zip(targets).zip(losses);
        results.extend(each.map(|((row, &target), loss)| judge(row, target, f64::from(loss))));
    }
    results
}
