//! The cases of a triplet, how many there are of each, and what a mean divides by.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::LossError;

/// What a triplet is to the loss, by its distances d_ap and d_an and the margin m.
///
/// One predicate decides everywhere whether a triplet is active: `d_ap + m > d_an`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// `d_an ≥ d_ap + m`: the margin holds, the loss is 0.
    Easy,
    /// `d_ap < d_an < d_ap + m`: in the right order, but within the margin.
    SemiHard,
    /// Active and `d_an ≤ d_ap`: the negative is nearer than the positive, or as near.
    Hard,
}

impl Case {
    /// The case of a triplet with these distances.
    ///
    /// ```
    /// use mentor_loss::Case;
    ///
    /// assert_eq!(Case::of(0.5, 2.0, 0.2), Case::Easy);
    /// assert_eq!(Case::of(0.5, 0.6, 0.2), Case::SemiHard);
    /// assert_eq!(Case::of(0.5, 0.5, 0.2), Case::Hard);
    /// assert_eq!(Case::of(0.5, 0.7, 0.2), Case::Easy); // the kink
    /// ```
    pub fn of(d_ap: f64, d_an: f64, margin: f64) -> Self {
        match d_ap + margin > d_an {
            false => Self::Easy,
            true if d_an > d_ap => Self::SemiHard,
            true => Self::Hard,
        }
    }

    /// `easy`, `semi-hard` or `hard`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::SemiHard => "semi-hard",
            Self::Hard => "hard",
        }
    }
}

/// How many triplets there are, and of which case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// All of them: `num_easy + num_semi_hard + num_hard`.
    pub num_valid: u64,
    /// Those with a loss greater than 0: `num_semi_hard + num_hard`.
    pub num_active: u64,
    /// See [`Case::Easy`].
    pub num_easy: u64,
    /// See [`Case::SemiHard`].
    pub num_semi_hard: u64,
    /// See [`Case::Hard`].
    pub num_hard: u64,
}

impl Census {
    /// From the three counts that decide the others.
    pub(crate) fn new(num_valid: u64, num_active: u64, num_hard: u64) -> Self {
        Self {
            num_valid,
            num_active,
            num_easy: num_valid - num_active,
            num_semi_hard: num_active - num_hard,
            num_hard,
        }
    }

    /// Counts one triplet.
    pub fn count(&mut self, case: Case) {
        let active = u64::from(case != Case::Easy);
        *self += Self::new(1, active, u64::from(case == Case::Hard));
    }

    /// What a sum over the triplets is divided by.
    pub fn denominator(&self, average: Average) -> u64 {
        match average {
            Average::Valid => self.num_valid,
            Average::Active => self.num_active,
        }
    }

    /// `sum` divided by the [`denominator`](Self::denominator); exactly 0 where that is 0.
    pub fn mean(&self, sum: f64, average: Average) -> f64 {
        match self.denominator(average) {
            0 => 0.0,
            count => sum / count as f64,
        }
    }
}

impl AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        self.num_valid += other.num_valid;
        self.num_active += other.num_active;
        self.num_easy += other.num_easy;
        self.num_semi_hard += other.num_semi_hard;
        self.num_hard += other.num_hard;
    }
}

/// What the mean of a ranking loss divides by.
///
/// The two differ by the share of active terms, and so do their gradients: with [`Valid`](Self::Valid) the
/// steps shrink as a model learns, with [`Active`](Self::Active) they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Average {
    /// All valid pairs or triplets, also those with a loss of 0.
    #[default]
    Valid,
    /// Those with a loss greater than 0.
    Active,
}

impl Average {
    /// The names that [`from_str`](FromStr::from_str) knows.
    pub const NAMES: &'static [&'static str] = &["valid", "active"];
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Active => "active",
        })
    }
}

impl FromStr for Average {
    type Err = LossError;

    fn from_str(name: &str) -> Result<Self, LossError> {
        match name {
            "valid" => Ok(Self::Valid),
            "active" => Ok(Self::Active),
            _ => Err(LossError::unknown("average", name, Self::NAMES)),
        }
    }
}
