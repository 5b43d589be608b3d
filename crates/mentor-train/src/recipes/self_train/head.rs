//! Self-training of a linear head on a pretrained network, which stays as it is.
//!
//! ```text
//! labels               ─▶ a head, as without other images        the baseline
//! head, labels, graph  ─▶ pseudo-labels                          classes flow between images that are near
//! labels and these     ─▶ the head again                         a pseudo-label weighs its probability
//! ```
//!
//! Features are computed once and kept. Images that do not resemble the labelled ones teach nothing: the head
//! of the labels is kept, and the run says so.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mentor_backbone::Backbone;
use mentor_data::{Dataset, Source, Split, counted};
use mentor_labels::{Rows, resemblance, spread_labels};
use mentor_run::Summary;
use mentor_run::records::self_training::RoundSummary;

use super::data::{Divided, Guard, divided, fingerprint, leak_warning, none_left};
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::outcome::Outcome;
use crate::engine::training_data::TrainingData;
use crate::inference::frozen::{open, preprocessing_of};
use crate::plan::{FrozenPlan, HeadPenalty, Plan, Pool};
use crate::recipes::frozen::{Begun, Head, Work, ended, options_of};

/// The least resemblance of images that teach. Other photographs of the same classes have about 0.5, drawings
/// of other things below 0.1 (docs/benchmarks.md).
const RESEMBLING: f64 = 1.0 / 3.0;

/// Trains what `plan` says into `out`.
pub(crate) fn train(
    plan: &Plan,
    frozen: &FrozenPlan,
    pool: &Pool,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    let since = Instant::now();
    let backbone = open(&frozen.file)?;
    let Images { data, pool, warning } = Images::load(plan, pool, &backbone)?;
    let work = match Work::begin_on(data, backbone, plan, frozen, out, execution, since)? {
        Begun::Complete(summary) => return Ok(Outcome::AlreadyComplete(*summary)),
        Begun::Work(work) => work,
    };
    if let Some(warning) = warning {
        execution.warn(warning);
    }
    ended(learn(&work, &pool, plan.training.seed, execution))
}

/// The images, as the network wants them.
struct Images {
    /// With labels.
    data: TrainingData,
    /// Without labels, and without copies of others.
    pool: Arc<Dataset>,
    /// What was left out of the pool.
    warning: Option<String>,
}

impl Images {
    fn load(plan: &Plan, pool: &Pool, backbone: &Backbone) -> Result<Self, TrainError> {
        let plan = &Plan { options: options_of(plan, backbone)?, ..plan.clone() };
        let source = Source::open(&plan.source, &plan.options)?;
        let all = TrainingData::of(&source)?;
        let Divided { labelled, offered, notes } = divided(&source, &all.train, pool, plan)?;
        let none = labelled.subset(&[]);
        let val = all.val.as_deref().unwrap_or(&none);
        let test = if source.has(Split::Test) { Some(source.load(Split::Test)?) } else { None };
        let guard = Guard { labelled: &labelled, val, test: test.as_ref(), audit_set: &none };
        let (kept, leaks) = guard.look(&offered, plan.options.keep_duplicates)?;
        if kept.is_empty() {
            return Err(none_left(plan, pool, &leaks));
        }
        let offered_blake3 = offered.images_blake3();
        let data = TrainingData {
            fingerprint: fingerprint(&all.fingerprint, &labelled, offered_blake3.as_bytes()),
            preprocessing: preprocessing_of(backbone),
            notes: all.notes.iter().chain(&notes).cloned().collect(),
            train: Arc::new(labelled),
            ..all
        };
        Ok(Self { data, pool: Arc::new(offered.subset(&kept)), warning: leak_warning(&leaks) })
    }
}

fn learn(
    work: &Work<'_>,
    pool: &Arc<Dataset>,
    seed: u64,
    execution: &Execution<'_>,
) -> Result<Summary, TrainError> {
    let (rows, features_secs) = work.features(Some(pool))?;
    let (labelled, unlabelled) = (&rows[0], &rows[rows.len() - 1]);
    let baseline = work.head(labelled)?;
    let width = work.backbone.network.num_features();
    let resemblance = resemblance(&Rows::new(labelled, width), &Rows::new(unlabelled, width));
    let described = format!("resemblance {resemblance:.2} to the labelled ones");
    let mut round = RoundSummary {
        round: 1,
        val_accuracy: None,
        test_accuracy: None,
        num_pseudo_labels: 0,
        mean_confidence: 0.0,
        audit_precision: None,
        p_value: None,
        accepted: resemblance >= RESEMBLING,
        reason: format!("the unlabelled images have {described}"),
    };
    let head = if round.accepted {
        let labels = pseudo_labels(work, &baseline, labelled, unlabelled, seed);
        round.num_pseudo_labels = labels.len() as u64;
        round.mean_confidence =
            labels.iter().map(|(_, confidence)| f64::from(*confidence)).sum::<f64>() / labels.len() as f64;
        student(work, &baseline, labelled, unlabelled, &labels)?
    } else {
        execution.warn(format!(
            "{} without labels do not resemble the labelled images ({described}, of images of one kind about \
             0.5): they teach nothing, and the head of the labels alone is kept",
            counted(pool.len(), "image", "images")
        ));
        baseline
    };
    work.finish(&rows, features_secs, &head, |summary| {
        round.val_accuracy = summary.val_accuracy.filter(|_| round.accepted);
        summary.rounds = vec![round];
        summary.measures.insert("resemblance".to_owned(), resemblance);
    })
}

/// The class of each unlabelled image and its probability: what the baseline believes, and what the labels of
/// near images say.
fn pseudo_labels(
    work: &Work<'_>,
    baseline: &Head,
    labelled: &[f32],
    unlabelled: &[f32],
    seed: u64,
) -> Vec<(u32, f32)> {
    let (width, num_classes) = (work.backbone.network.num_features(), baseline.bias.len());
    let beliefs: Vec<f32> =
        unlabelled.chunks_exact(width).flat_map(|row| probabilities(baseline, row)).collect();
    let all = [labelled, unlabelled].concat();
    let found =
        spread_labels(&Rows::new(&all, width), work.data.train.targets(), &beliefs, num_classes, seed);
    let largest = |row: &[f32]| {
        let better = |a: (u32, f32), b: (u32, f32)| if b.1 > a.1 { b } else { a };
        (0..).zip(row.iter().copied()).reduce(better).expect("a class")
    };
    found.chunks_exact(num_classes).map(largest).collect()
}

/// Softmax of the scores of `head` on the features of an image.
fn probabilities(head: &Head, features: &[f32]) -> Vec<f32> {
    let mut scores: Vec<f64> = head.bias.iter().map(|&bias| f64::from(bias)).collect();
    for (weights, &feature) in head.weight.chunks_exact(scores.len()).zip(features) {
        let terms = scores.iter_mut().zip(weights);
        terms.for_each(|(score, &weight)| *score += f64::from(weight) * f64::from(feature));
    }
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - highest).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter().map(|score| (score / sum) as f32).collect()
}

/// The head on labels and pseudo-labels, with the λ of the baseline. The weights have mean 1, so that it
/// means the same.
fn student(
    work: &Work<'_>,
    baseline: &Head,
    labelled: &[f32],
    unlabelled: &[f32],
    labels: &[(u32, f32)],
) -> Result<Head, TrainError> {
    let given = work.data.train.targets();
    let targets: Vec<u32> = given.iter().copied().chain(labels.iter().map(|&(class, _)| class)).collect();
    let mut weights: Vec<f32> = vec![1.0; given.len()];
    weights.extend(labels.iter().map(|&(_, confidence)| confidence));
    let mean = weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() / weights.len() as f64;
    weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / mean) as f32);
    let features = [labelled, unlabelled].concat();
    let head = work.fit(&features, &targets, Some(&weights), HeadPenalty::Given(baseline.l2))?;
    // Cross-validation was of the labels.
    Ok(Head { choice: baseline.choice, ..head })
}
