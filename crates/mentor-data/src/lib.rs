//! Files to samples to batches: the only part of mentor that reads data sets.
//!
//! One image takes this way: [`Source::open`] lists it and assigns its [`Split`]; [`Source::load`] decodes it
//! into a [`Dataset`] of bytes; a [`Loader`] gathers it into a [`HostBatch`], changed by [`Augment`] and
//! normalised by [`Preprocessing`]. Images from elsewhere enter as an [`ImageStore`]. Labels, shapes and
//! ranges are checked on the way in, nowhere else.
//!
//! Everything is deterministic: splits are a pure function of `split_seed`, order and augmentation of
//! `(seed, epoch, sample)`. The number of threads decides only how fast it goes.

mod augment;
mod classes;
mod dataset;
mod decode;
mod error;
mod format;
mod loader;
mod notes;
mod options;
mod readers;
mod shown;
mod source;
mod split;
mod split_names;

pub use augment::Augment;
pub use augment::rand_augment::{Operation, RandAugment};
pub use classes::differences::class_differences;
pub use classes::names::{class_name, look_alike};
pub use classes::natural::natural_order;
pub use dataset::Dataset;
pub use dataset::image_store::ImageStore;
pub use dataset::preprocessing::Preprocessing;
pub use decode::extents::Extents;
pub use decode::{decode, decode_file, decode_file_with_extent, decode_picture, decode_picture_file, fit};
pub use error::DataError;
pub use format::{ImageFormat, Resize, ResizeFilter};
pub use loader::batch::HostBatch;
pub use loader::class_balance::ClassBalance;
pub use loader::cycled::CycledPart;
pub use loader::epoch::Epoch;
pub use loader::triplets::read_triplets;
pub use loader::{Loader, LoaderOptions, Order};
pub use mentor_codec::{Extent, Fault, Picture, catch_panic};
pub use notes::{BadFile, LeftOut, Note};
pub use options::observer::{ReadObserver, Reading};
pub use options::{BadImage, Limits, OpenOptions, SplitBy};
pub use readers::array::Array;
pub use readers::tree::{ImageFiles, find_images};
pub use shown::{counted, escape, listed, shorten, shown, shown_path};
pub use source::Source;
pub use source::duplicates::{Duplicates, Leak, Repeats};
pub use source::inspect::{ClassCount, Inspection, NearLeak, SizeCount, inspect};
pub use source::near_duplicates::{Fingerprint, MAX_DISTANCE, Match, Protected, Similarity};
pub use source::writers::{write_index, write_parquet, write_tar};
pub use split::Split;
