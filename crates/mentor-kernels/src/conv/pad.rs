//! Copying an image into planes with its padding.

use super::plan::{Plan, Source};

/// Pads up to a group of images of `image_len` values, one after the other.
pub(crate) fn pad_group(
    plan: &Plan,
    images: &[f32],
    relu: Option<&[f32]>,
    image_len: usize,
    planes: &mut [f32],
) {
    let padded = plan.source.image_len();
    let count = images.len() / image_len.max(1);
    for (index, image) in images.chunks_exact(image_len.max(1)).enumerate() {
        let relu = relu.map(|relu| &relu[index * image_len..][..image_len]);
        pad(&plan.source, image, relu, &mut planes[index * padded..][..padded]);
    }
    // What lies behind the last image is the padding right of its last row, if rows share it.
    let end = (count * padded + plan.source.padding[1]).min(planes.len());
    planes[count * padded..end].fill(0.0);
}

/// Writes `image` `[channels, height, width]` into `planes` `[channels, planes, rows, pitch]`.
///
/// With `relu`, the output of a ReLU in the layout of `image`, values are zero where that output is: this is the
/// backward pass of the ReLU.
fn pad(source: &Source, image: &[f32], relu: Option<&[f32]>, planes: &mut [f32]) {
    let [height, width] = source.image;
    let channels = planes.chunks_exact_mut((source.planes.len() * source.plane_len()).max(1));
    for (channel, planes) in channels.take(source.channels).enumerate() {
        let at = channel * height * width;
        let image = &image[at..at + height * width];
        let relu = relu.map(|relu| &relu[at..at + height * width]);
        for (plane, phase) in planes.chunks_exact_mut(source.plane_len()).zip(&source.planes) {
            for (row, to) in plane.chunks_exact_mut(source.pitch).enumerate() {
                let padded = source.step * row + phase[0];
                if padded < source.padding[0] || padded - source.padding[0] >= height {
                    to.fill(0.0);
                    continue;
                }
                let at = (padded - source.padding[0]) * width;
                let from = &image[at..at + width];
                // The columns of the image start and end here; before and after it is padding.
                let lead = source.padding[1].saturating_sub(phase[1]).div_ceil(source.step).min(to.len());
                let skip =
                    lead * source.step + phase[1] - source.padding[1].min(lead * source.step + phase[1]);
                let count = width.saturating_sub(skip).div_ceil(source.step).min(to.len() - lead);
                to[..lead].fill(0.0);
                to[lead + count..].fill(0.0);
                let to = &mut to[lead..lead + count];
                match relu {
                    _ if count == 0 => {}
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

/// The gradient before a ReLU from the one after it, and the ReLU's output. A NaN lets the gradient pass.
#[inline(always)]
pub(crate) fn masked(gradient: f32, output: f32) -> f32 {
    if output <= 0.0 { 0.0 } else { gradient }
}
