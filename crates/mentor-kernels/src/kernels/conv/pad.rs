//! Copying an image into planes with its padding.

use super::plan::{Plan, Source};
use crate::host::pointwise::masked;
use crate::simd::{Level, Simd, with_simd};

/// The planes of up to a group of images: the images themselves if the plan reads those and nothing is
/// masked, or else a padded copy.
pub(crate) fn planes<'a>(
    level: Level,
    plan: &Plan,
    images: &'a [f32],
    relu: Option<&[f32]>,
    image_len: usize,
    copy: &'a mut [f32],
) -> &'a [f32] {
    if plan.reads_images && relu.is_none() {
        return images;
    }
    pad_group(level, &plan.source, images, relu, image_len, copy);
    copy
}

/// Pads up to a group of images of `image_len` values, one after the other.
pub(crate) fn pad_group(
    level: Level,
    source: &Source,
    images: &[f32],
    relu: Option<&[f32]>,
    image_len: usize,
    planes: &mut [f32],
) {
    if source.splits() {
        let narrow = level.narrowest(source.image[1] / 2);
        return split_group(narrow, source, images, relu, image_len, planes);
    }
    let padded = source.image_len();
    let count = images.len() / image_len;
    for (index, image) in images.chunks_exact(image_len).enumerate() {
        let relu = relu.map(|relu| &relu[index * image_len..][..image_len]);
        pad(source, image, relu, &mut planes[index * padded..][..padded]);
    }
    // What lies behind the last image is the padding right of its last row, if rows share it.
    let end = (count * padded + source.padding[1]).min(planes.len());
    planes[count * padded..end].fill(0.0);
}

/// Writes `image` `[channels, height, width]` into `planes` `[channels, planes, rows, pitch]`.
///
/// With `relu`, the output of a ReLU in the layout of `image`, values are zero where that output is: this is
/// the backward pass of the ReLU.
fn pad(source: &Source, image: &[f32], relu: Option<&[f32]>, planes: &mut [f32]) {
    let [height, width] = source.image;
    let channels = planes.chunks_exact_mut((source.planes.len() * source.plane_len()).max(1));
    for (channel, planes) in channels.take(source.channels).enumerate() {
        let at = channel * height * width;
        let image = &image[at..at + height * width];
        let relu = relu.map(|relu| &relu[at..at + height * width]);
        for (plane, phase) in planes.chunks_exact_mut(source.plane_len()).zip(&source.planes) {
            // The columns of the image in a row of the plane: `count` of them after `lead`, from column
            // `skip` on.
            let lead = source.padding[1].saturating_sub(phase[1]).div_ceil(source.step).min(source.pitch);
            let skip = lead * source.step + phase[1] - source.padding[1].min(lead * source.step + phase[1]);
            let count = width.saturating_sub(skip).div_ceil(source.step).min(source.pitch - lead);
            for (row, to) in plane.chunks_exact_mut(source.pitch).enumerate() {
                let padded = source.step * row + phase[0];
                if padded < source.padding[0] || padded - source.padding[0] >= height {
                    to.fill(0.0);
                    continue;
                }
                let at = (padded - source.padding[0]) * width;
                let from = &image[at..at + width];
                to[..lead].fill(0.0);
                to[lead + count..].fill(0.0);
                let to = &mut to[lead..lead + count];
                match relu {
                    _ if count == 0 => {}
                    Some(relu) if source.step == 1 => {
                        let pairs = from[skip..].iter().zip(&relu[at + skip..]);
                        to.iter_mut().zip(pairs).for_each(|(to, (from, relu))| *to = masked(*from, *relu));
                    }
                    Some(relu) => {
                        let from = from[skip..].iter().step_by(source.step);
                        let relu = relu[at + skip..].iter().step_by(source.step);
                        to.iter_mut()
                            .zip(from.zip(relu))
                            .for_each(|(to, (from, relu))| *to = masked(*from, *relu));
                    }
                    None if source.step == 1 => to.copy_from_slice(&from[skip..skip + count]),
                    None if source.step == 2 => {
                        let (pairs, rest) = from[skip..].as_chunks::<2>();
                        to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
                        if let (Some(to), Some(from)) = (to.get_mut(pairs.len()), rest.first()) {
                            *to = *from;
                        }
                    }
                    None => {
                        let from = from[skip..].iter().step_by(source.step);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    }
}

/// As [`pad_group`] for a source that [splits](Source::splits): into the even and odd columns of rows, by
/// vectors.
///
/// A vector may write past the end of its row of a plane, up to `source.pitch` values; the next row
/// overwrites that, and behind the last row the source has one that nobody reads.
fn split_group(
    level: Level,
    source: &Source,
    images: &[f32],
    relu: Option<&[f32]>,
    image_len: usize,
    planes: &mut [f32],
) {
    let ([height, width], [top, _]) = (source.image, source.padding);
    assert!(level.exists());
    assert_eq!(image_len, source.channels * height * width);
    assert!(source.splits());
    assert!(relu.is_none_or(|relu| relu.len() == images.len()));
    assert!(planes.len() >= images.len() / image_len * source.image_len());
    let to = planes.as_mut_ptr();
    // SAFETY: the level exists. Each image has its planes, whose rows and columns hold the image and, behind
    // their last row, one row for what a vector writes too much.
    unsafe {
        with_simd!(level, split(source: &Source, images: &[f32], relu: Option<&[f32]>, to: *mut f32));
    }
    let all = &mut planes[..images.len() / image_len * source.image_len()];
    for (index, plane) in all.chunks_exact_mut(source.plane_len()).enumerate() {
        let [row, _] = source.planes[index % 4];
        plane[..top.saturating_sub(row).div_ceil(2) * source.pitch].fill(0.0);
        plane[(top + height - row).div_ceil(2) * source.pitch..].fill(0.0);
    }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`split_group`] hold.
#[inline(always)]
unsafe fn split<S: Simd>(source: &Source, images: &[f32], relu: Option<&[f32]>, to: *mut f32) {
    let [height, width] = source.image;
    let [top, left] = source.padding;
    let mut start = 0;
    let mut channel = 0;
    while start < images.len() {
        let mut row = 0;
        while row < height {
            // SAFETY: this plane and row exist, and so do the columns of the two phases; see the checks.
            let (lines, even, odd) = unsafe {
                let plane = to.add((channel * 4 + (row + top) % 2 * 2) * source.plane_len());
                let line = plane.add((row + top) / 2 * source.pitch);
                let lines = [line, line.add(source.plane_len())];
                (lines, lines[left % 2].add(left / 2), lines[(left + 1) % 2].add(left.div_ceil(2)))
            };
            let from = start + row * width;
            let mut column = 0;
            // A vector writes at most a row of the plane past the columns of the image.
            while column < width
                && from + column + 2 * S::LANES <= images.len()
                && column / 2 + S::LANES <= width / 2 + source.pitch - 2
            {
                // SAFETY: the values are there by the condition, in `relu` as in `images`, and the room by
                // the checks.
                unsafe {
                    let load = |values: &[f32]| {
                        let values = values.as_ptr().add(from + column);
                        [S::load(values), S::load(values.add(S::LANES))]
                    };
                    let mut pair = load(images);
                    if let Some(relu) = relu {
                        let outputs = load(relu);
                        pair = [S::masked(pair[0], outputs[0]), S::masked(pair[1], outputs[1])];
                    }
                    let [evens, odds] = S::deinterleave(pair[0], pair[1]);
                    S::store(even.add(column / 2), evens);
                    S::store(odd.add(column / 2), odds);
                }
                column += 2 * S::LANES;
            }
            while column < width {
                let value = images[from + column];
                let value = relu.map_or(value, |relu| masked(value, relu[from + column]));
                // SAFETY: the column exists in its plane.
                unsafe { *(if column % 2 == 0 { even } else { odd }).add(column / 2) = value };
                column += 1;
            }
            for (phase, line) in lines.into_iter().enumerate() {
                // SAFETY: the columns left and right of the image are within the row.
                unsafe {
                    clear(line, 0, left.saturating_sub(phase).div_ceil(2));
                    clear(line, (left + width - phase).div_ceil(2), source.pitch);
                }
            }
            row += 1;
        }
        start += height * width;
        channel += 1;
    }
}

/// Zeros in a row: mostly one or none, for which a call of `memset`, into which the compiler turns plain
/// writes, costs too much.
///
/// # Safety
///
/// The row has `end` values.
#[inline(always)]
unsafe fn clear(row: *mut f32, start: usize, end: usize) {
    for at in start..end {
        // SAFETY: `at` is less than `end`.
        unsafe { row.add(at).write_volatile(0.0) };
    }
}
