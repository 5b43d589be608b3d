//! Batches, in an order that is a pure function of seed and epoch. [`Epoch`] makes them ahead of the training
//! step.

pub(crate) mod batch;
pub(crate) mod class_balance;
pub(crate) mod cycled;
pub(crate) mod epoch;
pub(crate) mod triplets;

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use mentor_random::{Purpose, Stream};

use self::batch::HostBatch;
use self::class_balance::ClassBalance;
use self::cycled::CycledPart;
use self::epoch::Epoch;
use crate::augment::Augment;
use crate::dataset::image_store::ImageStore;
use crate::dataset::preprocessing::Preprocessing;
use crate::error::DataError;

/// The order of the samples in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// That of the data set.
    Sequential,
    /// A permutation that is a pure function of the seed and the epoch.
    Shuffled,
    /// P×K sampling (Hermans, Beyer and Leibe, 2017), for ranking losses: every batch holds
    /// `classes_per_batch` classes with `samples_per_class` samples each, one class after the other. Every
    /// sample comes at least once an epoch; where classes differ in size, samples of the small ones come
    /// again. A class with fewer samples gives all it has, so that a batch may be smaller than P·K, and no
    /// sample is twice in a batch. A pure function of the seed and the epoch.
    ///
    /// [`ClassBalance::of`](crate::ClassBalance::of) says beforehand whether a data set can be batched so.
    ClassBalanced {
        /// P, at least 2.
        classes_per_batch: usize,
        /// K, at least 2.
        samples_per_class: usize,
    },
    /// Given triplets of samples, shuffled as a pure function of the seed and the epoch: the three samples of
    /// each, one triplet after the other. A batch holds as many whole triplets as fit into its size.
    Triplets(Arc<[[u32; 3]]>),
    /// Batches with a fixed number of samples of each of some parts of the data set, one part after the
    /// other; the loader's `batch_size` is not looked at. Each part is gone through in one shuffled pass
    /// after the other, on across epochs, so that a small part comes again and again while a large one is
    /// seen once. A pure function of the seed and the number of the batch.
    Cycled {
        /// The parts, at least one.
        parts: Vec<CycledPart>,
        /// Batches of an epoch, at least 1.
        num_batches: usize,
    },
}

impl Order {
    /// The number of the draw of a batch's augmentation and dropout: the epoch, or the number of the batch if
    /// a sample may occur several times in an epoch.
    ///
    /// `batch` counts from 0 within `epoch`, which has `num_batches`.
    pub fn draw(&self, epoch: u64, batch: usize, num_batches: usize) -> u64 {
        match self {
            Self::Sequential | Self::Shuffled => epoch,
            Self::ClassBalanced { .. } | Self::Triplets(_) | Self::Cycled { .. } => {
                epoch * num_batches as u64 + batch as u64
            }
        }
    }

    /// The samples of shard `shard` of the `num_shards` that a batch is divided into: consecutive samples,
    /// the sizes of the shards differing by 1 at most. With [`Order::Cycled`] a share of each part, in the
    /// order of the parts. A small batch leaves shards empty.
    fn shard(&self, batch: &[u32], shard: usize, num_shards: usize) -> Vec<u32> {
        let share = |samples: &[u32]| {
            let bound = |shard: usize| samples.len() * shard / num_shards;
            samples[bound(shard)..bound(shard + 1)].to_vec()
        };
        let Self::Cycled { parts, .. } = self else { return share(batch) };
        let (mut rest, mut samples) = (batch, Vec::new());
        for part in parts {
            let (of_part, others) = rest.split_at(part.batch_size);
            samples.extend(share(of_part));
            rest = others;
        }
        samples
    }
}

/// How batches are made.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Samples in a batch, at least 1. A shuffled epoch of up to 8 batches is divided evenly: their sizes
    /// differ by 1 at most, so that an update from 8 images does not count as much as one from 128. The last
    /// batch of other epochs may hold fewer. With [`Order::ClassBalanced`] the most
    /// that a batch may hold: `classes_per_batch * samples_per_class`, or more.
    pub batch_size: usize,
    /// The order of the samples.
    pub order: Order,
    /// What is done to the images before normalisation.
    pub augment: Augment,
    /// Seed of order and augmentation.
    pub seed: u64,
    /// Threads of the loader's own that make batches. 0: half as many as there are cores where images are
    /// decoded on demand, and none for images in memory, of which Rayon's threads make batches between the
    /// parts of a step.
    pub workers: usize,
    /// Batches that are made ahead; they bound the loader's memory. 0: chosen, 1 where images are only
    /// gathered from memory, which takes less time than any step, and 4 where they are decoded or augmented.
    pub prefetch: usize,
    /// The number k of fixed augmentations of each image; draw d shows augmentation d mod k
    /// ([`Order::draw`]). `None`: every draw is a new one. Does not change the order of the samples.
    pub views: Option<NonZeroU64>,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            batch_size: 128,
            order: Order::Shuffled,
            augment: Augment::None,
            seed: 0,
            workers: 0,
            prefetch: 0,
            views: None,
        }
    }
}

/// Makes the batches of a data set, or of any other [`ImageStore`], epoch by epoch.
///
/// ```
/// use std::sync::Arc;
/// use mentor_data::{Loader, LoaderOptions, OpenOptions, Preprocessing, Source, Split};
/// let train = Source::open("digits", &OpenOptions::default())?.load(Split::Train)?;
/// let preprocessing = Preprocessing::fit(&train);
/// let loader = Loader::new(Arc::new(train), preprocessing, LoaderOptions::default());
/// let whole: Vec<_> = loader.epoch(3, 0).collect::<Result<_, _>>()?;
/// let resumed: Vec<_> = loader.epoch(3, 5).collect::<Result<_, _>>()?;
/// assert_eq!(whole.len(), loader.num_batches());
/// assert_eq!(whole[5..], resumed);
/// # Ok::<(), mentor_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loader {
    shared: Arc<Shared>,
}

/// Small images are collected before they are turned into numbers: they lie all over memory, and a processor
/// waits for the bytes of several copies at once, where it would wait for one image after the other.
const GATHERED_BYTES: usize = 8 << 10;

/// An epoch of more batches ends in a smaller one, which is then one of many.
const MAX_EVEN_BATCHES: usize = 8;

/// What every batch is made from.
#[derive(Debug)]
struct Shared {
    images: Box<dyn ImageStore>,
    /// Class index of every image; empty where the order does not depend on them.
    targets: Vec<u32>,
    preprocessing: Preprocessing,
    options: LoaderOptions,
}

impl Loader {
    /// A loader over `images`, such as an `Arc<Dataset>`.
    ///
    /// # Panics
    ///
    /// If `batch_size` is 0, or the preprocessing is for images of another shape than the data set's. With
    /// [`Order::ClassBalanced`] also where [`ClassBalance::of`](crate::ClassBalance::of) is an error, or
    /// `batch_size` is too small for such a batch; with [`Order::Triplets`] if it is below 3.
    pub fn new(
        images: impl ImageStore + 'static,
        preprocessing: Preprocessing,
        options: LoaderOptions,
    ) -> Self {
        assert!(options.batch_size > 0, "batch_size must be at least 1");
        assert_eq!(
            images.format().shape(),
            preprocessing.format.shape(),
            "the data set must be loaded in the format of the preprocessing"
        );
        let mut targets = Vec::new();
        if let Order::ClassBalanced { classes_per_batch, samples_per_class } = options.order {
            targets.extend((0..images.len()).filter_map(|index| images.target(index)));
            let counts = class_balance::counts(&targets, images.classes().len());
            if let Err(error) =
                ClassBalance::of_counts(images.classes(), &counts, classes_per_batch, samples_per_class)
            {
                panic!("{error}");
            }
            assert!(
                classes_per_batch.saturating_mul(samples_per_class) <= options.batch_size,
                "batch_size {} must be at least {classes_per_batch} classes x {samples_per_class} samples",
                options.batch_size
            );
        }
        let triplets = matches!(options.order, Order::Triplets(_));
        assert!(!triplets || options.batch_size >= 3, "a batch of {} holds no triplet", options.batch_size);
        Self { shared: Arc::new(Shared { images: Box::new(images), targets, preprocessing, options }) }
    }

    /// The images.
    pub fn images(&self) -> &dyn ImageStore {
        &*self.shared.images
    }

    /// Batches in an epoch.
    pub fn num_batches(&self) -> usize {
        let Shared { images, options, .. } = &*self.shared;
        match &options.order {
            &Order::ClassBalanced { classes_per_batch, samples_per_class } => {
                class_balance::num_batches(&self.class_counts(), classes_per_batch, samples_per_class)
            }
            Order::Triplets(triplets) => triplets.len().div_ceil(options.batch_size / 3),
            Order::Cycled { num_batches, .. } => *num_batches,
            Order::Sequential | Order::Shuffled => images.len().div_ceil(options.batch_size),
        }
    }

    /// Number of samples of every class, of an order that depends on them.
    fn class_counts(&self) -> Vec<usize> {
        class_balance::counts(&self.shared.targets, self.shared.images.classes().len())
    }

    /// The samples of an epoch in their order: a pure function of seed and epoch.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        self.plan(epoch).0
    }

    /// The samples of an epoch, and where each batch ends.
    fn plan(&self, epoch: u64) -> (Vec<u32>, Vec<usize>) {
        let Shared { images, targets, options, .. } = &*self.shared;
        let num_samples = images.len() as u32;
        let samples: Vec<u32> = match &options.order {
            Order::Sequential => (0..num_samples).collect(),
            Order::Shuffled => Stream::new(options.seed, Purpose::Order, &[epoch]).permutation(num_samples),
            &Order::ClassBalanced { classes_per_batch, samples_per_class } => {
                return class_balance::plan(
                    targets,
                    &self.class_counts(),
                    classes_per_batch,
                    samples_per_class,
                    options.seed,
                    epoch,
                );
            }
            Order::Cycled { parts, num_batches } => {
                return cycled::plan(parts, *num_batches, options.seed, epoch);
            }
            Order::Triplets(triplets) => {
                let mut stream = Stream::new(options.seed, Purpose::Order, &[epoch]);
                let order = stream.permutation(triplets.len() as u32);
                order.into_iter().flat_map(|triplet| triplets[triplet as usize]).collect()
            }
        };
        let batch_size = match &options.order {
            Order::Triplets(_) => options.batch_size / 3 * 3,
            _ => options.batch_size,
        };
        let num_batches = self.num_batches();
        let evenly = options.order == Order::Shuffled && num_batches <= MAX_EVEN_BATCHES;
        let end = |batch: usize| match evenly {
            true => batch * samples.len() / num_batches,
            false => (batch * batch_size).min(samples.len()),
        };
        let ends = (1..=num_batches).map(end).collect();
        (samples, ends)
    }

    /// The batches of an epoch from `first_batch` on, which is 0 unless a run resumes in the middle.
    ///
    /// The first of them are begun at once.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Epoch {
        self.epoch_of_shards(epoch, first_batch, 0..1, 1)
    }

    /// As [`Loader::epoch`], with each batch divided into `num_shards`, of which those of `shards` are made:
    /// first those of the first batch, in their order, then those of the next. One after the other, all
    /// shards of a batch hold its samples; of [`Order::Cycled`] each holds a share of every part. The shards
    /// of a small batch may be empty.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use mentor_data::{Loader, LoaderOptions, OpenOptions, Preprocessing, Source, Split};
    /// let train = Source::open("digits", &OpenOptions::default())?.load(Split::Train)?;
    /// let preprocessing = Preprocessing::fit(&train);
    /// let loader = Loader::new(Arc::new(train), preprocessing, LoaderOptions::default());
    /// let batch = loader.epoch(0, 0).next().unwrap()?;
    /// let shard = loader.epoch_of_shards(0, 0, 1..2, 4).next().unwrap()?;
    /// assert_eq!(shard.samples, batch.samples[32..64]);
    /// # Ok::<(), mentor_data::DataError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `shards` is empty, or goes beyond `num_shards`.
    pub fn epoch_of_shards(
        &self,
        epoch: u64,
        first_batch: usize,
        shards: Range<usize>,
        num_shards: usize,
    ) -> Epoch {
        assert!(!shards.is_empty() && shards.end <= num_shards, "shards {shards:?} of {num_shards}");
        let (samples, ends) = self.plan(epoch);
        let (num_batches, of_batch) = (ends.len(), shards.len());
        let shared = Arc::clone(&self.shared);
        let make = move |item: usize| {
            let (batch, shard) = (item / of_batch, shards.start + item % of_batch);
            let start = if batch == 0 { 0 } else { ends[batch - 1] };
            let order = &shared.options.order;
            let samples = order.shard(&samples[start..ends[batch]], shard, num_shards);
            shared.make_batch(&samples, order.draw(epoch, batch, num_batches))
        };
        let items = first_batch.min(num_batches) * of_batch..num_batches * of_batch;
        Epoch::new(make, items, self.num_workers(), self.prefetch() * of_batch)
    }

    /// Decoding takes most of a core.
    fn num_workers(&self) -> usize {
        let Shared { images, options, .. } = &*self.shared;
        if options.workers > 0 || images.in_memory() {
            return options.workers;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores / 2).clamp(1, 16)
    }

    fn prefetch(&self) -> usize {
        let Shared { images, options, .. } = &*self.shared;
        match options.prefetch {
            0 if images.in_memory() && options.augment == Augment::None => 1,
            0 => 4,
            chosen => chosen,
        }
    }
}

impl Shared {
    fn make_batch(&self, samples: &[u32], draw: u64) -> Result<HostBatch, DataError> {
        let Self { images, preprocessing, options, .. } = self;
        let format = images.format();
        let view = options.views.map_or(draw, |views| draw % views);
        let mut pixels = Vec::with_capacity(samples.len() * format.num_values());
        let gathered = (GATHERED_BYTES / format.num_values()).max(1);
        let mut bytes = vec![0; gathered * format.num_values()];
        for samples in samples.chunks(gathered) {
            for (&sample, bytes) in samples.iter().zip(bytes.chunks_exact_mut(format.num_values())) {
                let image = images.pixels(sample as usize)?;
                options.augment.apply(format, &image, bytes, options.seed, view, sample);
            }
            let bytes = bytes.chunks_exact(format.num_values()).take(samples.len());
            bytes.for_each(|bytes| preprocessing.extend(bytes, &mut pixels));
        }
        let targets: Vec<u32> = samples.iter().filter_map(|&sample| images.target(sample as usize)).collect();
        self.check_targets(samples, &targets)?;
        let shape = [samples.len(), format.channels, format.height, format.width];
        Ok(HostBatch { pixels, shape, targets, samples: samples.to_vec(), draw })
    }

    /// What a [`Dataset`](crate::Dataset) is known to hold, a store of the caller's own only promises.
    fn check_targets(&self, samples: &[u32], targets: &[u32]) -> Result<(), DataError> {
        let num_classes = self.images.classes().len();
        let reason = if !targets.is_empty() && targets.len() != samples.len() {
            format!("{} of {} images have a target", targets.len(), samples.len())
        } else if let Some(target) = targets.iter().find(|&&target| target as usize >= num_classes) {
            format!("target {target}, but {num_classes} classes")
        } else {
            return Ok(());
        };
        Err(DataError::Inconsistent { reason })
    }
}
