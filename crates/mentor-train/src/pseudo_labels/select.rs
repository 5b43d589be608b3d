//! Which pseudo-labels a student learns from: threshold, balance, duplication. A pure function of a stream of
//! rows.

use std::collections::BinaryHeap;
use std::num::NonZeroUsize;

use mentor_metrics::pseudo_labels::{
    ClassStatistics, LabelKind, Prediction, SelectionStatistics, SoftTarget,
};
use serde::{Deserialize, Serialize};

/// How pseudo-labels are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectionOptions {
    /// Which targets the student gets.
    pub kind: LabelKind,
    /// Least confidence, in [0, 1]. Default of the recipe: 0.3.
    pub threshold: f64,
    /// Divides the scores before the softmax: that of the teacher's calibration, over 0; 1 leaves them.
    pub temperature: f64,
    /// The same number of rows a class; `None`: every confident image once, which needs memory for all of
    /// them.
    pub balance: Option<Balance>,
}

/// The same number of rows for each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Rows a class, at least 1: the most confident first.
    pub per_class: usize,
    /// How often one image may be repeated where a class is short, at least 1.
    pub max_copies: u32,
}

/// Why a selection is not possible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SelectionError {
    /// An option outside its range.
    #[error("{name} = {value}: must be {allowed}")]
    InvalidOption {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Another number of scores than classes.
    #[error("image {id:?} has {found} scores for {expected} classes")]
    WrongLength {
        /// The image.
        id: String,
        /// Scores given.
        found: usize,
        /// Classes.
        expected: usize,
    },
    /// A NaN or an infinity.
    #[error("the scores of image {id:?} are not finite")]
    NotFinite {
        /// The image.
        id: String,
    },
}

impl SelectionError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::InvalidOption { .. } => &[],
            Self::WrongLength { .. } => &["label it with this teacher"],
            Self::NotFinite { .. } => &["check the teacher's weights"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

/// A chosen image with its target.
#[derive(Clone, Debug, PartialEq)]
pub struct PseudoLabel {
    /// The image.
    pub id: String,
    /// How many images were looked at before it.
    pub row: u64,
    /// The most probable class.
    pub label: u32,
    /// Its probability.
    pub confidence: f64,
    /// What the student learns.
    pub target: SoftTarget,
    /// How often the image is seen in an epoch, at least 1.
    pub copies: u32,
}

/// The result.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// By class, then the most confident first, then by id.
    pub labels: Vec<PseudoLabel>,
    /// What happened.
    pub statistics: SelectionStatistics,
}

/// Chooses among rows that arrive one by one, in any order.
///
/// **Definition.** A row's label is its largest score's class (the first of equal ones), its confidence p
/// that class's softmax probability at `temperature`. Rows with p ≥ `threshold` are candidates. With balance,
/// of each class's m candidates the n = `per_class` with the largest p are chosen, equal ones by id in byte
/// order; where m < n, min(n, m·`max_copies`) rows are dealt out to the m images in turn, the most confident
/// first, so that copies differ by at most 1.
///
/// The order of the rows does not matter to what is chosen, provided that ids are distinct. Memory: at most
/// `per_class` rows a class are held.
///
/// **Numerics.** Candidates are ordered by −ln p in f64, which tells confidences apart that round to 1.
///
/// **Source.** Xie et al., Self-training with Noisy Student, CVPR 2020, section 3.1 (filtering and
/// balancing).
///
/// ```
/// use mentor_train::pseudo_labels::{Balance, SelectionOptions, Selector};
/// use mentor_metrics::pseudo_labels::LabelKind;
/// let balance = Some(Balance { per_class: 2, max_copies: 3 });
/// let options = SelectionOptions { kind: LabelKind::Hard, threshold: 0.6, temperature: 1.0, balance };
/// let mut selector = Selector::new(options, 2)?;
/// let rows = [("a", [3.0, 0.0]), ("b", [0.1, 0.0]), ("c", [0.0, 2.0]), ("d", [4.0, 0.0]),
///     ("e", [2.0, 0.0])];
/// for (id, scores) in rows {
///     selector.push(id, &scores)?;
/// }
/// let chosen: Vec<_> = selector.finish().labels.into_iter().map(|label| (label.id, label.copies)).collect();
/// assert_eq!(chosen, [("d".to_owned(), 1), ("a".to_owned(), 1), ("c".to_owned(), 2)]);
/// # Ok::<(), mentor_train::pseudo_labels::SelectionError>(())
/// ```
#[derive(Debug)]
pub struct Selector {
    options: SelectionOptions,
    /// The least confident of a class on top.
    heaps: Vec<BinaryHeap<Candidate>>,
    num_seen: u64,
    num_predicted: Vec<u64>,
    num_confident: Vec<u64>,
}

/// Ordered so that the worst is the greatest: large loss, then late id.
#[derive(Debug)]
struct Candidate {
    loss: f64,
    id: String,
    row: u64,
    target: SoftTarget,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.loss.total_cmp(&other.loss).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl SelectionOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`SelectionError::InvalidOption`] for the first option outside its range.
    pub fn check(&self) -> Result<(), SelectionError> {
        let check = |good: bool, name, value, allowed| {
            if good { Ok(()) } else { Err(SelectionError::InvalidOption { name, value, allowed }) }
        };
        let Self { kind: _, threshold, temperature, balance } = self;
        check((0.0..=1.0).contains(threshold), "threshold", *threshold, "from 0 to 1")?;
        let positive = *temperature > 0.0 && temperature.is_finite();
        check(positive, "temperature", *temperature, "a finite number over 0")?;
        if let Some(Balance { per_class, max_copies }) = *balance {
            check(per_class > 0, "per_class", 0.0, "at least 1")?;
            check(max_copies > 0, "max_copies", 0.0, "at least 1")?;
        }
        Ok(())
    }
}

impl Selector {
    /// An empty selection.
    ///
    /// # Errors
    ///
    /// As [`SelectionOptions::check`].
    pub fn new(options: SelectionOptions, num_classes: usize) -> Result<Self, SelectionError> {
        options.check()?;
        Ok(Self {
            options,
            heaps: (0..num_classes).map(|_| BinaryHeap::new()).collect(),
            num_seen: 0,
            num_predicted: vec![0; num_classes],
            num_confident: vec![0; num_classes],
        })
    }

    /// Looks at one image: its id and one score a class.
    ///
    /// # Errors
    ///
    /// [`SelectionError::WrongLength`] and [`SelectionError::NotFinite`].
    pub fn push(&mut self, id: &str, scores: &[f32]) -> Result<(), SelectionError> {
        let expected = self.heaps.len();
        if scores.len() != expected {
            return Err(SelectionError::WrongLength { id: id.to_owned(), found: scores.len(), expected });
        }
        let SelectionOptions { kind, threshold, temperature, balance } = self.options;
        let Some(prediction) = Prediction::new(scores, temperature) else {
            return Err(SelectionError::NotFinite { id: id.to_owned() });
        };
        let class = prediction.label as usize;
        let row = self.num_seen;
        self.num_seen += 1;
        self.num_predicted[class] += 1;
        if prediction.confidence() < threshold {
            return Ok(());
        }
        self.num_confident[class] += 1;
        let heap = &mut self.heaps[class];
        let capacity = balance.map_or(usize::MAX, |balance| balance.per_class);
        if heap.len() == capacity {
            // Most images of a long stream end here, before anything is allocated for them.
            match heap.peek() {
                Some(worst) if (prediction.loss, id) < (worst.loss, worst.id.as_str()) => heap.pop(),
                _ => return Ok(()),
            };
        }
        let target = match kind {
            LabelKind::Hard => SoftTarget::hard(prediction.label),
            LabelKind::Soft { top_k } => {
                SoftTarget::new(scores, temperature, top_k.map_or(scores.len(), NonZeroUsize::get))
            }
        };
        heap.push(Candidate { loss: prediction.loss, id: id.to_owned(), row, target });
        Ok(())
    }

    /// Images held at the moment: at most `per_class` times the number of classes.
    pub fn num_held(&self) -> usize {
        self.heaps.iter().map(BinaryHeap::len).sum()
    }

    /// The choice among all rows so far.
    pub fn finish(self) -> Selection {
        let mut labels = Vec::with_capacity(self.num_held());
        let mut statistics = SelectionStatistics { num_seen: self.num_seen, ..Default::default() };
        let mut sum_confidence = 0.0;
        let counts = self.num_predicted.into_iter().zip(self.num_confident);
        for ((class, heap), (num_predicted, num_confident)) in (0..).zip(self.heaps).zip(counts) {
            let candidates = heap.into_sorted_vec();
            let copies = deal(candidates.len(), self.options.balance);
            let mut of_class = ClassStatistics { num_predicted, num_confident, ..Default::default() };
            let mut sum = 0.0;
            for (Candidate { loss, id, row, target }, copies) in candidates.into_iter().zip(copies) {
                let confidence = Prediction { label: class, loss }.confidence();
                of_class.num_chosen += 1;
                of_class.num_rows += u64::from(copies);
                of_class.lowest_confidence = confidence;
                sum += confidence;
                labels.push(PseudoLabel { id, row, label: class, confidence, target, copies });
            }
            of_class.mean_confidence = ratio(sum, of_class.num_chosen);
            of_class.duplication = ratio(of_class.num_rows as f64, of_class.num_chosen);
            sum_confidence += sum;
            statistics.num_confident += num_confident;
            statistics.num_chosen += of_class.num_chosen;
            statistics.num_rows += of_class.num_rows;
            statistics.classes.push(of_class);
        }
        statistics.kept_share = ratio(statistics.num_chosen as f64, statistics.num_seen);
        statistics.duplication = ratio(statistics.num_rows as f64, statistics.num_chosen);
        statistics.mean_confidence = ratio(sum_confidence, statistics.num_chosen);
        Selection { labels, statistics }
    }
}

fn ratio(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// Copies of each of `num_images`, the most confident first.
fn deal(num_images: usize, balance: Option<Balance>) -> impl Iterator<Item = u32> {
    let num_rows = match balance {
        Some(Balance { per_class, max_copies }) => {
            per_class.min(num_images.saturating_mul(max_copies as usize))
        }
        None => num_images,
    };
    let (each, more) = (num_rows / num_images.max(1), num_rows % num_images.max(1));
    (0..num_images).map(move |index| each as u32 + u32::from(index < more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_dealt_in_turn_up_to_their_cap() {
        let copies = |num_images, per_class, max_copies| -> Vec<u32> {
            deal(num_images, Some(Balance { per_class, max_copies })).collect()
        };
        assert_eq!(copies(3, 8, 10), [3, 3, 2]);
        assert_eq!(copies(3, 8, 2), [2, 2, 2]);
        assert_eq!(copies(3, 3, 2), [1, 1, 1]);
        assert!(copies(0, 8, 2).is_empty());
        assert_eq!(deal(2, None).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn options_outside_their_range_are_refused() {
        let good = SelectionOptions {
            kind: LabelKind::Soft { top_k: NonZeroUsize::new(3) },
            threshold: 0.3,
            temperature: 1.0,
            balance: Some(Balance { per_class: 10, max_copies: 3 }),
        };
        assert_eq!(good.check(), Ok(()));
        let refused = |options: SelectionOptions| options.check().unwrap_err().to_string();
        for threshold in [-0.1, 1.1, f64::NAN] {
            let message = refused(SelectionOptions { threshold, ..good.clone() });
            assert_eq!(message, format!("threshold = {threshold}: must be from 0 to 1"));
        }
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refused(SelectionOptions { temperature, ..good.clone() });
        }
        for (per_class, max_copies) in [(0, 1), (1, 0)] {
            refused(SelectionOptions { balance: Some(Balance { per_class, max_copies }), ..good.clone() });
        }
    }

    #[test]
    fn a_label_names_its_row_even_where_two_images_have_the_same_id() {
        let options =
            SelectionOptions { kind: LabelKind::Hard, threshold: 0.6, temperature: 1.0, balance: None };
        let mut selector = Selector::new(options, 2).unwrap();
        for scores in [[1.0, 0.0], [0.1, 0.0], [0.0, 2.0], [3.0, 0.0]] {
            selector.push("same.png", &scores).unwrap();
        }
        let rows: Vec<_> = selector.finish().labels.iter().map(|label| (label.label, label.row)).collect();
        assert_eq!(rows, [(0, 3), (0, 0), (1, 2)]);
    }

    #[test]
    fn bad_scores_are_refused_by_the_name_of_their_image() {
        let options =
            SelectionOptions { kind: LabelKind::Hard, threshold: 0.0, temperature: 1.0, balance: None };
        let mut selector = Selector::new(options, 2).unwrap();
        let message = selector.push("a.png", &[1.0, f32::NAN]).unwrap_err().to_string();
        assert_eq!(message, "the scores of image \"a.png\" are not finite");
        assert!(matches!(selector.push("b", &[1.0]), Err(SelectionError::WrongLength { found: 1, .. })));
        assert_eq!(selector.finish().statistics.num_seen, 0);
    }
}
