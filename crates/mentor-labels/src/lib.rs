//! Which images to label next, and which labels are wrong: on feature vectors, without tensors or files.
//!
//! | function | asks |
//! |---|---|
//! | [`choose`] | which images of a pool should get the next labels? |
//! | [`out_of_sample`] | what does a classifier say of an image that was trained on the others? |
//! | [`suspects`] | which labels are likely wrong, which images nearly equal, which far from all others? |
//! | [`fit_head`] | what do a few labels make of all the others? |
//! | [`spread_labels`] | which classes do neighbours give to rows without labels? |
//! | [`resemblance`] | are images without labels of the kind of those with labels? |
//!
//! Everything is a function of the seed: the same features give the same answer for any number of threads.
//! Equations are in `docs/definitions.md`, "Labels".

mod choose;
mod folds;
mod head;
mod herding;
mod kmeans;
mod neighbours;
mod rows;
mod spreading;
mod suspects;

pub use choose::{Chosen, Method, NEAR_DUPLICATE, Pool, choose};
pub use folds::{OutOfSample, out_of_sample};
pub use head::{Head, fit_head};
pub use kmeans::{Clusters, kmeans};
pub use neighbours::{Neighbour, distances_to_kth, neighbours};
pub use rows::Rows;
pub use spreading::{resemblance, spread_labels};
pub use suspects::{Kind, Labelled, Suspect, suspects};
