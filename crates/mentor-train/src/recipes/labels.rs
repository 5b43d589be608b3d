//! Training on labels alone: the objective of a classifier or of an embedding model.

use std::path::Path;

use burn::tensor::Device;
use mentor_model::Head;
use mentor_run::RunDir;

use crate::engine::analysed::Analysed;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::outcome::Outcome;
use crate::engine::trainee::Trainee;
use crate::engine::training_data::TrainingData;
use crate::plan::Plan;
use crate::plan::loss::LossPlan;
use crate::recipes::metric_learning::Ranking;
use crate::recipes::supervised::Supervised;
use crate::recipes::told::tell_of_data;

/// Trains what `plan` says on labels into `out`, or continues there.
pub(super) fn train(plan: &Plan, out: &Path, execution: &Execution<'_>) -> Result<Outcome, TrainError> {
    let data = TrainingData::load(plan)?;
    let (objective, head) = of_labels(plan, &data, execution.device())?;
    let trainee = Trainee { plan, data: &data, objective: &*objective, head };
    // A network that cannot be built begins no run.
    trainee.model(execution.device())?;
    let run_dir = RunDir::create(out, &plan.to_config())?;
    tell_of_data(plan, &data, &run_dir, execution)?;
    trainee.train(&run_dir, execution)
}

/// What labels alone teach, and the head that learns it.
pub(super) fn of_labels<'a>(
    plan: &'a Plan,
    data: &'a TrainingData,
    device: &Device,
) -> Result<(Box<dyn Analysed + 'a>, Head), TrainError> {
    Ok(match &plan.loss {
        LossPlan::Scores(loss) => {
            let loss = loss.build(data.classes().len())?;
            (Box::new(Supervised::new(plan, data, loss, device.clone())), data.classifier())
        }
        LossPlan::Ranking(ranking) => {
            (Box::new(Ranking::new(plan, ranking, data, device.clone())?), ranking.head())
        }
    })
}
