//! Embeddings of positions for another number of patches than they were trained with.

/// How a grid of embeddings is brought to another size. All are bicubic; networks were trained with one of
/// them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Interpolation {
    /// Keys' kernel with a = -0.75 at the four nearest points (PyTorch without antialiasing). The step
    /// between results is `from / (to + offset)`: DINO and DINOv2 without registers have an offset of 0.1,
    /// others 0.
    Points { offset: f64 },
    /// Keys' kernel with a = -0.5, as wide as the step (PyTorch with antialiasing): timm, and DINOv2 with
    /// registers.
    Antialiased,
}

impl Interpolation {
    /// `[to rows, to columns, width]` of `[from rows, from columns, width]`.
    pub(crate) fn apply(self, grid: &[f32], from: [usize; 2], to: [usize; 2], width: usize) -> Vec<f32> {
        assert_eq!(grid.len(), from[0] * from[1] * width);
        if from == to {
            return grid.to_vec();
        }
        let [rows, columns] = [0, 1].map(|axis| self.weights(from[axis], to[axis]));
        let mut out = Vec::with_capacity(to[0] * to[1] * width);
        for row in &rows {
            for column in &columns {
                let mut sums = vec![0.0_f64; width];
                for &(y, row_weight) in row {
                    for &(x, column_weight) in column {
                        let values = &grid[(y * from[1] + x) * width..][..width];
                        let weight = row_weight * column_weight;
                        sums.iter_mut()
                            .zip(values)
                            .for_each(|(sum, &value)| *sum += weight * f64::from(value));
                    }
                }
                out.extend(sums.iter().map(|&sum| sum as f32));
            }
        }
        out
    }

    /// For each result the values that it is made of, and their weights.
    fn weights(self, from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
        let last = from as isize - 1;
        match self {
            Self::Points { offset } => {
                let step = from as f64 / (to as f64 + offset);
                let of = |at: usize| {
                    let centre = (at as f64 + 0.5) * step - 0.5;
                    let first = centre.floor() as isize - 1;
                    let tap = |near: isize| (near.clamp(0, last) as usize, keys(-0.75, near as f64 - centre));
                    (first..first + 4).map(tap).collect()
                };
                (0..to).map(of).collect()
            }
            Self::Antialiased => {
                let step = from as f64 / to as f64;
                let width = step.max(1.0);
                let of = |at: usize| {
                    let centre = (at as f64 + 0.5) * step;
                    let first = ((centre - 2.0 * width + 0.5) as isize).clamp(0, last);
                    let end = ((centre + 2.0 * width + 0.5) as isize).clamp(first + 1, last + 1);
                    let tap = |near: isize| (near as usize, keys(-0.5, (near as f64 + 0.5 - centre) / width));
                    let mut taps: Vec<(usize, f64)> = (first..end).map(tap).collect();
                    let total: f64 = taps.iter().map(|(_, weight)| weight).sum();
                    taps.iter_mut().for_each(|(_, weight)| *weight /= total);
                    taps
                };
                (0..to).map(of).collect()
            }
        }
    }
}

/// The cubic convolution kernel (Keys 1981, equation 15 for a = -1/2).
fn keys(a: f64, x: f64) -> f64 {
    match x.abs() {
        x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_stays_a_plane_inside_and_equal_sizes_are_left_alone() {
        let grid: Vec<f32> = (0..256).map(|at| (at / 16) as f32 + 10.0 * (at % 16) as f32).collect();
        for interpolation in [Interpolation::Points { offset: 0.0 }, Interpolation::Antialiased] {
            assert_eq!(interpolation.apply(&grid, [16, 16], [16, 16], 1), grid);
            let half = interpolation.apply(&grid, [16, 16], [8, 8], 1);
            // The middle of the pixels 6 and 7 is 6.5.
            assert!((half[3 * 8 + 3] - 71.5).abs() < 1e-4, "{interpolation:?} {half:?}");
        }
    }
}
