//! Images that are the same picture though not the same pixels: copies that were scaled, compressed,
//! brightened, mirrored or cropped by a little.

mod alignment;
mod fingerprint;
mod multi_index;

use std::cmp::Reverse;

pub use fingerprint::Fingerprint;
pub use multi_index::MAX_DISTANCE;

use alignment::{Alignment, Smooth, smoothed};
use multi_index::MultiIndex;

/// From where on two images count as the same picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Bits in which the hashes may differ, at most [`MAX_DISTANCE`], which is the default: 15.
    pub max_distance: u32,
    /// Least correlation of the thumbnails. Default 0.995.
    pub min_correlation: f32,
    /// Least correlation of the smoothed thumbnails after a small shift and scaling; enough by itself.
    /// Default 0.999.
    pub min_aligned: f32,
}

impl Default for Similarity {
    fn default() -> Self {
        Self { max_distance: MAX_DISTANCE, min_correlation: 0.995, min_aligned: 0.999 }
    }
}

/// The protected image that shows the same picture as another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Position among the protected images: of the most similar one, the first of equal ones.
    pub protected: usize,
    /// Bits in which the hashes differ.
    pub distance: u32,
    /// Correlation of the thumbnails, or, if that is larger, of the smoothed ones after a small shift and
    /// scaling.
    pub correlation: f32,
    /// Whether it is the mirrored picture that matches.
    pub mirrored: bool,
}

/// The images that must not be trained on, searchable.
///
/// **Definition.** A matches B if A or its mirror image does: the hashes differ in at most `max_distance` of
/// 64 bits, and the thumbnails correlate by at least `min_correlation`, or by at least `min_aligned` once
/// they are smoothed and one of them may be shifted and scaled a little.
///
/// **Numerics.** Candidates come from a multi-index over four parts of 16 bits (Norouzi et al. 2012): within
/// a distance of 15, one part differs in at most 3 bits. The search is exact.
///
/// **Source.** Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section
/// 3.2.1 (the hash; here from a thumbnail of 16 × 16 and the lowest 64 coefficients).
///
/// ```
/// use mentor_data::{Fingerprint, ImageFormat, Protected, Similarity};
/// let format = ImageFormat::new(1, 8, 8);
/// let image: Vec<u8> = (0..64).map(|i| (i * i % 200) as u8).collect();
/// let brighter: Vec<u8> = image.iter().map(|value| value + 20).collect();
/// let upside_down: Vec<u8> = image.chunks(8).rev().flatten().copied().collect();
/// let mirrored: Vec<u8> = image.chunks(8).flat_map(|row| row.iter().rev().copied()).collect();
/// let print = |image: &[u8]| Fingerprint::new(&format, image);
/// let protected = Protected::new(vec![print(&image)], Similarity::default());
/// assert_eq!(protected.find(&print(&brighter)).unwrap().protected, 0);
/// assert!(protected.find(&print(&mirrored)).unwrap().mirrored);
/// assert!(protected.find(&print(&upside_down)).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Protected {
    fingerprints: Vec<Fingerprint>,
    /// Their thumbnails, smoothed.
    smooth: Vec<Smooth>,
    index: MultiIndex,
    similarity: Similarity,
}

impl Protected {
    /// Indexes the fingerprints.
    ///
    /// # Panics
    ///
    /// If `max_distance` is over [`MAX_DISTANCE`], or there are 2³² fingerprints.
    pub fn new(fingerprints: Vec<Fingerprint>, similarity: Similarity) -> Self {
        assert!(similarity.max_distance <= MAX_DISTANCE, "a distance over {MAX_DISTANCE} is not indexed");
        let hashes: Vec<u64> = fingerprints.iter().map(Fingerprint::hash).collect();
        let smooth = fingerprints.iter().map(|print| smoothed(&print.thumbnail)).collect();
        Self { index: MultiIndex::new(hashes), smooth, fingerprints, similarity }
    }

    /// The most similar protected image, if any matches.
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<Match> {
        let Similarity { max_distance, min_correlation, min_aligned } = self.similarity;
        let mut best: Option<Match> = None;
        for (mirrored, fingerprint) in [(false, fingerprint), (true, &fingerprint.mirrored())] {
            let mut alignment = None;
            self.index.visit(fingerprint.hash(), max_distance, |protected, distance| {
                let other = &self.fingerprints[protected];
                // A NaN cannot match; there is none among finite thumbnails.
                let mut correlation = fingerprint.correlation(other);
                if correlation < min_correlation {
                    correlation = alignment
                        .get_or_insert_with(|| Alignment::new(&fingerprint.thumbnail))
                        .correlation(&self.smooth[protected]) as f32;
                    if correlation < min_aligned {
                        return;
                    }
                }
                let found = Match { protected, distance, correlation, mirrored };
                if best.is_none_or(|best| is_closer(&found, &best)) {
                    best = Some(found);
                }
            });
        }
        best
    }
}

fn is_closer(a: &Match, b: &Match) -> bool {
    let key = |m: &Match| (m.correlation, Reverse(m.mirrored), Reverse(m.distance), Reverse(m.protected));
    key(a).partial_cmp(&key(b)).is_some_and(std::cmp::Ordering::is_gt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ImageFormat;
    use mentor_random::{Purpose, Stream};

    fn noise(sample: u64) -> Vec<u8> {
        let mut stream = Stream::new(3, Purpose::Augmentation, &[sample]);
        let coarse: Vec<u8> = (0..36).map(|_| stream.below(200) as u8).collect();
        (0..24 * 24).map(|i| coarse[i / 24 / 4 * 6 + i % 24 / 4]).collect()
    }

    fn print(pixels: &[u8]) -> Fingerprint {
        Fingerprint::new(&ImageFormat::new(1, 24, 24), pixels)
    }

    /// Of each image the place of its twin.
    fn twins(images: &[Fingerprint], protected: Vec<Fingerprint>) -> Vec<Option<usize>> {
        let protected = Protected::new(protected, Similarity::default());
        images.iter().map(|image| protected.find(image).map(|found| found.protected)).collect()
    }

    #[test]
    fn brightened_copies_are_found_and_nothing_else() {
        let protected: Vec<Fingerprint> = (0..300).map(|sample| print(&noise(sample))).collect();
        let pool: Vec<Fingerprint> = (0..300)
            .map(|sample| match sample % 10 {
                0 => print(&noise(sample).iter().map(|&value| value / 2 + 90).collect::<Vec<_>>()),
                _ => print(&noise(sample + 1000)),
            })
            .collect();
        let expected: Vec<_> = (0..300).map(|sample| (sample % 10 == 0).then_some(sample)).collect();
        assert_eq!(twins(&pool, protected), expected);
    }

    /// A picture without edges, seen through a window of `side` pixels whose corner is at `from`.
    fn smooth(sample: u64, from: [f64; 2], side: usize, gain: f64) -> Vec<u8> {
        let mut stream = Stream::new(5, Purpose::Augmentation, &[sample]);
        let mut draw = || stream.below(1000) as f64 / 1000.0;
        let waves: Vec<[f64; 4]> =
            (0..4).map(|_| [draw() - 0.5, draw() - 0.5, draw() * 6.3, draw()]).collect();
        let value = |x: f64, y: f64| -> f64 {
            waves.iter().map(|[p, q, phase, size]| size * ((p * x + q * y) * 0.15 + phase).sin()).sum()
        };
        (0..side * side)
            .map(|place| {
                let (x, y) = ((place % side) as f64 + from[1], (place / side) as f64 + from[0]);
                (128.0 + gain * 30.0 * value(x, y)).round() as u8
            })
            .collect()
    }

    #[test]
    fn mirrored_and_cropped_copies_of_smooth_pictures_are_found_and_other_pictures_are_not() {
        let print = |side: usize, pixels: &[u8]| Fingerprint::new(&ImageFormat::new(1, side, side), pixels);
        let originals: Vec<Fingerprint> =
            (0..200).map(|sample| print(64, &smooth(sample, [0.0, 0.0], 64, 1.0))).collect();
        let protected = Protected::new(originals, Similarity::default());
        let (mut strangers, mut missed) = (0, [0; 2]);
        for sample in 0..200_u64 {
            // A pixel less on each side, or two pixels less at the bottom and the right.
            let crops = [smooth(sample, [1.0, 1.0], 62, 1.0), smooth(sample, [0.0, 0.0], 62, 0.9)];
            for (missed, crop) in missed.iter_mut().zip(crops) {
                let mirror: Vec<u8> = crop.chunks(62).flat_map(|row| row.iter().rev().copied()).collect();
                for (mirrored, copy) in [(false, crop), (true, mirror)] {
                    let found = protected.find(&print(62, &copy));
                    let right = |found: Match| found.protected as u64 == sample && found.mirrored == mirrored;
                    *missed += usize::from(!found.is_some_and(right));
                }
            }
            let other = print(64, &smooth(sample + 1000, [0.0, 0.0], 64, 1.0));
            strangers += usize::from(protected.find(&other).is_some());
        }
        assert_eq!((strangers, missed[0]), (0, 0));
        // High frequencies of smooth pictures are nearly 0, so that chance decides their bits of the hash.
        assert!(missed[1] <= 30, "{} of 400", missed[1]);
    }

    #[test]
    fn the_closest_is_reported_and_the_first_of_equals() {
        let image = noise(1);
        let mut touched = image.clone();
        touched[300] ^= 0x1f;
        let protected = vec![print(&touched), print(&image), print(&image)];
        let found = Protected::new(protected, Similarity::default()).find(&print(&image)).unwrap();
        assert_eq!((found.protected, found.distance), (1, 0));
    }

    #[test]
    fn an_empty_side_has_no_matches() {
        let some = [print(&noise(0))];
        assert!(twins(&[], some.to_vec()).is_empty());
        assert_eq!(twins(&some, Vec::new()), [None]);
    }
}
