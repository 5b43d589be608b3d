//! Which classes a split has, and which it has lost.

use crate::notes::Note;
use crate::options::OpenOptions;
use crate::readers::listing::Listed;
use crate::split::Split;

/// Classes, by their indices.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassSet(Vec<bool>);

impl ClassSet {
    /// Those of the samples with these targets.
    pub(crate) fn of(targets: impl Iterator<Item = Option<u32>>) -> Self {
        let mut set = Self::default();
        targets.for_each(|target| set.insert(target));
        set
    }

    /// Adds a class; nothing for a sample without a label.
    pub(crate) fn insert(&mut self, target: Option<u32>) {
        let Some(class) = target else { return };
        if self.0.len() <= class as usize {
            self.0.resize(class as usize + 1, false);
        }
        self.0[class as usize] = true;
    }

    pub(crate) fn contains(&self, class: usize) -> bool {
        self.0.get(class).is_some_and(|&present| present)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    /// The names of the classes in it that `other` lacks.
    pub(crate) fn names_without(&self, other: &Self, classes: &[String]) -> Vec<String> {
        let lost = (0..classes.len()).filter(|&class| self.contains(class) && !other.contains(class));
        lost.map(|class| classes[class].clone()).collect()
    }

    /// The class, if there is only one.
    pub(crate) fn only(&self) -> Option<usize> {
        let mut classes = (0..self.0.len()).filter(|&class| self.0[class]);
        classes.next().filter(|_| classes.next().is_none())
    }

    /// A note about the classes in it that `left` lacks, if there are any.
    pub(crate) fn lost(
        &self,
        left: &Self,
        classes: &[String],
        split: Split,
        reason: &'static str,
    ) -> Option<Note> {
        let classes = self.names_without(left, classes);
        (!classes.is_empty()).then_some(Note::AbsentClasses { split, classes, reason })
    }
}

/// Notes about the classes that have too few images to give one to each split that is drawn.
pub(crate) fn too_few_to_split(
    classes: &[String],
    samples: &[Listed],
    assigned: &[ClassSet; 3],
    options: &OpenOptions,
) -> Vec<Note> {
    let has_own = |split| samples.iter().any(|listed| listed.split == Some(split));
    let drawn = |split| match split {
        Split::Train => false,
        Split::Val => options.val_fraction > 0.0 && !has_own(split),
        Split::Test => options.test_fraction > 0.0 && samples.iter().all(|listed| listed.split.is_none()),
    };
    let train = &assigned[Split::Train.index()];
    let splits = Split::ALL.into_iter().filter(|&split| drawn(split));
    let few = "too few to give one to each split";
    splits.filter_map(|split| train.lost(&assigned[split.index()], classes, split, few)).collect()
}
