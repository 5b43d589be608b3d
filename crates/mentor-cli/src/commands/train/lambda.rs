//! The value of `--l1` and `--l2`: a number, a range, or `auto`.

use std::str::FromStr;

use mentor_run::PathConfig;

/// What a user may say of a λ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lambda {
    /// This number.
    Fixed(f64),
    /// The best of this range by cross-validation.
    Range([f64; 2]),
    /// The best of the usual range by cross-validation.
    Auto,
}

impl FromStr for Lambda {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.trim().parse::<f64>().map_err(|_| {
                format!("\"{text}\" is no number: write 1e-4, a range such as 1e-6..1e1, or auto")
            })
        };
        match text.split_once("..") {
            Some((low, high)) => Ok(Self::Range([number(low)?, number(high)?])),
            None if text == "auto" => Ok(Self::Auto),
            None => number(text).map(Self::Fixed),
        }
    }
}

impl Lambda {
    /// Puts it where it belongs: `fixed`, or the range of a path, of which `usual` is the default.
    pub(super) fn overlay(
        self,
        fixed: &mut Option<f64>,
        path: &mut Option<PathConfig>,
        range: fn(&mut PathConfig) -> &mut Option<[f64; 2]>,
        usual: [f64; 2],
    ) {
        let wanted = match self {
            Self::Fixed(number) => {
                *fixed = Some(number);
                return;
            }
            Self::Range(wanted) => wanted,
            Self::Auto => usual,
        };
        *range(path.get_or_insert_with(PathConfig::default)) = Some(wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_penalty_is_a_number_a_range_or_auto() {
        let read = |text: &str| text.parse::<Lambda>();
        assert_eq!(read("1e-4"), Ok(Lambda::Fixed(1e-4)));
        assert_eq!(read("-1"), Ok(Lambda::Fixed(-1.0)));
        assert_eq!(read("1e-6..1e1"), Ok(Lambda::Range([1e-6, 10.0])));
        assert_eq!(read("auto"), Ok(Lambda::Auto));
        for wrong in ["", "x", "1..", "..1", "1,2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
