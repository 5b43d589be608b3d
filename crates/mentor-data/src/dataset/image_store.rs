//! Where images come from: what a loader needs to know of them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::DataError;
use crate::format::ImageFormat;

/// Images with labels that a [`Loader`](crate::Loader) makes batches of: a [`Dataset`](crate::Dataset), or a
/// type of the caller's own, such as a database, a tar archive or the frames of a video. An example is at
/// [`Dataset::from_store`](crate::Dataset::from_store), which makes any store one that mentor trains on.
///
/// Several threads read at once. The same index must always give the same image: runs are resumed, and
/// repeated, on that promise.
pub trait ImageStore: fmt::Debug + Send + Sync {
    /// Number of images, at most `u32::MAX`.
    fn len(&self) -> usize;

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape of every image.
    fn format(&self) -> &ImageFormat;

    /// Names of the classes, in the order of their indices. Empty without labels.
    fn classes(&self) -> &[String];

    /// Class index of image `index`. `None` without labels; then every image has none.
    fn target(&self, index: usize) -> Option<u32>;

    /// A name for image `index`, which messages and reports show.
    fn id(&self, index: usize) -> Cow<'_, str>;

    /// Writes the bytes of image `index` to `out`, `[channel, height, width]`, as long as the format says.
    ///
    /// # Errors
    ///
    /// If the image cannot be read; [`DataError::store`] wraps an error of the caller's own.
    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError>;

    /// Whether reading an image takes no more time than copying it. Otherwise a loader reads ahead on threads
    /// of its own.
    fn in_memory(&self) -> bool {
        false
    }

    /// The bytes of image `index`: borrowed if the store holds them, else read.
    ///
    /// # Errors
    ///
    /// As [`ImageStore::read`].
    fn pixels(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let mut image = vec![0; self.format().num_values()];
        self.read(index, &mut image)?;
        Ok(Cow::Owned(image))
    }
}

impl<S: ImageStore + ?Sized> ImageStore for Arc<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn format(&self) -> &ImageFormat {
        (**self).format()
    }

    fn classes(&self) -> &[String] {
        (**self).classes()
    }

    fn target(&self, index: usize) -> Option<u32> {
        (**self).target(index)
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        (**self).id(index)
    }

    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        (**self).read(index, out)
    }

    fn in_memory(&self) -> bool {
        (**self).in_memory()
    }

    fn pixels(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        (**self).pixels(index)
    }
}
