//! The images of a split, decoded, without those that a later split has too.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use mentor_codec::Extent;
use rayon::prelude::*;

use super::{LOOK, Source, UNDECODABLE, UNREADABLE};
use crate::dataset::channel_sums::ChannelSums;
use crate::dataset::pixel_cache::{PixelCache, PixelCacheWriter};
use crate::dataset::{CachedStore, Dataset, EncodedStore, Parts, Storage};
use crate::decode::extents::Extents;
use crate::decode::raster::Raster;
use crate::error::{DIFFERENT, DataError};
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::readers::encoded::EncodedImages;
use crate::readers::listing::Pictures;
use crate::source::catalogue::{COPIES, Record, bad_image, classes_of};
use crate::source::duplicates::{self, Known, Pairs};
use crate::split::Split;

/// Why a class has no image left.
const NONE_DECODED: &str = "none of them can be decoded";

impl Source {
    /// The samples of a split, in the source's own format.
    ///
    /// # Errors
    ///
    /// As [`Source::load_as`].
    pub fn load(&self, split: Split) -> Result<Dataset, DataError> {
        self.load_as(split, &self.format)
    }

    /// The samples of a split in the format that a model stores: for evaluation and prediction.
    ///
    /// Every file is decoded once, in parallel. The result stays in memory if it fits into
    /// `limits.max_memory_bytes`; otherwise files are decoded again when they are needed. A training or
    /// validation image whose pixels a later split has too is left out, unless duplicates are kept; for that,
    /// files of the later splits are decoded if their size occurs in this one or one before it.
    ///
    /// # Errors
    ///
    /// [`DataError::NoSplit`] if the split is empty; [`DataError::BadImage`] for the first file, in the
    /// order of the data set, that cannot be decoded, unless such files are to be left out;
    /// [`DataError::NothingLeft`] if all are left out; [`DataError::TooLarge`] if an array does not fit;
    /// [`DataError::Interrupted`] by the observer of the options.
    pub fn load_as(&self, split: Split, format: &ImageFormat) -> Result<Dataset, DataError> {
        format.check()?;
        let records = self.records(split)?;
        let later = self.later(split)?;
        let mut twins = Pairs::default();
        for record in records.iter().filter(|record| record.leaks) {
            if let Some(twin) = later.get(&record.hash) {
                twins.push(record, twin);
            }
        }
        let mut loaded = self.read(self.samples(split).collect(), format)?;
        let decoded = classes_of(loaded.records());
        let keep = self.options.keep_duplicates;
        loaded.samples.retain(|sample| match later.get(&sample.content) {
            None => true,
            Some(twin) => {
                twins.push(sample.record, twin);
                keep
            }
        });
        if loaded.samples.is_empty() {
            let (reason, ways) = match (twins.ids.is_empty(), split) {
                (true, _) => (UNDECODABLE, LOOK),
                (false, Split::Train) => ("images that validation or test have too", DIFFERENT),
                (false, _) => ("images that test has too", DIFFERENT),
            };
            return Err(DataError::NothingLeft { path: self.name.clone(), split, reason, ways });
        }
        let (wanted, left) = (classes_of(self.samples(split)), classes_of(loaded.records()));
        loaded.notes.extend(wanted.lost(&decoded, &self.classes, split, NONE_DECODED));
        loaded.notes.extend(decoded.lost(&left, &self.classes, split, COPIES));
        loaded.notes.extend(duplicates::leak_note(split, twins, keep));
        Ok(self.dataset(format, loaded, Some(split)))
    }

    /// Every image of all splits, in the order of the data: for evaluation on data of which nothing was
    /// trained on. Nothing is left out but what cannot be decoded, and that only if the options say so.
    ///
    /// # Errors
    ///
    /// As [`Source::load_as`].
    pub fn load_all_as(&self, format: &ImageFormat) -> Result<Dataset, DataError> {
        let mut records: Vec<&Record> = self.splits.iter().flatten().collect();
        records.sort_by_key(|record| record.row);
        self.load_whole(records, None, format)
    }

    /// Every image of a split, also one that a later split has too: for evaluation on data of which nothing
    /// was trained on. Nothing is left out but what cannot be decoded, and that only if the options say so.
    ///
    /// # Errors
    ///
    /// As [`Source::load_as`].
    pub fn load_whole_as(&self, split: Split, format: &ImageFormat) -> Result<Dataset, DataError> {
        self.load_whole(self.records(split)?.iter().collect(), Some(split), format)
    }

    fn load_whole(
        &self,
        records: Vec<&Record>,
        split: Option<Split>,
        format: &ImageFormat,
    ) -> Result<Dataset, DataError> {
        format.check()?;
        let loaded = self.read(records, format)?;
        if loaded.samples.is_empty() {
            let (path, split) = (self.name.clone(), split.unwrap_or(Split::Test));
            return Err(DataError::NothingLeft { path, split, reason: UNDECODABLE, ways: LOOK });
        }
        Ok(self.dataset(format, loaded, split))
    }

    /// All that a split has, which is not empty.
    fn records(&self, split: Split) -> Result<&[Record], DataError> {
        let records = &self.splits[split.index()];
        let is_of_split = |note: &Note| matches!(note, Note::BadImage { file, .. } if file.split == split);
        if records.is_empty() && self.notes.iter().any(is_of_split) {
            let path = self.name.clone();
            return Err(DataError::NothingLeft { path, split, reason: UNREADABLE, ways: LOOK });
        }
        if records.is_empty() {
            let hint = match split {
                Split::Train => "add images for training",
                Split::Val => "add images for validation, or set a val_fraction above 0",
                Split::Test => "choose another split, or add images for testing",
            };
            return Err(DataError::NoSplit { path: self.name.clone(), split, hint });
        }
        Ok(records)
    }

    /// The samples of the splits after `split`, by the hash of their files and by that of their pixels.
    fn later(&self, split: Split) -> Result<Known<'_>, DataError> {
        let mut known = Known::default();
        for later in Split::ALL.into_iter().filter(|&later| later > split) {
            let contents = self.contents(later)?;
            for (record, content) in self.splits[later.index()].iter().zip(contents) {
                known.first(record.hash, record);
                if let Some(content) = content {
                    known.first(*content, record);
                }
            }
        }
        Ok(known)
    }

    /// What each sample of a split shows, as [`Sample::content`]; `None` if no earlier split has an image of
    /// its size, so that it is not decoded, or if it cannot be decoded, which is said when the split itself
    /// is loaded. Computed once.
    fn contents(&self, split: Split) -> Result<&[Option<blake3::Hash>], DataError> {
        let cell = &self.contents[split.index()];
        if let Some(contents) = cell.get() {
            return Ok(contents);
        }
        let records = &self.splits[split.index()];
        let contents = match &self.pictures {
            Pictures::Array { .. } => records.iter().map(|record| Some(record.hash)).collect(),
            Pictures::Encoded(images) => {
                let size = |record: &Record| {
                    self.headers[record.row as usize].map(|header| [header.height, header.width])
                };
                let sizes: HashSet<_> = self.splits[..split.index()].iter().flatten().map(size).collect();
                let num_compared = records.iter().filter(|record| sizes.contains(&size(record))).count();
                let counter = self.options.observer.begin("comparing images", num_compared);
                let content = |record: &Record| {
                    if !sizes.contains(&size(record)) {
                        return Ok(None);
                    }
                    counter.advance(1)?;
                    let raster = images.raster(record.row as usize, &self.options.limits);
                    Ok(raster.ok().map(|raster| raster.content()))
                };
                records.par_iter().map(content).collect::<Result<_, DataError>>()?
            }
        };
        Ok(cell.get_or_init(|| contents))
    }

    fn read<'a>(&self, records: Vec<&'a Record>, format: &ImageFormat) -> Result<Loaded<'a>, DataError> {
        match &self.pictures {
            Pictures::Array { shape, bytes } => self.read_array(records, shape, bytes, format),
            Pictures::Encoded(images) => self.read_encoded(records, images, format),
        }
    }

    fn read_array<'a>(
        &self,
        records: Vec<&'a Record>,
        shape: &ImageFormat,
        bytes: &Arc<Vec<u8>>,
        format: &ImageFormat,
    ) -> Result<Loaded<'a>, DataError> {
        let sample = |(row, record): (u32, &'a Record)| Sample { record, row, content: record.hash };
        if shape.same_shape(format) {
            let samples = records.into_iter().map(|record| sample((record.row, record))).collect();
            let storage = Storage::Memory(Arc::clone(bytes));
            return Ok(Loaded { storage, samples, extents: Extents::default(), notes: Vec::new() });
        }
        let size = records.len() as u64 * format.num_values() as u64;
        let limit = self.options.limits.max_memory_bytes;
        if size > limit {
            return Err(DataError::TooLarge {
                path: PathBuf::from(&self.name),
                what: "the number of bytes at the size asked for",
                size,
                limit,
                option: "max_memory_bytes",
            });
        }
        let mut converted = vec![0; size as usize];
        converted.par_chunks_exact_mut(format.num_values()).zip(&records).for_each(|(out, record)| {
            let image = &bytes[record.row as usize * shape.num_values()..][..shape.num_values()];
            out.copy_from_slice(&Raster::from_planes(shape, image).into_format(format));
        });
        let storage = Storage::Memory(Arc::new(converted));
        let samples = (0..).zip(records).map(sample).collect();
        Ok(Loaded { storage, samples, extents: Extents::default(), notes: Vec::new() })
    }

    fn read_encoded<'a>(
        &self,
        records: Vec<&'a Record>,
        images: &Arc<dyn EncodedImages>,
        format: &ImageFormat,
    ) -> Result<Loaded<'a>, DataError> {
        let limits = &self.options.limits;
        let length = format.num_values();
        let fits = records.len() as u64 * length as u64 <= limits.max_memory_bytes;
        let cache = self.options.pixel_cache.as_ref().filter(|_| !fits && !records.is_empty());
        let cache =
            cache.map(|folder| PixelCache::path(folder, format, records.iter().map(|record| &record.hash)));
        if let Some(path) = &cache
            && let Some(cache) = PixelCache::open(path, records.len(), length)?
        {
            return self.read_cached(records, cache, format);
        }
        let writer = cache.map(|path| PixelCacheWriter::create(&path, length)).transpose()?;
        let counter = self.options.observer.begin("decoding images", records.len());
        let decode = |record: &Record| {
            counter.advance(1)?;
            let raster = images.raster(record.row as usize, limits)?;
            Ok::<_, DataError>((raster.content(), raster.extent, raster.into_format(format)))
        };
        let mut pixels = Vec::new();
        type Read = (blake3::Hash, Option<Extent>, [ChannelSums; 3], Option<blake3::Hash>);
        let outcomes: Vec<Result<Read, DataError>> = if fits {
            pixels.resize(records.len() * length, 0);
            let slots = pixels.par_chunks_exact_mut(length).zip(&records);
            let fill = |(slot, record): (&mut [u8], &&Record)| {
                let (content, extent, image) = decode(record)?;
                slot.copy_from_slice(&image);
                Ok((content, extent, [ChannelSums::default(); 3], None))
            };
            slots.map(fill).collect()
        } else {
            let sums = |(row, record): (usize, &&Record)| {
                let (content, extent, image) = decode(record)?;
                let written = writer.as_ref().map(|writer| writer.write(row, &image)).transpose()?;
                Ok((content, extent, ChannelSums::of_image(&image, format), written))
            };
            records.par_iter().enumerate().map(sums).collect()
        };

        let (mut notes, mut samples, mut extents) = (Vec::new(), Vec::new(), Extents::default());
        let mut sums = Vec::with_capacity(records.len());
        // Of every image; of files that need a note the cache would not know.
        let mut hashes = Vec::new();
        for ((row, &record), outcome) in (0..).zip(&records).zip(outcomes) {
            match outcome {
                Ok((content, extent, of_record, written)) => {
                    extents.add(extent, &record.id);
                    sums.push(of_record);
                    hashes.extend(written.filter(|_| extent.is_none()).map(|written| [content, written]));
                    samples.push(Sample { record, row, content });
                }
                Err(error) => {
                    let Some(fault) = error.unreadable() else { return Err(error) };
                    let (id, path) = (record.id.clone(), images.path(record.row as usize));
                    notes.push(bad_image(record.split, id, &path, fault, self.options.on_bad_image)?);
                    sums.push([ChannelSums::default(); 3]);
                }
            }
        }
        let complete = writer.filter(|_| hashes.len() == records.len());
        let storage = if fits {
            Storage::Memory(Arc::new(pixels))
        } else if let Some(writer) = complete {
            Storage::Cached(Arc::new(CachedStore { cache: writer.finish(hashes)?, sums }))
        } else {
            let (images, rows) = (Arc::clone(images), records.iter().map(|record| record.row).collect());
            Storage::Encoded(Arc::new(EncodedStore { images, rows, sums, limits: limits.clone() }))
        };
        Ok(Loaded { storage, samples, extents, notes })
    }

    /// As [`Source::read_encoded`], of images that were decoded before.
    fn read_cached<'a>(
        &self,
        records: Vec<&'a Record>,
        cache: PixelCache,
        format: &ImageFormat,
    ) -> Result<Loaded<'a>, DataError> {
        let counter = self.options.observer.begin("reading decoded images", records.len());
        let sums = |row: usize| {
            counter.advance(1)?;
            Ok(ChannelSums::of_image(&cache.read(row)?, format))
        };
        let sums: Vec<Result<_, DataError>> = (0..records.len()).into_par_iter().map(sums).collect();
        let sums = sums.into_iter().collect::<Result<Vec<_>, _>>()?;
        let sample = |(row, record)| Sample { record, row, content: cache.content(row as usize) };
        let samples = (0..).zip(records).map(sample).collect();
        let storage = Storage::Cached(Arc::new(CachedStore { cache, sums }));
        Ok(Loaded { storage, samples, extents: Extents::default(), notes: Vec::new() })
    }

    /// What was read, of a split or of all, with a note about what occurs more than once.
    fn dataset(&self, format: &ImageFormat, loaded: Loaded<'_>, split: Option<Split>) -> Dataset {
        let Loaded { storage, samples, extents, mut notes } = loaded;
        notes.extend(extents.note(split));
        let (mut known, mut repeats) = (Known::default(), Pairs::default());
        for sample in &samples {
            if let Some(first) = known.first(sample.content, sample.record) {
                repeats.push(first, sample.record);
            }
        }
        notes.extend(duplicates::repeat_note(split, repeats));
        Dataset::new(Parts {
            classes: Arc::clone(&self.classes),
            format: format.clone(),
            storage,
            rows: samples.iter().map(|sample| sample.row).collect(),
            targets: samples.iter().map(|sample| sample.record.target).collect(),
            ids: samples.iter().map(|sample| sample.record.id.clone()).collect(),
            hashes: samples.iter().map(|sample| sample.record.hash).collect(),
            notes,
        })
    }
}

/// A sample whose image was read.
struct Sample<'a> {
    record: &'a Record,
    /// Of the image in its storage.
    row: u32,
    /// Of the decoded pixels at full size; of an array that of its bytes.
    content: blake3::Hash,
}

/// Samples and where their images are.
struct Loaded<'a> {
    storage: Storage,
    samples: Vec<Sample<'a>>,
    extents: Extents,
    notes: Vec<Note>,
}

impl<'a> Loaded<'a> {
    fn records(&self) -> impl Iterator<Item = &'a Record> {
        self.samples.iter().map(|sample| sample.record)
    }
}
