//! Normalisation of bytes: `x = (byte / 255 - mean[c]) / std[c]`.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::format::ImageFormat;

/// What happens to an image before a network sees it. Fitted to the training split, stored in the
/// model, applied the same at training, evaluation and prediction.
///
/// ```
/// use mentor_data::{ImageFormat, Preprocessing};
/// let preprocessing =
///     Preprocessing { format: ImageFormat::new(1, 1, 2), mean: vec![0.5], std: vec![0.25] };
/// let mut out = [0.0; 2];
/// preprocessing.apply(&[0, 255], &mut out);
/// assert_eq!(out, [-2.0, 2.0]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Shape of the images.
    pub format: ImageFormat,
    /// Mean of each channel over the training split, in `[0, 1]`.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel (denominator N); 1 for a constant channel.
    pub std: Vec<f32>,
}

impl Preprocessing {
    /// Mean and standard deviation of each channel of `train`.
    ///
    /// The sums are integers, so the result does not depend on the number of threads.
    pub fn fit(train: &Dataset) -> Self {
        let format = train.format().clone();
        let num_pixels = (train.len() * format.height * format.width).max(1) as f64;
        let (mean, std) = train
            .channel_sums()
            .iter()
            .map(|sums| {
                let mean = sums.sum as f64 / num_pixels;
                let variance = (sums.sum_of_squares as f64 / num_pixels - mean * mean).max(0.0);
                let std = if variance.sqrt() < 1e-3 { 255.0 } else { variance.sqrt() };
                ((mean / 255.0) as f32, (std / 255.0) as f32)
            })
            .unzip();
        Self { format, mean, std }
    }

    /// Writes the normalised image to `out`. Both are `[channels, height, width]`.
    ///
    /// # Panics
    ///
    /// If either slice is not as long as the format says.
    pub fn apply(&self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!([bytes.len(), out.len()], [self.format.num_values(); 2], "image of another format");
        let plane = self.format.height * self.format.width;
        for ((bytes, out), (scale, shift)) in
            bytes.chunks_exact(plane).zip(out.chunks_exact_mut(plane)).zip(self.coefficients())
        {
            for (value, &byte) in out.iter_mut().zip(bytes) {
                *value = f32::from(byte) * scale + shift;
            }
        }
    }

    /// Images `[channels, height, width]` normalised, one after the other: `[N, channels, height, width]`.
    ///
    /// # Panics
    ///
    /// If an image is not as long as the format says.
    pub fn normalised(&self, images: &[Vec<u8>]) -> Vec<f32> {
        let mut values = Vec::with_capacity(images.len() * self.format.num_values());
        images.iter().for_each(|image| self.extend(image, &mut values));
        values
    }

    /// Appends the normalised image to `out`, without first filling it with zeros. The numbers are
    /// those of [`Preprocessing::apply`].
    pub(crate) fn extend(&self, bytes: &[u8], out: &mut Vec<f32>) {
        assert_eq!(bytes.len(), self.format.num_values(), "image of another format");
        let plane = self.format.height * self.format.width;
        let arch = pulp::Arch::new();
        for (bytes, (scale, shift)) in bytes.chunks_exact(plane).zip(self.coefficients()) {
            arch.dispatch(|| out.extend(bytes.iter().map(|&byte| f32::from(byte) * scale + shift)));
        }
    }

    /// `(scale, shift)` of each channel, so that `x = byte * scale + shift`: one multiplication and one
    /// addition, which the compiler turns into vector instructions.
    fn coefficients(&self) -> impl Iterator<Item = (f32, f32)> {
        self.mean.iter().zip(&self.std).map(|(&mean, &std)| (1.0 / (255.0 * std), -mean / std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_gives_mean_and_deviation_by_hand() {
        let format = ImageFormat::new(3, 1, 2);
        // Channel 0: 0, 255, 0, 255; channel 1: constant 51; channel 2: 0, 0, 0, 255.
        let pixels = vec![0, 255, 51, 51, 0, 0, 0, 255, 51, 51, 0, 255];
        let classes = vec!["a".into(), "b".into()];
        let ids = vec!["0".into(), "1".into()];
        let dataset = Dataset::from_parts(classes, format, pixels, vec![0, 1], ids).unwrap();
        let fitted = Preprocessing::fit(&dataset);
        assert_eq!(fitted.mean, [0.5, 0.2, 0.25]);
        assert_eq!(fitted.std, [0.5, 1.0, (3.0f32).sqrt() / 4.0]);
    }

    #[test]
    fn extend_gives_the_bits_of_apply() {
        let preprocessing = Preprocessing {
            format: ImageFormat::new(3, 2, 3),
            mean: vec![0.1, 0.5, 0.7],
            std: vec![0.3, 0.2, 0.9],
        };
        let bytes: Vec<u8> = (0..18).map(|i| i * 14).collect();
        let (mut applied, mut extended) = (vec![0.0; 18], Vec::new());
        preprocessing.apply(&bytes, &mut applied);
        preprocessing.extend(&bytes, &mut extended);
        assert_eq!(applied, extended);
    }
}
