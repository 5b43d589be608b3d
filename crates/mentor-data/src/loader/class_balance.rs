//! Batches of P classes with K samples each (Hermans, Beyer and Leibe, 2017): what ranking losses need, whose
//! terms compare samples of one class with samples of others.
//!
//! An epoch is planned as a whole, as a pure function of seed and epoch:
//!
//! 1. Each class is shuffled and cut into groups of K. The last group is filled up from the start of the same
//!    order; a class with fewer than K samples makes one group of all it has, never one sample twice.
//! 2. There are B = max(⌈groups / P⌉, most groups of a class) batches, so that every sample comes at least
//!    once. Where that leaves places over, classes go through a second order, those with at least two samples
//!    first.
//! 3. Each batch takes P different classes, drawn in proportion to the groups that they have left; a class
//!    that must be in every batch that is left is taken first, so that all groups find a place.

use mentor_random::{Purpose, Stream};

use crate::dataset::Dataset;
use crate::error::DataError;

/// The classes of a data set as batches of `classes_per_batch` × `samples_per_class` see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassBalance {
    /// Classes with one sample: usable as negatives only, since they have no positive pair.
    pub lone_classes: Vec<u32>,
    /// Classes with at least two but fewer samples than asked for: they give all they have.
    pub short_classes: Vec<u32>,
}

impl ClassBalance {
    /// Checks that such batches can be made, and names the classes that cannot fill their part of them.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] if either number is below 2; [`DataError::ClassBalance`] if the data set
    /// has fewer classes with samples than `classes_per_batch`, or no class with `samples_per_class` samples.
    pub fn of(
        dataset: &Dataset,
        classes_per_batch: usize,
        samples_per_class: usize,
    ) -> Result<Self, DataError> {
        Self::of_counts(dataset.classes(), &dataset.class_counts(), classes_per_batch, samples_per_class)
    }

    /// As [`ClassBalance::of`], from the number of samples of each class.
    pub(crate) fn of_counts(
        classes: &[String],
        counts: &[usize],
        classes_per_batch: usize,
        samples_per_class: usize,
    ) -> Result<Self, DataError> {
        for (name, value) in
            [("classes_per_batch", classes_per_batch), ("samples_per_class", samples_per_class)]
        {
            if value < 2 {
                let value = value.to_string();
                return Err(DataError::InvalidOption { name, value, allowed: "at least 2" });
            }
        }
        let num_classes = counts.iter().filter(|&&count| count > 0).count();
        if num_classes < classes_per_batch {
            return Err(DataError::ClassBalance {
                name: "classes_per_batch",
                value: classes_per_batch,
                reason: format!("only {num_classes} classes have samples for training"),
                most: num_classes,
            });
        }
        let largest = (0..counts.len()).rev().max_by_key(|&class| counts[class]).unwrap_or_default();
        if counts[largest] < samples_per_class {
            return Err(DataError::ClassBalance {
                name: "samples_per_class",
                value: samples_per_class,
                reason: format!(
                    "no class has so many samples, the largest, {:?}, has {}",
                    classes[largest], counts[largest]
                ),
                most: counts[largest],
            });
        }
        let with = |wanted: std::ops::Range<usize>| {
            let classes = counts.iter().enumerate().filter(|(_, count)| wanted.contains(count));
            classes.map(|(class, _)| class as u32).collect()
        };
        Ok(Self { lone_classes: with(1..2), short_classes: with(2..samples_per_class) })
    }
}

/// Number of samples of each class.
pub(crate) fn counts(targets: &[u32], num_classes: usize) -> Vec<usize> {
    let mut counts = vec![0; num_classes];
    targets.iter().for_each(|&target| counts[target as usize] += 1);
    counts
}

/// Number of batches of an epoch, from the number of samples of each class.
pub(crate) fn num_batches(counts: &[usize], classes_per_batch: usize, samples_per_class: usize) -> usize {
    let groups = counts.iter().map(|count| count.div_ceil(samples_per_class));
    let (sum, most) = groups.fold((0, 0), |(sum, most), groups| (sum + groups, most.max(groups)));
    sum.div_ceil(classes_per_batch).max(most)
}

/// The samples of an epoch, batch after batch, and where each batch ends.
pub(crate) fn plan(
    targets: &[u32],
    counts: &[usize],
    classes_per_batch: usize,
    samples_per_class: usize,
    seed: u64,
    epoch: u64,
) -> (Vec<u32>, Vec<usize>) {
    let num_batches = num_batches(counts, classes_per_batch, samples_per_class);
    let mut draws = Stream::new(seed, Purpose::Order, &[epoch, 0]);
    let slots = slots(counts, num_batches, classes_per_batch, samples_per_class, &mut draws);

    let mut members: Vec<Vec<u32>> = counts.iter().map(|&count| Vec::with_capacity(count)).collect();
    for (sample, &target) in targets.iter().enumerate() {
        members[target as usize].push(sample as u32);
    }
    let mut orders: Vec<Members> = members
        .into_iter()
        .enumerate()
        .map(|(class, members)| Members::new(members, samples_per_class, seed, epoch, class as u64))
        .collect();

    let mut left = slots;
    let mut samples = Vec::new();
    let mut ends = Vec::with_capacity(num_batches);
    for batch in 0..num_batches {
        for class in choose(&left, num_batches - batch, classes_per_batch, &mut draws) {
            left[class] -= 1;
            orders[class].next_group(&mut samples);
        }
        ends.push(samples.len());
    }
    (samples, ends)
}

/// How many batches each class is part of: at least its groups, at most all, `num_batches ·
/// classes_per_batch` in sum.
fn slots(
    counts: &[usize],
    num_batches: usize,
    classes_per_batch: usize,
    samples_per_class: usize,
    draws: &mut Stream,
) -> Vec<usize> {
    let mut slots: Vec<usize> = counts.iter().map(|count| count.div_ceil(samples_per_class)).collect();
    let mut over = num_batches * classes_per_batch - slots.iter().sum::<usize>();
    let order = draws.permutation(counts.len() as u32);
    for smallest in [2, 1] {
        loop {
            let before = over;
            for class in order.iter().map(|&class| class as usize) {
                if over > 0 && counts[class] >= smallest && slots[class] < num_batches {
                    slots[class] += 1;
                    over -= 1;
                }
            }
            if over == before {
                break;
            }
        }
    }
    slots
}

/// Different classes for one batch: those that must be in all `batches_left`, then others by what they have
/// left.
fn choose(left: &[usize], batches_left: usize, classes_per_batch: usize, draws: &mut Stream) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..left.len()).filter(|&class| left[class] == batches_left).collect();
    let mut weights = left.to_vec();
    chosen.iter().for_each(|&class| weights[class] = 0);
    let mut total: usize = weights.iter().sum();
    while chosen.len() < classes_per_batch && total > 0 {
        let mut place = draws.below(total as u64) as usize;
        let mut class = 0;
        while place >= weights[class] {
            place -= weights[class];
            class += 1;
        }
        total -= weights[class];
        weights[class] = 0;
        chosen.push(class);
    }
    chosen
}

/// The samples of one class in their order, handed out in groups.
struct Members {
    members: Vec<u32>,
    samples_per_class: usize,
    next: usize,
    /// Times that the whole class has been handed out, each in another order.
    round: u64,
    key: [u64; 3],
}

impl Members {
    fn new(members: Vec<u32>, samples_per_class: usize, seed: u64, epoch: u64, class: u64) -> Self {
        let mut members = Self { members, samples_per_class, next: 0, round: 0, key: [seed, epoch, class] };
        members.shuffle();
        members
    }

    fn shuffle(&mut self) {
        let [seed, epoch, class] = self.key;
        let mut stream = Stream::new(seed, Purpose::Order, &[epoch, class + 1, self.round]);
        let order = stream.permutation(self.members.len() as u32);
        self.members = order.iter().map(|&place| self.members[place as usize]).collect();
    }

    fn next_group(&mut self, out: &mut Vec<u32>) {
        let count = self.samples_per_class.min(self.members.len());
        if self.next >= self.members.len() {
            self.round += 1;
            self.next = 0;
            self.shuffle();
        }
        let members = self.members.iter().cycle().skip(self.next).take(count);
        out.extend(members);
        self.next += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(counts: &[usize], p: usize, k: usize, epoch: u64) -> (Vec<u32>, Vec<Vec<u32>>) {
        // Classes in turn, so that a class is not a range of samples.
        let mut targets = Vec::new();
        for place in 0..counts.iter().copied().max().unwrap() {
            targets
                .extend((0..counts.len()).filter(|&class| counts[class] > place).map(|class| class as u32));
        }
        let (samples, ends) = plan(&targets, counts, p, k, 5, epoch);
        assert_eq!(ends.len(), num_batches(counts, p, k));
        let mut start = 0;
        let batches =
            ends.iter().map(|&end| samples[std::mem::replace(&mut start, end)..end].to_vec()).collect();
        (targets, batches)
    }

    #[test]
    fn every_batch_has_p_classes_and_every_sample_comes() {
        for (counts, p, k) in [
            (vec![20; 10], 4, 5),
            (vec![7, 9, 30, 4, 12], 3, 4),
            (vec![100, 3, 2, 1], 2, 4),
            (vec![50, 1, 1, 1], 4, 8),
            (vec![6, 0, 6], 2, 3),
            (vec![2, 1], 2, 2),
        ] {
            for epoch in 0..3 {
                let (targets, batches) = planned(&counts, p, k, epoch);
                let mut times = vec![0_usize; targets.len()];
                for batch in &batches {
                    let mut of_class = vec![0; counts.len()];
                    let mut distinct = batch.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert_eq!(distinct.len(), batch.len(), "a sample twice in a batch of {counts:?}");
                    for &sample in batch {
                        times[sample as usize] += 1;
                        of_class[targets[sample as usize] as usize] += 1;
                    }
                    assert_eq!(of_class.iter().filter(|&&count| count > 0).count(), p, "{counts:?}");
                    for (class, &count) in of_class.iter().enumerate().filter(|(_, count)| **count > 0) {
                        assert_eq!(count, k.min(counts[class]), "class {class} of {counts:?}");
                    }
                }
                assert!(times.iter().all(|&times| times >= 1), "{counts:?}: {times:?}");
            }
        }
    }

    #[test]
    fn classes_of_equal_size_come_once_an_epoch_where_all_divides() {
        let (_, batches) = planned(&[20; 10], 5, 4, 0);
        let mut all: Vec<u32> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn the_company_of_a_class_changes_within_an_epoch() {
        let (targets, batches) = planned(&[40; 30], 3, 4, 0);
        let mut company = std::collections::BTreeSet::new();
        for batch in batches.iter().filter(|batch| batch.iter().any(|&sample| targets[sample as usize] == 0))
        {
            company.extend(batch.iter().map(|&sample| targets[sample as usize]));
        }
        // Ten batches with two others each.
        assert!(company.len() > 12, "{company:?}");
    }

    #[test]
    fn epochs_differ_and_are_repeatable() {
        assert_eq!(planned(&[9, 8, 7], 2, 3, 4), planned(&[9, 8, 7], 2, 3, 4));
        assert_ne!(planned(&[9, 8, 7], 2, 3, 4).1, planned(&[9, 8, 7], 2, 3, 5).1);
    }
}
