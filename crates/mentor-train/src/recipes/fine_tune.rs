//! A pretrained network with its head first, and then all of its layers (LP-FT).
//!
//! The head is that of the frozen network, found by a solver. Training all layers from a random head would
//! pull the features towards what such a head asks for before it is any good (Kumar et al. 2022, arXiv
//! 2202.10054, section 3). From the solved head on it is the one training loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use mentor_backbone::{Backbone, ConvNet};
use mentor_data::HostBatch;
use mentor_linear::LinearError;
use mentor_model::{Model, Pass};
use mentor_run::files::read_named;

use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::job::{Files, Job};
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::BatchLoss;
use crate::engine::outcome::Outcome;
use crate::engine::training_loop::run;
use crate::inference::frozen::{OpenError, record_of};
use crate::inference::trained_model::MAX_WEIGHTS;
use crate::inference::tuned::{frozen_prefixes, tuned_model};
use crate::plan::{FrozenPlan, Plan, PlanError};
use crate::recipes::frozen::{Begun, Head, Work};
use crate::recipes::supervised::Supervised;

/// Validation images from which on the weights of the best epoch are kept. With fewer chance chooses, and
/// the last epoch is as good.
const MANY: usize = 200;

/// Trains what `plan` says into `out`, or continues there.
pub(super) fn train(
    plan: &Plan,
    frozen: &FrozenPlan,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    let check = |backbone: &Backbone, num_classes| check(plan, frozen, backbone, num_classes);
    let work = match Work::begin(plan, frozen, out, execution, check)? {
        Begun::Complete(summary) => return Ok(Outcome::AlreadyComplete(*summary)),
        Begun::Work(work) => work,
    };
    match tune(&work, plan, execution) {
        Err(TrainError::Interrupted | TrainError::Linear(LinearError::Interrupted)) => {
            Ok(Outcome::Interrupted { step: None })
        }
        outcome => outcome,
    }
}

/// That the network has layers that can be trained, and those that the plan names.
fn check(
    plan: &Plan,
    frozen: &FrozenPlan,
    backbone: &Backbone,
    num_classes: usize,
) -> Result<(), TrainError> {
    let open_error = |error| OpenError { path: frozen.file.clone(), error: Box::new(error) };
    let net = ConvNet::zeros(backbone.architecture).map_err(open_error)?;
    let head = (vec![0.0; net.num_features * num_classes], vec![0.0; num_classes]);
    let side = backbone.preprocessing.size;
    let model = tuned_model(backbone.architecture, &net, side, head, &Device::flex().autodiff())?;
    freeze(model, plan, &net)?;
    Ok(())
}

/// The model with the stages that the plan names held fixed.
fn freeze(model: Model, plan: &Plan, net: &ConvNet) -> Result<Model, TrainError> {
    let prefixes = frozen_prefixes(&plan.freeze, net.stages.len())
        .map_err(|problem| PlanError { problems: vec![problem] })?;
    Ok(model.freeze(&prefixes)?)
}

fn tune(work: &Work<'_>, plan: &Plan, execution: &Execution<'_>) -> Result<Outcome, TrainError> {
    let (features, features_secs) = work.features(None)?;
    let Head { weight, bias, l2, choice, .. } = work.head(&features[0])?;
    let Work { backbone, data, loss, run_dir, frozen, .. } = work;
    let device = execution.device().clone().autodiff();
    let net = network(frozen, backbone)?;
    let side = backbone.preprocessing.size;
    let model = tuned_model(backbone.architecture, &net, side, (weight, bias), &device)?;
    let model = freeze(model, plan, &net)?;
    let accuracy = choice.map(|choice| ("cross_validation_accuracy", choice.accuracy));
    let measures = accuracy.into_iter().chain([("head_l2", l2)]);
    let objective = FineTuning {
        supervised: Supervised::new(plan, data, loss.clone(), execution.device().clone()),
        backbone,
        features_secs,
        measures: measures.map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    if objective.keeps_last() && data.val.is_some() {
        execution.say(format!(
            "the weights of the last epoch are kept: fewer than {MANY} validation images choose by chance"
        ));
    }
    let job = Job {
        training: &plan.training,
        data,
        objective: &objective,
        analysis: Some(&objective),
        files: Some(Files { dir: run_dir, config: plan.to_config() }),
        backbone: Some(record_of(backbone)),
        loss: &plan.loss,
        device,
        execution,
    };
    Ok(run(&job, model)?.map(|trained| trained.summary))
}

/// The layers of the network in the file, which must be what it was.
fn network(frozen: &FrozenPlan, backbone: &Arc<Backbone>) -> Result<ConvNet, TrainError> {
    let bytes = read_named(&frozen.file, MAX_WEIGHTS)?;
    if blake3::hash(&bytes) != backbone.weights_blake3 {
        return Err(TrainError::LessonsChanged);
    }
    let error = |error| OpenError { path: frozen.file.clone(), error: Box::new(error) };
    Ok(ConvNet::from_bytes(&bytes, backbone.architecture).map_err(error)?)
}

/// The loss of the labels, of a network whose head was there before.
struct FineTuning<'a> {
    supervised: Supervised<'a>,
    backbone: &'a Backbone,
    features_secs: f64,
    measures: BTreeMap<String, f64>,
}

impl Objective for FineTuning<'_> {
    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        self.supervised.batch_loss(model, images, batch, pass)
    }

    fn fingerprint(&self) -> Option<String> {
        Some(self.backbone.weights_blake3.to_hex().to_string())
    }

    fn loss_of_zero_scores(&self) -> Option<f64> {
        self.supervised.loss_of_zero_scores()
    }

    fn keeps_last(&self) -> bool {
        self.supervised.data.val.as_ref().is_none_or(|val| val.len() < MANY)
    }
}

impl Analyse for FineTuning<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let found = self.supervised.analyse(ended)?;
        let (features_secs, measures) = (Some(self.features_secs), self.measures.clone());
        Ok(Findings { features_secs, measures, ..found })
    }
}
