//! Operations that move pixels: Pillow's affine transform with the nearest pixel, in its fixed-point
//! arithmetic.

use crate::format::ImageFormat;

/// Where the target pixel (x, y) comes from: `x' = a·x + b·y + c`, `y' = d·x + e·y + f`.
type Affine = [f64; 6];

/// 16 bits behind the point, as Pillow rounds them.
fn fixed(value: f64) -> i64 {
    (value * 65536.0 + 0.5).floor() as i64
}

/// Copies to `scratch`, then calls `fill(source, target)` for each channel.
fn redraw(
    format: &ImageFormat,
    image: &mut [u8],
    scratch: &mut Vec<u8>,
    mut fill: impl FnMut(&[u8], &mut [u8]),
) {
    scratch.clear();
    scratch.extend_from_slice(image);
    let plane = format.height * format.width;
    for (target, source) in image.chunks_exact_mut(plane).zip(scratch.chunks_exact(plane)) {
        fill(source, target);
    }
}

/// Target pixels at their centres, half a pixel in; black where the source is outside.
fn transform(format: &ImageFormat, image: &mut [u8], [a, b, c, d, e, f]: Affine, scratch: &mut Vec<u8>) {
    let (height, width) = (format.height as u64, format.width as u64);
    let (step_x, step_y) = ([fixed(a), fixed(d)], [fixed(b), fixed(e)]);
    let start = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
    redraw(format, image, scratch, |source, target| {
        let mut left = start;
        for row in target.chunks_exact_mut(format.width) {
            let [mut x, mut y] = left;
            for value in row {
                // A negative place becomes a large one: outside as well.
                let (column, line) = ((x >> 16) as u64, (y >> 16) as u64);
                let inside = column < width && line < height;
                *value = if inside { source[(line * width + column) as usize] } else { 0 };
                x += step_x[0];
                y += step_x[1];
            }
            left = [left[0] + step_y[0], left[1] + step_y[1]];
        }
    });
}

/// About the centre, positive against the clock.
pub(super) fn rotate(format: &ImageFormat, image: &mut [u8], degrees: f64, scratch: &mut Vec<u8>) {
    if degrees == 0.0 {
        return;
    }
    let (sine, cosine) = sine_and_cosine(-degrees);
    let (x, y) = (format.width as f64 / 2.0, format.height as f64 / 2.0);
    let matrix = [cosine, sine, x - (cosine * x + sine * y), -sine, cosine, y - (cosine * y - sine * x)];
    transform(format, image, matrix, scratch);
}

/// By their series, to all digits of f64 for angles up to 30 degrees, so that every machine gives the same
/// bits; the system's functions need not.
fn sine_and_cosine(degrees: f64) -> (f64, f64) {
    let angle = degrees.to_radians();
    // 1 − z/(2·3)·(1 − z/(4·5)·(…)) and 1 − z/(1·2)·(1 − z/(3·4)·(…)), from the innermost outwards.
    let series = |first: u32| {
        (0..9).rev().fold(1.0, |inner, term| {
            let k = f64::from(2 * term + first);
            1.0 - angle * angle / (k * (k + 1.0)) * inner
        })
    };
    (angle * series(2), series(1))
}

/// Row y comes from `slope·y` pixels further right.
pub(super) fn shear_x(format: &ImageFormat, image: &mut [u8], slope: f64, scratch: &mut Vec<u8>) {
    let (start, step) = (fixed(0.5 + slope * 0.5), fixed(slope));
    redraw(format, image, scratch, |source, target| {
        let mut place = start;
        let rows = source.chunks_exact(format.width).zip(target.chunks_exact_mut(format.width));
        for (source, target) in rows {
            shift_row(source, target, (place >> 16) as isize);
            place += step;
        }
    });
}

/// Column x comes from `slope·x` pixels further down.
pub(super) fn shear_y(format: &ImageFormat, image: &mut [u8], slope: f64, scratch: &mut Vec<u8>) {
    transform(format, image, [1.0, 0.0, 0.0, slope, 1.0, 0.0], scratch);
}

/// Every pixel comes from `down` rows below and `right` columns to the right.
pub(super) fn translate(
    format: &ImageFormat,
    image: &mut [u8],
    [down, right]: [isize; 2],
    scratch: &mut Vec<u8>,
) {
    let width = format.width;
    redraw(format, image, scratch, |source, target| {
        for (y, target) in target.chunks_exact_mut(width).enumerate() {
            match y.checked_add_signed(down).filter(|&line| line < format.height) {
                Some(line) => shift_row(&source[line * width..][..width], target, right),
                None => target.fill(0),
            }
        }
    });
}

/// `target[x] = source[x + right]`, 0 outside.
fn shift_row(source: &[u8], target: &mut [u8], right: isize) {
    let distance = right.unsigned_abs().min(source.len());
    let kept = source.len() - distance;
    if right < 0 {
        target[..distance].fill(0);
        target[distance..].copy_from_slice(&source[..kept]);
    } else {
        target[..kept].copy_from_slice(&source[distance..]);
        target[kept..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_agree_with_the_functions() {
        for degrees in [-30.0_f64, -3.0, 0.0, 15.0, 27.0] {
            let (sine, cosine) = sine_and_cosine(degrees);
            let (true_sine, true_cosine) = degrees.to_radians().sin_cos();
            assert!((sine - true_sine).abs() < 3e-16 && (cosine - true_cosine).abs() < 3e-16, "{degrees}");
        }
    }

    #[test]
    fn rows_move_either_way_and_past_the_end() {
        let moved = |right| {
            let mut target = [9; 3];
            shift_row(&[1, 2, 3], &mut target, right);
            target
        };
        assert_eq!([moved(0), moved(1), moved(-2)], [[1, 2, 3], [2, 3, 0], [0, 0, 1]]);
        assert_eq!([moved(5), moved(-5)], [[0; 3]; 2]);
    }

    #[test]
    fn a_positive_angle_turns_against_the_clock() {
        let mut image = [0; 81];
        image[4 * 9 + 8] = 200;
        rotate(&ImageFormat::new(1, 9, 9), &mut image, 30.0, &mut Vec::new());
        assert_eq!(image.iter().position(|&value| value == 200), Some(2 * 9 + 7), "up and a little left");
    }
}
