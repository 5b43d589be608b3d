//! What ranks agree on: whether all go on, and sums whose bits do not depend on how many ranks there are.

use std::cell::Cell;

use serde::de::DeserializeOwned;

use crate::engine::error::TrainError;
use crate::engine::outcome::Outcome;
use crate::engine::update::pairwise::{PairwiseSum, add};
use crate::engine::update::reduce::Reduce;

/// How a rank begins what it says to the others.
const GOES_ON: u8 = 0;
/// It goes on with this update, and asks all to stop after it.
const STOPS_AFTER: u8 = 1;
const INTERRUPTED: u8 = 2;
/// The reason follows.
const FAILED: u8 = 3;
const DONE: u8 = 4;

/// This rank among the others.
pub(crate) struct Ranks<'a> {
    reduce: &'a dyn Reduce,
    /// Whether all ranks know that one has ended, so that nobody listens any more.
    over: Cell<bool>,
}

/// What all ranks said, who all go on.
pub(crate) struct Said {
    /// In the order of the ranks.
    messages: Vec<Vec<u8>>,
    /// Whether one of them asks to stop.
    pub(crate) stop: bool,
}

impl Said {
    /// The messages, which are JSON.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, TrainError> {
        let read = |(rank, message): (usize, &Vec<u8>)| {
            serde_json::from_slice(message)
                .map_err(|error| TrainError::OtherRank { rank, reason: format!("it said {error}") })
        };
        self.messages.iter().enumerate().map(read).collect()
    }
}

impl<'a> Ranks<'a> {
    pub(crate) fn new(reduce: &'a dyn Reduce) -> Self {
        Self { reduce, over: Cell::new(false) }
    }

    pub(crate) fn rank(&self) -> usize {
        self.reduce.rank()
    }

    pub(crate) fn size(&self) -> usize {
        self.reduce.size()
    }

    /// Tells the others `own`, and whether this rank asks to stop, and hears the same of them. A rank whose
    /// `own` is an error ends, and so do all.
    ///
    /// # Errors
    ///
    /// That of this rank; else that of the first rank which has ended, or [`TrainError::Interrupted`].
    pub(crate) fn exchange(&self, own: Result<Vec<u8>, TrainError>, stop: bool) -> Result<Said, TrainError> {
        let own = match own {
            Ok(own) => own,
            Err(error) => {
                self.leave::<()>(Err(&error));
                return Err(error);
            }
        };
        if self.over.get() {
            return Err(TrainError::Interrupted);
        }
        let said = self.say(if stop { STOPS_AFTER } else { GOES_ON }, &own)?;
        let ended = |tag| said.iter().position(|(other, _)| *other == tag);
        if let Some(rank) = ended(FAILED) {
            self.over.set(true);
            let reason = String::from_utf8_lossy(&said[rank].1).into_owned();
            return Err(TrainError::OtherRank { rank, reason });
        }
        if ended(INTERRUPTED).is_some() {
            self.over.set(true);
            return Err(TrainError::Interrupted);
        }
        if let Some(rank) = ended(DONE) {
            self.over.set(true);
            return Err(TrainError::OtherRank { rank, reason: "it ended before the others".to_owned() });
        }
        let stop = ended(STOPS_AFTER).is_some();
        Ok(Said { messages: said.into_iter().map(|(_, bytes)| bytes).collect(), stop })
    }

    /// Ends among the others: whoever still goes on hears how this rank ended.
    pub(crate) fn leave<T>(&self, ended: Result<&Outcome<T>, &TrainError>) {
        if self.size() == 1 || self.over.get() {
            return;
        }
        let (tag, reason) = match ended {
            Ok(Outcome::Interrupted { .. }) | Err(TrainError::Interrupted) => (INTERRUPTED, String::new()),
            Ok(_) => (DONE, String::new()),
            Err(error) => (FAILED, error.to_string()),
        };
        // All are done together, and the next training of this process begins with all.
        self.over.set(tag != DONE);
        // How this rank ended is known; that nobody hears it changes nothing.
        let _ = self.say(tag, reason.as_bytes());
    }

    /// All ranks end, for a reason that each of them has found.
    pub(crate) fn end(&self) {
        self.over.set(true);
    }

    /// The sum over all shards, from the sum over those of this rank.
    pub(crate) fn sum(&self, own: PairwiseSum) -> Result<Vec<f32>, TrainError> {
        let mut sum = own.into_sum();
        let mut distance = 1;
        while distance < self.size() {
            let partner = self.rank() ^ distance;
            let other = self.reduce.swap(&sum, partner)?;
            if other.len() != sum.len() {
                let reason = format!("sent {} values of {}", other.len(), sum.len());
                return Err(TrainError::OtherRank { rank: partner, reason });
            }
            // The order of two numbers does not change the bits of their sum.
            add(&mut sum, &other);
            distance *= 2;
        }
        Ok(sum)
    }

    fn say(&self, tag: u8, bytes: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, TrainError> {
        let own = [&[tag], bytes].concat();
        let said = self.reduce.gather(&own)?;
        let parted = |said: Vec<u8>| match said.split_first() {
            Some((&tag, bytes)) => (tag, bytes.to_vec()),
            None => (FAILED, b"it said nothing".to_vec()),
        };
        Ok(said.into_iter().map(parted).collect())
    }
}
