//! How a model did on the validation split.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a model did on the validation split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Higher is better: the model of the best epoch is kept. `None` if the split defines none, such as MAP@R
    /// where no image has another of its class: then nothing is chosen by it and nothing stops.
    pub score: Option<f64>,
    /// Decides between equal scores; lower is better. `None` if the split has no term of the loss.
    pub data_loss: Option<f64>,
    /// Share of right predictions; absent for embeddings.
    pub accuracy: Option<f64>,
    /// What else the metrics tell of; those of the best epoch are in the summary.
    pub measures: BTreeMap<String, f64>,
}

impl Validation {
    /// Whether this is better than the best so far, if any. What is undefined is not better than anything.
    pub(crate) fn is_better_than(&self, best: Option<&Self>) -> bool {
        let Some(score) = self.score else { return false };
        let Some((best, best_score)) = best.and_then(|best| Some((best, best.score?))) else { return true };
        let lower_loss = self.data_loss.zip(best.data_loss).is_some_and(|(own, best)| own < best);
        score > best_score || (score == best_score && lower_loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undefined_score_is_never_better_and_a_defined_one_is_better_than_none() {
        let of = |score, data_loss| Validation { score, data_loss, ..Validation::default() };
        let best = of(Some(0.5), Some(1.0));
        assert!(!of(None, Some(0.0)).is_better_than(None));
        assert!(!of(None, Some(0.0)).is_better_than(Some(&best)));
        assert!(of(Some(0.0), None).is_better_than(None));
        assert!(of(Some(0.5), Some(0.9)).is_better_than(Some(&best)));
        assert!(!of(Some(0.5), None).is_better_than(Some(&best)));
        assert!(of(Some(0.6), None).is_better_than(Some(&best)));
    }
}
