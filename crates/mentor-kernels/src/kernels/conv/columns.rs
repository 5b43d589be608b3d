//! The transpose of a panel of channels: `to[position, channel] = dy[channel, position]`.

use crate::host::pointwise::masked;
use crate::simd::Level;

/// Writes `width` channels of one image, of which `channels` exist and the others are zero.
///
/// `dy` holds the positions of the channels, which are `stride` apart, and nothing after the last; `relu` the
/// same of the output of a ReLU, whose backward pass is applied; `to` is `[positions, width]`.
pub(crate) fn transpose(
    level: Level,
    dy: &[f32],
    relu: Option<&[f32]>,
    stride: usize,
    channels: usize,
    width: usize,
    to: &mut [f32],
) {
    let positions = to.len() / width;
    assert!(channels > 0 && positions <= stride);
    assert_eq!([to.len(), dy.len()], [positions * width, (channels - 1) * stride + positions]);
    assert!(channels <= width && relu.is_none_or(|relu| relu.len() == dy.len()) && level.exists());
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        while done + 8 <= channels {
            let at = done * stride;
            let relu = relu.map(|relu| relu[at..].as_ptr());
            // SAFETY: AVX2 exists; the eight rows from channel `done` exist in `dy` and `relu`, and eight
            // columns from `done` in `to`.
            unsafe { eight(dy[at..].as_ptr(), relu, stride, positions, width, to.as_mut_ptr().add(done)) };
            done += 8;
        }
        let whole = positions / 8 * 8;
        for channel in 0..done {
            one(dy, relu, stride, channel, whole..positions, width, to);
        }
    }
    for channel in done..channels {
        one(dy, relu, stride, channel, 0..positions, width, to);
    }
    if channels < width {
        to.chunks_exact_mut(width).for_each(|row| row[channels..].fill(0.0));
    }
}

/// Some positions of one channel.
fn one(
    dy: &[f32],
    relu: Option<&[f32]>,
    stride: usize,
    channel: usize,
    range: std::ops::Range<usize>,
    width: usize,
    to: &mut [f32],
) {
    for position in range {
        let at = channel * stride + position;
        to[position * width + channel] = relu.map_or(dy[at], |relu| masked(dy[at], relu[at]));
    }
}

/// Eight channels, at all positions but the last up to seven.
///
/// # Safety
///
/// AVX2 exists; `dy` and `relu` have eight rows of `positions` values `stride` apart, and `to` has
/// `positions` rows of eight values that are `width` apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn eight(
    dy: *const f32,
    relu: Option<*const f32>,
    stride: usize,
    positions: usize,
    width: usize,
    to: *mut f32,
) {
    use std::arch::x86_64::*;
    let mut position = 0;
    while position + 8 <= positions {
        let mut rows = [_mm256_setzero_ps(); 8];
        let mut row = 0;
        while row < 8 {
            let at = row * stride + position;
            // SAFETY: eight values from `position` are within the row; the caller's rows and columns exist.
            unsafe {
                rows[row] = _mm256_loadu_ps(dy.add(at));
                if let Some(relu) = relu {
                    // True where the output is positive or not a number.
                    let open =
                        _mm256_cmp_ps::<_CMP_NLE_UQ>(_mm256_loadu_ps(relu.add(at)), _mm256_setzero_ps());
                    rows[row] = _mm256_and_ps(rows[row], open);
                }
            }
            row += 1;
        }
        // SAFETY: AVX2 exists, and eight rows of eight values from `position` exist in `to`.
        unsafe { crate::simd::transpose_8x8(rows, to.add(position * width), width) };
        position += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_transposed_masked_and_filled_up() {
        for level in Level::available() {
            for (channels, positions, stride) in
                [(16, 24, 24), (8, 9, 11), (5, 7, 7), (13, 20, 40), (1, 1, 3)]
            {
                let dy: Vec<f32> = (0..(channels - 1) * stride + positions).map(|i| i as f32 + 1.0).collect();
                let relu: Vec<f32> = (0..dy.len()).map(|i| [0.0, 1.0, f32::NAN][i % 3]).collect();
                for relu in [None, Some(&relu[..])] {
                    let mut to = vec![f32::NAN; positions * 16];
                    transpose(level, &dy, relu, stride, channels, 16, &mut to);
                    for (index, &value) in to.iter().enumerate() {
                        let (position, channel) = (index / 16, index % 16);
                        let at = channel * stride + position;
                        let open = channel < channels && relu.is_none_or(|relu| relu[at] != 0.0);
                        assert_eq!(value, if open { dy[at] } else { 0.0 });
                    }
                }
            }
        }
    }
}
