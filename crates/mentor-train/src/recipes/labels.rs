//! Training on labels alone: the objective of a classifier or of an embedding model.

use burn::tensor::Device;
use mentor_model::Head;

use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::training_data::TrainingData;
use crate::plan::Plan;
use crate::plan::loss::LossPlan;
use crate::recipes::metric_learning::Ranking;
use crate::recipes::supervised::Supervised;

/// What labels alone teach, and the head that learns it.
pub(super) fn of_labels<'a>(
    plan: &'a Plan,
    data: &'a TrainingData,
    device: &Device,
) -> Result<(Box<dyn Objective + 'a>, Head), TrainError> {
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
