//! The pixels that a window sees, side by side: what makes a convolution a product (im2col).

/// A window that moves over an image, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns that it covers.
    pub kernel: usize,
    /// From one place to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: Padding,
}

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many on each side, as PyTorch pads.
    Each(usize),
    /// TensorFlow's SAME: as many as make `⌈size / stride⌉` results; of an odd number the greater part is
    /// below and at the right.
    Same,
}

impl Window {
    /// Zeros before the first of `size` values, and the number of results.
    pub fn along(self, size: usize) -> (usize, usize) {
        match self.padding {
            Padding::Each(padding) => {
                (padding, (size + 2 * padding).saturating_sub(self.kernel) / self.stride + 1)
            }
            Padding::Same => {
                let count = size.div_ceil(self.stride);
                let total = ((count - 1) * self.stride + self.kernel).saturating_sub(size);
                (total / 2, count)
            }
        }
    }
}

/// Where the pixels of an image lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Channels that are read.
    pub(crate) channels: usize,
    /// Values from one pixel to the next.
    pub(crate) stride: usize,
}

/// Writes a row `[kernel row, kernel column, channel]` for each result from number `first` on, until `out` is
/// full.
pub(crate) fn gather(pixels: &Pixels<'_>, window: Window, first: usize, out: &mut [f32]) {
    let Pixels { values, height, width, channels, stride } = *pixels;
    let ((top, _), (left, columns)) = (window.along(height), window.along(width));
    let depth = window.kernel * window.kernel * channels;
    for (at, row) in out.chunks_exact_mut(depth).enumerate() {
        let (y, x) = ((first + at) / columns * window.stride, (first + at) % columns * window.stride);
        for (dy, line) in row.chunks_exact_mut(window.kernel * channels).enumerate() {
            let inside = (y + dy).checked_sub(top).filter(|&y| y < height);
            for (dx, pixel) in line.chunks_exact_mut(channels).enumerate() {
                match (inside, (x + dx).checked_sub(left).filter(|&x| x < width)) {
                    (Some(y), Some(x)) => {
                        pixel.copy_from_slice(&values[(y * width + x) * stride..][..channels]);
                    }
                    _ => pixel.fill(0.0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_that_of_tensorflow_and_uneven_at_stride_two() {
        let window = |kernel, stride, padding| Window { kernel, stride, padding };
        assert_eq!(window(3, 2, Padding::Same).along(224), (0, 112));
        assert_eq!(window(3, 2, Padding::Same).along(225), (1, 113));
        assert_eq!(window(5, 2, Padding::Same).along(112), (1, 56));
        assert_eq!(window(5, 1, Padding::Same).along(14), (2, 14));
        assert_eq!(window(3, 2, Padding::Each(1)).along(224), (1, 112));
        assert_eq!(window(1, 2, Padding::Each(0)).along(7), (0, 4));
    }

    #[test]
    fn a_window_at_the_corner_sees_zeros() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let pixels = Pixels { values: &values, height: 2, width: 2, channels: 1, stride: 1 };
        let mut out = [9.0; 18];
        gather(&pixels, Window { kernel: 3, stride: 1, padding: Padding::Each(1) }, 2, &mut out);
        assert_eq!(out[..9], [0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0]);
        assert_eq!(out[9..], [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
