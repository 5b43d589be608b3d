//! `mentor demo`: classifiers, an embedding, a small student and self-training on embedded digits, and a
//! report, in under two minutes.

mod lesson;
mod self_train;
mod student;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mentor_data::{Split, shown_path};
use mentor_model::Head;
use mentor_report::RunReport;
use mentor_run::{Config, RunDir, Summary};
use mentor_train::{Plan, TrainedModel};

use self::lesson::Lesson;
use self::student::STUDENT;
use super::part::Part;
use super::{eval, loss, report, train};
use crate::device::{DeviceChoice, OpenDevice};
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::progress::Progress;
use crate::terminal::table::{Align, Table, count, duration, share};

const EXAMPLES: &str = "\
Examples:
  mentor demo
  mentor demo --out /tmp/demo

The demo starts afresh each time: runs of an earlier demo in the same place are removed.";

/// Train classifiers, an embedding and students on embedded digits, and write a report
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write the runs and the report to this directory
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    out: PathBuf,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Show only the results
    #[arg(long, short)]
    quiet: bool,
}

/// Images of a forward pass on the test split.
const BATCH_SIZE: usize = 256;

const LESSONS: [Lesson; 6] = [
    Lesson {
        name: "svm-gd",
        story: "A linear classifier gives each class a score. The SVM loss asks the right score to lead \
                every other\nby a margin; the L2 penalty keeps the weights small; gradient descent uses the \
                exact gradient of\nall training images.",
        config: "
            data.source = 'digits'
            model.name = 'linear'
            loss.name = 'svm'
            penalty.l2 = 1e-3
            optimizer.name = 'gd'
            training.epochs = 300
        ",
    },
    Lesson {
        name: "softmax-sgd",
        story: "The same classifier with the softmax loss, which reads scores as log-probabilities, trained \
                on small\n\
            batches: many rough steps instead of few exact ones.",
        config: "
            data.source = 'digits'
            model.name = 'linear'
            loss.name = 'softmax'
            penalty.l2 = 1e-4
            training.epochs = 40
        ",
    },
    Lesson {
        name: "cnn",
        story: "A small convolutional network learns its own features, from images that are shifted a little \
                each\n\
            time they are seen.",
        config: "
            data.source = 'digits'
            data.augment = 'shift'
            model.name = 'cnn'
            model.dropout = 0.3
            penalty.l2 = 1e-4
            optimizer.batch_size = 32
            optimizer.learning_rate = 0.02
            training.epochs = 12
        ",
    },
    Lesson {
        name: "embedding",
        story: "The same network places each image in the plane, without scores. The triplet loss asks an \
                image to lie\n\
            nearer to one of its own class than to any other, by a margin; the report draws the plane.",
        config: "
            data.source = 'digits'
            data.augment = 'shift'
            model.name = 'cnn'
            model.embedding_size = 2
            model.unit_norm = false
            loss.name = 'triplet'
            loss.margin = 1.0
            training.epochs = 12
        ",
    },
    STUDENT,
    self_train::LESSON,
];

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let start = Instant::now();
    let device = args.device.open()?;
    for lesson in &LESSONS {
        remove_earlier(&args.out.join(lesson.name), &plan(lesson, &args.out)?)?;
    }
    if !args.quiet {
        output::text(
            "mentor demo: 1,797 handwritten digits of 8x8 pixels, six models.\n\n\
             The losses of three images (a cat, a car, a frog) with the scores of the course CS231n:\n",
        )?;
        output::text(&loss::three_images()?)?;
    }
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("parameters", Align::Right),
        ("measure", Align::Left),
        ("validation", Align::Right),
        ("test", Align::Right),
        ("time", Align::Right),
    ]);
    for (index, lesson) in LESSONS.iter().enumerate() {
        if !args.quiet {
            output::text(&format!(
                "\n{} of {}: {}\n{}",
                index + 1,
                LESSONS.len(),
                lesson.name,
                lesson.story
            ))?;
        }
        table.row(teach(lesson, args, &device)?);
        if lesson.name == STUDENT.name {
            let twin = student::twin(&args.out);
            let summary = RunDir::open(&twin)?.summary()?;
            table.row(judge("its twin", &twin, &summary, args, &device)?);
        }
    }
    let runs = LESSONS.iter().map(|lesson| args.out.join(lesson.name));
    let reports = runs.map(|run| RunReport::read(&run)).collect::<Result<Vec<_>, _>>()?;
    let path = args.out.join("report.html");
    report::write(&path, &reports)?;
    output::text(&format!(
        "\n{}\nThe test images were opened once, after training; models were chosen on the validation \
         images.\n\n\
         Report: {}\n\
         Next:   mentor train --data YOUR_FOLDER --model cnn --out runs/mine\n\
         Took {}.",
        table.render(),
        shown_path(&path),
        duration(start.elapsed().as_secs_f64()),
    ))
}

/// Trains, evaluates on the test split, and gives the row of the table; a student learns from the demo's own
/// network.
fn teach(lesson: &Lesson, args: &Args, device: &OpenDevice) -> Result<[String; 6], Failure> {
    let plan = plan(lesson, &args.out)?;
    let run = args.out.join(lesson.name);
    // The story is told above; of the progress only the bar is of interest.
    let mut progress = Progress::bar_only(args.quiet);
    let trained = train::train_into(&plan, &run, device, &mut progress, "the demo begins afresh each time");
    drop(progress);
    let summary = trained?.summary;
    train::write_report(&run)?;
    judge(lesson.name, &run, &summary, args, device)
}

/// Evaluates a complete run on the test split, and gives the row of the table.
fn judge(
    what: &str,
    run: &Path,
    summary: &Summary,
    args: &Args,
    device: &OpenDevice,
) -> Result<[String; 6], Failure> {
    let trained = TrainedModel::load(run, &device.device)?;
    let data = trained.file.data.source.clone().unwrap_or_default();
    let (name, val, test, told) = if let Head::Embedding { .. } = trained.file.spec.head {
        let found = eval::retrieve(&trained, &data, Part::Split(Split::Test), None, BATCH_SIZE)?.retrieval;
        let right = found.precision_at_1.map_or(0.0, |share| (share * found.num_queries as f64).round());
        let told =
            format!("Of {right} of {} test images the nearest other is of their class.", found.num_queries);
        ("P@1", summary.measures.get("val_precision_at_1").copied(), found.precision_at_1, told)
    } else {
        let found = eval::evaluate(&trained, &data, Part::Split(Split::Test), BATCH_SIZE)?.evaluation;
        let right = (found.accuracy * found.num_samples as f64).round();
        let mut told = format!("{what}: {right} of {} test images are right.", found.num_samples);
        told.extend(self_train::compare(summary));
        ("accuracy", summary.val_accuracy, Some(found.accuracy), told)
    };
    if !args.quiet {
        output::text(&(told + "\n"))?;
    }
    Ok([
        what.to_owned(),
        count(summary.num_params as u64),
        name.to_owned(),
        share(val),
        share(test),
        duration(summary.wall_secs),
    ])
}

/// What a lesson trains, in the demo in `out`.
fn plan(lesson: &Lesson, out: &Path) -> Result<Plan, Failure> {
    let mut config = Config::from_toml(lesson.config, lesson.name, &[])?;
    if lesson.name == STUDENT.name {
        config.distill = Some(student::distillation(out));
    }
    Ok(Plan::try_from(config)?)
}

/// Removes the run of an earlier demo. What is none is left alone, and training there will refuse.
fn remove_earlier(run: &Path, plan: &Plan) -> Result<(), Failure> {
    let found = RunDir::open(run).and_then(|run| run.config());
    if !found.is_ok_and(|config| config == plan.to_config()) {
        return Ok(());
    }
    fs::remove_dir_all(run).map_err(|error| {
        Failure::failed(error).context(format!("{}: cannot remove the earlier demo", shown_path(run)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lesson_is_a_plan() {
        for lesson in &LESSONS {
            assert!(plan(lesson, Path::new("demo")).is_ok(), "{}", lesson.name);
        }
    }

    #[test]
    fn a_directory_without_a_run_of_the_demo_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(&LESSONS[0], dir.path()).unwrap();
        let mut own = plan.to_config();
        own.training.seed = Some(7);
        for config in ["[thesis]\nyear = 2026".to_owned(), own.to_toml()] {
            fs::write(dir.path().join("config.toml"), config).unwrap();
            remove_earlier(dir.path(), &plan).unwrap();
            assert!(dir.path().join("config.toml").exists());
        }
        fs::write(dir.path().join("config.toml"), plan.to_config().to_toml()).unwrap();
        remove_earlier(dir.path(), &plan).unwrap();
        assert!(!dir.path().exists());
        fs::create_dir(dir.path()).unwrap();
    }
}
