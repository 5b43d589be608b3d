//! A model in eight bits, and what it loses by that.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use mentor_data::{Reading, Split};
use mentor_export::{Answers, Calibrator, ExportModel, HAS_ENGINE, OnnxModel, to_onnx_int8};
use mentor_metrics::retrieval::{Embeddings, nearest};
use mentor_metrics::{evenly_spread, mcnemar};
use mentor_train::TrainedModel;
use serde::Serialize;

use super::args::Args;
use super::verify::{answered, data_of, read};
use crate::commands::eval::data::{images, labelled};
use crate::commands::part::Part;
use crate::terminal::error::Failure;
use crate::terminal::reading::ReadingBar;
use crate::terminal::table::count;

/// Pictures that ranges are measured on.
const MAX_CALIBRATION: usize = 512;
/// Pictures that both models answer at most: more would make the answer no better than chance lets it be.
const MAX_MEASURED: usize = 10_000;
/// Pictures of one pass.
const BATCH: usize = 64;
/// The share of accuracy that may be lost where the command says none: half a point.
const MAX_LOSS: f64 = 0.005;

/// A model in eight bits beside the one in floats, on the same pictures by the same engine.
#[derive(Serialize)]
pub(super) struct Int8 {
    engine: &'static str,
    data: String,
    split: Part,
    /// Pictures that the ranges were measured on, some of those below.
    num_calibration: usize,
    num_pictures: usize,
    /// Of a classifier the accuracy; of an embedding model the share of pictures whose nearest is of their
    /// class.
    measure: &'static str,
    f32: Measured,
    int8: Measured,
    /// Pictures that only one of the models has right.
    only_f32: u64,
    only_int8: u64,
    /// Of McNemar's exact test.
    p_value: f64,
    max_loss: f64,
}

/// One of the two.
#[derive(Serialize)]
struct Measured {
    accuracy: f64,
    bytes: usize,
    /// By the engine, on this machine.
    pictures_per_second: f64,
}

impl Int8 {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let Self { f32: before, int8: after, .. } = self;
        let smaller = before.bytes as f64 / after.bytes as f64;
        let faster = after.pictures_per_second / before.pictures_per_second;
        vec![
            ("measured by", format!("{}, on {}, {}", self.engine, self.data, self.split)),
            ("calibrated on", format!("{} of these pictures", count(self.num_calibration as u64))),
            (
                self.measure,
                format!(
                    "{:.4} in eight bits, {:.4} before, on {} pictures (only one is right in {} and {}, \
                     McNemar's p {:.2})",
                    after.accuracy,
                    before.accuracy,
                    count(self.num_pictures as u64),
                    self.only_int8,
                    self.only_f32,
                    self.p_value,
                ),
            ),
            (
                "size",
                format!(
                    "{} of {} bytes, {smaller:.1} times smaller",
                    count(after.bytes as u64),
                    count(before.bytes as u64)
                ),
            ),
            (
                "speed",
                format!(
                    "{:.0} pictures a second, {:.0} before, {faster:.2} times as fast",
                    after.pictures_per_second, before.pictures_per_second
                ),
            ),
        ]
    }
}

/// What can be said before the run is read.
pub(super) fn check(args: &Args) -> Result<(), Failure> {
    if HAS_ENGINE {
        return Ok(());
    }
    let error = anyhow!("--precision int8 measures with an engine that this mentor was built without");
    Err(Failure::usage(error).ways(vec![
        "install it with `cargo install --path crates/mentor-cli --features verify`".to_owned(),
        format!("write {} with --precision f32", mentor_data::shown_path(&args.out)),
    ]))
}

/// The file in eight bits, and how it compares with `float`, the bytes of the same file in floats.
///
/// # Errors
///
/// When the pictures cannot be read, the engine refuses, or more is lost than `--max-loss` allows.
pub(super) fn rounded(
    args: &Args,
    trained: &TrainedModel,
    model: &ExportModel,
    float: &[u8],
) -> Result<(Vec<u8>, Int8), Failure> {
    let data = data_of(trained, args.data.as_deref())?;
    let split = Part::Split(Split::Val);
    let is_classifier = !model.output.classes().is_empty();
    let dataset = if is_classifier { labelled(trained, data, split)? } else { images(trained, data, split)? };
    let bar = ReadingBar::new(false);
    let calibration: Vec<usize> = evenly_spread(dataset.len(), MAX_CALIBRATION).collect();
    let mut calibrator = Calibrator::new(model)?;
    for (batch, indices) in calibration.chunks(BATCH).enumerate() {
        let done = (batch * BATCH) as u64;
        bar.show(Reading { what: "calibrating", done, total: calibration.len() as u64 });
        calibrator.add(&trained.file.preprocessing.normalised(&read(&dataset, indices)?))?;
    }
    let bytes = to_onnx_int8(model, args.input.into(), &calibrator.finish())?;

    let chosen: Vec<usize> = evenly_spread(dataset.len(), MAX_MEASURED).collect();
    let mut both = [Tried::new(float)?, Tried::new(&bytes)?];
    for (batch, indices) in chosen.chunks(BATCH).enumerate() {
        bar.show(Reading { what: "measuring", done: (batch * BATCH) as u64, total: chosen.len() as u64 });
        let images = read(&dataset, indices)?;
        both.iter_mut().try_for_each(|tried| tried.answer(trained, &images))?;
    }
    let targets: Vec<u32> = chosen.iter().map(|&index| dataset.targets()[index]).collect();
    let before = both[0].predicted(trained, &targets)?;
    let after = both[1].predicted(trained, &targets)?;
    let test = mcnemar(&targets, &before, &after);
    let measured = |tried: &Tried, predicted: &[u32], bytes: usize| Measured {
        accuracy: num_right(&targets, predicted) as f64 / targets.len() as f64,
        bytes,
        pictures_per_second: targets.len() as f64 / tried.time.as_secs_f64(),
    };
    let found = Int8 {
        engine: "rten",
        data: data.to_owned(),
        split,
        num_calibration: calibration.len(),
        num_pictures: chosen.len(),
        measure: if is_classifier { "accuracy" } else { "P@1" },
        f32: measured(&both[0], &before, float.len()),
        int8: measured(&both[1], &after, bytes.len()),
        only_f32: test.only_first,
        only_int8: test.only_second,
        p_value: test.p_value,
        max_loss: args.max_loss.unwrap_or(MAX_LOSS),
    };
    refuse_loss(&found)?;
    Ok((bytes, found))
}

fn refuse_loss(found: &Int8) -> Result<(), Failure> {
    let loss = found.f32.accuracy - found.int8.accuracy;
    if loss <= found.max_loss {
        return Ok(());
    }
    let error = anyhow!(
        "in eight bits the model loses {:.2} points of {} ({:.4}, {:.4} before, on {} pictures), and \
         --max-loss allows {:.2}",
        100.0 * loss,
        found.measure,
        found.int8.accuracy,
        found.f32.accuracy,
        count(found.num_pictures as u64),
        100.0 * found.max_loss,
    );
    Err(Failure::failed(error).ways(vec![
        format!("allow it with --max-loss {:.4}", (loss * 1e4).ceil() / 1e4),
        "write it with --precision f32".to_owned(),
    ]))
}

fn num_right(targets: &[u32], predicted: &[u32]) -> usize {
    targets.iter().zip(predicted).filter(|(target, predicted)| target == predicted).count()
}

/// A file while it answers.
struct Tried {
    model: OnnxModel,
    time: Duration,
    answers: Answers,
}

impl Tried {
    fn new(bytes: &[u8]) -> Result<Self, Failure> {
        let model = OnnxModel::open(bytes.to_vec())?;
        Ok(Self { model, time: Duration::ZERO, answers: Answers::default() })
    }

    fn answer(&mut self, trained: &TrainedModel, images: &[Vec<u8>]) -> Result<(), Failure> {
        let start = Instant::now();
        let found = answered(trained, &self.model, images)?;
        self.time += start.elapsed();
        self.answers.embedding.width = found.embedding.width;
        self.answers.embedding.values.extend(found.embedding.values);
        if let Some(found) = found.probabilities {
            let rows = self.answers.probabilities.get_or_insert_default();
            rows.width = found.width;
            rows.values.extend(found.values);
        }
        Ok(())
    }

    /// The likeliest class of each picture; of an embedding model the class of the nearest other picture.
    fn predicted(&self, trained: &TrainedModel, targets: &[u32]) -> Result<Vec<u32>, Failure> {
        if let Some(rows) = &self.answers.probabilities {
            let top =
                |row: &[f32]| (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            return Ok(rows.iter().map(|row| top(row) as u32).collect());
        }
        let rows = &self.answers.embedding;
        let embeddings = Embeddings::new(&rows.values, rows.width)?;
        let class_of_nearest = |(index, row): (usize, &[f32])| {
            let found = nearest(&embeddings, row, 2, trained.metric())?;
            // Alone, a picture has no other, and no class by it.
            let other = found.into_iter().find(|found| found.index != index);
            Ok(other.map_or(u32::MAX, |found| targets[found.index]))
        };
        rows.iter().enumerate().map(class_of_nearest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(before: f64, after: f64, max_loss: f64) -> Int8 {
        let measured = |accuracy| Measured { accuracy, bytes: 1000, pictures_per_second: 10.0 };
        Int8 {
            engine: "rten",
            data: "digits".to_owned(),
            split: Part::Split(Split::Val),
            num_calibration: 100,
            num_pictures: 200,
            measure: "accuracy",
            f32: measured(before),
            int8: measured(after),
            only_f32: 3,
            only_int8: 1,
            p_value: 0.625,
            max_loss,
        }
    }

    #[test]
    fn what_loses_more_than_the_limit_is_refused_with_both_numbers() {
        assert!(refuse_loss(&found(0.92, 0.916, 0.005)).is_ok());
        assert!(refuse_loss(&found(0.92, 0.93, 0.0)).is_ok(), "a gain");
        assert!(refuse_loss(&found(0.92, f64::NAN, 1.0)).is_err());
        let failure = refuse_loss(&found(0.92, 0.90, 0.005)).unwrap_err();
        let text = failure.render(&clap::Command::new("export")).unwrap();
        for part in ["loses 2.00 points", "0.9000, 0.9200 before, on 200", "--max-loss 0.02"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(failure.status(), 1);
    }
}
