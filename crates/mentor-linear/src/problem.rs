//! What is minimised.

use crate::coordinates::SecondMoment;
use crate::error::LinearError;
use crate::products::Rows;

/// A loss on the scores of a sample, in the definitions of `docs/definitions.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// −ln softmax(s)_y
    Softmax,
    /// Σ_{j≠y} max(0, s_j − s_y + Δ)
    WestonWatkins {
        /// Δ, greater than 0.
        margin: f64,
    },
    /// max(0, max_{j≠y} s_j − s_y + Δ)
    CrammerSinger {
        /// Δ, greater than 0.
        margin: f64,
    },
}

/// A linear classifier's objective on data:
///
/// ```text
/// P(W, b) = (1/N) Σ_i a_i ℓ(W x_i + b, y_i) + l2 Σ w² + l1 Σ |w|
/// a_i     = weight of the sample · weight of class y_i
/// ```
///
/// Without a factor ½ before `l2`, the mean is over the N samples whatever their weights, and the bias has
/// no penalty.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// X, `[N, D]`, row-major.
    pub features: &'a [f32],
    /// D, at least 1.
    pub num_features: usize,
    /// y, `[N]`: classes from 0 on.
    pub targets: &'a [u32],
    /// C, at least 2.
    pub num_classes: usize,
    /// `[N]`, each at least 0; 1 if not given.
    pub sample_weights: Option<&'a [f32]>,
    /// `[C]`, each at least 0; 1 if not given.
    pub class_weights: Option<&'a [f32]>,
    /// The loss ℓ.
    pub loss: Loss,
    /// Weight of Σ w², at least 0.
    pub l2: f64,
    /// Weight of Σ |w|, at least 0.
    pub l1: f64,
    /// Whether there is a bias b.
    pub bias: bool,
}

/// A problem whose parts fit each other.
pub(crate) struct Checked<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) targets: &'a [u32],
    /// a_i / N.
    pub(crate) sample_scales: Vec<f64>,
    pub(crate) loss: Loss,
    pub(crate) l2: f64,
    pub(crate) l1: f64,
    pub(crate) bias: bool,
    /// Where the features are coordinates, what is known of them.
    pub(crate) second_moment: Option<&'a SecondMoment>,
}

impl<'a> Problem<'a> {
    pub(crate) fn check(&self) -> Result<Checked<'a>, LinearError> {
        self.check_parameters()?;
        let num_samples = self.targets.len();
        let expected = num_samples.saturating_mul(self.num_features);
        length("features", self.features.len(), expected)?;
        if let Some(place) = self.features.iter().position(|value| !value.is_finite()) {
            let (sample, feature) = (place / self.num_features, place % self.num_features);
            return Err(LinearError::Feature { sample, feature, value: self.features[place] });
        }
        let in_range = |&target: &u32| (target as usize) < self.num_classes;
        if let Some(sample) = self.targets.iter().position(|target| !in_range(target)) {
            let (target, num_classes) = (self.targets[sample], self.num_classes);
            return Err(LinearError::Target { sample, target, num_classes });
        }
        let sample_scales = self.sample_scales()?;
        let mut class_totals = vec![0.0; self.num_classes];
        for (&target, &scale) in self.targets.iter().zip(&sample_scales) {
            class_totals[target as usize] += scale;
        }
        if self.bias
            && let Some(class) = class_totals.iter().position(|&total| total == 0.0)
        {
            return Err(LinearError::EmptyClass { class });
        }
        let rows = Rows::new(self.features, self.num_features, self.num_classes);
        let (loss, l2, l1, bias) = (self.loss, self.l2, self.l1, self.bias);
        let targets = self.targets;
        Ok(Checked { rows, targets, sample_scales, loss, l2, l1, bias, second_moment: None })
    }

    pub(crate) fn check_parameters(&self) -> Result<(), LinearError> {
        at_least("the number of samples", self.targets.len(), 1)?;
        at_least("the number of features", self.num_features, 1)?;
        at_least("the number of classes", self.num_classes, 2)?;
        for (name, value) in [("l2", self.l2), ("l1", self.l1)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(LinearError::Parameter { name, value, allowed: "a finite number of at least 0" });
            }
        }
        match self.loss {
            Loss::WestonWatkins { margin } | Loss::CrammerSinger { margin }
                if !(margin > 0.0 && margin.is_finite()) =>
            {
                let allowed = "a finite number greater than 0";
                Err(LinearError::Parameter { name: "margin", value: margin, allowed })
            }
            _ => Ok(()),
        }
    }

    fn sample_scales(&self) -> Result<Vec<f64>, LinearError> {
        let num_samples = self.targets.len();
        if let Some(weights) = self.sample_weights {
            length("sample_weights", weights.len(), num_samples)?;
        }
        if let Some(weights) = self.class_weights {
            length("class_weights", weights.len(), self.num_classes)?;
        }
        let given = [("sample_weights", self.sample_weights), ("class_weights", self.class_weights)];
        for (name, weights) in given {
            let bad =
                weights.unwrap_or_default().iter().find(|&&weight| !(weight >= 0.0 && weight.is_finite()));
            if let Some(&weight) = bad {
                let allowed = "finite numbers of at least 0";
                return Err(LinearError::Parameter { name, value: f64::from(weight), allowed });
            }
        }
        let weight = |weights: Option<&[f32]>, index: usize| weights.map_or(1.0, |all| f64::from(all[index]));
        let scales: Vec<f64> = (0..num_samples)
            .map(|sample| {
                let class = self.targets[sample] as usize;
                weight(self.sample_weights, sample) * weight(self.class_weights, class) / num_samples as f64
            })
            .collect();
        if scales.iter().all(|&scale| scale == 0.0) {
            let allowed = "greater than 0 for at least one sample";
            return Err(LinearError::Parameter { name: "the weight of all samples", value: 0.0, allowed });
        }
        Ok(scales)
    }
}

impl Checked<'_> {
    /// Whether a solver takes these penalties to an optimum.
    pub(crate) fn check_penalty(&self) -> Result<(), LinearError> {
        match (self.loss, self.l2 > 0.0, self.l1 > 0.0) {
            (_, false, false) => Err(LinearError::NoPenalty),
            (Loss::WestonWatkins { .. } | Loss::CrammerSinger { .. }, _, true) => {
                Err(LinearError::HingeWithL1)
            }
            _ => Ok(()),
        }
    }

    /// λR(W): `weights` in the layout of [`Rows`].
    pub(crate) fn penalty(&self, weights: &[f64]) -> f64 {
        let panel_len = self.rows.panel_len();
        let panels = weights.chunks_exact(panel_len).map(|panel| {
            let values = &panel[..panel_len - crate::products::PANEL];
            let squares: f64 = values.iter().map(|w| w * w).sum();
            let sizes: f64 = if self.l1 > 0.0 { values.iter().map(|w| w.abs()).sum() } else { 0.0 };
            self.l2 * squares + self.l1 * sizes
        });
        panels.sum()
    }
}

fn length(name: &'static str, found: usize, expected: usize) -> Result<(), LinearError> {
    if found == expected { Ok(()) } else { Err(LinearError::Length { name, found, expected }) }
}

fn at_least(name: &'static str, value: usize, least: usize) -> Result<(), LinearError> {
    let allowed = if least == 1 { "at least 1" } else { "at least 2" };
    if value >= least { Ok(()) } else { Err(LinearError::Parameter { name, value: value as f64, allowed }) }
}
