//! Axes: a range of values, round ticks on it, and their labels.

/// How values become positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios; values are greater than 0.
    Log,
}

/// A range with its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    label: String,
    percent: bool,
}

/// Values above this are drawn like infinity: differences of larger ones overflow.
const LARGEST: f64 = 1e100;

/// Whether a value has a place on an axis.
pub(crate) fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

impl Axis {
    /// An axis over the finite ones of `values`, with 0 included when it is near.
    pub(crate) fn linear(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = range(values).unwrap_or((0.0, 1.0));
        if low > 0.0 && low < 0.5 * high {
            low = 0.0;
        }
        if low == high {
            let pad = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
            (low, high) = (low - if low == 0.0 { 0.0 } else { pad }, high + pad);
        } else {
            let pad = (high - low) * 0.05;
            (low, high) = (if low == 0.0 { 0.0 } else { low - pad }, high + pad);
        }
        Self::between(label, low, high)
    }

    /// A linear axis with given ends.
    pub(crate) fn between(label: &str, low: f64, high: f64) -> Self {
        let ticks = linear_ticks(low, high, 5);
        Self { scale: Scale::Linear, low, high, ticks, label: label.to_owned(), percent: false }
    }

    /// A logarithmic axis when the values are positive and the highest is more than `ratio`
    /// times the lowest, else a linear one.
    pub(crate) fn log_if_wide(label: &str, values: impl IntoIterator<Item = f64>, ratio: f64) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        match range(values.iter().copied()) {
            Some((low, high)) if low > 0.0 && high / low > ratio => Self {
                scale: Scale::Log,
                low: low / 1.2,
                high: high * 1.2,
                ticks: log_ticks(low / 1.2, high * 1.2),
                label: format!("{label}, log scale"),
                percent: false,
            },
            _ => Self::linear(label, values),
        }
    }

    /// An axis of whole numbers, such as epochs.
    pub(crate) fn whole(label: &str, low: f64, high: f64) -> Self {
        let mut axis = Self::between(label, low, if high > low { high } else { low + 1.0 });
        axis.ticks.retain(|tick| tick.fract() == 0.0);
        axis
    }

    /// An axis of shares between 0 and 1, labelled in per cent; it starts above 0 when all values do.
    pub(crate) fn shares(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let low = ((low - 0.05).clamp(0.0, 0.95) * 10.0).floor() / 10.0;
        let high = if high > 0.7 { 1.0 } else { (high * 1.15).max(low + 0.1) };
        Self { percent: true, ..Self::between(label, low, high) }
    }

    /// Shares over the whole of 0 to 1.
    pub(crate) fn all_shares(label: &str) -> Self {
        Self { percent: true, ..Self::between(label, 0.0, 1.0) }
    }

    /// Where `value` lies, 0 at the low and 1 at the high end; `None` for what cannot be drawn.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        let position = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        (is_drawable(value) && position.is_finite()).then_some(position)
    }

    /// `value`, moved to the nearer end where it lies outside.
    pub(crate) fn clamp(&self, value: f64) -> f64 {
        // What cannot be drawn stays what it is, so that it is marked.
        if !is_drawable(value) {
            value
        } else if value < self.low {
            self.low
        } else if value > self.high {
            self.high
        } else {
            value
        }
    }

    /// What the axis shows.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Positions and labels of the ticks.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let step = self.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        self.ticks
            .iter()
            .filter_map(|&tick| {
                let label = match self.scale {
                    _ if self.percent => tick_label(tick * 100.0, step * 100.0) + "\u{202f}%",
                    Scale::Linear => tick_label(tick, step),
                    Scale::Log => tick_label(tick, tick),
                };
                self.position(tick).map(|position| (position, label))
            })
            .collect()
    }
}

/// Lowest and highest of the values that can be drawn.
fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| is_drawable(*value)).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// About `target` multiples of 1, 2 or 5 times a power of ten in `[low, high]`.
fn linear_ticks(low: f64, high: f64, target: usize) -> Vec<f64> {
    let raw = (high - low) / target as f64;
    if !(raw > 0.0 && raw.is_finite()) {
        return vec![low];
    }
    let power = 10_f64.powf(raw.log10().floor());
    // The step whose number of ticks is nearest to the target, as a ratio.
    let distance = |step: &f64| (step / raw).ln().abs();
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step =
        steps.into_iter().min_by(|left, right| distance(left).total_cmp(&distance(right))).unwrap_or(raw);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    if step < low.abs().max(high.abs()) * 1e-9 {
        // The range is too narrow for its distance from 0: ticks would differ in no digit.
        return vec![low, high];
    }
    // Multiplied, not added up, so that 0.3 is 0.3; adding 0 turns -0 into 0.
    (0..=(last - first) as usize).map(|index| (first + index as f64) * step + 0.0).collect()
}

/// Powers of ten in `[low, high]`, thinned to at most seven; over less than two decades also 2 and 5 times
/// them.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    if high / low < 100.0 {
        let powers = (low.log10().floor() as i32)..=(high.log10().floor() as i32);
        let ticks = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)));
        return ticks.filter(|tick| *tick >= low && *tick <= high).collect();
    }
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    let every = ((last - first) / 7 + 1).max(1) as usize;
    (first..=last).step_by(every).map(|power| 10_f64.powi(power)).collect()
}

/// A tick with as many decimals as its step needs.
fn tick_label(tick: f64, step: f64) -> String {
    let size = tick.abs().max(if step.is_finite() { step } else { 0.0 });
    let label = if size == 0.0 || (1e-4..1e5).contains(&size) {
        let decimals =
            if step.is_finite() && step > 0.0 { (-step.log10().floor()).clamp(0.0, 6.0) } else { 2.0 };
        format!("{tick:.*}", decimals as usize)
    } else if tick == 0.0 {
        "0".to_owned()
    } else {
        // As many digits as tell it from its neighbour, and no zero at their end.
        let digits = (tick.abs() / step).log10().ceil().clamp(0.0, 6.0) as usize;
        let text = format!("{tick:.digits$e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let whole = !mantissa.contains('.');
        let mantissa = if whole { mantissa } else { mantissa.trim_end_matches('0').trim_end_matches('.') };
        format!("{mantissa}e{power}")
    };
    label.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_inside_the_range() {
        assert_eq!(linear_ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(linear_ticks(-0.31, 0.42, 5), [-0.2, 0.0, 0.2, 0.4]);
        assert_eq!(linear_ticks(3.0, 97.0, 5), [20.0, 40.0, 60.0, 80.0]);
        assert_eq!(linear_ticks(2.0, 2.0, 5), [2.0]);
        assert_eq!(linear_ticks(1e16, 1e16 + 2.0, 5).len(), 2);
    }

    #[test]
    fn labels_have_the_decimals_of_the_step() {
        assert_eq!(labels(&Axis::between("", -0.5, 0.5)), ["−0.4", "−0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(labels(&Axis::between("", 0.0, 0.004)), ["0.000", "0.001", "0.002", "0.003", "0.004"]);
        assert_eq!(
            labels(&Axis::all_shares("")),
            ["0\u{202f}%", "20\u{202f}%", "40\u{202f}%", "60\u{202f}%", "80\u{202f}%", "100\u{202f}%"]
        );
    }

    #[test]
    fn huge_and_tiny_labels_have_no_digits_of_rounding() {
        assert_eq!(
            labels(&Axis::between("", 0.0, 3e33)),
            ["0", "5e32", "1e33", "1.5e33", "2e33", "2.5e33", "3e33"]
        );
        assert_eq!(labels(&Axis::between("", 0.0, 4e-5)), ["0", "1e−5", "2e−5", "3e−5", "4e−5"]);
        assert_eq!(labels(&Axis::between("", 1_000_000.0, 1_000_004.0))[1], "1.000001e6");
    }

    #[test]
    fn values_that_are_not_finite_or_huge_are_left_out() {
        let axis = Axis::linear("", [f64::NAN, 1.0, f64::INFINITY, 3.0, 1e300]);
        assert_eq!(axis.position(f64::NAN), None);
        assert_eq!(axis.position(1e300), None);
        assert!((0.0..=1.0).contains(&axis.position(3.0).unwrap()));
        for values in [vec![], vec![f64::NAN], vec![0.0], vec![-2.0, -2.0], vec![1e100, -1e100]] {
            let axis = Axis::linear("", values);
            assert!(axis.ticks().iter().all(|(position, _)| position.is_finite()), "{axis:?}");
        }
    }

    #[test]
    fn a_wide_positive_range_is_logarithmic_and_one_with_zero_is_not() {
        let axis = Axis::log_if_wide("loss", [0.001, 2.0], 6.0);
        assert_eq!(axis.label(), "loss, log scale");
        assert_eq!(labels(&axis), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(axis.position(0.0), None);
        assert_eq!(labels(&Axis::log_if_wide("loss", [0.15, 1.2], 6.0)), ["0.2", "0.5", "1"]);
        assert_eq!(Axis::log_if_wide("loss", [0.0, 2.0], 6.0).label(), "loss");
        assert_eq!(Axis::log_if_wide("loss", [1.0, 2.0], 6.0).label(), "loss");
    }

    #[test]
    fn whole_axes_have_whole_ticks() {
        assert_eq!(labels(&Axis::whole("epoch", 0.0, 3.0)), ["0", "1", "2", "3"]);
        assert!(Axis::whole("epoch", 1.0, 1.0).ticks().len() >= 2);
    }
}
