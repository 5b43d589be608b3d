//! Batches that take a fixed number of samples of each of several parts of a data set: few labelled images
//! beside many others.

use std::ops::Range;

use mentor_random::{Purpose, Stream};

/// A part of a data set, and how much of it is in each batch of [`Order::Cycled`](crate::Order::Cycled).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycledPart {
    /// Its samples, at least one.
    pub samples: Range<u32>,
    /// How many of them a batch holds, at least 1.
    pub batch_size: usize,
}

/// The samples of an epoch, batch after batch, and where each batch ends.
pub(crate) fn plan(
    parts: &[CycledPart],
    num_batches: usize,
    seed: u64,
    epoch: u64,
) -> (Vec<u32>, Vec<usize>) {
    let per_batch: usize = parts.iter().map(|part| part.batch_size).sum();
    let mut passes: Vec<Passes<'_>> = (0..)
        .zip(parts)
        .map(|(index, part)| Passes::starting(part, index, seed, epoch * num_batches as u64))
        .collect();
    let mut samples = Vec::with_capacity(num_batches * per_batch);
    for _ in 0..num_batches {
        passes.iter_mut().for_each(|passes| passes.next_batch(&mut samples));
    }
    (samples, (1..=num_batches).map(|batch| batch * per_batch).collect())
}

/// One shuffled pass after the other over a part, across the borders of epochs.
struct Passes<'a> {
    part: &'a CycledPart,
    index: u64,
    seed: u64,
    pass: u64,
    order: Vec<u32>,
    place: usize,
}

impl<'a> Passes<'a> {
    /// Where the batch number `batch` of the whole run begins.
    fn starting(part: &'a CycledPart, index: u64, seed: u64, batch: u64) -> Self {
        let done = batch * part.batch_size as u64;
        let length = part.samples.len() as u64;
        let mut passes = Self {
            part,
            index,
            seed,
            pass: done / length,
            order: Vec::new(),
            place: (done % length) as usize,
        };
        passes.shuffle();
        passes
    }

    fn shuffle(&mut self) {
        let mut stream = Stream::new(self.seed, Purpose::Order, &[self.pass, self.index, 1]);
        self.order = stream.permutation(self.part.samples.len() as u32);
    }

    fn next_batch(&mut self, samples: &mut Vec<u32>) {
        for _ in 0..self.part.batch_size {
            if self.place == self.order.len() {
                (self.pass, self.place) = (self.pass + 1, 0);
                self.shuffle();
            }
            samples.push(self.part.samples.start + self.order[self.place]);
            self.place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_comes_equally_often_and_epochs_go_on_where_the_last_ended() {
        let parts =
            [CycledPart { samples: 0..5, batch_size: 3 }, CycledPart { samples: 5..12, batch_size: 2 }];
        let epochs: Vec<u32> = (0..7).flat_map(|epoch| plan(&parts, 5, 9, epoch).0).collect();
        let (whole, ends) = plan(&parts, 35, 9, 0);
        assert_eq!(epochs, whole, "35 batches in one epoch are those of 7 epochs of 5");
        assert_eq!((ends[0], ends[34]), (5, 175));
        let count = |sample: u32| whole.iter().filter(|&&found| found == sample).count();
        assert!((0..5).all(|sample| count(sample) == 21) && (5..12).all(|sample| count(sample) == 10));
        for batch in whole.chunks_exact(5) {
            assert!(
                batch[..3].iter().all(|&sample| sample < 5) && batch[3..].iter().all(|&sample| sample >= 5)
            );
        }
        assert_ne!(plan(&parts, 5, 8, 0).0, plan(&parts, 5, 9, 0).0);
    }

    #[test]
    fn a_part_smaller_than_its_share_repeats() {
        let (samples, _) = plan(&[CycledPart { samples: 0..2, batch_size: 5 }], 2, 0, 0);
        assert_eq!(samples.iter().filter(|&&sample| sample == 0).count(), 5);
    }
}
