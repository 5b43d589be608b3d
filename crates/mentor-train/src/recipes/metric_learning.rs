//! Metric learning: labels, or triplets, → embeddings in which distance means dissimilarity.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use mentor_data::{ClassBalance, DataError, HostBatch, Order, counted, read_triplets};
use mentor_loss::{
    AllTriplets, Average, Census, LossError, Mining, PairwiseLoss, PairwiseRanking, Ranked, Triplet,
    TripletLoss, TripletRanking,
};
use mentor_metrics::retrieval::{Embeddings, Retrieval, RetrievalOptions, evaluate};
use mentor_metrics::stratified_subsample;
use mentor_model::{Model, Pass};
use mentor_run::records::embedding_fidelity;
use mentor_run::records::health::EpochHealth;

use crate::analysis::embeddings;
use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::objective::batch_loss::{BatchLoss, Measure, Sum};
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::engine::objective::{AcrossSamples, Objective};
use crate::engine::training_data::TrainingData;
use crate::inference::device::to_host;
use crate::inference::evaluate::{embed_samples, in_order};
use crate::plan::Plan;
use crate::plan::loss::{RankingBatches, RankingForm, RankingPlan, TripletForm};

/// Validation samples that the validation loss is taken over, at most: it grows with their square.
const NUM_LOSS_SAMPLES: usize = 2048;

/// The mean of a loss on pairs or triplets, judged by MAP@R on the validation split.
pub(crate) struct Ranking<'a> {
    plan: &'a Plan,
    ranking: &'a RankingPlan,
    data: &'a TrainingData,
    loss: RankingLoss,
    order: Order,
    warnings: Vec<String>,
    /// Without gradients.
    device: Device,
}

enum RankingLoss {
    Pairs(PairwiseLoss),
    Triplets(TripletLoss),
}

impl<'a> Ranking<'a> {
    /// # Errors
    ///
    /// When the data cannot make the batches that the plan asks for, or the triplets cannot be read.
    pub(crate) fn new(
        plan: &'a Plan,
        ranking: &'a RankingPlan,
        data: &'a TrainingData,
        device: Device,
    ) -> Result<Self, TrainError> {
        let RankingPlan { distance, margin, average, .. } = *ranking;
        let loss = match ranking.form {
            RankingForm::Pairwise(form) => {
                let ranking = PairwiseRanking::new(form, margin, distance)?;
                RankingLoss::Pairs(PairwiseLoss::new(ranking, average))
            }
            RankingForm::Triplet { form, mining } => {
                let triplet = match form {
                    TripletForm::Hinge => TripletRanking::hinge(margin, distance)?,
                    TripletForm::SoftMargin => TripletRanking::soft_margin(distance),
                };
                RankingLoss::Triplets(TripletLoss::new(triplet, mining, average))
            }
        };
        let (order, mut warnings) = order(&ranking.batches, data)?;
        warnings.extend(undefined_validation(data));
        Ok(Self { plan, ranking, data, loss, order, warnings, device })
    }

    /// Loss of all pairs, averaged as in training, or the mean hinge over all valid triplets, whatever is
    /// mined, of some of these samples; `None` if they make no pair, or no triplet.
    pub(crate) fn data_loss(&self, values: &[f32], labels: &[u32]) -> Result<Option<f64>, TrainError> {
        let dim = self.ranking.embedding_size;
        let stride = labels.len().div_ceil(NUM_LOSS_SAMPLES).max(1);
        let rows = stratified_subsample(labels.len(), stride);
        let values: Vec<f32> = rows.iter().flat_map(|&row| &values[row * dim..][..dim]).copied().collect();
        let labels: Vec<u32> = rows.iter().map(|&row| labels[row]).collect();
        match &self.loss {
            RankingLoss::Pairs(pairs) => {
                if labels.len() < 2 {
                    return Ok(None);
                }
                Ok(Some(pairs.of_slices(&values, &labels)?.loss))
            }
            RankingLoss::Triplets(_) => {
                let found = self.all_triplets()?.counts(&values, &labels)?;
                Ok((found.census.num_valid > 0).then_some(found.loss))
            }
        }
    }

    /// Retrieval among validation samples, as the loss means near; its intervals, which nobody looks at in
    /// training, are those of one resample.
    pub(crate) fn retrieval(&self, values: &[f32], labels: &[u32]) -> Result<Retrieval, TrainError> {
        let embeddings = Embeddings::new(values, self.ranking.embedding_size)?;
        let metric = self.ranking.metric();
        let options = RetrievalOptions { metric, num_resamples: 1, ..RetrievalOptions::default() };
        Ok(evaluate(&embeddings, labels, None, &options)?)
    }

    /// The loss of the embeddings `[B, D]` of a batch, `[1]`.
    pub(crate) fn of_embeddings(
        &self,
        embeddings: Tensor<2>,
        batch: &HostBatch,
    ) -> Result<BatchLoss, TrainError> {
        let finite = embeddings.clone().inner().is_finite().all().into_scalar::<bool>();
        if !finite {
            // A loss that is no number tells the loop, which says where training stands.
            let losses = embeddings.sum().mul_scalar(f64::NAN);
            return Ok(BatchLoss { losses, scores: None, measures: Vec::new() });
        }
        let mut measures = Vec::from(norm_and_spread(embeddings.clone().inner()));
        let losses = match &self.loss {
            RankingLoss::Pairs(pairs) => {
                let values = to_host(embeddings.clone().inner());
                measures.extend(self::measures(&self.all_triplets()?.counts(&values, &batch.targets)?));
                let (loss, ranked) = pairs.of_batch(embeddings, &batch.targets)?;
                let share = ranked.num_active as f64 / ranked.num_pairs.max(1) as f64;
                measures.push(Measure { name: "share_active", sum: Sum::Host(share), weight: 1.0 });
                loss
            }
            RankingLoss::Triplets(triplets) => {
                let found = match triplets.mining() {
                    Mining::None => {
                        // Anchor, positive, negative, one triplet after the other.
                        let triplet =
                            |first| Triplet { anchor: first, positive: first + 1, negative: first + 2 };
                        let given: Vec<Triplet> = (0..batch.samples.len()).step_by(3).map(triplet).collect();
                        triplets.of_batch_triplets(embeddings, &given)?
                    }
                    _ => triplets.of_batch(embeddings, &batch.targets)?,
                };
                measures.extend(self::measures(&found.ranked));
                let Census { num_active, num_valid, .. } = found.ranked.census;
                let weight = num_valid as f64;
                measures.push(Measure { name: "share_active", sum: Sum::Host(num_active as f64), weight });
                found.loss
            }
        };
        Ok(BatchLoss { losses, scores: None, measures })
    }

    /// All triplets of some samples, whichever are trained on; at the margin of pairs, too, they say how far
    /// apart the classes are. The soft margin has none, and is counted at 0.
    fn all_triplets(&self) -> Result<AllTriplets, LossError> {
        let margin = self.plan.loss.ranking_margin().unwrap_or(0.0);
        AllTriplets::new(self.ranking.distance, margin, Average::Valid)
    }
}

/// What the user should know if the validation split has no query for retrieval.
fn undefined_validation(data: &TrainingData) -> Option<String> {
    let val = data.val.as_ref()?;
    val.class_counts().iter().all(|&count| count < 2).then(|| {
        "no validation image has another one of its class, so that P@1, R-precision and MAP@R are undefined \
         and the last weights are kept; give each class more validation images, or no class any"
            .to_owned()
    })
}

/// The order of the samples, in which batches are possible, and what the user should know of it.
fn order(batches: &RankingBatches, data: &TrainingData) -> Result<(Order, Vec<String>), DataError> {
    match batches {
        RankingBatches::ClassBalanced { classes_per_batch, samples_per_class } => {
            let counts = data.train.class_counts();
            let num_classes = counts.iter().filter(|&&count| count > 0).count();
            // A batch of all classes is the most that there can be, and of each no more images than the
            // largest has.
            let classes_per_batch = (*classes_per_batch).min(num_classes);
            let largest = counts.iter().copied().max().unwrap_or(0);
            let samples_per_class = (*samples_per_class).min(largest.max(2));
            let balance = ClassBalance::of(&data.train, classes_per_batch, samples_per_class)?;
            let warning = |classes: &[u32], [one, many]: [&str; 2], what: &str| {
                let first = data.classes().get(*classes.first()? as usize)?;
                let verb = if classes.len() == 1 { one } else { many };
                let of = counted(classes.len(), "class", "classes");
                Some(format!("{of}, such as {first:?}, {verb} {what}"))
            };
            let few = format!("fewer than {samples_per_class} training images");
            let short = [format!("has {few} and gives"), format!("have {few} and give")];
            let lone = "one training image: it can be a negative, never a positive";
            let warnings = [
                warning(&balance.lone_classes, ["has", "have"], lone),
                warning(&balance.short_classes, [&short[0], &short[1]], "all there are"),
            ];
            let order = Order::ClassBalanced { classes_per_batch, samples_per_class };
            Ok((order, warnings.into_iter().flatten().collect()))
        }
        RankingBatches::Triplets(path) => {
            Ok((Order::Triplets(Arc::from(read_triplets(path, &data.train)?)), Vec::new()))
        }
    }
}

impl Objective for Ranking<'_> {
    fn order(&self) -> Order {
        self.order.clone()
    }

    fn fingerprint(&self) -> Option<String> {
        let Order::Triplets(triplets) = &self.order else { return None };
        let mut hasher = blake3::Hasher::new();
        triplets.as_flattened().iter().for_each(|sample| {
            hasher.update(&sample.to_le_bytes());
        });
        Some(hasher.finalize().to_hex().to_string())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        self.of_embeddings(model.embeddings(images, pass), batch)
    }

    fn across_samples(&self) -> Option<&dyn AcrossSamples> {
        Some(self)
    }

    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        let values = val.embeddings(model)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Ok(Validation { data_loss: Some(f64::NAN), ..Validation::default() });
        }
        let labels = val.dataset().targets();
        let data_loss = self.data_loss(&values, labels)?;
        let found = self.retrieval(&values, labels)?;
        let measures = embedding_fidelity::measures(&found);
        Ok(Validation { score: found.map_at_r, data_loss, accuracy: None, measures })
    }
}

impl AcrossSamples for Ranking<'_> {
    fn loss_of_embeddings(&self, embeddings: Tensor<2>, batch: &HostBatch) -> Result<BatchLoss, TrainError> {
        self.of_embeddings(embeddings, batch)
    }
}

impl Analyse for Ranking<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let Ended { chosen, stop, .. } = *ended;
        let dataset = self.data.val.as_ref().unwrap_or(&self.data.train);
        let split = if self.data.val.is_some() { "val" } else { "train" };
        let batch_size = self.plan.training.optimizer.batch_size;
        let loader = in_order(dataset, &self.data.preprocessing, batch_size);
        let values = embed_samples(chosen, &loader, &self.device, stop)?;
        let embeddings = Embeddings::new(&values, self.ranking.embedding_size)?;
        let health = ended.epochs.iter().filter_map(EpochHealth::of).collect();
        let (metric, margin) = (self.ranking.metric(), self.plan.loss.ranking_margin());
        let analysis = embeddings::analyse(split, dataset, &embeddings, metric, health, margin, stop)?;
        Ok(Findings { embeddings: Some(analysis), ..Findings::default() })
    }
}

/// Mean norm of the embeddings `[B, D]` of a batch, and their spread: the root of their mean squared distance
/// to their mean.
fn norm_and_spread(embeddings: Tensor<2>) -> [Measure; 2] {
    let [num_samples, _] = embeddings.dims();
    let norms = embeddings.clone().square().sum_dim(1).sqrt().flatten(0, 1); // [B]
    let centred = embeddings.clone() - embeddings.mean_dim(0); // [B, D]
    let spread = centred.square().sum().div_scalar(num_samples as f64).sqrt(); // [1]
    [
        Measure { name: "embedding_norm", sum: Sum::Device(Box::new(norms)), weight: num_samples as f64 },
        Measure { name: "embedding_spread", sum: Sum::Device(Box::new(spread)), weight: 1.0 },
    ]
}

/// Counts and distances of the triplets of a batch, as shares and means.
fn measures(ranked: &Ranked) -> Vec<Measure> {
    let Census { num_valid, num_easy, num_semi_hard, num_hard, .. } = ranked.batch;
    let share = |name, count: u64| Measure { name, sum: Sum::Host(count as f64), weight: num_valid as f64 };
    let mean = |name, value: Option<f64>| {
        let weight = if value.is_some() { 1.0 } else { 0.0 };
        Measure { name, sum: Sum::Host(value.unwrap_or(0.0)), weight }
    };
    vec![
        share("share_easy", num_easy),
        share("share_semi_hard", num_semi_hard),
        share("share_hard", num_hard),
        mean("mean_positive_distance", ranked.mean_positive_distance),
        mean("mean_negative_distance", ranked.mean_negative_distance),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norm_and_spread_by_hand() {
        let embeddings = Tensor::<2>::from_floats([[3.0, 4.0], [3.0, -4.0]], &Device::flex());
        let values: Vec<f32> = norm_and_spread(embeddings)
            .into_iter()
            .flat_map(|measure| match measure.sum {
                Sum::Device(values) => to_host(*values),
                Sum::Host(_) => Vec::new(),
            })
            .collect();
        // Both norms are 5; both are 4 from the mean (3, 0).
        assert_eq!(values, [5.0, 5.0, 4.0]);
    }
}
