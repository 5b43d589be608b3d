//! RandAugment: some operations, drawn at random from fourteen, at one common magnitude.
//!
//! The operations are Pillow's, byte for byte ([`Operation`]); the draws are a pure function of the key of
//! the stream that they come from.

mod blend;
mod geometry;
mod operation;
mod tone;

use std::fmt;
use std::str::FromStr;

use mentor_random::Stream;

pub use operation::Operation;

use crate::error::DataError;
use crate::format::ImageFormat;

/// RandAugment with its two parameters. Written `rand-augment:NUM_OPS,MAGNITUDE`, or `rand-augment` for the
/// default.
///
/// **Definition.** `num_ops` times: draw one of the fourteen [`Operation`]s uniformly and with replacement,
/// and its direction with probability ½ each, and apply it to what the one before has left.
///
/// **Parameters.** `num_ops` from 1 to 14, default 2. `magnitude` from 0 to 10, default 9: 0 leaves the image
/// as it is except for automatic contrast and equalisation, 10 is the end of AutoAugment's ranges, which each
/// operation lists. The defaults are the paper's for ResNet-50 on ImageNet, where small networks on
/// small images did better with (1, 2) to (2, 5).
///
/// **Differs from** the paper's TensorFlow code: its magnitudes run past 10, up to 30, its brightness,
/// colour, contrast and sharpness are 0.1 + 0.18·M, and its posterising and solarising grow weaker with M;
/// here, as in timm's `inc` policies and torchvision, every operation grows stronger and has no effect at 0.
/// torchvision's M has 31 steps: 27 there is 9 here. Pixels from outside are black as in torchvision, not
/// gray.
///
/// **Source.** Cubuk, Zoph, Shlens, Le. RandAugment. NeurIPS 2020, arXiv 1909.13719, section 3; ranges from
/// Cubuk et al., AutoAugment, CVPR 2019, table 6.
///
/// ```
/// use mentor_data::RandAugment;
/// let chosen: RandAugment = "rand-augment:1,5".parse()?;
/// assert_eq!((chosen.num_ops(), chosen.magnitude()), (1, 5));
/// assert_eq!("rand-augment".parse::<RandAugment>()?.to_string(), "rand-augment:2,9");
/// assert!("rand-augment:2,11".parse::<RandAugment>().is_err());
/// # Ok::<(), mentor_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RandAugment {
    num_ops: u8,
    magnitude: u8,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { num_ops: 2, magnitude: 9 }
    }
}

impl RandAugment {
    /// The prefix of its written form.
    pub(crate) const NAME: &str = "rand-augment";
    const MAX_OPS: u8 = Operation::ALL.len() as u8;

    /// With the given parameters.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] if `num_ops` is not in 1..=14 or `magnitude` not in 0..=10.
    pub fn new(num_ops: u8, magnitude: u8) -> Result<Self, DataError> {
        if (1..=Self::MAX_OPS).contains(&num_ops) && magnitude <= Operation::MAX_MAGNITUDE {
            return Ok(Self { num_ops, magnitude });
        }
        Err(invalid(format!("{}:{num_ops},{magnitude}", Self::NAME)))
    }

    /// Operations applied to each image.
    pub fn num_ops(&self) -> u8 {
        self.num_ops
    }

    /// Their strength, from 0 to 10.
    pub fn magnitude(&self) -> u8 {
        self.magnitude
    }

    /// Changes `image`, `[channel, height, width]`, in place.
    ///
    /// # Panics
    ///
    /// If the slice is not as long as the format says.
    pub fn apply(&self, format: &ImageFormat, image: &mut [u8], stream: &mut Stream) {
        let mut scratch = Vec::new();
        for _ in 0..self.num_ops {
            let operation = Operation::ALL[stream.below(u64::from(Self::MAX_OPS)) as usize];
            let negative = stream.uniform() < 0.5;
            operation.apply(format, image, self.magnitude, negative, &mut scratch);
        }
    }
}

fn invalid(value: String) -> DataError {
    DataError::InvalidOption {
        name: "augment",
        value,
        allowed: "rand-augment:NUM_OPS,MAGNITUDE with 1 to 14 operations and a magnitude from 0 to 10",
    }
}

impl FromStr for RandAugment {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        if text == Self::NAME {
            return Ok(Self::default());
        }
        text.strip_prefix(Self::NAME)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|parameters| parameters.split_once(','))
            .and_then(|(num_ops, magnitude)| Some((num_ops.parse().ok()?, magnitude.parse().ok()?)))
            .ok_or_else(|| invalid(text.to_owned()))
            .and_then(|(num_ops, magnitude)| Self::new(num_ops, magnitude))
    }
}

impl fmt::Display for RandAugment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{},{}", Self::NAME, self.num_ops, self.magnitude)
    }
}

#[cfg(test)]
mod tests {
    use mentor_random::Purpose;

    use super::*;

    #[test]
    fn every_written_form_is_read_back_and_others_are_refused() {
        for num_ops in 1..=14 {
            for magnitude in 0..=10 {
                let chosen = RandAugment::new(num_ops, magnitude).unwrap();
                assert_eq!(chosen.to_string().parse::<RandAugment>().unwrap(), chosen);
            }
        }
        for bad in ["rand-augment:", "rand-augment:2", "rand-augment:0,9", "rand-augment:15,9"] {
            assert!(bad.parse::<RandAugment>().is_err(), "{bad}");
        }
        for bad in ["rand-augment:2,11", "rand-augment:2,-1", "rand-augment:2,9,1", "randaugment:2,9", ""] {
            assert!(bad.parse::<RandAugment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_operation_is_drawn_in_both_directions() {
        // One image for which all operations and directions give different results.
        let format = ImageFormat::new(3, 24, 24);
        let image: Vec<u8> = (0..1728_u32).map(|i| (i * i * 31 % 201 + 20) as u8).collect();
        let mut scratch = Vec::new();
        let mut expected = std::collections::HashSet::new();
        for operation in Operation::ALL {
            for negative in [false, true] {
                let mut changed = image.clone();
                operation.apply(&format, &mut changed, 9, negative, &mut scratch);
                expected.insert(changed);
            }
        }
        let drawn: std::collections::HashSet<Vec<u8>> = (0..1000)
            .map(|sample| {
                let mut changed = image.clone();
                let mut stream = Stream::new(0, Purpose::Augmentation, &[0, sample]);
                RandAugment::new(1, 9).unwrap().apply(&format, &mut changed, &mut stream);
                changed
            })
            .collect();
        assert_eq!(expected.len(), 14 + 9, "nine operations have two directions");
        assert_eq!(drawn, expected);
    }
}
