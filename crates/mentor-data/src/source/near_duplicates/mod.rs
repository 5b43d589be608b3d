//! Images that are the same picture though not the same bytes: scaled, compressed or brightened copies.

mod fingerprint;
mod multi_index;

use std::cmp::Reverse;

pub use fingerprint::Fingerprint;
pub use multi_index::MAX_DISTANCE;

use multi_index::MultiIndex;

/// From where on two images count as the same picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Bits in which the hashes may differ, at most [`MAX_DISTANCE`]. Default 6.
    pub max_distance: u32,
    /// Least correlation of the thumbnails. Default 0.995.
    pub min_correlation: f32,
}

impl Default for Similarity {
    fn default() -> Self {
        Self { max_distance: 6, min_correlation: 0.995 }
    }
}

/// The protected image that shows the same picture as another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Position among the protected images: of the most similar one, the first of equal ones.
    pub protected: usize,
    /// Bits in which the hashes differ.
    pub distance: u32,
    /// Correlation of the thumbnails.
    pub correlation: f32,
}

/// The images that must not be trained on, searchable.
///
/// **Definition.** A matches B if their hashes differ in at most `max_distance` of 64 bits and their thumbnails
/// correlate by at least `min_correlation`.
///
/// **Numerics.** Candidates come from a multi-index over four parts of 16 bits (Norouzi et al. 2012): within a distance
/// of 7, one part differs in at most 1 bit. The search is exact.
///
/// **Source.** Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1 (the hash;
/// here from a thumbnail of 16 × 16 and the lowest 64 coefficients).
///
/// ```
/// use mentor_data::{Fingerprint, ImageFormat, Protected, Similarity};
/// let format = ImageFormat::new(1, 8, 8);
/// let image: Vec<u8> = (0..64).map(|i| (i * i % 200) as u8).collect();
/// let brighter: Vec<u8> = image.iter().map(|value| value + 20).collect();
/// let upside_down: Vec<u8> = image.iter().rev().copied().collect();
/// let print = |image: &[u8]| Fingerprint::new(&format, image);
/// let protected = Protected::new(vec![print(&image)], Similarity::default());
/// assert_eq!(protected.find(&print(&brighter)).unwrap().protected, 0);
/// assert!(protected.find(&print(&upside_down)).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Protected {
    fingerprints: Vec<Fingerprint>,
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
        Self { index: MultiIndex::new(hashes), fingerprints, similarity }
    }

    /// The most similar protected image, if any matches.
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<Match> {
        let mut best: Option<Match> = None;
        self.index.visit(fingerprint.hash(), self.similarity.max_distance, |protected, distance| {
            let correlation = fingerprint.correlation(&self.fingerprints[protected]);
            // A NaN cannot match; there is none among finite thumbnails.
            if correlation >= self.similarity.min_correlation {
                let found = Match { protected, distance, correlation };
                if best.is_none_or(|best| is_closer(&found, &best)) {
                    best = Some(found);
                }
            }
        });
        best
    }
}

fn is_closer(a: &Match, b: &Match) -> bool {
    let key = |m: &Match| (m.correlation, Reverse(m.distance), Reverse(m.protected));
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
