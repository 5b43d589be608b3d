//! Self-training: few labels and many images → a student that is better than the labels alone allow.
//!
//! ```text
//! labels                 ─▶ length.json                     updates of the next two, by trials if they would
//! be many
//! labels                 ─▶ teacher/                        also baseline/, without unlabelled images
//! teacher, unlabelled    ─▶ round-1/labels/                 calibrated, without noise
//! labels, pseudo-labels  ─▶ round-1/student/                filtered, balanced; with noise
//! validation, audit set  ─▶ round-1/round.json              the student is the next teacher, or rolled back
//! … round-2 …            ─▶ the best model, in the run directory itself; the test split is opened
//! ```
//!
//! Each stage is kept when it is done and continues where it was cut off. All students make the same number
//! of updates.

mod data;
mod end;
mod estimate;
mod head;
mod label;
mod labels;
mod length;
mod objective;
mod places;
mod round;
mod stages;

use std::path::Path;

use mentor_run::{RunDir, TrainEvent};

pub use self::estimate::estimate_self_training;
pub(super) use self::head::train as train_head;
pub use self::label::{LabelInput, Labelling, label};

use self::data::Images;
use self::stages::Work;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::outcome::{Halt, Outcome};
use crate::plan::Plan;
use crate::plan::self_train::{SelfTrainMethod, SelfTrainPlan};

/// Trains what `self_train` says into `out`, or continues there.
pub(super) fn train(
    plan: &Plan,
    self_train: &SelfTrainPlan,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    let images = Images::load(plan, self_train)?;
    let mut work = Work { plan, self_train, images: &images, out, execution, length: None };
    // Networks that cannot be built begin no run.
    let warnings = work.check_networks()?;
    let given = work.open_labels()?;
    let run_dir = RunDir::create(out, &plan.to_config())?;
    for warning in images.warnings.iter().chain(&warnings) {
        execution.warn(warning.clone());
    }
    if plan.options.on_bad_image == mentor_data::BadImage::Quarantine {
        run_dir.write("quarantine.txt", images.quarantined.as_bytes())?;
    }
    let stages = work.estimate(Some(out))?;
    execution.tell(&TrainEvent::Planned(stages));
    let done = work.find_length().and_then(|()| match self_train.method {
        SelfTrainMethod::NoisyStudent => work.noisy_student(given.as_ref()),
        SelfTrainMethod::PseudoLabel => work.pseudo_label(),
    });
    Halt::ended(done.and_then(|done| work.end(&run_dir, done)).map(|summary| {
        execution.tell(&TrainEvent::Finished(Box::new(summary.clone())));
        Outcome::Complete(summary)
    }))
}
