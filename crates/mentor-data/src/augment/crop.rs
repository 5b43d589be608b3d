//! A random part of an image, brought to the size of the whole (Szegedy et al. 2015, section 6).

use mentor_random::Stream;

use crate::format::ImageFormat;

/// Least share of the area that is kept. A photograph of few has its object in most of the image.
const MIN_AREA: f32 = 0.35;
/// Longest side of the part by its shortest.
const MAX_RATIO: f32 = 4.0 / 3.0;

/// A part of an image: of each axis the start and the length, as shares of its side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part([[f32; 2]; 2]);

impl Part {
    /// Area, proportions and place are each uniform; a side that would be longer than the image's is as long.
    pub(super) fn draw(stream: &mut Stream) -> Self {
        let area = stream.uniform_in(MIN_AREA, 1.0);
        let ratio = stream.uniform_in(1.0, MAX_RATIO);
        let ratio = if stream.uniform() < 0.5 { ratio } else { 1.0 / ratio };
        let lengths = [(area * ratio).sqrt().min(1.0), (area / ratio).sqrt().min(1.0)];
        Self(lengths.map(|length| [stream.uniform() * (1.0 - length), length]))
    }

    /// Writes the part to `dst`, each pixel read between its four neighbours. Both are images of `format`.
    pub(super) fn resize(&self, format: &ImageFormat, src: &[u8], dst: &mut [u8]) {
        let (height, width) = (format.height, format.width);
        let [rows, columns] =
            [(self.0[0], height), (self.0[1], width)].map(|(axis, side)| places(axis, side));
        let planes = src.chunks_exact(height * width).zip(dst.chunks_exact_mut(height * width));
        for (src, dst) in planes {
            for (out, &(y, below)) in dst.chunks_exact_mut(width).zip(&rows) {
                let upper = &src[y * width..][..width];
                let lower = &src[(y + 1).min(height - 1) * width..][..width];
                for (out, &(x, beside)) in out.iter_mut().zip(&columns) {
                    let next = (x + 1).min(width - 1);
                    let along =
                        |row: &[u8]| f32::from(row[x]) * (1.0 - beside) + f32::from(row[next]) * beside;
                    *out = (along(upper) * (1.0 - below) + along(lower) * below + 0.5) as u8;
                }
            }
        }
    }
}

/// For each pixel of an axis the pixel before its place in the source, and how far behind that it lies.
fn places([start, length]: [f32; 2], side: usize) -> Vec<(usize, f32)> {
    let last = (side - 1) as f32;
    let place = |at: usize| {
        let place = start * side as f32 + (at as f32 + 0.5) * length - 0.5;
        let place = place.clamp(0.0, last);
        (place as usize, place - place.floor())
    };
    (0..side).map(place).collect()
}

#[cfg(test)]
mod tests {
    use mentor_random::Purpose;

    use super::*;

    #[test]
    fn the_whole_is_the_image_and_a_quarter_is_its_corner_enlarged() {
        let format = ImageFormat::new(1, 4, 4);
        let image: Vec<u8> = (0..16).map(|value| value * 10).collect();
        let resized = |part: Part| {
            let mut out = vec![0; 16];
            part.resize(&format, &image, &mut out);
            out
        };
        assert_eq!(resized(Part([[0.0, 1.0]; 2])), image);
        // Places 1.75, 2.25, 2.75 and 3 of rows and columns.
        let corner = resized(Part([[0.5, 0.5]; 2]));
        assert_eq!([corner[0], corner[3], corner[15]], [88, 100, 150]);
    }

    #[test]
    fn parts_lie_in_the_image_and_have_the_stated_areas() {
        let mut stream = Stream::new(3, Purpose::Augmentation, &[1]);
        for _ in 0..1000 {
            let Part([rows, columns]) = Part::draw(&mut stream);
            let area = rows[1] * columns[1];
            assert!((MIN_AREA * 0.99..=1.0).contains(&area) || rows[1].max(columns[1]) == 1.0, "{area}");
            for [start, length] in [rows, columns] {
                assert!(start >= 0.0 && length > 0.5 && start + length <= 1.0 + 1e-6);
            }
        }
    }
}
