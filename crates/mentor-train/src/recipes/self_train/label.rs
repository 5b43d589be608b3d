//! `mentor label`: pseudo-labels alone, of one shard of a folder, for a scheduler's processes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mentor_data::{DataError, Dataset, Note, OpenOptions, ReadObserver, Source, Split, counted};

use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::plan::distill::DistillMode;
use crate::pseudo_labels::{LabelsHeader, LabelsWriter, Manifest, Shard, finished_shard};
use crate::teachers::images::AugmentedImages;
use crate::teachers::teacher::Teacher;
use crate::teachers::trained::TrainedTeacher;

/// Images between two looks at whether to go on.
const BLOCK: usize = 1024;

/// Images to label.
#[derive(Clone, Debug)]
pub struct LabelInput<'a> {
    /// A folder of images, or other data whose labels are not looked at.
    pub data: &'a str,
    /// Pixels of the largest image file; `None`: as when the model was trained.
    pub max_pixels: Option<u64>,
    /// Watches the reading, and may interrupt it.
    pub reading: ReadObserver,
}

/// How labelling ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Labelling {
    /// The shard is written.
    Written(Manifest),
    /// It was complete and intact before.
    AlreadyWritten(Manifest),
    /// `stop` was set, or the reading was interrupted; nothing is left of the shard, and the same call begins
    /// it again.
    Interrupted,
}

/// Labels `shard` of the images `given` with the model of the complete run `run`, into the file `out`.
///
/// Labels that they may have are not looked at; of data with splits, the training images are labelled. A file
/// that is complete, intact and of this shard is left as it is. Scores are stored raw, except for class
/// biases of the model's calibration; its temperature is in the header. Each image's scores do not depend on
/// the shard that it is in.
///
/// # Errors
///
/// When the run is no complete classifier, the images cannot be read, or `out` holds labels of something
/// else.
pub fn label(
    run: &Path,
    given: LabelInput<'_>,
    out: &Path,
    shard: Shard,
    execution: &Execution<'_>,
) -> Result<Labelling, TrainError> {
    let teacher = TrainedTeacher::load(run, DistillMode::Soft, execution.device())?;
    let file = &teacher.trained().file;
    let mut options = OpenOptions {
        val_fraction: 0.0,
        test_fraction: 0.0,
        observer: given.reading,
        ..file.data.options.clone()
    };
    options.limits.max_pixels = given.max_pixels.unwrap_or(options.limits.max_pixels);
    let read = || {
        let source = Source::open_unlabelled(given.data, &options)?;
        let format = &file.preprocessing.format;
        // Without splits of its own nothing was drawn from it, and nobody has to hear of training.
        let images = match source.has_own_splits() {
            true => source.load_as(Split::Train, format)?,
            false => source.load_all_as(format)?,
        };
        Ok((source, images))
    };
    let (source, images) = match read() {
        Err(DataError::Interrupted) => return Ok(Labelling::Interrupted),
        read => read?,
    };
    // The size is the teacher's.
    let told = |note: &&Note| !matches!(note, Note::Resized { .. });
    for note in source.notes().iter().chain(images.notes()).filter(told) {
        execution.warn(note.to_string());
    }
    let header = LabelsHeader {
        teacher_blake3: file.weights_blake3.clone(),
        images_blake3: images.images_blake3(),
        classes: file.classes.clone(),
        round: 0,
        temperature: file.calibration.as_ref().map_or(1.0, |calibration| calibration.temperature),
    };
    if let Some(manifest) = finished_shard(out, &header, shard)? {
        return Ok(Labelling::AlreadyWritten(manifest));
    }
    let num_images = shard.range(images.len() as u64).count();
    let all = counted(images.len(), "image", "images");
    execution.say(format!("shard {shard}: {num_images} of {all}"));
    match write_shard(&teacher, &images, header, shard, out, execution.stop())? {
        Some(manifest) => Ok(Labelling::Written(manifest)),
        None => Ok(Labelling::Interrupted),
    }
}

/// Writes a shard whole; `None`, and no file, once `stop` is set.
pub(super) fn write_shard(
    teacher: &TrainedTeacher,
    images: &Dataset,
    header: LabelsHeader,
    shard: Shard,
    out: &Path,
    stop: &AtomicBool,
) -> Result<Option<Manifest>, TrainError> {
    let num_classes = teacher.classes().len();
    // softmax(s / T + b) = softmax((s + T·b) / T)
    let calibration = teacher.trained().file.calibration.as_ref();
    let biases = calibration.map_or(&[][..], |calibration| &calibration.biases);
    let temperature = header.temperature;
    let mut writer = LabelsWriter::create(out, header, shard)?;
    let range = shard.range(images.len() as u64);
    let samples: Vec<u32> = (range.start as u32..range.end as u32).collect();
    for block in samples.chunks(BLOCK) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut scores = teacher.outputs(&AugmentedImages::plain(images), 0, block)?;
        for (&sample, row) in block.iter().zip(scores.chunks_exact_mut(num_classes)) {
            row.iter_mut().zip(biases).for_each(|(score, bias)| *score += (temperature * bias) as f32);
            writer.push(images.id(sample as usize), images.image_blake3(sample as usize), row)?;
        }
    }
    Ok(Some(writer.finish()?))
}

/// Where the shards of a round are, below the run.
pub(super) fn folder(place: &str) -> PathBuf {
    Path::new(place).join("labels")
}
