//! The data loss of a batch, and what else is measured of it.

use burn::tensor::Tensor;

/// The data loss of a batch of B samples.
#[derive(Debug)]
pub struct BatchLoss {
    pub(crate) losses: Tensor<1>,
    pub(crate) scores: Option<Tensor<2>>,
    pub(crate) measures: Vec<Measure>,
}

impl BatchLoss {
    /// The mean of `losses` is minimised: `[B]`, one loss a sample, or `[1]`, one of the batch as a whole.
    pub fn new(losses: Tensor<1>) -> Self {
        Self { losses, scores: None, measures: Vec::new() }
    }

    /// Scores `[B, C]`, of which the accuracy is counted.
    #[must_use]
    pub fn with_scores(self, scores: Tensor<2>) -> Self {
        Self { scores: Some(scores), ..self }
    }

    /// Without its graph.
    pub(crate) fn detached(self) -> Self {
        let detach = |measure: Measure| match measure.sum {
            Sum::Device(values) => Measure { sum: Sum::Device(Box::new(values.inner())), ..measure },
            Sum::Host(_) => measure,
        };
        Self {
            losses: self.losses.inner(),
            scores: self.scores.map(Tensor::inner),
            measures: self.measures.into_iter().map(detach).collect(),
        }
    }

    /// What else the metrics tell of.
    #[must_use]
    pub fn with_measure(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }
}

/// A named mean over an epoch: a sum over batches divided by a weight over batches.
#[derive(Debug)]
pub struct Measure {
    pub(crate) name: &'static str,
    pub(crate) sum: Sum,
    pub(crate) weight: f64,
}

impl Measure {
    /// The mean of these values, which are read back from the device when the loop does.
    pub fn of_values(name: &'static str, values: Tensor<1>) -> Self {
        let weight = values.dims()[0] as f64;
        Self { name, sum: Sum::Device(Box::new(values)), weight }
    }

    /// `sum` of this batch; the mean of an epoch divides by the sum of the weights, and is left out if that
    /// is 0.
    pub fn of_sum(name: &'static str, sum: f64, weight: f64) -> Self {
        Self { name, sum: Sum::Host(sum), weight }
    }
}

/// A number, where it is.
#[derive(Debug)]
pub(crate) enum Sum {
    Host(f64),
    /// Values that are summed when the loop reads back from the device.
    Device(Box<Tensor<1>>),
}
