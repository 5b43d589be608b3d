//! The range of an array's pixels, and whether bytes can hold them.

use std::fmt;

use super::npy::Element;

/// How far floats may leave their range, as a share of it: interpolation overshoots. A quarter of a step of a
/// byte.
const OVERSHOOT: f64 = 1e-3;
/// Root mean square of what rounding changes, over the standard deviation of the values, that is too much. Of
/// values that are spread evenly from 0 to 20 it is this much, from 0 to 255 a thirteenth of it.
const MAX_ROUNDING: f64 = 0.05;
/// Below this maximum floats from 0 to 255 with fractions may be of another range, such as per cents.
const USUAL_MAX: f64 = 128.0;

/// What stands for white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// 255.
    Bytes,
    /// 1.
    Unit,
}

impl Range {
    fn scale(self) -> f64 {
        match self {
            Self::Bytes => 1.0,
            Self::Unit => 255.0,
        }
    }

    /// The nearest byte; what overshoots is clamped.
    pub(crate) fn to_byte(self, value: f64) -> u8 {
        (value * self.scale()).round() as u8
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "from 0 to 255",
            Self::Unit => "floats from 0 to 1",
        })
    }
}

/// Extremes and moments of the values of an array, and what rounding would change in either range.
#[derive(Clone, Debug)]
pub(crate) struct PixelStatistics {
    num: f64,
    min: f64,
    max: f64,
    sum: f64,
    sum_of_squares: f64,
    /// Sums of squares of what rounding changes, of [`Range::Bytes`] and [`Range::Unit`], in bytes.
    rounding: [f64; 2],
}

impl Default for PixelStatistics {
    fn default() -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { num: 0.0, min, max, sum: 0.0, sum_of_squares: 0.0, rounding: [0.0; 2] }
    }
}

impl PixelStatistics {
    pub(crate) fn add(&mut self, value: f64) {
        self.num += 1.0;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        self.sum += value;
        self.sum_of_squares += value * value;
        for (sum, range) in self.rounding.iter_mut().zip([Range::Bytes, Range::Unit]) {
            let scaled = value * range.scale();
            *sum += (scaled - scaled.round()).powi(2);
        }
    }

    /// Whether every value is 0.
    pub(crate) fn is_black(&self) -> bool {
        self.min >= 0.0 && self.max <= 0.0
    }

    /// The range of the values. The error is a reason.
    pub(crate) fn range(&self, element: Element) -> Result<Range, String> {
        let Self { min, max, .. } = *self;
        let fractional = element == Element::Float;
        let unit = element == Element::Bool || fractional && max <= 1.0 + OVERSHOOT;
        let range = if unit { Range::Unit } else { Range::Bytes };
        let refuse = |why: &str| Err(format!("has values from {min} to {max}, but {why}"));
        if min * range.scale() < -255.0 * OVERSHOOT || max * range.scale() > 255.0 * (1.0 + OVERSHOOT) {
            return refuse(match (fractional, min < 0.0) {
                (true, true) => {
                    "pixels must be 0 to 255, or floats from 0 to 1: subtract the minimum and divide by the \
                     range"
                }
                (true, false) => "pixels must be 0 to 255, or floats from 0 to 1: divide by the maximum",
                (false, _) if max > 255.0 && max <= 65_535.0 && min >= 0.0 => {
                    "pixels must be 0 to 255, or floats from 0 to 1: divide those of 16 bits by 65535"
                }
                (false, _) => "pixels must be 0 to 255, or floats from 0 to 1",
            });
        }
        // As bytes they would be black; more likely some are far outside of 0 to 1.
        if fractional && range == Range::Bytes && max < 2.0 {
            return refuse(
                "that is too much for floats from 0 to 1, and too little for pixels from 0 to 255",
            );
        }
        if self.relative_rounding(range) > MAX_ROUNDING {
            let level = |value: f64| (value * range.scale()).round().clamp(0.0, 255.0);
            let levels = level(max) - level(min) + 1.0;
            return refuse(&format!(
                "rounded to bytes, at most {levels} different ones would be left of them: subtract the \
                 minimum and divide by the range, so that they are floats from 0 to 1"
            ));
        }
        Ok(range)
    }

    /// Root mean square of what rounding changes, over the standard deviation; 0 if all values are the same.
    fn relative_rounding(&self, range: Range) -> f64 {
        let mean = self.sum / self.num;
        let variance = (self.sum_of_squares / self.num - mean * mean) * range.scale().powi(2);
        let rounding = self.rounding[usize::from(range == Range::Unit)] / self.num;
        // Rounding of the sums themselves leaves a little of a variance of 0.
        if variance <= 1e-9 { 0.0 } else { (rounding / variance).sqrt() }
    }

    /// Minimum and maximum of floats with fractions that are taken for pixels from 0 to 255 and may be of
    /// another range.
    pub(crate) fn rounded(&self, element: Element, range: Range) -> Option<[f64; 2]> {
        let fractions = self.relative_rounding(range) > 1e-3;
        let doubtful = element == Element::Float && range == Range::Bytes && self.max < USUAL_MAX;
        (fractions && doubtful).then_some([self.min, self.max])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(element: Element, values: impl IntoIterator<Item = f64>) -> Result<Range, String> {
        let mut statistics = PixelStatistics::default();
        values.into_iter().for_each(|value| statistics.add(value));
        statistics.range(element)
    }

    /// Evenly from `min` to `max`.
    fn spread(min: f64, max: f64) -> impl Iterator<Item = f64> {
        (0..=1000).map(move |i| min + (max - min) * f64::from(i) / 1000.0)
    }

    #[test]
    fn floats_that_bytes_can_hold_are_taken() {
        for (min, max, expected) in [
            (0.0, 1.0, Range::Unit),
            (0.2, 0.5, Range::Unit),
            (0.0, 255.0, Range::Bytes),
            (0.0, 100.0, Range::Bytes),
            (30.0, 60.0, Range::Bytes),
        ] {
            assert_eq!(range(Element::Float, spread(min, max)), Ok(expected), "{min} to {max}");
        }
        // Whole numbers lose nothing, however few they are.
        assert_eq!(range(Element::Float, [0.0, 1.0, 2.0, 3.0, 2.0]), Ok(Range::Bytes));
        assert_eq!(range(Element::Signed, [0.0, 1.0]), Ok(Range::Bytes));
        assert_eq!(range(Element::Bool, [0.0, 1.0]), Ok(Range::Unit));
        assert_eq!(range(Element::Float, [0.5; 9]), Ok(Range::Unit));
        assert_eq!(range(Element::Float, [100.7; 9]), Ok(Range::Bytes));
    }

    #[test]
    fn floats_that_rounding_would_destroy_are_refused() {
        for (min, max, levels) in [
            (0.0, 3.4, "4 different"),
            (0.0, 0.01, "4 different"),
            (0.5, 0.504, "2 different"),
            (100.0, 105.0, "6 different"),
        ] {
            let reason = range(Element::Float, spread(min, max)).unwrap_err();
            assert!(reason.contains(levels) && reason.contains("divide by the range"), "{reason}");
        }
        // One white pixel does not make the others bytes.
        let one_white = (0..9).flat_map(|_| spread(0.0, 3.4)).chain([255.0]);
        assert!(range(Element::Float, one_white).is_err());
        for (element, min, max, hint) in [
            (Element::Float, -1.0, 1.0, "subtract the minimum"),
            (Element::Float, 0.0, 1000.0, "divide by the maximum"),
            (Element::Unsigned, 0.0, 65_535.0, "by 65535"),
            (Element::Signed, -128.0, 127.0, "0 to 255"),
        ] {
            let reason = range(element, spread(min, max)).unwrap_err();
            assert!(reason.contains(hint), "{reason}");
        }
    }

    #[test]
    fn per_cents_are_told_of() {
        let mut statistics = PixelStatistics::default();
        spread(0.0, 100.0).for_each(|value| statistics.add(value));
        assert_eq!(statistics.rounded(Element::Float, Range::Bytes), Some([0.0, 100.0]));
        let mut whole = PixelStatistics::default();
        (0..100).for_each(|value| whole.add(f64::from(value)));
        assert_eq!(whole.rounded(Element::Float, Range::Bytes), None);
    }
}
