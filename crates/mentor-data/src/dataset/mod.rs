//! One split in memory as bytes, or decoded on demand when it is too large for that.

pub(crate) mod channel_sums;
pub(crate) mod image_store;
pub(crate) mod pixel_cache;
pub(crate) mod preprocessing;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;

use self::channel_sums::ChannelSums;
use self::image_store::ImageStore;
use self::pixel_cache::PixelCache;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::Limits;
use crate::options::observer::ReadObserver;
use crate::readers::encoded::EncodedImages;

/// The samples of one split: an image and an id each, and a target unless the data has no labels. Cloning
/// shares the images. It is the [`ImageStore`] of mentor's own formats; [`Dataset::from_store`] makes one of
/// any other.
#[derive(Clone, Debug)]
pub struct Dataset {
    classes: Arc<[String]>,
    format: ImageFormat,
    storage: Storage,
    /// Position of each sample in the storage: subsets and splits share one storage.
    rows: Vec<u32>,
    /// `None` without labels.
    targets: Option<Vec<u32>>,
    ids: Vec<String>,
    /// Of the content that each image was made from: the bytes of its file, or its pixels in an array.
    hashes: Vec<blake3::Hash>,
    notes: Vec<Note>,
}

/// Where the images are.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// `[row, channel, height, width]`.
    Memory(Arc<Vec<u8>>),
    /// One encoded image a row, read when a worker needs it.
    Encoded(Arc<EncodedStore>),
    /// Decoded images in a file, read when a worker needs them.
    Cached(Arc<CachedStore>),
    /// The caller's own images; see [`Dataset::from_store`].
    Store(Arc<ReadStore>),
    /// The samples of several data sets, one after the other; see [`Dataset::join`].
    Joined(Arc<[Dataset]>),
}

/// Encoded images that are too many to be held in memory.
#[derive(Debug)]
pub(crate) struct EncodedStore {
    pub(crate) images: Arc<dyn EncodedImages>,
    /// Of each row of the store the row among the images.
    pub(crate) rows: Vec<u32>,
    /// Of each row and channel, gathered while every file was decoded once for checking.
    pub(crate) sums: Vec<[ChannelSums; 3]>,
    pub(crate) limits: Limits,
}

/// Decoded images that are too many to be held in memory.
#[derive(Debug)]
pub(crate) struct CachedStore {
    pub(crate) cache: PixelCache,
    /// Of each row and channel.
    pub(crate) sums: Vec<[ChannelSums; 3]>,
}

/// A store of which every image was read once.
#[derive(Debug)]
pub(crate) struct ReadStore {
    images: Box<dyn ImageStore>,
    /// Of each image and channel.
    sums: Vec<[ChannelSums; 3]>,
}

/// The parts of a [`Dataset`] that come from a source.
pub(crate) struct Parts {
    pub(crate) classes: Arc<[String]>,
    pub(crate) format: ImageFormat,
    pub(crate) storage: Storage,
    pub(crate) rows: Vec<u32>,
    pub(crate) targets: Option<Vec<u32>>,
    pub(crate) ids: Vec<String>,
    pub(crate) hashes: Vec<blake3::Hash>,
    pub(crate) notes: Vec<Note>,
}

impl Dataset {
    /// A data set from its parts; `pixels` are `[sample, channel, height, width]`.
    ///
    /// # Errors
    ///
    /// [`DataError::Inconsistent`] if the lengths disagree or a target is no class;
    /// [`DataError::InvalidOption`] if the format is outside its range.
    ///
    /// ```
    /// use mentor_data::{Dataset, ImageFormat};
    /// let classes = vec!["dark".to_owned(), "light".to_owned()];
    /// let ids = vec!["first".to_owned(), "second".to_owned()];
    /// let format = ImageFormat::new(1, 1, 1);
    /// let dataset = Dataset::from_parts(classes.clone(), format.clone(), vec![3, 250], vec![0, 1], ids)?;
    /// assert_eq!(dataset.class_counts(), [1, 1]);
    /// assert!(Dataset::from_parts(classes, format, vec![3], vec![2], vec!["third".to_owned()]).is_err());
    /// # Ok::<(), mentor_data::DataError>(())
    /// ```
    pub fn from_parts(
        classes: Vec<String>,
        format: ImageFormat,
        pixels: Vec<u8>,
        targets: Vec<u32>,
        ids: Vec<String>,
    ) -> Result<Self, DataError> {
        format.check()?;
        let inconsistent = |reason| Err(DataError::Inconsistent { reason });
        let expected = targets.len() * format.num_values();
        if pixels.len() != expected {
            return inconsistent(format!(
                "{} bytes of pixels for {} samples of {format}, {expected} needed",
                pixels.len(),
                targets.len()
            ));
        }
        if ids.len() != targets.len() {
            return inconsistent(format!("{} ids for {} targets", ids.len(), targets.len()));
        }
        if let Some((index, target)) = targets.iter().enumerate().find(|&(_, &t)| t as usize >= classes.len())
        {
            return inconsistent(format!("target {target} at {index}, but {} classes", classes.len()));
        }
        let Ok(num_samples) = u32::try_from(targets.len()) else {
            return inconsistent(format!("{} samples, at most {} are possible", targets.len(), u32::MAX));
        };
        let hashes = pixels.par_chunks_exact(format.num_values()).map(blake3::hash).collect();
        let storage = Storage::Memory(Arc::new(pixels));
        let (classes, rows, targets) = (classes.into(), (0..num_samples).collect(), Some(targets));
        Ok(Self::new(Parts { classes, format, storage, rows, targets, ids, hashes, notes: Vec::new() }))
    }

    /// A data set of the images of `images`, such as a database or an archive of the caller's own. Every
    /// image is read once now, in parallel, for the sums that
    /// [`Preprocessing::fit`](crate::Preprocessing::fit) needs and for [`Dataset::images_blake3`], and again
    /// whenever a batch needs it. `observer` hears of each.
    ///
    /// # Errors
    ///
    /// [`DataError::Inconsistent`] if an image has a target that is no class, or if some have a target and
    /// others have none; [`DataError::InvalidOption`] if the format is outside its range; what the store says
    /// of the first image that it cannot give; [`DataError::Interrupted`] by the observer.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use mentor_data::{DataError, Dataset, ImageFormat, ImageStore, ReadObserver};
    ///
    /// /// Images of one pixel, as bright as their number.
    /// #[derive(Debug)]
    /// struct Bright(ImageFormat, Vec<String>);
    ///
    /// impl ImageStore for Bright {
    ///     fn len(&self) -> usize {
    ///         200
    ///     }
    ///     fn format(&self) -> &ImageFormat {
    ///         &self.0
    ///     }
    ///     fn classes(&self) -> &[String] {
    ///         &self.1
    ///     }
    ///     fn target(&self, index: usize) -> Option<u32> {
    ///         Some(u32::from(index > 99))
    ///     }
    ///     fn id(&self, index: usize) -> Cow<'_, str> {
    ///         index.to_string().into()
    ///     }
    ///     fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
    ///         out[0] = u8::try_from(index).map_err(|error| DataError::store(self.id(index), error))?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let classes = vec!["dark".to_owned(), "light".to_owned()];
    /// let bright = Bright(ImageFormat::new(1, 1, 1), classes);
    /// let dataset = Dataset::from_store(bright, &ReadObserver::default())?;
    /// assert_eq!(dataset.class_counts(), [100, 100]);
    /// # Ok::<(), DataError>(())
    /// ```
    pub fn from_store(images: impl ImageStore + 'static, observer: &ReadObserver) -> Result<Self, DataError> {
        let format = images.format().clone();
        format.check()?;
        let inconsistent = |reason| DataError::Inconsistent { reason };
        let num_images = u32::try_from(images.len()).map_err(|_| {
            inconsistent(format!("{} images, at most {} are possible", images.len(), u32::MAX))
        })?;
        let classes: Arc<[String]> = images.classes().into();
        let targets: Vec<Option<u32>> = (0..images.len()).map(|index| images.target(index)).collect();
        if let Some(index) =
            targets.iter().position(|target| target.is_some_and(|t| t as usize >= classes.len()))
        {
            let target = targets[index].unwrap_or_default();
            return Err(inconsistent(format!("target {target} at {index}, but {} classes", classes.len())));
        }
        let num_labelled = targets.iter().flatten().count();
        if num_labelled != 0 && num_labelled != targets.len() {
            return Err(inconsistent(format!("{num_labelled} of {} images have a target", targets.len())));
        }
        let counter = observer.begin("reading images", images.len());
        let read = |index| {
            counter.advance(1)?;
            let image = images.pixels(index)?;
            Ok((blake3::hash(&image), ChannelSums::of_image(&image, &format)))
        };
        // All outcomes first, so that the error is that of the first image whichever thread was faster.
        let outcomes: Vec<Result<_, DataError>> = (0..images.len()).into_par_iter().map(read).collect();
        let (hashes, sums) = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok(Self::new(Parts {
            classes,
            rows: (0..num_images).collect(),
            targets: targets.into_iter().collect(),
            ids: (0..images.len()).map(|index| images.id(index).into_owned()).collect(),
            hashes,
            notes: Vec::new(),
            format,
            storage: Storage::Store(Arc::new(ReadStore { images: Box::new(images), sums })),
        }))
    }

    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { classes, format, storage, rows, targets, ids, hashes, notes } = parts;
        Self { classes, format, storage, rows, targets, ids, hashes, notes }
    }

    /// The same images without their labels and the names of the classes.
    #[must_use]
    pub fn without_labels(self) -> Self {
        Self { classes: [].into(), targets: None, ..self }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether every sample has a target; otherwise none has.
    pub fn is_labelled(&self) -> bool {
        self.targets.is_some()
    }

    /// Names of the classes; targets index them. Empty without labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Shape of every image.
    pub fn format(&self) -> &ImageFormat {
        &self.format
    }

    /// The class index of every sample. Empty without labels, see [`Dataset::is_labelled`].
    pub fn targets(&self) -> &[u32] {
        self.targets.as_deref().unwrap_or_default()
    }

    /// BLAKE3, in hexadecimal, of the contents of all images in their order: of the bytes of files, and of
    /// the pixels of arrays, as they were before they were brought to the format. The same images in another
    /// order, or one more or less, give another; labels, ids and places do not matter.
    pub fn images_blake3(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.hashes.iter().for_each(|hash| {
            hasher.update(hash.as_bytes());
        });
        hasher.finalize().to_hex().to_string()
    }

    /// Name of sample `index`: its path below the data set's folder, or its array and row.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Dataset::len`].
    pub fn id(&self, index: usize) -> &str {
        &self.ids[index]
    }

    /// What happened while this split was decoded, such as images left out. What happened when the
    /// source was opened is in [`Source::notes`](crate::Source::notes).
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// BLAKE3 of the content that the image of sample `index` was made from: of the bytes of its file, or of
    /// its pixels in an array.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Dataset::len`].
    pub fn image_blake3(&self, index: usize) -> &[u8; 32] {
        self.hashes[index].as_bytes()
    }

    /// Whether the images are in memory; otherwise [`Dataset::read`] decodes a file.
    pub fn in_memory(&self) -> bool {
        match &self.storage {
            Storage::Memory(_) => true,
            Storage::Encoded(_) | Storage::Cached(_) => false,
            Storage::Store(stored) => stored.images.in_memory(),
            Storage::Joined(parts) => parts.iter().all(Self::in_memory),
        }
    }

    /// Number of samples of every class; empty without labels.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &target in self.targets() {
            counts[target as usize] += 1;
        }
        counts
    }

    /// Copies the image of sample `index` to `out`, `[channel, height, width]`.
    ///
    /// # Errors
    ///
    /// [`DataError::BadImage`] or [`DataError::Io`] if a file that is decoded on demand has changed
    /// since the data set was loaded. Never for images in memory.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Dataset::len`], or `out` is not as long as the format says.
    pub fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        out.copy_from_slice(&self.pixels(index)?);
        Ok(())
    }

    /// The image of sample `index`: borrowed from memory, or freshly decoded.
    pub(crate) fn pixels(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let row = self.rows[index] as usize;
        match &self.storage {
            Storage::Memory(pixels) => {
                let length = self.format.num_values();
                Ok(Cow::Borrowed(&pixels[row * length..][..length]))
            }
            Storage::Encoded(stored) => {
                let raster = stored.images.raster(stored.rows[row] as usize, &stored.limits)?;
                Ok(Cow::Owned(raster.into_format(&self.format)))
            }
            Storage::Cached(stored) => stored.cache.read(row).map(Cow::Owned),
            Storage::Store(stored) => stored.images.pixels(row),
            Storage::Joined(parts) => {
                let (part, index) = part_of(parts, row);
                part.pixels(index)
            }
        }
    }

    /// The samples at `indices`, in that order, sharing the images. An index may occur twice.
    ///
    /// # Panics
    ///
    /// If an index is not below [`Dataset::len`].
    pub fn subset(&self, indices: &[u32]) -> Self {
        Self {
            classes: Arc::clone(&self.classes),
            format: self.format.clone(),
            storage: self.storage.clone(),
            rows: indices.iter().map(|&index| self.rows[index as usize]).collect(),
            targets: self
                .targets
                .as_ref()
                .map(|targets| indices.iter().map(|&index| targets[index as usize]).collect()),
            ids: indices.iter().map(|&index| self.ids[index as usize].clone()).collect(),
            hashes: indices.iter().map(|&index| self.hashes[index as usize]).collect(),
            notes: self.notes.clone(),
        }
    }

    /// Sums over all samples, one for each channel of the format.
    pub(crate) fn channel_sums(&self) -> Vec<ChannelSums> {
        let add = |a: [ChannelSums; 3], b: [ChannelSums; 3]| [0, 1, 2].map(|c| a[c].plus(b[c]));
        let of_sample = |index| self.sums_of(index);
        let sums = (0..self.len()).into_par_iter().map(of_sample).reduce(|| [ChannelSums::default(); 3], add);
        sums[..self.format.channels].to_vec()
    }

    fn sums_of(&self, index: usize) -> [ChannelSums; 3] {
        let row = self.rows[index] as usize;
        match &self.storage {
            Storage::Memory(pixels) => {
                let length = self.format.num_values();
                ChannelSums::of_image(&pixels[row * length..][..length], &self.format)
            }
            Storage::Encoded(stored) => stored.sums[row],
            Storage::Cached(stored) => stored.sums[row],
            Storage::Store(stored) => stored.sums[row],
            Storage::Joined(parts) => {
                let (part, index) = part_of(parts, row);
                part.sums_of(index)
            }
        }
    }

    /// The data sets one after the other as one with these labels: for each sample the index of one of
    /// `classes`. Images are shared, not copied.
    ///
    /// # Panics
    ///
    /// If there is no data set, their formats differ, or there is not one class for each sample.
    #[must_use]
    pub fn join(parts: Vec<Self>, classes: &[String], targets: Vec<u32>) -> Self {
        let format = parts[0].format.clone();
        assert!(parts.iter().all(|part| part.format == format), "data sets of one format");
        assert_eq!(parts.iter().map(Self::len).sum::<usize>(), targets.len(), "samples and targets");
        assert!(targets.iter().all(|&target| (target as usize) < classes.len()), "a target that is no class");
        Self {
            classes: classes.into(),
            format,
            rows: (0..targets.len() as u32).collect(),
            targets: Some(targets),
            ids: parts.iter().flat_map(|part| part.ids.iter().cloned()).collect(),
            hashes: parts.iter().flat_map(|part| part.hashes.iter().copied()).collect(),
            notes: parts.iter().flat_map(|part| part.notes.iter().cloned()).collect(),
            storage: Storage::Joined(parts.into()),
        }
    }
}

impl ImageStore for Dataset {
    fn len(&self) -> usize {
        Dataset::len(self)
    }

    fn format(&self) -> &ImageFormat {
        Dataset::format(self)
    }

    fn classes(&self) -> &[String] {
        Dataset::classes(self)
    }

    fn target(&self, index: usize) -> Option<u32> {
        self.targets.as_ref().map(|targets| targets[index])
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        Dataset::id(self, index).into()
    }

    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        Dataset::read(self, index, out)
    }

    fn in_memory(&self) -> bool {
        Dataset::in_memory(self)
    }

    fn pixels(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        Dataset::pixels(self, index)
    }
}

/// The data set that holds row `row` of all of them, and its place there.
fn part_of(parts: &[Dataset], mut row: usize) -> (&Dataset, usize) {
    for part in parts {
        if row < part.len() {
            return (part, row);
        }
        row -= part.len();
    }
    unreachable!("a joined data set has as many rows as its parts")
}
