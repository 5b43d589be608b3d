//! Files to samples to batches: the only part of mentor that reads data sets.
//!
//! One image takes this way: [`Source::open`] lists it and assigns its [`Split`]; [`Source::load`]
//! decodes it into a [`Dataset`] of bytes; a [`Loader`] gathers it into a [`HostBatch`], changed by
//! [`Augment`] and normalised by [`Preprocessing`]. Labels, shapes and ranges are checked on the way in,
//! nowhere else.
//!
//! Everything is deterministic: splits are a pure function of `split_seed`, order and augmentation of
//! `(seed, epoch, sample)`. The number of threads decides only how fast it goes.

mod array;
mod augment;
mod catalogue;
mod class_balance;
mod class_differences;
mod cycled;
mod dataset;
mod decode;
mod duplicates;
mod epoch;
mod error;
mod format;
mod inspect;
mod loader;
mod natural;
mod near_duplicates;
mod notes;
mod options;
mod preprocessing;
mod rand_augment;
mod raster;
mod readers;
mod source;
mod split;
mod triplets;

pub use array::Array;
pub use augment::Augment;
pub use class_balance::ClassBalance;
pub use class_differences::class_differences;
pub use cycled::CycledPart;
pub use dataset::Dataset;
pub use decode::{decode, decode_file};
pub use duplicates::{Duplicates, Leak, Repeats};
pub use epoch::Epoch;
pub use error::DataError;
pub use format::{ImageFormat, Resize};
pub use inspect::{ClassCount, Inspection, SizeCount, inspect};
pub use loader::{HostBatch, Loader, LoaderOptions, Order};
pub use natural::natural_order;
pub use near_duplicates::{Fingerprint, MAX_DISTANCE, Match, Protected, Similarity};
pub use notes::{BadFile, Note};
pub use options::{BadImage, Limits, OpenOptions, SplitBy};
pub use preprocessing::Preprocessing;
pub use rand_augment::{Operation, RandAugment};
pub use readers::has_image_extension;
pub use source::Source;
pub use split::Split;
pub use triplets::read_triplets;
