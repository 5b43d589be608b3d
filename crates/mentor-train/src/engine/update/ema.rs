//! The exponential moving average of the weights: a steadier teacher than the last update.

use mentor_model::NamedTensor;

/// Moves `average` towards `current` in place: a ← d·a + (1 − d)·w for every value, running statistics of
/// normalisation included, in f64 before the one rounding to f32.
///
/// **Parameters.** `decay` d in [0, 1], such as 0.999 or what [`ema_decay`] gives; 0 copies, 1 keeps.
///
/// **Source.** Polyak, Juditsky 1992; in self-training Xie et al. 2020 and Tarvainen, Valpola 2017.
///
/// # Panics
///
/// If the tensors are not of one network, or `decay` is not in [0, 1].
pub fn update_average(average: &mut [NamedTensor], current: &[NamedTensor], decay: f64) {
    assert!((0.0..=1.0).contains(&decay), "decay {decay} is not in [0, 1]");
    assert_eq!(average.len(), current.len(), "numbers of tensors");
    for (average, current) in average.iter_mut().zip(current) {
        assert_eq!(average.path, current.path, "tensors in another order");
        assert_eq!(average.shape, current.shape, "{}: shapes", current.path);
        for (average, &value) in average.values.iter_mut().zip(&current.values) {
            *average = (decay * f64::from(*average) + (1.0 - decay) * f64::from(value)) as f32;
        }
    }
}

/// The decay of update `step`, counted from 0: min(`decay`, (1 + step)/(10 + step)), so that a short run's
/// average is not its first weights. TensorFlow's `ExponentialMovingAverage` with `num_updates`.
pub fn ema_decay(decay: f64, step: u64) -> f64 {
    let step = step as f64;
    decay.min((1.0 + step) / (10.0 + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(weight: f32, mean: f32) -> Vec<NamedTensor> {
        vec![
            NamedTensor::new("layer.weight", vec![2], vec![weight, -weight]),
            NamedTensor::new("norm.running_mean", vec![1], vec![mean]),
        ]
    }

    #[test]
    fn the_average_is_the_closed_form() {
        let mut average = tensors(0.0, 4.0);
        for _ in 0..20 {
            update_average(&mut average, &tensors(1.0, 2.0), 0.9);
        }
        let kept = 0.9_f64.powi(20);
        assert!((f64::from(average[0].values[0]) - (1.0 - kept)).abs() < 1e-6);
        assert_eq!(average[0].values[0], -average[0].values[1]);
        assert!((f64::from(average[1].values[0]) - (2.0 + 2.0 * kept)).abs() < 1e-6);
    }

    #[test]
    fn the_ends_copy_and_keep() {
        let mut average = tensors(3.0, 1.0);
        update_average(&mut average, &tensors(5.0, 2.0), 1.0);
        assert_eq!(average, tensors(3.0, 1.0));
        update_average(&mut average, &tensors(5.0, 2.0), 0.0);
        assert_eq!(average, tensors(5.0, 2.0));
    }

    #[test]
    fn the_decay_grows_to_its_value() {
        assert_eq!(ema_decay(0.999, 0), 0.1);
        assert!((ema_decay(0.999, 90) - 0.91).abs() < 1e-12);
        assert_eq!(ema_decay(0.999, 1_000_000), 0.999);
    }

    #[test]
    #[should_panic(expected = "tensors in another order")]
    fn tensors_of_another_network_are_refused() {
        let mut average = tensors(0.0, 0.0);
        let swapped: Vec<NamedTensor> = tensors(0.0, 0.0).into_iter().rev().collect();
        update_average(&mut average, &swapped, 0.5);
    }
}
