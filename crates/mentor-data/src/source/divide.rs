//! Which samples, or classes, are for training, validation and test.

use mentor_random::{Purpose, Stream};

use crate::split::Split;

/// Stratified split of samples that have none: of each class first `test_fraction` for test, then
/// `val_fraction` of what is left for validation, the rest for training.
///
/// A class gives at least one sample to each part with a fraction above zero, as long as one is left
/// for training. Membership is a pure function of the seed, the class and the order of its samples.
pub(crate) fn stratify(targets: &[u32], test_fraction: f64, val_fraction: f64, seed: u64) -> Vec<Split> {
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (index, &target) in targets.iter().enumerate() {
        let class = target as usize;
        if members.len() <= class {
            members.resize_with(class + 1, Vec::new);
        }
        members[class].push(index);
    }
    let mut splits = vec![Split::Train; targets.len()];
    for (class, members) in members.iter().enumerate() {
        let order = Stream::new(seed, Purpose::Split, &[class as u64]).permutation(members.len() as u32);
        let num_test = share(members.len(), test_fraction);
        let num_val = share(members.len() - num_test, val_fraction);
        for (position, &member) in order.iter().enumerate() {
            splits[members[member as usize]] = match position {
                p if p < num_test => Split::Test,
                p if p < num_test + num_val => Split::Val,
                _ => Split::Train,
            };
        }
    }
    splits
}

/// The split of each of `num_classes` classes: first `test_fraction` of them for test, then `val_fraction` of
/// what is left for validation, the rest for training. Each split that is asked for has at least two classes,
/// since with one there is nothing to tell apart; `None` if there are too few. A pure function of the seed.
pub(crate) fn divide_classes(
    num_classes: usize,
    test_fraction: f64,
    val_fraction: f64,
    seed: u64,
) -> Option<Vec<Split>> {
    const FEWEST: usize = 2;
    let reserved = if val_fraction > 0.0 { 2 * FEWEST } else { FEWEST };
    let take = |available: usize, fraction: f64, reserved: usize| {
        if fraction == 0.0 {
            return Some(0);
        }
        let most = available.checked_sub(reserved).filter(|&most| most >= FEWEST)?;
        Some(((available as f64 * fraction).round() as usize).clamp(FEWEST, most))
    };
    let num_test = take(num_classes, test_fraction, reserved)?;
    let num_val = take(num_classes - num_test, val_fraction, FEWEST)?;
    // No class has the index u64::MAX, whose stream would be the same.
    let order = Stream::new(seed, Purpose::Split, &[u64::MAX]).permutation(num_classes as u32);
    let mut splits = vec![Split::Train; num_classes];
    for (place, &class) in order.iter().enumerate() {
        splits[class as usize] = match place {
            place if place < num_test => Split::Test,
            place if place < num_test + num_val => Split::Val,
            _ => Split::Train,
        };
    }
    Some(splits)
}

fn share(available: usize, fraction: f64) -> usize {
    if fraction == 0.0 || available < 2 {
        return 0;
    }
    ((available as f64 * fraction).round() as usize).clamp(1, available - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(splits: &[Split], targets: &[u32], split: Split, class: u32) -> usize {
        splits.iter().zip(targets).filter(|&(&s, &t)| s == split && t == class).count()
    }

    #[test]
    fn every_class_gives_its_share() {
        let targets: Vec<u32> = (0..1000).map(|i| u32::from(i % 10 == 0)).collect();
        let splits = stratify(&targets, 0.2, 0.1, 0);
        for (class, expected) in [(0, [648, 72, 180]), (1, [72, 8, 20])] {
            let found = Split::ALL.map(|split| count(&splits, &targets, split, class));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn membership_depends_on_the_seed_only() {
        let targets = vec![0; 100];
        assert_eq!(stratify(&targets, 0.2, 0.1, 3), stratify(&targets, 0.2, 0.1, 3));
        assert_ne!(stratify(&targets, 0.2, 0.1, 3), stratify(&targets, 0.2, 0.1, 4));
    }

    #[test]
    fn rare_classes_keep_a_sample_for_training() {
        for (num, expected) in [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1])] {
            let targets = vec![0; num];
            let splits = stratify(&targets, 0.2, 0.1, 0);
            assert_eq!(Split::ALL.map(|split| count(&splits, &targets, split, 0)), expected);
        }
    }

    #[test]
    fn classes_are_divided_with_at_least_two_each() {
        let counts = |num_classes, test, val| {
            let splits = divide_classes(num_classes, test, val, 0)?;
            Some(Split::ALL.map(|split| splits.iter().filter(|&&found| found == split).count()))
        };
        assert_eq!(counts(10, 0.5, 0.0), Some([5, 0, 5]));
        assert_eq!(counts(10, 0.2, 0.1), Some([6, 2, 2]));
        assert_eq!(counts(100, 0.2, 0.1), Some([72, 8, 20]));
        assert_eq!(counts(6, 0.9, 0.9), Some([2, 2, 2]));
        assert_eq!(counts(5, 0.2, 0.1), None);
        assert_eq!(counts(4, 0.2, 0.0), Some([2, 0, 2]));
        assert_eq!(counts(3, 0.2, 0.0), None);
        assert_eq!(counts(3, 0.0, 0.0), Some([3, 0, 0]));
        assert_ne!(divide_classes(50, 0.5, 0.0, 1), divide_classes(50, 0.5, 0.0, 2));
    }

    #[test]
    fn names_are_read_back() {
        for split in Split::ALL {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
        }
        assert_eq!("validation".parse::<Split>().unwrap(), Split::Val);
        assert!("Train".parse::<Split>().is_err());
    }
}
