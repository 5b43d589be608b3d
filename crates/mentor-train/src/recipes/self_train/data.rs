//! The images of self-training: labelled ones, the audit set among them, and unlabelled ones without those
//! that would leak.

use std::collections::HashMap;
use std::sync::Arc;

use mentor_data::{
    CycledPart, DataError, Dataset, Fingerprint, Note, OpenOptions, Order, Preprocessing, Protected,
    Similarity, Source, Split, counted, shown,
};
use mentor_random::{Purpose, Stream};
use mentor_run::records::self_training::Leaks;
use rayon::prelude::*;

use crate::engine::error::TrainError;
use crate::engine::training_data;
use crate::engine::training_data::TrainingData;
use crate::plan::Plan;
use crate::plan::self_train::{Pool, SelfTrainPlan};

/// Audit images of a class, unless it has too few labels.
const MIN_AUDIT: usize = 5;
/// Leaks that are named.
const NUM_EXAMPLES: usize = 5;

/// All images but those of the test split, which only the leak guard has seen.
pub(super) struct Images {
    /// Every labelled training image: what the baseline learns from.
    pub(super) labelled: TrainingData,
    /// Without the audit set.
    pub(super) taught: TrainingData,
    pub(super) val: Arc<Dataset>,
    /// Empty where each class has fewer than five labels, or none is wanted.
    pub(super) audit_set: Dataset,
    /// Without labels.
    pub(super) pool: Dataset,
    /// Place of each image of the pool among those that were offered.
    pub(super) offered: Vec<u32>,
    /// Of the offered images: what files of pseudo-labels name.
    pub(super) offered_blake3: String,
    pub(super) leaks: Leaks,
    pub(super) warnings: Vec<String>,
    /// List of the images that were left out.
    pub(super) quarantined: String,
}

impl Images {
    /// # Errors
    ///
    /// When there is no validation split, a class has too few labels, or no unlabelled image is left.
    pub(super) fn load(plan: &Plan, self_train: &SelfTrainPlan) -> Result<Self, TrainError> {
        let source = Source::open(&plan.source, &plan.options)?;
        let all = TrainingData::of(&source)?;
        // Students are compared on it; loading it says what is wrong if there is none.
        let val = match &all.val {
            Some(val) => val.clone(),
            None => Arc::new(source.load(Split::Val)?),
        };
        let mut warnings: Vec<String> = all.notes.iter().map(ToString::to_string).collect();
        let mut quarantined = training_data::quarantined(&all.notes);
        let Divided { labelled, offered, notes } = divided(&source, &all.train, &self_train.pool, plan)?;
        warnings.extend(notes.iter().map(ToString::to_string));
        quarantined.push_str(&training_data::quarantined(&notes));
        let (taught, audit_set) = split_audit_set(&labelled, self_train.audit_fraction, plan.training.seed);
        if self_train.audit_fraction > 0.0 {
            warnings.extend(audit_warning(&audit_set, labelled.classes().len()));
        }
        let test = if source.has(Split::Test) { Some(source.load(Split::Test)?) } else { None };
        let offered_blake3 = offered.images_blake3();
        let guard = Guard { labelled: &labelled, val: &val, test: test.as_ref(), audit_set: &audit_set };
        let (kept, leaks) = guard.look(&offered, plan.options.keep_duplicates)?;
        warnings.extend(leak_warning(&leaks));
        let pool = offered.subset(&kept);
        if pool.is_empty() {
            return Err(none_left(plan, &self_train.pool, &leaks));
        }
        let preprocessing = Preprocessing::fit(&labelled);
        // The unlabelled images decide how many updates every stage makes.
        let of = |train: Dataset| TrainingData {
            fingerprint: fingerprint(&all.fingerprint, &train, offered_blake3.as_bytes()),
            train: Arc::new(train),
            preprocessing: preprocessing.clone(),
            notes: Vec::new(),
            ..all.clone()
        };
        Ok(Self {
            quarantined,
            labelled: of(labelled),
            taught: of(taught),
            val,
            audit_set,
            pool,
            offered: kept,
            offered_blake3,
            leaks,
            warnings,
        })
    }

    /// The taught images and then `rows` of the pool with these labels, as one training set; `more` tells it
    /// from others with the same.
    pub(super) fn with_rows(&self, rows: &[u32], labels: &[u32], more: &[u8]) -> TrainingData {
        let Self { taught, pool, .. } = self;
        let targets = taught.train.targets().iter().chain(labels).copied().collect();
        let parts = vec![(*taught.train).clone(), pool.subset(rows)];
        let train = Dataset::join(parts, taught.classes(), targets);
        TrainingData {
            fingerprint: fingerprint(&taught.fingerprint, &train, more),
            train: Arc::new(train),
            ..taught.clone()
        }
    }

    /// Some of the taught images, and others of them in the place of the validation split.
    pub(super) fn fold(&self, trained: &[u32], held_out: &[u32]) -> TrainingData {
        let train = self.taught.train.subset(trained);
        TrainingData {
            fingerprint: fingerprint(&self.taught.fingerprint, &train, b"fold"),
            train: Arc::new(train),
            val: Some(Arc::new(self.taught.train.subset(held_out))),
            ..self.taught.clone()
        }
    }

    /// What is labelled in a round: the pool, and after it the audit set, which goes the same way.
    pub(super) fn to_label(&self) -> Dataset {
        let parts = vec![self.pool.clone(), self.audit_set.clone().without_labels()];
        let targets = vec![0; self.pool.len() + self.audit_set.len()];
        Dataset::join(parts, self.taught.classes(), targets).without_labels()
    }
}

/// How many images of which kind are in a batch, and how many batches an epoch has: one pass over the larger
/// kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batches {
    labelled: usize,
    unlabelled: usize,
    pub(super) per_epoch: usize,
}

impl Batches {
    pub(super) fn new(plan: &Plan, self_train: &SelfTrainPlan, images: &Images) -> Self {
        let labelled = plan.training.optimizer.batch_size;
        let unlabelled = ((labelled as f64 * self_train.ratio).round() as usize).max(1);
        let per_epoch =
            images.labelled.train.len().div_ceil(labelled).max(images.pool.len().div_ceil(unlabelled));
        Self { labelled, unlabelled, per_epoch }
    }

    /// Labelled images alone.
    pub(super) fn labelled(&self, num_labelled: usize, num_batches: usize) -> Order {
        Order::Cycled { parts: vec![part(0, num_labelled, self.labelled)], num_batches }
    }

    /// Labelled images, then pseudo-labelled ones.
    pub(super) fn both(&self, num_labelled: usize, num_samples: usize) -> Order {
        let parts =
            vec![part(0, num_labelled, self.labelled), part(num_labelled, num_samples, self.unlabelled)];
        Order::Cycled { parts, num_batches: self.per_epoch }
    }
}

fn part(start: usize, end: usize, batch_size: usize) -> CycledPart {
    CycledPart { samples: start as u32..end as u32, batch_size: batch_size.min(end - start) }
}

/// The labelled images, and those that are offered without labels.
pub(super) struct Divided {
    pub(super) labelled: Dataset,
    pub(super) offered: Dataset,
    /// Of the offered ones.
    pub(super) notes: Vec<Note>,
}

/// Takes labels away from the images `train` of `source`, or opens other images, as `pool` says.
pub(super) fn divided(
    source: &Source,
    train: &Dataset,
    pool: &Pool,
    plan: &Plan,
) -> Result<Divided, TrainError> {
    match pool {
        Pool::AllBut { labels_per_class } => {
            let (labelled, offered) = take_labels(source, train, *labels_per_class, plan.training.seed)?;
            Ok(Divided { labelled, offered, notes: Vec::new() })
        }
        Pool::Data(data) => {
            // All of it is training, except for splits that the folder itself has.
            let options = OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..plan.options.clone() };
            let pool = Source::open_unlabelled(data, &options)?;
            let offered = pool.load_as(Split::Train, source.format())?;
            let notes = pool.notes().iter().chain(offered.notes()).cloned().collect();
            Ok(Divided { labelled: train.clone(), offered, notes })
        }
    }
}

pub(super) fn none_left(plan: &Plan, pool: &Pool, leaks: &Leaks) -> TrainError {
    let what = match pool {
        Pool::Data(data) => data.clone(),
        Pool::AllBut { .. } => plan.source.clone(),
    };
    let reason = format!(
        "holds no image that is not among the labelled, validation or test images ({} looked at)",
        leaks.num_offered
    );
    TrainError::SelfTrain { what, reason, help: "give other images without labels" }
}

/// A hash of a training set and of what else it is taught with.
pub(super) fn fingerprint(base: &str, train: &Dataset, more: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(base.as_bytes()).update(train.images_blake3().as_bytes());
    train.targets().iter().for_each(|target| {
        hasher.update(&target.to_le_bytes());
    });
    hasher.update(more).finalize().to_hex().to_string()
}

/// `count` images of each class with their labels, and all others without.
fn take_labels(
    source: &Source,
    train: &Dataset,
    count: usize,
    seed: u64,
) -> Result<(Dataset, Dataset), TrainError> {
    let (mut labelled, mut others) = (Vec::new(), Vec::new());
    for (class, members) in members(train).into_iter().enumerate() {
        if members.len() < count {
            let reason = format!(
                "class \"{}\" has {}, fewer than the {count} labels that it is to keep",
                shown(&train.classes()[class]),
                counted(members.len(), "training image", "training images")
            );
            return Err(too_many_labels(source, reason));
        }
        let (taken, left) = draw(&members, count, seed, class, 0);
        labelled.extend(taken);
        others.extend(left);
    }
    labelled.sort_unstable();
    others.sort_unstable();
    if others.is_empty() {
        let labels = counted(count, "label", "labels");
        let reason = format!("no image is left without a label at {labels} a class");
        return Err(too_many_labels(source, reason));
    }
    Ok((train.subset(&labelled), train.subset(&others).without_labels()))
}

fn too_many_labels(source: &Source, reason: String) -> TrainError {
    let help = "lower `self_train.labels_per_class`";
    TrainError::SelfTrain { what: source.name().to_owned(), reason, help }
}

/// What is trained on, and the audit set.
fn split_audit_set(labelled: &Dataset, fraction: f64, seed: u64) -> (Dataset, Dataset) {
    let (mut taught, mut audit_set) = (Vec::new(), Vec::new());
    for (class, members) in members(labelled).into_iter().enumerate() {
        let (taken, left) = draw(&members, audit_size(members.len(), fraction), seed, class, 1);
        audit_set.extend(taken);
        taught.extend(left);
    }
    taught.sort_unstable();
    audit_set.sort_unstable();
    (labelled.subset(&taught), labelled.subset(&audit_set))
}

/// The share of a class, at least five, but never more than a fifth of few labels: they teach more than they
/// audit. At least one label teaches.
fn audit_size(num_labels: usize, fraction: f64) -> usize {
    if fraction == 0.0 {
        return 0;
    }
    let share = (num_labels as f64 * fraction).round() as usize;
    share.max(MIN_AUDIT).min((num_labels / 5).max(share)).min(num_labels.saturating_sub(1))
}

/// The samples of each class.
pub(super) fn members(dataset: &Dataset) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); dataset.classes().len()];
    for (sample, &target) in (0..).zip(dataset.targets()) {
        members[target as usize].push(sample);
    }
    members
}

/// `count` of `members` at random, and the others.
fn draw(members: &[u32], count: usize, seed: u64, class: usize, purpose: u64) -> (Vec<u32>, Vec<u32>) {
    let mut stream = Stream::new(seed, Purpose::Labelled, &[class as u64, purpose]);
    let order = stream.permutation(members.len() as u32);
    let mut drawn = order.into_iter().map(|place| members[place as usize]);
    (drawn.by_ref().take(count).collect(), drawn.collect())
}

fn audit_warning(audit_set: &Dataset, num_classes: usize) -> Option<String> {
    let fewest = audit_set.class_counts().into_iter().min().unwrap_or(0);
    match fewest {
        0 if audit_set.is_empty() => Some(
            "there is no audit set, so that nothing audits the pseudo-labels: a class needs five labels or \
             more"
                .into(),
        ),
        0..MIN_AUDIT => Some(format!(
            "the audit set has only {} of {num_classes} classes, so that its intervals are wide: more labels \
             audit better",
            counted(audit_set.len(), "image", "images")
        )),
        _ => None,
    }
}

pub(super) fn leak_warning(leaks: &Leaks) -> Option<String> {
    let Leaks { num_offered, num_exact, num_near, kept, examples } = leaks;
    let [first, second] = examples.first()?;
    let near = match (*num_near, *kept) {
        (1, true) => "is kept as asked",
        (_, true) => "are kept as asked",
        (1, false) => "is left out",
        (_, false) => "are left out",
    };
    Some(format!(
        "of {}: {} of labelled, validation or test images and left out; {} the same picture as a validation, \
         test or audit image and {near} (such as {first} = {second})",
        counted(*num_offered, "unlabelled image", "unlabelled images"),
        counted(*num_exact, "is a copy", "are copies"),
        counted(*num_near, "shows", "show"),
    ))
}

/// What the pool must not hold.
pub(super) struct Guard<'a> {
    pub(super) labelled: &'a Dataset,
    pub(super) val: &'a Dataset,
    pub(super) test: Option<&'a Dataset>,
    pub(super) audit_set: &'a Dataset,
}

impl Guard<'_> {
    /// The places of the images of `offered` that stay, and what was found.
    pub(super) fn look(&self, offered: &Dataset, keep_near: bool) -> Result<(Vec<u32>, Leaks), DataError> {
        let Self { labelled, val, test, audit_set } = *self;
        let mut known: HashMap<[u8; 32], &str> = HashMap::new();
        for dataset in [Some(labelled), Some(val), test].into_iter().flatten() {
            known.extend((0..dataset.len()).map(|index| (*dataset.image_blake3(index), dataset.id(index))));
        }
        let (mut protected, mut names) = (Vec::new(), Vec::new());
        for dataset in [Some(val), test, Some(audit_set)].into_iter().flatten() {
            protected.extend(pictures(dataset)?);
            names.extend((0..dataset.len()).map(|index| dataset.id(index)));
        }
        let protected = Protected::new(protected, Similarity::default());
        let twin = |index: usize| Ok(protected.find(&picture(offered, index)?).map(|found| found.protected));
        let near: Vec<Option<usize>> =
            (0..offered.len()).into_par_iter().map(twin).collect::<Result<_, DataError>>()?;
        let mut leaks = Leaks { num_offered: offered.len(), kept: keep_near, ..Leaks::default() };
        let mut kept = Vec::with_capacity(offered.len());
        for (index, near) in near.into_iter().enumerate() {
            let twin = match (known.get(offered.image_blake3(index)), near) {
                (Some(twin), _) => {
                    leaks.num_exact += 1;
                    twin
                }
                (None, Some(twin)) => {
                    leaks.num_near += 1;
                    if keep_near {
                        kept.push(index as u32);
                    }
                    names[twin]
                }
                (None, None) => {
                    kept.push(index as u32);
                    continue;
                }
            };
            if leaks.examples.len() < NUM_EXAMPLES {
                leaks.examples.push([offered.id(index).to_owned(), (*twin).to_owned()]);
            }
        }
        Ok((kept, leaks))
    }
}

fn pictures(dataset: &Dataset) -> Result<Vec<Fingerprint>, DataError> {
    (0..dataset.len()).into_par_iter().map(|index| picture(dataset, index)).collect()
}

fn picture(dataset: &Dataset, index: usize) -> Result<Fingerprint, DataError> {
    let mut bytes = vec![0; dataset.format().num_values()];
    dataset.read(index, &mut bytes)?;
    Ok(Fingerprint::new(dataset.format(), &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_labels_give_few_canaries() {
        let sizes = [1, 4, 5, 9, 10, 25, 100, 1000].map(|labels| audit_size(labels, 0.05));
        assert_eq!(sizes, [0, 0, 1, 1, 2, 5, 5, 50]);
        assert_eq!((audit_size(1000, 0.0), audit_size(10, 0.5), audit_size(1, 0.5)), (0, 5, 0));
    }
}
