//! Steps, zeros and integers.

/// How an activation is rounded: x ≈ (q − zero) · step, q from 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rounding {
    pub(super) step: f32,
    pub(super) zero: u8,
}

impl Rounding {
    /// The rounding that reaches from `least` to `greatest` and holds 0 exactly, since padding is 0.
    pub(super) fn of([least, greatest]: [f32; 2]) -> Self {
        let (least, greatest) = (least.min(0.0), greatest.max(0.0));
        let step = (greatest - least) / 255.0;
        if !step.is_normal() {
            return Self { step: 1.0, zero: 0 };
        }
        Self { step, zero: (-least / step).round() as u8 }
    }
}

/// Weights as integers, w ≈ q · step of the channel.
pub(super) struct Weights {
    pub(super) integers: Vec<i8>,
    pub(super) steps: Vec<f32>,
}

/// The weights of a layer whose channels lie on `axis` of their shape, and the steps that they need.
///
/// A bias is an integer of 32 bits in steps of `input_step` · step. A channel whose weights are nearly zero
/// has a wider step where its bias would not fit.
pub(super) fn weights(
    shape: &[usize],
    axis: usize,
    values: &[f32],
    bias: Option<&[f32]>,
    input_step: f32,
) -> Weights {
    let channels = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let channel = |place: usize| place / inner.max(1) % channels.max(1);
    let mut largest = vec![0.0_f32; channels];
    for (place, value) in values.iter().enumerate() {
        let largest = &mut largest[channel(place)];
        *largest = largest.max(value.abs());
    }
    let steps = largest.iter().enumerate().map(|(channel, largest)| {
        let for_bias = bias.map_or(0.0, |bias| bias[channel].abs() / input_step / MAX_BIAS);
        let step = (largest / 127.0).max(for_bias);
        if step.is_normal() { step } else { 1.0 }
    });
    let steps: Vec<f32> = steps.collect();
    let integer = |(place, value): (usize, &f32)| (value / steps[channel(place)]).round() as i8;
    Weights { integers: values.iter().enumerate().map(integer).collect(), steps }
}

/// The largest integer of a bias: what is added to it stays below 2³¹.
const MAX_BIAS: f32 = (1 << 30) as f32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_whole_number_and_the_ends_are_reached() {
        assert_eq!(Rounding::of([0.0, 2.55]), Rounding { step: 2.55 / 255.0, zero: 0 });
        assert_eq!(Rounding::of([-1.0, 1.55]), Rounding { step: 2.55 / 255.0, zero: 100 });
        // Values above 0 alone still have 0, and a tensor of zeros has some step.
        assert_eq!(Rounding::of([3.0, 5.1]), Rounding { step: 5.1 / 255.0, zero: 0 });
        assert_eq!(Rounding::of([-5.1, -3.0]).zero, 255);
        assert_eq!(Rounding::of([0.0, 0.0]), Rounding { step: 1.0, zero: 0 });
    }

    #[test]
    fn each_channel_has_its_own_step() {
        // Channels are rows of the first and columns of the second.
        for (axis, values) in [(0, [1.27, -0.635, 0.0, 12.7]), (1, [1.27, 0.0, -0.635, 12.7])] {
            let found = weights(&[2, 2], axis, &values, None, 1.0);
            assert_eq!(found.steps, [1.27 / 127.0, 12.7 / 127.0], "{axis}");
            let expected = if axis == 0 { [127, -64, 0, 127] } else { [127, 0, -64, 127] };
            assert_eq!(found.integers, expected, "{axis}");
        }
    }

    #[test]
    fn a_bias_fits_beside_weights_that_are_nearly_zero() {
        let found = weights(&[1, 2], 0, &[1e-20, 0.0], Some(&[3.0]), 0.01);
        assert!((3.0 / (0.01 * found.steps[0]) - MAX_BIAS).abs() < 1000.0, "{:?}", found.steps);
        assert_eq!(found.integers, [0, 0]);
        assert_eq!(weights(&[1, 2], 0, &[0.0; 2], Some(&[0.0]), 0.01).steps, [1.0]);
    }
}
