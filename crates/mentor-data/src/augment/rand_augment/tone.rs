//! Operations that look each value up in a table: Pillow's `ImageOps`.

/// Applies `table` to all of `values`.
fn look_up(values: &mut [u8], table: &[u8; 256]) {
    for value in values {
        *value = table[usize::from(*value)];
    }
}

fn histogram(values: &[u8]) -> [u32; 256] {
    let mut counts = [0; 256];
    for &value in values {
        counts[usize::from(value)] += 1;
    }
    counts
}

/// Each channel's smallest value becomes 0 and its largest 255; a channel of one value stays.
pub(super) fn auto_contrast(image: &mut [u8], plane: usize) {
    for values in image.chunks_exact_mut(plane) {
        let (low, high) =
            values.iter().fold((255, 0), |(low, high), &value| (value.min(low), value.max(high)));
        if high > low {
            let scale = 255.0 / f64::from(high - low);
            let offset = -f64::from(low) * scale;
            // Rounded towards zero and kept within a byte by the cast, as Pillow does in two steps.
            look_up(
                values,
                &std::array::from_fn(|value| (value as f64 * scale + offset).clamp(0.0, 255.0) as u8),
            );
        }
    }
}

/// Each channel's values become their rank, in steps that give the last one about 255.
pub(super) fn equalize(image: &mut [u8], plane: usize) {
    for values in image.chunks_exact_mut(plane) {
        let counts = histogram(values);
        let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (values.len() as u32 - last) / 255;
        if step == 0 {
            continue;
        }
        let mut sum = step / 2;
        let table = std::array::from_fn(|value| {
            let rank = sum / step;
            sum += counts[value];
            rank.min(255) as u8
        });
        look_up(values, &table);
    }
}

/// Values of at least `threshold` are inverted.
pub(super) fn solarize(image: &mut [u8], threshold: u16) {
    for value in image {
        // 255 − v is v with all bits flipped; without a branch, many values are done at once.
        *value ^= if u16::from(*value) >= threshold { 0xff } else { 0 };
    }
}

/// The highest `bits` are kept, from 0 to 8.
pub(super) fn posterize(image: &mut [u8], bits: u32) {
    let mask = (0xff00_u16 >> bits) as u8;
    for value in image {
        *value &= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_spreads_each_channel_and_leaves_an_even_one() {
        let mut image = [10, 20, 30, 7, 7, 7];
        auto_contrast(&mut image, 3);
        assert_eq!(image, [0, 127, 255, 7, 7, 7]);
    }

    #[test]
    fn solarising_inverts_from_the_threshold_on() {
        let mut image = [0, 127, 128, 255];
        solarize(&mut image, 128);
        assert_eq!(image, [0, 127, 127, 0]);
        solarize(&mut image, 256);
        assert_eq!(image, [0, 127, 127, 0], "256 is past every value");
    }

    #[test]
    fn posterising_keeps_the_highest_bits() {
        for (bits, expected) in [(8, 0b1011_0111), (4, 0b1011_0000), (1, 0b1000_0000), (0, 0)] {
            let mut image = [0b1011_0111];
            posterize(&mut image, bits);
            assert_eq!(image, [expected]);
        }
    }
}
